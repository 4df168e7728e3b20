"""Are more random neurons always better, or worse where they just fit every example?

The notes say that in theory more neurons are always better and only hardware sets a
limit; elsewhere the same course says that flexible models overfit. `trained_widths`
asks it of networks of which every weight is trained, and decides. Here the neurons are
ReLUs with random weights, and only the last layer is fitted, by least squares: so
nothing hangs on an optimizer, and each width has one solution, that of least norm. That
is a neighbouring question, so its findings are supporting ones. 200 pictures are
fitted, the labels of a fifth of them drawn anew.

- On held-out pictures with clean labels, 200 neurons, as many as examples, are compared
  with 50. If more were always better, the error would not rise; if fitting every
  label needs all of 200 badly conditioned neurons, it rises steeply, and falls again
  beyond: double descent.
- The control holds the width apart from the fit. Ridge regression need not fit every
  label, and its strength is chosen on 500 other pictures, anew for each width and unit.
  If width itself did harm, some width would be worse than a narrower one here, too: the
  largest rise from any width to any wider one is judged.

On the examples themselves least squares of more neurons cannot be worse, since a zero
weight silences one: an identity, which the figure shows and no finding claims.

A ratio of squared errors of 5 % is the least that would change a choice of width. A
unit draws pictures, labels, and neurons anew; six units of the seed 77 had a standard
deviation of the first log ratio of 0.9 on digits and 2.0 on clothing, about means of 7,
and the ratio with ridge one of 0.04 about -0.11 on clothing, so that 40 units leave
half-widths of 0.3, 0.7 and 0.02.

Not tested: classification losses, more data.

Claims: C028.
Sources: Belkin et al. 2019, arXiv:1812.11118; Nakkiran et al. 2021, arXiv:2003.01897.
Cost: 22 seconds on 2 cores, compilation included.
Expect: worse at 200 than at 50 without ridge, at no width with it.
Run: jaxml run double_descent
"""

from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, band, label, panels, shared_legend
from jaxml.types import Batch, Keep

DATA = ("8x8 digits", "clothing of 7x7 pixels")
EXAMPLES, OTHERS, CLASSES = 200, 500, 10
NARROW, MANY = 50, 2048
NOISE = 0.2  # the fraction of labels that are drawn anew
RIDGES = 10.0 ** np.arange(-4, 4.5, 0.5)
NEGLIGIBLE = 1e-10  # a singular value relative to the largest
MARGIN, REASON = 0.05, "5 % of a squared error changes no choice of a width"
LOWER = record.below(0.0, margin=MARGIN, reason=REASON)
NEVER_WORSE = record.below(
    np.log(1 + MARGIN), margin=0.01, reason="nobody tells 5 % from 4 or 6 %"
)
PARTS = ("examples", "held-out pictures", "held-out pictures, ridge")
TRAIN, HELD_OUT, RIDGE = range(len(PARTS))


@dataclass(frozen=True, kw_only=True)
class Config:
    """Widths, units, and pictures of clothing to draw from; the first data sets."""

    widths: tuple[int, ...] = (10, 25, NARROW, 100, 150, EXAMPLES, 250, 400, 800, MANY)
    units: int = 40
    pool: int = 10_000
    data: int = len(DATA)
    seed: int = 0


SMOKE = Config(widths=(NARROW, EXAMPLES, MANY), units=2, data=1)


class Result(NamedTuple):
    """Squared errors.

    Attributes:
        errors: means over pictures and classes, of PARTS.
        accuracy: on held-out pictures, without ridge.
        widths: neurons.
    """

    errors: Float[np.ndarray, "data part width unit"]
    accuracy: Float[np.ndarray, "data width unit"]
    widths: Int[np.ndarray, " width"]


class Unit(NamedTuple):
    """Neurons' outputs and targets of examples, held-out pictures, and others."""

    outputs: Float[np.ndarray, "picture neuron"]
    targets: Float[np.ndarray, "picture class"]


def study(config: Config, keep: Keep) -> Result:
    """Closed forms in float64."""
    rows = []
    for name, data in zip(DATA[: config.data], _data(config), strict=True):
        rows.append(keep(name, partial(_of_data, config, data)))
    found = np.stack(rows)
    widths = np.array(config.widths)
    return Result(found[:, : len(PARTS)], found[:, len(PARTS)], widths)


def _data(config: Config) -> list[Batch]:
    sets = [problem.digits()]
    if config.data > 1:
        sets.append(problem.small_clothing(config.pool))
    return sets


def _of_data(config: Config, data: Batch) -> Float[np.ndarray, "quantity width unit"]:
    seeds = randomness.seeds(config.seed, config.units)
    units = [_unit(config, data, seed) for seed in seeds]
    by_unit = [[_fitted(unit, width) for width in config.widths] for unit in units]
    return np.transpose(by_unit)


