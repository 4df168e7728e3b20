"""What do N folds say, and how steady is their choice?

The course works an example of three models and three folds by hand, averages 0.3, 0.5
and 0.4, takes the first model and trains it again on all the data. That is a
definition, so its arithmetic decides C044: averages to rounding, and the model chosen.

What folds are for is measured beside it, and decides nothing:

- *Steadiness*: 40 points of a cubic with noise, in polynomials of degree 1 to 9 of
  which one is chosen by least squares. A choice is steady if two random partitions of
  the same points choose the same degree. A single split of a tenth is compared with 3,
  5 and 10 folds, in steadiness and in the error of the chosen degree, trained again on
  all points, against the cubic itself. If folds do not help, they agree as rarely.

A unit draws points and partitions anew. `leaking_folds` asks when folds mislead.

Not tested: networks; grouped folds, whose law is in the tests of `grouped_folds`.

Claims: C044.
Source: Stone 1974, Journal of the Royal Statistical Society B 36.
Cost: 9 seconds on 2 cores, compilation included.
Expect: the example holds; folds are steadier than one split.
Run: jaxml run folds
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.comparisons import dots
from jaxml.record.figures import Figure, label, legend_below, panels, strips
from jaxml.types import Batch, Dataset, Keep

TOY = np.array([[0.2, 0.4, 0.3], [0.4, 0.5, 0.6], [0.4, 0.5, 0.3]])
PRINTED = np.array([0.3, 0.5, 0.4])
DEGREES = range(1, 10)
METHODS = ("one split of a tenth", "3 folds", "5 folds", "10 folds")
SPREAD = 0.5  # of the noise; the cubic runs from -1 to 1
ROUNDING = 1e-15  # a few units in the last place of 0.5
STEADIER = record.above(0.0, margin=0.05, reason="one choice in twenty")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Points, and their draws."""

    points: int = 40
    units: int = 200
    seed: int = 0


SMOKE = Config(points=20, units=2)


class Result(NamedTuple):
    """What was chosen.

    Attributes:
        toy: averages of the worked example.
        chosen: the model that they choose.
        degrees: chosen by two partitions.
        errors: root mean square of the chosen polynomial minus the cubic, of the first.
        points: of the cubic.
    """

    toy: Float[np.ndarray, " model"]
    chosen: Int[np.ndarray, ""]
    degrees: Int[np.ndarray, "method unit partition"]
    errors: Float[np.ndarray, "method unit"]
    points: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """Closed forms by NumPy, in float64."""
    averages, model = learn.selected(TOY)
    degrees, errors = keep("choices", partial(_choices, config))
    return Result(
        toy=averages,
        chosen=np.array(model),
        degrees=degrees,
        errors=errors,
        points=np.array(config.points),
    )


