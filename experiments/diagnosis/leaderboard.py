"""Should a model be chosen by its public score or on a part of the training data?

The course warns that the best of many submissions looks good on the public part of a
leaderboard by luck, even if all are random, 10¹² of them say; and advises to choose on
a held-out tenth of the training data. These are two questions:

- *Does the best public score overstate (C042)?* For K models that guess one of two
  classes, on n public items, the expected best score is exact: the sum over k of
  P(best ≥ k)/n, with binomial scores. It looks good if it is above what one such model
  exceeds in 1 of 20 cases. The ledger's ½ + √(ln K / 2n) is a bound from above. Of real
  models, 100 ridge classifiers that see 12 random pixels each, the best on 50 public
  pictures overstates if its public accuracy exceeds its private one by a hundredth.
- *Which choice is better (C043)?* Both choose among the same 100 models, trained on 500
  examples. The validation score of a model is that on 50 of them, trained on the other
  450. Then all 500 train it again. Judged is the private accuracy of what was chosen:
  the advice is right if validation's is higher by a hundredth. Both scores come from
  pictures that did not train. If that is all that counts, neither choice is better
  where both parts are equally large, and the larger part is better else. So public
  parts are of 10, 50, and 400 pictures: with 10 the advice should be right, which is
  the control, with 400 wrong.

Control of C042: the first model, whom no score chose, must not be overstated; and the
private score of the best of 100 guessing models must be ½. A unit draws its pictures,
the parts and the models anew; private are 700 pictures. Placed by 100 units of another
seed: of both choices the private accuracies differ with a deviation of 0.05, so that of
1,000 units half a deciding interval is 0.0045. More pixels, 16, left models of clothing
too much alike to be told apart; the number was changed for that.

Not tested: models that were changed after their score was seen; the honesty of the
score shown, which is best for a choice by validation for it took no part in it: that
is algebra, and stands beside.

Claims: C042, C043.
Sources: Blum and Hardt 2015, arXiv:1502.04585 (leaderboards).
Cost: 30 seconds on 2 cores.
Expect: the best public score overstates; the larger part chooses better.
Run: jaxml run leaderboard
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, legend_below, panels, strips
from jaxml.types import Batch, Keep

DATA = ("8x8 digits", "clothing of 7x7 pixels")
CLASSES = 10
TRAIN, VALIDATION, PRIVATE = 500, 50, 700  # validation is a tenth of the first
PUBLIC = (10, 50, 400)  # pictures of the public part
TENTH = 1  # the place in PUBLIC of a part as large as the validation part
PIXELS = 12  # that each model sees
PENALTY = 1.0
POOL = 6_000  # pictures of clothing
ITEMS = 1000  # of the public part on which models guess
GUESSING = (100, 10**4, 10**6, 10**12)  # models that guess
PRINTED = (0.548, 0.568, 0.583)  # ½ + √(ln K / 2n) of the first three
CHANCE = 0.526  # on ITEMS, exceeded by less than 1 in 20 of models that guess
HUNDREDTH = "one picture in a hundred"
OVERSTATED = record.above(0.0, margin=0.01, reason=HUNDREDTH)
BETTER = OVERSTATED


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of DATA the first ones, units of each, and models of each unit."""

    data: int = len(DATA)
    units: int = 1000
    models: int = 100
    seed: int = 0


SMOKE = Config(data=1, units=3, models=10)


class Result(NamedTuple):
    """Accuracies.

    Attributes:
        public: of models trained on all training pictures, by part of PUBLIC.
        private: of the same.
        validation: of models trained on nine tenths.
        best: expected best public score of GUESSING models.
        guessed: in each unit the best public score of as many models that guess, and
            then its private score.
    """

    public: Float[np.ndarray, "data part unit model"]
    private: Float[np.ndarray, "data unit model"]
    validation: Float[np.ndarray, "data unit model"]
    best: Float[np.ndarray, " count"]
    guessed: Float[np.ndarray, "score unit"]


class Unit(NamedTuple):
    """Scores of the models of one unit."""

    public: Float[np.ndarray, "part model"]
    private: Float[np.ndarray, " model"]
    validation: Float[np.ndarray, " model"]


def study(config: Config, keep: Keep) -> Result:
    """Ridge regressions of all models of a unit at once."""
    seeds = randomness.seeds(config.seed, config.units)
    units = []
    for number in range(config.data):
        data = _data(number)
        run = partial(_units, data, config.models, seeds)
        units.append(keep(DATA[number], run))
    public, private, validation = (np.stack(each) for each in zip(*units, strict=True))
    spare = randomness.seeds(config.seed, config.units, skip=config.units)
    return Result(
        public=np.swapaxes(public, 1, 2),
        private=private,
        validation=validation,
        best=np.array([_expected_best(count) for count in GUESSING]),
        guessed=np.array([_guessed(config.models, seed) for seed in spare]).T,
    )


def _data(number: int) -> Batch:
    if number == 0:
        return problem.digits(dtype=np.float64)
    return problem.small_clothing(POOL, dtype=np.float64)


