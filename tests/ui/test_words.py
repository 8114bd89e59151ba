"""The page's labels keep to the glossary: one word for one thing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wavemesh.ui.app import build
from wavemesh.ui.studio import Studio

GLOSSARY = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"


@pytest.mark.usefixtures("gradio_without_loops")
def test_no_label_has_a_word_that_stands_for_another(studio: Studio) -> None:
    rows = [line.split("|") for line in GLOSSARY.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    words = [word.strip() for row in rows[1:] for word in row[3].split(",") if word.strip()]
    assert "photo" in words
    labels = {str(part["props"].get("label") or "") for part in build(studio).config["components"]}
    assert "Triangle budget" in labels
    wrong = re.compile(rf"\b({'|'.join(map(re.escape, words))})s?\b", re.IGNORECASE)
    assert [label for label in labels if wrong.search(label)] == []
