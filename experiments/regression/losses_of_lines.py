"""What do the mean absolute and the mean squared error say, and what can be subtracted?

The course measures a line by the mean of |e|, e being the forecast minus the views. It
works one example, 5.3 for 4.9 and 5.4 for 7.5 thousand, which err by 0.4 and 2.1; names
the mean of e² as another choice; and says that a loss may be negative, as |e| - 100.

- C010 is arithmetic: the library's error of these two days, by the line 0.5 + x from
  4.8 and 4.9. Control: the squared error, which is not their mean.
- C014 is calculus: gradients over w and b of the mean of |e| - 100, on views of the
  page R in 2012 at 441 lines, equal those of the mean of |e|, and the loss is negative
  at its least. Control: 100 taken off e, which must change gradients.
- C011, of minimisers, is a theorem: on 20 skewed samples of 101 numbers, bisection of
  the loss's own derivative must end at the median and at the mean. Control: each at the
  other's. Ten times the largest number must leave the former where it is; control: the
  latter. Beside it, on pages: ten times the views of one day that is forecast, drawn at
  random, move the slope of least squares by more than that of least absolute error; a
  twentieth matters. Units are half-years of a page, which share no day. An outlier
  among the days that are given may move both. Short runs of seed 7 had shown before
  that Peyton Manning's days of many views leave one more outlier little to move: 0.01.

Not tested: that the loss of probabilities is cross-entropy, which C011 ends with: that
is a choice, for other losses have the same minimiser.

Claims: C010, C011, C014.
Sources: Koenker and Bassett 1978, Econometrica 46; Taylor and Letham 2018, The American
    Statistician 72 (the views).
Cost: 8 seconds on 2 cores.
Expect: all hold.
Run: jaxml run losses_of_lines
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import problem, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels, strips
from jaxml.types import Array, Batch, Keep, Scalar

TODAY, TOMORROW = (4.8, 4.9), (4.9, 7.5)  # the course's two days, in thousands
WORKED = np.array([1.0, 0.5])  # w, b
ERRORS = np.array([0.4, 2.1])
CONSTANT = 100.0  # the course's
SAMPLES, NUMBERS = 20, 101
TIMES = 10.0  # an outlier's views over its day's
SLOPES, OFFSETS = np.linspace(0.0, 1.0, 21), np.linspace(-1.0, 1.0, 21)
SQUARED, ABSOLUTE = range(2)
MOVES = record.above(0.0, margin=0.05, reason="half of a slope's tenth")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Half-years of each page, two a year."""

    years: int = 8
    seed: int = 0


SMOKE = Config(years=1)


class Result(NamedTuple):
    """Losses, gradients, minimisers and slopes.

    Attributes:
        worked: errors of the two days, their mean absolute and mean squared error.
        gradients: of the mean of |e|, of |e| - 100, of |e - 100|, by line, w and b.
        losses: the first two, by line.
        minimisers: of squared and absolute error, by sample.
        raised: of the same, the largest number of each being ten times as large.
        means: of the samples.
        medians: of the samples.
        moved: by how much an outlier that is forecast moves the slope, by loss.
        given: by how much one among the days that are given does.
    """

    worked: Float[np.ndarray, " four"]
    gradients: Float[np.ndarray, "three line 2"]
    losses: Float[np.ndarray, "two line"]
    minimisers: Float[np.ndarray, "two sample"]
    raised: Float[np.ndarray, "two sample"]
    means: Float[np.ndarray, " sample"]
    medians: Float[np.ndarray, " sample"]
    moved: Float[np.ndarray, "page two unit"]
    given: Float[np.ndarray, "page two unit"]


def study(config: Config, keep: Keep) -> Result:
    """Gradients by JAX in float64, fits by NumPy and a linear program."""
    with jax.enable_x64(True):
        losses, gradients = keep("gradients", _subtracted)
        worked = keep("worked", _worked)
    rng = np.random.default_rng(config.seed)
    samples = rng.lognormal(size=(SAMPLES, NUMBERS))
    raised = samples.copy()
    raised[np.arange(SAMPLES), np.argmax(samples, axis=1)] *= TIMES
    moved, given = keep("outliers", partial(_outliers, config))
    return Result(
        worked=worked,
        gradients=gradients,
        losses=losses,
        minimisers=_minimisers(samples),
        raised=_minimisers(raised),
        means=np.mean(samples, axis=1),
        medians=np.median(samples, axis=1),
        moved=moved,
        given=given,
    )


