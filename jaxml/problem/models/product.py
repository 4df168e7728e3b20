"""The product of examples and a kernel, whose derivative in the kernel suits a CPU."""

import jax
import jax.numpy as jnp
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


@_times.defjvp
def _times_moved(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (examples, kernel), (examples_moved, kernel_moved) = primals, tangents
    columns = jax.lax.platform_dependent(
        examples, cpu=_copied_columns, default=_columns
    )
    by_kernel = jax.lax.dot_general(columns, kernel_moved, (((0,), (0,)), ((), ())))
    return _times(examples, kernel), _times(examples_moved, kernel) + by_kernel


def _columns(examples: jax.Array) -> jax.Array:
    return examples.T


def _copied_columns(examples: jax.Array) -> jax.Array:
    """Xᵀ in memory: XLA may not merge the transposition with the product."""
    return jax.lax.optimization_barrier(examples.T)
