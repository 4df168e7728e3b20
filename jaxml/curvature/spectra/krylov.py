"""What the methods of this package share: kept programs of a map, and orthogonal
directions.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.programs import run, traced
from jaxml.types import InputError, Matvec

EXHAUSTED = 10
"""Multiples of eps ‖A‖ below which a remainder has no direction, as in `lanczos`."""


def run_with(
    function: Any, matvec: Matvec, fixed: tuple[Any, ...], *operands: Any
) -> Any:
    """`function(matvec, *fixed, *operands)`, by a program that is kept where the map is
    a pytree.

    A map that is none (a plain function) has its residuals hidden in it, so that its
    program is compiled anew.
    """
    if isinstance(matvec, Partial):
        residuals, structure = jax.tree.flatten(matvec)
        return run(_unflattened, (function, structure, fixed), residuals, operands)
    return function(matvec, *fixed, *operands)


def _unflattened(
    function: Any,
    structure: Any,
    fixed: tuple[Any, ...],
    residuals: list[Any],
    operands: tuple[Any, ...],
) -> Any:
    return function(jax.tree.unflatten(structure, residuals), *fixed, *operands)


def check_finite(values: jax.Array) -> None:
    """What was computed from products is finite, as far as it is known outside `jit`.

    Raises:
        InputError: it is not.
    """
    if not traced(values) and not bool(jnp.all(jnp.isfinite(values))):
        raise InputError(
            "The products of this map are not finite: leave out networks that "
            "diverged, and points at which the loss has no second derivative (a norm "
            "or a square root at 0)."
        )


def projection(
    vector: Float[jax.Array, " p"], basis: Float[jax.Array, "k p"]
) -> tuple[Float[jax.Array, " k"], Float[jax.Array, " p"]]:
    """The coefficients of a vector in orthonormal rows, and what is orthogonal to them.

    Projected twice against rounding, rows of zeros count for nothing.

    Source: Giraud et al. 2005, Numer. Math. 101.
    """
    first = basis @ vector
    rest = vector - first @ basis
    second = basis @ rest
    return first + second, rest - second @ basis


def next_direction(
    vector: Float[jax.Array, " p"], basis: Float[jax.Array, "k p"], number: jax.Array
) -> Float[jax.Array, " p"]:
    """The unit vector along what of a vector is orthogonal to the rows of the basis;
    `another_direction` of that number where nothing is beyond rounding.
    """
    _, rest = projection(vector, basis)
    length = tree.norm(rest)
    return jax.lax.cond(
        length <= eps_of(tree.norm(vector), EXHAUSTED),
        lambda: another_direction(basis, number),
        lambda: rest / length,
    )


def another_direction(
    basis: Float[jax.Array, "k p"], number: jax.Array
) -> Float[jax.Array, " p"]:
    """A random unit vector orthogonal to the rows of the basis, of a fixed key and a
    number, which is another for each vector of a basis.
    """
    key = jax.random.fold_in(jax.random.key(0), number)
    draw = jax.random.uniform(key, basis.shape[1:], jnp.float32, minval=-1, maxval=1)
    _, rest = projection(draw.astype(basis.dtype), basis)
    return rest / tree.norm(rest)


def eps_of(scale: jax.Array, times: int) -> jax.Array:
    """So many times the rounding of numbers of this scale."""
    return jnp.asarray(times * float(jnp.finfo(scale.dtype).eps), scale.dtype) * scale
