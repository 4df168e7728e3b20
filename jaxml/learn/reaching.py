"""Runs that stop where a loss is reached, so that they are compared at equal loss."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import parallel, tree
from jaxml.learn.batches import Batches
from jaxml.learn.optimizers.evaluation import evaluation_params
from jaxml.learn.training.grid import runs_of
from jaxml.learn.training.state import Training, TrainState, first_state
from jaxml.parallel import rows
from jaxml.types import InputError, Params

Measure = Callable[[Params, Any], Any]
"""`(params, own data) -> number`."""


class Reached(NamedTuple):
    """Where runs stopped, with a leading axis of runs.

    Attributes:
        params: the evaluation parameters there; of a run that did not reach the level,
            its last ones.
        value: of the measure.
        updates: made until then.
        reached: whether the level was.
    """

    params: Params
    value: Any
    updates: Any
    reached: Any


class _Plan(NamedTuple):
    """What a run is trained by, and when it stops."""

    training: Training
    batches: Batches
    measure: Measure
    level: float
    every: int
    limit: int


def trained_to(
    training: Training,
    batches: Batches,
    hypers: Any,
    *,
    stop: tuple[Measure, float],
    every: int,
    limit: int,
    lanes: int,
) -> Reached:
    """Trains each run of a grid until a measure is first at a level or below.

    The measure is taken after every `every` updates, so a run stops up to that many
    updates late, and below the level by what they gain. Streams of random numbers are
    those of `training`, so a run is the beginning of the one that `sweep` makes. A
    chunk of `lanes` runs goes on until the slowest of them stops.

    Args:
        training: the experiment; its steps and its probe are not read.
        batches: those that it was made of.
        hypers: a grid, as `learn.grid` gives it.
        stop: the measure, `(params, own data) -> number`, and the level.
        every: updates between two measurements; divides `limit`.
        limit: updates at most.
        lanes: how many runs advance together on a device.

    Raises:
        InputError: the counts are not positive, or `every` does not divide `limit`; as
            `training.check`, and what does not fit in memory.
    """
    if min(every, limit, lanes) < 1 or limit % every:
        raise InputError(
            f"{limit} updates, measured every {every}, in chunks of {lanes} cannot be "
            "made: use positive numbers, and a multiple of the second for the first."
        )
    training.check(hypers)
    measure, level = stop
    plan = _Plan(training, batches, measure, level, every, limit)

    def chunk(hypers: Any, data: Any) -> Reached:
        return _chunk(plan, hypers, data)

    width = min(lanes, runs_of(hypers))
    program = parallel.compiled(
        chunk,
        rows(hypers, np.arange(width)),
        batches.data,
        chunks=-(-runs_of(hypers) // width),
    )
    return parallel.gathered(program, hypers, batches.data)


def own_data(batches: Batches, seed: Any) -> Any:
    """The data of a run of this seed, a `Dataset` where runs split anew."""
    return _own(batches, batches.data, jax.random.key(seed))


def _own(batches: Batches, data: Any, key: jax.Array) -> Any:
    return batches.own(data, jax.random.fold_in(key, 3))


def _chunk(plan: _Plan, hypers: Any, data: Any) -> Reached:
    """All runs of a chunk, until the last of them has stopped."""
    begin = jax.vmap(lambda hyper, begun: plan.training.init(hyper, *begun))
    starts = jax.lax.map(lambda hyper: first_state(plan.training, hyper), hypers)
    states = begin(hypers, (starts.params, starts.model_state))
    own = jax.vmap(lambda key: _own(plan.batches, data, key))(states.key)

    def look(state: TrainState, own: Any) -> tuple[Any, Any]:
        params = evaluation_params(state.opt_state, state.params)
        value = plan.measure(params, own)
        return value, value <= plan.level

    def going(carry: tuple[TrainState, Any, Any]) -> jax.Array:
        states, _, reached = carry
        waiting = ~reached & ~states.frozen & (states.step < plan.limit)
        return jnp.any(waiting)

    def segment(carry: tuple[TrainState, Any, Any]) -> tuple[TrainState, Any, Any]:
        states, values, reached = carry
        moved = jax.vmap(lambda state, own: _moved(plan, state, own))(states, own)
        stop = reached | (states.step >= plan.limit)
        states = jax.vmap(tree.where)(stop, states, moved)
        seen, below = jax.vmap(look)(states, own)
        return states, jnp.where(stop, values, seen), reached | below

    values, reached = jax.vmap(look)(states, own)
    states, values, reached = jax.lax.while_loop(
        going, segment, (states, values, reached)
    )
    params = jax.vmap(lambda s: evaluation_params(s.opt_state, s.params))(states)
    return Reached(params, values, states.step, reached)


def _moved(plan: _Plan, state: TrainState, own: Any) -> TrainState:
    """The state `every` updates on."""
    key = jax.random.fold_in(state.key, 1)

    def update(state: TrainState, _: None) -> tuple[TrainState, None]:
        batch = plan.batches.draw(own, key, state.step)
        return plan.training.step(state, batch)[0], None

    return jax.lax.scan(update, state, length=plan.every)[0]
