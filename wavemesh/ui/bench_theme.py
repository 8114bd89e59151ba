"""The look of the benches (tabs Wavelets, Triplane and Result), beside the page's own in `theme`."""

BENCH_CSS = """
.wm-empty-small { min-height: 180px; }
.html-container:has(.wm-legend), .html-container:has(.wm-energy), .html-container:has(.wm-health) {
  padding: 0 !important; }
.wm-legend { font-size: 0.82rem; color: var(--body-text-color-subdued); margin: 2px 0; }
.wm-legend-bar { height: 10px; border-radius: 5px; margin: 4px 0 2px; }
.wm-legend-ends { display: flex; justify-content: space-between; font-variant-numeric: tabular-nums; }
.wm-triple { flex-wrap: nowrap !important; gap: 10px; }
.wm-triple > * { min-width: 0 !important; }
.wm-shape .image-container, .wm-shape .image-frame, .wm-slice .image-container, .wm-slice .image-frame { width: 100%; }
.wm-shape img, .wm-slice img { width: 100%; aspect-ratio: 1; object-fit: contain; }
.wm-slice img { image-rendering: pixelated; }
.wm-slice label[data-testid="block-label"] { background: var(--block-background-fill); opacity: 0.9; }
.wm-orbit { touch-action: none; cursor: grab; }
.wm-orbit:active { cursor: grabbing; }
.wm-orbit img { pointer-events: none; }
.wm-bands { gap: 0 !important; }
.wm-energy, .wm-health { width: 100%; border-collapse: collapse; font-size: 0.86rem; margin: 0 !important;
  border: none !important; }
.wm-energy th { text-align: left; font-weight: 500; white-space: nowrap; width: 1%; padding: 2px 10px 2px 0;
  border: none !important; font-family: var(--font-mono); }
.wm-energy td { border: none !important; padding: 2px 0; }
.wm-energy td:last-child { width: 1%; white-space: nowrap; text-align: right; padding-left: 10px;
  font-variant-numeric: tabular-nums; color: var(--body-text-color-subdued); }
.wm-energy tr, .wm-health tr { background: transparent !important; border: none !important; }
.wm-bar { height: 6px; border-radius: 3px; margin: 1px 0; min-width: 1px; }
.wm-bar-before { background: #8a94a3; }
.wm-bar-after { background: #2f6db5; }
.dark .wm-bar-after { background: #5b96d8; }
.wm-verdict { font-weight: 600; margin: 0 0 6px; }
.wm-health th { text-align: left; font-weight: 500; padding: 5px 10px 5px 0; vertical-align: top; white-space: nowrap;
  border: none !important; border-top: 1px solid var(--border-color-primary) !important; }
.wm-health tr:first-child th, .wm-health tr:first-child td { border-top: none !important; }
.wm-health td { padding: 5px 10px 5px 0; vertical-align: top; border: none !important;
  border-top: 1px solid var(--border-color-primary) !important; }
.wm-health td:nth-child(2) { white-space: nowrap; font-variant-numeric: tabular-nums; }
.wm-health td:last-child { color: var(--body-text-color-subdued); padding-right: 0; }
.wm-ok { color: #2e7d4f; }
.wm-bad { color: #b3402f; }
.dark .wm-ok { color: #6dbd99; }
.dark .wm-bad { color: #e88a76; }
@media (max-width: 640px) {
  .wm-triple { gap: 6px; }
  .wm-first { order: -1; }
  .wm-triple .block { padding: 0; }
}
"""
