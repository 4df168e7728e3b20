"""Before or after the activation: where does batch normalisation belong?

The course says that it makes little difference whether z = W x + b or a = σ(z) is
normalised, but that for sigmoids z is better, since it then lies where they are steep.
A dense network with four hidden layers of 32 units learns 500 digits by SGD in batches
of 32, 400 updates; what performs is accuracy on held-out digits, by mean and variance
of all training examples. Two comparisons decide, each of before with after:

- ReLUs: the two differ by less than one picture in a hundred, or by more;
- sigmoids: before is more accurate by more than that, or less accurate, or neither.

Controls: that before and no normalisation at all are equally accurate with sigmoids,
which must be refuted, shows that the first could have come out against the claim; that
a network normalised before the sigmoids is more accurate than one that begins with
other signs of its weights, which must show no effect, is one of the second. Supporting:
training losses.

All networks have γ, β, one number of weights, and the same initial ones in a unit. A
unit draws weights, order and both parts of the digits anew. Each network has a rate of
its own by held-out accuracy, on units that judge nothing; resamples tune anew. Three
units of the seed 70, judged nowhere, placed the rates after all this was written; in
them sigmoids did not care where they were normalised, and did not learn without.
Changed after three seeds had run: between the outer rates accuracy is flat, so that the
best one often was the last and decided nothing; now one far below and one far above,
where training fails, close the grid. And 24 units left the difference of ReLUs, half a
point, undecided; there are twice as many.

Not tested: convolution, where sums over places make z more nearly normal; depth, and
whether the two differ in how soon they learn; other data.

Claims: C098.
Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.2.
Cost: two minutes on 2 cores, compilation included.
Expect: equal with ReLUs; before better with sigmoids, which the pilot did not show.
Run: jaxml run before_or_after
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.learn import Family, Probe, Training, TrainState
from jaxml.record import Arm, Assertion, Rule
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, by_rate, label, legend_below, panels
from jaxml.types import Array, Keep, Model

RELU, SIGMOID = range(2)
UNITS = ("ReLUs", "sigmoids")
BEFORE, AFTER, NONE, OTHER = range(4)
NAMES = ("before", "after", "none", "before, other signs")
ACCURACY, LOSS = range(2)
MEASURES = ("held-out accuracy", "training loss")
BATCH, STEP = 32, 1.5
MIDDLES = ((0.15, 0.08, 0.2, 0.15), (0.3, 0.09, 4.0, 0.3))
EQUAL = record.near(0.0, margin=0.01, reason="one picture in a hundred")
MORE = record.above(0.0, margin=0.01, reason="one picture in a hundred")
LESS = record.below(
    0.0, margin=float(np.log(1.1)), reason="a tenth of the training loss"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hidden layers, examples, updates, rates of each network between the ends of its
    grid, and units.
    """

    widths: tuple[int, ...] = (32, 32, 32, 32)
    train: int = 500
    test: int = 1000
    updates: int = 400
    rates: int = 8
    tuning: int = 16
    judging: int = 32
    lanes: int = 28
    seed: int = 0


SMOKE = Config(
    widths=(4,),
    train=32,
    test=32,
    updates=3,
    rates=1,
    tuning=1,
    judging=2,
    lanes=72,
)


class Point(NamedTuple):
    """A rate, the hidden units, where they are normalised, and which signs."""

    lr: Any = 0.1
    units: Any = 0
    place: Any = 0
    signs: Any = 0
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: Any = 0


class Result(NamedTuple):
    """At the end of runs. Units that tune come first.

    Attributes:
        final: quantities in the order of MEASURES, activations in that of UNITS,
            networks in that of NAMES.
        rates: of each network.
        widths: of the hidden layers.
        examples: that are trained on.
        updates: of a run.
        tuning: how many of the units tune.
    """

    final: Float[np.ndarray, "quantity activation network rate unit"]
    rates: Float[np.ndarray, "activation network rate"]
    widths: Array
    examples: Array
    updates: Array
    tuning: Array


def study(config: Config, keep: Keep) -> Result:
    """One program; activation and place are traced."""
    inner = STEP ** (np.arange(config.rates) - config.rates // 2)
    rates = np.array(MIDDLES)[:, :, None] * np.array([1e-3, *inner, 1e3])
    grids = [
        learn.grid(
            Point,
            lr=rates[units, network],
            units=[units],
            place=[BEFORE if network == OTHER else network],
            signs=[int(network == OTHER)],
        )
        for units in range(len(UNITS))
        for network in range(len(NAMES))
    ]

    def of_family(family: Family) -> Training:
        return learn.at_each_point(partial(_training, config, family), Point())

    found = learn.compare(
        of_family,
        {"networks": learn.Entrant(learn.sgd, learn.joined(grids))},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )["networks"]
    final = np.stack([found.final[measure] for measure in MEASURES])
    shape = (len(MEASURES), *rates.shape, -1)
    setting = (config.widths, config.train, config.updates, config.tuning)
    return Result(final.reshape(shape), rates, *map(np.array, setting))


def _training(config: Config, family: Family, point: Point) -> Training:
    """Training of the network of one point."""
    data = problem.digits()
    kinds = [problem.elementwise(f) for f in (jax.nn.relu, jax.nn.sigmoid)]
    activation, norm = problem.one_of(point.units, *kinds), problem.batch_norm()
    before = problem.chain(norm, activation)
    after = problem.chain(activation, norm)
    hidden = [
        problem.chain(
            problem.linear(width),
            problem.one_of(point.place, before, after, activation),
        )
        for width in config.widths
    ]
    model = problem.chain(*hidden, problem.linear(10))
    training = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        family,
        learn.split_anew(data, train=config.train, test=config.test, size=BATCH),
        steps=config.updates,
        probe=Probe(lambda params: (), partial(_measured, model)),
    )
    begun = partial(problem.other_kernel_signs, number=point.signs)
    return learn.starting_from(training, begun)


