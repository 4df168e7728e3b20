"""Do small batches free weights that are stuck at a minimum, and train better for it?

Where the gradient of one loss is zero, says the lecture, the loss of the next batch has
another gradient, so that small batches move on where all examples at once are stuck.
That they move is nearly mathematical (`noise`). What is asked is whether they get
anywhere: the loss of all examples where they end, after full-batch gradient descent
to the bottom, compared with where they were stuck. `saddle_batches` asks it of saddles.

Seven networks of 3 tanh units fit the parity of 100 pictures, with an l2 penalty.
Gradient descent on all examples takes each to a minimum, certified by gradient and
spectrum, since the loss is smooth and the penalty leaves no minimum at infinity. Of the
first six the first one that is a tenth above the lowest is stuck; nearly always it is
the very first, so a typical minimum. From there run 1,000 updates by batches of 10, and
then gradient descent. A minimum is left where half of the distance to the lowest of the
six is gone. Stuck weights move on, says the claim, so of stuck minima batches leave
most. Decided is the fraction that they leave at the rate at which they train best, by
the loss after 1,000 updates from random weights, for the claim is that they train
better for it. On either data set more than 0.6 supports, less than 0.4 refutes. Units
that tune are others than those that judge, and every resample tunes anew.

Beside it the claim's best case, the rate at which the largest fraction is left, for
batches, for five times as many updates, and for all examples with normal noise on every
weight, whose trace of covariance is at every update that of the batches (which,
shuffled, cancel within an epoch, as this noise does not). The lowest rate counts there
as no edge of the grid, for still lower ones move less. Controls: all examples at once,
by the same protocol, must leave none, for they start at their own minimum and can leave
it only where the rate is too large for it; and another random start, the seventh,
without noise, must leave more than half, so that batches could. Last, whether batches
train better at all: from random weights each at its own best rate, by the loss after
gradient descent. That descent has momentum 0.95 and may cross barriers itself, in
favour of whatever moved the weights.

A unit draws its pictures and weights anew, 20 tune and 60 judge. A fraction of 0.2 has
then a half-width of 0.1, a third of what would decide. Runs of 12 and 24 units at seed
7 were seen before, with fractions near 0 at the rates that train best, of a sixth to a
half at 0.51, and best rates well within. After them the fraction replaced the mean
progress, whose margin stood on the effect, and the highest rate was added.

Not tested: large networks, where minima may be connected; rates that fall slowly; more
than 5,000 updates at a rate at which batches train badly.

Claims: C067.
Sources: Zhu et al. 2019, arXiv:1803.00195 (isotropic noise of equal strength).
Cost: three minutes on 2 cores.
Expect: at the rate that trains best, batches leave hardly a minimum; at a higher one,
    at which they train badly, a quarter, no more than isotropic noise, and in 5,000
    updates on clothing about as many as another start.
Run: jaxml run stuck_batches
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record
from jaxml.curvature.programs import mapped
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, dots
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Objective

DATA = ("8x8 digits, digit odd", "clothing of 7x7 pixels, class number odd")
TASKS = (problem.parity_digits, problem.parity_clothing)
EXAMPLES, SIZE, STARTS = 100, 10, 6
BATCHES, NOISY, ALL = range(3)
ARMS = 4  # from a stuck minimum: these, and batches for five times as long
ROWS = (
    "batches of 10, training best",
    "batches of 10",
    "isotropic noise",
    "all examples",
    "batches, 5,000 updates",
    "another start",
)
MOSTLY = (
    "Batches of 10 mostly make",
    "Isotropic noise as strong as that of batches of 10 mostly makes",
    "All examples at once (negative control) mostly make",
    "Batches of 10 in 5,000 updates mostly make",
)
WAY = "half of the way from a stuck minimum to the lowest one"
RATES = 0.045 * 1.5 ** np.arange(9)
STUCK = 1.1  # times the lowest loss
HALF = 0.5  # of the way to the lowest loss
EDGES = RATES > 1  # the highest alone
MOST = record.above(
    HALF, margin=0.1, reason="a tenth of minima is neither most nor few"
)
PROGRESS = record.above(0.0, margin=0.2, reason="a fifth of what could be gained")
TENTH = record.below(0.0, margin=0.01, reason="a tenth of the lowest losses")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, units, and updates of a run and of the descent after it."""

    data: int = len(DATA)
    tuning: int = 20
    judging: int = 60
    updates: int = 1000
    descent: int = 2000
    seed: int = 0


