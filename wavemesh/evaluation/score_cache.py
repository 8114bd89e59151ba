"""Scores of one shape on disk, so that a stopped evaluation goes on where it was.

Each unit of an evaluation (a prediction, or pictures of one) is kept beside a fingerprint of what made it: weights,
settings or data. New weights only repeat their own units.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable


@runtime_checkable
class Scored(Protocol):
    """Numbers that go to JSON and come back as keyword arguments."""

    def to_dict(self) -> dict[str, float]:
        """The numbers by name."""
        ...


@runtime_checkable
class Named(Protocol):
    """What a score is kept under."""

    @property
    def name(self) -> str:
        """Unique within an evaluation."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes with whatever would change the score."""
        ...


ScoreType = TypeVar("ScoreType", bound=Scored)
UnitType = TypeVar("UnitType", bound=Named)


class ScoreCache(Generic[ScoreType]):
    """The kept scores of one shape by unit.

    folder, key: the file is named by the shape's key. salt: what all scores of this kind depend on, such as the number
    of points and the version of the metrics. kind: the class of the scores.
    """

    def __init__(self, folder: Path, key: str, salt: str, kind: type[ScoreType]) -> None:
        self._path = folder / (hashlib.sha256(key.encode()).hexdigest()[:16] + ".json")
        self._salt, self._kind = salt, kind
        empty: dict[str, Any] = {"key": key, "category": "", "source": "sdf", "units": {}}
        self._data: dict[str, Any] = json.loads(self._path.read_text("utf-8")) if self._path.exists() else empty

    @property
    def category(self) -> str:
        """The shape's category."""
        return str(self._data["category"])

    @property
    def source(self) -> str:
        """What the shape was compared with: 'mesh' or 'sdf'."""
        return str(self._data["source"])

    def missing_units(self, units: Sequence[UnitType]) -> list[UnitType]:
        """The units that have no valid score yet."""
        kept = self._data["units"]
        return [unit for unit in units if kept.get(unit.name, {}).get("made_by") != self._salt + unit.fingerprint]

    def scores(self, units: Sequence[Named]) -> dict[str, ScoreType]:
        """The scores by unit."""
        return {unit.name: self._kind(**self._data["units"][unit.name]["scores"]) for unit in units}

    def store(self, scores: Sequence[ScoreType], units: Sequence[Named]) -> None:
        """Keeps new scores."""
        for score, unit in zip(scores, units, strict=True):
            self._data["units"][unit.name] = {"made_by": self._salt + unit.fingerprint, "scores": score.to_dict()}
        self._write()

    def describe(self, category: str, source: str) -> None:
        """Keeps what the report says about the shape."""
        self._data |= {"category": category, "source": source}
        self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._data, indent=1), "utf-8")
        temporary.replace(self._path)
