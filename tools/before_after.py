"""Sheets of pictures of the page as it was (left) beside the page as it is (right), of the same examples.

    git worktree add ../before 9ead662
    (cd ../before && GRADIO_SERVER_PORT=7901 python app.py) &
    GRADIO_SERVER_PORT=7902 python app.py &
    python tools/before_after.py http://127.0.0.1:7901 http://127.0.0.1:7902 -o docs/screenshots

Each picture is what a person sees once an example was picked and its mesh is drawn, light and dark: without scrolling,
and on a phone below that with the mesh scrolled to.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

EXAMPLES = (("Osaka chair", "light"), ("Horse", "dark"))
WINDOWS = {"desktop": (1440, 900), "phone": (390, 844)}
WIDTHS = {"desktop": 800, "phone": 360}  # of each picture on its sheet
GAP = 12
WAIT_MS = 240_000
_SCROLLS = ("scrollTo(0, 0)", "document.querySelector('#mesh canvas').scrollIntoView({block: 'center'})")


def photograph(browser: Any, address: str, window: tuple[int, int], example: str, theme: str) -> list[Image.Image]:
    """The window with this example once its mesh has pixels and nothing changes any more; on a phone, the mesh too."""
    phone = window[0] < 800
    page = browser.new_page(viewport=dict(zip(("width", "height"), window, strict=True)), reduced_motion="reduce",
                            has_touch=phone, is_mobile=phone)  # fmt: skip
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{address}/?__theme={theme}")
    page.wait_for_selector("#mesh canvas")
    page.locator("#examples button", has_text=example).first.click()
    page.wait_for_selector(f"#credit:has-text('{example}')")
    canvas, begin = page.locator("#mesh canvas").first, time.monotonic()
    while time.monotonic() - begin < 60 and np.ptp(np.asarray(picture_of(canvas).convert("L"))) < 40:
        page.wait_for_timeout(500)
    pictures = []
    for scroll in _SCROLLS[: 1 + phone]:
        page.evaluate(scroll)
        page.mouse.move(2, 2)
        page.wait_for_timeout(8000)
        pictures.append(picture_of(page))
    page.close()
    return pictures


def picture_of(what: Any) -> Image.Image:
    """A page or an element as it looks now."""
    return Image.open(io.BytesIO(what.screenshot())).convert("RGB")


def sheet(pictures: list[Image.Image], columns: int, width: int) -> Image.Image:
    """The pictures in rows, each of this width, on grey."""
    small = [picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
             for picture in pictures]  # fmt: skip
    height, rows = small[0].height, -(-len(small) // columns)
    size = (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP)
    whole = Image.new("RGB", size, (120, 126, 135))
    for place, picture in enumerate(small):
        row, column = divmod(place, columns)
        whole.paste(picture, (GAP + column * (width + GAP), GAP + row * (height + GAP)))
    return whole


def main() -> None:
    """Writes before-after-desktop.webp and before-after-phone.webp."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("addresses", nargs=2, metavar=("BEFORE", "AFTER"), help="addresses of both pages")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/screenshots"), metavar="FOLDER")
    options = parser.parse_args()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, window in WINDOWS.items():
            places = [
                photograph(browser, address.rstrip("/"), window, *example)
                for example in EXAMPLES
                for address in options.addresses
            ]
            pictures = [picture for row in zip(*places, strict=True) for picture in row]
            path = options.output / f"before-after-{name}.webp"
            sheet(pictures, 2 if name == "desktop" else 4, WIDTHS[name]).save(path, quality=80, method=6)
            sys.stdout.write(f"{path}: {path.stat().st_size / 1024:.0f} KiB\n")
        browser.close()


if __name__ == "__main__":
    main()
