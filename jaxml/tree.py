"""The vector space of pytrees: inner product, norm, combination, random and flat
vectors.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from jaxml.types import Key, Params, Scalar


def vdot(x: Params, y: Params) -> Scalar:
    """⟨x, y⟩, summed leaf by leaf at the highest matrix precision.

    >>> float(vdot({"a": jnp.ones(3)}, {"a": jnp.full(3, 2.0)}))
    6.0
    """

    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.vdot(a, b, precision="highest")

    products = jax.tree.map(product, x, y)
    return jax.tree.reduce(jnp.add, products)


def norm(x: Params) -> Scalar:
    """‖x‖₂.

    >>> float(norm({"a": jnp.array([3.0]), "b": jnp.array([4.0])}))
    5.0
    """
    return jnp.sqrt(vdot(x, x))


def axpy(a: Any, x: Params, y: Params) -> Params:
    """a x + y, each leaf in its own dtype.

    >>> axpy(2.0, jnp.array([1.0]), jnp.array([3.0])).tolist()
    [5.0]
    """

    def combined(u: jax.Array, v: jax.Array) -> jax.Array:
        return jnp.asarray(a, u.dtype) * u + v

    return jax.tree.map(combined, x, y)


def scale(a: Any, x: Params) -> Params:
    """a x, each leaf in its own dtype."""

    def scaled(u: jax.Array) -> jax.Array:
        return jnp.asarray(a, u.dtype) * u

    return jax.tree.map(scaled, x)


def random_like(x: Params, key: Key) -> Params:
    """Independent standard normal entries of the shapes of x, drawn in float32 and cast
    to its dtypes.
    """
    leaves, treedef = jax.tree.flatten(x)
    keys = jax.random.split(key, len(leaves))
    draws = []
    for leaf_key, leaf in zip(keys, leaves, strict=True):
        draw = jax.random.normal(leaf_key, leaf.shape, jnp.float32)
        draws.append(draw.astype(leaf.dtype))
    return jax.tree.unflatten(treedef, draws)


def ravel(x: Params) -> tuple[Float[jax.Array, " p"], Callable[[jax.Array], Params]]:
    """The entries of x in one vector, and the function that unravels such a vector
    again.
    """
    return ravel_pytree(x)


def size(x: Params) -> int:
    """How many entries x has."""
    return sum(leaf.size for leaf in jax.tree.leaves(x))


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the scalar condition holds, else y, leaf by leaf, in the dtypes of y;
    typed keys included.
    """

    def chosen(a: Any, b: Any) -> jax.Array:
        return jax.lax.select(condition, jnp.asarray(a, b.dtype), b)

    return jax.tree.map(chosen, x, y)
