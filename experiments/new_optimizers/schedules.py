"""Do triangular cycles, warm restarts and the one-cycle policy improve SGD?

SGD with a momentum of 0.9 trains for a fixed number of updates under each schedule,
over ten peak rates with steps of 1.5: a dense network on digits, and a convolutional
one on clothing. Every unit has initial weights, an order and a split of its own; each
schedule is tuned, a constant rate too, by the held-out accuracy that also judges, on
units of its own.

The course says that triangular cycles with half-cycles of several epochs help, and that
cosine annealing with warm restarts and one-cycle do. Each holds if it ends more
accurate on held-out pictures than the best constant rate, fails if it ends less
accurate, and has no effect if half a point separates the two at most: so little is less
than what other initial weights change. Each is asked of both data sets. Two triangles
are drawn, whose half-cycles are 5 epochs of digits and 2.5 of clothing. Their peaks are
tuned, not read off a range test, and their floor is a tenth of it.

The negative control is a rate that wobbles by a tenth around its mean, in two
triangles: compared with a constant rate it must show no effect. That large rates help
*because* they make the search explore is not tested; but if cycles as such help, they
must end more accurate than cosine annealing, which falls as low without them. Steps,
cosine annealing and the last losses on held-out pictures stand beside.

The range of the rates was placed by coarse runs from other seeds (100 and above, steps
of 2, four to ten units). The first run had half as many units, and four of the six
deciding intervals were too wide to tell.

Claims: C115, C116.
Sources: Smith 2017, arXiv:1506.01186; Loshchilov and Hutter 2017, arXiv:1608.03983;
    Smith and Topin 2018, arXiv:1708.07120.
Cost: 83 seconds on 2 cores, compilation included.
Expect: on digits no effect; on clothing, where a constant rate is noisy, all help.
Run: jaxml run schedules
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion, Interval
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Keep, Scalar, Workload

RATES = 0.012 * 1.5 ** np.arange(10)  # at the peak

ACCURACY = record.above(
    0.0, margin=0.005, reason="half a point: less than what initial weights change"
)
LOSS = record.below(
    0.0, margin=0.01, reason="0.01 nats is 1 % in the probability of the right class"
)


class Schedule(NamedTuple):
    """One that takes part.

    Attributes:
        claim: of which it is an example.
        words: for it, in a sentence.
        shape: of the rate.
    """

    claim: str
    words: str
    shape: Any


CONSTANT = "constant"
DECIDING = {
    "triangular": Schedule(
        "C115", "two triangular cycles", partial(learn.triangular, cycles=2)
    ),
    "restarts": Schedule(
        "C116", "cosine annealing with two warm restarts", learn.restarts
    ),
    "one_cycle": Schedule("C116", "the one-cycle policy", learn.one_cycle),
}
BESIDE = {  # on digits alone
    "step": Schedule("C116", "three drops to a tenth", learn.step_decay),
    "cosine": Schedule("C116", "cosine annealing without restarts", learn.cosine),
    "wobble": Schedule(
        "C115",
        "a wobble by a tenth around the mean (the control)",
        partial(learn.triangular, cycles=2, floor=9 / 11),
    ),
}
SCHEDULES = {CONSTANT: Schedule("", "a constant rate", learn.constant)}
SCHEDULES |= DECIDING | BESIDE
ALL = tuple(SCHEDULES)
DATA = (
    "8x8 digits, dense network",
    "14x14 pictures of clothing, convolutional network",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units and budgets; `clothing` examples of 0 take digits twice.

    Units are of each kind: as many tune as judge.
    """

    digits: int = 500  # to train on
    digits_units: int = 40
    clothing: int = 1000  # to train on
    clothing_units: int = 20
    test: int = 1000
    width: int = 32
    channels: int = 8
    steps: int = 500
    batch: int = 20
    lanes: int = 10
    picture_lanes: int = 2
    seed: int = 0


SMOKE = Config(
    digits=40,
    digits_units=2,
    clothing=0,
    test=20,
    width=4,
    steps=20,
    lanes=280,
)


class Point(NamedTuple):
    """Hyperparameters of SGD with momentum under one of several schedules.

    Attributes:
        lr: the peak rate.
        schedule: which, in the order of ALL.
        horizon: updates of a run.
        seed: of the unit.
    """

    lr: Any
    schedule: Any = 0
    horizon: Any = 0.0
    seed: Any = 0


class Ends(NamedTuple):
    """The last measures on held-out pictures, by schedule in the order of ALL, as far
    as they take part; nan where a run diverged. Units that tune come first.

    Attributes:
        accuracy: fraction of pictures.
        loss: in nats.
        tuning: how many of the units tune.
        examples: that are trained on.
        weights: of the network.
        steps: updates of a run.
    """

    accuracy: Float[np.ndarray, "schedule rate unit"]
    loss: Float[np.ndarray, "schedule rate unit"]
    tuning: Int[np.ndarray, ""]
    examples: Int[np.ndarray, ""]
    weights: Int[np.ndarray, ""]
    steps: Int[np.ndarray, ""]


class Result(NamedTuple):
    """How runs end, by data set in the order of DATA."""

    digits: Ends
    clothing: Ends


