"""Is a table of the training examples perfect in training, and useless afterwards?

The course's extreme case of overfitting is a model that stores its training examples,
and answers at random whatever it has not stored. Here the examples are digits, drawn
anew for each unit, and a guess is one of ten classes. Training error is 0 if no two
equal pictures have different labels, new pictures are answered as by chance if none of
them is stored. Neither is certain of data, and controls are such that both fail:

- *The same table on coarse pictures* of 2x2 black or white squares, of which there are
  16 at most. Equal ones have different labels, and nearly all new ones are stored.
- *The nearest neighbour*, which stores as much and is no table, for it answers whatever
  it has not stored by what is near: no training error, and far better than chance.

Useless is as good as a guess, right once in ten; a hundredth of the pictures matters.
Of one unit the accuracy of guesses on 797 pictures has a deviation of 0.011, of the
mean of 40 units 0.0017. Units guess anew and redraw one pool of pictures. That a table
of them makes no error is one fact of this pool: no two equal digits have different
labels.

Claims: C032.
Sources: Cover and Hart 1967, IEEE Transactions on Information Theory 13.
Cost: 2 seconds on 2 cores, compilation included.
Expect: as the course says; both controls fail.
Run: jaxml run memoriser
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels, strips
from jaxml.types import Array, Batch, Keep

CLASSES = 10
CHANCE = 1 / CLASSES
DARK = 7 / 16  # above this mean a square of 4x4 pixels is black
MODELS = (
    "table of 8x8 digits",
    "table of digits of 2x2 black or white squares",
    "nearest neighbour of 8x8 digits",
)
TABLE, COARSE, NEIGHBOUR = range(3)
WHO = (
    "A table of digits",
    "Control: a table of coarse digits, of which many are equal,",
    "Control: a nearest neighbour, which answers by what is near,",
)
USELESS = record.near(CHANCE, margin=0.01, reason="one picture in a hundred")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units, and of the 1,797 digits those that each stores."""

    units: int = 40
    train: int = 1000
    seed: int = 0


SMOKE = Config(units=2, train=100)


class Result(NamedTuple):
    """What each of MODELS does on its own examples and on all others.

    Attributes:
        errors: training examples that are answered wrongly.
        accuracy: on all other digits.
        train: examples that are stored.
    """

    errors: Int[np.ndarray, "model unit"]
    accuracy: Float[np.ndarray, "model unit"]
    train: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """Exact comparisons of pixels, which are sixteenths."""
    del keep  # all of it takes seconds
    fine = problem.digits(dtype=np.float64)
    coarse = fine._replace(inputs=_coarse(fine.inputs))
    seeds = randomness.seeds(config.seed, config.units)
    units = [_unit(config, fine, coarse, seed) for seed in seeds]
    errors, accuracy = np.moveaxis(np.array(units), 0, -1)
    return Result(errors.astype(np.int64), accuracy, np.array(config.train))


def _unit(
    config: Config, fine: Batch, coarse: Batch, seed: int
) -> Float[np.ndarray, "quantity model"]:
    """Training errors, and the accuracy on other digits, of each of MODELS."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(fine.weights))
    stored, others = order[: config.train], order[config.train :]

    def guess(inputs: Array) -> Int[np.ndarray, " example"]:
        return random.integers(CLASSES, size=len(inputs))

    train, coarse_train = _part(fine, stored), _part(coarse, stored)
    contenders = (
        (problem.stored_examples(train, guess), fine),
        (problem.stored_examples(coarse_train, guess), coarse),
        (problem.nearest_neighbour(train), fine),
    )
    errors, accuracy = [], []
    for classify, data in contenders:
        right = classify(data.inputs) == data.targets
        errors.append(np.sum(~right[stored]))
        accuracy.append(np.mean(right[others]))
    return np.array([errors, accuracy])


def _coarse(pixels: Array) -> Float[np.ndarray, "example square"]:
    """1 where the mean of 4x4 pixels is above DARK, else 0."""
    squares = np.reshape(pixels, (-1, 2, 4, 2, 4)).mean(axis=(2, 4))
    return (squares > DARK).reshape(-1, 4).astype(np.float64)


def _part(data: Batch, rows: np.ndarray) -> Batch:
    return Batch(data.inputs[rows], data.targets[rows], data.weights[rows])


def findings(result: Result) -> tuple[Assertion, ...]:
    """The claim's two halves, and both of each control."""
    found: list[Assertion] = []
    for model, name in enumerate(MODELS):
        make = record.deciding if model == TABLE else record.supporting
        setting = f"{name}, {result.train:,} of 1,797 stored, redrawn, ten classes"
        finding = partial(make, "C032", setting=setting)
        found += [
            finding(
                f"{WHO[model]} makes no error on the examples that it stores.",
                record.largest(result.errors[model]),
                record.at_most(0.0),
                unit="mismatches",
            ),
            finding(
                f"{WHO[model]} is right on other examples as often as a guess, once in "
                "ten.",
                record.bootstrap(np.mean, result.accuracy[model]),
                USELESS,
                unit="accuracy",
            ),
        ]
    return tuple(found)


def figures(result: Result) -> dict[str, Figure]:
    """Both accuracies of each model, a point a unit."""
    figure, (training, others) = panels(1, 2, width=4.8, height=3.6)
    right = 1 - result.errors / result.train
    for axis, values, title in (
        (training, right, "On the stored examples"),
        (others, result.accuracy, "On all other digits"),
    ):
        strips(axis, dict(zip(MODELS, values, strict=True)))
        axis.axhline(CHANCE, color="0.4", linestyle=":", label="chance, 1 in 10")
        axis.set_ylim(0, 1.05)
        label(axis, title, "model", "accuracy, a point a unit")
        legend_below(axis)
    return {"accuracies": figure}
