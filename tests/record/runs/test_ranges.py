"""Which values a field of a Config may take."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from jaxml.record.runs import ranges
from jaxml.record.runs.ranges import require_in_range
from jaxml.types import InputError

pytestmark = pytest.mark.identity


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A field of each kind."""

    networks: int = 20
    extra: int = 0
    shift: int = -3
    rate: float = 0.1
    angle: float = dataclasses.field(default=1.0, metadata={"least": None})
    depth: int = dataclasses.field(default=4, metadata={"least": 2})
    sizes: tuple[int, ...] = (1, 10)
    indices: tuple[int, ...] = (0, 1)
    weights: dict[str, float] | None = None
    name: str = "a"
    file: Path = Path("here")
    fast: bool = True
    seed: int = 0


def judge(**fields: Any) -> None:
    usual = Config(weights={"a": 1.0})
    require_in_range("toy", dataclasses.replace(usual, **fields), [Config(), usual])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"networks": 1},
        {"extra": 0, "rate": 0.0},
        {"shift": -10, "angle": -1.0},
        {"depth": 2},
        {"sizes": (), "indices": (0, 4)},
        {"weights": None, "fast": False, "seed": 21_472},
        {"name": "θ", "file": Path("elsewhere")},
    ],
)
def test_a_value_within_its_range_passes(fields: dict[str, Any]) -> None:
    judge(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"networks": 0}, "toy cannot use --networks 0: give 1 or more"),
        ({"networks": -1}, "give 1 or more"),
        ({"networks": 10**12}, "do not fit into the memory"),
        ({"networks": 10**400}, "do not fit into the memory"),
        ({"extra": -1}, "--extra -1: give 0 or more"),
        ({"rate": -0.1}, "--rate -0.1: give 0 or more"),
        ({"rate": math.nan}, "--rate nan: give a finite number"),
        ({"angle": math.inf}, "give a finite number"),
        ({"depth": 1}, "give 2 or more"),
        ({"sizes": (1, 0)}, "give 1 or more"),
        ({"indices": (0, -1)}, "give 0 or more"),
        ({"weights": {"a": -1.0}}, "give 0 or more"),
        ({"seed": -1}, "give 0 or more"),
        ({"name": "\x1b[2J"}, "name holds control characters"),
    ],
)
def test_a_value_out_of_its_range_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refusal:
        judge(**fields)
    assert said in str(refusal.value)


def test_a_count_must_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "host_bytes", lambda: 3_200)
    judge(networks=100)
    with pytest.raises(InputError, match="--networks 101: so many do not fit"):
        judge(networks=101)
