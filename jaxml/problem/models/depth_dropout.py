"""Dense networks of many equal layers of which some are passed, with dropout."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxml.problem.models.depth import Activation, deep_mlp
from jaxml.problem.models.product import product
from jaxml.types import Array, Key, Model, Params

__all__ = ["deep_mlp_with_dropout"]


def deep_mlp_with_dropout(
    width: int,
    depth: int,
    outputs: int,
    activation: Activation,
    *,
    layers: ArrayLike,
    dropout: ArrayLike,
) -> Model:
    """The first hidden layers of a plain `deep_mlp` and its last one, in training with
    dropout behind each hidden layer: aₖ = mₖ σ(zₖ) / (1 - p), m 0 by the chance p.

    How many layers there are and p may be traced, so that one program holds shallow and
    deep networks, with dropout and without. Masks are drawn for each example, layer and
    unit. All layers cost, passed or not.

    Args:
        width: of every hidden layer.
        depth: hidden layers at most.
        outputs: of the last layer.
        activation: σ, elementwise.
        layers: hidden layers that are passed, 1 to `depth`.
        dropout: p, the probability with which a hidden value is 0 in training, below 1.

    Raises:
        InputError: a width, depth or number of outputs below 1.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks
        from overfitting", with the factor in training.
    """
    whole = deep_mlp(width, depth, outputs, activation)

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        flat = jnp.asarray(inputs).reshape(len(inputs), -1)
        shape = (depth, len(flat), width)
        factors = _factors(dropout, shape, flat.dtype, key if train else None)

        def layer(
            sums: jax.Array, at: tuple[Any, jax.Array, jax.Array]
        ) -> tuple[jax.Array, None]:
            own, factor, place = at
            after = _affine(own, factor * activation(sums))
            return jnp.where(place < layers, after, sums), None

        places = jnp.arange(1, depth, dtype=jnp.int32)
        rest = (params["hidden"], factors[1:], places)
        sums, _ = jax.lax.scan(layer, _affine(params["first"], flat), rest)
        return _affine(params["last"], factors[0] * activation(sums)), state

    return whole._replace(apply=apply)


def _factors(
    dropout: ArrayLike, shape: tuple[int, ...], dtype: Any, key: Key | None
) -> jax.Array:
    """What hidden values are multiplied by: 1 without a key, else 0 or 1 / (1 - p)."""
    if key is None:
        return jnp.ones(shape, dtype)
    kept = 1 - jnp.asarray(dropout, dtype)
    stays = jax.random.uniform(key, shape, dtype) < kept
    return jnp.where(stays, 1 / kept, 0)


def _affine(layer: Params, values: jax.Array) -> jax.Array:
    sums = product(values, layer["kernel"], (((1,), (0,)), ((), ())))
    return sums + layer["bias"][None]
