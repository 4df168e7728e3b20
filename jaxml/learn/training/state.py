"""What training carries, observes and is: the types of one experiment."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxml.types import Batch, Key, Params


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
    data: Any = ()


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
        start: `key -> (params, model_state)`, which all runs of a seed share, whatever
            their other hyperparameters; `start_key` makes the key.
        init: `(hyper, params, model_state) -> TrainState`, the state before the first
            update.
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

    start: Callable[[Key], tuple[Params, Any]]
    init: Callable[[Any, Params, Any], TrainState]
    step: Callable[[TrainState, Batch], tuple[TrainState, Info]]
    run: Callable[[TrainState, Any], tuple[TrainState, Trace]]
    data: Any
    steps: int
    every: int
    check: Callable[[Any], Any] = lambda hypers: hypers


def start_key(seed: Any) -> Key:
    """The key by which a run of this seed is initialised."""
    return jax.random.fold_in(jax.random.key(seed), 0)


def first_state(training: Training, hyper: Any) -> TrainState:
    """The state of one run before its first update."""
    return training.init(hyper, *training.start(start_key(hyper.seed)))
