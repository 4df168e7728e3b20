"""What of a picture of training runs would random walks show too?

In high dimensions the principal plane of a random walk holds 61 and 15 % of its
variance, whatever was or was not learned. So the pictures of `trajectories` are
compared with those of random walks: for each run one from the same start, in every
layer as long from record to record, in directions drawn anew. What both show is the
projection's doing:

- of 8 runs, whether more than half of the squared distance between their ends is in
  the plane, of which 8 points at equal distances have two sevenths; and the fraction of
  the variance: runs, which could go one way, hold more there than walks, or no more;
- whether the plane enlarges the growth of distances between walks as it does that
  between runs;
- of one run alone, the fraction in a plane of its own, beside that of its walk; the
  closed form for a walk of as many points is a line in the figure.

All of this supports; `trajectories` decides what the claim says. A twentieth of the
variance matters, less is not seen on an axis. Units are groups of 8 runs. Three groups
of the seed 77 were seen before: fractions did not differ between 8 runs and 8 walks.
That runs end further apart than walks was asked after them.

Not tested: whether paths are arcs, for which points without any order were no control.

Claims: C059.
Sources: Antognini and Sohl-Dickstein 2018, arXiv:1806.08805.
Cost: 3 seconds on 2 cores, compilation included.
Expect: explained variance says nothing; that runs move so far apart does.
Run: jaxml run walks
"""

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, record
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, panels, shared_legend, strips
from jaxml.record.surfaces import Shown, principal_paths
from jaxml.types import Keep

