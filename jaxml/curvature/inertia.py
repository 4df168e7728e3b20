"""How many directions bend up, lie flat, and bend down."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy.linalg import eigvalsh
from scipy.linalg.lapack import get_lapack_funcs

from jaxml.types import Array, InputError


class Inertia(NamedTuple):
    """The signs of a symmetric matrix's eigenvalues, up to a tolerance.

    Attributes:
        positive: how many are above the tolerance; an integer, or an array of them, one
            a matrix.
        zero: how many are within it, ends included.
        negative: how many are below its negative.
    """

    positive: int | np.ndarray
    zero: int | np.ndarray
    negative: int | np.ndarray


def inertia(matrix: Array, *, tolerance: float) -> Inertia:
    """n₊, n₀, n₋ by Sylvester's law: A - tI = L D Lᵀ has as many positive eigenvalues
    as D, and so on.

    A factorisation at t counts the eigenvalues above t, one at -t those below -t: p³/3
    multiplications each, and together a quarter of the time of `eigenvalues`. For more
    than two tolerances take `eigenvalues` once and `inertia_from_eigenvalues`.

    Runs on the host in the matrix's own precision, reads one triangle, and holds one
    working copy. Only an eigenvalue within rounding (a modest multiple of eps ‖A‖) of
    ±t can be misplaced; so at a tolerance below that, the signs of numerically zero
    eigenvalues are noise.

    Args:
        matrix: `[p, p]`, symmetric, float32 or float64.
        tolerance: t, in the matrix's own units.

    Raises:
        InputError: the matrix is not square, finite and of these types; t is negative
            or not finite.

    Source: Bunch and Kaufman 1977, Math. Comp. 31, 163-179; LAPACK ?sytrf.

    >>> inertia(np.array([[0.0, -2.0], [-2.0, 0.0]]), tolerance=1e-10)
    Inertia(positive=1, zero=0, negative=1)
    """
    host = _checked(matrix)
    _check_tolerance(tolerance)
    positive, _ = _pivot_signs(host, tolerance)
    _, negative = _pivot_signs(host, -tolerance)
    # Below rounding the two factorisations may disagree about one eigenvalue: it is
    # counted once.
    negative = min(negative, len(host) - positive)
    return Inertia(positive, len(host) - positive - negative, negative)


def eigenvalues(matrix: Array) -> Float[np.ndarray, " p"]:
    """λ₁ ≤ … ≤ λ_p of a symmetric matrix, each to a modest multiple of eps ‖A‖.

    Runs on the host in the matrix's own precision, reads one triangle, and holds one
    working copy.

    Args:
        matrix: `[p, p]`, symmetric, float32 or float64.

    Raises:
        InputError: the matrix is not square, finite and of these types.

    >>> eigenvalues(np.array([[0.0, -2.0], [-2.0, 0.0]])).tolist()
    [-2.0, 2.0]
    """
    return eigvalsh(_checked(matrix), check_finite=False)


def inertia_from_eigenvalues(
    values: Array, *, tolerance: float | np.ndarray
) -> Inertia:
    """n₊, n₀, n₋ of the eigenvalues on the last axis.

    Args:
        values: `[..., p]`, in any order.
        tolerance: one for all, or `[...]`, one a matrix; in the values' own units.

    Returns:
        Integer arrays `[...]`.

    Raises:
        InputError: a value is not finite; a tolerance is negative or not finite.

    >>> eigenvalues = np.array([[-2.0, 0.0, 2.0], [1.0, 1.0, 1.0]])
    >>> counts = inertia_from_eigenvalues(eigenvalues, tolerance=1e-10)
    >>> counts.negative.tolist(), counts.zero.tolist()
    ([1, 0], [1, 0])
    """
    host = np.asarray(jax.device_get(values))
    _check_tolerance(tolerance)
    if not np.isfinite(host).all():
        raise InputError(
            "Some eigenvalues are not finite: leave out the networks that diverged, "
            "and points at which the loss has no second derivative (a norm or a square "
            "root at 0)."
        )
    bound = np.asarray(tolerance)[..., np.newaxis]
    positive, negative = (host > bound).sum(-1), (host < -bound).sum(-1)
    return Inertia(positive, host.shape[-1] - positive - negative, negative)


def _pivot_signs(matrix: np.ndarray, shift: float) -> tuple[int, int]:
    """How many eigenvalues of D in L D Lᵀ = matrix - shift I are positive, and how many
    negative.

    Bunch and Kaufman take a 2x2 pivot [[a, b], [b, c]] only where |ac| < 0.41 b²: one
    of each sign. LAPACK marks its two rows by negative pivot indices.
    """
    work = np.array(
        matrix, order="C"
    ).T  # LAPACK overwrites a column-major array in place
    np.einsum("ii->i", work)[...] -= work.dtype.type(shift)
    factorise, query = get_lapack_funcs(("sytrf", "sytrf_lwork"), (work,))
    length, _ = query(len(work), lower=1)
    factors, pivots, _ = factorise(work, lower=1, lwork=int(length), overwrite_a=1)
    single = factors.diagonal()[pivots > 0]
    pairs = int(np.sum(pivots < 0)) // 2
    return int(np.sum(single > 0)) + pairs, int(np.sum(single < 0)) + pairs


def _checked(matrix: Array) -> np.ndarray:
    host = np.asarray(jax.device_get(matrix))
    if host.ndim != 2 or host.shape[0] != host.shape[1] or host.size == 0:
        raise InputError(
            f"A matrix of shape {host.shape} has no eigenvalues: give a square one."
        )
    if host.dtype not in (np.float32, np.float64):
        raise InputError(
            f"LAPACK does not take {host.dtype}: cast the matrix to float32 or float64."
        )
    if not np.isfinite(host).all():
        raise InputError(
            "The matrix has entries that are not finite: leave out the networks that "
            "diverged, and points at which the loss has no second derivative (a norm "
            "or a square root at 0)."
        )
    return host


def _check_tolerance(tolerance: float | np.ndarray) -> None:
    if not (np.isfinite(tolerance) & (np.asarray(tolerance) >= 0)).all():
        raise InputError(
            f"A tolerance of {tolerance} is not a distance from zero: give a finite "
            "one, 0 or more."
        )
