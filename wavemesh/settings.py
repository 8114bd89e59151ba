"""What a run is asked for, declared once: default, range, words, and the name on the command line and in endpoints.

Pipelines, command line, page, endpoints, bundles and comparisons read these declarations, so a new setting is one new
field here. Nothing heavy is imported: the page and the command line are laid out before torch is loaded.
"""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from wavemesh.errors import InputError

Kind = TypeVar("Kind", bound="Settings")


@dataclass(frozen=True)
class Setting:
    """One declared setting.

    default: what the weights were shipped with where `shipped` is true and they say so, else this value. minimum,
    maximum: of valid numbers. choices: all valid values with what the page calls them. limit: the largest number that a
    visitor of a server may ask for. offered: the values that the page and endpoints offer where more are valid.
    slider: lowest, highest and step of the page's control. on_page: whether the page has a control for it. in_presets:
    whether the page's presets set it.
    """

    default: Any
    label: str
    help: str
    name: str = ""
    kind: type = str
    option: str = ""
    minimum: int | float | None = None
    maximum: int | float | None = None
    choices: Mapping[Any, str] | None = None
    limit: int | float | None = None
    offered: Mapping[Any, str] | None = None
    slider: tuple[int | float, ...] | None = None
    shipped: bool = False
    on_page: bool = True
    in_presets: bool = False

    def checked(self, value: Any) -> Any:
        """The value as a plain int, float or string; InputError where it is not valid."""
        if value is None and self.shipped:
            return None
        if self.choices is not None:
            return self._chosen(value, self.choices)
        return self._number(value, self.maximum)

    def check_visitor(self, value: Any) -> None:
        """Raise InputError for a valid value that a visitor of a server may not ask for."""
        if value is None:
            return
        if self.offered is not None:
            self._chosen(value, self.offered)
        elif self.limit is not None:
            self._number(value, self.limit)

    def _chosen(self, value: Any, choices: Mapping[Any, str]) -> Any:
        for choice in choices:
            if choice == value and not isinstance(value, bool):
                return choice
        named = ", ".join(map(str, choices))
        raise InputError(f"The {self.label.lower()} must be one of {named}, not {_shown(value)}.")

    def _number(self, value: Any, maximum: int | float | None) -> int | float:
        whole = self.kind is int
        valid = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if valid and (not whole or int(value) == value) and (self.minimum or 0) <= value <= (maximum or math.inf):
            return self.kind(value)
        bounds = f"from {self.minimum or 0} on" if maximum is None else f"between {self.minimum or 0} and {maximum}"
        sort = "a whole number" if whole else "a number"
        raise InputError(f"The {self.label.lower()} must be {sort} {bounds}, not {_shown(value)}.")


def setting(default: Any, label: str, help: str, **declared: Any) -> Any:
    """A dataclass field with its declaration; None stands for a default that comes with the weights."""
    declaration = Setting(default, label, help, **declared)
    return field(default=None if declaration.shipped else default, metadata={"setting": declaration})


SAMPLERS = {"ddim": "DDIM", "dpmpp_2m": "DPM-Solver++ (2M)", "ddpm": "DDPM"}
COLOURS = {"views": "Pictures", "mixed": "Pictures, else the triplane", "triplane": "Triplane"}
BACKGROUNDS = {name: name for name in ("auto", "alpha", "u2netp", "rembg", "grabcut", "none")}
FRONTS = {"picture": "First picture", "frame": "Estimated frame"}
_STEPS: dict[str, Any] = {
    "minimum": 1,
    "maximum": 1000,
    "limit": 50,
    "slider": (1, 50, 1),
    "shipped": True,
    "in_presets": True,
}


