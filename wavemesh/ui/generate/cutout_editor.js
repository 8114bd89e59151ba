// Painting on the picture of the editor: `element` is the component, `trigger` sends strokes to the server.
// Strokes that are made while the server works wait here, so that none is lost and all are answered in order.
const dialog = element.closest('#cutout-editor');
const scroll = element.querySelector('.wm-cutout-scroll');
const picture = element.querySelector('img');
const canvas = element.querySelector('canvas');
const colours = {object: '#e23c96', keep: '#2e9e5b', remove: '#d9442f'};
let waiting = [], sent = null, stroke = null, zoom = 1, mark = null, dragged = null;

const tool = () => dialog.querySelector('#cutout-tool input:checked')?.value ?? 'object';
const scale = () => picture.naturalWidth / Math.max(1, canvas.clientWidth);
const radius = () => +dialog.querySelector('#cutout-brush input').value / 2 * scale() / zoom;

function fit() {
  if (!picture.naturalWidth) return;
  const room = Math.min(scroll.clientWidth / picture.naturalWidth, scroll.clientHeight / picture.naturalHeight);
  element.style.setProperty('--sheet', `${Math.floor(picture.naturalWidth * room * zoom)}px`);
  draw();
}

function draw() {
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  const pen = canvas.getContext('2d');
  pen.lineCap = pen.lineJoin = 'round';
  pen.globalAlpha = 0.6;
  for (const each of [...(sent ?? []), ...waiting, ...(stroke ? [stroke] : [])]) {
    pen.strokeStyle = pen.fillStyle = colours[each.tool];
    pen.lineWidth = 2 * each.radius;
    pen.beginPath();
    each.points.forEach(([x, y], index) => index ? pen.lineTo(x, y) : pen.moveTo(x, y));
    pen.lineTo(...each.points.at(-1));
    pen.stroke();
  }
  if (!mark) return;
  pen.globalAlpha = 1;
  const around = tool() === 'keep' || tool() === 'remove' ? radius() : 6 * scale();
  for (const [colour, width] of [['#fff', 3], ['#000', 1]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = width * scale();
    pen.beginPath();
    pen.arc(...mark, around, 0, 7);
    pen.stroke();
  }
}

function send() {
  if (sent || !waiting.length) return;
  sent = waiting.splice(0, 20);
  trigger('input', {strokes: sent});
}

const at = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top].map((value) => Math.round(value * scale() * 10) / 10);
};

canvas.addEventListener('pointerdown', (event) => {
  if (event.button || !event.isPrimary) return;
  event.preventDefault();
  canvas.focus({preventScroll: true});
  canvas.setPointerCapture(event.pointerId);
  mark = null;
  if (tool() === 'move') dragged = [event.clientX, event.clientY, scroll.scrollLeft, scroll.scrollTop];
  else stroke = {tool: tool(), radius: tool() === 'object' ? 6 * scale() : radius(), points: [at(event)]};
  draw();
});
canvas.addEventListener('pointermove', (event) => {
  if (dragged) scroll.scrollTo(dragged[2] + dragged[0] - event.clientX, dragged[3] + dragged[1] - event.clientY);
  else if (stroke && event.isPrimary && stroke.points.length < 4000) {
    if (stroke.tool === 'object') stroke.points = [at(event)];
    else stroke.points.push(at(event));
  } else if (!stroke && event.pointerType === 'mouse' && tool() !== 'move') mark = at(event);
  draw();
});
canvas.addEventListener('pointerup', () => {
  if (stroke) waiting.push(stroke);
  stroke = dragged = null;
  draw();
  send();
});
canvas.addEventListener('pointercancel', () => { stroke = dragged = null; draw(); });
canvas.addEventListener('pointerleave', () => { mark = null; draw(); });

canvas.addEventListener('keydown', (event) => {
  const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
  const by = 10 * scale() / (event.shiftKey ? 5 : 1);
  if (steps) {
    mark ??= [canvas.width / 2, canvas.height / 2];
    mark = [Math.min(canvas.width, Math.max(0, mark[0] + by * steps[0])),
      Math.min(canvas.height, Math.max(0, mark[1] + by * steps[1]))];
  } else if ((event.key === 'Enter' || event.key === ' ') && mark && tool() !== 'move') {
    waiting.push({tool: tool(), radius: tool() === 'object' ? 6 * scale() : radius(), points: [mark]});
    send();
  } else return;
  event.preventDefault();
  draw();
});

const zoomed = (factor) => {
  const middle = [scroll.scrollLeft + scroll.clientWidth / 2, scroll.scrollTop + scroll.clientHeight / 2];
  const before = zoom;
  zoom = Math.min(8, Math.max(1, zoom * factor));
  fit();
  scroll.scrollTo(...[scroll.clientWidth, scroll.clientHeight].map(
    (side, axis) => middle[axis] * zoom / before - side / 2));
};
dialog.addEventListener('click', (event) => {  // the buttons come after this
  if (event.target.closest('#cutout-zoom-in')) zoomed(1.5);
  if (event.target.closest('#cutout-zoom-out')) zoomed(1 / 1.5);
});
dialog.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') dialog.querySelector('#cutout-cancel').click();
});

picture.addEventListener('load', fit);
new ResizeObserver(fit).observe(scroll);
watch('value', () => { sent = null; draw(); send(); });

// A dialog to those who hear the page; what lies behind it cannot be reached by Tab.
dialog.setAttribute('role', 'dialog');
dialog.setAttribute('aria-modal', 'true');
dialog.setAttribute('aria-label', 'Edit the cut-out');
for (let inner = dialog; inner.parentElement && !inner.matches('.gradio-container'); inner = inner.parentElement)
  for (const beside of inner.parentElement.children)
    if (beside !== inner && !beside.contains(dialog) && !beside.matches('.toast-wrap, script, style')) {
      beside.inert = true;
      beside.classList.add('wm-under-editor');
    }
(dialog.querySelector('#cutout-tool input:checked') ?? canvas).focus();
fit();
