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


def test_round_trip_through_a_file(tmp_path: Path) -> None:
    network = Network(width=3, rate=1e-4, depth=(1, 2), folder=Path("x"))
    config.save_json(network, tmp_path / "deep" / "config.json")
    assert config.load_json(Network, tmp_path / "deep" / "config.json") == network
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["config.json"]


def test_an_integer_is_accepted_where_a_float_is_meant() -> None:
    network = config.from_dict(Network, {**config.to_dict(Network(1, 0.5)), "rate": 2})
    assert type(network.rate) is float
    assert network.rate == 2.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widht": 3}, ["widht", "3"]),
        ({"width": "3"}, ["Network.width", "integer", "'3'"]),
        ({"width": True}, ["Network.width", "True"]),
        ({"width": 3.0}, ["Network.width", "3.0"]),
        ({"rate": float("nan")}, ["Network.rate", "nan"]),
        ({"rate": None}, ["Network.rate", "None"]),
        ({"bank": "db4"}, ["Network.bank", "'haar'", "'db4'"]),
        ({"window": [0.0]}, ["Network.window", "2 values", "[0.0]"]),
        ({"window": "ab"}, ["Network.window", "list", "'ab'"]),
        ({"dropout": "much"}, ["Network.dropout", "finite number", "'much'"]),
        ({"inner": [1]}, ["Network.inner", "[1]"]),
        ({"inner": {"channels": [1, "x"], "attention": True}}, ["Network.inner.channels[1]", "'x'"]),
        ({"blocks": [{"channels": [1]}]}, ["Network.blocks[0]", "'attention'"]),
        ({"weights": {"a": "b"}}, ["Network.weights.a", "'b'"]),
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


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", '{"width": NaN}', "\xff"])
def test_a_file_that_holds_no_object_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"config\.json"):
        config.load_json(Network, path)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json does not exist"):
        config.load_json(Network, tmp_path / "none.json")


def test_a_value_that_json_cannot_carry_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inf"):
        config.save_json(Network(1, float("inf")), tmp_path / "config.json")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.json"
    config.write_text(path, "old")

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(config.os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        config.write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.json"]


def test_files_that_belong_together_are_all_written_or_none(tmp_path: Path) -> None:
    first, second, last = tmp_path / "new" / "a", tmp_path / "b", tmp_path / "c"
    config.write_files({first: b"1", second: b"2"})
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")
    second.unlink()
    last.mkdir()
    with pytest.raises(OSError):
        config.write_files({second: b"3", last: b"4"})
    assert sorted(tmp_path.iterdir()) == [last, first.parent]
