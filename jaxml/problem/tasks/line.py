"""The line through ten Pokémon: the least-squares problem on which the course
descends.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxml.problem.data.embedded import pokemon_cp
from jaxml.types import Array, Objective, Params, Scalar

__all__ = ["Line", "pokemon_line"]


class Line(NamedTuple):
    """The squared error ‖Aθ - y‖² of a line, θ = (offset b, slope w), in float64.

    Attributes:
        design: A, `[n, 2]`, a column of ones and the inputs.
        heights: y, `[n]`.
        best: θ* of least squares, `[2]`.
        eigenvalues: of the Hessian 2AᵀA, `[2]`, the smaller first.
        eigenvectors: `[2, 2]`, in its columns.
        start: where the course begins, `[2]`.
        loss: the squared error, an objective that ignores its batch.
        least: its smallest value.
        hessian: 2AᵀA, `[2, 2]`.
    """

    design: Array
    heights: Array
    best: Array
    eigenvalues: Array
    eigenvectors: Array
    start: Array
    loss: Objective
    least: float
    hessian: Array


def pokemon_line() -> Line:
    """Combat power after an evolution on that before it, ten Pokémon: κ is 3.13e5.

    >>> line = pokemon_line()
    >>> line.best.round(2).tolist()
    [-188.43, 2.67]
    """
    data = pokemon_cp(dtype=np.float64)
    design = np.hstack([np.ones_like(data.inputs), data.inputs])
    heights = data.targets[:, 0]
    best = np.linalg.lstsq(design, heights)[0]
    hessian = 2 * design.T @ design
    spectrum = np.linalg.eigh(hessian)

    def loss(params: Params, batch: Any) -> Scalar:
        del batch
        return jnp.sum((heights - design @ params) ** 2)

    return Line(
        design=design,
        heights=heights,
        best=best,
        eigenvalues=spectrum.eigenvalues,
        eigenvectors=spectrum.eigenvectors,
        start=np.array([-120.0, -4.0]),
        loss=loss,
        least=float(np.sum((heights - design @ best) ** 2)),
        hessian=hessian,
    )