def study(config: Config, keep: Keep) -> Result:
    """One program a data set, in which the schedule is a traced number."""
    compare = partial(learn.compare, seed=config.seed, keep=keep)
    contest = partial(learn.experiment, batch=config.batch, steps=config.steps)
    steps = np.array(config.steps)
    work = problem.digits_workload(
        train=config.digits, test=config.test, width=config.width
    )
    found = compare(
        contest(work),
        {"digits": _entrant(ALL, config.steps)},
        lanes=config.lanes,
        units=learn.Units(config.digits_units, config.digits_units),
    )
    digits = clothing = _ends(found["digits"], work, steps)
    if config.clothing:
        work = problem.clothing_workload(
            pool=20_000,
            train=config.clothing,
            test=config.test,
            channels=(config.channels,),
            block=2,
        )
        found = compare(
            contest(work),
            {"clothing": _entrant((CONSTANT, *DECIDING), config.steps)},
            lanes=config.picture_lanes,
            units=learn.Units(config.clothing_units, config.clothing_units),
        )
        clothing = _ends(found["clothing"], work, steps)
    return Result(digits, clothing)


def _entrant(names: tuple[str, ...], steps: int) -> learn.Entrant:
    """Schedules times rates."""
    numbers = [ALL.index(name) for name in names]
    grid = learn.grid(Point, schedule=numbers, lr=RATES, horizon=[steps])
    return learn.Entrant(_scheduled, grid)


def _scheduled(hyper: Any) -> optax.GradientTransformation:
    """SGD with momentum under the schedule that the point names."""

    def shape(step: Any, horizon: Any) -> Scalar:
        shapes = [each.shape(step, horizon) for each in SCHEDULES.values()]
        return jnp.stack(shapes)[hyper.schedule]

    plain = learn.Hyper(lr=hyper.lr, horizon=hyper.horizon)
    return learn.momentum(plain, shape=shape)


def _ends(found: learn.Contest, work: Workload, steps: Int[np.ndarray, ""]) -> Ends:
    def by_schedule(values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, len(RATES), values.shape[-1])

    return Ends(
        accuracy=by_schedule(found.final["accuracy"]),
        loss=by_schedule(found.final["test"]),
        tuning=np.array(found.tuning),
        examples=np.array(work.train),
        weights=np.array(problem.weights(work)),
        steps=steps,
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """Three schedules decide on both data sets; the rest stands beside."""
    digits = _setting(result.digits, DATA[0])
    clothing = _setting(result.clothing, DATA[1])
    found = []
    for name in DECIDING:
        found.append(_accuracy(result.digits, name, digits, record.deciding))
        found.append(_accuracy(result.clothing, name, clothing, record.deciding))
        found.append(_loss(result.digits, name, digits))
        found.append(_loss(result.clothing, name, clothing))
    for name in BESIDE:
        found.append(_accuracy(result.digits, name, digits, record.supporting))
    found.append(_cycles(result.digits, digits))
    return tuple(found)


def _setting(ends: Ends, data: str) -> str:
    return (
        f"{data} of {ends.weights:,} weights, {ends.examples:,} examples drawn anew in "
        f"each unit, {ends.steps:,} updates, peak rates tuned"
    )


def _accuracy(ends: Ends, name: str, setting: str, assertion: Any) -> Assertion:
    claim, words, _ = SCHEDULES[name]
    return assertion(
        claim,
        f"SGD with momentum ends more accurate on held-out pictures under {words} than "
        "at a constant rate.",
        _difference(ends, (name, CONSTANT), ends.accuracy, -ends.accuracy),
        ACCURACY,
        unit="accuracy difference",
        setting=setting,
    )


def _loss(ends: Ends, name: str, setting: str) -> Assertion:
    claim, words, _ = SCHEDULES[name]
    return record.supporting(
        claim,
        f"SGD with momentum ends at a lower loss on held-out pictures under {words} "
        "than at a constant rate.",
        _difference(ends, (name, CONSTANT), ends.loss, ends.loss),
        LOSS,
        unit="nats",
        setting=setting,
    )


def _cycles(ends: Ends, setting: str) -> Assertion:
    """Whether cycles help beyond the decay with which they end."""
    pair = ("triangular", "cosine")
    return record.supporting(
        "C115",
        "SGD with momentum ends more accurate on held-out pictures under two "
        "triangular cycles than under cosine annealing without restarts.",
        _difference(ends, pair, ends.accuracy, -ends.accuracy),
        ACCURACY,
        unit="accuracy difference",
        setting=setting,
    )


def _difference(
    ends: Ends, pair: tuple[str, str], values: np.ndarray, scores: np.ndarray
) -> Interval:
    """Mean under the first schedule minus that under the second."""
    arms = []
    for name in pair:
        index = ALL.index(name)
        arms.append(Arm(values[index], scores[index]))
    return record.tuned(record.mean_difference, *arms, tuning=int(ends.tuning))


def figures(result: Result) -> dict[str, Figure]:
    """Accuracy by peak rate, and how far that of each schedule exceeds a constant
    rate's, unit by unit.
    """
    figure, axes = panels(2, 2, width=5.2)
    rows = zip(axes[::2], axes[1::2], result, DATA, strict=True)
    for by_rate, by_unit, ends, data in rows:
        for name in (CONSTANT, *DECIDING):
            accuracy = np.nan_to_num(ends.accuracy[ALL.index(name)])
            band(by_rate, RATES, accuracy, SCHEDULES[name].words, within=0.5)
        best = float(np.nanmax(np.nanmean(ends.accuracy, axis=-1)))
        by_rate.set_xscale("log")
        by_rate.set_ylim(best - 0.12, best + 0.03)
        label(by_rate, data, "peak rate η", "accuracy on held-out pictures")
        constant, *arms = (Arm(accuracy, -accuracy) for accuracy in ends.accuracy)
        pairs = {}
        for name, arm in zip(ALL[1:], arms, strict=False):
            pairs[name.replace("_", " ")] = arm, constant
        compared(by_unit, pairs, ACCURACY, tuning=int(ends.tuning))
        gain = "accuracy minus that at a constant rate"
        label(by_unit, "At tuned rates", gain, "schedule")
    shared_legend(figure)
    return {"schedules": figure}
