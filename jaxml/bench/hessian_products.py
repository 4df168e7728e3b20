"""The matrix products in the exact Hessian of a network of one hidden layer.

For inputs X [n, d], a = tanh(X W₁ + b₁), z = a W₂ + b₂ and the mean cross-entropy with
δ = ∂loss/∂z, a column of the Hessian is the gradient's derivative along (V₁, V₂). A dot
is that derivative:

    ȧ = tanh' ∘ (X V₁),  ż = ȧ W₂ + a V₂,  H_W₂ = ȧᵀ δ + aᵀ δ̇,  δ̇_a = δ̇ W₂ᵀ + δ V₂ᵀ,
    H_W₁ = Xᵀ δ̇_h

where δ̇_h follows from δ̇_a elementwise. These are eight products a column; a chunk of
k columns shares the factor that does not change, so each is one product k times as
long. Nothing else is of that order.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.bench import peak

CLASSES = 10

Shapes = Sequence[tuple[tuple[int, int], tuple[int, int]]]
"""Rows and columns of both factors of each product."""


def products(n: int, inputs: int, hidden: int, k: int) -> Shapes:
    """The shapes of the eight products of k columns, in the order of the equations
    above.

    >>> operations(products(1797, 64, 64, 1)) == 2 * 1797 * (2 * 64 * 64 + 6 * 64 * 10)
    True
    """
    c = CLASSES
    return (
        ((n, inputs), (inputs, k * hidden)),
        ((k * n, hidden), (hidden, c)),
        ((n, hidden), (hidden, k * c)),
        ((k * hidden, n), (n, c)),
        ((hidden, n), (n, k * c)),
        ((k * n, c), (c, hidden)),
        ((n, c), (c, k * hidden)),
        ((inputs, n), (n, k * hidden)),
    )


def operations(shapes: Shapes) -> int:
    """What the products cost.

    >>> operations([((2, 3), (3, 4))])
    48
    """
    return sum(
        peak.product(rows, inner, columns) for (rows, inner), (_, columns) in shapes
    )


def operands(shapes: Shapes) -> list[tuple[jax.Array, jax.Array]]:
    """Normal float64 matrices of these shapes."""
    draw = np.random.default_rng(0).standard_normal
    return [
        (jnp.asarray(draw(left)), jnp.asarray(draw(right))) for left, right in shapes
    ]


def multiplied(pairs: list[tuple[jax.Array, jax.Array]]) -> list[jax.Array]:
    """The product of each pair."""
    return [left @ right for left, right in pairs]
