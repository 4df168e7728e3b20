"""A model and a loss joined: what `learn` descends, and what `curvature` differentiates
twice.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml.problem.losses import Penalty, none, weighted_mean
from jaxml.types import (
    Array,
    Batch,
    InputError,
    Key,
    Model,
    Objective,
    Params,
    Scalar,
    TrainingLoss,
)

__all__ = ["criterion", "evaluation", "objective", "outputs", "start", "training_loss"]

Loss = Callable[[Array, Array], Float[jax.Array, " n"]]
"""`(outputs, targets) -> [n]`, one value per example."""


def start(model: Model, inputs: Array) -> Callable[[Key], tuple[Params, Any]]:
    """The initialiser as a function of its key alone, to be vmapped or mapped over
    keys.

    Only the shape beyond the first axis and the dtype of `inputs` matter.

    Raises:
        InputError: at a call, a model whose state holds a random key.
    """

    def begin(key: Key) -> tuple[Params, Any]:
        params, state = model.init(key, inputs)
        _refuse_keys(state)
        return params, state

    return begin


def training_loss(model: Model, loss: Loss, penalty: Penalty = none) -> TrainingLoss:
    """Σᵢ wᵢ loss(f(xᵢ), yᵢ) / Σᵢ wᵢ + penalty(θ) with f in training mode, and the
    model's next state.

    A model whose `apply` names `mask` is given `weights > 0`, `[n]`, so that what it
    computes over the batch, such as BatchNorm's statistics, leaves out the padding.
    """
    judge = criterion(loss)
    masked = "mask" in inspect.signature(model.apply).parameters

    def evaluate(
        params: Params, state: Any, batch: Batch, key: Key
    ) -> tuple[Scalar, Any]:
        present = {"mask": jnp.asarray(batch.weights) > 0} if masked else {}
        predictions, state = model.apply(
            params, state, batch.inputs, train=True, key=key, **present
        )
        return judge(predictions, batch) + penalty(params), state

    return evaluate


def objective(
    model: Model, loss: Loss, penalty: Penalty = none, *, state: Any = None
) -> Objective:
    """Σᵢ wᵢ loss(f(xᵢ), yᵢ) / Σᵢ wᵢ + penalty(θ) with f in evaluation mode: no
    randomness, a fixed state.

    Raises:
        InputError: at a call, a module that keeps a state, such as BatchNorm's
            averages, and no `state`.
    """
    predict, judge = outputs(model, state=state), criterion(loss)
    return lambda params, batch: judge(predict(params, batch), batch) + penalty(params)


def evaluation(
    model: Model, loss: Loss, batch: Batch, *, state: Any = None
) -> Callable[[Params], Scalar]:
    """params ↦ Σᵢ wᵢ loss(f(xᵢ), yᵢ) / Σᵢ wᵢ on one fixed batch: what `learn.measuring`
    looks at.
    """
    judge = objective(model, loss, state=state)
    return lambda params: judge(params, batch)


def outputs(model: Model, *, state: Any = None) -> Callable[[Params, Batch], jax.Array]:
    """`(params, batch) -> f(x)` in evaluation mode: the inner function of a
    Gauss-Newton product.
    """
    fixed = {} if state is None else state

    def predict(params: Params, batch: Batch) -> jax.Array:
        return model.apply(params, fixed, batch.inputs, train=False, key=None)[0]

    return predict


def criterion(loss: Loss) -> Callable[[jax.Array, Batch], Scalar]:
    """`(outputs, batch) -> weighted mean loss`: the outer function, convex for the
    usual losses.
    """
    return lambda predictions, batch: weighted_mean(
        loss(predictions, batch.targets), batch.weights
    )


def _refuse_keys(state: Any) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
            raise InputError(
                "The model's state holds a random key at "
                f"{jax.tree_util.keystr(path)}, which cannot be stored: draw from "
                "the key that apply is given."
            )