def _worked() -> Float[np.ndarray, " four"]:
    """By the library's losses."""
    today, tomorrow = np.array(TODAY)[:, None], np.array(TOMORROW)[:, None]
    forecasts = jnp.asarray(WORKED[0] * today + WORKED[1])
    errors = problem.mae(forecasts, tomorrow)
    squared = problem.mse(forecasts, tomorrow)
    return np.array([*errors, jnp.mean(errors), jnp.mean(squared)])


def _subtracted() -> tuple[np.ndarray, np.ndarray]:
    """Losses and gradients at every line of the grid."""
    batch = problem.next_days(problem.page_views("R"), "2012-01-01", "2012-12-30")
    slopes, offsets = np.meshgrid(SLOPES, OFFSETS)
    lines = np.stack([slopes.ravel(), offsets.ravel()], axis=1)
    shifted = batch._replace(targets=np.asarray(batch.targets) + CONSTANT)

    def lowered(params: Array, batch: Batch) -> Scalar:
        forecasts = params[0] * batch.inputs + params[1]
        return jnp.mean(problem.mae(forecasts, batch.targets) - CONSTANT)

    def evaluated(
        loss: Callable[[Array, Batch], Scalar], batch: Batch
    ) -> tuple[np.ndarray, np.ndarray]:
        at = jax.vmap(jax.value_and_grad(loss), (0, None))
        values, gradients = at(jnp.asarray(lines), batch)
        return np.asarray(values), np.asarray(gradients)

    plain, gradient = evaluated(problem.absolute_error, batch)
    below, same = evaluated(lowered, batch)
    _, other = evaluated(problem.absolute_error, shifted)
    return np.stack([plain, below]), np.stack([gradient, same, other])


def _twice(residuals: np.ndarray) -> np.ndarray:
    """The derivative of the square."""
    return 2 * residuals


def _sign(residuals: np.ndarray) -> np.ndarray:
    """The derivative of the absolute value."""
    return np.sign(residuals)


def _minimisers(samples: np.ndarray) -> Float[np.ndarray, "two sample"]:
    """Of squared and of absolute error."""
    squared = [_minimiser(_twice, sample) for sample in samples]
    absolute = [_minimiser(_sign, sample) for sample in samples]
    return np.array([squared, absolute])


def _minimiser(
    derivative: Callable[[np.ndarray], np.ndarray], sample: np.ndarray
) -> float:
    """Of the mean loss of a constant, by bisection of its derivative."""
    low, high = float(np.min(sample)), float(np.max(sample))
    for _ in range(60):
        middle = (low + high) / 2
        rising = np.sum(derivative(middle - sample)) > 0
        low, high = (low, middle) if rising else (middle, high)
    return (low + high) / 2


