"""Polynomials fitted by least squares."""

import numpy as np
from jaxtyping import Float

from jaxml.types import Array, InputError

__all__ = ["legendre_features", "nearest_solution"]


def legendre_features(x: Array, degree: int) -> Float[np.ndarray, "point feature"]:
    """√(2k + 1) P_k(x) for k = 0 to `degree`: Legendre polynomials whose mean square
    over [-1, 1] is 1, and of whose products the mean is 0.

    Args:
        x: `[point]`, inside [-1, 1] where features shall stay small.
        degree: 0 or more.

    Raises:
        InputError: x that is no vector, or a negative degree.

    Source: Abramowitz and Stegun 1964, 22.2.10.

    >>> legendre_features(np.array([1.0, 0.0]), 1).round(3).tolist()
    [[1.0, 1.732], [1.0, 0.0]]
    """
    points = np.asarray(x)
    if points.ndim != 1 or degree < 0:
        raise InputError(
            f"Points of shape {list(points.shape)} have no features of degree "
            f"{degree}: give a vector, and a degree of 0 or more."
        )
    degrees = np.arange(degree + 1)
    sizes = np.sqrt(2 * degrees + 1)
    polynomials = np.polynomial.legendre.legvander(points, degree)
    return polynomials * sizes


def nearest_solution(
    features: Array, targets: Array, start: Array
) -> Float[np.ndarray, " weight"]:
    """w0 + X⁺(y - X w0): of all weights of least squared error the nearest to a start,
    which is where gradient descent from there ends.

    Args:
        features: `[example, weight]`.
        targets: `[example]`.
        start: `[weight]`; zeros give the solution of least norm.

    Raises:
        InputError: shapes that do not fit.

    Source: Penrose 1956, Mathematical Proceedings of the Cambridge Philosophical
        Society 52 (least norm); Gunasekar et al. 2018, arXiv:1802.08246 (descent).

    >>> start = np.array([0.0, 2.0])
    >>> nearest_solution(np.ones((1, 2)), np.array([4.0]), start).round(9)
    array([1., 3.])
    """
    rows = np.asarray(features)
    wanted = np.asarray(targets)
    first = np.asarray(start)
    if rows.ndim != 2 or rows.shape != (*wanted.shape, *first.shape):
        raise InputError(
            f"Features {list(rows.shape)} do not fit targets {list(wanted.shape)} and "
            f"a start {list(first.shape)}: give [example, weight], [example] and "
            "[weight]."
        )
    missing = wanted - rows @ first
    return first + np.linalg.pinv(rows) @ missing
