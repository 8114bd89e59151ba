"""What visits of the page in Chromium leave in the server's memory, and whether a queue of users loses anybody."""

from __future__ import annotations

from typing import Any

from tools.trust.server import Server, say
from tools.trust.visitors import visitors

WARM = 5  # visits before the first figure: what is loaded once is loaded
MOST_USERS = 20
WAIT_MS = 240_000
_TABS = ("Result", "Inspect", "Wavelets", "Triplane", "Compare")
# Of each tab, what is there once it shows something.
_SHOWN = {
    "Result": "#result-mesh .wm-viewer[data-state=ready]",
    "Inspect": "#step-shape img",
    "Wavelets": "#edit-mesh .wm-viewer[data-state=ready]",
    "Triplane": "#plane-XY img",
    "Compare": "#guidance-button",
}


def pages(server: Server, count: int) -> str:
    """Memory after so many first visits that open every tab, above that after five; then half as many users at once."""
    from playwright.sync_api import sync_playwright

    first = server.memory()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for number in range(1, count + 1):
            visit(browser, server.address)
            if number == WARM:
                first = server.memory()
            say(f"  after {number} visits: {server.memory() / 1e9:.2f} GB, {server.handles()} handles")
        browser.close()
    grown = (server.memory() - first) / 1e6
    users = visitors(server, min(MOST_USERS, max(1, count // 2)))
    return f"{count} visits: {grown:+.0f} MB after the first {WARM}; peak {server.peak / 1e9:.2f} GB. {users}"


def visit(browser: Any, address: str) -> None:
    """One visitor, who looks into every tab and closes the page."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    page.wait_for_selector("#mesh .wm-viewer[data-state=ready]")
    for name in _TABS:
        page.get_by_role("tab", name=name, exact=True).first.click()
        if name == "Triplane":
            page.locator("#own-run").click()
        page.wait_for_selector(_SHOWN[name])
    context.close()
