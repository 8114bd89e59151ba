// The viewer of the page. `mount` builds it inside an element; what it has to show comes through `show`.
//
// What the reader of the page and its tests can rely on stands at the root as data attributes: state (empty, loading,
// ready, failed), mode, triangles, forming, step (of a run's steps, "" for what they led to), azimuth, elevation, zoom,
// measures (the keys of those that can be shown, with spaces between), compared (picture, before, or "" for nothing) and
// split (the share of the width left of the divider, 0 without one).
import {divider} from './divider.js';
import {made} from './dom.js';
import {readGlb} from './glb.js';
import {legend} from './legend.js';
import {orbit} from './orbit.js';
import {MeshScene, MODES} from './scene.js';
import {steps} from './steps.js';

const HOLD_MS = 3000, TURN_DEG_PER_S = 16, SLOW_MS = 90, REST_MS = 250;
const ICONS = {
  compare: ['', 'M12 3v18M8 8l-4 4 4 4M16 8l4 4-4 4'],
  turn: ['Turn by itself', 'M3 12a9 9 0 0 1 15-6.7L21 8M21 3v5h-5M21 12a9 9 0 0 1-15 6.7L3 16M3 21v-5h5'],
  reset: ['Back to the first view (R)', 'M3 11 12 3l9 8M6 9v11h12V9'],
  picture: ['Save a picture of this view', 'M12 3v12m-5-5 5 5 5-5M4 20h16'],
  full: ['Full screen', 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5'],
};

export function mount(element, name) {
  const root = made(element, 'div', {class: 'wm-viewer', 'data-state': 'empty', 'data-mode': MODES[0], 'data-measures': ''});
  const stage = made(root, 'div', {class: 'wm-viewer-stage'});
  const canvas = made(stage, 'canvas', {tabindex: 0, role: 'application', 'aria-roledescription': '3D viewer', 'aria-label': name});
  const words = made(root, 'p', {class: 'wm-viewer-words', role: 'status'});
  const view = {azimuth: 0, elevation: 20, zoom: 1, shift: [0, 0]};
  let first = {...view}, shown = null, subject = null, asked = 0, scene = null, turning = false, seen = true, due = false;
  let wait = null, rest = null, finely = false, cold = false, compared = '', held = null, begun = '', chosen = MODES[0];
  const sides = divider(stage, () => redraw()), explain = legend(stage);

  const offer_steps = steps(root, (step) => {
    turn(false);
    load((step ?? shown).url, first, () => { root.dataset.step = step?.index ?? ''; });
  });
  const bar = made(root, 'div', {class: 'wm-viewer-bar'});
  const modes = made(bar, 'div', {class: 'wm-viewer-modes', role: 'group', 'aria-label': 'Look'});
  const add_look = (mode, text) => {
    const button = made(modes, 'button', {type: 'button', 'data-mode': mode, 'aria-pressed': mode === MODES[0]}, text);
    button.addEventListener('click', () => look(mode));
  };
  for (const mode of MODES) add_look(mode, mode[0].toUpperCase() + mode.slice(1));
  const tools = made(bar, 'div', {class: 'wm-viewer-tools', role: 'group', 'aria-label': 'View'});
  const buttons = Object.fromEntries(Object.entries(ICONS).map(([key, [title, path]]) => {
    const button = made(tools, 'button', {type: 'button', title, 'aria-label': title, 'data-tool': key});
    button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
    button.hidden = key === 'compare';
    return [key, button];
  }));
  const left = made(buttons.compare, 'span', {});

  const tell = () => {
    Object.assign(root.dataset, {azimuth: view.azimuth.toFixed(1), elevation: view.elevation.toFixed(1), zoom: view.zoom.toFixed(3),
      compared, split: sides.share()});
    const side = Math.round(view.azimuth), height = Math.round(view.elevation);
    canvas.setAttribute('aria-label', root.dataset.state !== 'ready' ? name : `${name}, ${(+root.dataset.triangles).toLocaleString('en')} triangles, ` +
      `seen from ${Math.abs(side)}° to the ${side < 0 ? 'left' : 'right'} and ${Math.abs(height)}° ${height < 0 ? 'below' : 'above'}. ` +
      'Arrow keys turn, plus and minus zoom, R goes back.');
  };
  const draw = (fine = false, split = sides.share()) => {
    due = false;
    if (root.dataset.state !== 'ready' || !canvas.clientWidth) return;
    if (scene.slow && fine !== finely) scene.resize(canvas.clientWidth, canvas.clientHeight, finely = fine);
    scene.draw(view, compared === 'picture' ? shown.picture : null, split);
    clearTimeout(rest);
    // A shape that forms gives way soon, and the run needs the processor.
    if (scene.slow && !fine && root.dataset.forming !== 'true') rest = setTimeout(settled, REST_MS);
  };
  // Of a view that rests; what the first look at the wires would wait for is done now, behind the mesh that is seen.
  const settled = () => {
    if (cold) scene.warm(view);
    cold = false;
    draw(true);
  };
  const redraw = () => {
    tell();
    if (!due) due = requestAnimationFrame(() => draw());
  };
  // Whoever turns the object has seen enough of the picture; a shape before turns along.
  const touched = () => {
    turn(false);
    if (compared === 'picture') compare('');
    redraw();
  };

  function look(mode) {
    chosen = mode;
    settle();
    draw();
  }
  // The look that was chosen, as far as the file has it; a measure comes with a later file of the same shape.
  function settle() {
    const offered = (shown?.measures ?? []).filter(({key}) => scene.shape?.measures.includes(key));
    const keys = offered.map(({key}) => key).join(' ');
    if (keys !== root.dataset.measures) {
      for (const button of [...modes.children].slice(MODES.length)) button.remove();
      for (const {key, name} of offered) add_look(key, name);
      root.dataset.measures = keys;
    }
    const measure = offered.find(({key}) => key === chosen);
    const mode = measure || MODES.includes(chosen) ? chosen : MODES[0];
    scene.look(mode, measure);
    explain(measure);
    root.dataset.mode = mode;
    for (const button of modes.children) button.setAttribute('aria-pressed', button.dataset.mode === mode);
  }
  // Put the picture ("picture") or the shape before ("before") on the left of a divider, or nothing ('').
  async function compare(kind) {
    const {before, picture} = shown ?? {};
    if (kind === 'before' && held !== before.url) {
      const geometries = await fetched(before.url).catch(() => null);
      if (!geometries || before.url !== shown?.before?.url) return;
      scene.hold(geometries, first);
      held = before.url;
    }
    if (kind === 'picture') {
      turn(false);
      Object.assign(view, first, {shift: [0, 0]});
    }
    compared = kind;
    buttons.compare.setAttribute('aria-pressed', !!kind);
    sides.put({picture: ['Picture', 'Mesh'], before: before?.names}[kind] ?? null, kind === 'picture' ? picture.url : '');
    redraw();
  }
  // What can be compared with what is shown now; a divider that is there stays if it can.
  function offer_comparison(same) {
    const kind = shown?.picture ? 'picture' : shown?.before ? 'before' : '';
    const what = kind === 'picture' ? 'the picture' : shown?.before?.what ?? '';
    buttons.compare.hidden = !kind;
    for (const name of ['title', 'aria-label']) buttons.compare.setAttribute(name, `Compare with ${what}`);
    left.textContent = kind === 'picture' ? 'Picture' : shown?.before?.names[0] ?? '';
    if (held && held !== shown?.before?.url) {
      scene.hold(held = null);
      if (compared === 'before' && kind === 'before' && same) return compare(kind);
    }
    if (compared && (compared !== kind || !same)) compare('');
  }
  // One that was asked for elsewhere on the page begins by itself, and once.
  function begin_comparison() {
    const wanted = shown?.before?.open ? shown.before.url : '';
    if (wanted && wanted !== begun && compared !== 'before') compare('before');
    begun = wanted;
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
    if (compared === 'picture') compare('');
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
  function save_picture() {
    draw(true, 0);
    canvas.toBlob((content) => {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(content);
      link.download = `${shown.name}-view.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
    if (sides.share()) redraw();
  }

  function state(name, text = '') {
    root.dataset.state = name;
    words.textContent = text;
    for (const button of root.querySelectorAll('button')) button.disabled = name !== 'ready';
  }

  // {url, name, azimuth, elevation, subject, forming, steps, measures, look, picture, before}, or null for nothing. The view
  // stays while the subject does. Steps, picture and before have a url of their own; the picture has the rest of its
  // camera, and measures are as in `legend` and `MeshScene.look`, with a name for their buttons.
  async function show(wanted) {
    const same = wanted?.url && wanted.url === shown?.url && root.dataset.state !== 'failed';
    shown = wanted;
    offer_steps(wanted?.steps ?? []);
    offer_comparison(!!wanted && wanted.subject === subject);
    if (same) return begin_comparison();
    if (!wanted?.url) {
      asked++;
      scene?.clear();
      subject = null;
      return state('empty');
    }
    const kept = subject === wanted.subject && root.dataset.state === 'ready', formed = root.dataset.forming === 'true';
    const at = {azimuth: wanted.azimuth ?? 0, elevation: wanted.elevation ?? 20, zoom: 1};
    if (!kept) {
      chosen = wanted.look ?? chosen;
      state('loading', 'Loading the mesh…');
    }
    await load(wanted.url, kept ? first : at, () => {
      subject = wanted.subject;
      Object.assign(root.dataset, {forming: !!wanted.forming, step: ''});
      if (!kept) Object.assign(view, first = at, {shift: [0, 0]});
      state('ready');
      begin_comparison();
      // A shape that forms grows; one that was edited stays where it is.
      if (size(!kept || formed) && !wanted.forming) {
        if (scene.slow) cold = true;
        else scene.warm(view);
      }
      const still = wanted.forming || matchMedia('(prefers-reduced-motion: reduce)').matches;
      if ((!kept || formed) && !still) wait = setTimeout(() => turn(true), HOLD_MS);
    });
  }
  async function fetched(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    return readGlb(await answer.arrayBuffer());
  }
  // Show this file, unless another was asked for meanwhile. then: what to do before it is drawn.
  async function load(url, lit, then) {
    const turn_of = ++asked;
    try {
      const geometries = await fetched(url);
      if (turn_of !== asked) return;
      scene ??= new MeshScene(canvas);
      scene.show(geometries, lit);
      root.dataset.triangles = scene.shape.triangles;
      settle();
      then();
      redraw();
    } catch (error) {
      if (turn_of !== asked) return;
      console.warn(error);
      state('failed', scene || !/WebGL/i.test(error.message) ? 'The mesh could not be loaded; try again.'
        : 'This browser shows no 3D, as WebGL is off; the mesh can be saved all the same.');
    }
  }
  function size(fit = true) {
    if (!scene || !canvas.clientWidth || !canvas.clientHeight) return false;
    scene.resize(canvas.clientWidth, canvas.clientHeight, finely = false);
    if (fit) scene.fit(first);
    sides.place();
    return true;
  }

  orbit(canvas, view, touched);
  canvas.addEventListener('pointerdown', () => turn(false));
  canvas.addEventListener('keydown', (event) => { if (event.key.toLowerCase() === 'r' && !event.ctrlKey && !event.metaKey) reset(); });
  buttons.turn.addEventListener('click', () => turn(!turning));
  buttons.reset.addEventListener('click', reset);
  buttons.picture.addEventListener('click', save_picture);
  buttons.compare.addEventListener('click', () => compare(compared ? '' : shown.picture ? 'picture' : 'before'));
  buttons.full.addEventListener('click', () => document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen());
  if (!root.requestFullscreen) buttons.full.remove();
  new ResizeObserver(() => { if (size()) draw(); }).observe(canvas);
  new IntersectionObserver(([entry]) => { seen = entry.isIntersecting; }).observe(canvas);
  state('empty');
  return {show};
}
