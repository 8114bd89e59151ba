// The viewer of the page. `mount` builds it inside an element; what it has to show comes through `show`.
//
// What the reader of the page and its tests can rely on stands at the root as data attributes: state (empty, loading,
// ready, failed), mode, triangles, forming, step (of a run's steps, "" for what they led to), azimuth, elevation and zoom.
import {readGlb} from './glb.js';
import {orbit} from './orbit.js';
import {MeshScene, MODES} from './scene.js';

const HOLD_MS = 3000, TURN_DEG_PER_S = 16, SLOW_MS = 90, REST_MS = 250;
const ICONS = {
  turn: ['Turn by itself', 'M3 12a9 9 0 0 1 15-6.7L21 8M21 3v5h-5M21 12a9 9 0 0 1-15 6.7L3 16M3 21v-5h5'],
  reset: ['Back to the first view (R)', 'M3 11 12 3l9 8M6 9v11h12V9'],
  picture: ['Save a picture of this view', 'M12 3v12m-5-5 5 5 5-5M4 20h16'],
  full: ['Full screen', 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5'],
};

const made = (parent, tag, attributes, text = '') => {
  const element = parent.appendChild(document.createElement(tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(text);
  return element;
};

export function mount(element, name) {
  const root = made(element, 'div', {class: 'wm-viewer', 'data-state': 'empty', 'data-mode': MODES[0]});
  const canvas = made(root, 'canvas', {tabindex: 0, role: 'application', 'aria-roledescription': '3D viewer', 'aria-label': name});
  const words = made(root, 'p', {class: 'wm-viewer-words', role: 'status'});
  const view = {azimuth: 0, elevation: 20, zoom: 1, shift: [0, 0]};
  let first = {...view}, shown = null, subject = null, asked = 0, scene = null, turning = false, seen = true, due = false;
  let wait = null, rest = null, finely = false;

  const past = made(root, 'label', {class: 'wm-viewer-steps', hidden: ''}, 'Steps');
  const slider = made(past, 'input', {type: 'range', min: 0, step: 1, 'aria-label': 'Step of the run'});
  const at_step = made(past, 'output', {});
  const bar = made(root, 'div', {class: 'wm-viewer-bar'});
  const modes = made(bar, 'div', {class: 'wm-viewer-modes', role: 'group', 'aria-label': 'Look'});
  for (const mode of MODES) {
    const button = made(modes, 'button', {type: 'button', 'aria-pressed': mode === MODES[0]}, mode[0].toUpperCase() + mode.slice(1));
    button.addEventListener('click', () => look(mode));
    button.dataset.mode = mode;
  }
  const tools = made(bar, 'div', {class: 'wm-viewer-tools', role: 'group', 'aria-label': 'View'});
  const buttons = Object.fromEntries(Object.entries(ICONS).map(([key, [title, path]]) => {
    const button = made(tools, 'button', {type: 'button', title, 'aria-label': title, 'data-tool': key});
    button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
    return [key, button];
  }));

  const tell = () => {
    Object.assign(root.dataset, {azimuth: view.azimuth.toFixed(1), elevation: view.elevation.toFixed(1), zoom: view.zoom.toFixed(3)});
    const side = Math.round(view.azimuth), height = Math.round(view.elevation);
    canvas.setAttribute('aria-label', root.dataset.state !== 'ready' ? name : `${name}, ${(+root.dataset.triangles).toLocaleString('en')} triangles, ` +
      `seen from ${Math.abs(side)}° to the ${side < 0 ? 'left' : 'right'} and ${Math.abs(height)}° ${height < 0 ? 'below' : 'above'}. ` +
      'Arrow keys turn, plus and minus zoom, R goes back.');
  };
  const draw = (fine = false) => {
    due = false;
    if (root.dataset.state !== 'ready' || !canvas.clientWidth) return;
    if (scene.slow && fine !== finely) scene.resize(canvas.clientWidth, canvas.clientHeight, finely = fine);
    scene.draw(view);
    clearTimeout(rest);
    if (scene.slow && !fine) rest = setTimeout(() => draw(true), REST_MS);
  };
  const redraw = () => {
    tell();
    if (!due) due = requestAnimationFrame(() => draw());
  };
  const touched = () => { turn(false); redraw(); };

  function look(mode) {
    scene.look(mode);
    root.dataset.mode = mode;
    for (const button of modes.children) button.setAttribute('aria-pressed', button.dataset.mode === mode);
    draw();
  }
  function reset() {
    Object.assign(view, first, {shift: [0, 0]});
    scene.fit(first);
    touched();
  }
  function turn(on) {
    clearTimeout(wait);
    turning = on;
    buttons.turn.setAttribute('aria-pressed', on);
    if (!on) return;
    let before = performance.now(), slow = 0;
    const step = (now) => {
      if (!turning) return;
      requestAnimationFrame(step);
      const passed = now - before;
      before = now;
      if (!seen || document.hidden || root.dataset.state !== 'ready') return;
      slow = passed > SLOW_MS ? slow + 1 : 0;
      if (slow > 8) return turn(false);  // a machine that draws slowly has better things to do
      view.zoom += (Math.max(1, scene.placed.turned) - view.zoom) * 0.04;  // so that no side is cut off
      view.azimuth = (view.azimuth - TURN_DEG_PER_S * Math.min(100, passed) / 1000 + 540) % 360 - 180;
      tell();
      draw();
    };
    requestAnimationFrame(step);
  }
  function picture() {
    draw(true);
    canvas.toBlob((content) => {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(content);
      link.download = `${shown.name}-view.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  }

  function state(name, text = '') {
    root.dataset.state = name;
    words.textContent = text;
    for (const button of root.querySelectorAll('button')) button.disabled = name !== 'ready';
  }

  // {url, name, azimuth, elevation, subject, forming, steps}, or null for nothing. The view stays while the subject does.
  async function show(wanted) {
    const same = wanted?.url && wanted.url === shown?.url && root.dataset.state !== 'failed';
    shown = wanted;
    offer(wanted?.steps ?? []);
    if (same) return;
    if (!wanted?.url) {
      asked++;
      scene?.clear();
      subject = null;
      return state('empty');
    }
    const kept = subject === wanted.subject && root.dataset.state === 'ready', formed = root.dataset.forming === 'true';
    const at = {azimuth: wanted.azimuth ?? 0, elevation: wanted.elevation ?? 20, zoom: 1};
    if (!kept) state('loading', 'Loading the mesh…');
    await load(wanted.url, kept ? first : at, () => {
      subject = wanted.subject;
      Object.assign(root.dataset, {forming: !!wanted.forming, step: ''});
      if (!kept) Object.assign(view, first = at, {shift: [0, 0]});
      state('ready');
      // A shape that forms grows; one that was edited stays where it is.
      if (size(!kept || formed) && !wanted.forming) scene.warm(view);
      const still = wanted.forming || matchMedia('(prefers-reduced-motion: reduce)').matches;
      if ((!kept || formed) && !still) wait = setTimeout(() => turn(true), HOLD_MS);
    });
  }
  // Show this file, unless another was asked for meanwhile. then: what to do before it is drawn.
  async function load(url, lit, then) {
    const turn_of = ++asked;
    try {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
      const geometries = readGlb(await answer.arrayBuffer());
      if (turn_of !== asked) return;
      scene ??= new MeshScene(canvas);
      root.dataset.triangles = scene.show(geometries, lit);
      then();
      redraw();
    } catch (error) {
      if (turn_of !== asked) return;
      console.warn(error);
      state('failed', scene || !/WebGL/i.test(error.message) ? 'The mesh could not be loaded; try again.'
        : 'This browser shows no 3D, as WebGL is off; the mesh can be saved all the same.');
    }
  }
  // The shapes on the way to the one that is shown, each at its place of the slider.
  function offer(steps) {
    past.hidden = !steps.length;
    slider.max = steps.length;
    slider.value = steps.length;
    name_step();
  }
  function name_step() {
    at_step.textContent = shown?.steps?.[slider.value]?.name ?? 'finished';
    slider.setAttribute('aria-valuetext', at_step.textContent);
  }
  function go_to_step() {
    const step = shown.steps[slider.value];
    name_step();
    turn(false);
    load((step ?? shown).url, first, () => { root.dataset.step = step?.index ?? ''; });
  }
  function size(fit = true) {
    if (!scene || !canvas.clientWidth || !canvas.clientHeight) return false;
    scene.resize(canvas.clientWidth, canvas.clientHeight, finely = false);
    if (fit) scene.fit(first);
    return true;
  }

  slider.addEventListener('input', go_to_step);
  document.addEventListener('click', ({target}) => {
    const wanted = target.closest?.('[data-viewer-step]')?.dataset.viewerStep;
    const place = shown?.steps?.findIndex(({index}) => index === +wanted) ?? -1;
    if (wanted === undefined || place < 0) return;
    slider.value = place;
    go_to_step();
  });
  orbit(canvas, view, touched);
  canvas.addEventListener('pointerdown', () => turn(false));
  canvas.addEventListener('keydown', (event) => { if (event.key.toLowerCase() === 'r' && !event.ctrlKey && !event.metaKey) reset(); });
  buttons.turn.addEventListener('click', () => turn(!turning));
  buttons.reset.addEventListener('click', reset);
  buttons.picture.addEventListener('click', picture);
  buttons.full.addEventListener('click', () => document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen());
  if (!root.requestFullscreen) buttons.full.remove();
  new ResizeObserver(() => { if (size()) draw(); }).observe(canvas);
  new IntersectionObserver(([entry]) => { seen = entry.isIntersecting; }).observe(canvas);
  state('empty');
  return {show};
}
