"""Configurations survive a round trip through JSON, and nothing that does not fit gets in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemesh import config
from wavemesh.errors import InputError
from wavemesh.files import read_json
from wavemesh.models.camera_head import CameraHeadConfig
from wavemesh.models.wavelet_triplane import TriplaneConfig
from wavemesh.models.wavemesh import WaveMeshConfig
from wavemesh.settings import modern
from wavemesh.training.settings import LoopConfig

WEIGHTS = Path(__file__).parent.parent / "assets" / "weights"


@dataclass(frozen=True)
class Block:
    channels: tuple[int, ...] = (32, 64)
    attention: bool = True


@dataclass(frozen=True)
class Network:
    width: int
    rate: float
    bank: Literal["haar", "bior2.2"] = "haar"
    window: tuple[float, float] = (0.0, 1.0)
    dropout: float | None = None
    blocks: list[Block] = field(default_factory=lambda: [Block()])
    inner: Block = field(default_factory=Block)
    weights: dict[str, float] = field(default_factory=dict)
    folder: Path | None = None
    depth: int | tuple[int, ...] = 1


networks = st.builds(
    Network,
    width=st.integers(),
    rate=st.floats(allow_nan=False, allow_infinity=False),
    bank=st.sampled_from(["haar", "bior2.2"]),
    window=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    dropout=st.none() | st.floats(0, 1),
    blocks=st.lists(st.builds(Block, channels=st.lists(st.integers()).map(tuple), attention=st.booleans())),
    weights=st.dictionaries(st.text(), st.floats(0, 1)),
    folder=st.none() | st.just(Path("runs/a")),
    depth=st.integers() | st.lists(st.integers()).map(tuple),
)


@given(networks)
def test_round_trip_through_json_text(network: Network) -> None:
    text = json.dumps(config.to_dict(network))
    assert config.from_dict(Network, json.loads(text)) == network


def test_an_integer_is_accepted_where_a_float_is_meant() -> None:
    network = config.from_dict(Network, {**config.to_dict(Network(1, 0.5)), "rate": 2})
    assert type(network.rate) is float
    assert network.rate == 2.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widht": 3}, ["Network has no setting 'widht'", "3"]),
        ({"width": "3"}, ["Network.width", "integer", "'3'"]),
        ({"width": True}, ["Network.width", "True"]),
        ({"width": 3.0}, ["Network.width", "3.0"]),
        ({"rate": float("nan")}, ["Network.rate", "nan"]),
        ({"rate": None}, ["Network.rate", "None"]),
        ({"bank": "db4"}, ["Network.bank", "'haar'", "'db4'"]),
        ({"window": [0.0]}, ["Network.window", "lacks", "1", "[0.0]"]),
        ({"window": "ab"}, ["Network.window", "array", "'ab'"]),
        ({"dropout": "much"}, ["Network.dropout", "valid number", "'much'"]),
        ({"inner": [1]}, ["Network.inner", "[1]"]),
        ({"inner": {"channels": [1, "x"], "attention": True}}, ["Network.inner.channels[1]", "'x'"]),
        ({"blocks": [{"channels": [1]}]}, ["Network.blocks[0]", "'attention'"]),
        ({"weights": {"a": "b"}}, ["Network.weights.a", "'b'"]),
        ({"rate": True}, ["Network.rate", "valid number", "True"]),
        ({"window": [0, 1, 2]}, ["Network.window", "at most 2", "[0, 1, 2]"]),
        ({"folder": 3}, ["Network.folder", "3"]),
        ({"depth": [1, "x"]}, ["Network.depth[1]", "integer", "'x'"]),
        ({"depth": "deep"}, ["Network.depth", "'deep'"]),
    ],
)
def test_what_does_not_fit_is_named_in_one_sentence(change: dict[str, Any], said: list[str]) -> None:
    data = {**config.to_dict(Network(1, 0.5)), **change}
    with pytest.raises(InputError) as caught:
        config.from_dict(Network, data)
    message = str(caught.value)
    assert "\n" not in message
    for part in said:
        assert part in message


def test_a_missing_key_is_an_error_unless_defaults_are_asked_for() -> None:
    with pytest.raises(InputError, match="lacks the setting 'bank'"):
        config.from_dict(Network, {"width": 1, "rate": 0.5})
    assert config.from_dict(Network, {"width": 1, "rate": 0.5}, fill_defaults=True) == Network(1, 0.5)
    with pytest.raises(InputError, match="lacks the setting 'rate'"):
        config.from_dict(Network, {"width": 1}, fill_defaults=True)


def test_a_sentence_of_the_dataclass_itself_comes_through() -> None:
    with pytest.raises(InputError, match=r"^total_steps must be at least 1, not 0\.$"):
        config.from_dict(LoopConfig, {"out_dir": "runs", "total_steps": 0}, fill_defaults=True)


def test_a_value_that_json_cannot_carry_is_an_error() -> None:
    with pytest.raises(ValueError, match="JSON"):
        config.to_dict(Network(1, float("inf")))
    with pytest.raises(TypeError, match="not object"):
        config.to_dict(Network(1, 0.5, weights={"a": object()}))  # type: ignore[dict-item]
    with pytest.raises(InputError, match=r"Network.*JSON"):
        config.from_dict(Network, {"width": object()})


@pytest.mark.parametrize(
    ("cls", "folder"),
    [(WaveMeshConfig, "wavemesh"), (CameraHeadConfig, "wavemesh/camera_head"), (TriplaneConfig, "triplane")],
)
def test_the_shipped_configurations_are_read_to_what_they_say(cls: type, folder: str) -> None:
    stored = read_json(WEIGHTS / folder / "config.json")
    stored |= {"sampling": modern(stored["sampling"])} if "sampling" in stored else {}
    read = config.from_dict(cls, stored, fill_defaults=True)
    written = config.to_dict(read)
    assert parts_of(written, stored) == stored
    assert config.from_dict(cls, written) == read
    assert hash(read) == hash(config.from_dict(cls, written)), "lists have become tuples"


def parts_of(whole: Any, like: Any) -> Any:
    """What `whole` says about the keys that `like` has."""
    return {key: parts_of(whole[key], value) for key, value in like.items()} if isinstance(like, dict) else whole
