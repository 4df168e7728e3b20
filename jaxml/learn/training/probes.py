"""What is observed while training runs."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxml import tree
from jaxml.learn.optimizers.evaluation import evaluation_params
from jaxml.learn.training.state import Probe, TrainState
from jaxml.types import Objective, Params


def _stateless(params: Params) -> tuple[()]:
    """The state of a probe that keeps none."""
    del params
    return ()


def _nothing(state: Any, train: TrainState) -> tuple[Any, tuple[()]]:
    del train
    return state, ()


nothing = Probe(_stateless, _nothing)
"""The probe that observes nothing."""


def gradient_norm(objective: Objective, batch: Any) -> Probe:
    """The probe of ‖∇L‖ on one fixed batch, such as all the data, where a step sees
    only its own.
    """
    grad = jax.grad(objective)

    def apply(state: Any, train: TrainState) -> tuple[Any, jax.Array]:
        gradient = grad(train.params, batch)
        return state, tree.norm(gradient)

    return Probe(_stateless, apply)


def measuring(quantities: Mapping[str, Callable[[Params], Any]]) -> Probe:
    """The probe of named quantities of the parameters to evaluate, such as loss and
    accuracy on test data.

    Averages, Lookahead and their like are measured where they are to be evaluated.
    """

    def apply(state: Any, train: TrainState) -> tuple[Any, dict[str, Any]]:
        params = evaluation_params(train.opt_state, train.params)
        seen = {name: quantity(params) for name, quantity in quantities.items()}
        return state, seen

    return Probe(_stateless, apply)


def evaluating(quantities: Mapping[str, Callable[[Params, Any], Any]]) -> Probe:
    """The probe of named quantities of the parameters to evaluate and the run's own
    data, such as the losses on what it trains on and on what it holds out.

    Args:
        quantities: by name, `(params, own data) -> value`; the data are what
            `Batches.own` gives, a `Dataset` where runs split anew.
    """

    def apply(state: Any, train: TrainState) -> tuple[Any, dict[str, Any]]:
        params = evaluation_params(train.opt_state, train.params)
        seen = {
            name: quantity(params, train.data) for name, quantity in quantities.items()
        }
        return state, seen

    return Probe(_stateless, apply)
