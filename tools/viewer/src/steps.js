// The slider with the shapes on the way to the one that is shown, each at its place; the last place is that shape itself.
import {made} from './dom.js';

// go: called with the step to show, or with nothing for what the steps led to.
export function steps(root, go) {
  const past = made(root, 'label', {class: 'wm-viewer-steps', hidden: ''}, 'Steps');
  const slider = made(past, 'input', {type: 'range', min: 0, step: 1, 'aria-label': 'Step of the run'});
  const at_step = made(past, 'output', {});
  let offered = [];

  function name() {
    at_step.textContent = offered[slider.value]?.name ?? 'finished';
    slider.setAttribute('aria-valuetext', at_step.textContent);
  }
  function chosen() {
    name();
    go(offered[slider.value]);
  }
  slider.addEventListener('input', chosen);
  document.addEventListener('click', ({target}) => {
    const wanted = target.closest?.('[data-viewer-step]')?.dataset.viewerStep;
    const place = offered.findIndex(({index}) => index === +wanted);
    if (wanted === undefined || place < 0) return;
    slider.value = place;
    chosen();
  });
  // Offer these, [{index, name, url}].
  return (list) => {
    offered = list;
    past.hidden = !list.length;
    slider.max = slider.value = list.length;
    name();
  };
}
