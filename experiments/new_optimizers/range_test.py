"""Does accuracy start low, peak and fall when the learning rate climbs?

In a range test one run's rate climbs steadily, here by a constant factor an update from
1e-4 to 100, and held-out accuracy is evaluated on the way. The course says that it
starts low, climbs to a peak, and falls again. It says so of a network; two are tested,
a dense one on digits and a convolutional one on clothing, under SGD with a momentum of
0.9. Every unit has initial weights, an order and a split of its own.

A unit shows the claim if its peak is above one half and both its first and its last
accuracy are below half of its peak. It does not if accuracy stays flat, if it never
falls, or if it is high from the start; the claim is refuted if most units do not show
it. After a divergence, when outputs are no numbers, accuracy counts as 0. The negative
control is the same evaluation of runs whose rate stays at the best of nine constant
ones: they start low and climb too, and must not fall.

Beside it stands the use that the course makes of it: the best constant rate, tuned by
the last accuracy on units of their own, against the rate at which accuracy peaks. A
factor of 1.5, a step of the grid, matters. The grids were placed by a coarse look at
other seeds (100 and above, steps of 2, three or four units).

Claims: C114.
Sources: Smith 2017, arXiv:1506.01186, section 3.3, whose rates climb linearly.
Cost: 20 seconds on 2 cores, compilation included.
Expect: all units show it; the best constant rate lies below the peak.
Run: jaxml run range_test
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Keep, Scalar, Workload

LOW, HIGH = 1e-4, 100.0  # between which the rate climbs
RATES = 0.01 * 1.5 ** np.arange(9)  # constant ones
DATA = (
    "8x8 digits, dense network",
    "14x14 pictures of clothing, convolutional network",
)
STEP = "a factor of 1.5 is a step of the grid"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units and budgets; `clothing` examples of 0 take digits as pictures instead.

    Units are of each kind: as many tune the constant rate as judge.
    """

    digits: int = 500  # to train on
    clothing: int = 1000  # to train on
    test: int = 500
    units: int = 10
    width: int = 32
    channels: int = 8
    steps: int = 500
    every: int = 10
    batch: int = 20
    lanes: int = 10
    picture_lanes: int = 2
    seed: int = 0


SMOKE = Config(
    digits=40,
    clothing=0,
    test=20,
    units=2,
    width=4,
    channels=1,
    steps=20,
    lanes=40,
    picture_lanes=40,
)


class Accuracies(NamedTuple):
    """Held-out accuracy on one data set, 0 after a divergence. Units that tune come
    first.

    Attributes:
        climb: of range tests.
        rates: of range tests, at the last update before each evaluation.
        constant: at constant rates.
        tuning: how many of the units tune.
        examples: that are trained on.
        weights: of the network.
        steps: updates of a run.
    """

    climb: Float[np.ndarray, "unit evaluation"]
    rates: Float[np.ndarray, " evaluation"]
    constant: Float[np.ndarray, "rate unit evaluation"]
    tuning: Int[np.ndarray, ""]
    examples: Int[np.ndarray, ""]
    weights: Int[np.ndarray, ""]
    steps: Int[np.ndarray, ""]


class Result(NamedTuple):
    """What was seen, by data set in the order of DATA."""

    digits: Accuracies
    clothing: Accuracies


class Point(NamedTuple):
    """Hyperparameters of SGD with momentum at a constant rate or one that climbs.

    Attributes:
        lr: the rate, in the end.
        first: of the rates over the last, 1 where it is constant.
        horizon: updates of a run.
        seed: of the unit.
    """

    lr: Any
    first: Any
    horizon: Any
    seed: Any = 0


def climbing(hyper: Any) -> optax.GradientTransformation:
    """SGD with momentum at the rate lr · first^(1 - step / (horizon - 1))."""

    def shape(step: Any, horizon: Any) -> Scalar:
        passed = jnp.asarray(step, float) / (jnp.asarray(horizon, float) - 1)
        return jnp.asarray(hyper.first, float) ** (1 - passed)

    plain = learn.Hyper(lr=hyper.lr, horizon=hyper.horizon)
    return learn.momentum(plain, shape=shape)


def study(config: Config, keep: Keep) -> Result:
    """One program a data set: range tests are the first point, then constant rates."""
    digits = problem.digits_workload(
        train=config.digits, test=config.test, width=config.width
    )
    pictures = _pictures(config)
    return Result(
        _accuracies(config, "digits", digits, config.lanes, keep),
        _accuracies(config, "clothing", pictures, config.picture_lanes, keep),
    )


def _pictures(config: Config) -> Workload:
    """Clothing, its pixels averaged over blocks of 2 by 2."""
    sizes = {"test": config.test, "channels": (config.channels,)}
    if not config.clothing:
        return problem.digit_images_workload(train=config.digits, **sizes)
    return problem.clothing_workload(
        pool=20_000, train=config.clothing, block=2, **sizes
    )


