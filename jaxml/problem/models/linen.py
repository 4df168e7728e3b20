"""The one place where a Flax module becomes a pair of pure functions."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxml.types import Array, Key, Model, Params

__all__ = ["from_linen"]


def from_linen(module: nn.Module) -> Model:
    """The model of a Linen module whose `__call__` takes `(inputs, *, train)`.

    Its collection `params` becomes the parameters, all others the state. Initialisation runs in
    float32 on one example of zeros and is cast to the dtype of the inputs, so both precisions start
    from the same network. In training the key feeds the stream `dropout` and the state is updated;
    in evaluation the state is returned as it came. Flax's normalisation layers mix float32 and float64,
    which strict promotion forbids; here it may.
    """

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        example = jnp.zeros((1, *inputs.shape[1:]), jnp.float32)
        variables = module.init(key, example, train=False)
        state = {name: _cast(leaves, inputs.dtype) for name, leaves in variables.items()}
        return state.pop("params"), state

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        variables, rngs = {"params": params, **state}, None if key is None else {"dropout": key}
        updates = list(state) if train else []
        with jax.numpy_dtype_promotion("standard"):
            outputs, updated = module.apply(
                variables, jnp.asarray(inputs), train=train, rngs=rngs, mutable=updates
            )
        return outputs, {**state, **updated}

    return Model(init, apply)


def _cast(leaves: Any, dtype: Any) -> Any:
    """The floating-point leaves in that dtype, the others as they are."""
    return jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, leaves)
