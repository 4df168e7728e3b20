"""Are minima rarer in wider networks among critical points of low loss as well?

Height and index go together: a search that ends higher finds fewer minima, whatever the
dimension. Of the points that `dimension` finds, the third of lowest losses at each
width is compared, data sets summed, so that heights are matched by quantile. The claim
is right there if minima are still rarer among them in the two widest networks, by more
than 0.1.

The negative control of `dimension` is judged here too: with copies of the inputs a
network has more parameters and critical points of the same indices, so the fraction of
minima among all points must stay, to 0.1. And two figures show what was found: the
lowest eigenvalue of every distinct point, and how the searches ended. The outcomes and
units are those of `dimension`; all was fixed with its design, and nothing decides, for
a quantile is one way of several to match heights.

Claims: C052.
Sources: Dauphin et al. 2014, arXiv:1406.2572; Bray and Dean 2007,
arXiv:cond-mat/0611023.
Cost: 2 seconds on 2 cores, compilation included, after `dimension`.
Expect: no trend among the lowest points, and none in the control.
Run: jaxml run heights
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from jaxml import record
from jaxml.curvature import MINIMUM, OUTCOMES
from jaxml.record import Assertion
from jaxml.record.figures import (
    Axes,
    Figure,
    label,
    panels,
    shared_legend,
    stacked_fractions,
    symmetric_log,
)
from jaxml.types import Array, Keep

NEEDS = ("dimension",)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The part of lowest losses, and the seed of the searches and intervals."""

    part: float = 1 / 3
    seed: int = 0


SMOKE = Config()


class Counts(NamedTuple):
    """Of distinct points, and of the minima among them."""

    minima: Int[np.ndarray, "dataset width"]
    points: Int[np.ndarray, "dataset width"]


class Result(NamedTuple):
    """Counts of the lowest points, and what `dimension` found, for the figures."""

    sinc: Counts
    parity: Counts
    untrained: Counts
    control: Counts  # inputs once and copied, all points
    found: Any
    seed: np.ndarray  # [], of the bootstrap


def study(config: Config, keep: Keep, dimension: Any) -> Result:
    """Counts what the searches found."""
    del keep
    sinc, parity, untrained = (
        _counts(getattr(dimension, name), config.part) for name in SETTINGS
    )
    middle = len(dimension.widths) // 2
    once, copied = _counts(dimension.sinc), _counts(dimension.control)
    control = Counts(
        np.hstack([once.minima[:, middle : middle + 1], copied.minima]),
        np.hstack([once.points[:, middle : middle + 1], copied.points]),
    )
    return Result(sinc, parity, untrained, control, dimension, np.array(config.seed))


def _counts(found: Any, part: float = 1.0) -> Counts:
    """Of the points whose loss is in the lowest part of those of their width."""
    low = np.array(found.distinct)
    for width, loss in enumerate(found.loss):
        losses = loss[low[width]]
        if len(losses):
            low[width] &= loss <= np.quantile(losses, part)
    minima = low & (found.outcome == MINIMUM)
    return Counts(np.sum(minima, axis=2).T, np.sum(low, axis=2).T)


def _fraction(minima: Array, points: Array) -> float:
    """Minima among all points; 0 where there are none."""
    return float(np.sum(minima) / max(np.sum(points), 1))


