"""Losses whose critical points have a closed form. They are objectives that ignore
their batch: pass None.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml.problem.data.embedded import pokemon_cp
from jaxml.types import Array, Objective, Scalar

__all__ = [
    "Quadratic",
    "bilinear",
    "cubic",
    "parabola",
    "pokemon_line",
    "quartic",
    "x_sin_x",
]


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


class Quadratic(NamedTuple):
    """A loss whose Hessian is constant.

    Attributes:
        loss: the objective, which ignores its batch.
        best: where it is smallest.
        least: its value there.
        hessian: everywhere the same.
    """

    loss: Objective
    best: Float[np.ndarray, " p"]
    least: float
    hessian: Float[np.ndarray, "p p"]


def pokemon_line() -> Quadratic:
    """Σ(y - b - wx)² of (b, w) through ten Pokémon in float64: condition 3.13e5.

    The long axis of its ellipses lies within 0.17° of the axis of b.

    >>> line = pokemon_line()
    >>> line.best.round(3).tolist(), round(line.least, 1)
    ([-188.433, 2.669], 101936.7)
    """
    data = pokemon_cp(dtype=np.float64)
    design = np.hstack([np.ones_like(data.inputs), data.inputs])
    heights = data.targets[:, 0]
    best = np.linalg.lstsq(design, heights)[0]

    def loss(params: Float[Array, "2"], batch: Any) -> Scalar:
        del batch
        return jnp.sum((heights - design @ params) ** 2)

    least = float(np.sum((heights - design @ best) ** 2))
    return Quadratic(loss, best, least, 2 * design.T @ design)
