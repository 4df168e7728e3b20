"""What is the mean absolute error of two days, and may a loss be negative?

The course measures a line by the mean of |e|, e being the forecast minus the views. It
works one example, 5.3 for 4.9 and 5.4 for 7.5 thousand, which err by 0.4 and 2.1; and
says that a loss may be negative, as |e| - 100.

- C010 is arithmetic: the library's error of these two days, by the line 0.5 + x from
  4.8 and 4.9. Control: the squared error, which is not their mean.
- C014 is calculus: gradients over w and b of the mean of |e| - 100, on views of the
  page R in 2012 at 441 lines, equal those of the mean of |e|, and the loss is negative
  at its least. Control: 100 taken off e, which must change gradients.

Nothing is random. Changed in review: C011 is a study of its own, mean_and_median.

Claims: C010, C014.
Sources: Taylor and Letham 2018, The American Statistician 72 (the views).
Cost: 3 seconds on 2 cores, compilation included.
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
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Batch, Keep, Scalar

TODAY, TOMORROW = (4.8, 4.9), (4.9, 7.5)  # the course's two days, in thousands
WORKED = np.array([1.0, 0.5])  # w, b
ERRORS = np.array([0.4, 2.1])
CONSTANT = 100.0  # the course's
SLOPES, OFFSETS = np.linspace(0.0, 1.0, 21), np.linspace(-1.0, 1.0, 21)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Views of so many days; nothing is drawn."""

    last: str = "2012-12-30"


SMOKE = Config(last="2012-03-31")


class Result(NamedTuple):
    """Losses and gradients.

    Attributes:
        worked: errors of the two days, their mean absolute and mean squared error.
        gradients: of the mean of |e|, of |e| - 100, of |e - 100|, by line, w and b.
        losses: the first two, by line.
    """

    worked: Float[np.ndarray, " four"]
    gradients: Float[np.ndarray, "three line 2"]
    losses: Float[np.ndarray, "two line"]


def study(config: Config, keep: Keep) -> Result:
    """Gradients by JAX in float64."""
    with jax.enable_x64(True):
        losses, gradients = keep("gradients", partial(_subtracted, config.last))
        worked = keep("worked", _worked)
    return Result(worked=worked, gradients=gradients, losses=losses)


def _worked() -> Float[np.ndarray, " four"]:
    """By the library's losses."""
    today, tomorrow = np.array(TODAY)[:, None], np.array(TOMORROW)[:, None]
    forecasts = jnp.asarray(WORKED[0] * today + WORKED[1])
    errors = problem.mae(forecasts, tomorrow)
    squared = problem.mse(forecasts, tomorrow)
    return np.array([*errors, jnp.mean(errors), jnp.mean(squared)])


def _subtracted(last: str) -> tuple[np.ndarray, np.ndarray]:
    """Losses and gradients at every line of the grid."""
    batch = problem.next_days(problem.page_views("R"), "2012-01-01", last)
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


def findings(result: Result) -> tuple[Assertion, ...]:
    """Exact ones first."""
    return (
        *_arithmetic(result),
        *_negative(result),
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
            "The mean of |e| - 100 is least at the line at which the mean of |e| is: "
            "places between.",
            record.largest(np.array([np.ptp(least)])),
            record.at_most(0.0),
            unit="count",
            setting=setting,
        ),
        record.deciding(
            "C014",
            "The least mean of |e| - 100 is negative.",
            record.certain(np.min(result.losses[1])),
            record.below(0.0),
            unit="loss",
            setting=setting,
        ),
        finding(
            "Control: the gradient of the mean of |e - 100| equals that of the mean of "
            "|e|: largest difference.",
            record.largest(other - plain),
            record.at_most(1e-12),
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Both losses along the best slope."""
    slope = np.argmin(result.losses[0]) % len(SLOPES)
    along = result.losses.reshape(2, len(OFFSETS), len(SLOPES))[:, :, slope]
    figure, (axis,) = panels(1, 1, width=5.0, height=3.6)
    axis.plot(OFFSETS, along[0], label="mean of |e|")
    axis.plot(OFFSETS, along[1] + CONSTANT, "k:", label="mean of |e| - 100, plus 100")
    label(axis, "The best slope on the grid", "b (thousands)", "loss (thousands)")
    legend_below(axis, columns=1)
    return {"losses": figure}
