"""The study that is killed: seven stages of a chaotic map, in NumPy alone, so that it
starts at once and every bit of a stage depends on every bit before.
"""

from pathlib import Path

SOURCE = '''"""The logistic map keeps its orbits between 0 and 1.

Claims: bounded.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from jaxml.record import above, bootstrap, deciding

CLAIMS = {
    "bounded": {
        "topic": "faults",
        "kind": "mathematical",
        "claim": "Orbits of the logistic map stay between 0 and 1.",
    }
}


@dataclass(frozen=True, kw_only=True)
class Config:
    stages: int = 7
    points: int = 4000
    updates: int = 3000
    seed: int = 0


SMOKE = Config(points=400, updates=300)


class Result(NamedTuple):
    orbits: np.ndarray  # [stage, point]


def _walked(points, updates):
    for _ in range(updates):
        points = 3.99 * points * (1.0 - points)
    return {"points": points, "loss": points[:1]}


def study(config, keep):
    points = np.random.default_rng(config.seed).uniform(size=config.points)
    orbits = []
    for stage in range(config.stages):
        walk = partial(_walked, points, config.updates)
        points = keep(f"stage {stage}", walk)["points"]
        orbits.append(points)
    return Result(np.stack(orbits))


def findings(result):
    lowest = bootstrap(np.min, result.orbits[-1, :20])
    return (
        deciding(
            "bounded",
            "Orbits exceed 0.",
            lowest,
            above(0.0),
            unit="difference",
            setting="the logistic map at 3.99",
        ),
    )


def figures(result):
    figure = Figure(figsize=(1, 1))  # drawn in no time
    figure.text(0.1, 0.5, f"{result.orbits[-1, 0]:.4f}")
    return {"place": figure}
'''

NAME = "orbits"


def write(folder: Path) -> Path:
    """Writes the study into a folder and returns its file."""
    path = folder / f"{NAME}.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path