def _accuracies(
    config: Config, name: str, work: Workload, lanes: int, keep: Keep
) -> Accuracies:
    """Range tests, and constant rates on the same units."""
    seen = work._replace(measures={"accuracy": work.measures["accuracy"]})
    climb_first = np.arange(1 + len(RATES)) == 0
    points = Point(
        lr=np.array([HIGH, *RATES], np.float32),
        first=np.where(climb_first, np.float32(LOW / HIGH), np.float32(1)),
        horizon=np.full(len(climb_first), config.steps, np.float32),
        seed=np.zeros(len(climb_first), np.int32),
    )
    found = learn.compare(
        learn.experiment(
            seen, batch=config.batch, steps=config.steps, every=config.every
        ),
        {name: learn.Entrant(climbing, points)},
        lanes=lanes,
        units=learn.Units(config.units, config.units),
        seed=config.seed,
        keep=keep,
    )[name]
    accuracy = _accuracy(found)
    last = (found.updates - 1) / (config.steps - 1)
    return Accuracies(
        climb=accuracy[0],
        rates=LOW * (HIGH / LOW) ** last,
        constant=accuracy[1:],
        tuning=np.array(config.units),
        examples=np.array(work.train),
        weights=np.array(problem.weights(work)),
        steps=np.array(config.steps),
    )


def _accuracy(contest: learn.Contest) -> np.ndarray:
    """Curves `[rate, unit, evaluation]`, 0 from the divergence on."""
    lost = contest.diverged_at[:, :, None]
    gone = (lost >= 0) & (contest.updates > lost)
    return np.where(gone, np.float32(0), contest.curves["accuracy"])


def findings(result: Result) -> tuple[Assertion, ...]:
    """The shape of range tests decides; the control and the best rate stand beside."""
    found = []
    for curves, data in zip(result, DATA, strict=True):
        setting = (
            f"{data} of {curves.weights:,} weights, {curves.examples:,} examples drawn "
            f"anew in each unit, SGD with momentum, {curves.steps:,} updates"
        )
        found.append(_shape(curves, setting))
        found.append(_control(curves, setting))
        found.append(_best_rate(curves, setting))
    return tuple(found)


def rises_and_falls(accuracy: np.ndarray) -> np.ndarray:
    """Whether the first and the last of a curve are below half of its peak, and that
    above one half: `[unit]` of `[unit, evaluation]`.
    """
    peak = np.max(accuracy, axis=-1)
    low = np.maximum(accuracy[:, 0], accuracy[:, -1]) < peak / 2
    return low & (peak > 0.5)


def _shape(curves: Accuracies, setting: str) -> Assertion:
    return record.deciding(
        "C114",
        "In most range tests the accuracy on held-out pictures climbs from less than "
        "half of its peak to a peak above one half, and falls to less than half of it.",
        record.proportion(rises_and_falls(curves.climb), of=curves.climb),
        record.above(0.5),
        unit="fraction",
        setting=f"{setting}, a rate that climbs from 1e-4 to 100",
    )


def _control(curves: Accuracies, setting: str) -> Assertion:
    tuning = int(curves.tuning)
    best = learn.chosen(-curves.constant[..., -1], tuning)
    held = curves.constant[best, tuning:]
    return record.supporting(
        "C114",
        "The control: in most runs at the best constant rate the accuracy on held-out "
        "pictures does not rise so and fall.",
        record.proportion(rises_and_falls(held), of=held),
        record.below(0.5),
        unit="fraction",
        setting=f"{setting}, constant rates",
    )


def _best_rate(curves: Accuracies, setting: str) -> Assertion:
    """Logarithm of the best constant rate over the rate of the peak."""
    accuracy = curves.constant[..., -1]
    rates = np.broadcast_to(np.log(RATES)[:, None], accuracy.shape)
    peaks = np.log(curves.rates[np.argmax(curves.climb, axis=-1)])
    measured = record.tuned(
        record.mean_difference,
        Arm(rates, scores=-accuracy),
        Arm(peaks[None]),
        tuning=int(curves.tuning),
    )
    return record.supporting(
        "C114",
        "The constant rate with the highest last accuracy lies below the rate at which "
        "the accuracy of a range test peaks.",
        measured,
        record.below(0.0, margin=math.log(1.5), reason=STEP),
        unit="log ratio",
        setting=f"{setting}, a rate that climbs from 1e-4 to 100, and constant rates",
    )


def figures(result: Result) -> dict[str, Figure]:
    """Accuracy by rate: on the way up, and at the end of constant rates."""
    figure, axes = panels(1, 2, width=5.0)
    for panel, curves, data in zip(axes, result, DATA, strict=True):
        band(panel, curves.rates, curves.climb.T, "range test, at that rate")
        last = curves.constant[..., -1]
        band(panel, RATES, last, "constant rate, at the end")
        panel.axhline(0.5, color="0.4", linestyle=":", label="the peak lies above")
        panel.set_xscale("log")
        risen = rises_and_falls(curves.climb)
        title = (
            f"{data.split(',')[0]}: {risen.sum()} of {risen.size} tests rise and fall"
        )
        label(panel, title, "rate η", "accuracy on held-out pictures")
    shared_legend(figure)
    return {"range_test": figure}
