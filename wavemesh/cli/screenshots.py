"""Pictures of every tab of the page, on a desktop and on a phone, with the bundled weights.

Serves the page, makes one mesh from views of a bundled example, and photographs the tabs in Chromium. Needs playwright
(`pip install playwright`) and Chromium.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from wavemesh.cli.arguments import add_device
from wavemesh.errors import InputError

EXAMPLE = """example, a few minutes on a CPU:
  python -m wavemesh screenshots -o docs/screenshots
"""
WIDTHS = {"desktop": 1440, "phone": 390}
HEIGHT = 900
# What a tab shows of a run, by its title: a picture is taken when all of it is there.
CONTENT = {
    "Generate": ("#mesh [data-state=ready]", "#facts"),
    "Steps": ("#step-shape img", "#step-facts dl", "#step-bands img"),
    "Wavelets": ("#edit-mesh [data-state=ready]", "#slice-z img", "#energy table", "#sites .plot-container"),
    "Triplane": ("#orbit img", "#orbit-ll img", "#plane-YZ img", "#plane-legend p"),
    "Result": ("#health table", "#result-mesh [data-state=ready]"),
    "Compare": ("#guidance-button", "#truth-note"),
}
SETTLE_MS = 2500  # plots and the 3D viewer draw after their data is there
_WAIT_MS = 600_000  # somebody else may be using the processor
# On a phone gradio keeps some of them in a menu; their hidden buttons act all the same.
_TABS = "#tabs .tab-container [role=tab], #tabs .overflow-dropdown button"
# An image that is lazy is not fetched where it lies outside of a strip that scrolls.
_IMAGES_THERE = """() => [...document.images].filter((image) => image.offsetParent && image.loading !== 'lazy')
    .every((image) => image.complete && image.naturalWidth > 0)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/screenshots"), metavar="FOLDER")
    parser.add_argument("--chromium", metavar="FILE", help="the browser; found on the path if left out")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Write the pictures as <tab>-desktop.webp and <tab>-phone.webp."""
    chromium = args.chromium or shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright import sync_api as playwright
    except ImportError:
        raise InputError("Pictures of the page need playwright: pip install playwright.") from None
    if chromium is None or not Path(chromium).is_file():
        raise InputError(f"There is no Chromium{f' at {chromium!r}' if chromium else ''}; apt install chromium.")
    args.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wavemesh-screenshots-") as workspace:
        page, address = _serve(Path(workspace), args.weights, args.device)
        try:
            with playwright.sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                for name, width in WIDTHS.items():
                    photograph(browser, address, name, width, args.output)
                browser.close()
        finally:
            page.close(verbose=False)


def _serve(workspace: Path, weights: str | None, device: str) -> tuple[Any, str]:
    """The served page and its address."""
    os.environ["GRADIO_TEMP_DIR"] = str(workspace)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from wavemesh.ui.app import build, serve
    from wavemesh.ui.studio import open_studio

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    studio = open_studio(workspace, weights, device)
    page = build(studio)
    _, address, _ = serve(page, studio, prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=port)
    return page, address


def photograph(browser: Any, address: str, name: str, width: int, folder: Path) -> None:
    """The first visit, then every tab after a run on the example that it shows, each once its content is there."""
    # A viewer that turns by itself would never rest.
    page = browser.new_page(viewport={"width": width, "height": HEIGHT}, reduced_motion="reduce")
    page.set_default_timeout(_WAIT_MS)
    page.goto(address)
    page.wait_for_selector("#generate-button")
    page.wait_for_selector("#card-0 img")
    page.wait_for_selector("#mesh [data-state=ready]")
    _save(page, folder / f"visit-{name}.webp")
    _generate(page)
    _open(page, "Inspect")
    titles = dict.fromkeys(text.strip() for text in page.locator(_TABS).all_text_contents())
    for title in (title for title in titles if title in CONTENT):
        if title == "Triplane":
            # Its own method fills it; the other tabs have seen the first run by then, or come back to this one.
            continue
        _show(page, title)
        _save(page, folder / f"{title.lower()}-{name}.webp")
    if "Triplane" in titles:
        _show(page, "Generate")
        page.locator("#advanced button").first.click()
        page.locator("#method input").click()
        page.get_by_role("option", name="Wavelet Triplane").click()
        _generate(page)
        _show(page, "Triplane")
        _save(page, folder / f"triplane-{name}.webp")
    page.close()


def _generate(page: Any) -> None:
    """Press Generate and wait for the end of the run: its caption, and the strip with all of its steps."""
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#stop-button")
    page.wait_for_selector("#generate-button")
    page.wait_for_selector("#facts:has-text('seed')")
    page.wait_for_selector("#watch .wm-film img")


def _show(page: Any, title: str) -> None:
    """Open a tab and wait for what it shows of the run."""
    if title not in ("Generate", "Result"):
        _open(page, "Inspect")
    _open(page, title)
    for selector in CONTENT[title]:
        page.wait_for_selector(selector)


def _open(page: Any, title: str) -> None:
    page.locator(_TABS).filter(has_text=title).first.dispatch_event("click")


def _save(page: Any, path: Path) -> None:
    """The whole page as a small WebP."""
    from PIL import Image

    page.wait_for_function(_IMAGES_THERE)
    page.wait_for_timeout(SETTLE_MS)
    begin = time.monotonic()
    while page.locator("canvas:visible").count() and time.monotonic() - begin < 120 and _is_blank(page):
        page.wait_for_timeout(400)
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    picture.save(path, quality=80, method=6)
    sys.stdout.write(f"{path} {picture.width} x {picture.height}, {path.stat().st_size / 1024:.0f} KiB\n")


def _is_blank(page: Any) -> bool:
    """Whether the first visible canvas still has one colour only."""
    import numpy as np
    from PIL import Image

    shot = Image.open(io.BytesIO(page.locator("canvas:visible").first.screenshot())).convert("L")
    return int(np.ptp(np.asarray(shot))) < 40