def _measured(
    model: Model, probe: Any, train: TrainState
) -> tuple[Any, dict[str, Array]]:
    """Held-out accuracy and training loss by statistics of all training examples."""
    params, own = train.params, train.data
    precise = partial(
        problem.precise_objective, model, state=train.model_state, examples=own.train
    )
    accuracy, loss = precise(problem.accuracy), precise(problem.cross_entropy)
    seen = (accuracy(params, own.test), loss(params, own.train))
    return probe, dict(zip(MEASURES, seen, strict=True))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Both activations and their controls; then losses."""
    ours = partial(_compared, result)
    sigmoids = partial(ours, activation=SIGMOID)
    first = (
        ours(
            record.deciding,
            "Networks of ReLUs are as accurate with batch normalisation before the "
            "activation as after it.",
            EQUAL,
            activation=RELU,
        ),
        sigmoids(
            record.deciding,
            "Networks of sigmoids are more accurate with batch normalisation before "
            "the activation than after it.",
            MORE,
        ),
        sigmoids(
            record.supporting,
            "Control: networks of sigmoids are as accurate with batch normalisation "
            "before the activation as without.",
            EQUAL,
            other=NONE,
        ),
        sigmoids(
            record.supporting,
            "Control: networks of sigmoids, normalised before them, are more accurate "
            "than those with other initial signs.",
            MORE,
            other=OTHER,
        ),
    )
    losses = [
        ours(
            record.supporting,
            f"Networks of {name} end at a lower training loss with batch normalisation "
            "before the activation than after it.",
            LESS,
            activation=place,
            quantity=LOSS,
        )
        for place, name in enumerate(UNITS)
    ]
    return (*first, *losses)


def _arm(result: Result, activation: int, network: int, quantity: int) -> Arm:
    """A quantity, of losses the logarithm, tuned by held-out accuracy. Where no rate
    trains a network, as without normalisation, none of its grid is an edge.
    """
    values = result.final[quantity, activation, network]
    scores = -result.final[ACCURACY, activation, network]
    edges = np.zeros(len(scores), bool) if network == NONE else None
    return Arm(np.log(values) if quantity == LOSS else values, scores, edges)


def _compared(
    result: Result,
    role: Callable[..., Assertion],
    statement: str,
    rule: Rule,
    *,
    activation: int,
    other: int = AFTER,
    quantity: int = ACCURACY,
) -> Assertion:
    """Normalised before, minus another network of the same activation."""
    arm = partial(_arm, result, activation, quantity=quantity)
    widths = ", ".join(map(str, result.widths))
    arms = (arm(BEFORE), arm(other))
    return role(
        "C098",
        statement,
        record.tuned(record.mean_difference, *arms, tuning=int(result.tuning)),
        rule,
        unit="log ratio" if quantity == LOSS else "accuracy difference",
        setting=f"8x8 digits, {result.examples} of them for training, dense network "
        f"with hidden layers of {widths} {UNITS[activation]}, SGD at a tuned rate in "
        f"batches of {BATCH}, {result.updates} updates; {MEASURES[quantity]}",
    )


def figures(result: Result) -> dict[str, Figure]:
    """Differences unit by unit, and accuracies by rate."""
    figure, axes = panels(1, 3, width=5.0, height=3.6)
    pairs = {}
    for activation, (name, axis) in enumerate(zip(UNITS, axes, strict=False)):
        ours = _arm(result, activation, BEFORE, ACCURACY)
        for other in (AFTER, OTHER):
            theirs = _arm(result, activation, other, ACCURACY)
            pairs[f"{name}: {NAMES[other]}"] = (ours, theirs)
        for network, rates in enumerate(result.rates[activation, :OTHER]):
            accuracy = result.final[ACCURACY, activation, network, 1:-1]
            best = learn.chosen(-accuracy, int(result.tuning))
            by_rate(axis, rates[1:-1], accuracy, best, NAMES[network])
        label(axis, name, "rate (line: tuned)", MEASURES[ACCURACY])
        legend_below(axis)
    compared(axes[-1], pairs, MORE, tuning=int(result.tuning))
    label(axes[-1], "Before, minus", "difference of accuracies", "what")
    legend_below(axes[-1])
    return {"places": figure}
