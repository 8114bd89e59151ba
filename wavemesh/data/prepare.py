"""Prepares a data set: furniture libraries or meshes in, WebDataset shards of samples out.

    python -m wavemesh prepare MESHES -o DATA --limit 8 --workers 2        (a minute)

Every model becomes a small tar in `<out>/models/` first, so that an interrupted run goes on where it stopped; then near
duplicates are dropped, the split is drawn, and the shards and `index.json` are written in one go.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from wavemesh.data.clusters import check_backend, each_done
from wavemesh.data.duplicates import coarse_solid, group_look_alikes
from wavemesh.data.formats import read_models
from wavemesh.data.kept_mesh import MAX_TEXTURE, has_look, kept_bytes
from wavemesh.data.licences import chosen_licences, with_licences
from wavemesh.data.prepare_model import Sample, SampleSettings, placed_mesh, prepare_model
from wavemesh.data.sources import MESHES, SPLITS, SourceModel, split_of
from wavemesh.errors import InputError

logger = logging.getLogger(__name__)

SAMPLES_PER_SHARD = 64
_INDEXED = ("key", "name", "category", "licence", "creator", "library")


@dataclass(frozen=True)
class PrepareReport:
    """How many samples each split holds, the rejected models with reasons, and the dropped duplicates."""

    out_dir: Path
    splits: dict[str, int]
    rejected: list[dict[str, str]]
    duplicates: list[dict[str, object]]


def prepare(
    source: str | Path | Sequence[str | Path] | None,
    out_dir: str | Path,
    num_views: int = 20,
    image_size: int = 128,
    workers: int = 2,
    limit: int | None = None,
    *,
    resolution: int = 128,
    backend: str = "processes",
    progress: bool = True,
    format_name: str | None = None,
    up: str | None = None,
    split: str | None = None,
    licences: Sequence[str] | None = None,
) -> PrepareReport:
    """Prepares the models of `source`, one or several (see `formats.read_models`, also for format_name and up).

    limit: only so many models, spread over the source. backend: "processes" (joblib's own), "threads", "ray" or "dask".
    split: the one that all models go to; None: as the source says, or 80 / 10 / 10 by their keys. licences: the only
    ones to take (see `licences.LICENCES`); None: all.
    Reports counts. Raises InputError for a missing source, two models of one key, an unknown backend, split or licence,
    and an out_dir with other settings.
    """
    check_backend(backend)
    if workers < 1 or (limit is not None and limit < 1):
        raise InputError(f"Workers and limit must be positive, not {workers} and {limit}.")
    if split is not None and split not in SPLITS:
        raise InputError(f"The split must be one of {', '.join(SPLITS)}, not {split!r}.")
    names = None if licences is None else chosen_licences(licences)
    settings = SampleSettings(num_views, image_size, resolution)
    out_dir = Path(out_dir)
    sources = [source] if source is None or isinstance(source, str | Path) else list(source)
    models = _all_models(sources, out_dir, format_name, up)
    if names is not None:
        models = with_licences(models, names)
    refused = [model for model in models if model.refusal]
    models = [model for model in models if not model.refusal]
    if not models:
        raise InputError(f"None of the {len(refused)} models can be used, the first for this: {refused[0].refusal}")
    out_dir.mkdir(parents=True, exist_ok=True)
    _check_settings(out_dir, asdict(settings) if up is None else {**asdict(settings), "up": up})
    if limit is not None and limit < len(models):
        models = [models[int(index)] for index in np.linspace(0, len(models) - 1, limit)]
    _prepare_all(models, out_dir / "models", settings, workers, backend, progress)
    return write_shards(out_dir, [*models, *refused], split)


def _all_models(
    sources: Sequence[str | Path | None], out_dir: Path, format_name: str | None, up: str | None
) -> list[SourceModel]:
    models: dict[str, SourceModel] = {}
    for number, source in enumerate(sources):
        work = out_dir / f"source-{number}" if number else out_dir
        for model in read_models(source, work, format_name, up):
            if model.key in models:
                raise InputError(f"Two models have the key {model.key!r}, the second one in {source}.")
            models[model.key] = model
    return list(models.values())


def _check_settings(out_dir: Path, settings: dict[str, object]) -> None:
    path = out_dir / "settings.json"
    if path.is_file():
        earlier = json.loads(path.read_text())
        if earlier != settings:
            raise InputError(f"{out_dir} was begun with {earlier}, not {settings}: take another folder.")
    else:
        path.write_text(json.dumps(settings))


def _prepare_all(
    models: list[SourceModel],
    folder: Path,
    settings: SampleSettings,
    workers: int,
    backend: str,
    progress: bool,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    missing = [model for model in models if not (_tar(folder, model).is_file() or _refusal(folder, model).is_file())]
    if not missing:
        return
    jobs = ((model, folder, settings) for model in missing)
    done = each_done(_prepare_one, jobs, backend, workers)
    for _ in tqdm(done, total=len(models), initial=len(models) - len(missing), disable=not progress, unit="model"):
        pass


def _tar(folder: Path, model: SourceModel) -> Path:
    return folder / f"{model.key}.tar"


def _refusal(folder: Path, model: SourceModel) -> Path:
    return folder / f"{model.key}.rejected.json"


def _rejection(model: SourceModel, reason: str) -> dict[str, str]:
    return {"key": model.key, "name": model.name, "library": model.library, "reason": reason}


def _prepare_one(model: SourceModel, folder: Path, settings: SampleSettings) -> None:
    """Writes <key>.tar, or <key>.rejected.json where the model cannot be used."""
    try:
        sample = prepare_model(model, settings)
    except InputError as error:
        rejection = _rejection(model, str(error))
        _write_atomically(_refusal(folder, model), json.dumps(rejection, ensure_ascii=False).encode())
        return
    _write_atomically(_tar(folder, model), _tar_bytes(sample))


def _write_atomically(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(content)
    partial.replace(path)


def _tar_bytes(sample: Sample) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for suffix, content in sorted(sample.files.items()):
            _add(archive, f"{sample.key}.{suffix}", content)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # no times or owners: the same models give the same bytes
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def read_sample(path: Path) -> Sample:
    """The sample in a model's tar."""
    with tarfile.open(path) as archive:
        opened = ((member.name, archive.extractfile(member)) for member in archive.getmembers())
        contents = {name: file.read() for name, file in opened if file is not None}
    key = path.name.removesuffix(".tar")
    return Sample(key, {name.removeprefix(f"{key}."): content for name, content in contents.items()})


def write_shards(out_dir: Path, models: Iterable[SourceModel], only_split: str | None = None) -> PrepareReport:
    """Gathers the prepared models of out_dir/models into shards, each of one split, and writes the lists with them.

    only_split: where all of them go. The true surfaces of validation and test models are kept in out_dir/meshes.
    """
    folder = out_dir / "models"
    models = sorted(models, key=lambda model: model.key)
    prepared = [model for model in models if not model.refusal and _tar(folder, model).is_file()]
    rejected = [
        _rejection(model, model.refusal) if model.refusal else json.loads(_refusal(folder, model).read_text())
        for model in models
        if model.refusal or _refusal(folder, model).is_file()
    ]
    if not prepared:
        raise InputError(f"None of the {len(models)} models could be prepared; see {folder}.")
    solids = []
    for model in prepared:
        with np.load(io.BytesIO(read_sample(_tar(folder, model)).files["sdf.npz"])) as arrays:
            solids.append(coarse_solid(arrays["sdf"] < 0))
    grouping = group_look_alikes([model.key for model in prepared], [model.name for model in prepared], solids)
    for old in out_dir.glob("shard-*.tar"):
        old.unlink()
    index: list[dict[str, str]] = []
    shard = 0
    kept = [model for model in prepared if model.key in grouping.group]
    splits = [only_split or model.split or split_of(grouping.group[model.key]) for model in kept]
    for split in SPLITS:
        # In no order, as a stream shuffles only a few shards at a time: neighbours by name are much alike.
        chosen = sorted(
            (model for model, own in zip(kept, splits, strict=True) if own == split),
            key=lambda model: hashlib.sha256(model.key.encode()).digest(),
        )
        if split != "train":
            _keep_meshes(out_dir / MESHES, chosen)
        for start in range(0, len(chosen), SAMPLES_PER_SHARD):
            name = f"shard-{shard:06d}.tar"
            index += _write_shard(out_dir / name, folder, chosen[start : start + SAMPLES_PER_SHARD], split)
            shard += 1
    duplicates = [asdict(duplicate) for duplicate in grouping.duplicates]
    for name, content in (("index", index), ("rejected", rejected), ("duplicates", duplicates)):
        _write_atomically(out_dir / f"{name}.json", (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())
    counts = {split: sum(entry["split"] == split for entry in index) for split in SPLITS}
    logger.info("%s: %s, %d rejected, %d duplicates", out_dir, counts, len(rejected), len(duplicates))
    return PrepareReport(out_dir, counts, rejected, duplicates)


def _keep_meshes(folder: Path, models: list[SourceModel]) -> None:
    """Writes each model's mesh with its look, in the world frame, to folder/<key>.npz."""
    folder.mkdir(parents=True, exist_ok=True)
    for model in models:
        path = folder / f"{model.key}.npz"
        if not has_look(path):
            _write_atomically(path, kept_bytes(placed_mesh(model, MAX_TEXTURE)))


def _write_shard(path: Path, folder: Path, models: list[SourceModel], split: str) -> list[dict[str, str]]:
    partial = path.with_name(path.name + ".part")
    entries = []
    with tarfile.open(partial, "w") as archive:
        for model in models:
            sample = read_sample(_tar(folder, model))
            sample.files["meta.json"] = json.dumps(
                {**json.loads(sample.files["meta.json"]), **model.description, "split": split}, ensure_ascii=False
            ).encode()
            for suffix, content in sorted(sample.files.items()):
                _add(archive, f"{sample.key}.{suffix}", content)
            described = {name: getattr(model, name) for name in _INDEXED}
            entries.append({**described, "split": split, "shard": path.name})
    partial.replace(path)
    return entries
