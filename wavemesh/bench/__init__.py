"""What the product costs in time and memory: the budgets of the design, measured by `python -m wavemesh bench`.

Lies above the page, which is one of the things that it measures.
"""

PARTS = ("pipeline", "cutout", "triplane", "unet", "wavelets", "app", "previews")
