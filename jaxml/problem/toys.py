"""Losses whose critical points have a closed form. They are objectives that ignore
their batch: pass None.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Float

from jaxml.types import Array, Scalar

__all__ = ["bilinear", "cubic", "parabola", "quartic", "x_sin_x"]


def bilinear(params: Float[Array, "2"], batch: Any) -> Scalar:
    """(1 - w₁w₂)²: a saddle at 0 (eigenvalues ±2), and minima on w₁w₂ = 1 (0 and
    2‖w‖²).

    >>> import jax
    >>> jax.hessian(bilinear)(jnp.zeros(2), None).tolist()
    [[0.0, -2.0], [-2.0, 0.0]]
    """
    del batch
    return jnp.square(1 - params[0] * params[1])


def quartic(params: Float[Array, ""], batch: Any) -> Scalar:
    """w⁴: a minimum at 0 that the Hessian, 0 there, does not show."""
    del batch
    return jnp.asarray(params) ** 4


def cubic(params: Float[Array, ""], batch: Any) -> Scalar:
    """w³: neither minimum nor maximum at 0, with the same gradient and Hessian as
    `quartic` there.
    """
    del batch
    return jnp.asarray(params) ** 3


def parabola(params: Float[Array, ""], batch: Any) -> Scalar:
    """(x - 1)² + 1: gradient descent at rate η gives x_t = 1 + (x₀ - 1)(1 - 2η)ᵗ."""
    del batch
    return jnp.square(params - 1) + 1


def x_sin_x(params: Float[Array, ""], batch: Any) -> Scalar:
    """x sin x: its critical points solve tan x = -x; minima at 0, 4.9132 and 11.0855 on
    [0, 14].
    """
    del batch
    return jnp.asarray(params) * jnp.sin(params)
