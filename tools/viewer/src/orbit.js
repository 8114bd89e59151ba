// Turning, zooming and moving by mouse, fingers and keys. One finger across turns and up or down scrolls the page; two
// fingers turn, zoom and move.
const CLOSEST = 0.25, FARTHEST = 3;  // of the distance at which everything fits
const PIXEL_DEG = 0.35;

// `view` is {azimuth, elevation, zoom, shift: [x, y]} and is changed in place; `changed` is called after each change.
export function orbit(canvas, view, changed) {
  const held = new Map();
  let apart = 0;

  const turn = (dx, dy) => {
    view.azimuth = (view.azimuth - dx + 540) % 360 - 180;
    view.elevation = Math.min(89, Math.max(-89, view.elevation + dy));
  };
  const zoom = (factor) => { view.zoom = Math.min(FARTHEST, Math.max(CLOSEST, view.zoom * factor)); };
  const move = (dx, dy) => {
    const pixel = view.zoom / canvas.clientHeight;
    view.shift = [view.shift[0] + dx * pixel, view.shift[1] + dy * pixel].map((part) => Math.min(1, Math.max(-1, part)));
  };
  const spread = () => {
    const [a, b] = [...held.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };

  canvas.addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'mouse') canvas.focus({preventScroll: true});
    held.set(event.pointerId, [event.clientX, event.clientY]);
    canvas.setPointerCapture(event.pointerId);
    if (held.size === 2) apart = spread();
  });
  canvas.addEventListener('pointermove', (event) => {
    const before = held.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
    held.set(event.pointerId, [event.clientX, event.clientY]);
    if (held.size === 2) {
      turn(dx * PIXEL_DEG / 2, dy * PIXEL_DEG / 2);
      zoom(apart / Math.max(1, spread()));
      apart = spread();
    } else if (event.buttons === 2 || event.shiftKey) move(dx, dy);
    else turn(dx * PIXEL_DEG, event.pointerType === 'touch' ? 0 : dy * PIXEL_DEG);
    changed();
  });
  for (const end of ['pointerup', 'pointercancel', 'lostpointercapture'])
    canvas.addEventListener(end, (event) => held.delete(event.pointerId));
  canvas.addEventListener('touchmove', (event) => { if (event.touches.length > 1) event.preventDefault(); }, {passive: false});
  canvas.addEventListener('contextmenu', (event) => event.preventDefault());

  // The wheel scrolls the page unless the viewer was chosen before.
  canvas.addEventListener('wheel', (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 300));
    changed();
  }, {passive: false});

  canvas.addEventListener('keydown', (event) => {
    const step = event.shiftKey ? 2 : 10;
    const act = {
      ArrowLeft: () => turn(step, 0), ArrowRight: () => turn(-step, 0),
      ArrowUp: () => turn(0, step), ArrowDown: () => turn(0, -step),
      '+': () => zoom(1 / 1.15), '=': () => zoom(1 / 1.15), '-': () => zoom(1.15),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
    changed();
  });
}
