"""The look of the page: calm colours for light and dark, fonts of the reader's own system, one column on a phone."""

from __future__ import annotations

import gradio as gr

# Plain names only: gradio would fetch a GoogleFont from another host.
_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """A theme of slate and a quiet blue, round corners, no shadows."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        secondary_hue=gr.themes.colors.slate,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=_FONTS,
        font_mono=_MONO_FONTS,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="#10151d",
        background_fill_primary_dark="#171d27",
        background_fill_secondary_dark="#10151d",
        block_background_fill="white",
        block_background_fill_dark="#171d27",
        block_border_color="*neutral_200",
        block_border_color_dark="#2a3341",
        border_color_primary_dark="#2a3341",
        body_text_color_subdued="*neutral_500",
        block_info_text_color="*neutral_500",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_text_weight="500",
        block_title_text_weight="500",
        input_background_fill_dark="#1e2633",
        button_primary_background_fill="#2f6db5",
        button_primary_background_fill_hover="#285f9f",
        button_primary_background_fill_dark="#2f6db5",
        button_primary_background_fill_hover_dark="#3a7bc6",
        button_primary_text_color="white",
        slider_color="#2f6db5",
        slider_color_dark="#5b96d8",
        checkbox_background_color_selected="#2f6db5",
        checkbox_background_color_selected_dark="#2f6db5",
    )


CSS = """
.gradio-container { max-width: 1360px !important; margin: 0 auto !important; }
.wm-header { padding: 4px 2px 0; }
.wm-header h1 { font-size: 1.55rem; font-weight: 650; letter-spacing: -0.01em; margin: 0; }
.wm-header p { color: var(--body-text-color-subdued); margin: 2px 0 0; }
.wm-note, .wm-note p { color: var(--body-text-color-subdued); font-size: 0.88rem; line-height: 1.45; }
.wm-step { font-weight: 600; font-size: 1rem; margin: 6px 0 0; }
.html-container:has(.wm-step), .html-container:has(.wm-note), .html-container:has(.wm-header),
.html-container:has(.wm-empty), .html-container:has(.wm-progress) { padding: 0 !important; }
.gradio-container .column { gap: 12px; }

