"""Metrics, baselines, reports, figures and timings: how good the product is, and what it costs."""
