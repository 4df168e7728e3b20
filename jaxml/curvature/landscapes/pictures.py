"""A picture of trajectories in their principal plane, and how true it is."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxml.curvature.landscapes.trajectories import principal_plane
from jaxml.curvature.landscapes.walks import distance_between_runs, parabola_fraction
from jaxml.types import Array


class Picture(NamedTuple):
    """Runs in the plane of their first two principal components; many pictures have
    axes in front.

    Attributes:
        between: root mean square distance between runs, at each point.
        shown: the same in the plane.
        outside: the same in all directions but those of the plane.
        anywhere: the same in a plane drawn at random, which shows by how much distances
            grow without having been chosen by them.
        norm: root mean square norm of the points, over runs.
        explained: fractions of the variance along both axes of the plane.
        alone: the same of the first run in a plane of its own.
        bend: of that run there, the R² of the second coordinate on a parabola in the
            first.
        projections: coordinates in the plane.
        residuals: of each point, the fraction of its squared distance from the mean
            that is outside.
    """

    between: Float[np.ndarray, "*pictures point"]
    shown: Float[np.ndarray, "*pictures point"]
    outside: Float[np.ndarray, "*pictures point"]
    anywhere: Float[np.ndarray, "*pictures point"]
    norm: Float[np.ndarray, "*pictures point"]
    explained: Float[np.ndarray, "*pictures axis"]
    alone: Float[np.ndarray, "*pictures axis"]
    bend: Float[np.ndarray, " *pictures"]
    projections: Float[np.ndarray, "*pictures run point axis"]
    residuals: Float[np.ndarray, "*pictures run point"]


def picture(weights: Float[Array, "run point p"], *, seed: int) -> Picture:
    """Trajectories in their principal plane, and what a reader of the picture should
    know: how far runs are apart, and how far they seem to be.

    Two calls of `principal_plane`, and a pass over the weights.

    Args:
        weights: recorded parameters of two runs or more, at four points or more.
        seed: of the plane drawn at random, two normal vectors.

    Raises:
        InputError: as `principal_plane`, and of one run, or three points.

    Source: Li et al. 2018, arXiv:1712.09913, section 7 (the plane); Antognini and
        Sohl-Dickstein 2018, arXiv:1806.08805 (the arc of one run).

    >>> runs = np.random.default_rng(0).standard_normal((2, 5, 3), np.float32)
    >>> found = picture(runs, seed=0)
    >>> bool(np.all(found.shown <= found.between + 1e-6)), found.projections.shape
    (True, (2, 5, 2))
    """
    recorded = np.asarray(weights)
    plane = jax.device_get(principal_plane(recorded))
    alone = jax.device_get(principal_plane(recorded[0]))
    drawn = np.random.default_rng(seed).standard_normal((recorded.shape[-1], 2))
    between = distance_between_runs(recorded)
    shown = distance_between_runs(plane.projections)
    squares = np.sum(np.square(recorded, dtype=np.float64), axis=-1)
    return Picture(
        between=between,
        shown=shown,
        outside=np.sqrt(np.maximum(np.square(between) - np.square(shown), 0)),
        anywhere=distance_between_runs(recorded @ drawn),
        norm=np.sqrt(np.mean(squares, axis=0)),
        explained=plane.explained,
        alone=alone.explained,
        bend=np.array(parabola_fraction(alone.projections)),
        projections=plane.projections,
        residuals=plane.residuals,
    )
