"""What sources call a licence, and what `prepare --licences` does with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.data.box_files import box_obj, write
from wavemesh.data.licences import LICENCES, licence_name
from wavemesh.data.prepare import prepare
from wavemesh.errors import InputError

TINY = {"workers": 1, "backend": "threads", "progress": False}


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("cc0", ["CC0-1.0", "cc0", "CC0 1.0 (public domain)", "http://creativecommons.org/publicdomain/zero/1.0/"]),
        ("cc0", ["Creative Commons Zero v1.0 Universal", "Creative Commons - Public Domain Dedication"]),
        ("cc-by", ["CC-BY 4.0", "by", "Creative Commons Attribution 3.0 United States license", "CC Attribution"]),
        ("cc-by", ["Creative Commons Attribution 4.0 International", "https://creativecommons.org/licenses/by/4.0/"]),
        ("cc-by-sa", ["CC BY-SA 3.0", "Creative Commons - Attribution - Share Alike", "CC_BY_SA"]),
        ("cc-by-nc", ["CC Attribution-NonCommercial", "by-nc"]),
        ("cc-by-nc-sa", ["Creative Commons - Attribution - Non-Commercial - Share Alike"]),
        ("cc-by-nc-nd", ["CC-BY-NC-ND-4.0"]),
        ("cc-by-nd", ["Attribution-NoDerivs 2.0 Generic", "Creative Commons - Attribution - No Derivatives"]),
        ("mit", ["MIT License", "MIT"]),
        ("bsd", ['BSD 3-Clause "New" or "Revised" License']),
        ("apache", ["Apache License 2.0", "Apache-2.0"]),
        ("gpl", ["GNU General Public License v3.0", "GPLv3", "GNU - GPL"]),
    ],
)
def test_every_spelling_has_one_name(name: str, texts: list[str]) -> None:
    assert [licence_name(text) for text in texts] == [name] * len(texts)
    assert licence_name(name) == name
    assert name in LICENCES


@pytest.mark.parametrize(
    "text",
    [
        "unknown", "", "academic use", "made by me", "cc", "nc", "not CC0", "CC-BY 3.0 / GPL", "GNU - LGPL",
        "CC BY, the wheels all rights reserved", "CC-BY-NC-ND-SA", "Creative Commons Sampling Plus", "лицензия",
    ],
)  # fmt: skip
def test_what_is_not_surely_one_licence_is_unknown(text: str) -> None:
    assert licence_name(text) is None


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    table = "file_name,licence\na.obj,CC0 1.0\nb.obj,by-nc\nc.obj,\nd.obj,CC BY 4.0\n"
    files = {f"{name}.obj": box_obj((1 + number, 2, 3)) for number, name in enumerate("abcd")}
    return write(tmp_path / "mine", {**files, "metadata.csv": table.encode()})


@pytest.mark.usefixtures("quick_samples")
def test_models_of_other_licences_are_left_out_with_the_reason(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = prepare(mine, out, licences=["CC-BY", "cc0"], split="train", **TINY)
    assert {entry["name"] for entry in json.loads((out / "index.json").read_text())} == {"a", "d"}
    reasons = {entry["name"]: entry["reason"] for entry in json.loads((out / "rejected.json").read_text())}
    assert reasons == {
        "b": "Its licence is 'by-nc', not cc0 or cc-by.",
        "c": "Its licence is 'unknown', not cc0 or cc-by.",
    }
    assert report.rejected == json.loads((out / "rejected.json").read_text())
    # The same folder with other licences: what was left out comes in, what was in goes out.
    assert prepare(mine, out, licences=["cc-by-nc"], split="train", **TINY).splits["train"] == 1
    assert {entry["name"] for entry in json.loads((out / "index.json").read_text())} == {"b"}


def test_licences_that_nothing_has_or_nobody_knows_are_refused(mine: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The licence 'free' is not known; choose among cc0, cc-by, "):
        prepare(tmp_path / "gone", tmp_path / "out", licences=["cc0", "free"], **TINY)
    with pytest.raises(InputError, match=r"None of the 4 models can be used, the first for this: Its licence is 'CC0"):
        prepare(mine, tmp_path / "out", licences=["mit"], **TINY)
    assert not (tmp_path / "out").exists()
