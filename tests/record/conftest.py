"""A toy study, written to disk for each test."""

from pathlib import Path

import pytest

from jaxml.record.study import Study, load

TOY = '''"""The mean of squares grows with the scale
of its inputs.

Nothing here is deep.

Claims: C001, C150a and A3; again C001.
Source: nobody 2020.
Cost: a second
on one core.
Expect: C001 supported.
Run: jaxml run toy
"""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.record import above, bootstrap, exact
from jaxml.record.figures import label, panels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    scales: tuple[float, ...] = (1.0, 2.0)
    seeds: int = 4
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


def _stage(scale, seeds):
    calls.append(scale)
    if scale in interrupt:
        raise KeyboardInterrupt
    key = jax.random.key(0)
    noise = jax.random.normal(key, (seeds, 16), jnp.float32)
    return Inner(jnp.mean((jnp.float32(scale) * noise) ** 2, axis=1), key)


def study(config, keep):
    stages = [keep(f"scale={s}", lambda s=s: _stage(s, config.seeds)) for s in config.scales]
    return Result(jnp.stack([stage.values for stage in stages]), np.array([np.nan, 1.0]))


def timings(config):
    return Timings(np.array([0.5, 0.25]))


def findings(result, timings):
    growth = result.power[1] / result.power[0]
    mean = bootstrap(np.mean, growth)
    return (
        above("C001", "Power grows | with <scale>.", mean, 1.0, unit="1", dtype="float32"),
        exact("A3", "It grows fourfold.", growth - 4, 1e-4, unit="1", dtype=np.float32),
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