SMOKE = Config(data=1, tuning=2, judging=2, updates=4, descent=200)


class Unit(NamedTuple):
    """Random weights of a unit, and the key of all else."""

    begun: Array
    key: Key


class Walk(NamedTuple):
    """Where updates begin, which gradients they follow, and how many they are."""

    first: Array
    arm: Array
    updates: Array


class Found(NamedTuple):
    """Losses of a unit's examples.

    Attributes:
        stuck: at the stuck minimum of the first starts, nan where none is.
        lowest: at the lowest one.
        again: where gradient descent from the last start ends.
        ends: after gradient descent, from the stuck minimum.
        trained: from random weights, by batches and by all examples.
        ended: the same after gradient descent.
    """

    stuck: Float[Array, "*unit"]
    lowest: Float[Array, "*unit"]
    again: Float[Array, "*unit"]
    ends: Float[Array, "*unit arm rate"]
    trained: Float[Array, "*unit two rate"]
    ended: Float[Array, "*unit two rate"]


class Result(NamedTuple):
    """By data set and unit, the first two axes; units that tune come first."""

    found: Found
    tuning: np.ndarray
    updates: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """A program a data set, in float64."""
    found = []
    with jax.enable_x64(True):
        for make, name in zip(TASKS[: config.data], DATA, strict=False):
            task = make()
            objective = jax.jit(problem.objective_of_vector(task))
            count = config.tuning + config.judging
            seeds = randomness.seeds(config.seed, count * (STARTS + 1))
            vectors = np.asarray(problem.initial_vectors(task, seeds))
            begun = vectors.reshape(count, STARTS + 1, -1)
            keys = jax.random.split(randomness.key(config.seed), count)
            run = partial(
                mapped, _unit, (config, objective), Unit(begun, keys), task.batch
            )
            found.append(keep(name, run))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *found)
    return Result(stacked, np.array(config.tuning), np.array(config.updates))


def _unit(config: Config, objective: Objective, unit: Unit, pictures: Batch) -> Found:
    """Minima first, then all arms at all rates, on pictures of its own."""
    places = jnp.arange(EXAMPLES, dtype=jnp.int32)
    own = learn.permuted(places, len(pictures.weights), key=unit.key)
    data = jax.tree.map(lambda leaf: leaf[own], pictures)
    draw = learn.shuffled(data, SIZE).draw
    gradients = curvature.noisy_gradients(
        objective, data, draw, size=SIZE, key=unit.key
    )
    heavy = learn.momentum(learn.Hyper(lr=0.05, momentum=0.95))
    bottom = partial(
        learn.descended, objective, heavy, batch=data, steps=config.descent
    )

    def walked(walk: Walk) -> Array:
        def at(rate: Array) -> Array:
            def update(step: Array, x: Array) -> Array:
                return x - rate * jax.lax.switch(walk.arm, gradients, x, step)

            end = jax.lax.fori_loop(0, walk.updates, update, walk.first)
            return jnp.stack([objective(end, data), objective(bottom(end), data)])

        return jax.vmap(at)(jnp.asarray(RATES))

    ends = jax.vmap(bottom)(unit.begun)
    stuck = curvature.stuck_minimum(objective, ends[:-1], data, ratio=STUCK)
    point, begun = stuck.params, unit.begun[0]
    arms = jnp.array([BATCHES, NOISY, ALL, BATCHES, BATCHES, ALL])
    updates = config.updates * jnp.array([1, 1, 1, 5, 1, 1])
    first = jnp.stack([*[point] * ARMS, begun, begun])
    losses = jax.lax.map(walked, Walk(first, arms, updates))
    return Found(
        stuck=stuck.loss,
        lowest=stuck.lowest,
        again=objective(ends[-1], data),
        ends=losses[:ARMS, :, 1],
        trained=losses[ARMS:, :, 0],
        ended=losses[ARMS:, :, 1],
    )


