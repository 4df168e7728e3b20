"""Do deep networks of sigmoids become trainable with batch normalisation?

The paper trains Inception with sigmoids, which without batch normalisation never leaves
the accuracy of a guess. Here a dense network of six hidden layers of 32 sigmoids learns
500 digits by SGD with momentum 0.9, 400 updates, at each of 18 constant rates that step
by 1.5; what counts is accuracy on held-out digits in the end, at the best of them, by
mean and variance of all training examples.

"Becomes trainable" says two things: normalised networks tell more than half of the
digits, and plain ones do not. So what decides is the lesser of two distances, of the
normalised accuracy above a half and of the plain one below it. It supports the claim
above a tenth, what a guess is worth, and refutes it below minus that: if plain networks
train as well, or if normalised ones do not train either.

Negative control, which must be refuted: the same of networks of ReLUs, which train
without normalisation.

Initial weights have LeCun's deviation. A sigmoid is nowhere steeper than a quarter, so
that each layer leaves less of what tells two inputs apart. Four times the deviation
undo this; as supporting it is asked whether plain networks train then. If so, batch
normalisation is one of several ways to train deep sigmoids.

A unit draws weights, order and both parts of the digits anew; the first ones tune, and
resamples tune anew. No end of the plain sigmoids' grid counts as an edge, since no rate
may train them. A network that diverged counts with the accuracy of a guess. Two units
of seed 100, judged nowhere, placed rates and updates; in them the claim held, plain
networks were at chance, with He's deviation even after 4,000 updates, and those of
larger weights trained.

Not tested: convolution, other depths (few layers of sigmoids train without), and other
initial weights or adaptive rates, which may train deep sigmoids too.

Claims: C103.
Sources: Ioffe and Szegedy 2015, arXiv:1502.03167, section 4.2.2 and figure 2; Glorot
    and Bengio 2010, "Understanding the difficulty of training deep feedforward neural
    networks", for what initial weights do.
Cost: two minutes on 2 cores, compilation included.
Expect: trainable with it, at chance without; trainable too with larger weights.
Run: jaxml run deep_sigmoids
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.learn import Family, Probe, Training, TrainState
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned
from jaxml.record.figures import Figure, by_rate, label, legend_below, panels, strips
from jaxml.types import Array, Keep, Model, Params

SIGMOIDS, BATCH_SIGMOIDS, LARGER_SIGMOIDS, RELUS, BATCH_RELUS = range(5)
NETWORKS: dict[str, dict[str, float]] = {
    "sigmoids": {"sigmoid": 1},
    "sigmoids, normalised": {"sigmoid": 1, "normalised": 1},
    "sigmoids, larger weights": {"sigmoid": 1, "larger": 4.0},
    "ReLUs": {},
    "ReLUs, normalised": {"normalised": 1},
}
LOWEST, STEP, SIZE, CHANCE, HALF = 0.0024, 1.5, 50, 0.1, 0.5
TRAINS = record.above(0.0, margin=0.1, reason="a tenth, what a guess is worth")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hidden layers, examples, updates, rates, and units."""

    widths: tuple[int, ...] = (32, 32, 32, 32, 32, 32)
    train: int = 500
    test: int = 1000
    updates: int = 400
    rates: int = 18
    tuning: int = 8
    judging: int = 12
    lanes: int = 72
    seed: int = 0


SMOKE = Config(
    widths=(4,),
    train=50,
    test=20,
    updates=2,
    rates=1,
    tuning=1,
    judging=2,
    lanes=15,
)


class Point(NamedTuple):
    """A rate, whether units are sigmoids and are normalised, and how many times as
    large initial weights are.
    """

    lr: Any = 0.1
    sigmoid: Any = 0
    normalised: Any = 0
    larger: Any = 1.0
    momentum: Any = 0.9
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: Any = 0


class Result(NamedTuple):
    """Networks in the order of NETWORKS. Units that tune come first.

    Attributes:
        accuracy: held out, in the end; that of a guess where a run diverged.
        rates: of all networks.
        widths: of the hidden layers.
        examples: that train.
        updates: of a run.
        tuning: how many of the units tune.
    """

    accuracy: Float[np.ndarray, "network rate unit"]
    rates: Float[np.ndarray, " rate"]
    widths: Array
    examples: Array
    updates: Array
    tuning: Array


