"""Of two weight vectors that fit alike, does the one that looks at one feature overfit?

The course's notes give x = (1, 1, 1, 1) the same score by (1, 0, 0, 0) and by
(¼, ¼, ¼, ¼), whose squared norms are 1 and 0.25: arithmetic. So is the ledger's
measure, noise in the features: of variance 1 in each, it adds the squared norm to the
squared error of the score. They add that the first overfits, for it looks at one
feature only. These vectors are fitted to nothing; so the addition is tested where
vectors are. On 20 examples of two classes, with targets of 1 and -1, there are

- *one feature*: of all features the one whose line has the least squared error;
- *all features*: the vector of least norm, whose penalty is chosen so that its squared
  error in training is the same, to 1e-9. Less penalty would fit better yet.

The first overfits if its squared error on held-out examples is greater, by a tenth in
the mean logarithm of the ratio. If looking at one feature does no harm, the two are
equal; if it is right, the first is better. The controls are data
drawn by a program: in one each of 64 features is the class plus noise, as in x; in the
other one feature is, and 63 are noise, where the verdict must be the opposite.

Units draw two of ten classes and their examples from one pool; intervals speak of
redraws of it, and that of clothing is 33 times as large. Placed by 80 units of another
seed: logarithms of 0.21 ± 0.50 on digits and 0.35 ± 0.44 on clothing, so that of 800
units half a deciding interval is at most 0.045. At first the difference of the errors
decided, whose mean one unit of 60 ruled, with a pixel that hardly varied in training;
it was changed before the first full run. Held-out accuracy stands beside.

Claims: C039.
Sources: Hoerl and Kennard 1970, Technometrics 12.
Cost: 6 seconds on 2 cores, compilation included.
Expect: as the course says on pictures; the opposite where one feature says all.
Run: jaxml run equal_scores
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy import optimize

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, strips
from jaxml.types import Batch, Keep

A, B = np.array([1.0, 0.0, 0.0, 0.0]), np.full(4, 0.25)
X = np.ones(4)
DATA = (
    "64 features that are each the class with noise",
    "one feature that is the class with noise, and 63 of noise",
    "8x8 digits",
    "clothing of 7x7 pixels",
)
SPREAD, SINGLE, DIGITS = 0, 1, 2  # of the first two places each feature's noise is 1
FEATURES = 64
TIGHT = 0.5  # the deviation of the noise of the single feature
POOL = 60_000  # pictures of clothing
POOLS = ("drawn by a program", "drawn by a program", "of 1,797", "of 60,000")
ERRS = record.above(0.0, margin=0.1, reason="a tenth of the error")
WRONG = record.above(0.0, margin=0.01, reason="one picture in a hundred")

Draw: TypeAlias = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""Of a generator: rows of features, and their targets of 1 and -1."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of DATA the first ones, units of each, and examples that train and judge."""

    data: int = len(DATA)
    units: int = 800
    train: int = 20
    test: int = 250
    seed: int = 0


SMOKE = Config(data=3, units=3)


class Result(NamedTuple):
    """The vector of one feature, then that of all; equal squared errors in training.

    Attributes:
        training: squared errors.
        held_out: squared errors.
        wrong: fractions of held-out examples on the wrong side of 0.
        norms: squared, of the weights.
        train: examples that were fitted.
    """

    training: Float[np.ndarray, "data unit vector"]
    held_out: Float[np.ndarray, "data unit vector"]
    wrong: Float[np.ndarray, "data unit vector"]
    norms: Float[np.ndarray, "data unit vector"]
    train: np.ndarray


class Line(NamedTuple):
    """x·weights + constant."""

    weights: Float[np.ndarray, " feature"]
    constant: float


def study(config: Config, keep: Keep) -> Result:
    """A singular value decomposition of the training examples in each unit."""
    del keep  # all of it takes seconds
    seeds = randomness.seeds(config.seed, config.units)
    units = []
    for number in range(config.data):
        draw = _draw(number, config.train + config.test)
        units.append([_unit(draw, config.train, seed) for seed in seeds])
    training, held_out, wrong, norms = np.moveaxis(np.array(units), 2, 0)
    return Result(training, held_out, wrong, norms, np.array(config.train))


def _draw(number: int, count: int) -> Draw:
    """Of one of DATA."""
    if number < DIGITS:
        return partial(_planted, single=number == SINGLE, count=count)
    if number == DIGITS:
        data = problem.digits(dtype=np.float64)
    else:
        data = problem.small_clothing(POOL, dtype=np.float64)
    return partial(_two_classes, data=data, count=count)


