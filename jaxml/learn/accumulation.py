"""Accumulated gradients: the batch size as a hyperparameter, traced like a rate.

Micro-batches of one size are what the program computes; how many of them make an update
is a number of the grid. So runs with different batch sizes advance together.
"""

from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import tree
from jaxml.learn.batches import Batches
from jaxml.learn.optimizers.door import update
from jaxml.learn.optimizers.precision import at_least_single, like, wide
from jaxml.learn.optimizers.rates import Family, as_family
from jaxml.learn.training.probes import nothing
from jaxml.learn.training.state import Info, Probe, Trace, Training, TrainState
from jaxml.learn.training.train import _judged, training
from jaxml.types import Batch, InputError, Key, Params, TrainingLoss

PERIOD = "micro_batches"
"""The field of a grid that says how many micro-batches make an update."""


class Epochs(NamedTuple):
    """How long an accumulated run is.

    Attributes:
        passes: over the data.
        drop_remainder: whether micro-batches that fill no whole update are left out at
            the end of an epoch; else they make a smaller one.
    """

    passes: int
    drop_remainder: bool = False


class Sums(NamedTuple):
    """What the micro-batches since the last update have left; the means are NaN before
    the first.

    Attributes:
        gradient: the mean of their gradients, weighted by their examples' weights, in
            float32 or wider.
        loss: likewise.
        weight: Σ of their examples' weights.
        model_state: after the last of them.
    """

    gradient: Params
    loss: jax.Array
    weight: jax.Array
    model_state: Any


class Parts(NamedTuple):
    """What an accumulated run is made of."""

    loss: TrainingLoss
    family: Family
    batches: Batches
    probe: Probe


def accumulated(
    start: Callable[[Key], tuple[Params, Any]],
    loss: TrainingLoss,
    family: Family,
    batches: Batches,
    *,
    epochs: Epochs,
    probe: Probe = nothing,
) -> Training:
    """θ moves along Σⱼ Wⱼ ∇Lⱼ / Σⱼ Wⱼ, Wⱼ = Σᵢ wᵢ, of k micro-batches or of those left
    at the end of an epoch.

    k is the grid's field `micro_batches`, as `with_period` adds it. An update sees the
    micro-batches of one epoch alone. The model's state moves at each micro-batch, which
    for batch normalisation is the ghost variant; its loss draws from stream 2, folded
    with the micro-batch. A step of the run is a micro-batch; its trace has entries
    `[micro-batch]`, of which `updates_at` are updates and the others 0. `diverged_at`
    counts updates.

    Cost: a gradient and an optimizer's update a micro-batch where runs advance
    together; of a run alone (lanes = 1) the update is computed only where it is made.
    Memory: a gradient and a model state more than `training`.

    Args:
        start: `key -> (params, model_state)`.
        loss: `(params, model_state, batch, key) -> (loss, model_state)`, a mean by the
            examples' weights, and what does not depend on them.
        family: as `training` takes it; it and the probe see the grid without the added
            field.
        batches: the stream of micro-batches, in whole epochs.
        epochs: how many, and what becomes of their ends.
        probe: what to observe at the end of each epoch.

    Raises:
        InputError: as `training`; or, when a program is made of it, the optimizer asks
            for the loss as a function of the parameters.

    Source: Hoffer, Hubara and Soudry 2017, arXiv:1705.08741, algorithm 1, for ghost
        batch normalisation.
    """
    steps = epochs.passes * batches.per_epoch
    base = training(
        start, loss, family, batches, steps=steps, every=batches.per_epoch, probe=probe
    )
    parts = Parts(loss, as_family(family), batches, probe)

    def init(hyper: Any, params: Params, model_state: Any) -> TrainState:
        state = base.init(without_period(hyper), params, model_state)
        period = jnp.asarray(getattr(hyper, PERIOD), jnp.int32)
        return state._replace(hyper=type(hyper)(*state.hyper, period))

    def run(state: TrainState, data: Any) -> tuple[TrainState, Trace]:
        hyper = state.hyper
        inner = state._replace(hyper=without_period(hyper))
        inner, trace = _run(parts, epochs, getattr(hyper, PERIOD), inner, data)
        return inner._replace(hyper=hyper), trace

    def check(hypers: Any) -> Any:
        base.check(without_period(hypers))
        return hypers

    return base._replace(init=init, run=run, check=check)


def with_period(hypers: Any, period: Any) -> Any:
    """The grid with a field `micro_batches` as its last, one number a run.

    Raises:
        InputError: the grid has a field of that name.
    """
    if PERIOD in hypers._fields:
        raise InputError(
            f"The grid has a field {PERIOD}, which accumulation adds to it: give yours "
            "another name."
        )
    kind: Any = namedtuple("Accumulated", [*hypers._fields, PERIOD])
    kind.KIND = type(hypers)
    return kind(*hypers, period)


def without_period(hyper: Any) -> Any:
    """The grid, or point, to which `with_period` added the field."""
    return type(hyper).KIND(*hyper[:-1])


