"""Does a network with batch normalisation reach the plain one's accuracy sooner?

The paper's curves in kind. Dense networks of six hidden layers of ReLUs, with batch
normalisation and without, learn 500 digits by SGD with momentum 0.9, which the paper
has too; what counts is accuracy on held-out digits, by mean and variance of all
training examples. Each network is trained at eight base rates that step by 1.5, and at
5 and 30 times these, so at 24 rates. Rates are constant, or fall exponentially to a
hundredth, as the paper's fall. Of the same runs `higher_rates` asks whether 5 and 30
times a rate are borne; `deep_sigmoids` asks of sigmoids.

What decides, at each schedule: the updates until a target, with normalisation over
without, each at the one of 24 rates that is best for this. The claim holds below 1 /
1.25, less than a step of a usual grid; it is refuted above 1.25, and between them both
are as fast. The target is where plain networks end at their best rate, minus a point of
accuracy; the units that tune fix it. A run that misses it counts with all its updates,
which brings ratios nearer to one.

Negative control, which must show no effect: plain networks that begin with other signs
of their weights. Supporting: a target ten points lower.

Initial weights have He's scale, so that plain ReLUs begin well. A unit draws weights,
order and both parts of the digits anew; the first ones tune, and resamples tune anew.
Two units of seed 100, judged nowhere, placed base rates and updates, at constant rates;
in them normalisation was two to three times as fast. Falling rates were added after
them, since the paper has them, and decide too; a first layout, of one hidden layer, had
the plain network's best falling rate on the edge of the grid, which was moved up.

Not tested: convolution, larger data, and what else the paper changed beside the rate
(no dropout, less weight decay, a rate that falls sooner).

Claims: C103.
Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 4.2 and figure 2.
Cost: seven minutes on 2 cores, compilation included.
Expect: two to three times as fast, at either schedule.
Run: jaxml run faster_training
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.learn import Family, Probe, Training, TrainState
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, by_rate, label, legend_below, panels
from jaxml.types import Array, Keep, Model

CONSTANT, FALLING = range(2)
SCHEDULES = ("constant rates", "rates that fall to a hundredth")
SHORT = ("constant", "falling")
FINAL = (1.0, 0.01)
NONE, BATCH, OTHER = range(3)
NETWORKS = ("none", "normalised", "none, other signs")
MULTIPLES = (1.0, 5.0, 30.0)
LOWEST, STEP, SIZE, CHANCE, POINT = 0.012, 1.5, 50, 0.1, 0.01
FASTER = record.below(
    0.0,
    margin=float(np.log(1.25)),
    reason="a factor of 1.25, less than a step of a usual grid of rates",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hidden layers, examples, updates and those between two looks, base rates, and
    units.
    """

    widths: tuple[int, ...] = (32, 32, 32, 32, 32, 32)
    train: int = 500
    test: int = 1000
    updates: int = 400
    every: int = 5
    rates: int = 8
    tuning: int = 8
    judging: int = 12
    lanes: int = 96
    seed: int = 0


SMOKE = Config(
    widths=(4,),
    train=50,
    test=20,
    updates=2,
    every=1,
    rates=1,
    tuning=1,
    judging=2,
    lanes=54,
)


class Point(NamedTuple):
    """A rate and what it falls to, whether a network is normalised, and its signs."""

    lr: Any = 0.1
    final: Any = 1.0
    normalised: Any = 0
    signs: Any = 0
    horizon: Any = 1.0
    momentum: Any = 0.9
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: Any = 0


class Result(NamedTuple):
    """Networks in the order of NETWORKS. Units that tune come first.

    Attributes:
        accuracy: held out; that of a guess once a run has diverged.
        updates: after how many it was looked at.
        rates: of all networks: base rates, then 5 and 30 times these.
        widths: of the hidden layers.
        examples: that train.
        tuning: how many of the units tune.
    """

    accuracy: Float[np.ndarray, "schedule network rate unit look"]
    updates: Array
    rates: Float[np.ndarray, " rate"]
    widths: Array
    examples: Array
    tuning: Array


def study(config: Config, keep: Keep) -> Result:
    """One program for all networks, rates and schedules."""
    base = LOWEST * STEP ** np.arange(config.rates)
    rates = np.ravel(np.array(MULTIPLES)[:, None] * base)
    grids = [
        learn.grid(
            Point,
            lr=rates,
            final=[final],
            normalised=[int(network == BATCH)],
            signs=[int(network == OTHER)],
            horizon=[config.updates],
        )
        for final in FINAL
        for network in range(len(NETWORKS))
    ]

    def of_family(family: Family) -> Training:
        return learn.at_each_point(partial(_training, config, family), Point())

    found = learn.compare(
        of_family,
        {"networks": learn.Entrant(learn.momentum, learn.joined(grids))},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )["networks"]
    diverged_at = found.diverged_at[..., None]
    lost = (diverged_at >= 0) & (found.updates > diverged_at)
    accuracy = np.where(lost, CHANCE, found.curves["accuracy"])
    shape = (len(FINAL), len(NETWORKS), len(rates), *accuracy.shape[1:])
    setting = (config.widths, config.train, config.tuning)
    return Result(
        accuracy.reshape(shape), found.updates, rates, *map(np.array, setting)
    )


