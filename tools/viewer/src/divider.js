// The divider between what lies on the left, a picture or the shape before, and the shape on the right. It is a slider
// whose thumb is as tall as the canvas, so that a pointer and keys move it alike.
import {made} from './dom.js';

// stage: what the canvas fills. moved: called when a person has moved it.
export function divider(stage, moved) {
  const picture = made(stage, 'img', {class: 'wm-viewer-picture', alt: 'The picture', hidden: ''});
  const sides = made(stage, 'div', {class: 'wm-viewer-sides', hidden: '', 'aria-hidden': true});
  const [left, right] = [made(sides, 'span', {}), made(sides, 'span', {})];
  const slider = made(stage, 'input', {type: 'range', class: 'wm-viewer-divider', min: 0, max: 100, step: 1, hidden: ''});
  let on = false;

  const share = () => on ? slider.value / 100 : 0;
  // Where the scene draws through the picture's camera: the largest square in the middle.
  function place() {
    const {clientWidth: width, clientHeight: height} = stage, side = Math.min(width, height);
    const beyond = side - Math.min(side, Math.max(0, share() * width - (width - side) / 2));
    Object.assign(picture.style, {width: `${side}px`, height: `${side}px`, left: `${(width - side) / 2}px`,
      top: `${(height - side) / 2}px`, clipPath: `inset(0 ${beyond}px 0 0)`});
    slider.setAttribute('aria-valuetext', `${slider.value}% ${left.textContent}`);
  }
  // names: of both sides, null for no divider. source: of a picture for the left side, or nothing.
  function put(names, source = '') {
    if (names && !on) slider.value = 50;
    on = !!names;
    for (const part of [sides, slider]) part.hidden = !on;
    picture.hidden = !on || !source;
    if (source) picture.src = source;
    if (!on) return;
    [left.textContent, right.textContent] = names;
    slider.setAttribute('aria-label', `Divider: ${names[0]} on the left, ${names[1]} on the right`);
    place();
  }
  slider.addEventListener('input', () => { place(); moved(); });
  return {put, place, share};
}
