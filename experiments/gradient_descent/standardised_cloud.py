"""Is a standardised cloud of data as wide along all axes?

The notes draw a cloud of data off the origin, stretched along one axis, and beside it
the same, less its mean and over its deviation: a ball around the origin (C163). What
decides is what follows from the definition, on two tables of measurements: means of 0
and deviations of 1 along the axes of the features, to rounding, which for the mean of n
numbers x over σ is at most n ε max |x| / σ. It could fail only by an error of ours.

What the drawing shows beside this supports: is the cloud as round as if its features
did not correlate? Standardising keeps correlations, so that it need not be. Round is
how much wider it is along its widest principal axis than along its narrowest; even
without correlations chance leaves some of that, so it is compared with a cloud of which
each feature is permuted on its own. Control of the first: features as given must be
off by more than rounding. `standardised_inputs` asks whether this is the form to train
on.

The notes' axes are read as those of the features, for which the ledger calls the claim
mathematical. Read as any direction it is another claim, which roundness is of. All
examples of a table are used; a unit of roundness is a permutation. Not tested: other
tables, whose roundness depends on their correlations.

Claims: C163.
Source: LeCun, Bottou, Orr and Müller 1998, "Efficient BackProp", section 4.3.
Cost: seconds.
Expect: deviations of 1; far from round.
Run: jaxml run standardised_cloud
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import problem, record
from jaxml.record import Assertion
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Keep

TABLES = {
    "13 measurements of 178 wines": problem.wine,
    "30 measurements of 569 tumours": problem.breast_cancer,
}
AS_ROUND = record.near(
    0.0, margin=float(np.log(1.25)), reason="a quarter is hardly seen in a picture"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Permutations, and their seed."""

    units: int = 20
    seed: int = 0


SMOKE = Config(units=2)


class Result(NamedTuple):
    """By table, in float64.

    Attributes:
        errors: of features as given and standardised: the largest distance of a mean
            from 0 or of a deviation from 1.
        allowed: what rounding may leave of them.
        width: of the standardised cloud, the largest deviation along a principal axis
            over the least.
        permuted: the same of each permutation.
    """

    errors: Float[np.ndarray, "table form"]
    allowed: Float[np.ndarray, " table"]
    width: Float[np.ndarray, " table"]
    permuted: Float[np.ndarray, "table unit"]


def study(config: Config, keep: Keep) -> Result:
    """In NumPy."""
    found = []
    for words, read in TABLES.items():
        cloud = np.asarray(read(dtype=np.float64).inputs)
        found.append(keep(words, partial(_of_cloud, config, cloud)))
    return Result(*map(np.array, zip(*found, strict=True)))


def _of_cloud(config: Config, features: np.ndarray) -> tuple[np.ndarray, ...]:
    """What Result holds, of features `[example, feature]`."""
    draw = np.random.default_rng(config.seed)
    deviations = features.std(axis=0)
    standardised = (features - features.mean(axis=0)) / deviations
    errors = [_error(features), _error(standardised)]
    largest = np.max(np.abs(features) / deviations)
    allowed = len(features) * np.finfo(np.float64).eps * largest
    shuffled = [draw.permuted(standardised, axis=0) for _ in range(config.units)]
    permuted = [_width(cloud) for cloud in shuffled]
    return tuple(map(np.array, (errors, allowed, _width(standardised), permuted)))


def _error(cloud: np.ndarray) -> float:
    """The largest distance of a mean from 0 or of a deviation from 1."""
    means, deviations = cloud.mean(axis=0), cloud.std(axis=0)
    return float(max(np.max(np.abs(means)), np.max(np.abs(deviations - 1))))


def _width(cloud: np.ndarray) -> float:
    """Its largest deviation along a principal axis over the least."""
    singular = np.linalg.svd(cloud - cloud.mean(axis=0), compute_uv=False)
    return float(singular[0] / singular[-1])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of both tables."""
    found = []
    for table, words in enumerate(TABLES):
        found += _of_table(result, table, f"all {words}, float64")
    return tuple(found)


def _of_table(result: Result, table: int, setting: str) -> Iterator[Assertion]:
    rows = (
        (record.supporting, "Control: features as given"),
        (record.deciding, "Standardised features"),
    )
    errors = result.errors[table, :, None]
    for (role, words), error in zip(rows, errors, strict=True):
        yield role(
            "C163",
            f"{words} have means of 0 and deviations of 1, to rounding.",
            record.largest(error),
            record.at_most(float(result.allowed[table])),
            unit="error",
            setting=setting,
        )
    yield record.supporting(
        "C163",
        "The cloud of standardised features, its widest principal axis over its "
        "narrowest, is as round as with each feature permuted on its own.",
        record.bootstrap(np.mean, _excess(result, table)),
        AS_ROUND,
        unit="log ratio",
        setting=setting,
    )


def _excess(result: Result, table: int) -> np.ndarray:
    """How much wider the cloud is than each permuted one, as a logarithm."""
    return np.log(result.width[table] / result.permuted[table])


def figures(result: Result) -> dict[str, Figure]:
    """How much wider the clouds are than without correlations."""
    figure, (axis,) = panels(1, 1, width=6.5, height=2.8)
    dots(axis, {name: _excess(result, k) for k, name in enumerate(TABLES)})
    margins(axis, AS_ROUND)
    label(axis, "Standardised clouds", "log of width over permuted width", "table")
    legend_below(axis)
    return {"clouds": figure}
