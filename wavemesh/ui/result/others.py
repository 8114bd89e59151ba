"""What a mesh can be compared with: other runs of this visit, and what was made earlier of the example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wavemesh.errors import InputError
from wavemesh.gallery.format import Example
from wavemesh.ui.pictures import example_of
from wavemesh.ui.result.content import example_folder
from wavemesh.ui.runs import Run, Runs

_EARLIER = "earlier"  # no id of a run is as short


@dataclass(frozen=True)
class Other:
    """A mesh beside the one that is shown.

    key: what the page knows it by. folder: of its `Shape`. name: beside the divider. words: in the list.
    """

    key: str
    folder: str
    name: str
    words: str


def others(
    runs: Runs, visit: Sequence[str], folder: str, example: Example | None, examples: Sequence[Example]
) -> list[Other]:
    """What the mesh of a folder can be compared with, no two of the same name.

    visit: the ids of this visit's runs, the newest first; those that are not kept are left out. example: the one that
    the page shows, None for none.
    """
    earlier = example_folder(example)
    found = []
    if earlier is not None and earlier != folder:
        found.append(Other(_EARLIER, earlier, "Made earlier", "The example's mesh, made earlier"))
    for run in filter(None, (runs.find(run_id) for run_id in visit)):
        if run.result is not None and run.result.folder != folder:
            name = f"{_object(run, examples)}, seed {run.result.seed}"
            words = f"{name}: {run.result.faces:,} triangles" + (", stopped early" if run.result.stopped else "")
            found.append(Other(run.id, run.result.folder, name, words))
    return _told_apart(found)


def chosen(found: Sequence[Other], key: str) -> Other:
    """The one with this key; InputError where it is not among them (any longer)."""
    for other in found:
        if other.key == key:
            return other
    raise InputError("That run is no longer kept on the server; choose another to compare with.")


def _object(run: Run, examples: Sequence[Example]) -> str:
    example = example_of(run.pictures, examples)
    if example is not None:
        return example.name
    return Path(run.pictures[0].name).stem[:20] if run.pictures else "Run"


def _told_apart(found: Sequence[Other]) -> list[Other]:
    """The same with numbers behind names that several have; the oldest is the first."""
    many = {name for name, count in Counter(other.name for other in found).items() if count > 1}
    seen: Counter[str] = Counter()
    numbered = []
    for other in reversed(found):
        seen[other.name] += 1
        number = f" ({seen[other.name]})" if other.name in many else ""
        words = other.words.replace(other.name, other.name + number, 1)
        numbered.append(replace(other, name=other.name + number, words=words))
    return numbered[::-1]
