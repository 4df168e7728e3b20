"""Do γ and β give the layers' means and variances back, and only gradually?

Batch normalisation gives every hidden unit mean 0 and variance 1, and then multiplies
by γ and adds β, which are learned. The course starts them at 1 and 0, so that layers
begin normalised, and says that other means and variances come back slowly. That layers
begin so is a test of `batch_norm`. Two things could be otherwise, and decide:

- γ and β *move*: the root mean square over hidden units of the distance from (1, 0),
  which is in standard deviations of a unit, ends above a tenth, or within it;
- they move *gradually*: after a tenth of the updates they have made less than half of
  that way, or more. A steady drift makes a tenth of it, a random walk a third, and what
  jumps at once nearly all.

Negative control of the second, which must be refuted: the way that held-out accuracy
has made by then from chance, one in ten; learning as a whole is fast. Supporting: what
learning them is worth, against layers that stay at 1 and 0; and γ started at 0, with
which all ReLUs stand at their kink and nothing but the last offsets can be learned.

A dense network with two hidden layers of 32 ReLUs, normalised before each, learns 500
digits by SGD in batches of 32, 400 updates. It is tested by mean and variance of all
training examples. A unit draws weights, order and both parts of the digits anew. Each
of the three has a rate of its own by held-out accuracy, on units that judge nothing;
resamples tune anew. Four units of the seed 70 placed the rates, after the margins were
written; γ and β moved by 0.3 to 0.5, a third to a half of it in the first tenth of the
updates, the more the higher the rate. Changed after three seeds had run: 10 units that
tune and 20 that judge left open which rate is best, and with it how soon γ and β move;
there are 30 of each now.

Not tested: convolution, weight decay of γ, residual networks, in which γ of 0 makes a
block the identity; Adam, which moves all parameters at one speed.

Claims: C101.
Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.
Cost: 38 seconds on 2 cores, part of it compiled before.
Expect: they move by a few tenths, gradually, and are worth little.
Run: jaxml run learned_scales
"""

from collections.abc import Sequence
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
from jaxml.record.comparisons import at_tuned, dots, margins
from jaxml.record.figures import Figure, band, label, legend_below, panels
from jaxml.types import Array, Keep, Model, Params

