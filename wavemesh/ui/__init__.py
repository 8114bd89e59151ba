"""The web page: one file per tab, `handlers` and what they call without gradio, `app` to build and serve."""