NEEDS = ("trajectories",)
DATA = ("8x8 digits", "clothing of 7x7 pixels")
METHODS = ("gradient descent of rate 0.1", "Adam of rate 0.001")
RUNS, WALKS = range(2)
PLAIN = 0  # the networks without a penalty
TWENTIETH = "a twentieth is not seen on an axis"
MORE = record.above(0.0, margin=0.05, reason=TWENTIETH)
SAME = record.near(0.0, margin=0.05, reason=TWENTIETH)
FURTHER = record.above(0.0, margin=float(np.log(1.1)), reason="a tenth is hardly seen")
TRUE = record.near(
    0.0, margin=float(np.log(1.5)), reason="a picture that is out by half misleads"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing is chosen."""


SMOKE = Config()


class Result(NamedTuple):
    """Pictures of all weights.

    Attributes:
        runs: `[data, method, group]` in front.
        walks: that match them.
        weights: of a network.
        examples: that each group is trained on.
    """

    runs: curvature.Picture
    walks: curvature.Picture
    weights: Int[np.ndarray, " data"]
    examples: Int[np.ndarray, ""]


def study(config: Config, keep: Keep, trajectories: Any) -> Result:
    """What was recorded, of all weights."""
    del config, keep

    def of(kind: int) -> curvature.Picture:
        seen = curvature.Picture(*trajectories.seen)
        return jax.tree.map(lambda field: field[:, :, PLAIN, :, kind, 0], seen)

    return Result(
        runs=of(RUNS),
        walks=of(WALKS),
        weights=trajectories.weights,
        examples=trajectories.examples,
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, by each method."""
    found: list[Assertion] = []
    for data, method in _places(result):
        runs = _at(result.runs, data, method)
        walks = _at(result.walks, data, method)
        setting = _setting(result, data, method)
        found += [*_of_many(runs, walks, setting), *_of_one(runs, walks, setting)]
    return tuple(found)


def _setting(result: Result, data: int, method: int) -> str:
    points = result.runs.between.shape[-1]
    network = f"dense network of {result.weights[data]:,} weights"
    budget = f"batches of 50, {3 * (points - 1)} epochs, recorded at {points} points"
    return (
        f"{DATA[data]}, {network}, {result.examples} examples, {METHODS[method]}, "
        f"{budget}, groups of 8 runs, all weights"
    )


def _places(result: Result) -> list[tuple[int, int]]:
    data, methods = result.runs.bend.shape[:2]
    return list(product(range(data), range(methods)))


def _at(seen: curvature.Picture, data: int, method: int) -> curvature.Picture:
    return jax.tree.map(lambda field: field[data, method], seen)


def _of_many(
    runs: curvature.Picture, walks: curvature.Picture, setting: str
) -> list[Assertion]:
    """Planes of 8 runs, and of 8 walks."""
    finding = partial(record.supporting, "C059", setting=setting)
    more = _held(runs.explained) - _held(walks.explained)
    too_large = _growth(walks.shown) - _growth(walks.between)
    further = _growth(runs.between) - _growth(walks.between)
    return [
        _ends(runs, setting),
        finding(
            "The plane of the first two principal components holds more of the "
            "variance of 8 runs than of 8 random walks, each from a run's start and as "
            "long.",
            record.bootstrap(np.mean, more),
            MORE,
            unit="fraction difference",
            figure="variance",
        ),
        finding(
            "In the plane of their first two principal components distances between "
            "random walks, each from a run's start and as long, grow by the same "
            "factor as between all their coordinates.",
            record.bootstrap(np.mean, too_large),
            TRUE,
            unit="log ratio",
            figure="paths",
        ),
        finding(
            "Runs end further apart than random walks from the same starts with steps "
            "of the same lengths: the distance at the end over that of walks.",
            record.bootstrap(np.mean, further),
            FURTHER,
            unit="log ratio",
            figure="paths",
        ),
    ]


def _ends(runs: curvature.Picture, setting: str) -> Assertion:
    """How much of what parts the ends is seen."""
    seen = np.square(runs.shown[:, -1] / runs.between[:, -1])
    return record.supporting(
        "C059",
        "More than half of the squared distance between the ends of 8 runs lies in the "
        "plane of their first two principal components.",
        record.bootstrap(np.mean, seen),
        record.above(0.5, margin=0.05, reason=TWENTIETH),
        unit="fraction",
        setting=setting,
        figure="paths",
    )


def _of_one(
    runs: curvature.Picture, walks: curvature.Picture, setting: str
) -> list[Assertion]:
    """A single run in a plane of its own."""
    finding = partial(record.supporting, "C059", setting=setting, figure="variance")
    return [
        finding(
            "The plane of its own first two principal components holds as much of the "
            "variance of a single run as of a random walk from the same start, as "
            "long: the difference.",
            record.bootstrap(np.mean, _held(runs.alone) - _held(walks.alone)),
            SAME,
            unit="fraction difference",
        ),
    ]


def _held(explained: Float[np.ndarray, "group axis"]) -> np.ndarray:
    """The fraction of the variance that a plane holds, by group."""
    return np.sum(explained, axis=-1)


def _growth(distances: Float[np.ndarray, "group record"]) -> np.ndarray:
    """The logarithm of the factor by which they grow."""
    return np.log(distances[:, -1] / distances[:, 0])


def _law(seen: curvature.Picture) -> float:
    """The fraction that a plane holds of a random walk of as many points."""
    points = seen.between.shape[-1]
    return float(np.sum(curvature.random_walk_variances(points, count=2)))


def figures(result: Result) -> dict[str, Figure]:
    """What planes hold, a point a group; and one group as it is drawn."""
    return {"variance": _variances(result), "paths": _paths(result)}


def _variances(result: Result) -> Figure:
    places = _places(result)
    figure, axes = panels(*result.runs.bend.shape[:2], width=5.4, height=3.2)
    for (data, method), axis in zip(places, axes, strict=True):
        runs = _at(result.runs, data, method)
        walks = _at(result.walks, data, method)
        held = {
            "8 runs": _held(runs.explained),
            "8 random walks": _held(walks.explained),
            "one run": _held(runs.alone),
            "one random walk": _held(walks.alone),
        }
        strips(axis, held)
        law = "closed form, a random walk of as many equal steps"
        axis.axhline(_law(runs), color="0.4", linestyle=":", label=law)
        axis.set_ylim(0, 1.05)
        title = f"{DATA[data]}, {METHODS[method]}"
        label(axis, title, "whose plane", "fraction of variance in the plane")
    shared_legend(figure)
    return figure


def _paths(result: Result) -> Figure:
    """The first group of each data set, by the last method."""
    data = sorted({place[0] for place in _places(result)})
    figure, axes = panels(len(data), 2, width=5.0, height=5.4)
    for row, left, right in zip(data, axes[::2], axes[1::2], strict=True):
        _path(left, _at(result.runs, row, -1), f"{DATA[row]}, runs")
        _path(right, _at(result.walks, row, -1), f"{DATA[row]}, random walks, as long")
    return figure


def _path(axis: Axes, seen: curvature.Picture, title: str) -> None:
    shown = Shown(seen.explained[0], seen.residuals[0])
    names = [f"{number}" for number in range(1, len(shown.residuals) + 1)]
    principal_paths(axis, seen.projections[0], shown, title=title, names=names)
