"""Training as a pure function of its hyperparameters: init, step and run over nested scans."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxml import tree
from jaxml.learn.batches import Batches
from jaxml.learn.optimizers import evaluation_params, update
from jaxml.learn.rates import Family
from jaxml.types import Batch, InputError, Key, Objective, Params, TrainingLoss


class TrainState(NamedTuple):
    """What is carried from one update to the next; `hyper` and `key` never change.

    Attributes:
        step: updates made, int32.
        diverged_at: the step at which loss or parameters stopped being finite, or -1. From there on
            the lane is frozen at its last finite parameters.
    """

    hyper: Any
    key: Key
    step: jax.Array
    params: Params
    model_state: Any
    opt_state: Any
    probe: Any
    diverged_at: jax.Array


class Info(NamedTuple):
    """What is observed at an update, before it is made: loss and gradient norm on its batch."""

    loss: jax.Array
    gradient_norm: jax.Array


class Probe(NamedTuple):
    """A measurement during training that keeps a state of its own, so that it can start warm.

    Attributes:
        init: `params -> probe state`.
        apply: `(probe state, TrainState) -> (probe state, observed)`.
    """

    init: Callable[[Params], Any]
    apply: Callable[[Any, TrainState], tuple[Any, Any]]


nothing = Probe(lambda params: (), lambda state, train_state: (state, ()))
"""The probe that observes nothing."""


def gradient_norm(objective: Objective, batch: Any) -> Probe:
    """The probe of ‖∇L‖ on one fixed batch, such as all the data, where a step sees only its own."""
    gradient = jax.grad(objective)
    return Probe(lambda params: (), lambda state, train: (state, tree.norm(gradient(train.params, batch))))


def measuring(quantities: Mapping[str, Callable[[Params], Any]]) -> Probe:
    """The probe of named quantities of the parameters to evaluate, such as loss and accuracy on test data.

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
        probed: the probe's observations after every k-th step, leading axis `steps / k`.
    """

    loss: jax.Array
    gradient_norm: jax.Array
    probed: Any


class Training(NamedTuple):
    """One experiment as pure functions of its hyperparameters.

    Attributes:
        init: `hyper -> TrainState`.
        step: `(TrainState, batch) -> (TrainState, Info)`.
        run: `(TrainState, data) -> (TrainState, Trace)`; a state that has been run can be run on.
        data: what `run` is given.
        steps: updates in one `run`.
        every: updates between two probes.
    """

    init: Callable[[Any], TrainState]
    step: Callable[[TrainState, Batch], tuple[TrainState, Info]]
    run: Callable[[TrainState, Any], tuple[TrainState, Trace]]
    data: Any
    steps: int
    every: int


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

    Keys: `fold_in(key(seed), 0)` initialises, stream 1 draws batches, stream 2 feeds the loss; the
    last two are folded with the step, so a run continued from a state equals the uninterrupted one.

    Args:
        start: `key -> (params, model_state)`.
        loss: `(params, model_state, batch, key) -> (loss, model_state)`.
        family: `hyper -> GradientTransformation`; `hyper` needs the fields it reads, and `seed`.
        batches: the stream of batches.
        steps: updates in one `run`.
        every: updates between two probes; divides `steps`. All of them when not given.
        probe: what to observe after every `every` updates.

    Raises:
        InputError: `every` does not divide `steps`.
    """
    every = every or steps
    if steps < 1 or steps % every:
        raise InputError(f"{steps} steps cannot be probed every {every}: choose a divisor of {steps}.")

    def init(hyper: Any) -> TrainState:
        key = jax.random.key(hyper.seed)
        params, model_state = start(jax.random.fold_in(key, 0))
        hyper = _in_dtype_of(params, hyper)
        none = jnp.int32(-1)
        opt_state = family(hyper).init(params)
        return TrainState(hyper, key, jnp.int32(0), params, model_state, opt_state, probe.init(params), none)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Info]:
        key = jax.random.fold_in(jax.random.fold_in(state.key, 2), state.step)
        value_and_grad = jax.value_and_grad(loss, has_aux=True)
        (value, model_state), grads = value_and_grad(state.params, state.model_state, batch, key)
        params, opt_state = update(family(state.hyper), grads, state.opt_state, state.params)
        finite = jnp.isfinite(value) & jnp.isfinite(tree.norm(params))
        fresh = (state.diverged_at < 0) & ~finite
        diverged_at = jnp.where(fresh, state.step, state.diverged_at)
        new = (params, model_state, opt_state)
        old = (state.params, state.model_state, state.opt_state)
        params, model_state, opt_state = tree.where(diverged_at < 0, new, old)
        state = TrainState(
            state.hyper, state.key, state.step + 1, params, model_state, opt_state, state.probe, diverged_at
        )
        return state, Info(value, tree.norm(grads))

    def run(state: TrainState, data: Any) -> tuple[TrainState, Trace]:
        batch_key = jax.random.fold_in(state.key, 1)

        def one(state: TrainState, _: None) -> tuple[TrainState, Info]:
            return step(state, batches.draw(data, batch_key, state.step))

        def segment(state: TrainState, _: None) -> tuple[TrainState, tuple[Info, Any]]:
            state, info = jax.lax.scan(one, state, length=every)
            measured, observed = probe.apply(state.probe, state)
            return state._replace(probe=measured), (info, observed)

        state, (info, observed) = jax.lax.scan(segment, state, length=steps // every)
        return state, Trace(info.loss.reshape(steps), info.gradient_norm.reshape(steps), observed)

    return Training(init, step, run, batches.data, steps, every)


class Descent(NamedTuple):
    """Where a descent ended, and per step the loss before it and what was observed."""

    params: Params
    loss: jax.Array
    observed: Any


def descend(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    params: Params,
    batch: Any,
    *,
    steps: int,
    observe: Callable[[Params], Any] = lambda params: (),
) -> Descent:
    """`steps` updates on one fixed batch, as a scan: gradient descent, where the optimizer is SGD.

    For closed-form surfaces and for the minimisation that precedes a critical-point search; nothing is
    frozen, so a divergence shows as the infinities that it is. `observe(params)` is stacked over the
    steps, before each update: `observe=lambda params: params` records the path.
    """

    def one(carry: tuple[Params, Any], _: None) -> tuple[tuple[Params, Any], tuple[jax.Array, Any]]:
        params, opt_state = carry
        value, grads = jax.value_and_grad(objective)(params, batch)
        return update(optimizer, grads, opt_state, params), (value, observe(params))

    (params, _), (losses, observed) = jax.lax.scan(one, (params, optimizer.init(params)), length=steps)
    return Descent(params, losses, observed)


def minimiser(
    optimizer: optax.GradientTransformation, *, steps: int
) -> Callable[[Objective, Params, Any], Params]:
    """`(objective, params, batch) -> params` after `steps` updates of `descend`."""
    return lambda objective, params, batch: descend(objective, optimizer, params, batch, steps=steps).params


def _in_dtype_of(params: Params, hyper: Any) -> Any:
    """The floating-point fields of `hyper` in the dtype of the parameters, the others in int32."""
    dtype = jnp.result_type(*jax.tree.leaves(params))
    return jax.tree.map(
        lambda x: jnp.asarray(x, dtype if jnp.issubdtype(jnp.result_type(x), jnp.floating) else jnp.int32),
        hyper,
    )
