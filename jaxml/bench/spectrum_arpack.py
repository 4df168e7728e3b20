"""Both ends of a spectrum by SciPy's ARPACK, of any symmetric map."""

from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from jaxml import tree
from jaxml.bench.spectrum_task import Task
from jaxml.types import Matvec

EACH = 2
"""Eigenvalues at each end."""

ACCURACY = 1e-3
"""Residuals, over the norm of the matrix."""

Vector = np.ndarray


def our_operator(given: Task, product: Matvec) -> LinearOperator:
    """Our product, as SciPy asks for it."""
    flat, unravel = tree.ravel(given.params)

    @jax.jit
    def image(product: Any, vector: jax.Array) -> jax.Array:
        return tree.ravel(product(unravel(vector)))[0]

    def matvec(vector: Vector) -> Vector:
        return np.asarray(image(product, vector.astype(flat.dtype).ravel()))

    return operator_of(matvec, flat.size, flat.dtype)


def operator_of(matvec: Any, size: int, dtype: Any) -> LinearOperator:
    """A symmetric map of vectors of this size."""
    kind: Any = LinearOperator  # its stub knows subclasses alone
    return kind((size, size), matvec=matvec, dtype=dtype)


class Pairs(NamedTuple):
    """Eigenvalues, ascending, and their vectors in columns."""

    values: Vector
    vectors: Vector


def arpack_ends(operator: LinearOperator, given: Task, tolerance: float) -> Pairs:
    """`EACH` eigenvalues at either end, by ARPACK, from one start."""
    draw = np.random.default_rng(0).standard_normal
    start = draw(tree.size(given.params)).astype(operator.dtype)
    solve: Any = eigsh  # its stub asks for a whole tolerance
    found = solve(operator, k=2 * EACH, which="BE", tol=tolerance, v0=start)
    order = np.argsort(found[0])
    return Pairs(found[0][order], found[1][:, order])


def loosest(operator: LinearOperator, given: Task) -> float:
    """The largest of ARPACK's tolerances, which are relative to each eigenvalue, at
    which its residuals are as small as ours.
    """
    for tolerance in (0.3, 0.1, 0.03, 0.01, 3e-3):
        values, vectors = arpack_ends(operator, given, tolerance)
        images = np.stack([operator.matvec(vector) for vector in vectors.T], axis=1)
        residuals = np.linalg.norm(images - values * vectors, axis=0)
        if np.max(residuals) <= ACCURACY * np.max(np.abs(values)):
            return tolerance
    return ACCURACY
