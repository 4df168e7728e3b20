"""Does it matter which class is called 1, 2 or 3?

A linear regression is fitted by least squares to the integers 1, 2, 3 of three classes,
and a picture belongs to the class whose integer is nearest. The same pictures are
fitted to one-hot vectors, three targets of which the largest wins. All six numberings
of the classes are tried. If integers impose no order, they classify alike.

Three data sets are drawn anew for each unit. *Digits*: three of the ten classes, 8x8
pixels, split anew. *Triangle*: normal clouds around the corners of an equilateral
triangle, which have no order. *Row*: the same around three points of a line, in the
order 1, 2, 3; there the order is true, and one-hot regression is known to lose the
class in the middle (Hastie, Tibshirani and Friedman 2009, section 4.2).

The course is right where the numbering changes the class of more than one held-out
picture in a hundred of digits, and where one-hot codes are right more often by one in a
hundred than integers are in the mean over numberings. It is wrong if fewer change, or
if one-hot codes lose as much. Controls: no numbering may change what one-hot codes say;
and on the row in its true order integers must beat them, so that "one-hot codes are
better" can come out the other way. Networks and other losses are not tested.

Claims: C089.
Cost: 5 seconds on 2 cores.
Expect: as the course says, but for the row.
Run: jaxml run class_codes
"""

from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, strips
from jaxml.types import Batch, Keep

NUMBERINGS = tuple(permutations((1, 2, 3)))  # of classes 0, 1 and 2
TRUE_ORDER = NUMBERINGS.index((1, 2, 3))
SETS = (
    "8x8 digits of three classes, 64 pixels",
    "clouds at the corners of a triangle",
    "clouds in a row",
)
DIGITS, TRIANGLE, ROW = range(3)
ANGLES = np.pi * np.array([1 / 2, 7 / 6, 11 / 6])
CENTRES = {
    TRIANGLE: np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1),
    ROW: np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]),
}
DEVIATION = 0.2  # of the clouds
AHEAD = record.above(0.0, margin=0.01, reason="one picture in a hundred")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units, and the examples that train and judge each."""

    units: int = 60
    train: int = 250
    test: int = 250
    seed: int = 0


SMOKE = Config(units=2, train=100, test=100)


class Result(NamedTuple):
    """Of each of SETS.

    Attributes:
        integers: accuracy on held-out examples of regression on integers.
        vectors: the same on one-hot vectors.
        integers_changed: the held-out examples whose class some numbering changes.
        vectors_changed: the same on one-hot vectors.
    """

    integers: Float[np.ndarray, "set unit numbering"]
    vectors: Float[np.ndarray, "set unit numbering"]
    integers_changed: Float[np.ndarray, "set unit"]
    vectors_changed: Float[np.ndarray, "set unit"]


class Fit(NamedTuple):
    """Classes of held-out examples, from 0 to 2.

    Attributes:
        right: what they are.
        integers: what regression on integers says.
        vectors: what regression on one-hot vectors says.
    """

    right: Int[np.ndarray, " example"]
    integers: Int[np.ndarray, "numbering example"]
    vectors: Int[np.ndarray, "numbering example"]


def study(config: Config, keep: Keep) -> Result:
    """Least squares in float64."""
    del keep  # all of it takes seconds
    pixels = problem.digits(dtype=np.float64)
    seeds = randomness.seeds(config.seed, config.units)
    rows = []
    for kind in range(len(SETS)):
        fits = [_fit(config, *_drawn(config, kind, pixels, seed)) for seed in seeds]
        rows.append(_measured(fits))
    return Result(*map(np.stack, zip(*rows, strict=True)))


def _drawn(
    config: Config, kind: int, pixels: Batch, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and classes of one unit, those that train first."""
    random = np.random.default_rng(seed)
    count = config.train + config.test
    if kind == DIGITS:
        chosen = random.permutation(10)[:3]
        of_chosen = np.flatnonzero(np.isin(pixels.targets, chosen))
        rows = random.permutation(of_chosen)[:count]
        classes = np.argmax(np.asarray(pixels.targets)[rows, None] == chosen, axis=1)
        return np.asarray(pixels.inputs)[rows], classes
    classes = random.integers(3, size=count)
    clouds = DEVIATION * random.normal(size=(count, 2))
    return CENTRES[kind][classes] + clouds, classes