def _training(config: Config, family: Family, point: Point) -> Training:
    """Training of the network of one point."""
    data = problem.digits()
    norm = problem.one_of(point.normalised, problem.chain(), problem.batch_norm())
    he = float(np.sqrt(2))
    model = problem.normalised_dense(norm, config.widths, outputs=10, scale=he)
    falling = partial(learn.exponential, final=point.final)
    training = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        lambda hyper: learn.as_family(family)(hyper, falling),
        learn.split_anew(data, train=config.train, test=config.test, size=SIZE),
        steps=config.updates,
        every=config.every,
        probe=Probe(lambda params: (), partial(_measured, model)),
    )
    begun = partial(problem.other_kernel_signs, number=point.signs)
    return learn.starting_from(training, begun)


def _measured(
    model: Model, probe: Any, train: TrainState
) -> tuple[Any, dict[str, Array]]:
    """Held-out accuracy by statistics of all training examples."""
    own = train.data
    accuracy = problem.precise_objective(
        model, problem.accuracy, train.model_state, own.train
    )
    return probe, {"accuracy": accuracy(train.params, own.test)}


def findings(result: Result) -> tuple[Assertion, ...]:
    """Each at both schedules: what decides, its control, and a lower target."""
    rest = "plain networks end, in fewer updates than these, each at its best rate."
    near, far = f"a point below where {rest}", f"eleven points below where {rest}"
    rows = (
        (record.deciding, BATCH, 0.0, f"Batch-normalised networks come to {near}"),
        (
            record.supporting,
            OTHER,
            0.0,
            f"Control: others of new signs come to {near}",
        ),
        (record.supporting, BATCH, 0.1, f"Batch-normalised networks come to {far}"),
    )
    found = []
    for schedule in range(len(SCHEDULES)):
        for role, network, lower, statement in rows:
            target = _target(result, schedule) - lower
            ours = _tuned(result, schedule, network, target)
            theirs = _tuned(result, schedule, NONE, target)
            measured = record.tuned(
                record.mean_difference, ours, theirs, tuning=int(result.tuning)
            )
            assertion = role(
                "C103",
                statement,
                measured,
                FASTER,
                unit="log ratio",
                setting=_setting(result, schedule),
            )
            found.append(assertion)
    return tuple(found)


def _setting(result: Result, schedule: int) -> str:
    layers, width = len(result.widths), result.widths[0]
    return (
        f"8x8 digits, {result.examples} of them for training, dense network of "
        f"{layers} hidden layers of {width} ReLUs, SGD with momentum 0.9 in batches of "
        f"{SIZE}, {result.updates[-1]} updates at {SCHEDULES[schedule]}; held-out "
        "accuracy"
    )


def _target(result: Result, schedule: int) -> float:
    """What plain networks end at, over the units that tune, minus a point."""
    final, tuning = result.accuracy[schedule, NONE, ..., -1], int(result.tuning)
    best = learn.chosen(-final, tuning)
    return float(np.mean(final[best, :tuning], dtype=np.float64)) - POINT


def _log_updates(result: Result, curves: np.ndarray, target: float) -> np.ndarray:
    """Of curves `[..., look]`, until the target; of all updates where it is missed."""
    reached = curves >= target
    first = result.updates[np.argmax(reached, axis=-1)]
    counts = np.where(np.any(reached, axis=-1), first, result.updates[-1])
    return np.log(counts.astype(np.float64))


def _tuned(result: Result, schedule: int, network: int, target: float) -> Arm:
    """By its updates, in the order of rates; where all miss the target, the nearest."""
    curves = result.accuracy[schedule, network, np.argsort(result.rates)]
    values = _log_updates(result, curves, target)
    missed = np.maximum(target - np.max(curves, axis=-1), 0)
    return Arm(values, values + missed)


def figures(result: Result) -> dict[str, Figure]:
    """Updates by rate, and their ratios unit by unit."""
    figure, axes = panels(1, 3, width=5.0, height=3.6)
    rates, tuning = np.sort(result.rates), int(result.tuning)
    pairs = {}
    for schedule, name in enumerate(SCHEDULES):
        target = _target(result, schedule)
        for network, who in enumerate(NETWORKS):
            arm = _tuned(result, schedule, network, target)
            best = learn.chosen(np.asarray(arm.scores), tuning)
            by_rate(axes[schedule], rates, np.exp(arm.values), best, who)
            if network != NONE:
                plain = _tuned(result, schedule, NONE, target)
                pairs[f"{who}, {SHORT[schedule]}"] = (arm, plain)
        axes[schedule].set_yscale("log")
        label(axes[schedule], name, "rate (line: tuned)", "updates to the target")
    compared(axes[-1], pairs, FASTER, tuning=tuning)
    label(axes[-1], "At best rates", "log of the ratio to none", "network")
    for axis in axes:
        legend_below(axis)
    return {"speed": figure}
