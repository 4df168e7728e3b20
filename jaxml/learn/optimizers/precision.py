"""Arithmetic in float32 or wider, whatever the parameters: β₂ = 0.999 is 1 in
bfloat16.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxml.types import Params


def at_least_single(dtype: Any) -> Any:
    """The dtype, or float32 where it is narrower.

    >>> at_least_single(jnp.bfloat16).name, at_least_single(jnp.float32).name
    ('float32', 'float32')
    """
    return jnp.dtype(jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype)


def wide(x: Params) -> Params:
    """x, each floating-point leaf in float32 or wider."""
    return jax.tree.map(_wide_leaf, x)


def like(x: Params, y: Params) -> Params:
    """x, each leaf in the dtype of that of y."""
    return jax.tree.map(lambda new, old: jnp.asarray(new, jnp.result_type(old)), x, y)


def in_single(
    optimizer: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    """The same optimizer, which computes and remembers in float32 or wider; its updates
    are the parameters'.

    Of float32 and float64 parameters nothing changes.
    """
    inner = optax.with_extra_args_support(optimizer)

    def init(params: Params) -> Any:
        return inner.init(wide(params))

    def apply(
        updates: Params, state: Any, params: Any = None, **extra: Any
    ) -> tuple[Params, Any]:
        target = updates if params is None else params
        points = None if params is None else wide(params)
        updates, state = inner.update(wide(updates), state, points, **extra)
        return like(updates, target), state

    return optax.GradientTransformationExtraArgs(init, apply)


def _wide_leaf(leaf: Any) -> Any:
    dtype = jnp.result_type(leaf)
    if not jnp.issubdtype(dtype, jnp.floating):
        return leaf
    return jnp.asarray(leaf, at_least_single(dtype))