def _unit(config: Config, data: Batch, seed: int) -> Unit:
    """Pictures, labels and neurons of one unit."""
    draws = np.random.default_rng(seed)
    chosen = draws.permutation(len(data.targets))[: EXAMPLES + 2 * OTHERS]
    pixels = np.asarray(data.inputs, np.float64)[chosen]
    labels = np.asarray(data.targets)[chosen]
    noisy = np.flatnonzero(draws.uniform(size=EXAMPLES) < NOISE)
    labels[noisy] = draws.integers(CLASSES, size=len(noisy))
    centred = pixels - pixels[:EXAMPLES].mean(axis=0)
    kernel = draws.normal(size=(pixels.shape[1], max(config.widths)))
    outputs = np.maximum(centred @ kernel / np.sqrt(len(kernel)), 0)
    return Unit(outputs, np.eye(CLASSES)[labels] - 1 / CLASSES)


def _fitted(unit: Unit, width: int) -> np.ndarray:
    """Errors of PARTS, and the held-out accuracy, of the first neurons."""
    examples, held_out, others = (
        Unit(*(rows[part] for rows in (unit.outputs[:, :width], unit.targets)))
        for part in (
            slice(EXAMPLES),
            slice(EXAMPLES, EXAMPLES + OTHERS),
            slice(EXAMPLES + OTHERS, None),
        )
    )
    left, sizes, right = np.linalg.svd(examples.outputs, full_matrices=False)
    along = left.T @ examples.targets
    safe = sizes > NEGLIGIBLE * sizes[0]
    inverse = np.where(safe, 1 / np.where(safe, sizes, 1), 0)
    weights = right.T @ (inverse[:, None] * along)
    ridges = [
        right.T @ ((sizes / (sizes**2 + ridge))[:, None] * along) for ridge in RIDGES
    ]
    chosen = min(ridges, key=partial(_error, others))
    guesses = (held_out.outputs @ weights).argmax(axis=1)
    accuracy = np.mean(guesses == held_out.targets.argmax(axis=1))
    return np.array(
        [
            _error(examples, weights),
            _error(held_out, weights),
            _error(held_out, chosen),
            accuracy,
        ]
    )


def _error(pictures: Unit, weights: np.ndarray) -> float:
    return float(np.mean((pictures.outputs @ weights - pictures.targets) ** 2))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Log ratios of squared errors at two widths, paired by unit."""
    found: list[Assertion] = []
    for data, errors in enumerate(result.errors):
        setting = (
            f"{DATA[data]}, {EXAMPLES} examples with {NOISE:.0%} of labels drawn anew, "
            "random ReLUs, last layer by least squares"
        )
        found += _compared(result, errors, setting)
    return tuple(found)


def _compared(
    result: Result, errors: np.ndarray, setting: str
) -> tuple[Assertion, ...]:
    places = {width: place for place, width in enumerate(result.widths.tolist())}

    def ratio(part: int, wide: int, narrow: int) -> record.Interval:
        logs = np.log(errors[part, [places[wide], places[narrow]]])
        return record.bootstrap(np.mean, logs[0] - logs[1])

    widths = ", ".join(f"{width:,}" for width in result.widths)
    least = f"{setting}, weights of least norm"
    ridge = f"{setting}, ridge chosen on {OTHERS} other pictures"
    supporting = partial(record.supporting, "C028", unit="log ratio")
    return (
        supporting(
            f"{EXAMPLES} random neurons, as many as examples, have a lower squared "
            f"error on held-out pictures than {NARROW}.",
            ratio(HELD_OUT, EXAMPLES, NARROW),
            LOWER,
            setting=least,
        ),
        supporting(
            f"{MANY:,} random neurons have a lower squared error on held-out pictures "
            f"than {NARROW}.",
            ratio(HELD_OUT, MANY, NARROW),
            LOWER,
            setting=least,
        ),
        supporting(
            f"{MANY:,} random neurons have a lower squared error on held-out pictures "
            f"than {NARROW}.",
            ratio(RIDGE, MANY, NARROW),
            LOWER,
            setting=ridge,
        ),
        supporting(
            "No number of random neurons has a squared error on held-out pictures more "
            "than 5 % above that of a lower one: largest rise of the mean log error.",
            record.bootstrap(_largest_rise, np.log(errors[RIDGE]).T),
            NEVER_WORSE,
            setting=f"{ridge}, {widths} neurons",
        ),
    )


def _largest_rise(logs: Float[np.ndarray, "unit width"]) -> float:
    """Of the mean over units, from a width to any wider one."""
    means = logs.mean(axis=0)
    return float(max(wide - narrow for narrow, wide in combinations(means, 2)))


def figures(result: Result) -> dict[str, Figure]:
    """Errors and accuracies by width, a band of units each."""
    sets = len(result.errors)
    figure, axes = panels(sets, 2, width=5.0, height=3.6)
    for data in range(sets):
        errors, accuracy = axes[2 * data : 2 * data + 2]
        for part in (HELD_OUT, RIDGE, TRAIN):
            values = np.maximum(result.errors[data, part], 1e-6)
            band(errors, result.widths, values, PARTS[part])
        errors.set_yscale("log")
        label(errors, DATA[data], "neurons", "squared error")
        band(accuracy, result.widths, result.accuracy[data], PARTS[HELD_OUT])
        label(accuracy, DATA[data], "neurons", "held-out accuracy")
        for axis in (errors, accuracy):
            _marked(axis)
    shared_legend(figure)
    return {"descent": figure}


def _marked(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.axvline(EXAMPLES, color="0.4", linestyle=":", label="as many as examples")
