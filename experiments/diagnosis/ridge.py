"""Does an ℓ₂ penalty smooth and help until it is too large, and spare the bias?

The course prints errors of polynomials of many features of Pokémon by the weight λ of
the penalty: training 1.9 to 8.5, rising all along; test 102.3 down to 11.1 at λ = 100
and up to 26.8 at 10⁵. Those data are not published. The shape is looked for in two
works of our own, one in closed form at every λ:

- *Polynomial*: 20 points of a cubic plus 3, with noise, in Legendre's polynomials up to
  degree 12, by least squares, judged by the root mean square error on 500 others;
- *Digits*: softmax regression of 100 8x8 digits, a fifth of whose labels are drawn
  anew, judged by cross-entropy on 600 others with right labels. It is trained by 1,000
  updates of Nesterov's gradient descent, for without a penalty there is no minimum.
  With right labels and 300 updates a first look at seed 50 found little to gain.

Three parts of C038 decide: the penalty *smooths* (a polynomial's mean square of the
second derivative, at the λ of least test error, is less than half of that without a
penalty); it *lowers the test error*, at its best λ, tuned on other units; and that
*until it becomes too large*, at 10⁵ for the polynomial and 10 for the digits, where the
error exceeds that at the best λ. If a penalty does not help, the best λ ties
with none, which is not in its grid. The control has as many parameters as it needs: a
cubic on 500 points, where the best penalty must not lower the test error.

*The bias*: the course leaves it out since it does not bend the function. That is so by
definition. Whether it matters is measured: with the bias in the penalty the error at
the best λ is higher, or is not. The polynomial's mean is 3, so that there is something
to lose. It supports, for the course claims no loss.

A unit draws its points, or its digits, anew; 10 tune, 20 judge. A twentieth of the
error is what half as many points again would change by much more. Units of the seed 50
placed the λ, whose step is a factor of 2 or less around the best.

Not tested: the course's own data; deep networks (`remedies` has one).

Claims: C038.
Source: Hoerl and Kennard 1970, Technometrics 12.
Cost: 15 seconds on 2 cores, compilation included.
Expect: all as the course says; the bias matters in the polynomial alone.
Run: jaxml run ridge
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.figures import Figure, band, label, legend_below, panels
from jaxml.types import Batch, Keep, Params

WORKS = ("polynomial", "digits", "control")
SPARED, PENALISED = range(2)  # the bias
DEGREE, CUBIC = 12, 3
OFFSET, SPREAD = 3.0, 0.5  # of the cubic, and of its noise
LEAST = (1e-2, 5e-4, 1e-2)  # of the λ
POINTS = 2.0 ** np.arange(13)
NOISE = 0.2  # fraction of training labels that are drawn anew among all classes
TOO_LARGE = (1e5, 10.0, 1e5)
COURSE = np.array([0, 1, 10, 1e2, 1e3, 1e4, 1e5])
COURSE_TRAINING = np.array([1.9, 2.3, 3.5, 4.1, 5.6, 6.3, 8.5])
COURSE_TEST = np.array([102.3, 68.7, 25.7, 11.1, 12.8, 18.7, 26.8])
SMALLER = record.below(0.0, margin=0.05, reason="a twentieth of the error")
LARGER = record.above(0.0, margin=0.05, reason="a twentieth of the error")
HALVED = record.below(
    float(np.log(0.5)), margin=0.05, reason="a twentieth of the curvature"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Points and units."""

    points: int = 20
    many: int = 500
    test: int = 500
    tuning: int = 10
    judging: int = 20
    seed: int = 0


SMOKE = Config(tuning=1, judging=2)


class Result(NamedTuple):
    """By work of WORKS. The λ are none, those of the grid, and one too large.

    Attributes:
        training: errors.
        test: likewise.
        bend: mean square of the second derivative, of the polynomial.
        penalties: λ of each.
        counts: points or digits of each.
        tuning: how many of the units tune.
    """

    training: Float[np.ndarray, "work bias penalty unit"]
    test: Float[np.ndarray, "work bias penalty unit"]
    bend: Float[np.ndarray, "bias penalty unit"]
    penalties: Float[np.ndarray, "work penalty"]
    counts: np.ndarray
    tuning: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """Least squares by NumPy, in float64; one program for the digits."""
    penalties = np.stack(
        [
            np.concatenate([[0.0], least * POINTS, [large]])
            for least, large in zip(LEAST, TOO_LARGE, strict=True)
        ]
    )
    first, second, third = penalties
    polynomial = _polynomials(config, first, config.points, DEGREE)
    digits = keep("digits", partial(_digits, config, second))
    control = _polynomials(config, third, config.many, CUBIC)
    works = polynomial, digits, control
    return Result(
        training=np.stack([each[0] for each in works]),
        test=np.stack([each[1] for each in works]),
        bend=polynomial[2],
        penalties=penalties,
        counts=np.array([config.points, config.digits, config.many]),
        tuning=np.array(config.tuning),
    )


def _pairs(penalties: np.ndarray) -> np.ndarray:
    """λ of the weights and of the bias, which is spared first, then not."""
    spared = np.stack([penalties, np.zeros_like(penalties)], axis=1)
    penalised = np.stack([penalties, penalties], axis=1)
    return np.concatenate([spared, penalised])


