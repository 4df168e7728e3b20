"""The affine law y = a + b x, fitted in relative error: a time with a fixed part and
one in proportion.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from jaxml.types import InputError


class Affine(NamedTuple):
    """y = level + slope x.

    Attributes:
        level: a, at least 0, in units of y.
        slope: b, at least 0, in units of y over those of x.
    """

    level: float
    slope: float


def affine_law(
    x: Shaped[np.ndarray, " point"], y: Float[np.ndarray, " point"]
) -> Affine:
    """The a and b, both at least 0, with the least Σ ((a + b x - y)/y)².

    The weights 1/y² let all points count alike, although their y differ by orders of
    magnitude. Where the least squares without bounds have a negative part, that part is
    0 and the other is fitted alone. Cost: a least-squares problem of two unknowns.

    Args:
        x: such as batch sizes.
        y: such as seconds.

    Raises:
        InputError: fewer than two different x, or a y that is not positive.

    Source: Lawson and Hanson 1974, Solving Least Squares Problems, chapter 23.

    >>> law = affine_law(np.array([1, 10, 100]), np.array([2.5, 7.0, 52.0]))
    >>> round(law.level, 6), round(law.slope, 6)
    (2.0, 0.5)
    """
    if len(np.unique(x)) < 2:
        raise InputError(
            f"{len(np.unique(x))} different x show no law: give at least 2."
        )
    if not np.all(np.isfinite(y) & (y > 0)):
        raise InputError(
            "A y is not positive, and relative errors are of positive numbers: give "
            "finite y above 0."
        )
    columns = np.stack([1 / y, x / y], axis=1)
    both = np.linalg.lstsq(columns, np.ones(len(y)))[0]
    if np.all(both >= 0):
        return Affine(*both.tolist())
    alone = np.sum(columns, axis=0) / np.sum(columns**2, axis=0)
    candidates = np.diag(np.maximum(alone, 0))
    errors = np.sum((candidates @ columns.T - 1) ** 2, axis=1)
    return Affine(*candidates[np.argmin(errors)].tolist())


def affine_deviation(
    law: Affine,
    x: Shaped[np.ndarray, " point"],
    y: Float[np.ndarray, " point"],
) -> float:
    """The largest |a + b x - y| / y.

    >>> affine_deviation(Affine(1.0, 1.0), np.array([0, 1]), np.array([1.0, 4.0]))
    0.5
    """
    return float(np.max(np.abs(law.level + law.slope * x - y) / y))
