"""A run in blocks of equally many updates, between which it can be interrupted."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml.learn.batches import Batches
from jaxml.learn.training import train
from jaxml.learn.training.state import Info, Probe, Trace, Training, TrainState
from jaxml.types import Batch, InputError

LONGEST = 32
"""Updates in a block at most. So a block is short, and its loop long enough that
its overhead, a synchronisation on an accelerator, is a small part."""

Progress = tuple[TrainState, Trace]
"""The state of a run, and its trace as far as it has come."""


class Blocks(NamedTuple):
    """A run as a sequence of blocks.

    Attributes:
        own: `(state, data) -> own data`: what the run sees of the data, once a call.
        advance: `(number, progress, own data) -> progress` after that block.
        total: how many there are.
    """

    own: Callable[[TrainState, Any], Any]
    advance: Callable[[Any, Progress, Any], Progress]
    total: int


class _Parts(NamedTuple):
    """What `learn.training` makes a run of."""

    step: Callable[[TrainState, Batch], tuple[TrainState, Info]]
    batches: Batches
    probe: Probe
    lengths: tuple[int, int]


def blocks(training: Training, block: Training | None = None) -> Blocks:
    """The blocks of a run: the longest of at most 32 updates that fit between two
    probes, or those that are given.

    Args:
        training: the whole run.
        block: the same experiment with fewer steps, whose `run` is one block. Needed
            where the run is not as `learn.training` makes it.

    Raises:
        InputError: the run is of another make and no block is given, or the block does
            not divide it.
    """
    if block is not None:
        return _given(training, block)
    run = training.run
    if not (isinstance(run, partial) and run.func is train._run):
        raise InputError(
            "This training is no run of `learn.training` alone, so its blocks are not "
            "known: give `block=`, the same experiment with fewer steps."
        )
    parts = _Parts(*run.args)
    steps, every = parts.lengths
    length = max(k for k in range(1, LONGEST + 1) if every % k == 0)
    own = partial(_own, parts.batches)
    return Blocks(own, partial(_advance, parts, length), steps // length)


def _own(batches: Batches, state: TrainState, data: Any) -> Any:
    return batches.own(data, jax.random.fold_in(state.key, 3))


def _advance(
    parts: _Parts, length: int, number: Any, progress: Progress, own: Any
) -> Progress:
    """A block of updates, and the probe if it is the last before an evaluation."""
    state, trace = progress
    batch_key = jax.random.fold_in(state.key, 1)

    def update_once(state: TrainState, _: None) -> tuple[TrainState, Info]:
        return parts.step(state, parts.batches.draw(own, batch_key, state.step))

    state, info = jax.lax.scan(update_once, state, length=length)
    _, every = parts.lengths
    evaluation, turn = jnp.divmod(number, jnp.int32(every // length))
    before = jax.tree.map(partial(_row, evaluation), trace.probed)

    def observed(state: TrainState) -> tuple[Any, Any]:
        return parts.probe.apply(state.probe, state._replace(data=own))

    def unobserved(state: TrainState) -> tuple[Any, Any]:
        return state.probe, before

    if every == length:
        measured, seen = observed(state)
    else:
        due = turn == every // length - 1
        measured, seen = jax.lax.cond(due, observed, unobserved, state)
    first = number * length
    losses = _written(trace.loss, info.loss, first)
    norms = _written(trace.gradient_norm, info.gradient_norm, first)
    rows = jax.tree.map(lambda leaf: leaf[None], seen)
    probed = jax.tree.map(partial(_written, first=evaluation), trace.probed, rows)
    return state._replace(probe=measured), Trace(losses, norms, probed)


def _given(training: Training, block: Training) -> Blocks:
    """The blocks that a training of fewer steps runs, whatever its `run` does."""
    same = training.every == block.every
    if not same or training.steps % block.steps:
        raise InputError(
            f"A block of {block.steps} updates, probed every {block.every}, is no part "
            f"of a run of {training.steps}, probed every {training.every}: give a "
            "divisor, and the same interval of the probe."
        )

    def advance(number: Any, progress: Progress, data: Any) -> Progress:
        state, trace = progress
        state, part = block.run(state, data)

        def put(whole: jax.Array, part: jax.Array) -> jax.Array:
            return _written(whole, part, number * part.shape[0])

        return state, jax.tree.map(put, trace, part)

    return Blocks(lambda state, data: data, advance, training.steps // block.steps)


def _written(whole: jax.Array, part: jax.Array, first: Any) -> jax.Array:
    """The rows of a trace from `first` on replaced."""
    return jax.lax.dynamic_update_slice_in_dim(whole, part, first, axis=0)


def _row(number: Any, whole: jax.Array) -> jax.Array:
    return jax.lax.dynamic_index_in_dim(whole, number, axis=0, keepdims=False)
