"""The arithmetic limit: the matrix products of a computation at the rate of one large
product.

A large product is the best that a machine does; what is small, or does anything else,
takes longer.
"""

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import DTypeLike

from jaxml.bench.race import Entrant

CPU_SIDE, ACCELERATOR_SIDE = 2048, 8192
"""Rows and columns of the large product: far beyond what a cache holds, and a fraction
of a second.
"""


def limit(
    flops: int, *, dtype: DTypeLike = jnp.float32, side: int | None = None
) -> Entrant:
    """So many operations at the rate of a product of two `side` x `side` matrices on
    every device at once.

    Args:
        flops: of the matrix products, on all devices together.
        dtype: of the large product.
        side: of its matrices; what suits the platform when not given.
    """
    found = jax.devices()
    side = side or (CPU_SIDE if found[0].platform == "cpu" else ACCELERATOR_SIDE)
    mesh = Mesh(np.array(found), ("device",))
    rows = NamedSharding(mesh, PartitionSpec("device"))
    whole = NamedSharding(mesh, PartitionSpec())
    tall = (len(found) * side, side)
    left = jax.random.normal(jax.random.key(0), tall, dtype)
    right = jax.random.normal(jax.random.key(1), (side, side), dtype)
    operands = jax.device_put(left, rows), jax.device_put(right, whole)
    multiply = jax.jit(jnp.matmul, out_shardings=rows).lower(*operands).compile()
    operations = len(found) * product(side, side, side)
    return Entrant(
        "the limit: its matrix products at the measured peak",
        lambda: multiply(*operands),
        parts=flops / operations,
        note=f"{flops / 1e9:.3g} GFLOP of products, at the rate of one of {side} x "
        f"{side} matrices in {np.dtype(dtype).name} on each device",
        role="limit",
    )


def product(rows: int, inner: int, columns: int) -> int:
    """2 · rows · inner · columns: the operations of a matrix product.

    >>> product(2, 3, 4)
    48
    """
    return 2 * rows * inner * columns


def dense(widths: Sequence[int], examples: int) -> int:
    """The products of one update of a dense network: forward, and backward to weights
    and inner values.

    A layer W x is three products of the same size: W x itself, ∂/∂W and ∂/∂x; the first
    layer's ∂/∂x is of the data, and is not made.

    Args:
        widths: of all layers, the inputs first.
        examples: of the batch.

    >>> dense((64, 32, 10), 32) == 2 * 32 * (2 * 64 * 32 + 3 * 32 * 10)
    True
    """
    layers = [
        product(examples, inputs, outputs) for inputs, outputs in pairwise(widths)
    ]
    return 3 * sum(layers) - layers[0]


def _columns(rows: jax.Array) -> jax.Array:
    """Xᵀ, on a CPU in memory, as `problem.models.product` has it: there XLA's product
    with it is faster.
    """
    return jax.lax.platform_dependent(rows, cpu=_copied, default=jnp.transpose)


def _copied(rows: jax.Array) -> jax.Array:
    return jax.lax.optimization_barrier(rows.T)


def chain(
    inputs: jax.Array, kernels: Sequence[jax.Array], *, steps: int
) -> list[jax.Array]:
    """The products of so many updates of one dense network and nothing else.

    A kernel's gradient stands in for the kernel of the next update, so that no product
    can be left out or made before its turn. The numbers mean nothing: they soon
    overflow, which costs no time.
    """

    def update(_: jax.Array, kernels: list[jax.Array]) -> list[jax.Array]:
        values = [inputs]
        for kernel in kernels:
            values.append(values[-1] @ kernel)
        back, gradients = values[-1], []
        for kernel, before in reversed(list(zip(kernels, values, strict=False))):
            gradients.append(_columns(before) @ back)
            if before is not inputs:
                back = back @ kernel.T
        return gradients[::-1]

    return jax.lax.fori_loop(0, steps, update, list(kernels))
