"""Runs that stop where a loss is reached, so that they are compared at equal loss."""

from collections.abc import Callable, Mapping
from functools import partial
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
        seen: by name, the measures there.
        updates: made until then.
        reached: whether the level was.
    """

    params: Params
    seen: dict[str, Any]
    updates: Any
    reached: Any


class Stop(NamedTuple):
    """When a run stops.

    Attributes:
        measure: the name of what is looked at, such as "train".
        level: at or below which the run stops.
        every: updates between two looks; divides `limit`.
        limit: updates at most.
    """

    measure: str
    level: float
    every: int
    limit: int


class _Plan(NamedTuple):
    """What a run is trained by, and when it stops."""

    training: Training
    batches: Batches
    measures: Mapping[str, Measure]
    stop: Stop


def trained_to(
    training: Training,
    batches: Batches,
    hypers: Any,
    *,
    measures: Mapping[str, Measure],
    stop: Stop,
    lanes: int,
) -> Reached:
    """Trains each run of a grid until a measure is first at a level or below.

    That measure is taken after every `stop.every` updates, so a run stops up to that
    many updates late, and below the level by what they gain. Streams of random numbers
    are those of `training`, so a run is the beginning of the one that `sweep` makes. A
    chunk of `lanes` runs goes on until the slowest of them stops. The other measures
    are taken where a run stopped.

    Args:
        training: the experiment; its steps and its probe are not read.
        batches: those that it was made of.
        hypers: a grid, as `learn.grid` gives it.
        measures: by name, `(params, own data) -> number`, such as a workload's.
        stop: at which level of which measure, and after how many updates at most.
        lanes: how many runs advance together on a device.

    Raises:
        InputError: counts are not positive, or `every` does not divide `limit`; no such
            measure; as `training.check`, and what does not fit in memory.
    """
    if min(stop.every, stop.limit, lanes) < 1 or stop.limit % stop.every:
        raise InputError(
            f"{stop.limit} updates, measured every {stop.every}, in chunks of {lanes} "
            "cannot be made: use positive numbers, and a multiple of the second for "
            "the first."
        )
    if stop.measure not in measures:
        raise InputError(
            f"No {stop.measure!r} is measured that could stop a run: choose from "
            f"{', '.join(measures)}."
        )
    training.check(hypers)
    plan = _Plan(training, batches, measures, stop)

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

    name, level, _, limit = plan.stop

    def below(state: TrainState, own: Any) -> Any:
        return plan.measures[name](_evaluated(state), own) <= level

    def going(carry: tuple[TrainState, Any]) -> jax.Array:
        states, reached = carry
        return jnp.any(~stopped(states, reached))

    def stopped(states: TrainState, reached: Any) -> Any:
        return reached | states.frozen | (states.step >= limit)

    def segment(carry: tuple[TrainState, Any]) -> tuple[TrainState, Any]:
        states, reached = carry
        moved = jax.vmap(partial(_moved, plan))(states, own)
        states = jax.vmap(tree.where)(stopped(states, reached), states, moved)
        return states, reached | jax.vmap(below)(states, own)

    reached = jax.vmap(below)(states, own)
    states, reached = jax.lax.while_loop(going, segment, (states, reached))
    params = jax.vmap(_evaluated)(states)
    seen = {
        each: jax.vmap(measure)(params, own) for each, measure in plan.measures.items()
    }
    return Reached(params, seen, states.step, reached)


def _evaluated(state: TrainState) -> Params:
    return evaluation_params(state.opt_state, state.params)


def _moved(plan: _Plan, state: TrainState, own: Any) -> TrainState:
    """The state `every` updates on."""
    key = jax.random.fold_in(state.key, 1)

    def update(state: TrainState, _: None) -> tuple[TrainState, None]:
        batch = plan.batches.draw(own, key, state.step)
        return plan.training.step(state, batch)[0], None

    return jax.lax.scan(update, state, length=plan.stop.every)[0]
