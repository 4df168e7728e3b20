"""What is read off a picture of trajectories, and random walks to read beside it."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from jaxml.types import Array, InputError


def matched_walks(
    weights: Float[Array, "run point p"], *, sizes: Sequence[int], seed: int
) -> Float[np.ndarray, "run point p"]:
    """Random walks from the first points of trajectories, whose steps have the same
    lengths in every layer, and directions drawn uniformly and independently.

    What is seen of these too says nothing of the trajectories' directions. The cost is
    a normal draw for each number.

    Args:
        weights: recorded parameters of runs.
        sizes: how many parameters each layer has, in their order; one number, p, for
            steps that match as a whole.
        seed: of the directions.

    Raises:
        InputError: the layers do not make up the parameters.

    >>> runs = np.array([[[0.0, 0.0], [3.0, 4.0]]])
    >>> walk = matched_walks(runs, sizes=[2], seed=0)
    >>> walk[0, 0].tolist(), float(np.linalg.norm(walk[0, 1]).round(6))
    ([0.0, 0.0], 5.0)
    """
    recorded = np.asarray(weights)
    if min(sizes, default=0) < 1 or sum(sizes) != recorded.shape[-1]:
        raise InputError(
            f"Layers of {list(sizes)} parameters do not make up "
            f"{recorded.shape[-1]}: give positive numbers with that sum."
        )
    steps = np.diff(recorded, axis=1)
    drawn = np.random.default_rng(seed).standard_normal(steps.shape)
    places = np.cumsum([0, *sizes])
    for first, last in pairwise(places):
        wanted = np.linalg.norm(steps[..., first:last], axis=-1, keepdims=True)
        own = np.linalg.norm(drawn[..., first:last], axis=-1, keepdims=True)
        drawn[..., first:last] *= wanted / own
    moved = np.concatenate([np.zeros_like(drawn[:, :1]), drawn], axis=1)
    walks = recorded[:, :1] + np.cumsum(moved, axis=1)
    return walks.astype(recorded.dtype)


def distance_between_runs(
    points: Float[Array, "run point axis"],
) -> Float[np.ndarray, " point"]:
    """√(mean over pairs of runs of ‖xᵢ - xⱼ‖²), at each point of their trajectories.

    From the mean over runs: Σ over pairs is n Σᵢ ‖xᵢ - x̄‖², so the cost is that of one
    pass over the points.

    Raises:
        InputError: fewer than two runs.

    >>> distance_between_runs(np.array([[[0.0, 0.0]], [[3.0, 4.0]]])).tolist()
    [5.0]
    """
    runs = len(points)
    if runs < 2:
        raise InputError(f"{runs} runs have no distance between them: give 2 or more.")
    values = np.asarray(points, np.float64)
    centred = values - np.mean(values, axis=0)
    squares = np.sum(np.square(centred), axis=(0, 2))
    return np.sqrt(2 * squares / (runs - 1))


def parabola_fraction(path: Array) -> float:
    """R² of the second coordinate on 1, x and x² of the first: 1 for a random walk in
    its own principal plane, of infinitely many dimensions, whose path is a Lissajous
    curve of frequencies 1 and 2.

    Args:
        path: `[point, 2]`, four points or more; fewer lie on a parabola of themselves.

    Raises:
        InputError: fewer points, or not two coordinates.

    Source: Antognini and Sohl-Dickstein 2018, arXiv:1806.08805, section 3.

    >>> x = np.array([-2.0, -1.0, 1.0, 2.0])
    >>> round(parabola_fraction(np.stack([x, x**2], axis=1)), 6)
    1.0
    """
    points = np.asarray(path, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 4:
        raise InputError(
            f"A path of shape {points.shape} is compared with no parabola: give four "
            "points or more, [point, 2]."
        )
    x, y = points.T
    design = np.stack([np.ones_like(x), x, np.square(x)], axis=1)
    best = np.linalg.lstsq(design, y)[0]
    unexplained = np.sum(np.square(y - design @ best))
    return float(1 - unexplained / np.sum(np.square(y - np.mean(y))))
