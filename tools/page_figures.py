"""Figures of the page in Chromium: its weight, its first sight, the viewer's looks, a run from the click to the mesh.

    python tools/page_figures.py [--picture FILE] [--runs 3]

Starts `python app.py` by itself. Bytes are those that cross the network for a first visit. The seconds of a run are
told against those that the pipeline says it took; both are of the same run. Chromium draws with the processor where
there is no graphics card, which takes it from the run.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
VIEWER = "#mesh .wm-viewer"
WAIT_MS = 240_000
# Once the frame after the next one is there: reading a pixel waits until all of them are drawn.
_DRAWN = """root => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
  const gl = document.querySelector(`${root} canvas`).getContext('webgl2');
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  done();
})))"""


def say(line: str) -> None:
    """Write a line of the figures at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def started() -> tuple[subprocess.Popen[bytes], str]:
    """The page's server and its address, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tempfile.mkdtemp()
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": folder}
    process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/"
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return process, address
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise SystemExit("The page did not start within a minute.")


def first_visit(browser: Any, address: str) -> dict[str, float]:
    """Megabytes of a first visit, the seconds until it can be used, and until its example is drawn."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    received: list[int] = []
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: received.append(int(event["encodedDataLength"])))
    begin = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("#generate-button")
    usable = time.perf_counter() - begin
    page.wait_for_selector(f"{VIEWER}[data-state=ready]", timeout=WAIT_MS)
    drawn = time.perf_counter() - begin
    context.close()
    return {"megabytes": sum(received) / 1e6, "usable_s": usable, "example_s": drawn}


def runs(browser: Any, address: str, picture: Path, count: int) -> list[tuple[float, float, float]]:
    """For each run after one to warm up: seconds from the click to the mesh in the viewer, to its pixels, and of
    the pipeline by itself.
    """
    page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    page.wait_for_selector("#generate-button")
    page.locator("#upload input[type=file]").first.set_input_files([str(picture)])
    page.wait_for_selector("#card-0 img")
    page.wait_for_selector("#card-1", state="hidden")
    found = []
    for seed in range(count + 1):
        page.locator("#seed input").fill(str(seed))
        page.locator("#seed input").press("Tab")
        page.wait_for_timeout(500)
        begin = time.perf_counter()
        page.locator("#generate-button").click()
        page.wait_for_function(
            "seed => document.querySelector('#facts')?.textContent.includes(`seed ${seed}`) && "
            "document.querySelector('#mesh .wm-viewer')?.dataset.forming === 'false'",
            arg=seed,
        )
        took = time.perf_counter() - begin
        page.evaluate(_DRAWN, VIEWER)
        drawn = time.perf_counter() - begin
        told = float(re.search(r"([\d.]+) s, seed", page.locator("#facts").inner_text())[1])  # type: ignore[index]
        page.wait_for_selector("#watch .wm-film button")
        found.append((took, drawn, told))
    page.close()
    return found[1:]


def looks(browser: Any, address: str) -> tuple[float, float]:
    """Seconds from the click on the slowest look of the viewer to its pixels, and the share of the viewer that the
    object covers as the page begins.
    """
    page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page.goto(address)
    page.wait_for_selector(f"{VIEWER}[data-state=ready]", timeout=WAIT_MS)
    page.wait_for_timeout(3000)
    with page.expect_download() as download:
        page.locator(f"{VIEWER} [data-tool=picture]").click()
    covered = float((np.asarray(Image.open(download.value.path()).getchannel("A")) == 255).mean())
    # Reading a pixel waits until all of them are drawn.
    seconds = page.evaluate(
        "root => [...document.querySelectorAll(`${root} [data-mode]`)].reverse().map((button) => {"
        " const begin = performance.now(); button.click();"
        " const gl = document.querySelector(`${root} canvas`).getContext('webgl2');"
        " gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));"
        " return (performance.now() - begin) / 1000; })",
        VIEWER,
    )
    page.close()
    return max(seconds), covered


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--picture", type=Path, default=ROOT / "examples" / "teapot" / "view0.webp")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    process, address = started()
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            visit = first_visit(browser, address)
            say(f"first visit: {visit['megabytes']:.2f} MB, usable after {visit['usable_s']:.1f} s, "
                  f"its example drawn after {visit['example_s']:.1f} s")  # fmt: skip
            seconds, covered = looks(browser, address)
            say(f"the slowest look changes in {seconds:.3f} s; the object covers {covered:.0%} of the viewer")
            measured = runs(browser, address, options.picture, options.runs)
            ratio, of_pixels = (median(each[place] / each[2] for each in measured) for place in (0, 1))
            listed = ", ".join("{:.1f}, {:.1f} / {:.1f}".format(*each) for each in measured)
            say(f"click to mesh against the pipeline's own time: {ratio:.2f}, to its pixels {of_pixels:.2f} "
                f"(seconds: {listed})")  # fmt: skip
            browser.close()
    finally:
        process.kill()


if __name__ == "__main__":
    main()