@dataclass(frozen=True)
class Settings:
    """What every method can be asked for. None: the default that the weights were shipped with.

    Raises InputError, one sentence with the value, for values out of range. Subclasses name their stages in order.
    """

    method: ClassVar[str]
    title: ClassVar[str]
    note: ClassVar[str]
    stages: ClassVar[dict[str, str]]  # by the names in step reports: the field with its number of steps

    guidance_scale: float | None = setting(
        1.0,
        "Guidance",
        "Above 1 the shape keeps closer to the pictures, in twice the time.",
        option="guidance",
        minimum=0,
        maximum=20,
        slider=(1.0, 5.0, 0.1),
        shipped=True,
    )
    sampler: str | None = setting("ddim", "Sampler", "DDIM suits few steps.", choices=SAMPLERS, shipped=True)
    seed: int = setting(
        0,
        "Seed",
        "Parts that no picture shows change with it. 0 gives the likeliest shape.",
        minimum=0,
        maximum=2**63 - 1,
        limit=2**31 - 1,
    )
    colours: str = setting(
        "views",
        "Colours",
        "From the pictures (views), those and where they show nothing the triplane (mixed), or the triplane.",
        choices=COLOURS,
        on_page=False,
    )
    background: str = setting(
        "auto", "Background", "How the object is cut out of the pictures.", choices=BACKGROUNDS, on_page=False
    )
    front: str = setting(
        "picture",
        "Front",
        "What the mesh has in front where cameras are estimated and no sides are given.",
        choices=FRONTS,
    )
    refine: str = setting(
        "on",
        "Camera refinement",
        "Cameras of several pictures are moved until the pictures agree.",
        choices={"on": "On", "off": "Off"},
        on_page=False,
    )

    def __post_init__(self) -> None:
        for name, declaration in declared(type(self)).items():
            object.__setattr__(self, name, declaration.checked(getattr(self, name)))

    def stage_steps(self) -> dict[str, int]:
        """The number of steps of each stage, for filled settings."""
        return {stage: getattr(self, name) for stage, name in self.stages.items()}

    def passes(self) -> int:
        """How often a step of the first stage evaluates its network: twice where it is guided."""
        return 1 if self.guidance_scale in (None, 1.0) else 2

    def filled(self: Kind, shipped: Mapping[str, Any] | None = None) -> Kind:
        """The settings without None: what the weights were shipped with, else what is declared."""
        known = shipped or {}
        missing = {
            name: declaration.default if known.get(name) is None else known[name]
            for name, declaration in declared(type(self)).items()
            if getattr(self, name) is None
        }
        return replace(self, **missing)

    def check_visitor(self) -> None:
        """Raise InputError for what a visitor of a server may not ask for, because it would take too long."""
        for name, declaration in declared(type(self)).items():
            declaration.check_visitor(getattr(self, name))

    @classmethod
    def asked(
        cls: type[Kind],
        settings: Settings | None = None,
        num_inference_steps: int | tuple[int, ...] | None = None,
        **changes: Any,
    ) -> Kind:
        """The settings with changes by field name, None for no change; those of the class without any.

        num_inference_steps: of every stage, or one number for each. Raises InputError for settings of another method,
        unknown names and values out of range.
        """
        if settings is not None and not isinstance(settings, cls):
            raise InputError(f"The settings are of the method {settings.method}, not {cls.method}.")
        given = {name: value for name, value in changes.items() if value is not None}
        if num_inference_steps is not None:
            given = {**cls._steps(num_inference_steps), **given}
        known = declared(cls)
        for name, value in given.items():
            if name not in known:
                raise InputError(f"The method {cls.method} has no setting {name!r} (its value was {_shown(value)}).")
            given[name] = known[name].checked(value)
        return cls(**given) if settings is None else replace(settings, **given)

    @classmethod
    def _steps(cls, steps: Any) -> dict[str, Any]:
        counts = list(steps) if isinstance(steps, list | tuple) else [steps] * len(cls.stages)
        if len(counts) != len(cls.stages):
            expected = f"{len(cls.stages)} number{'s' * (len(cls.stages) > 1)} of steps"
            raise InputError(f"The method {cls.method} takes {expected}, not {_shown(steps)}.")
        return dict(zip(cls.stages.values(), counts, strict=True))


@dataclass(frozen=True)
class WaveMeshSettings(Settings):
    """What a run of WaveMesh-Diff is asked for."""

    method: ClassVar[str] = "wavemesh"
    title: ClassVar[str] = "WaveMesh-Diff"
    note: ClassVar[str] = "Diffusion over 3D wavelets: the sharper geometry."
    stages: ClassVar[dict[str, str]] = {"coarse": "coarse_steps", "detail": "detail_steps"}

    coarse_steps: int | None = setting(5, "Coarse steps", "For the overall shape.", **_STEPS)
    detail_steps: int | None = setting(2, "Detail steps", "For the fine surface.", **_STEPS)
    resolution: int | None = setting(
        128,
        "Resolution",
        "At 64³ the mesh comes from the coarse bands alone.",
        minimum=1,
        offered={64: "64³", 128: "128³"},
        shipped=True,
        in_presets=True,
    )
    frames: int | None = setting(
        1,
        "Frames",
        "The overall shape is the mean over frames a quarter turn apart, each at the time of one.",
        choices={1: "1", 2: "2", 4: "4"},
        shipped=True,
        in_presets=True,
    )
    detail_threshold: float = setting(
        0.0,
        "Sparsity threshold",
        "Fine wavelet coefficients smaller than this are dropped: fewer numbers, a smoother surface.",
        option="threshold",
        minimum=0,
        limit=0.02,  # a finest coefficient is rarely larger
        slider=(0.0, 0.02, 0.0005),
    )
    symmetry: str = setting(
        "auto",
        "Symmetry",
        "A single picture of something round shows all of its sides; where angles are given and an object looks alike "
        "on both sides, a picture of one shows the other too.",
        choices={"auto": "Automatic", "off": "Off"},
    )
    inflation: str = setting(
        "auto",
        "Rounded body",
        "From a single picture without angles, animals, people and whatever else the network is unsure of get a body "
        "as deep as their outline is wide.",
        choices={"auto": "Automatic", "on": "On", "off": "Off"},
    )

    def passes(self) -> int:
        """How often a step of the first stage evaluates its network: in each frame, and twice where it is guided."""
        return (self.frames or 1) * super().passes()


