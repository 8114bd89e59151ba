"""The page for those who do not see it or use no mouse, in Chromium, by axe-core and by the keyboard."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import open_tab, opened

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

SCRIPT = resources.files("axe_playwright_python") / "axe.min.js"
_FINDINGS = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter(({impact}) => impact === 'critical' || impact === 'serious')
  .map(({id, nodes}) => `${id}: ` + nodes.slice(0, 4).map((node) => node.html.slice(0, 160)).join(' | '))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_critical_or_serious(
    chromium: Any, served: str, pictures: list[Path], width: int, scheme: str
) -> None:
    with opened(chromium, served, width, color_scheme=scheme) as page:
        page.evaluate(SCRIPT.read_text(encoding="utf-8"))
        found = {"a first visit": page.evaluate(_FINDINGS)}
        page.locator("#upload input[type=file]").first.set_input_files([str(pictures[0])])
        page.wait_for_selector("#card-0 img")
        page.locator("#generate-button").dispatch_event("click")
        page.wait_for_selector("#mesh .wm-viewer[data-state=ready]")
        expect(page.locator("#watch .wm-film button img")).to_have_count(6)
        found["a finished run"] = page.evaluate(_FINDINGS)
        for name, content in (
            ("Result", "#health table"),
            ("Steps", "#step-shape img"),
            ("Compare", "#guidance-button"),
        ):
            open_tab(page, name)
            page.wait_for_selector(content)
            found[name] = page.evaluate(_FINDINGS)
        assert {where: findings for where, findings in found.items() if findings} == {}


def test_generate_is_a_few_tabs_away_and_the_focus_is_not_lost(
    chromium: Any, served: str, pictures: list[Path], pipeline: Any
) -> None:
    pipeline.pause_s = 0.4
    with opened(chromium, served, 1440, 900) as page:
        page.locator("#upload input[type=file]").first.set_input_files([str(pictures[0])])
        page.wait_for_selector("#card-0 img")
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        presses = 0
        while not page.evaluate("document.activeElement.classList.contains('wm-skip')"):
            page.keyboard.press("Tab")
            presses += 1
            assert presses < 10
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "generate-button"
        page.keyboard.press("Enter")
        page.wait_for_function("document.activeElement.id === 'stop-button'")
        expect(page.locator("#said [role=status]")).to_have_text("The mesh is being made.")
        page.wait_for_selector("#facts:has-text('triangles')")
        expect(page.locator("#said [role=status]")).to_contain_text("The mesh is ready: ")
        page.wait_for_function("document.activeElement.id === 'generate-button'")


def test_the_empty_part_of_a_slider_is_dark_in_the_dark(chromium: Any, served: str) -> None:
    with opened(chromium, served, color_scheme="dark") as page:
        page.locator("#advanced button").first.click()
        page.wait_for_selector("#coarse-steps input[type=range]")
        colour = page.locator("#coarse-steps input[type=range]").evaluate(
            "node => getComputedStyle(node).getPropertyValue('--neutral-200').trim()"
        )
        assert int(colour.lstrip("#")[:2], 16) < 100


def test_generate_is_in_sight_on_a_phone_wherever_the_page_is(chromium: Any, served: str) -> None:
    with opened(chromium, served, 390, 844) as page:
        for share in (0, 0.5, 1):
            page.evaluate("(share) => scrollTo(0, share * document.documentElement.scrollHeight)", share)
            page.wait_for_timeout(150)
            assert page.locator("#generate-button").evaluate(
                "node => { const box = node.getBoundingClientRect();"
                "return node.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)); }"
            )
