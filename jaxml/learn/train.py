"""Training as a pure function of its hyperparameters: init, step and run over nested
scans.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.learn import reading
from jaxml.learn.batches import Batches
from jaxml.learn.door import begin, update
from jaxml.learn.evaluation import evaluation_params
from jaxml.learn.precision import at_least_single, wide
from jaxml.learn.rates import Family, as_family
from jaxml.learn.trainable import trainable_start
from jaxml.types import Batch, InputError, Key, Objective, Params, TrainingLoss


class TrainState(NamedTuple):
    """What is carried from one update to the next; `hyper` and `key` never change.

    Attributes:
        step: updates made, int32.
        diverged_at: the step at which the parameters stopped being finite, or from
            which on the loss has not been; or -1.
        frozen: whether the run stands still, at its last finite parameters: once they
            are no longer finite, or the loss is not although its gradient is. A chain
            that answers a gradient that is not finite by a step that is, such as
            `optax.apply_if_finite` or `zero_nans`, goes on.
    """

    hyper: Any
    key: Key
    step: jax.Array
    params: Params
    model_state: Any
    opt_state: Any
    probe: Any
    diverged_at: jax.Array
    frozen: jax.Array


class Info(NamedTuple):
    """What is observed at an update, before it is made: loss and gradient norm on its
    batch.
    """

    loss: jax.Array
    gradient_norm: jax.Array


class Probe(NamedTuple):
    """A measurement during training that keeps a state of its own, so that it can start
    warm.

    Attributes:
        init: `params -> probe state`.
        apply: `(probe state, TrainState) -> (probe state, observed)`.
    """

    init: Callable[[Params], Any]
    apply: Callable[[Any, TrainState], tuple[Any, Any]]


nothing = Probe(lambda params: (), lambda state, train_state: (state, ()))
"""The probe that observes nothing."""


def gradient_norm(objective: Objective, batch: Any) -> Probe:
    """The probe of ‖∇L‖ on one fixed batch, such as all the data, where a step sees
    only its own.
    """
    gradient = jax.grad(objective)
    return Probe(
        lambda params: (),
        lambda state, train: (state, tree.norm(gradient(train.params, batch))),
    )


def measuring(quantities: Mapping[str, Callable[[Params], Any]]) -> Probe:
    """The probe of named quantities of the parameters to evaluate, such as loss and
    accuracy on test data.

    Averages, Lookahead and their like are measured where they are to be evaluated.
    """

    def apply(state: Any, train: TrainState) -> tuple[Any, dict[str, Any]]:
        params = evaluation_params(train.opt_state, train.params)
        return state, {name: quantity(params) for name, quantity in quantities.items()}

    return Probe(lambda params: (), apply)


class Trace(NamedTuple):
    """What a run observed.

    Attributes:
        loss: `[steps]`.
        gradient_norm: `[steps]`.
        probed: the probe's observations after every k-th step, leading axis
            `steps / k`.
    """

    loss: jax.Array
    gradient_norm: jax.Array
    probed: Any


class Training(NamedTuple):
    """One experiment as pure functions of its hyperparameters.

    Attributes:
        init: `hyper -> TrainState`.
        step: `(TrainState, batch) -> (TrainState, Info)`.
        run: `(TrainState, data) -> (TrainState, Trace)`; a state that has been run can
            be run on.
        data: what `run` is given.
        steps: updates in one `run`.
        every: updates between two probes.
        check: `grid -> grid`, which refuses one over a field that neither optimizer nor
            probe reads, and one without the horizon that the optimizer's schedule
            reads.
    """

    init: Callable[[Any], TrainState]
    step: Callable[[TrainState, Batch], tuple[TrainState, Info]]
    run: Callable[[TrainState, Any], tuple[TrainState, Trace]]
    data: Any
    steps: int
    every: int
    check: Callable[[Any], Any] = lambda hypers: hypers


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
    """Minibatch descent for a fixed number of updates, everything else traced.

    Keys: `fold_in(key(seed), 0)` initialises, stream 1 draws batches, stream 2 feeds
    the loss; the last two are folded with the step, so a run continued from a state
    equals the uninterrupted one.

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
    start = trainable_start(start)
    family = as_family(family)
    steps, every = _lengths(steps, every)

    def init(hyper: Any) -> TrainState:
        key = jax.random.key(hyper.seed)
        params, model_state = start(jax.random.fold_in(key, 0))
        hyper = _in_dtype_of(params, hyper)
        opt_state, probed = begin(family(hyper), params), probe.init(params)
        none, running = jnp.int32(-1), jnp.bool_(False)
        return TrainState(
            hyper,
            key,
            jnp.int32(0),
            params,
            model_state,
            opt_state,
            probed,
            none,
            running,
        )

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Info]:
        key = jax.random.fold_in(jax.random.fold_in(state.key, 2), state.step)
        value_and_grad = jax.value_and_grad(loss, has_aux=True)
        (value, model_state), grads = value_and_grad(
            state.params, state.model_state, batch, key
        )

        def value_fn(params: Params) -> jax.Array:
            return loss(params, state.model_state, batch, key)[0]

        optimizer = family(state.hyper)
        params, opt_state = update(
            optimizer,
            grads,
            state.opt_state,
            state.params,
            value=value,
            value_fn=value_fn,
        )
        new = state._replace(
            params=params, model_state=model_state, opt_state=opt_state
        )
        return _judged(state, new, value, grads), Info(value, tree.norm(wide(grads)))

    def run(state: TrainState, data: Any) -> tuple[TrainState, Trace]:
        batch_key = jax.random.fold_in(state.key, 1)

        def one(state: TrainState, _: None) -> tuple[TrainState, Info]:
            return step(state, batches.draw(data, batch_key, state.step))

        def segment(state: TrainState, _: None) -> tuple[TrainState, tuple[Info, Any]]:
            state, info = jax.lax.scan(one, state, length=every)
            measured, observed = probe.apply(state.probe, state)
            return state._replace(probe=measured), (info, observed)

        state, (info, observed) = jax.lax.scan(segment, state, length=steps // every)
        return state, Trace(
            info.loss.reshape(steps), info.gradient_norm.reshape(steps), observed
        )

    check = partial(
        reading.check_training, init=init, start=start, family=family, probe=probe
    )
    return Training(init, step, run, batches.data, steps, every, check)


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


def _judged(
    old: TrainState, new: TrainState, value: jax.Array, grads: Params
) -> TrainState:
    """The state after an update: the new one, or the old one where the run has
    diverged.

    A finite step on a gradient that is not finite is the chain's answer to it: the run
    goes on, with the model's state as it was, and has diverged if the loss never is
    finite again.
    """
    healthy = jnp.isfinite(value)
    finite = jnp.isfinite(tree.norm(wide(new.params)))
    frozen = old.frozen | ~finite | (~healthy & _finite(grads))
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


def _finite(x: Params) -> jax.Array:
    """Whether every entry is finite."""
    return jax.tree.reduce(
        jnp.logical_and, jax.tree.map(lambda leaf: jnp.all(jnp.isfinite(leaf)), x)
    )
