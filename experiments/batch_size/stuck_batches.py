"""Do small batches free weights that are stuck at a minimum, and train better for it?

Where the gradient of one loss is zero, says the lecture, the loss of the next batch has
another gradient, so that small batches move on where all examples at once are stuck.
That they move is nearly mathematical, and shown beside. What is asked is whether they
get anywhere: the loss of all examples where they end, after full-batch descent to the
bottom, compared with where they were stuck. `saddle_batches` asks it of saddles.

Six networks of 3 tanh units fit the parity of 100 pictures, with an l2 penalty.
Full-batch descent takes each to a minimum, certified by gradient and spectrum, since
the loss is smooth and the penalty leaves no minimum at infinity. The first one that is
a tenth above the lowest of the six is stuck. From there run 1,000 updates by batches of
10, then descent on all examples. Progress is the part that is gone of the distance to
the lowest minimum, between -1 and 1. Beside it, at the same rate: all examples, which
leave a minimum only where the rate is too large for it; all examples with normal noise
on every weight, whose trace of covariance is at every update that of the batches; and
the minimum of another start, without any noise.

The rate is the one at which batches of 10 train best: from random weights their full
loss after 1,000 updates is lowest. Units that tune are others than those that judge,
and every resample tunes anew. Decided is the mean progress of batches minus that of all
examples, on both data sets. The claim holds above 0.2, a fifth of what can be gained;
within ± 0.2 batches stay where they are, and below they end higher.

A unit draws its pictures and weights anew, 20 tune and 160 judge. Margins and sizes
were fixed after runs of 24 units at seed 7, whose best rate lay well within.

Not tested: large networks, where minima may be connected; rates that fall slowly.

Claims: C067.
Sources: Zhu et al. 2019, arXiv:1803.00195 (isotropic noise of equal strength).
Cost: about two minutes on 2 cores.
Expect: at the rate that trains best, batches seldom leave a minimum, and no more often
    than isotropic noise.
Run: jaxml run stuck_batches
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record
from jaxml.curvature.programs import mapped
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, dots, margins
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Objective

DATA = ("8x8 digits", "clothing of 7x7 pixels")
TASKS = (problem.parity_digits, problem.parity_clothing)
EXAMPLES, SIZE, STARTS = 100, 10, 6
ARMS = ("batches of 10", "isotropic noise", "all examples")
RATES = 0.045 * 1.5 ** np.arange(8)
STUCK = 1.1  # times the lowest loss
PROGRESS = record.above(
    0.0, margin=0.2, reason="less than a fifth of what could be gained"
)
TENTH = record.below(0.0, margin=0.01, reason="a tenth of the lowest losses")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, units, and updates of a run and of the descent after it."""

    data: int = len(DATA)
    tuning: int = 20
    judging: int = 160
    updates: int = 1000
    descent: int = 2000
    seed: int = 0


SMOKE = Config(data=1, tuning=2, judging=2, updates=4, descent=200)


class Unit(NamedTuple):
    """Random weights of a unit, and the key of all else."""

    begun: Array
    key: Key


class Found(NamedTuple):
    """Losses of a unit's examples.

    Attributes:
        minima: where descent from each start ends; nan where no minimum is certified.
        stuck: at the stuck one, nan where none is.
        ends: after descent, from the stuck minimum.
        trained: from random weights after batches.
        ended: the same after descent.
        lengths: ‖∇L_B‖ of ten batches there over ‖∇L‖ at random weights.
    """

    minima: Float[Array, "*unit start"]
    stuck: Float[Array, "*unit"]
    ends: Float[Array, "*unit arm rate"]
    trained: Float[Array, "*unit rate"]
    ended: Float[Array, "*unit rate"]
    lengths: Float[Array, "*unit batch"]


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
            seeds = randomness.seeds(config.seed, count * STARTS)
            vectors = np.asarray(problem.initial_vectors(task, seeds))
            begun = vectors.reshape(count, STARTS, -1)
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

    def walked(start: tuple[Array, Array]) -> Array:
        first, arm = start

        def at(rate: Array) -> Array:
            def update(step: Array, x: Array) -> Array:
                return x - rate * jax.lax.switch(arm, gradients, x, step)

            end = jax.lax.fori_loop(0, config.updates, update, first)
            return jnp.stack([objective(end, data), objective(bottom(end), data)])

        return jax.vmap(at)(jnp.asarray(RATES))

    nearest = partial(curvature.nearest_minimum, objective, batch=data)
    found = jax.lax.map(nearest, jax.vmap(bottom)(unit.begun))
    minima = jnp.where(found.certified, found.loss, jnp.nan)
    high = minima > STUCK * jnp.nanmin(minima)
    chosen = jnp.argmax(high)
    point, begun = found.params[chosen], unit.begun[0]
    arms = jnp.int32(np.array([0, 1, 2, 0]))  # those of ARMS, and batches anew
    losses = jax.lax.map(walked, (jnp.stack([point, point, point, begun]), arms))
    seen = jax.lax.map(partial(gradients.batches, point), places[:SIZE])
    usual = jnp.linalg.norm(jax.grad(objective)(begun, data))
    return Found(
        minima=minima,
        stuck=jnp.where(high[chosen], minima[chosen], jnp.nan),
        ends=losses[: len(ARMS), :, 1],
        trained=losses[-1, :, 0],
        ended=losses[-1, :, 1],
        lengths=jnp.linalg.norm(seen, axis=1) / usual,
    )