def _polynomials(
    config: Config, penalties: np.ndarray, count: int, degree: int
) -> Float[np.ndarray, "quantity bias penalty unit"]:
    """Training error, test error and bend of every unit."""
    each = []
    for seed in randomness.seeds(config.seed, config.tuning + config.judging):
        points = problem.cubic_points(
            count + config.test, offset=OFFSET, spread=SPREAD, seed=seed
        )
        train, test = _parts_of(points, count)
        each.append(problem.ridge_path(train, test, degree, _pairs(penalties)))
    return np.stack(each, axis=-1).reshape(3, 2, len(penalties), -1)


def _parts_of(batch: Batch, count: int) -> tuple[Batch, Batch]:
    """The first examples, which train, and the others."""
    train = jax.tree.map(lambda field: field[:count], batch)
    return train, jax.tree.map(lambda field: field[count:], batch)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of both works all parts; of the control that there is nothing to gain."""
    return (
        *_parts(result, 0),
        *_parts(result, 1),
        *_parts(result, 2),
        _smoothing(result),
    )


def _setting(result: Result, place: int) -> str:
    count = result.counts[place]
    if WORKS[place] == "digits":
        return (
            f"softmax regression of {count} 8x8 digits, a fifth of whose labels are "
            "drawn anew, cross-entropy"
        )
    degree = DEGREE if WORKS[place] == "polynomial" else CUBIC
    return (
        f"{count} points of a cubic plus {OFFSET:g} with noise of deviation "
        f"{SPREAD:g}, polynomial of degree {degree} by least squares"
    )


def _arms(values: np.ndarray, scores: np.ndarray) -> tuple[Arm, Arm, Arm]:
    """Logs of values without a penalty, at the λ of a grid that scores tune, and at one
    too large.
    """
    logs = np.log(values)
    edges = np.isin(np.arange(len(POINTS)), [len(POINTS) - 1])  # below is no penalty
    return Arm(logs[:1]), Arm(logs[1:-1], np.log(scores)[1:-1], edges), Arm(logs[-1:])


def _parts(result: Result, place: int) -> list[Assertion]:
    ratio = partial(record.tuned, record.mean_difference, tuning=int(result.tuning))
    about = {"unit": "log ratio", "setting": _setting(result, place)}
    spared, penalised = result.test[place]
    none, best, large = _arms(spared, spared)
    _, with_bias, _ = _arms(penalised, penalised)
    helps = (
        "An L2 penalty without the bias, its weight tuned, lowers the test error: log "
        "of it over that without a penalty."
    )
    harms = (
        f"An L2 penalty of weight {TOO_LARGE[place]:g} has a higher test error than "
        "one of tuned weight: log of the first over the second."
    )
    spares = (
        "With the bias in an L2 penalty of tuned weight the test error is higher than "
        "with the bias left out: log of the first over the second."
    )
    if WORKS[place] == "control":
        control = f"Control, many points and no needless degree: {helps}"
        return [record.supporting("C038", control, ratio(best, none), SMALLER, **about)]
    return [
        record.deciding("C038", helps, ratio(best, none), SMALLER, **about),
        record.deciding("C038", harms, ratio(large, best), LARGER, **about),
        record.supporting("C038", spares, ratio(with_bias, best), LARGER, **about),
    ]


def _smoothing(result: Result) -> Assertion:
    """Of the polynomial, at the λ of least test error."""
    none, best, _ = _arms(result.bend[SPARED], result.test[0, SPARED])
    return record.deciding(
        "C038",
        "An L2 penalty without the bias, of the weight of least test error, makes the "
        "mean square of the second derivative less than half of that without a "
        "penalty: log of the ratio.",
        record.tuned(record.mean_difference, best, none, tuning=int(result.tuning)),
        HALVED,
        unit="log ratio",
        setting=_setting(result, 0),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Errors by λ, how much the polynomial bends, and the course's table."""
    figure, axes = panels(1, 4, width=4.4, height=3.8)
    polynomial, digits, bend, course = axes
    for place, axis in enumerate((polynomial, digits)):
        drawn = partial(band, axis, result.penalties[place, 1:])
        drawn(result.training[place, SPARED, 1:], "training")
        drawn(result.test[place, SPARED, 1:], "test")
        drawn(result.test[place, PENALISED, 1:], "test, bias penalised")
        none = np.median(result.test[place, SPARED, 0])
        axis.axhline(none, color="0.4", linestyle=":", marker="", label="test, λ = 0")
        label(axis, WORKS[place], "λ", "error")
    band(bend, result.penalties[0, 1:], result.bend[SPARED, 1:], "polynomial")
    label(bend, "how much it bends", "λ", "mean square of the second derivative")
    course.plot(COURSE[1:], COURSE_TRAINING[1:], label="training")
    course.plot(COURSE[1:], COURSE_TEST[1:], label="test")
    label(course, "the course (λ = 0: 1.9 and 102.3)", "λ", "average error")
    for axis in axes:
        axis.set_xscale("log")
        axis.set_yscale("log")
        legend_below(axis)
    return {"ridge": figure}