def _change(minima: Array, points: Array) -> float:
    """The fraction in the two widest networks minus that in the two narrowest."""
    end = max(1, minima.shape[1] // 2)
    wide = _fraction(minima[:, -end:], points[:, -end:])
    return wide - _fraction(minima[:, :end], points[:, :end])


REASON = "one point in ten changes little for a short search"
SINC = "sin(5πx)/(5πx) at 100 random points, decay 0.001"
PARITY = "parity of 100 random 8x8 digits from 6 components, decay 0.001"
DESCENT = "descent on the gradient norm"
PARTLY = f"{DESCENT} after up to 1,000 updates of Adam at 0.02"
SETTINGS = {
    "sinc": f"{SINC}, {PARTLY}",
    "parity": f"{PARITY}, {PARTLY}",
    "untrained": f"{SINC}, {DESCENT} from random weights",
}


def findings(result: Result) -> tuple[Assertion, ...]:
    """The lowest points of each search method, and the control."""
    rows = [_lowest(result, name) for name in SETTINGS]
    return (*rows, _control(result))


def _lowest(result: Result, name: str) -> Assertion:
    widths = result.found.widths
    wide = " or ".join(map(str, widths[-2:]))
    narrow = " or ".join(map(str, widths[:2]))
    return record.supporting(
        "C052",
        "Of the third of lowest losses among the distinct critical points that a "
        "search finds at one width, a smaller fraction are minima in networks of "
        f"{wide} tanh units than of {narrow}.",
        record.bootstrap(_change, *getattr(result, name), seed=int(result.seed)),
        record.below(0.0, margin=0.1, reason=REASON),
        unit="fraction difference",
        setting=SETTINGS[name],
        figure="lowest",
    )


def _control(result: Result) -> Assertion:
    """More parameters, and the same critical points."""
    widths = result.found.widths
    units = widths[len(widths) // 2]
    return record.supporting(
        "C052",
        "Copies of the inputs, which add parameters and leave the indices of critical "
        "points as they are, do not change the fraction of minima among the distinct "
        "points that a search finds (negative control).",
        record.bootstrap(_change, *result.control, seed=int(result.seed)),
        record.near(0.0, margin=0.1, reason=REASON),
        unit="fraction difference",
        setting=f"{SINC}, {units} tanh units, {PARTLY}",
        figure="outcomes",
    )


TITLES = {
    "sinc": "SINC, after up to 1,000 updates",
    "parity": "parity, after up to 1,000 updates",
    "untrained": "SINC, from random weights",
}


def figures(result: Result) -> dict[str, Figure]:
    """The fractions of minima among the lowest points, their lowest eigenvalues, and
    how the searches ended.
    """
    lowest, upper = panels(1, 3)
    outcomes, lower = panels(1, 3, height=4.0)
    for name, above, below in zip(SETTINGS, upper, lower, strict=True):
        found, widths = getattr(result.found, name), result.found.widths
        _draw_lowest(above, found, widths)
        label(above, TITLES[name], "tanh units", "lowest eigenvalue (‖H‖)")
        _draw_outcomes(below, found, widths)
        label(below, "", "fraction of searches", TITLES[name])
    shared_legend(lowest)
    return {"fractions": _fractions(result), "lowest": lowest, "outcomes": outcomes}


def _fractions(result: Result) -> Figure:
    """Of each data set and of all, by width; and of the control."""
    figure, axes = panels(1, 4, width=3.6)
    for axis, name in zip(axes, SETTINGS, strict=False):
        widths = result.found.widths
        _draw_fractions(axis, getattr(result, name), widths)
        axis.set_xticks(widths)
        title = f"{TITLES[name]}, lowest third"
        label(axis, title, "tanh units", "fraction of minima")
    _draw_fractions(axes[-1], result.control, np.arange(2))
    axes[-1].set_xticks([0, 1], ["once", "copied"])
    title = "SINC, all points (control)"
    label(axes[-1], title, "inputs", "fraction of minima")
    shared_legend(figure)
    return figure


def _draw_fractions(axis: Axes, counts: Counts, places: Array) -> None:
    each = counts.minima / np.maximum(counts.points, 1)
    aside = np.linspace(-0.25, 0.25, len(each))
    x = np.add.outer(aside, places)
    axis.scatter(x, each, s=8, color="0.4", label="a data set")
    points = np.maximum(counts.points.sum(axis=0), 1)
    axis.plot(places, counts.minima.sum(axis=0) / points, label="all data sets")
    axis.set_ylim(-0.03, 1.03)


def _draw_lowest(axis: Axes, found: Any, widths: Array) -> None:
    """Every distinct point, by its data set from left to right."""
    width, dataset, _ = np.nonzero(found.distinct)
    aside = 0.6 * dataset / found.distinct.shape[1] - 0.3
    lowest = found.lowest[found.distinct]
    axis.scatter(widths[width] + aside, lowest, s=6, color="black", alpha=0.4)
    axis.axhline(0, color="#994455", linestyle="--", label="minima lie above")
    axis.set_xticks(widths)
    symmetric_log(axis, 1e-4)


def _draw_outcomes(axis: Axes, found: Any, widths: Array) -> None:
    fractions = {}
    for width, ended in zip(widths, found.outcome, strict=True):
        count = np.bincount(ended.ravel(), minlength=len(OUTCOMES))
        fractions[f"{width} units"] = count / np.sum(count)
    stacked_fractions(axis, fractions, OUTCOMES)