def _choices(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Degrees by method, unit and partition, and errors of the first of the two."""
    degrees, errors = [], []
    for seed in randomness.seeds(config.seed, config.units):
        rng = np.random.default_rng([seed, 1])
        points = problem.cubic_points(config.points, spread=SPREAD, seed=seed)
        first, second = _degrees(points, rng), _degrees(points, rng)
        degrees.append(np.array([first, second]).T)
        errors.append([_off(points, degree) for degree in first])
    return np.stack(degrees, axis=1), np.stack(errors, axis=1)


def _degrees(points: Batch, rng: np.random.Generator) -> list[int]:
    """The degree that each method chooses, of partitions drawn anew."""
    count = len(points.weights)
    order = rng.permutation(count)
    chosen = []
    for parts in (10, 3, 5, 10):
        fold_of = np.empty(count, np.int64)
        fold_of[order] = np.arange(count) % parts
        held = learn.assigned_folds(points, fold_of)
        errors = _fold_errors(held)
        first = errors[:, :1] if not chosen else errors
        chosen.append(list(DEGREES)[learn.selected(first).model])
    return chosen


def _fold_errors(folds: Dataset) -> Float[np.ndarray, "degree fold"]:
    """Mean squared errors on what each fold holds out."""
    errors = np.empty((len(DEGREES), len(folds.train.weights)))
    for fold in range(errors.shape[1]):
        train, test = (
            jax.tree.map(lambda leaf, fold=fold: leaf[fold], part) for part in folds
        )
        for place, degree in enumerate(DEGREES):
            values = problem.legendre(test.inputs, degree)
            values = values @ problem.ridge(train, degree)
            squares = (values - test.targets) ** 2
            errors[place, fold] = np.average(squares[:, 0], weights=test.weights)
    return errors


def _off(points: Batch, degree: int) -> np.floating:
    """The error of a degree that is trained on all points, without noise."""
    x = np.linspace(-1, 1, 201)[:, None]
    values = problem.legendre(x, degree) @ problem.ridge(points, degree)
    return np.sqrt(np.mean((values[:, 0] - problem.cubic_curve(x[:, 0])) ** 2))


def findings(result: Result) -> tuple[Assertion, ...]:
    """The example, which decides; steadiness, which supports."""
    return (*_example(result), *_steadiness(result))


def _example(result: Result) -> tuple[Assertion, ...]:
    about = {"setting": "the course's example: three models, three folds"}
    finding = partial(record.deciding, "C044", figure="example", **about)
    return (
        finding(
            "The averages over the three folds are 0.3, 0.5 and 0.4, as printed.",
            record.largest(result.toy - PRINTED),
            record.at_most(ROUNDING),
            unit="error",
        ),
        finding(
            "The folds choose the first model: places from it to the model chosen.",
            record.certain(result.chosen),
            record.at_most(0.0),
            unit="count",
        ),
    )


def _steadiness(result: Result) -> list[Assertion]:
    setting = (
        f"{result.points} points of a cubic with normal noise of deviation {SPREAD:g}, "
        "polynomials of degree 1 to 9 by least squares"
    )
    agreed = _agreed(result)
    single, *several = METHODS
    found = []
    finding = partial(record.supporting, "C044", setting=setting, figure="choices")
    logs = np.log(result.errors)
    for place, name in enumerate(several, start=1):
        found += [
            finding(
                f"Two random partitions into {name} choose one degree more often than "
                f"{single} and another.",
                record.paired(agreed[place], agreed[0]),
                STEADIER,
                unit="fraction difference",
            ),
            finding(
                f"The degree that {name} choose, trained again on all points, is "
                f"nearer to the cubic than that of {single}: log of its error over "
                "the other's.",
                record.paired(logs[place], logs[0]),
                record.below(0.0, margin=0.05, reason="a twentieth of the error"),
                unit="log ratio",
            ),
        ]
    return found


def _agreed(result: Result) -> Float[np.ndarray, "method unit"]:
    """1 where both partitions chose one degree."""
    first, second = np.moveaxis(result.degrees, 2, 0)
    return (first == second).astype(np.float64)


def figures(result: Result) -> dict[str, Figure]:
    """The example; choices of degree; ratios of errors by stretch."""
    return {
        "example": _toy(result),
        "choices": _chosen(result),
    }


def _toy(result: Result) -> Figure:
    """Errors by fold, their printed means and ours."""
    figure, (axis,) = panels(1, 1, width=5.0)
    names = ("model 1", "model 2", "model 3")
    dots(axis, dict(zip(names, TOY, strict=True)), "a fold")
    for means, marker, name in ((PRINTED, "x", "printed"), (result.toy, "+", "ours")):
        axis.scatter(means, range(3), marker=marker, s=70, label=f"mean, {name}")
    label(axis, "The course's example", "validation error", "model")
    legend_below(axis, columns=3)
    return figure


def _chosen(result: Result) -> Figure:
    figure, (left, right) = panels(1, 2, width=5.0, height=3.8)
    fractions = [np.mean(result.degrees == degree, axis=(1, 2)) for degree in DEGREES]
    for place, name in enumerate(METHODS):
        left.plot(DEGREES, [each[place] for each in fractions], label=name)
    label(left, "Which degree is chosen (3 is true)", "degree", "fraction of choices")
    legend_below(left)
    strips(right, dict(zip(METHODS, result.errors, strict=True)))
    right.set_yscale("log")
    label(
        right,
        "The degree chosen, on all points",
        "by",
        "error to the cubic",
    )
    return figure
