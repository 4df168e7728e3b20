"""Training as a pure function of its hyperparameters: init, step and run over nested
scans.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.learn.batches import Batches
from jaxml.learn.optimizers import reading
from jaxml.learn.optimizers.door import begin, update
from jaxml.learn.optimizers.precision import at_least_single, wide
from jaxml.learn.optimizers.rates import Family, as_family
from jaxml.learn.training.probes import nothing
from jaxml.learn.training.state import (
    Info,
    Probe,
    Trace,
    Training,
    TrainState,
    start_key,
)
from jaxml.learn.training.trainable import trainable, trainable_start
from jaxml.types import Batch, InputError, Key, Params, TrainingLoss


def training(
    start: Callable[[Key], tuple[Params, Any]],
    loss: TrainingLoss,
    family: Family,
    batches: Batches,
    *,
    steps: int,
    every: int | None = None,
    probe: Probe = nothing,
) -> Training:
    """Minibatch training for a fixed number of updates, everything else traced.

    Keys: `fold_in(key(seed), 0)` initialises, stream 1 draws batches, stream 2 feeds
    the loss, stream 3 chooses the run's own data; streams 1 and 2 are folded with the
    step, so a run continued from a state equals the uninterrupted one.

    Args:
        start: `key -> (params, model_state)`.
        loss: `(params, model_state, batch, key) -> (loss, model_state)`.
        family: `hyper -> GradientTransformation`, or
            `(hyper, shape) -> GradientTransformation`; `hyper` needs the fields it
            reads, and `seed`.
        batches: the stream of batches.
        steps: updates in one `run`.
        every: updates between two probes; divides `steps`. All of them when not given.
        probe: what to observe after every `every` updates.

    Raises:
        InputError: `steps` or `every` is no positive whole number, or `every` does not
            divide `steps`.
    """
    family = as_family(family)
    steps, every = _lengths(steps, every)
    init = partial(_begun, family, probe)
    step = partial(_stepped, loss, family)
    run = partial(_run, step, batches, probe, (steps, every))
    looked_at = trainable_start(start)
    shown = partial(_shown, looked_at, init, batches)
    check = partial(
        reading.check_training, init=shown, start=looked_at, family=family, probe=probe
    )
    return Training(start, init, step, run, batches.data, steps, every, check)


def _begun(
    family: Family, probe: Probe, hyper: Any, params: Params, model_state: Any
) -> TrainState:
    """The state before the first update."""
    key = jax.random.key(hyper.seed)
    hyper = _in_dtype_of(trainable(params), hyper)
    return TrainState(
        hyper=hyper,
        key=key,
        step=jnp.int32(0),
        params=params,
        model_state=model_state,
        opt_state=begin(family(hyper), params),
        probe=probe.init(params),
        diverged_at=jnp.int32(-1),
        frozen=jnp.bool_(False),
    )


def _stepped(
    loss: TrainingLoss, family: Family, state: TrainState, batch: Batch
) -> tuple[TrainState, Info]:
    """One update, and what was seen before it."""
    key = jax.random.fold_in(jax.random.fold_in(state.key, 2), state.step)
    value_and_grad = jax.value_and_grad(loss, has_aux=True)
    (value, model_state), grads = value_and_grad(
        state.params, state.model_state, batch, key
    )

    def value_fn(params: Params) -> jax.Array:
        return loss(params, state.model_state, batch, key)[0]

    params, opt_state = update(
        family(state.hyper),
        grads,
        state.opt_state,
        state.params,
        value=value,
        value_fn=value_fn,
    )
    new = state._replace(params=params, model_state=model_state, opt_state=opt_state)
    seen = Info(value, tree.norm(wide(grads)))
    return _judged(state, new, seen), seen


def _run(
    step: Callable[[TrainState, Batch], tuple[TrainState, Info]],
    batches: Batches,
    probe: Probe,
    lengths: tuple[int, int],
    state: TrainState,
    data: Any,
) -> tuple[TrainState, Trace]:
    """All updates, with an evaluation after every so many."""
    steps, every = lengths
    batch_key = jax.random.fold_in(state.key, 1)
    own = batches.own(data, jax.random.fold_in(state.key, 3))

    def update_once(state: TrainState, _: None) -> tuple[TrainState, Info]:
        return step(state, batches.draw(own, batch_key, state.step))

    def segment(state: TrainState, _: None) -> tuple[TrainState, tuple[Info, Any]]:
        state, info = jax.lax.scan(update_once, state, length=every)
        measured, observed = probe.apply(state.probe, state._replace(data=own))
        return state._replace(probe=measured), (info, observed)

    state, (info, observed) = jax.lax.scan(segment, state, length=steps // every)
    losses, norms = info.loss.reshape(steps), info.gradient_norm.reshape(steps)
    return state, Trace(losses, norms, observed)


def _shown(
    start: Callable[[Key], tuple[Params, Any]],
    init: Callable[[Any, Params, Any], TrainState],
    batches: Batches,
    hyper: Any,
) -> TrainState:
    """The first state as a probe would be shown it."""
    state = init(hyper, *start(start_key(hyper.seed)))
    return state._replace(data=batches.own(batches.data, state.key))


def _lengths(steps: int, every: int | None) -> tuple[int, int]:
    """The updates of a run and between two probes, if a run is so many times as
    long.
    """
    if steps < 1 or int(steps) != steps:
        raise InputError(
            f"A run of {steps} updates cannot be made: choose a whole number, 1 or "
            "more."
        )
    every = every or steps
    if every < 1 or int(every) != every or steps % every:
        raise InputError(
            f"{steps} steps cannot be probed every {every}: choose a divisor of "
            f"{steps}."
        )
    return int(steps), int(every)


def _judged(old: TrainState, new: TrainState, seen: Info) -> TrainState:
    """The state after an update: the new one, or the old one where the run has
    diverged.

    A finite step on a gradient that is not finite is the chain's answer to it: the run
    goes on, with the model's state as it was, and has diverged if the loss never is
    finite again.
    """
    healthy = jnp.isfinite(seen.loss)
    finite = jnp.isfinite(tree.norm(wide(new.params)))
    frozen = old.frozen | ~finite | (~healthy & jnp.isfinite(seen.gradient_norm))
    since = jnp.where(old.diverged_at < 0, old.step, old.diverged_at)
    model_state = tree.where(healthy, new.model_state, old.model_state)
    after = (new.params, model_state, new.opt_state)
    before = (old.params, old.model_state, old.opt_state)
    params, model_state, opt_state = tree.where(frozen, before, after)
    return old._replace(
        step=old.step + 1,
        params=params,
        model_state=model_state,
        opt_state=opt_state,
        diverged_at=jnp.where(frozen | ~healthy, since, jnp.int32(-1)),
        frozen=frozen,
    )


def _in_dtype_of(params: Params, hyper: Any) -> Any:
    """The floating-point fields of `hyper` in the dtype of the parameters, or in
    float32 where that is narrower; the others in int32.
    """
    dtype = at_least_single(jnp.result_type(*jax.tree.leaves(params)))

    def cast(x: Any) -> jax.Array:
        return jnp.asarray(
            x, dtype if jnp.issubdtype(jnp.result_type(x), jnp.floating) else jnp.int32
        )

    return jax.tree.map(cast, hyper)
