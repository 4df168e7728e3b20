"""Does batch normalisation need a batch that is large enough?

A dense network with two hidden layers of 32 ReLUs, normalised before each, learns 500
digits by SGD in batches of 2, 4, 8, 32 or 128. The normaliser is nothing, batch
normalisation, batch renormalisation, or layer or group normalisation, which see each
example by itself. All sizes make eight passes, but 200 to 2,000 updates, so that large
batches have enough; smaller ones see fewer examples.

So small batches change more than the statistics, and batch normalisation is not
compared with itself alone: what decides is how much *more* accuracy on held-out digits
it loses than layer normalisation does from batches of 128 to batches of 2. The claim
holds above one picture in a hundred and fails below minus that. It is asked twice, for
a small batch may do harm in two ways. Running averages, as the course tests, could be
poor because they remember few examples; mean and variance of all training examples
leave only what training itself suffers. If the two disagree, the answer depends.

Negative control, which must show no effect: the same difference of group normalisation,
which needs no batch. Supporting: how far held-out accuracy in training mode, by mean
and variance of batches of 2, lies below that in evaluation; for this the control is
batch renormalisation, which within its bounds trains as it evaluates. That in batches
of 1 a normalised dense layer outputs its offset, whatever it is given, so that nothing
can be learned, is a test of `batch_norm`.

A unit draws weights, order and both parts of the digits anew. Each normaliser has a
rate of its own at each size, by held-out accuracy of units that judge nothing, and
resamples tune anew. Units of the seed 70, judged nowhere, placed the rates and the
number of updates: at 32 updates in batches of 128 layer normalisation had not learned
enough to lose anything. In them batch normalisation lost most of its accuracy.

Not tested: convolution, where a batch of few pictures has many values a channel; other
data; momentum; the paper's schedule of the bounds of batch renormalisation, which stand
at 3 and 5 from the start.

Claims: C100.
Sources: Ioffe 2017, arXiv:1702.03275; Wu and He 2018, arXiv:1803.08494, figure 1; Wu
    and Johnson 2021, arXiv:2105.07576, for statistics of all examples.
Cost: three minutes on 2 cores, compilation included.
Expect: batches of 2 cost batch normalisation tens of points, either way.
Run: jaxml run small_batches
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
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned
from jaxml.record.figures import Figure, band, label, legend_below, panels
from jaxml.types import Array, Keep, Model

NONE, BATCH, RENORM, LAYER, GROUP = range(5)
NAMES = (
    "no normalisation",
    "batch normalisation",
    "batch renormalisation",
    "layer normalisation",
    "group normalisation",
)
KEPT, GROUPS = 0.99, 4
PASSES, UPDATES = 8, (200, 2000)
NORMALISERS = (
    problem.chain(),
    problem.batch_norm(KEPT),
    problem.batch_renorm(KEPT),
    problem.layer_norm(),
    problem.group_norm(GROUPS),
)
RUNNING, EXACT, TRAINING = range(3)
MEASURES = ("running averages", "all training examples", "training mode")
MORE = record.above(0.0, margin=0.01, reason="one picture in a hundred")
STEP = 1.5
MIDDLES = {  # of the rates of each normaliser, by size
    2: (0.04, 0.012, 0.012, 0.025, 0.02),
    4: (0.06, 0.05, 0.12, 0.06, 0.04),
    8: (0.08, 0.08, 0.25, 0.08, 0.06),
    32: (0.18, 0.4, 0.5, 0.2, 0.15),
    128: (0.25, 2.0, 0.8, 0.35, 0.3),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes of batches, of which the first and the last decide; hidden layers,
    examples, rates of each normaliser, and units.
    """

    sizes: tuple[int, ...] = (2, 4, 8, 32, 128)
    widths: tuple[int, ...] = (32, 32)
    train: int = 500
    test: int = 1024
    rates: int = 7
    tuning: int = 8
    judging: int = 12
    lanes: int = 35
    seed: int = 0


SMOKE = Config(
    sizes=(2,),
    widths=(8,),
    train=8,
    test=8,
    rates=1,
    tuning=1,
    judging=2,
    lanes=15,
)


class Point(NamedTuple):
    """A normaliser and its rate."""

    lr: Any = 0.1
    normaliser: Any = 0
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: Any = 0


class Result(NamedTuple):
    """At the end of runs. Units that tune come first.

    Attributes:
        accuracy: held out: in evaluation by running averages, by statistics of all
            training examples where the normaliser is of batches, and in training mode.
        sizes: of batches.
        widths: of the hidden layers.
        examples: that are trained on.
        tuning: how many of the units tune.
    """

    accuracy: Float[np.ndarray, "size measure normaliser rate unit"]
    sizes: Array
    widths: Array
    examples: Array
    tuning: Array


def study(config: Config, keep: Keep) -> Result:
    """One program a size."""
    accuracy = [_contest(config, size, keep) for size in config.sizes]
    setting = (config.sizes, config.widths, config.train, config.tuning)
    return Result(np.stack(accuracy), *map(np.array, setting))