class Judged(NamedTuple):
    """The stuck units of a data set.

    Attributes:
        tuning: how many of them tune.
        progress: the part that is gone of the distance to the lowest minimum, between
            -1 and 1; -1 where a run diverged.
        again: that of the last start.
        found: as it was.
    """

    tuning: int
    progress: Float[np.ndarray, "arm rate unit"]
    again: Float[np.ndarray, " unit"]
    found: Found


def _judged(result: Result, data: int) -> Judged:
    stuck = np.isfinite(result.found.stuck[data])
    found = Found(*(leaf[data][stuck] for leaf in result.found))

    def progress(after: Array) -> np.ndarray:
        gone = (found.stuck - after) / (found.stuck - found.lowest)
        return np.clip(np.nan_to_num(gone, nan=-1.0), -1, 1)

    ends = progress(np.moveaxis(np.asarray(found.ends), 0, -1))
    tuning = int(np.sum(stuck[: result.tuning]))
    return Judged(tuning, ends, progress(found.again), found)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, where units that tune and units that judge are stuck."""
    found = []
    for data, name in enumerate(DATA[: len(result.found.stuck)]):
        judged = _judged(result, data)
        setting = (
            f"parity of 100 random pictures from 8 whitened principal components, "
            f"{name}, 3 tanh units, decay 0.001, {result.updates:,} updates, then "
            "full-batch gradient descent; stuck: at a certified minimum a tenth above "
            "the lowest of six"
        )
        if 0 < judged.tuning < len(judged.again):
            found += _asserted(judged, setting)
    return tuple(found)


def _left(progress: np.ndarray) -> np.ndarray:
    """1 where half of the way is gone, else 0."""
    return (progress >= HALF).astype(float)


def _most(progress: np.ndarray) -> Arm:
    """Tuned by what is judged, the more minima left the better."""
    left = _left(progress)
    return Arm(left, -left, EDGES)


def _asserted(judged: Judged, setting: str) -> tuple[Assertion, ...]:
    """The fraction at the rate that trains best; the best cases; and training."""
    tuned = partial(record.tuned, tuning=judged.tuning)
    supporting = partial(record.supporting, "C067", setting=setting)
    fraction = partial(supporting, rule=MOST, unit="fraction")
    progress = judged.progress[BATCHES]
    scores = judged.found.trained.transpose(1, 2, 0)
    ended = judged.found.ended.transpose(1, 2, 0)
    return (
        record.deciding(
            "C067",
            f"{MOSTLY[BATCHES]} {WAY}, at the rate at which they train best.",
            tuned(np.mean, Arm(_left(progress), scores[0])),
            MOST,
            unit="fraction",
            setting=setting,
        ),
        *[
            fraction(
                f"{who} {WAY}, at the rate at which most do.",
                tuned(np.mean, _most(arm)),
            )
            for who, arm in zip(MOSTLY, judged.progress, strict=True)
        ],
        fraction(
            f"Another random start, without noise, mostly makes {WAY}.",
            record.bootstrap(np.mean, _left(judged.again)),
        ),
        supporting(
            "From a stuck minimum batches of 10 lower the loss, in distances to the "
            "lowest minimum, at the rate at which they train best.",
            tuned(np.mean, Arm(progress, scores[0])),
            PROGRESS,
            unit="difference",
        ),
        supporting(
            "Weights trained by batches of 10 end lower, after full-batch gradient "
            "descent, than those trained by all examples, each at its best rate.",
            tuned(record.mean_difference, *map(Arm, ended, scores)),
            TENTH,
            unit="loss",
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Every stuck unit, at the rate at which batches train best, and for all arms at
    the one at which most leave; the claim needs most beyond the dotted line.
    """
    figure, axes = panels(1, len(result.found.stuck), width=6.0)
    for data, axis in enumerate(axes):
        label(axis, DATA[data], "progress to the lowest minimum", "gradient")
        judged = _judged(result, data)
        best = [Arm(arm, _most(arm).scores) for arm in judged.progress]
        usual = Arm(judged.progress[BATCHES], judged.found.trained[:, 0].T)
        if judged.tuning:
            samples = [at_tuned(arm, judged.tuning) for arm in (usual, *best)]
            rows = zip(ROWS, [*samples, judged.again], strict=True)
            dots(axis, dict(rows), "a stuck minimum")
        axis.axvline(HALF, linestyle=":")
    shared_legend(figure)
    return {"minima": figure}
