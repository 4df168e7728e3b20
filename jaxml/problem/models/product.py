"""The product of examples and a kernel, whose derivative in the kernel suits a CPU."""

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.lax import DotDimensionNumbers, PrecisionLike

from jaxml.types import Array

__all__ = ["product"]


def product(
    examples: Array,
    kernel: Array,
    dimensions: DotDimensionNumbers,
    *,
    precision: PrecisionLike = None,
) -> jax.Array:
    """X W, for `flax.linen.Dense(dot_general=product)` of inputs `[n, inputs]`.

    The gradient in W is Xᵀ G. Of small matrices vmapped over runs, XLA's product for
    the CPU takes half the time or less when Xᵀ lies in memory as such, so there it is
    copied first, and elsewhere it is not.
    """
    del dimensions, precision  # of two matrices, and JAX's own
    return _times(jnp.asarray(examples), jnp.asarray(kernel))


@jax.custom_jvp
def _times(examples: jax.Array, kernel: jax.Array) -> jax.Array:
    return examples @ kernel


def _times_moved(
    primals: tuple[jax.Array, jax.Array],
    tangents: tuple[jax.Array | SymbolicZero, jax.Array | SymbolicZero],
) -> tuple[jax.Array, jax.Array]:
    """X W and Ẋ W + X Ẇ, without the product of what does not move."""
    (examples, kernel), (examples_moved, kernel_moved) = primals, tangents
    value = _times(examples, kernel)
    moved = jnp.zeros_like(value)
    if not isinstance(kernel_moved, SymbolicZero):
        columns = jax.lax.platform_dependent(
            examples, cpu=_copied_columns, default=_columns
        )
        moved = jax.lax.dot_general(columns, kernel_moved, (((0,), (0,)), ((), ())))
    if isinstance(examples_moved, SymbolicZero):
        return value, moved
    return value, _times(examples_moved, kernel) + moved


_times.defjvp(_times_moved, symbolic_zeros=True)


def _columns(examples: jax.Array) -> jax.Array:
    return examples.T


def _copied_columns(examples: jax.Array) -> jax.Array:
    """Xᵀ in memory: XLA may not merge the transposition with the product."""
    return jax.lax.optimization_barrier(examples.T)
