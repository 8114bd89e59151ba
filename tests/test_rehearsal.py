"""A rehearsal: a made-up setting that is declared in one place reaches every door.

It is written into a copy of the package, so that nothing else can know of it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.conftest import TINY
from wavemesh.models.camera_head import CameraHead, CameraHeadConfig
from wavemesh.models.wavemesh import WaveMeshModel

ROOT = Path(__file__).resolve().parents[1]
AFTER = "    frames: int | None = setting("
MADE_UP = """    polish: float = setting(
        0.0, "Polish", "Smooths what is left over.", minimum=0, maximum=1, slider=(0.0, 1.0, 0.25)
    )
"""
DOORS = """
import json, sys
from pathlib import Path
from wavemesh import WaveMeshPipeline
from wavemesh.pipelines.bundle import read_bundle
from wavemesh.pipelines.record import Recorder
from wavemesh.ui.app import build
from wavemesh.ui.studio import Studio

weights, picture, workspace = sys.argv[1:]
pipe = WaveMeshPipeline.from_pretrained(weights, "cpu")
recorder = Recorder()
out = pipe([picture], 1, callback=recorder, polish=0.25)
stored = read_bundle(recorder.record(out).save(workspace))
page = build(Studio({"wavemesh": lambda: pipe}, Path(workspace)))
endpoint = page.get_api_info()["named_endpoints"]["/generate"]["parameters"]
labels = [each.get("props", {}).get("label") for each in page.config["components"]]
print(json.dumps({
    "pipeline": out.settings.polish,
    "bundle": stored.settings.polish,
    "endpoint": [each for each in endpoint if each["parameter_name"] == "polish"],
    "page": labels.count("Polish"),
}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, where one more setting is declared."""
    folder = tmp_path_factory.mktemp("rehearsal")
    shutil.copytree(ROOT / "wavemesh", folder / "wavemesh", ignore=shutil.ignore_patterns("__pycache__"))
    declarations = folder / "wavemesh" / "settings.py"
    text = declarations.read_text(encoding="utf-8")
    assert text.count(AFTER) == 1
    declarations.write_text(text.replace(AFTER, MADE_UP + AFTER), encoding="utf-8")
    return folder


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Python with the package of the folder."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_command_line_has_it(copy: Path) -> None:
    shown = run(copy, "-m", "wavemesh", "generate", "--help").stdout
    assert "--polish" in shown
    assert "Smooths what is left over" in shown
    refused = run(copy, "-m", "wavemesh", "generate", "a.png", "-o", "a.glb", "--polish", "2")
    assert refused.returncode == 2
    assert refused.stderr == "The polish must be a number between 0 and 1, not 2.0.\n"


def test_pipeline_bundle_endpoint_and_page_have_it(copy: Path, tmp_path: Path) -> None:
    model = WaveMeshModel(TINY)
    model.save(tmp_path / "weights")
    CameraHead(CameraHeadConfig(image_size=64, widths=(8, 8, 16))).save(tmp_path / "weights" / "camera_head")
    picture = ROOT / "examples" / "teapot" / "view0.webp"
    told = run(copy, "-c", DOORS, tmp_path / "weights", picture, tmp_path / "workspace")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout.splitlines()[-1])
    assert (found["pipeline"], found["bundle"], found["page"]) == (0.25, 0.25, 1)
    (parameter,) = found["endpoint"]
    assert parameter["parameter_default"] == 0.0
    assert parameter["parameter_has_default"]
