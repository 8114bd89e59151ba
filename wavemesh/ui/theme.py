"""The look of the page: calm colours for light and dark, system fonts; all else is in `page.css`."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

PAGE_CSS = Path(__file__).with_name("page.css")

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
