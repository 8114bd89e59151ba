"""ShapeNet's 13 classes, from a folder in ShapeNet's layout to the table by class."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import trimesh

from wavemesh.cli import main
from wavemesh.errors import InputError
from wavemesh.evaluation.samples import choose_keys
from wavemesh.evaluation.shapenet import CLASSES, class_of

SIDES = (1.0, 2.0, 1.5)
SYNSETS = {"03001627": "chair,seat", "04530566": "vessel,watercraft", "02801938": "basket,handbasket"}


def test_the_classes_are_known_by_their_synsets() -> None:
    assert len(CLASSES) == 13
    assert class_of("shape-net-core-v2_04530566-1a2b") == "vessel"
    for other in ("shape-net-core-v2_02801938-1a2b", "mine_chair-03001627", "03001627-1a2b"):
        assert class_of(other) is None
    keys = ["v1_02691156-a", "v1_02801938-b", "v1_03001627-c"]
    assert sorted(choose_keys(keys, "shapenet13")) == [keys[0], keys[2]]
    with pytest.raises(InputError, match="no shape of ShapeNet's 13 classes: its first one is 'mine_chair-1'"):
        choose_keys(["mine_chair-1"], "shapenet13")
    with pytest.raises(InputError, match="choose quick or full or shapenet13"):
        choose_keys(keys, "shapenet10")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three synsets, one of them not among the 13, a model each, all for the test."""
    folder, lines = tmp_path / "ShapeNetCore.v2", ["id,synsetId,subSynsetId,modelId,split"]
    for synset in SYNSETS:
        path = folder / synset / "a1b2" / "models" / "model_normalized.obj"
        path.parent.mkdir(parents=True)
        path.write_text(trimesh.creation.box(SIDES).export(file_type="obj"))
        lines.append(f"{len(lines)},{synset},{synset},a1b2,test")
    names = [{"synsetId": synset, "name": name, "children": []} for synset, name in SYNSETS.items()]
    (folder / "taxonomy.json").write_text(json.dumps(names))
    (folder / "all.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.whole
def test_from_the_layout_to_the_table_by_class(root: Path, tmp_path: Path) -> None:
    data, theirs, out = (str(tmp_path / name) for name in ("data", "theirs", "scores"))
    made = ["prepare", str(root), "-o", data, "--views", "4", "--size", "32", "--resolution", "64"]
    assert main([*made, "--workers", "1", "--backend", "threads"]) == 0
    keys = [entry["key"] for entry in json.loads(Path(data, "index.json").read_text())]
    Path(theirs).mkdir()
    for key in keys:
        box = trimesh.creation.box(np.array(SIDES) * 0.9)
        if "04530566" in key:
            box.apply_scale(0.5)
        box.export(Path(theirs, f"{key}.ply"))
    scored = ["evaluate", "--data", data, "--subset", "shapenet13", "--views", "1", "--only-baselines"]
    scored += ["--no-baselines", "--meshes", theirs, "--name", "Theirs", "--points", "2000", "--jobs", "1", "-o", out]
    assert main(scored) == 0
    report = json.loads(Path(out, "report.json").read_text())
    (row,) = report["rows"]
    means = row["categories"]
    assert set(means) == {"chair", "vessel"}
    assert means["chair"]["iou"] > 0.95
    assert means["vessel"]["iou"] == pytest.approx(1 / 8, abs=0.02)
    table = Path(out, "report.md").read_text()
    assert "- protocol: ShapeNet's 13 classes, one picture each" in table
    assert "### ShapeNet, 2 of 13 classes: IoU 64³ ↑" in table
    (mean,) = re.findall(r"IoU 64³ ↑\n\n.*\n.*\n.*\n.*\n\| mean of the classes \| 2 \| ([\d.]+) \|", table)
    assert float(mean) == pytest.approx((means["chair"]["iou"] + means["vessel"]["iou"]) / 2, abs=1e-3)