class Judged(NamedTuple):
    """The stuck units of a data set.

    Attributes:
        tuning: how many of them tune.
        arms: progress in the distance to the lowest minimum, by rate, tuned by how well
            batches train.
        again: that of the minimum of the last start.
        found: as it was.
    """

    tuning: int
    arms: tuple[Arm, ...]
    again: Float[np.ndarray, " unit"]
    found: Found


def _judged(result: Result, data: int) -> Judged:
    stuck = np.isfinite(result.found.stuck[data])
    found = Found(*(leaf[data][stuck] for leaf in result.found))
    before, lowest = found.stuck, np.nanmin(found.minima, axis=1, initial=np.inf)

    def progress(after: Any) -> np.ndarray:
        return np.clip((before - after) / (before - lowest), -1, 1)

    ends = np.moveaxis(np.asarray(found.ends), 0, -1)
    return Judged(
        tuning=int(np.sum(stuck[: result.tuning])),
        arms=tuple(Arm(progress(arm), found.trained.T) for arm in ends),
        again=progress(found.minima[:, -1]),
        found=found,
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, where units that tune and units that judge are stuck."""
    found = []
    for data in range(len(result.found.stuck)):
        judged = _judged(result, data)
        setting = (
            "parity of 100 random pictures from 8 whitened principal components, "
            f"{DATA[data]}, 3 tanh units, decay 0.001, {result.updates:,} updates at "
            "the rate at which batches of 10 train best, then full-batch descent"
        )
        if 0 < judged.tuning < len(judged.again):
            found += _at_minima(judged, setting)
    return tuple(found)


def _at_minima(judged: Judged, setting: str) -> tuple[Assertion, ...]:
    difference = partial(record.tuned, record.mean_difference, tuning=judged.tuning)
    batches, noisy, every = judged.arms
    scores = judged.found.trained.T
    usual = judged.found.minima[:, :1].T
    stuck = f"{setting}, from certified minima a tenth above the lowest of six"
    supporting = partial(record.supporting, "C067", unit="difference")
    progress = partial(supporting, rule=PROGRESS, setting=stuck)
    return (
        record.deciding(
            "C067",
            "Batches of 10 free weights that are stuck at a minimum: they make more "
            "progress towards the lowest one than all examples at the same rate.",
            difference(batches, every),
            PROGRESS,
            unit="difference",
            setting=stuck,
        ),
        progress(
            "Batches of 10 make more progress from a stuck minimum towards the lowest "
            "one than isotropic noise of the same strength.",
            difference(batches, noisy),
        ),
        progress(
            "All examples at once make progress from a stuck minimum (negative "
            "control).",
            record.tuned_mean(scores, every.values, tuning=judged.tuning),
        ),
        progress(
            "Another random start, without noise, makes progress from a stuck minimum "
            "towards the lowest one.",
            record.paired(judged.again, np.zeros_like(judged.again)),
        ),
        supporting(
            "Weights trained by batches of 10 end at a lower loss, after descent, than "
            "by full-batch descent from the same random weights.",
            difference(Arm(judged.found.ended.T, scores), Arm(usual)),
            TENTH,
            setting=setting,
        ),
        record.supporting(
            "C067",
            "At a stuck minimum the gradient of the median batch of 10 is longer than "
            "a twentieth of the full gradient at random weights.",
            record.bootstrap(np.median, np.median(judged.found.lengths, axis=1)),
            record.above(0.05),
            unit="ratio",
            setting=stuck,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Every stuck unit at the tuned rate; and by rate, with eight units of ten."""
    count = len(result.found.stuck)
    figure, axes = panels(2, count)
    for data, (units, rates) in enumerate(zip(axes, axes[count:], strict=False)):
        label(units, DATA[data], "progress to the lowest minimum", "gradient")
        label(rates, DATA[data], "rate", "progress to the lowest minimum")
        rates.set_xscale("log")
        judged = _judged(result, data)
        if not judged.tuning:
            continue
        samples = {}
        for name, arm in zip(ARMS, judged.arms, strict=False):
            samples[name] = at_tuned(arm, judged.tuning)
            whole = np.all(np.isfinite(arm.values), axis=1)
            band(rates, RATES[whole], arm.values[whole], name)
        dots(units, samples | {"another start": judged.again}, "a stuck minimum")
        margins(units, PROGRESS)
    shared_legend(figure)
    return {"minima": figure}