def _fit(config: Config, inputs: np.ndarray, classes: np.ndarray) -> Fit:
    """Both regressions under every numbering, with a constant."""
    design = np.column_stack([inputs, np.ones(len(inputs))])
    codes = np.array(NUMBERINGS)
    integers = codes.T[classes]  # by example and numbering
    vectors = integers[:, :, None] == np.array([1, 2, 3])
    targets = np.concatenate([integers[:, :, None], vectors], axis=2, dtype=np.float64)
    columns = targets.reshape(len(classes), -1)
    train = slice(config.train)
    solution, *_ = np.linalg.lstsq(design[train], columns[train])
    fitted = (design[config.train :] @ solution).reshape(-1, *targets.shape[1:])
    nearest = np.clip(np.rint(fitted[:, :, 0]), 1, 3)
    largest = 1 + np.argmax(fitted[:, :, 1:], axis=2)
    return Fit(
        right=classes[config.train :],
        integers=_class_of(nearest, codes),
        vectors=_class_of(largest, codes),
    )


def _class_of(numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The classes that are called by these numbers, by numbering and example."""
    called = numbers.T[:, :, None] == codes[:, None, :]
    return np.argmax(called, axis=2)


def _measured(fits: list[Fit]) -> Result:
    """Of one data set, by unit."""
    accuracies, changes = [], []
    for fit in fits:
        both = np.stack([fit.integers, fit.vectors])
        accuracies.append(np.mean(both == fit.right, axis=2))
        changes.append(np.mean(np.any(both != both[:, :1], axis=1), axis=1))
    hits, changed = np.moveaxis(np.array(accuracies), 0, 1), np.array(changes).T
    return Result(hits[0], hits[1], changed[0], changed[1])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Digits decide."""
    found: list[Assertion] = []
    for kind, data in enumerate(SETS[:ROW]):
        role = record.deciding if kind == DIGITS else record.supporting
        setting = f"{data}, drawn anew, least squares, six numberings"
        finding = partial(role, "C089", setting=setting)
        ahead = result.vectors[kind].mean(axis=1) - result.integers[kind].mean(axis=1)
        found += [
            finding(
                "With classes coded as integers, the numbering changes the predicted "
                "class of more than one held-out example in a hundred.",
                record.bootstrap(np.mean, result.integers_changed[kind]),
                record.above(0.01),
                unit="fraction",
            ),
            finding(
                "One-hot codes are right more often than integers, in the mean over "
                "numberings.",
                record.bootstrap(np.mean, ahead),
                AHEAD,
                unit="accuracy difference",
            ),
        ]
    return (*found, _control(result), _true_order(result))


def _control(result: Result) -> Assertion:
    return record.supporting(
        "C089",
        "Control, one-hot codes: the numbering changes the predicted class of more "
        "than one held-out example in a hundred.",
        record.bootstrap(np.mean, result.vectors_changed[DIGITS]),
        record.above(0.01),
        unit="fraction",
        setting=f"{SETS[DIGITS]}, drawn anew, least squares, six numberings",
    )


def _true_order(result: Result) -> Assertion:
    behind = result.vectors[ROW, :, TRUE_ORDER] - result.integers[ROW, :, TRUE_ORDER]
    return record.supporting(
        "C089",
        "Control, an order that is true: one-hot codes are right more often than "
        "integers in that order.",
        record.bootstrap(np.mean, behind),
        AHEAD,
        unit="accuracy difference",
        setting=f"{SETS[ROW]}, drawn anew, least squares, numbered along the row",
    )


def figures(result: Result) -> dict[str, Figure]:
    """The best and the worst numbering of each unit, beside one-hot codes."""
    figure, axes = panels(1, len(SETS), width=3.6, height=3.4)
    for kind, axis in enumerate(axes):
        integers = result.integers[kind]
        samples = {
            "integers, worst": integers.min(axis=1),
            "integers, best": integers.max(axis=1),
            "one-hot": result.vectors[kind].mean(axis=1),
        }
        strips(axis, samples)
        axis.set_ylim(0, 1.05)
        label(axis, SETS[kind], "codes, and numbering", "accuracy, a point a unit")
    return {"class_codes": figure}
