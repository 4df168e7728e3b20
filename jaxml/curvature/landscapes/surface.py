"""The error surface of models of two parameters."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.landscapes.slices import plane
from jaxml.curvature.space import check_leaves
from jaxml.types import Array, InputError, Objective, Params


def error_surface(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    first_values: Array,
    second_values: Array,
) -> Float[jax.Array, "first second"]:
    """The loss of a model of two parameters at each pair of their values: all that
    there is of its landscape.

    Args:
        objective: `(params, batch) -> scalar`.
        params: a point whose structure, shapes and precision are read; of exactly two
            numbers, the first and the second as `jaxml.tree.ravel` orders them.
        batch: passed to the objective.
        first_values: of the first number.
        second_values: of the second.

    Returns:
        `[first, second]`.

    Raises:
        InputError: the parameters are not two numbers, or the values no vectors.

    >>> toy = lambda p, x: (p["w"] * x - p["b"]) ** 2
    >>> point, values = {"b": jnp.array(0.0), "w": jnp.array(0.0)}, jnp.arange(2.0)
    >>> grid = {"first_values": values, "second_values": values}
    >>> error_surface(toy, point, jnp.array(2.0), **grid).tolist()  # [b, w]
    [[0.0, 4.0], [1.0, 1.0]]
    """
    check_leaves(params)
    if tree.size(params) != 2:
        raise InputError(
            f"A model of {tree.size(params)} parameters has no error surface over two "
            "axes: take `plane` along two directions."
        )
    flat, unravel = tree.ravel(params)
    origin = unravel(jnp.zeros_like(flat))
    first = unravel(jnp.array([1, 0], flat.dtype))
    second = unravel(jnp.array([0, 1], flat.dtype))
    quantities = {"loss": objective}
    at = first_values, second_values
    return plane(quantities, origin, first, second, batch, at=at)["loss"]