/* Transparent parts of a picture, in the light and in the dark. */
.wm-card img, .wm-checker img {
  --a: #ffffff; --b: #e6eaef;
  background: repeating-conic-gradient(var(--b) 0 25%, var(--a) 0 50%) 0 0 / 18px 18px;
}
/* Two rules: gradio rewrites only the first selector of a list that begins with .dark. */
.dark .wm-card img { --a: #2a313c; --b: #363e4a; }
.dark .wm-checker img { --a: #2a313c; --b: #363e4a; }
.wm-cards { gap: 12px; }
.wm-card { position: relative; border: 1px solid var(--block-border-color); border-radius: var(--radius-lg);
  background: var(--block-background-fill); padding: 8px; gap: 4px; overflow: hidden; flex-grow: 0 !important;
  flex-basis: calc(50% - 6px) !important; }
.wm-card .block { border-width: 0 !important; background: transparent; padding: 0; overflow: visible; }
.wm-card .form { border: none; background: transparent; gap: 6px; box-shadow: none; }
.wm-card .image-container, .wm-card .image-frame, .wm-card .image-container > button { width: 100%; height: auto; }
.wm-card img { border-radius: var(--radius-md); width: 100%; object-fit: contain; }
.wm-remove { position: absolute !important; top: 14px; right: 14px; z-index: 5; min-width: 30px !important;
  width: 30px; height: 30px; padding: 0 !important; border-radius: 50% !important; opacity: 0.85; }
.wm-seed { align-items: end; background: var(--block-background-fill); }
.wm-dice { min-width: 46px !important; max-width: 46px; height: 42px; margin: 0 12px 12px 0; align-self: end;
  font-size: 1.35rem; padding: 0 !important; border-radius: var(--radius-md); }
/* gradio's own grid has a fixed number of columns, too wide for a phone. */
#examples .grid-container { grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)) !important; height: auto; }
#examples .caption-label { font-size: 0.72rem; padding: 1px 5px; max-width: 100%; }
#examples .grid-wrap { height: auto; min-height: 0; max-height: 240px; overflow-x: hidden; }

.wm-stage, .wm-empty { min-height: min(520px, 92vw); }
.wm-empty { display: grid; place-items: center; text-align: center; padding: 24px;
  border: 1px dashed var(--block-border-color); border-radius: var(--radius-lg);
  color: var(--body-text-color-subdued); background: var(--block-background-fill); }
.wm-forming .image-container, .wm-forming .image-frame, .wm-forming .image-container > button { width: 100%; }
.wm-forming img { width: 100%; height: min(520px, 92vw); object-fit: contain; }
.wm-progress { padding: 2px; }
.wm-progress-text { display: flex; justify-content: space-between; gap: 12px; font-size: 0.9rem; margin-bottom: 6px; }
.wm-progress-track { height: 8px; border-radius: 4px; background: var(--border-color-primary); overflow: hidden; }
.wm-progress-fill { height: 100%; border-radius: 4px; background: #2f6db5; transition: width 0.25s ease; }
.dark .wm-progress-fill { background: #5b96d8; }
.wm-downloads { flex-wrap: wrap; }
.html-container:has(.wm-watch), .html-container:has(.wm-curves) { padding: 0 !important; }
.wm-film { display: flex; gap: 8px; overflow-x: auto; padding: 2px 0 6px; }
.wm-film figure { margin: 0; flex: 0 0 auto; text-align: center; }
.wm-film img { width: 76px; height: 76px; border-radius: var(--radius-md); border: 1px solid var(--block-border-color);
  background: var(--block-background-fill); }
.wm-film figcaption { font-size: 0.72rem; color: var(--body-text-color-subdued); }
.wm-curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 10px; }
.wm-plot { margin: 0; border: 1px solid var(--block-border-color); border-radius: var(--radius-lg);
  padding: 8px 10px 4px; background: var(--block-background-fill); }
.wm-plot figcaption { display: flex; flex-wrap: wrap; gap: 2px 10px; font-size: 0.8rem;
  color: var(--body-text-color-subdued); }
.wm-plot figcaption span:first-child { margin-right: auto; color: var(--body-text-color); font-weight: 500; }
.wm-plot svg { width: 100%; height: auto; display: block; --c0: #2f6db5; --c1: #b8672a; --l0: #7b8794; --l1: #3f8f6b; }
.dark .wm-plot svg { --c0: #6ea6e6; --c1: #e09a62; --l0: #93a0b0; --l1: #6dbd99; }
.wm-plot i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 4px; }
.wm-key-0 { background: #2f6db5; }
.wm-key-1 { background: #b8672a; }
.wm-key-level-0 { background: #7b8794; }
.wm-key-level-1 { background: #3f8f6b; }
.wm-axis { stroke: var(--block-border-color); stroke-width: 1; }
.wm-marked { stroke: var(--body-text-color-subdued); stroke-width: 1; }
.wm-level { stroke: var(--l0); stroke-width: 1.2; stroke-dasharray: 4 3; }
.wm-level-1 { stroke: var(--l1); }
.wm-line { fill: none; stroke: var(--c0); stroke-width: 1.8; }
.wm-line-1 { stroke: var(--c1); }
.wm-dot { fill: var(--c0); }
.wm-dot-1 { fill: var(--c1); }
.wm-tick { font-size: 10px; fill: var(--body-text-color-subdued); }
.wm-counts { margin: 6px 0 0; }
.html-container:has(.wm-step-facts), .html-container:has(.wm-slices) { padding: 0 !important; }
.wm-step-facts dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 6px 14px;
  margin: 0 0 10px; }
.wm-step-facts dt { font-size: 0.78rem; color: var(--body-text-color-subdued); }
.wm-step-facts dd { margin: 0; font-variant-numeric: tabular-nums; }
.wm-scores { width: 100%; border-collapse: collapse; font-size: 0.86rem; margin: 10px 0 4px !important; }
.wm-scores th, .wm-scores td { border: none !important; padding: 3px 8px 3px 0; text-align: right; font-weight: 400; }
.wm-scores tr, .wm-scores thead, .wm-scores tbody { border: none !important; }
.wm-scores tbody tr { border-top: 1px solid var(--block-border-color) !important; }
.wm-scores th:first-child { text-align: left; }
.wm-scores thead th { color: var(--body-text-color-subdued); }
.wm-scores td { font-variant-numeric: tabular-nums; }
.html-container:has(.wm-scores) { padding: 0 !important; overflow-x: auto; }
.wm-slices { display: grid; grid-template-columns: repeat(auto-fill, minmax(92px, 1fr)); gap: 8px; margin: 4px 0 12px; }
.wm-slices figure { margin: 0; text-align: center; }
.wm-slices figure:only-child { grid-column: 1 / span 2; }
.wm-slices img { width: 100%; aspect-ratio: 1; image-rendering: pixelated; border-radius: var(--radius-sm); }
.wm-slices figcaption { font-size: 0.72rem; color: var(--body-text-color-subdued); }
.wm-downloads button { min-width: 64px !important; }
@media (min-width: 900px) { .wm-result { position: sticky; top: 12px; align-self: flex-start; } }
@media (prefers-reduced-motion: reduce) { .wm-progress-fill { transition: none; } }
@media (max-width: 640px) {
  .gradio-container { padding: 8px !important; }
  .wm-header h1 { font-size: 1.3rem; }
}
"""
