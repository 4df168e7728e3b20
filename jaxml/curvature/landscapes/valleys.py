"""Valleys of two parameters, and paths that turn into them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml.types import Array, InputError


class Valley(NamedTuple):
    """The ellipses of equal height of a quadratic of two parameters.

    Attributes:
        length: √κ, how many times as long as wide they are; κ is the ratio of
            eigenvalues.
        shortest: the same where the unit of one parameter is such that it is least.
        axis: the unit vector along the valley, its first number positive or 0.
        tilt: of that axis from the nearer axis of the parameters, in degrees, 0 to 45.
    """

    length: float
    shortest: float
    axis: Float[np.ndarray, " 2"]
    tilt: float


class Corner(NamedTuple):
    """Where a path turns.

    Attributes:
        point: its place in the path.
        turn: the angle between the directions to it and from it to the end, in degrees.
    """

    point: int
    turn: float


def valley(hessian: Array) -> Valley:
    """√(λ₂/λ₁) and the eigenvector of λ₁, of a positive definite Hessian H.

    κ depends on the units of the parameters. It is least where both curvatures are
    equal, (1 + r)/(1 - r) with r = |H₁₂|/√(H₁₁ H₂₂): a large value of that is no matter
    of units.

    Args:
        hessian: `[2, 2]`.

    Raises:
        InputError: no symmetric positive definite matrix of two rows.

    Source: van der Sluis 1969, Numerische Mathematik 14 (scaling to equal diagonals,
        which for two rows is best).

    >>> found = valley(np.diag([1.0, 100.0]))
    >>> found.length, found.shortest, found.axis.tolist(), found.tilt
    (10.0, 1.0, [1.0, 0.0], 0.0)
    """
    matrix = np.asarray(hessian, np.float64)
    whole = matrix.shape == (2, 2) and np.allclose(matrix, matrix.T)
    values, vectors = np.linalg.eigh(matrix) if whole else (np.zeros(2), matrix)
    if values[0] <= 0:
        raise InputError(
            "The Hessian is no symmetric positive definite 2 by 2 matrix, and so has "
            "no valley: look at its eigenvalues."
        )
    axis = vectors[:, 0] * (1 if vectors[0, 0] >= 0 else -1)
    related = abs(matrix[0, 1]) / np.sqrt(matrix[0, 0] * matrix[1, 1])
    tilt = np.degrees(np.arcsin(np.min(np.abs(axis))))
    shortest = np.sqrt((1 + related) / (1 - related))
    return Valley(
        float(np.sqrt(values[1] / values[0])), float(shortest), axis, float(tilt)
    )


def corner(path: Array) -> Corner:
    """The point of a path furthest from the straight line between its ends, and by how
    much the path turns there.

    Raises:
        InputError: fewer than three points, or not in a plane.

    >>> corner(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]]))
    Corner(point=1, turn=90.0)
    """
    points = np.asarray(path, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise InputError(
            f"A path of shape {points.shape} has no corner: give three points or more, "
            "[point, 2]."
        )
    chord = points[-1] - points[0]
    normal = np.array([-chord[1], chord[0]])
    point = int(np.argmax(np.abs((points - points[0]) @ normal)))
    return Corner(point, angle(points[point] - points[0], points[-1] - points[point]))


def angle(first: Float[Array, " 2"], second: Float[Array, " 2"]) -> float:
    """Between two directions, in degrees; 0 where one has no length.

    >>> angle(np.array([1.0, 0.0]), np.array([0.0, -3.0]))
    90.0
    """
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    cosine = float(np.dot(first, second) / lengths) if lengths > 0 else 1.0
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