def _contest(
    config: Config, size: int, keep: Keep
) -> Float[np.ndarray, "measure normaliser rate unit"]:
    """Every normaliser in batches of one size."""
    steps = STEP ** (np.arange(config.rates) - config.rates // 2)
    grids = [
        learn.grid(Point, normaliser=[place], lr=middle * steps)
        for place, middle in enumerate(MIDDLES[size])
    ]

    def of_family(family: Family) -> Training:
        of_point = partial(_training, config, size, family)
        return learn.at_each_point(of_point, Point())

    name = f"batches of {size}"
    found = learn.compare(
        of_family,
        {name: learn.Entrant(learn.sgd, learn.joined(grids))},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    final = np.stack([found[name].final[measure] for measure in MEASURES])
    return final.reshape(len(MEASURES), len(NAMES), config.rates, -1)


def _training(config: Config, size: int, family: Family, point: Point) -> Training:
    """Training with the normaliser of one point."""
    data = problem.digits()
    norm = problem.one_of(point.normaliser, *NORMALISERS)
    model = problem.normalised_dense(norm, config.widths, outputs=10)
    batches = learn.split_anew(data, train=config.train, test=config.test, size=size)
    return learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        family,
        batches,
        steps=int(np.clip(PASSES * batches.per_epoch, *UPDATES)),
        probe=Probe(lambda params: (), partial(_measured, model, size)),
    )


def _measured(
    model: Model, size: int, probe: Any, train: TrainState
) -> tuple[Any, dict[str, Array]]:
    """The three accuracies on held-out digits."""
    params, held_out = train.params, train.data.test

    def evaluated(state: Any) -> Array:
        return problem.objective(model, problem.accuracy, state=state)(params, held_out)

    state = train.model_state
    whole = jax.tree.map(lambda field: field[None], train.data.train)
    exact = problem.with_precise_statistics(model, params, state, whole)
    in_training = problem.training_loss(
        problem.in_ghosts(model, size), problem.accuracy
    )
    trained, _ = in_training(params, state, held_out, train.key)
    seen = (evaluated(state), evaluated(exact), trained)
    return probe, dict(zip(MEASURES, seen, strict=True))


def findings(result: Result) -> tuple[Assertion, ...]:
    """What small batches cost, twice, and what separates the modes; with controls."""
    small, large = int(result.sizes[0]), int(result.sizes[-1])
    costs = partial(_cost, result, (small, large))
    return (
        costs(record.deciding, BATCH, RUNNING),
        costs(record.deciding, BATCH, EXACT),
        costs(record.supporting, GROUP, RUNNING),
        _gap(result, BATCH),
        _gap(result, RENORM),
    )


def _arm(result: Result, size: int, normaliser: int, measure: int) -> Arm:
    """Held-out accuracy, tuned by itself."""
    values = result.accuracy[size, measure, normaliser]
    return Arm(values, -values)


def _loses_more(
    large: Array, small: Array, other_large: Array, other_small: Array
) -> float:
    """What small batches cost one normaliser minus what they cost the other."""
    ours = record.mean_difference(large, small)
    return ours - record.mean_difference(other_large, other_small)


def _cost(
    result: Result,
    sizes: tuple[int, int],
    role: Callable[..., Assertion],
    normaliser: int,
    measure: int,
) -> Assertion:
    """Minus that of layer normalisation."""
    small, large = sizes
    arm = partial(_arm, result, measure=measure)
    ours = (arm(-1, normaliser), arm(0, normaliser))
    theirs = (arm(-1, LAYER), arm(0, LAYER))
    start = "Control, which needs no batch: " if normaliser == GROUP else ""
    statement = (
        f"{start}{NAMES[normaliser]} loses more held-out accuracy than "
        f"{NAMES[LAYER]} from batches of {large} to batches of {small}, tested by "
        f"statistics of {MEASURES[measure]}."
    )
    return role(
        "C100",
        statement.capitalize(),
        record.tuned(_loses_more, *ours, *theirs, tuning=int(result.tuning)),
        MORE,
        unit="accuracy difference",
        setting=_setting(result),
    )


def _gap(result: Result, normaliser: int) -> Assertion:
    """Accuracy in evaluation minus that in training mode, of the same networks."""
    evaluated = _arm(result, 0, normaliser, RUNNING)
    trained = result.accuracy[0, TRAINING, normaliser]
    arms = (evaluated, Arm(trained, evaluated.scores))
    return record.supporting(
        "C100",
        f"After training with {NAMES[normaliser]} in batches of {result.sizes[0]}, "
        "held-out accuracy is higher in evaluation than in training mode, in batches "
        "of that size.",
        record.tuned(record.mean_difference, *arms, tuning=int(result.tuning)),
        MORE,
        unit="accuracy difference",
        setting=_setting(result),
    )


def _setting(result: Result) -> str:
    widths = " and ".join(map(str, result.widths))
    return (
        f"8x8 digits, {result.examples} of them for training, dense network with "
        f"hidden layers of {widths} ReLUs, SGD, {PASSES} passes but "
        f"{UPDATES[0]} to {UPDATES[1]} updates, a rate tuned for each normaliser and "
        "size"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Accuracy by size at the tuned rates."""
    figure, (left, right) = panels(1, 2, width=5.2, height=3.6)
    lines = [(left, place, RUNNING, name) for place, name in enumerate(NAMES)]
    lines += [(right, BATCH, place, name) for place, name in enumerate(MEASURES)]
    places = range(len(result.sizes))
    for axis, normaliser, measure, name in lines:
        arms = [_arm(result, size, normaliser, measure) for size in places]
        units = np.stack([at_tuned(arm, int(result.tuning)) for arm in arms])
        band(axis, result.sizes, units, name).set_markevery(1)
    for axis, title in ((left, "Normalisers"), (right, "Batch normalisation, by")):
        axis.set_xscale("log", base=2)
        axis.set_xticks(result.sizes, result.sizes)
        label(axis, title, "examples of a batch", "held-out accuracy")
        legend_below(axis)
    return {"sizes": figure}