LEARNED, FIXED, FROM_ZERO = range(3)
NAMES = ("γ and β learned", "γ and β at 1 and 0", "γ started at 0")
ACCURACY, MOVED = range(2)
MEASURES = ("held-out accuracy", "distance of γ and β")
CHANCE, EVALUATIONS = 0.1, 10
BATCH, STEP, MIDDLE = 32, 1.5, 0.25
MOVES = record.above(0.0, margin=0.1, reason="a tenth of a unit's standard deviation")
UNDER_HALF = record.below(
    0.5, margin=0.1, reason="a tenth of the way; a random walk is two tenths below"
)
MORE = record.above(0.0, margin=0.01, reason="one picture in a hundred")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hidden layers, examples, updates, rates of each network, and units."""

    widths: tuple[int, ...] = (32, 32)
    train: int = 500
    test: int = 1000
    updates: int = 400
    rates: int = 9
    tuning: int = 30
    judging: int = 30
    lanes: int = 27
    seed: int = 0


SMOKE = Config(
    widths=(4,),
    train=32,
    test=32,
    updates=10,
    rates=1,
    tuning=1,
    judging=2,
    lanes=9,
)


class Point(NamedTuple):
    """A rate, which normalisation, and where γ starts."""

    lr: Any = 0.1
    fixed: Any = 0
    start: Any = 1.0
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: Any = 0


class Result(NamedTuple):
    """What was seen after every tenth of the updates. Units that tune come first.

    Attributes:
        seen: quantities in the order of MEASURES, networks in that of NAMES.
        updates: before each evaluation.
        widths: of the hidden layers.
        examples: that are trained on.
        tuning: how many of the units tune.
    """

    seen: Float[np.ndarray, "quantity network rate unit evaluation"]
    updates: Array
    widths: Array
    examples: Array
    tuning: Array


def study(config: Config, keep: Keep) -> Result:
    """One program; which normalisation and where γ starts are traced."""
    rates = MIDDLE * STEP ** (np.arange(config.rates) - config.rates // 2)
    networks = (
        learn.grid(Point, lr=rates),
        learn.grid(Point, lr=rates, fixed=[1]),
        learn.grid(Point, lr=rates, start=[0.0]),
    )

    def of_family(family: Family) -> Training:
        return learn.at_each_point(partial(_training, config, family), Point())

    found = learn.compare(
        of_family,
        {"networks": learn.Entrant(learn.sgd, learn.joined(networks))},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )["networks"]
    seen = np.stack([found.curves[measure] for measure in MEASURES])
    units = config.tuning + config.judging
    shape = (len(MEASURES), len(NAMES), config.rates, units, EVALUATIONS)
    setting = (config.widths, config.train, config.tuning)
    return Result(seen.reshape(shape), found.updates, *map(np.array, setting))


def _training(config: Config, family: Family, point: Point) -> Training:
    """Training of the network of one point."""
    data = problem.digits()
    kinds = (problem.batch_norm(), problem.batch_norm(affine=False))
    norm = problem.one_of(point.fixed, *kinds)
    model = problem.normalised_dense(norm, config.widths, outputs=10)
    training = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        family,
        learn.split_anew(data, train=config.train, test=config.test, size=BATCH),
        steps=config.updates,
        every=config.updates // EVALUATIONS,
        probe=Probe(lambda params: (), partial(_measured, model)),
    )
    return learn.starting_from(training, partial(_started, point.start))


def _started(start: Array, params: Params) -> Params:
    """The parameters with every γ at one number."""

    def one(path: Any, leaf: Array) -> Array:
        name = getattr(path[-1], "key", "")
        return start * leaf if name == "scale" else leaf

    return jax.tree_util.tree_map_with_path(one, params)


def _measured(
    model: Model, probe: Any, train: TrainState
) -> tuple[Any, dict[str, Array]]:
    """Held-out accuracy by statistics of all training examples, and the distance."""
    params, own = train.params, train.data
    accuracy = problem.precise_objective(
        model, problem.accuracy, train.model_state, own.train
    )
    seen = (accuracy(params, own.test), _distance(params))
    return probe, dict(zip(MEASURES, seen, strict=True))


def _distance(params: Params) -> jax.Array:
    """The root mean square over hidden units of the distance of (γ, β) from (1, 0)."""
    norms = [layer[LEARNED] for layer in params.values() if isinstance(layer, Sequence)]
    scales = jnp.concatenate([norm["scale"] - 1 for norm in norms])
    offsets = jnp.concatenate([norm["bias"] for norm in norms])
    squares = jnp.square(jnp.stack([scales, offsets]))
    return jnp.sqrt(jnp.mean(jnp.sum(squares, axis=0)))


def findings(result: Result) -> tuple[Assertion, ...]:
    """How far and how soon they move, with a control, and what they are worth."""
    setting = _setting(result)
    mean = partial(record.tuned_mean, _scores(result, LEARNED))
    difference = partial(record.tuned, record.mean_difference)
    learned, fixed, from_zero = (_accuracy(result, place) for place in range(3))
    tuning = {"tuning": int(result.tuning)}
    return (
        record.deciding(
            "C101",
            "In training γ and β leave 1 and 0: their distance at the end.",
            mean(result.seen[MOVED, LEARNED, :, :, -1], **tuning),
            MOVES,
            unit="distance",
            setting=setting,
        ),
        record.deciding(
            "C101",
            "γ and β move gradually: the fraction of their way after a tenth of the "
            "updates is less than half.",
            mean(_ways(result, MOVED), **tuning),
            UNDER_HALF,
            unit="ratio",
            setting=setting,
        ),
        record.supporting(
            "C101",
            "Control: the fraction of its way from chance that held-out accuracy has "
            "made after a tenth of the updates is less than half.",
            mean(_ways(result, ACCURACY), **tuning),
            UNDER_HALF,
            unit="ratio",
            setting=setting,
        ),
        record.supporting(
            "C101",
            "Held-out accuracy is higher with γ and β learned than with 1 and 0.",
            difference(learned, fixed, **tuning),
            MORE,
            unit="accuracy difference",
            setting=setting,
        ),
        record.supporting(
            "C101",
            "Held-out accuracy is higher with γ started at 1 than with γ started at 0.",
            difference(learned, from_zero, **tuning),
            MORE,
            unit="accuracy difference",
            setting=setting,
        ),
    )


def _scores(result: Result, network: int) -> Float[np.ndarray, "rate unit"]:
    """By which rates are chosen, the lower the better."""
    return -result.seen[ACCURACY, network, :, :, -1]


def _ways(result: Result, quantity: int) -> Float[np.ndarray, "rate unit"]:
    """The fraction of a quantity's way that a tenth of the updates has made."""
    start = CHANCE if quantity == ACCURACY else 0.0
    ways = result.seen[quantity, LEARNED] - start
    return ways[:, :, 0] / ways[:, :, -1]


def _accuracy(result: Result, network: int) -> Arm:
    """At the end. No rate moves γ from 0, so that none of that network is an edge."""
    scores = _scores(result, network)
    edges = np.zeros(len(scores), bool) if network == FROM_ZERO else None
    return Arm(-scores, scores, edges)


def _setting(result: Result) -> str:
    widths = " and ".join(map(str, result.widths))
    return (
        f"8x8 digits, {result.examples} of them for training, dense network with batch "
        f"normalisation before {widths} ReLUs, SGD at a tuned rate in batches of "
        f"{BATCH}, {result.updates[-1]} updates"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Ways and accuracies by updates, and the fractions of the ways unit by unit."""
    figure, (left, middle, right) = panels(1, 3, width=4.6, height=3.6)
    tuning = int(result.tuning)

    def curve(axis: Any, quantity: int, network: int) -> None:
        arm = Arm(result.seen[quantity, network], _scores(result, network))
        units = at_tuned(arm, tuning).T
        band(axis, result.updates, units, NAMES[network])
        label(axis, MEASURES[quantity], "updates", MEASURES[quantity])

    curve(left, MOVED, LEARNED)
    for network in range(len(NAMES)):
        curve(middle, ACCURACY, network)
    scores = _scores(result, LEARNED)
    arms = [Arm(_ways(result, quantity), scores) for quantity in (MOVED, ACCURACY)]
    names = ("γ and β", "control: accuracy")
    samples = zip(names, [at_tuned(arm, tuning) for arm in arms], strict=True)
    dots(right, dict(samples))
    margins(right, UNDER_HALF)
    label(right, "Way made after a tenth of the updates", "fraction", "of")
    for axis in (left, middle, right):
        legend_below(axis)
    return {"ways": figure}