@dataclass(frozen=True)
class TriplaneSettings(Settings):
    """What a run of Wavelet Triplane Diffusion is asked for."""

    method: ClassVar[str] = "triplane"
    title: ClassVar[str] = "Wavelet Triplane"
    note: ClassVar[str] = "Diffusion over three planes: colours of its own."
    stages: ClassVar[dict[str, str]] = {"triplane": "steps"}

    steps: int | None = setting(1, "Steps", "For the detail bands of the planes.", **_STEPS)
    colours: str = setting(
        "mixed", "Colours", "The pictures are finer than the planes.", choices=COLOURS, on_page=False
    )


METHODS: dict[str, type[Settings]] = {each.method: each for each in (WaveMeshSettings, TriplaneSettings)}


def declared(method: type[Settings]) -> dict[str, Setting]:
    """The declarations of a method's settings by field name, in the order of the fields."""
    hints = typing.get_type_hints(method)
    found = {}
    for each in fields(method):
        declaration: Setting = each.metadata["setting"]
        kind = next(part for part in (*typing.get_args(hints[each.name]), hints[each.name]) if part is not type(None))
        found[each.name] = replace(declaration, name=each.name, kind=kind, option=declaration.option or each.name)
    return found


def settings_class(method: str) -> type[Settings]:
    """The class of a method's settings; InputError for an unknown method."""
    if method not in METHODS:
        raise InputError(f"There is no method {method!r}; choose one of {', '.join(METHODS)}.")
    return METHODS[method]


def by_option(method: str, values: Mapping[str, Any]) -> Settings:
    """Settings from option names, as the command line and endpoints have them; None stands for what is not given.

    "steps" are those of every stage. Raises InputError for an option that the method has not.
    """
    kind = settings_class(method)
    names = {declaration.option: name for name, declaration in declared(kind).items()}
    given = {option: value for option, value in values.items() if value is not None}
    steps = given.pop("steps", None)
    for option in given.keys() - names.keys():
        owner = next((key for key, each in METHODS.items() if option in options(each)), None)
        raise InputError(
            f"The setting {option} is for the method {owner}, not {method}."
            if owner
            else f"There is no setting {option!r}."
        )
    return kind.asked(num_inference_steps=steps, **{names[option]: value for option, value in given.items()})


def options(method: type[Settings]) -> dict[str, Setting]:
    """The declarations of a method's settings by option name."""
    return {declaration.option: declaration for declaration in declared(method).values()}


def all_options() -> dict[str, Setting]:
    """The declarations of all methods' settings by option name; of two with one name the first."""
    found: dict[str, Setting] = {}
    for method in METHODS.values():
        for option, declaration in options(method).items():
            found.setdefault(option, declaration)
    return found


def shipped_settings(method: str, folder: Path) -> Settings:
    """The settings that a folder of weights came with, read without loading them; the declared ones without any."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))["sampling"]
        return settings_class(method)().filled(modern(found))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return settings_class(method)().filled()


def to_json(settings: Settings) -> dict[str, Any]:
    """The settings by field name, with their method, as bundles and reports carry them."""
    return {"method": settings.method, **asdict(settings)}


def from_json(stored: Mapping[str, Any]) -> Settings:
    """The settings in what `to_json` gave, also of earlier versions; entries that are no settings are left out.

    Raises InputError where a value is out of range.
    """
    kind = settings_class(str(stored.get("method", "wavemesh")))
    entries = modern(stored)
    steps = entries.pop("num_inference_steps", None)
    steps = tuple(steps) if isinstance(steps, list) else steps
    return kind.asked(num_inference_steps=steps, **{n: v for n, v in entries.items() if n in declared(kind)})


def modern(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Stored settings under today's names."""
    return {"frames" if name == "turns" else name: value for name, value in stored.items()}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
