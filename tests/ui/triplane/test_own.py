"""The triplane's own run belongs to its pictures."""

from __future__ import annotations

import gradio as gr
import pytest

from wavemesh.ui.generate.content import example_pictures
from wavemesh.ui.studio import Studio
from wavemesh.ui.triplane.own import Made, OwnRun
from wavemesh.ui.widgets.subject import build_subject


@pytest.mark.usefixtures("gradio_without_loops")
def test_a_run_is_not_shown_for_other_pictures(studio: Studio) -> None:
    with gr.Blocks():
        subject = build_subject()
        own = OwnRun(studio, subject)
    pictures, others = (example_pictures(example) for example in studio.examples)
    made = Made(pictures, "folder")
    assert own.folder({own.made: made, subject.pictures: example_pictures(studio.examples[0])}) == "folder"
    assert own.folder({own.made: made, subject.pictures: others}) is None
    assert own.folder({own.made: None, subject.pictures: pictures}) is None
