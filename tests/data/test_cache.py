"""The unpacked split: same content as the shards, built once, rebuilt when they change, never half there."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wavemesh.data import cache
from wavemesh.data.cache import SDF_SCALE, open_cache
from wavemesh.errors import InputError

from .conftest import write_shard

Files = dict[str, dict[str, bytes]]


def test_the_cache_holds_what_the_shards_hold(prepared_root: Path, sample_files: Files) -> None:
    opened = open_cache(prepared_root, "train")
    assert opened.keys == ["ball.0", "ball.1", "box"]
    for row, key in enumerate(opened.keys):
        sdf = np.load(io.BytesIO(sample_files[key]["sdf.npz"]))["sdf"]
        np.testing.assert_array_equal(opened.sdf[row], sdf)
        picture = np.asarray(Image.open(io.BytesIO(sample_files[key]["view03.webp"])).convert("RGBA"))
        np.testing.assert_array_equal(opened.views[row, 3], picture)
        assert (
            opened.cameras[row][3].azimuth_deg
            == json.loads(sample_files[key]["meta.json"])["cameras"][3]["azimuth_deg"]
        )
    assert pytest.approx(0.09) == 127 * SDF_SCALE
    assert open_cache(prepared_root, "test").keys == ["ball.2"]


def test_the_cache_is_built_once_and_again_when_shards_change(
    prepared_root: Path, sample_files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_cache(prepared_root, "train")
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_build", lambda *args: pytest.fail("built twice"))
        open_cache(prepared_root, "train")
    write_shard(prepared_root / "shard-000001.tar", {"box": sample_files["box"]})
    assert open_cache(prepared_root, "train").keys == ["ball.0", "ball.1", "box"]
    write_shard(prepared_root / "shard-000000.tar", {"ball.0": sample_files["ball.0"]})
    assert open_cache(prepared_root, "train").keys == ["ball.0", "box"]
    assert sorted(path.name for path in prepared_root.glob("cache*")) == ["cache-train"]


def test_a_cache_without_its_shards_still_opens(prepared_root: Path) -> None:
    open_cache(prepared_root, "train")
    for shard in prepared_root.glob("shard-*.tar"):
        shard.unlink()
    assert len(open_cache(prepared_root, "train").keys) == 3


def test_failures_name_the_culprit_and_leave_nothing_behind(tmp_path: Path, sample_files: Files) -> None:
    with pytest.raises(InputError, match="no shards"):
        open_cache(tmp_path, "train")
    write_shard(tmp_path / "shard-000000.tar", {"box": sample_files["box"]})
    with pytest.raises(InputError, match="'val'"):
        open_cache(tmp_path, "val")
    short = {name: content for name, content in sample_files["ball.0"].items() if name != "view05.webp"}
    write_shard(tmp_path / "shard-000001.tar", {"ball.0": short})
    with pytest.raises(InputError, match=r"ball\.0"):
        open_cache(tmp_path, "train")
    (tmp_path / "shard-000001.tar").write_bytes(b"not a tar file at all" * 100)
    with pytest.raises(InputError, match="shard-000001"):
        open_cache(tmp_path, "train")
    assert not list(tmp_path.glob("cache*"))
