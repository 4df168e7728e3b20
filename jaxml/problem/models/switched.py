"""Dense networks whose batch normalisation is a number, perhaps traced."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml.problem.models.dense import mlp
from jaxml.problem.models.product import product
from jaxml.types import Array, Key, Model, Params

__all__ = ["Switched", "switched_normalised"]

EPSILON = 1e-5
"""Added to variances, as in `batch_normalised`."""


class Switched(NamedTuple):
    """The state of a switched network.

    Attributes:
        through: above 0 where training takes mean and variance of the batch; else, and
            in evaluation, those below are constants.
        mean: of each hidden layer's units; 0 at first.
        variance: likewise; 1 at first, which normalises nothing (but for epsilon).
    """

    through: Array
    mean: tuple[Array, ...]
    variance: tuple[Array, ...]


def switched_normalised(
    widths: tuple[int, ...], activation: Callable[[jax.Array], jax.Array]
) -> Model:
    """`batch_normalised` that training can be told to leave out, within one program.

    σ(γ (z - mean) / √(variance + 1e-5) + β) in each hidden layer, z = W x of its
    inputs, and a last layer W x + b; the `Switched` state says whose mean and variance
    they are. With those of the first state and `through` at 0 it is `mlp` with a factor
    γ for each hidden unit, so that networks with and without normalisation have the
    same parameters and initial values. Of a call the next state has the batch's own
    mean and variance at each layer. Kernels and biases start as those of `mlp`, γ at 1.

    Args:
        widths: of the hidden layers, then of the output.
        activation: σ, elementwise; none follows the last layer.

    Raises:
        InputError: as `mlp`.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1.
    """
    dense = mlp(widths, activation)
    hidden = len(widths) - 1

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        params, _ = dense.init(key, inputs)
        layers = [params[f"layer_{place:02}"] for place in range(hidden + 1)]
        ones = tuple(jnp.ones_like(layer["bias"]) for layer in layers[:hidden])
        factors = {f"layer_{place:02}": one for place, one in enumerate(ones)}
        means = tuple(jnp.zeros_like(one) for one in ones)
        through = jnp.ones((), layers[0]["bias"].dtype)
        return {**params, "factors": factors}, Switched(through, means, ones)

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        del key
        values = jnp.asarray(inputs).reshape(len(inputs), -1)
        means, variances = [], []
        for place in range(hidden):
            name = f"layer_{place:02}"
            sums = product(values, params[name]["kernel"], (((1,), (0,)), ((), ())))
            mean, variance = jnp.mean(sums, axis=0), jnp.var(sums, axis=0)
            means.append(mean)
            variances.append(variance)
            if train:
                own = jnp.asarray(state.through) > 0
                mean = jnp.where(own, mean, state.mean[place])
                variance = jnp.where(own, variance, state.variance[place])
            else:
                mean, variance = state.mean[place], state.variance[place]
            scaled = (sums - mean[None]) / jnp.sqrt(variance + EPSILON)[None]
            factor, offset = params["factors"][name], params[name]["bias"]
            values = activation(factor[None] * scaled + offset[None])
        last = params[f"layer_{hidden:02}"]
        outputs = product(values, last["kernel"], (((1,), (0,)), ((), ())))
        seen = Switched(state.through, tuple(means), tuple(variances))
        return outputs + last["bias"][None], seen

    return Model(init, apply)