def updates_at(
    micro_batches: int, period: int, *, drop_remainder: bool = False
) -> np.ndarray:
    """The micro-batches of an epoch after which an update is made, counted from 0.

    >>> updates_at(5, 2).tolist(), updates_at(5, 2, drop_remainder=True).tolist()
    ([1, 3, 4], [1, 3])
    """
    turns = np.arange(micro_batches)
    due = (turns + 1) % period == 0
    if not drop_remainder:
        due[-1] = True
    return np.flatnonzero(due)


def _run(
    parts: Parts, epochs: Epochs, period: jax.Array, state: TrainState, data: Any
) -> tuple[TrainState, Trace]:
    """All epochs, each begun with empty sums and ended with an evaluation."""
    length = parts.batches.per_epoch
    own = parts.batches.own(data, jax.random.fold_in(state.key, 3))
    batch_key = jax.random.fold_in(state.key, 1)
    left_over = 0 if epochs.drop_remainder else period - 1
    first = state.step // ((length + left_over) // period)

    empty = _none_yet(parts, state, own)

    def micro_step(
        carry: tuple[TrainState, Sums], step: jax.Array
    ) -> tuple[tuple[TrainState, Sums], Info]:
        state, sums = carry
        batch = parts.batches.draw(own, batch_key, step)
        sums = _summed(parts.loss, state, sums, batch, step)
        turn = step % length + 1
        due = turn % period == 0
        if not epochs.drop_remainder:
            due |= turn == length
        updated = partial(_updated, parts.family, empty)
        state, sums, info = jax.lax.cond(due, updated, _awaited, state, sums)
        return (state, sums), info

    def epoch(state: TrainState, number: jax.Array) -> tuple[TrainState, Any]:
        steps = number * length + jnp.arange(length, dtype=jnp.int32)
        sums = empty._replace(model_state=state.model_state)
        (state, _), info = jax.lax.scan(micro_step, (state, sums), steps)
        measured, observed = parts.probe.apply(state.probe, state._replace(data=own))
        return state._replace(probe=measured), (info, observed)

    numbers = first + jnp.arange(epochs.passes, dtype=jnp.int32)
    state, (info, observed) = jax.lax.scan(epoch, state, numbers)
    return state, Trace(info.loss.ravel(), info.gradient_norm.ravel(), observed)


def _none_yet(parts: Parts, state: TrainState, own: Any) -> Sums:
    """The sums before the first micro-batch."""
    batch = jax.eval_shape(parts.batches.draw, own, state.key, state.step)
    value, _ = jax.eval_shape(
        parts.loss, state.params, state.model_state, batch, state.key
    )
    dtype = at_least_single(value.dtype)
    gradient = jax.tree.map(
        lambda leaf: jnp.full_like(leaf, jnp.nan), wide(state.params)
    )
    loss, weight = jnp.full((), jnp.nan, dtype), jnp.zeros((), dtype)
    return Sums(gradient, loss, weight, state.model_state)


def _summed(
    loss: TrainingLoss, state: TrainState, sums: Sums, batch: Batch, step: jax.Array
) -> Sums:
    """The sums with one micro-batch more, unless it has no weight."""
    key = jax.random.fold_in(jax.random.fold_in(state.key, 2), step)
    value_and_grad = jax.value_and_grad(loss, has_aux=True)
    (value, model_state), gradient = value_and_grad(
        state.params, sums.model_state, batch, key
    )
    weight = jnp.asarray(jnp.sum(wide(batch.weights)), sums.weight.dtype)
    total = sums.weight + weight
    fraction = weight / jnp.where(total > 0, total, 1)
    alone = wide((gradient, value))
    before = tree.scale(1 - fraction, (sums.gradient, sums.loss))
    together = tree.axpy(fraction, alone, before)
    mean_gradient, mean_loss = tree.where(sums.weight > 0, together, alone)
    added = Sums(mean_gradient, mean_loss, total, model_state)
    return tree.where(weight > 0, added, sums)


def _updated(
    family: Family, empty: Sums, state: TrainState, sums: Sums
) -> tuple[TrainState, Sums, Info]:
    """One update by the means, after which the sums are empty."""
    gradient = like(sums.gradient, state.params)
    params, opt_state = update(
        family(state.hyper),
        gradient,
        state.opt_state,
        state.params,
        value=sums.loss,
        value_fn=_refused,
    )
    new = state._replace(
        params=params, model_state=sums.model_state, opt_state=opt_state
    )
    seen = Info(sums.loss, tree.norm(wide(gradient)))
    state = _judged(state, new, seen)
    return state, empty._replace(model_state=state.model_state), seen


def _awaited(state: TrainState, sums: Sums) -> tuple[TrainState, Sums, Info]:
    """No update, and nothing seen of one."""
    norm = jax.eval_shape(tree.norm, sums.gradient)
    seen = Info(jnp.zeros_like(sums.loss), jnp.zeros(norm.shape, norm.dtype))
    return state, sums, seen


def _refused(params: Params) -> Any:
    """Refuses an optimizer that evaluates the loss of an update at other parameters."""
    del params
    raise InputError(
        "The optimizer asks for the loss as a function of the parameters, and the "
        "micro-batches of an update are gone when it is made: take one program a batch "
        "size, without `micro`."
    )
