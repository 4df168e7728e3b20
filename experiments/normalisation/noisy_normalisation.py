"""Does batch normalisation still help where noise makes its distributions unsteady?

If batch normalisation helped by keeping the distributions of each layer's inputs
steady, noise that moves these distributions anew at every update should undo the help.
Santurkar's experiment puts such noise behind each normalisation: of every unit a shift
up to half a deviation and a factor up to 1.25, and of every value a tenth more. Here
dense networks of six hidden layers of ReLUs learn 500 digits by SGD with momentum, and
what counts is the number of updates until the training loss, without the noise, is
first at 0.1 nats. Networks with and without normalisation have the same parameters and
initial weights, at He's scale; each arm has a rate of its own, tuned by that number.

What decides is whether noisy normalisation takes fewer updates than none. If steadiness
were the reason, it would be as slow as none, or slower. That the noise does unsettle
what it should, `moving_inputs` has to show of the same runs, and decides beside it.
Supporting: whether batch normalisation helps here at all, and whether noise leaves it
as fast as it was.

Negative control, which must not come out as faster than none: ten times the noise,
which drowns what the network computes; so the instrument can see that noise hurts. A
run that does not reach the loss counts with all its updates, which brings ratios nearer
to one. A factor of 1.25 is the least that matters, less than one step of a usual grid
of rates. Rates step by 1.5; an arm whose best rate is the first or last decides
nothing. Units draw digits, initial weights, order and noise anew; the first ones tune,
and resamples tune anew. Four units of seed 100, judged nowhere, placed the rates and
the number of updates, and saw noisy normalisation ahead of none. An earlier version,
that they saw too, had LeCun's smaller initial weights, which favour normalisation.

Not tested: convolution, other amounts of noise, generalisation.

Claims: C105.
Source: Santurkar et al. 2018, arXiv:1805.11604, section 2.2.
Cost: at most seven minutes on 2 cores.
Expect: noise costs some of the help and leaves most.
Run: jaxml run noisy_normalisation
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Bool, Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Keep, Key, Model, Params

NAMES = ("none", "batch", "noisy batch", "drowned batch")
NONE, BATCH, NOISY, DROWNED = range(len(NAMES))
NORMALISED = (0, 1, 1, 1)  # places in problem.NORMS
NOISE = (0.0, 0.0, 1.0, 10.0)  # in Santurkar's
LOWEST = (0.006, 0.025, 0.03, 0.004)
POINTS = 7
EXAMPLES, BATCHED, TARGET, EVERY = 500, 50, 0.1, 10
QUARTER = "a factor of 1.25, less than a step of a usual grid of rates"
FASTER = record.below(0.0, margin=float(np.log(1.25)), reason=QUARTER)
ALIKE = record.near(0.0, margin=float(np.log(1.25)), reason=QUARTER)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hidden layers and their width, updates, and units."""

    layers: int = 6
    width: int = 32
    updates: int = 300
    tuning: int = 5
    judging: int = 11
    lanes: int = 56
    seed: int = 0


SMOKE = Config(layers=1, width=4, updates=20, tuning=1, judging=2, lanes=28)


class Point(NamedTuple):
    """A rate, a normalisation, its noise, and what momentum reads."""

    lr: Any
    which: Any = 0
    noise: Any = 0.0
    momentum: Any = 0.9
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: Any = 0


class Result(NamedTuple):
    """Arms in the order of NAMES. Units that tune come first.

    Attributes:
        updates: until a run's training loss, without noise, was first at the target;
            all of them where it never was.
        scores: the logarithm of that number, by which rates are chosen, and the
            training loss at the end beside it where the target was missed.
        moved: how far an update moved the mean of a ReLU's inputs, in deviations; the
            mean over these updates.
        limit: updates at most.
        tuning: how many of the units tune.
        layers: hidden ones.
        width: of each.
    """

    updates: Float[np.ndarray, "arm rate unit"]
    scores: Float[np.ndarray, "arm rate unit"]
    moved: Float[np.ndarray, "arm rate unit"]
    limit: Int[np.ndarray, ""]
    tuning: Int[np.ndarray, ""]
    layers: Int[np.ndarray, ""]
    width: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program for all arms and rates."""
    grids = [
        learn.grid(
            Point,
            lr=LOWEST[arm] * 1.5 ** np.arange(POINTS),
            which=NORMALISED[arm],
            noise=NOISE[arm],
        )
        for arm in range(len(NAMES))
    ]
    found = learn.compare(
        partial(_of_family, config),
        {"training": learn.Entrant(_remembering, learn.joined(grids))},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )["training"]
    shape = (len(NAMES), POINTS, config.tuning + config.judging, -1)
    moved = found.curves["moved"].reshape(shape)
    loss = found.curves["loss"].reshape(shape)
    loss = np.where(np.isfinite(loss), loss, np.inf)
    counts = _looks_until_target(loss)
    updates = np.asarray(EVERY * np.sum(counts, axis=-1, dtype=np.float64))
    mean = np.mean(moved, axis=-1, where=counts, dtype=np.float64)
    missed = np.where(loss[..., -1] > TARGET, np.minimum(loss[..., -1], 1e3), 0)
    return Result(
        updates=updates,
        scores=np.log(updates) + missed,
        moved=np.asarray(mean),
        limit=np.array(config.updates),
        tuning=np.array(config.tuning),
        layers=np.array(config.layers),
        width=np.array(config.width),
    )


def _looks_until_target(
    loss: Float[np.ndarray, "*run look"],
) -> Bool[np.ndarray, "*run look"]:
    """Those until the loss is first at the target, it included."""
    reached = np.cumsum(loss <= TARGET, axis=-1) > 0
    return np.cumsum(reached, axis=-1) <= 1


def _of_family(config: Config, family: learn.Family) -> learn.Training:
    return learn.at_each_point(partial(_training, config, family), Point(0.1))


def _remembering(hyper: Any) -> optax.GradientTransformation:
    """Momentum, after whose update the weights before it are known."""

    def before(updates: Any, state: Any, params: Params = None) -> tuple[Any, Params]:
        del state
        return updates, params

    memory = optax.GradientTransformation(lambda params: params, before)
    return optax.chain(learn.momentum(hyper), memory)


def _training(config: Config, family: learn.Family, point: Point) -> learn.Training:
    """Training of one point on digits of the run's own."""
    data = problem.digits()
    parts = _parts(config, point)
    model = problem.chain(*parts)
    loss = problem.objective(model, problem.cross_entropy)

    def observe(state: Any, train: learn.TrainState) -> Any:
        own = train.data.train
        key = jax.random.fold_in(train.key, 4)
        numbers = 2 * train.step + jnp.arange(2)
        keys = jax.vmap(partial(jax.random.fold_in, key))(numbers)
        _, before = train.opt_state
        both = jax.tree.map(lambda *each: jnp.stack(each), before, train.params)
        inputs = partial(_inputs_of_relus, parts, own.inputs)
        means, deviations = jax.vmap(inputs)(both, keys)
        moved = jnp.mean(jnp.abs(means[1] - means[0]) / deviations[1])
        return state, {"loss": loss(train.params, own), "moved": moved}

    return learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        family,
        learn.split_anew(data, train=EXAMPLES, test=1, size=BATCHED),
        steps=config.updates,
        every=EVERY,
        probe=learn.Probe(lambda params: (), observe),
    )