def study(config: Config, keep: Keep) -> Result:
    """One program for all networks and rates."""
    rates = LOWEST * STEP ** np.arange(config.rates)
    grids = [learn.grid(Point, lr=rates, **network) for network in NETWORKS.values()]

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
    accuracy = np.where(found.diverged_at < 0, found.final["accuracy"], CHANCE)
    setting = (config.widths, config.train, config.updates, config.tuning)
    return Result(
        accuracy.reshape(len(NETWORKS), len(rates), -1), rates, *map(np.array, setting)
    )


def _training(config: Config, family: Family, point: Point) -> Training:
    """Training of the network of one point."""
    data = problem.digits()

    def activation(values: jax.Array) -> jax.Array:
        sigmoid, relu = jax.nn.sigmoid(values), jax.nn.relu(values)
        return jnp.where(jnp.asarray(point.sigmoid) == 1, sigmoid, relu)

    norm = problem.one_of(point.normalised, problem.chain(), problem.batch_norm())
    model = problem.normalised_dense(
        norm, config.widths, outputs=10, activation=activation
    )
    training = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        family,
        learn.split_anew(data, train=config.train, test=config.test, size=SIZE),
        steps=config.updates,
        probe=Probe(lambda params: (), partial(_measured, model)),
    )
    return learn.starting_from(training, partial(_larger, point.larger))


def _larger(factor: Array, params: Params) -> Params:
    """The parameters with kernels so many times as large."""

    def larger(leaf: Array) -> Array:
        return factor * leaf if leaf.ndim > 1 else leaf

    return jax.tree.map(larger, params)


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
    """What decides, its control, and what larger weights do."""
    judge = partial(_judged, result)
    return (
        judge(
            record.deciding,
            "Deep networks of sigmoids tell more than half of the held-out "
            "digits with batch normalisation, and do not without it, at any rate.",
            (SIGMOIDS, BATCH_SIGMOIDS),
        ),
        judge(
            record.supporting,
            "Control: deep networks of ReLUs tell more than half of the "
            "held-out digits with batch normalisation, and do not without it, at any "
            "rate.",
            (RELUS, BATCH_RELUS),
        ),
        judge(
            record.supporting,
            "Deep networks of sigmoids without normalisation tell more than "
            "half of the held-out digits if their initial weights are four times as "
            "large, and do not otherwise, at any rate.",
            (SIGMOIDS, LARGER_SIGMOIDS),
        ),
    )


def _lesser(without: Array, having: Array) -> float:
    """Of how far the one lies below a half, and the other above it."""
    below = HALF - float(np.mean(without, dtype=np.float64))
    return min(below, float(np.mean(having, dtype=np.float64)) - HALF)


def _arm(result: Result, network: int) -> Arm:
    """Accuracy, tuned by itself. Of plain sigmoids, which no rate may train, none is an
    edge.
    """
    values = result.accuracy[network]
    edges = np.zeros(len(values), bool) if network == SIGMOIDS else None
    return Arm(values, -values, edges)


def _judged(
    result: Result,
    role: Callable[..., Assertion],
    statement: str,
    pair: tuple[int, int],
) -> Assertion:
    arms = [_arm(result, network) for network in pair]
    return role(
        "C103",
        statement,
        record.tuned(_lesser, *arms, tuning=int(result.tuning)),
        TRAINS,
        unit="accuracy difference",
        setting=f"8x8 digits, {result.examples} of them for training, dense network of "
        f"{len(result.widths)} hidden layers of {result.widths[0]} units, SGD with "
        f"momentum 0.9 in batches of {SIZE}, {result.updates} updates; the lesser of "
        "two distances from a half",
    )


def figures(result: Result) -> dict[str, Figure]:
    """Accuracy by rate, and unit by unit at the tuned rate."""
    figure, (left, right) = panels(1, 2, width=5.6, height=3.6)
    tuning, units = int(result.tuning), {}
    for network, name in enumerate(NETWORKS):
        arm = _arm(result, network)
        best = learn.chosen(np.asarray(arm.scores), tuning)
        by_rate(left, result.rates, np.asarray(arm.values), best, name)
        units[name] = at_tuned(arm, tuning)
    label(left, "All units", "rate (line: tuned)", "held-out accuracy")
    legend_below(left)
    strips(right, units)
    right.axhline(HALF, color="0.4", linestyle=":", marker="")
    label(right, "At the tuned rate", "network", "held-out accuracy")
    return {"accuracy": figure}
