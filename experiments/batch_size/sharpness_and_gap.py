"""Do networks in sharper minima generalise worse?

The course explains by flat minima why small batches generalise better. `sharp_minima`
measures how sharp the networks are that batches of 2, of 50 and of 500 examples trained
to one training loss, each size at several rates. If sharpness is the reason, then
networks of one unit, which see the same examples, have a larger gap between held-out
and training loss the sharper they are. Spearman's ρ over sizes and rates, after each
unit's mean is removed from the gap and from the logarithm of the sharpness, exceeds
0.3, which is a tenth of the variance of ranks; if sharper networks generalise better it
is below -0.3, and within there is no effect that matters. Keskar's sharpness and the
Hessian's highest eigenvalue decide; further measures, and batches of one size, support.

A correlation is no cause: rate and size move both. But without it the explanation
fails. That the highest eigenvalue is related to the gap supports C070 too, by which
test losses are training losses displaced. Control: sizes and rates shuffled within
units, which must leave no relation. Units draw their weights, examples and order anew.
A size and rate at which a unit was censored is left out. Six units of seed 78 were seen
after the margins were fixed.

Claims: C069, C070.
Sources: Keskar et al. 2017, arXiv:1609.04836; Jiang et al. 2020, arXiv:1912.02178;
    Andriushchenko et al. 2023, arXiv:2302.07011.
Cost: seconds, after `sharp_minima`.
Expect: no relation, or one that differs between measures and data sets.
Run: jaxml run sharpness_and_gap
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import record
from jaxml.record import Assertion
from jaxml.record.figures import STYLES, Figure, label, panels, shared_legend
from jaxml.types import Keep

NEEDS = ("stopped_networks", "sharp_minima")
COURSES = ("8x8 digits", "clothing of 7x7 pixels")
NAMES = (
    "Keskar's sharpness (ε = 0.001)",
    "the Hessian's highest eigenvalue",
    "Keskar's sharpness (ε = 0.0005)",
    "the Hessian's trace",
    "relative flatness (high is sharp) of the last layer",
)
DECIDING = 2  # the first ones
EIGENVALUE = 1
RELATED = record.above(
    0.0, margin=0.3, reason="less is less than a tenth of the variance of ranks"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing is drawn but resamples of units."""

    seed: int = 0


SMOKE = Config()


class Result(NamedTuple):
    """Networks of judging units, nan where the target was not reached."""

    logs: Float[np.ndarray, "data measure size rate unit"]  # of sharpness
    gap: Float[np.ndarray, "data size rate unit"]  # held-out minus training loss
    sizes: np.ndarray  # [size], of batches
    weights: np.ndarray  # [data]
    seed: np.ndarray  # []


def study(
    config: Config, keep: Keep, stopped_networks: Any, sharp_minima: Any
) -> Result:
    """What both studies found, side by side."""
    del keep
    tuning = int(stopped_networks.tuning)
    found = (stopped_networks.digits, stopped_networks.clothing)
    gaps = [seen.test - seen.train for seen in found[: int(stopped_networks.data)]]
    return Result(
        logs=np.log(sharp_minima.measures),
        gap=np.stack(gaps)[..., tuning:].astype(np.float64),
        sizes=sharp_minima.sizes,
        weights=sharp_minima.weights,
        seed=np.array(config.seed),
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of each measure: over all sizes, over each, and the control."""
    found = []
    every = range(len(result.sizes))
    groups: list[Sequence[int]] = [every, *([size] for size in every)]
    for data, measure in product(range(len(result.gap)), range(len(NAMES))):
        decides = measure < DECIDING
        for sizes in groups if decides else [every]:
            found.append(_related(result, data, measure, sizes))
        if decides:
            found.append(_control(result, data, measure))
        if measure == EIGENVALUE:
            related = _related(result, data, measure, every)
            found.append(related._replace(claim="C070", role="supporting"))
    return tuple(found)


def _setting(result: Result, data: int, sizes: Sequence[int]) -> str:
    batches = " and ".join(str(result.sizes[size]) for size in sizes)
    return (
        f"{COURSES[data]}, dense network of {result.weights[data]:,} weights, "
        f"{result.sizes[-1]} examples, Adam, batches of {batches}, "
        f"{result.gap.shape[2]} rates"
    )


def _samples(
    result: Result, data: int, measure: int, sizes: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Sharpness and gap `[unit, network]`, where no unit was censored."""
    chosen = list(sizes)
    logs = np.concatenate(result.logs[data, measure, chosen])
    gaps = np.concatenate(result.gap[data, chosen])
    whole = np.all(np.isfinite(logs) & np.isfinite(gaps), axis=1)
    return logs[whole].T, gaps[whole].T


def _within_units(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's ρ of `[unit, network]`, each unit's mean removed."""
    first = x - np.mean(x, axis=1, keepdims=True)
    second = y - np.mean(y, axis=1, keepdims=True)
    return record.correlation(first.ravel(), second.ravel())


def _related(
    result: Result, data: int, measure: int, sizes: Sequence[int]
) -> Assertion:
    decides = measure < DECIDING and len(sizes) > 1
    role = record.deciding if decides else record.supporting
    correlated = partial(record.bootstrap, _within_units, seed=int(result.seed))
    return role(
        "C069",
        f"At equal training loss networks that are higher in {NAMES[measure]} have a "
        "higher held-out loss.",
        correlated(*_samples(result, data, measure, sizes)),
        RELATED,
        unit="correlation",
        setting=_setting(result, data, sizes),
    )


def _control(result: Result, data: int, measure: int) -> Assertion:
    sizes = range(len(result.sizes))
    logs, gaps = _samples(result, data, measure, sizes)
    rng = np.random.default_rng(int(result.seed))
    return record.supporting(
        "C069",
        f"At equal training loss networks that are higher in {NAMES[measure]} have a "
        "higher held-out loss, sizes and rates shuffled within units, the control.",
        record.bootstrap(_within_units, rng.permuted(logs, axis=1), gaps),
        RELATED,
        unit="correlation",
        setting=_setting(result, data, sizes),
    )


def figures(result: Result) -> dict[str, Figure]:
    """A point a network: the gap by what decides, units' means removed."""
    count = len(result.gap)
    figure, axes = panels(count, DECIDING)
    places = product(range(count), range(DECIDING))
    for axis, (data, measure) in zip(axes, places, strict=True):
        logs, gap = result.logs[data, measure], result.gap[data]
        centre = partial(np.nanmean, axis=(0, 1), keepdims=True)
        for size, batch in enumerate(result.sizes):
            style = STYLES[size]
            axis.scatter(
                (logs - centre(logs))[size],
                (gap - centre(gap))[size],
                s=12,
                color=style.colour,
                marker=style.marker,
                alpha=0.6,
                label=f"batches of {batch}",
            )
        x = f"log of {NAMES[measure]}, minus the unit's mean"
        label(axis, COURSES[data], x, "gap minus the unit's mean (nats)")
    shared_legend(figure)
    return {"gap": figure}
