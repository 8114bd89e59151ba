"""The kinds of sources that `prepare` reads, in the order in which they are recognised."""

from __future__ import annotations

from pathlib import Path

from wavemesh.data.abc_chunks import ABC
from wavemesh.data.mesh_folder import MeshFolder
from wavemesh.data.modelnet import ModelNet
from wavemesh.data.objaverse import Objaverse
from wavemesh.data.objaverse_xl import ObjaverseXL
from wavemesh.data.scanned_objects import ScannedObjects
from wavemesh.data.shapenet import ShapeNet
from wavemesh.data.sources import Source, SourceModel
from wavemesh.data.sweet_home import FurnitureLibraries
from wavemesh.errors import InputError
from wavemesh.geometry.archives import unpack_archive

FORMATS: dict[str, Source] = {
    "sh3f": FurnitureLibraries(),
    "shapenet": ShapeNet(),
    "modelnet": ModelNet(),
    "abc": ABC(),
    "objaverse-xl": ObjaverseXL(),
    "objaverse": Objaverse(),
    "scanned-objects": ScannedObjects(),
    "meshes": MeshFolder(),
}


def read_models(
    source: str | Path | None, work: Path, format_name: str | None = None, up: str | None = None
) -> list[SourceModel]:
    """The models of a folder, a `.sh3f` file or a zip; source None: Debian's furniture libraries.

    work: a folder to fetch and unpack into. format_name: one of FORMATS, guessed from the layout if None. up: the axis
    that points up, "y" or "z". Raises InputError for a source that is not there or is of no known kind.
    """
    if source is None:
        return FurnitureLibraries().models(None, work)
    path = Path(source).resolve()
    if path.suffix.lower() == ".zip" and path.is_file():
        path = _content(unpack_archive(path, work / "source"))
    if format_name is None:
        if not path.exists():
            raise InputError(f"There is no folder, zip or .sh3f file {source}.")
        format_name = next((name for name, known in FORMATS.items() if known.fits(path)), None)
    if format_name is None:
        raise InputError(f"{source} holds nothing that can be prepared: no .sh3f furniture library and no meshes.")
    if format_name not in FORMATS:
        raise InputError(f"The format must be one of {', '.join(FORMATS)}, not {format_name!r}.")
    known = FORMATS[format_name]
    return known.models(path, work, up or known.up)


def _content(folder: Path) -> Path:
    """The folder itself, or the only folder in it: what a zip of one folder unpacks to."""
    entries = [entry for entry in folder.iterdir() if entry.name != "__MACOSX" and not entry.name.startswith(".")]
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else folder
