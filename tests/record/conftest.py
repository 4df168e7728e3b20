"""A toy study, written to disk for each test."""

from pathlib import Path

import pytest

from jaxml.record.study import Study, load

TOY = '''"""The mean of squares grows with the scale
of its inputs.

Nothing here is deep.

Claims: C001, C150a, A3.
Source: nobody 2020.
Cost: a second
on one core.
Expect: C001 supported.
Run: jaxml run toy
"""

import dataclasses
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.record import above, at_most, bootstrap, deciding, largest, supporting
from jaxml.record.figures import label, panels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    scales: tuple[float, ...] = (1.0, 2.0)
    seeds: int = 4
    seed: int = 0
    offset: float | None = None
    grid: tuple[int, int] = (2, 3)
    dtype: Literal["float32", "float64"] = "float32"
    fail: bool = False


class Inner(NamedTuple):
    values: jax.Array
    key: jax.Array


class Result(NamedTuple):
    power: jax.Array
    parity: np.ndarray


class Timings(NamedTuple):
    seconds: np.ndarray


SMOKE = Config(seeds=2)
calls = []
interrupt = []


def _stage(scale, seeds, seed=0):
    calls.append(scale)
    if scale in interrupt:
        raise KeyboardInterrupt
    key = jax.random.key(seed)
    noise = jax.random.normal(key, (seeds, 16), jnp.float32)
    return Inner(jnp.mean((jnp.float32(scale) * noise) ** 2, axis=1), key)


def study(config, keep):
    values = []
    for scale in config.scales:
        compute = partial(_stage, scale, config.seeds, config.seed)
        values.append(keep(f"scale={scale}", compute).values)
    return Result(jnp.stack(values), np.array([np.nan, 1.0]))


def timings(config):
    return Timings(np.array([0.5, 0.25]))


def findings(result, timings):
    growth = result.power[1] / result.power[0]
    mean = bootstrap(np.mean, growth)
    return (
        deciding(
            "C001",
            "Power grows | with <scale>.",
            mean,
            above(1.0),
            unit="ratio",
            setting="noise",
        ),
        supporting(
            "A3",
            "It grows fourfold.",
            largest(growth - 4),
            at_most(1e-4),
            unit="error",
            setting="noise",
        ),
    )


def figures(result, timings):
    figure, (axes,) = panels()
    axes.plot(result.power)
    label(axes, "Power", "scale (1)", "power (1)")
    return {"power vs. scale": figure}
'''


@pytest.fixture(scope="session")
def toy_source() -> str:
    return TOY


@pytest.fixture
def toy_path(tmp_path: Path) -> Path:
    path = tmp_path / "toy.py"
    path.write_text(TOY)
    return path


@pytest.fixture
def toy(toy_path: Path) -> Study:
    return load(toy_path)
