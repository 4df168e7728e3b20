"""Networks some of whose weights are held at 0, by a mask that may be traced."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Bool

from jaxml.types import Array, Key, Model, Params

__all__ = ["fewer_inputs", "fewer_units", "masked", "narrowed"]

Mask = Callable[[Params], Params]
"""Parameters ↦ 1 where one is used and 0 where it is held at 0, of the same shapes."""


def masked(model: Model, mask: Mask) -> Model:
    """The model with its parameters times a mask: those where it is 0 are not there.

    One program trains all sizes of a network. Each column of a kernel is first scaled
    by √(rows / rows used), so that the smaller network starts as it would by itself
    under LeCun's or He's law. What is masked has no gradient, so an optimizer without
    noise of its own leaves it at 0.

    Args:
        model: whose initial kernels `[rows, columns]` have a variance ∝ 1/rows.
        mask: such as `fewer_units(8)`.
    """

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        params, state = model.init(key, inputs)
        return narrowed(params, mask), state

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        used = jax.tree.map(jnp.multiply, params, mask(params))
        return model.apply(used, state, inputs, train=train, key=key)

    return Model(init, apply)


def narrowed(params: Params, mask: Mask) -> Params:
    """Initial parameters of a whole network as those of a masked one start: times the
    mask, and each column of a kernel times √(rows / rows used).
    """
    return jax.tree.map(_begun, params, mask(params))


def fewer_units(count: ArrayLike) -> Mask:
    """The mask that leaves each hidden layer of an `mlp` its first `count` units."""

    def mask(params: Params) -> Params:
        *hidden, last = sorted(params)
        masks, inputs = {}, None
        for name in [*hidden, last]:
            kernel, bias = params[name]["kernel"], params[name]["bias"]
            rows = jnp.ones(kernel.shape[0], bool) if inputs is None else inputs
            units = jnp.arange(len(bias))
            columns = units < count if name != last else jnp.ones(len(bias), bool)
            masks[name] = _layer(rows, columns, bias.dtype)
            inputs = columns
        return masks

    return mask


def fewer_inputs(kept: Bool[Array, " inputs"]) -> Mask:
    """The mask that leaves an `mlp` these of its inputs."""

    def mask(params: Params) -> Params:
        masks = jax.tree.map(jnp.ones_like, params)
        first = min(params)
        bias = params[first]["bias"]
        every = jnp.ones(len(bias), bool)
        return {**masks, first: _layer(jnp.asarray(kept), every, bias.dtype)}

    return mask


def _layer(rows: jax.Array, columns: jax.Array, dtype: Any) -> Params:
    """Of a kernel with these rows and columns, and its bias."""
    kernel = rows[:, None] & columns[None, :]
    return {"bias": columns.astype(dtype), "kernel": kernel.astype(dtype)}


def _begun(leaf: jax.Array, mask: jax.Array) -> jax.Array:
    """An initial parameter: masked, and of a kernel scaled by what is left."""
    if leaf.ndim < 2:
        return leaf * mask
    used = jnp.maximum(jnp.sum(mask, axis=0, keepdims=True), 1)
    return leaf * mask * jnp.sqrt(mask.shape[0] / used)
