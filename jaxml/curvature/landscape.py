"""The loss along lines through the space of parameters."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_leaves, check_like
from jaxml.types import Array, InputError, Params

Quantity = Callable[[Params, Any], Any]
"""`(params, batch) -> value`, such as an objective, or a measure of a workload."""


def interpolation(
    quantities: Mapping[str, Quantity],
    first: Params,
    second: Params,
    batch: Any,
    *,
    at: Array,
) -> dict[str, Any]:
    """Named quantities at (1 - α) θ₁ + α θ₂, for each α of `at`.

    One evaluation of every quantity a point, one after another. Works inside `jit` and
    `vmap`; outside, the program is kept.

    Args:
        quantities: by name, `(params, batch) -> value`.
        first: θ₁, where α is 0.
        second: θ₂, where α is 1; a pytree like the first.
        batch: passed to the quantities.
        at: `[point]`, which may lie outside [0, 1].

    Returns:
        By name, with a leading axis `[point]`.

    Raises:
        InputError: no quantity, `at` is no vector, or the two points are not of one
            structure, shape and precision.

    Source: Goodfellow, Vinyals and Saxe 2015, arXiv:1412.6544.

    >>> square = {"loss": lambda w, _: w**2}
    >>> ends = jnp.array(1.0), jnp.array(-1.0)
    >>> found = interpolation(square, *ends, None, at=jnp.array([0.0, 0.5, 2.0]))
    >>> found["loss"].tolist()
    [1.0, 0.0, 9.0]
    """
    check_leaves(first)
    check_like(second, first, "second point")
    if not quantities or jnp.ndim(at) != 1:
        raise InputError(
            f"{len(quantities)} quantities at α of shape {jnp.shape(at)} are no curve: "
            "name one or more, and give α as a vector."
        )
    named = tuple(quantities.items())
    return run(_line, (named,), first, second, batch, jnp.asarray(at))


def _line(
    named: tuple[tuple[str, Quantity], ...],
    first: Params,
    second: Params,
    batch: Any,
    at: jax.Array,
) -> dict[str, Any]:
    def point(alpha: jax.Array) -> dict[str, Any]:
        params = tree.axpy(alpha, second, tree.scale(1 - alpha, first))
        return {name: quantity(params, batch) for name, quantity in named}

    return jax.lax.map(point, at)