def _units(data: Batch, models: int, seeds: range) -> Unit:
    """Of all seeds, stacked."""
    each = [_unit(data, models, np.random.default_rng(seed)) for seed in seeds]
    return Unit(*[np.stack(scores) for scores in zip(*each, strict=True)])


def _unit(data: Batch, models: int, random: np.random.Generator) -> Unit:
    inputs, labels = np.asarray(data.inputs), np.asarray(data.targets)
    order = random.permutation(len(labels))
    train, public, private = np.split(order, [TRAIN, TRAIN + PUBLIC[-1]])
    private = private[:PRIVATE]
    places = random.permuted(np.tile(np.arange(inputs.shape[1]), (models, 1)), axis=1)
    seen = places[:, :PIXELS]

    def right(
        own: np.ndarray, others: np.ndarray
    ) -> Float[np.ndarray, "example model"]:
        answers = _answers(inputs[own], labels[own], inputs[others], seen)
        return answers == labels[others][:, None]

    kept, held_out = np.split(train, [TRAIN - VALIDATION])
    unseen = right(train, np.concatenate([public, private]))
    on_public, on_private = np.split(unseen, [PUBLIC[-1]])
    return Unit(
        public=np.stack([np.mean(on_public[:size], axis=0) for size in PUBLIC]),
        private=np.mean(on_private, axis=0),
        validation=np.mean(right(kept, held_out), axis=0),
    )


