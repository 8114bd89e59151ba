"""What a person is told, and keeps, where something fails or is pressed too early, in Chromium."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from tests.ui.cable import Cable
from tests.ui.conftest import WAIT_MS, opened
from wavemesh import rendering
from wavemesh.ui.generate import sources

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def page(chromium: Any, served: str) -> Iterator[Any]:
    with opened(chromium, served, 1440) as page:
        yield page


def upload(page: Any, *pictures: Path) -> None:
    page.locator("#upload input[type=file]").first.set_input_files([str(path) for path in pictures])


def test_a_dead_server_is_told_and_the_run_comes_back_with_it(
    chromium: Any, served: str, pictures: list[Path], pipeline: Any
) -> None:
    cable = Cable(served)
    with opened(chromium, cable.address, 1440) as page:
        upload(page, pictures[0])
        page.wait_for_selector("#card-0 img")
        pipeline.goes_on.clear()
        page.locator("#generate-button").click()
        expect(page.locator("#progress")).to_contain_text("step 1 of 4")
        expect(page.locator("#progress")).to_contain_text(" left")
        page.wait_for_function("location.search.includes('run=')")
        cable.cut()
        notice = page.locator(".toast-body")
        expect(notice).to_contain_text("Connection to the server was lost", timeout=10_000)
        assert notice.evaluate(
            "node => { const box = node.getBoundingClientRect();"
            "return node.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)); }"
        )
        # Nothing pretends to go on, or to do what needs a server.
        expect(page.locator("#stop-button")).to_be_disabled()
        expect(page.locator("#progress")).to_have_text("Waiting for the server to answer")
        pipeline.goes_on.set()
        cable.mend()
        expect(page.locator("#facts")).to_contain_text("triangles")
        expect(page.locator("#card-0 img")).to_be_visible()
        expect(notice).to_have_count(0)
        assert (len(pipeline.calls), pipeline.steps_done) == (1, 6)
    cable.cut()


def test_generate_waits_until_an_upload_is_cut_out(
    page: Any, pictures: list[Path], pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that began now would be of the example that the upload replaces, and its mesh would be lost."""
    begun, goes_on = threading.Event(), threading.Event()
    add = sources.add_pictures

    def slow(*arguments: Any) -> Any:
        begun.set()
        goes_on.wait(WAIT_MS / 1000)
        return add(*arguments)

    monkeypatch.setattr(sources, "add_pictures", slow)
    page.locator("#examples button:has(img)").first.click()
    page.wait_for_selector("#card-1 img")
    upload(page, pictures[0])
    assert begun.wait(WAIT_MS / 1000)
    generate = page.locator("#generate-button")
    generate.click(force=True)
    page.wait_for_timeout(500)
    assert pipeline.calls == []
    goes_on.set()
    expect(page.locator("#card-1")).to_be_hidden()
    expect(generate).to_be_enabled()
    generate.click()
    page.wait_for_selector("#facts:has-text('triangles')")
    assert [len(call["views"]) for call in pipeline.calls] == [1]


def test_generate_waits_while_views_of_a_mesh_are_rendered(
    page: Any, pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that began now would be of pictures that are gone when it ends, and its mesh would be lost."""
    begun, goes_on = threading.Event(), threading.Event()
    render = rendering.render_multiview

    def slow(*arguments: Any, **named: Any) -> Any:
        begun.set()
        goes_on.wait(WAIT_MS / 1000)
        return render(*arguments, **named)

    monkeypatch.setattr(rendering, "render_multiview", slow)
    page.locator("#examples button:has(img)").first.click()
    page.wait_for_selector("#card-1 img")
    page.locator("#render-mesh button").first.click()
    page.locator("#mesh-bundled input").click()
    page.get_by_role("option", name="Ball").click()
    page.locator("#render-button").click()
    assert begun.wait(WAIT_MS / 1000)
    generate = page.locator("#generate-button")
    generate.click(force=True)  # where a person would press, whatever the button is like
    page.wait_for_timeout(500)
    assert pipeline.calls == []
    goes_on.set()
    page.wait_for_selector("#card-3 img")
    expect(generate).to_be_enabled()
    generate.click()
    page.wait_for_selector("#facts:has-text('triangles')")
    assert [len(call["views"]) for call in pipeline.calls] == [4]


def test_a_phones_photograph_is_taken_and_an_empty_picture_named_as_it_was_sent(page: Any, tmp_path: Path) -> None:
    """48 megapixels are made smaller while they are read; a sentence speaks of the picture that a person knows."""
    photograph, empty = tmp_path / "photograph.jpg", tmp_path / "empty.png"
    picture = Image.new("RGB", (8000, 6000), "white")
    ImageDraw.Draw(picture).ellipse((2000, 1000, 6000, 5000), fill=(190, 50, 40))
    picture.save(photograph)
    Image.new("RGB", (2400, 600), "white").save(empty)
    upload(page, photograph, empty)
    notice = page.locator(".toast-body")
    expect(notice).to_contain_text("empty.png (2400 x 600 pixels)")
    expect(notice.locator("strong")).to_have_text("Left out")
    expect(page.get_by_text("Warning", exact=True)).to_be_hidden()
    page.wait_for_selector("#card-0 img")
    expect(page.locator("#card-1")).to_be_hidden()