def _outliers(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """How far slopes move, by page, loss and half-year."""
    moved, given = [], []
    rng = np.random.default_rng([config.seed, 1])
    for page in problem.PAGES:
        halves = problem.half_years(problem.page_views(page), 2008, config.years)
        targets, inputs = [], []
        for batch in halves:
            factor = np.ones((len(batch.weights), 1))
            factor[rng.integers(len(factor))] = TIMES
            before = _slopes(batch)
            forecast = batch._replace(targets=factor * batch.targets)
            known = batch._replace(inputs=factor * batch.inputs)
            targets.append(np.abs(_slopes(forecast) - before))
            inputs.append(np.abs(_slopes(known) - before))
        moved.append(np.stack(targets, axis=1))
        given.append(np.stack(inputs, axis=1))
    return np.stack(moved), np.stack(given)


def _slopes(batch: Batch) -> Float[np.ndarray, " two"]:
    """Of least squares and of least absolute error."""
    squared, _ = problem.least_squares(batch)
    absolute, _ = problem.least_absolute_line(batch)
    return np.array([squared, absolute])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Exact ones first."""
    return (
        *_arithmetic(result),
        *_negative(result),
        *_minimised(result),
        *_moved(result),
    )


def _arithmetic(result: Result) -> tuple[Assertion, ...]:
    """C010."""
    expected = np.append(ERRORS, np.mean(ERRORS))
    squared = result.worked[-1] - np.mean(ERRORS)
    setting = "the course's two days, forecast by 0.5 thousand plus the day before"
    return (
        record.deciding(
            "C010",
            "The errors are 0.4 and 2.1 thousand, and the mean absolute error is their "
            "mean, 1.25: largest difference.",
            record.largest(result.worked[:3] - expected),
            record.at_most(1e-12),
            unit="error",
            setting=setting,
        ),
        record.supporting(
            "C010",
            "Control: the mean squared error is the mean of both errors: difference.",
            record.largest(np.array([squared])),
            record.at_most(1e-12),
            unit="error",
            setting=setting,
        ),
    )


def _negative(result: Result) -> tuple[Assertion, ...]:
    """C014."""
    plain, lowered, other = result.gradients
    setting = f"views of the page R in 2012, {len(plain)} lines from one day"
    finding = partial(record.supporting, "C014", setting=setting, unit="error")
    least = np.argmin(result.losses, axis=1)
    return (
        record.deciding(
            "C014",
            "The gradient of the mean of |e| - 100 equals that of the mean of |e|: "
            "largest difference.",
            record.largest(lowered - plain),
            record.at_most(1e-12),
            unit="error",
            setting=setting,
        ),
        record.deciding(
            "C014",
            "The mean of |e| - 100 is negative where it is least, and least where the "
            "mean of |e| is: lines between, plus 1 if it is not negative.",
            record.largest(
                np.array([np.ptp(least) + float(np.min(result.losses[1]) >= 0)])
            ),
            record.at_most(0.0),
            unit="count",
            setting=setting,
        ),
        finding(
            "Control: the gradient of the mean of |e - 100| equals that of the mean of "
            "|e|: largest difference.",
            record.largest(other - plain),
            record.at_most(1e-12),
        ),
    )


def _minimised(result: Result) -> tuple[Assertion, ...]:
    """C011, the theorem."""
    setting = f"{SAMPLES} log-normal samples of {NUMBERS} numbers, bisection"
    squared, absolute = result.minimisers
    least = "The constant of least mean {} error of a skewed sample is its {}: largest "
    finding = partial(record.deciding, "C011", unit="distance", setting=setting)
    control = partial(record.supporting, "C011", unit="distance", setting=setting)
    near = record.at_most(1e-9)
    return (
        finding(
            f"{least.format('squared', 'mean')}distance.",
            record.largest(squared - result.means),
            near,
        ),
        finding(
            f"{least.format('absolute', 'median')}distance.",
            record.largest(absolute - result.medians),
            near,
        ),
        finding(
            "Ten times the largest number of a sample leave its constant of least mean "
            "absolute error where it is: largest distance.",
            record.largest(result.raised[ABSOLUTE] - absolute),
            near,
        ),
        control(
            "Control: ten times the largest number of a sample leave its constant of "
            "least mean squared error where it is: largest distance.",
            record.largest(result.raised[SQUARED] - squared),
            near,
        ),
        control(
            f"Control: {least.format('absolute', 'mean')}distance.",
            record.largest(absolute - result.means),
            near,
        ),
    )


def _moved(result: Result) -> list[Assertion]:
    """C011, outliers."""
    found = []
    for page, moved, given in zip(
        problem.PAGES, result.moved, result.given, strict=True
    ):
        setting = f"{moved.shape[1]} half-years of daily views of the page {page}"
        further = "moves the slope of least squares further than that of least absolute"
        found += [
            record.supporting(
                "C011",
                f"Ten times the views of one day that is forecast {further} error: "
                "difference of distances.",
                record.paired(moved[SQUARED], moved[ABSOLUTE]),
                MOVES,
                unit="difference",
                setting=setting,
                figure="outliers",
            ),
            record.supporting(
                "C011",
                f"Ten times the views of one day that is given {further} error: "
                "difference of distances.",
                record.paired(given[SQUARED], given[ABSOLUTE]),
                MOVES,
                unit="difference",
                setting=setting,
                figure="outliers",
            ),
        ]
    return found


def figures(result: Result) -> dict[str, Figure]:
    """Minimisers of skewed samples; slopes that an outlier moves."""
    figure, axes = panels(1, 2, width=4.6, height=3.8)
    squared, absolute = result.minimisers
    axes[0].scatter(result.means, squared, s=14, label="squared error, mean")
    axes[0].scatter(
        result.medians, absolute, s=14, marker="^", label="absolute error, median"
    )
    axes[0].axline((1.0, 1.0), slope=1, color="0.4", linestyle=":")
    label(axes[0], "A point a sample", "mean or median", "constant of least error")
    legend_below(axes[0], columns=1)
    samples = {}
    for page, moved in zip(("R", "Manning"), result.moved, strict=True):
        samples[f"{page}, squared"] = moved[SQUARED]
        samples[f"{page}, absolute"] = moved[ABSOLUTE]
    strips(axes[1], samples)
    label(axes[1], "One day, ten times its views", "a point a half-year", "change of w")
    return {"outliers": figure}