def _planted(
    random: np.random.Generator, *, single: bool, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Normal noise, and the class in one feature or in all."""
    targets = random.choice([-1.0, 1.0], count)
    rows = random.normal(size=(count, FEATURES))
    if single:
        rows[:, 0] = targets + TIGHT * rows[:, 0]
        return rows, targets
    return rows + targets[:, None], targets


def _two_classes(
    random: np.random.Generator, *, data: Batch, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of two of the ten classes."""
    labels = np.asarray(data.targets)
    first, second = random.choice(10, 2, replace=False)
    found = np.flatnonzero((labels == first) | (labels == second))
    rows = random.permutation(found)[:count]
    return np.asarray(data.inputs)[rows], np.where(labels[rows] == first, 1.0, -1.0)


def _unit(draw: Draw, train: int, seed: int) -> Float[np.ndarray, "quantity vector"]:
    """Training, held-out and wrong of both vectors, and their squared norms."""
    rows, targets = draw(np.random.default_rng(seed))
    own, wanted = rows[:train], targets[:train]
    others, unseen = rows[train:], targets[train:]
    single = _single(own, wanted)
    lines = single, _spread(own, wanted, _squared_error(single, own, wanted))
    columns = [
        (
            _squared_error(line, own, wanted),
            _squared_error(line, others, unseen),
            np.mean((others @ line.weights + line.constant) * unseen <= 0),
            line.weights @ line.weights,
        )
        for line in lines
    ]
    return np.array(columns).T


def _squared_error(line: Line, rows: np.ndarray, targets: np.ndarray) -> float:
    missed = rows @ line.weights + line.constant - targets
    return float(np.mean(missed**2))


def _single(rows: np.ndarray, targets: np.ndarray) -> Line:
    """The least squares line of the feature that fits best."""
    middle, mean = np.mean(rows, axis=0), np.mean(targets)
    centred = rows - middle
    squares = np.sum(centred**2, axis=0)
    products = centred.T @ (targets - mean)
    constant = squares < 1e-12  # a pixel that is the same in all
    explained = np.where(constant, 0.0, products**2 / np.where(constant, 1.0, squares))
    best = int(np.argmax(explained))
    weights = np.zeros(rows.shape[1])
    weights[best] = products[best] / squares[best]
    return Line(weights, float(mean - middle @ weights))


def _spread(rows: np.ndarray, targets: np.ndarray, error: float) -> Line:
    """The line of least norm of all that have this squared error, by its penalty."""
    middle, mean = np.mean(rows, axis=0), float(np.mean(targets))
    left, sizes, right = np.linalg.svd(rows - middle, full_matrices=False)
    parts = left.T @ (targets - mean)

    def line(log_penalty: float) -> Line:
        shrunk = sizes / (sizes**2 + np.exp(log_penalty))
        weights = right.T @ (shrunk * parts)
        return Line(weights, float(mean - middle @ weights))

    def surplus(log_penalty: float) -> float:
        return _squared_error(line(log_penalty), rows, targets) - error

    least, most = -25.0, 25.0
    if surplus(least) >= 0:  # the pixel fits exactly, and so does this line
        return line(least)
    found = optimize.root_scalar(surplus, bracket=(least, most), xtol=1e-10)
    return line(found.root)


def findings(result: Result) -> tuple[Assertion, ...]:
    """The course's arithmetic, and who overfits where."""
    return (*_arithmetic(), *_overfitting(result))


def _arithmetic() -> list[Assertion]:
    finding = partial(
        record.deciding,
        "C039",
        unit="error",
        setting="x = (1, 1, 1, 1), w_A = (1, 0, 0, 0), w_B = (¼, ¼, ¼, ¼)",
    )
    exact = record.at_most(0.0)
    difference = record.certain(np.abs(A @ X - B @ X))
    first = record.certain(np.abs(A @ A - 1.0))
    second = record.certain(np.abs(B @ B - 0.25))
    return [
        finding("Both vectors give x the same score: difference.", difference, exact),
        finding("The squared norm of w_A is 1: difference.", first, exact),
        finding("The squared norm of w_B is 0.25: difference.", second, exact),
        record.supporting(
            "C039",
            "Noise of variance 1 in each feature, at equal scores, adds more to the "
            "squared error of w_A than to that of w_B.",
            record.certain(A @ A - B @ B),
            record.above(0.0),
            unit="difference",
            setting="x = (1, 1, 1, 1), w_A = (1, 0, 0, 0), w_B = (¼, ¼, ¼, ¼)",
        ),
    ]


def _overfitting(result: Result) -> list[Assertion]:
    found: list[Assertion] = []
    for number in range(len(result.training)):
        planted = number < DIGITS
        make = record.supporting if planted else record.deciding
        setting = (
            f"{DATA[number]}, {POOLS[number]}, two classes, {result.train} examples"
        )
        who = "At equal squared error in training, the line of the best single feature"
        other = "the line of least norm over all features"
        one, all_features = result.held_out[number].T
        ratios, wrong = np.log(one / all_features), result.wrong[number]
        found += [
            make(
                "C039",
                f"{who} has a greater held-out squared error than {other}.",
                record.bootstrap(np.mean, ratios),
                ERRS,
                unit="log ratio",
                setting=setting,
            ),
            record.supporting(
                "C039",
                f"{who} puts more held-out examples into the wrong class than {other}.",
                record.bootstrap(record.mean_difference, *wrong.T),
                WRONG,
                unit="fraction difference",
                setting=setting,
            ),
        ]
    return found


def figures(result: Result) -> dict[str, Figure]:
    """Errors in training and held-out, a point a unit."""
    count = len(result.training)
    figure, axes = panels(1, count, width=3.6, height=3.6)
    for number, axis in enumerate(axes):
        one, all_features = result.held_out[number].T
        fitted, _ = result.training[number].T
        strips(axis, {"training, both": fitted, "one": one, "all": all_features})
        axis.set_yscale("log")
        label(axis, DATA[number], "features of the line", "squared error")
    return {"errors": figure}