def _parts(config: Config, point: Point) -> list[Model]:
    """A linear part, its normalisation with noise, and ReLUs, layer by layer."""
    noise = jnp.asarray(point.noise, jnp.float32)
    norm = problem.noisy(
        problem.indexed_norm(point.which),
        shift=0.5 * noise,
        scale=1 + 0.25 * noise,
        spread=0.1 * noise,
    )
    relu = problem.elementwise(jax.nn.relu)
    linear = problem.mlp((config.width,), jax.nn.identity, scale=float(np.sqrt(2)))
    hidden = [linear, norm, relu] * config.layers
    return [*hidden, problem.linear(10)]


def _inputs_of_relus(
    parts: list[Model], inputs: Array, params: Params, key: Key
) -> tuple[Array, Array]:
    """Means and deviations over examples in training, `[layer, unit]`."""
    values, seen = inputs, []
    for place, part in enumerate(parts[:-1]):
        own = params.get(f"layer_{place:02}", {})
        drawn = jax.random.fold_in(key, place)
        values, _ = part.apply(own, {}, values, train=True, key=drawn)
        if place % 3 == 1:
            seen.append(values)
    each = jnp.stack(seen)
    deviations = jnp.sqrt(jnp.var(each, axis=1) + 1e-6)
    return jnp.mean(each, axis=1), deviations


def _arm(result: Result, arm: int) -> Arm:
    return Arm(np.log(result.updates[arm]), result.scores[arm])


class Pair(NamedTuple):
    """Two arms, what is said of them, and by which rule it is judged."""

    ours: int
    theirs: int
    statement: str
    rule: record.Rule
    deciding: bool = False


UPDATES = f"reaches a training loss of {TARGET:g} nats in"
SPEED = (
    Pair(
        NOISY,
        NONE,
        "Batch normalisation whose outputs are shifted and scaled at random at every "
        f"update {UPDATES} fewer updates than no normalisation.",
        FASTER,
        deciding=True,
    ),
    Pair(
        BATCH,
        NONE,
        f"Batch normalisation {UPDATES} fewer updates than no normalisation.",
        FASTER,
    ),
    Pair(
        NOISY,
        BATCH,
        "Batch normalisation whose outputs are shifted and scaled at random at every "
        f"update {UPDATES} as many updates as without that noise.",
        ALIKE,
    ),
    Pair(
        DROWNED,
        NONE,
        f"Control, ten times the noise: batch normalisation with it {UPDATES} fewer "
        "updates than no normalisation.",
        FASTER,
    ),
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Log ratios of updates."""
    return tuple(_judged(result, pair) for pair in SPEED)


def _judged(result: Result, pair: Pair) -> Assertion:
    role = record.deciding if pair.deciding else record.supporting
    arms = (_arm(result, pair.ours), _arm(result, pair.theirs))
    return role(
        "C105",
        pair.statement,
        record.tuned(record.mean_difference, *arms, tuning=int(result.tuning)),
        pair.rule,
        unit="log ratio",
        setting=f"8x8 digits ({EXAMPLES} for training), dense network of "
        f"{result.layers} hidden layers of {result.width} ReLUs, SGD with momentum "
        f"0.9, batches of {BATCHED}, at most {result.limit} updates, "
        "rates tuned",
        figure="noise",
    )


def figures(result: Result) -> dict[str, Figure]:
    """Unit by unit: updates over those without normalisation."""
    figure, (axis,) = panels(1, 1, width=6.0, height=3.8)
    rows = {
        NAMES[arm]: (_arm(result, arm), _arm(result, NONE))
        for arm in range(1, len(NAMES))
    }
    compared(axis, rows, FASTER, tuning=int(result.tuning))
    title = f"Updates to a training loss of {TARGET:g} nats"
    label(axis, title, "log of the ratio to no normalisation", "normalisation")
    shared_legend(figure)
    return {"noise": figure}
