// The legend of a measure, which lies in a corner of the viewer while its colours are shown.
import {made} from './dom.js';

export function legend(stage) {
  const box = made(stage, 'div', {class: 'wm-viewer-legend', role: 'img', hidden: ''});
  const title = made(box, 'span', {}), bar = made(box, 'div', {}), ends = made(box, 'div', {});

  // measure: {title, stops, ends}, or nothing for no legend.
  return (measure) => {
    box.hidden = !measure;
    if (!measure) return;
    title.textContent = measure.title;
    bar.style.background = `linear-gradient(90deg, ${measure.stops.map((stop) => `rgb(${stop})`)})`;
    ends.replaceChildren(...measure.ends.map((text) => made(ends, 'span', {}, text)));
    box.setAttribute('aria-label', `${measure.title}: from ${measure.ends.join(' over ')}`);
  };
}