def _answers(
    rows: np.ndarray, labels: np.ndarray, others: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """Labels `[example, model]` by ridge regressions on the pixels that each model
    sees.
    """
    wanted = np.eye(CLASSES)[labels]
    middle, mean = np.mean(rows, axis=0), np.mean(wanted, axis=0)
    centred = rows - middle
    squares, products = centred.T @ centred, centred.T @ (wanted - mean)
    own = squares[seen[:, :, None], seen[:, None, :]] + PENALTY * np.eye(PIXELS)
    solved = np.linalg.solve(own, products[seen])
    models = np.arange(len(seen))[:, None]
    weights = np.zeros((len(seen), rows.shape[1], CLASSES))
    weights[models, seen] = solved
    flat = np.moveaxis(weights, 0, 1).reshape(rows.shape[1], -1)
    outputs = (others - middle) @ flat
    return np.argmax(outputs.reshape(len(others), len(seen), CLASSES) + mean, axis=2)


def _expected_best(count: int) -> float:
    """Of so many models that guess one of two classes on ITEMS items."""
    below = stats.binom.logcdf(np.arange(ITEMS), ITEMS, 0.5)
    return float(np.sum(-np.expm1(count * below)) / ITEMS)


def _guessed(models: int, seed: int) -> tuple[float, float]:
    """The best public score of models that guess, and its private score."""
    random = np.random.default_rng(seed)
    public, private = random.binomial(ITEMS, 0.5, (2, models)) / ITEMS
    best = int(np.argmax(public))
    return public[best], private[best]


def findings(result: Result) -> tuple[Assertion, ...]:
    """Guessing models, then real ones, then which choice is better."""
    found = _of_guesses(result)
    for data in range(len(result.private)):
        found += _overstated(result, data)
        for part in range(len(PUBLIC)):
            found += _choice(result, data, part)
    return tuple(found)


def _of_guesses(result: Result) -> list[Assertion]:
    """The expected best exactly, beside the printed numbers; its private score."""
    found: list[Assertion] = []
    for count, best in zip(GUESSING, result.best, strict=True):
        guesses = f"{count:,} models that guess one of two classes"
        setting = f"{guesses}, {ITEMS:,} public items, exact"
        decides = count in (GUESSING[0], GUESSING[-1])
        make = record.deciding if decides else record.supporting
        found.append(
            make(
                "C042",
                "The expected best public score is above 0.526, which a single such "
                "model exceeds in less than 1 of 20 cases.",
                record.certain(best),
                record.above(CHANCE),
                unit="accuracy",
                setting=setting,
                figure="guesses",
            )
        )
    for count, best, printed in zip(GUESSING, result.best, PRINTED, strict=False):
        found.append(
            record.supporting(
                "C042",
                f"The expected best public score is {printed}, which bounds it.",
                record.certain(best),
                record.near(printed, margin=0.01, reason=HUNDREDTH),
                unit="accuracy",
                setting=f"{count:,} models that guess, {ITEMS:,} public items, exact",
                figure="guesses",
            )
        )
    _, private = result.guessed
    models = result.private.shape[-1]
    found.append(
        record.supporting(
            "C042",
            "The model of the best public score has a private score of ½.",
            record.bootstrap(np.mean, private),
            record.near(0.5, margin=0.01, reason=HUNDREDTH),
            unit="accuracy",
            setting=f"{models} models that guess, {ITEMS:,} public and private items",
            figure="guesses",
        )
    )
    return found


def _chosen(scores: Float[np.ndarray, "unit model"]) -> np.ndarray:
    """The place of the best model of each unit, the first of equals."""
    return np.argmax(scores, axis=1)


def _at(
    values: Float[np.ndarray, "unit model"], models: np.ndarray
) -> Float[np.ndarray, " unit"]:
    return values[np.arange(len(values)), models]


def _setting(result: Result, data: int, part: int) -> str:
    models = result.private.shape[-1]
    return (
        f"{DATA[data]}, {models} ridge classifiers of {PIXELS} random pixels, {TRAIN} "
        f"training examples, {PUBLIC[part]} public and {PRIVATE} private ones"
    )


def _overstated(result: Result, data: int) -> list[Assertion]:
    """How far the public score of the best exceeds its private one; of the first."""
    found: list[Assertion] = []
    private = result.private[data]
    for part in (TENTH, len(PUBLIC) - 1):
        public = result.public[data, part]
        best = _chosen(public)
        measured = record.bootstrap(
            record.mean_difference, _at(public, best), _at(private, best)
        )
        make = record.deciding if part == TENTH else record.supporting
        found.append(
            make(
                "C042",
                "The public accuracy of the model with the best public score exceeds "
                "its private accuracy.",
                measured,
                OVERSTATED,
                unit="accuracy difference",
                setting=_setting(result, data, part),
                figure="choices",
            )
        )
    first = np.zeros(len(private), int)
    public = result.public[data, TENTH]
    control = record.bootstrap(
        record.mean_difference, _at(public, first), _at(private, first)
    )
    found.append(
        record.supporting(
            "C042",
            "Control: the public accuracy of a model that no score chose exceeds its "
            "private accuracy.",
            control,
            OVERSTATED,
            unit="accuracy difference",
            setting=_setting(result, data, TENTH),
            figure="choices",
        )
    )
    return found


def _choice(result: Result, data: int, part: int) -> list[Assertion]:
    """Private accuracy of either choice, the ranks, and the score that is shown."""
    setting = f"{_setting(result, data, part)}, {VALIDATION} validation examples"
    private, public = result.private[data], result.public[data, part]
    validation = result.validation[data]
    by_validation, by_public = _chosen(validation), _chosen(public)
    beside = partial(record.supporting, "C043", setting=setting, figure="choices")
    units = range(len(private))
    ranks = [
        [record.correlation(scores[unit], private[unit]) for unit in units]
        for scores in (validation, public)
    ]
    return [
        record.deciding(
            "C043",
            "The model of the best validation score has a higher private accuracy than "
            "that of the best public score.",
            record.bootstrap(
                record.mean_difference,
                _at(private, by_validation),
                _at(private, by_public),
            ),
            BETTER,
            unit="accuracy difference",
            setting=setting,
            figure="choices",
        ),
        beside(
            "The rank correlation with private scores is higher for validation scores "
            "than for public ones.",
            record.bootstrap(record.mean_difference, *map(np.array, ranks)),
            record.above(0.0, margin=0.05, reason="less does not change a choice"),
            unit="difference",
        ),
        beside(
            "The public accuracy of the model of the best validation score exceeds its "
            "private accuracy.",
            record.bootstrap(
                record.mean_difference,
                _at(public, by_validation),
                _at(private, by_validation),
            ),
            OVERSTATED,
            unit="accuracy difference",
        ),
    ]


def figures(result: Result) -> dict[str, Figure]:
    """The best of models that guess; private accuracies of either choice."""
    figure, (axis,) = panels(1, 1, width=5.0, height=3.8)
    bound = 0.5 + np.sqrt(np.log(GUESSING) / (2 * ITEMS))
    axis.plot(GUESSING, result.best, label="expected best, exact")
    axis.plot(GUESSING, bound, label="½ + √(ln K / 2n)")
    axis.axhline(CHANCE, color="0.4", linestyle=":", label="1 model in 20", marker="")
    axis.set_xscale("log")
    label(axis, f"Guesses on {ITEMS:,} items", "models K", "public score")
    legend_below(axis)
    rows = len(result.private)
    choices, axes = panels(rows, 2, width=5.4, height=3.6)
    for data, (left, right) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
        _drawn(result, data, left, right)
    return {"choices": choices, "guesses": figure}


def _drawn(result: Result, data: int, left: Axes, right: Axes) -> None:
    """Private accuracies of choices, and public minus private of the best."""
    private = result.private[data]
    chosen = {"validation 50": _at(private, _chosen(result.validation[data]))}
    overstated = {}
    for size, public in zip(PUBLIC, result.public[data], strict=True):
        best = _chosen(public)
        chosen[f"public {size}"] = _at(private, best)
        overstated[f"public {size}"] = _at(public, best) - _at(private, best)
    strips(left, chosen)
    strips(right, overstated)
    right.axhline(0.0, color="0.4", linestyle=":")
    label(left, DATA[data], "chosen by", "private accuracy, a point a unit")
    label(right, DATA[data], "chosen by", "public minus private accuracy")
