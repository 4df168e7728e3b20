"""The ends of the spectrum in bounded memory, to a tolerance."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxml import memory, tree
from jaxml.curvature.space import check_space
from jaxml.curvature.spectra.krylov import check_finite, run_with
from jaxml.curvature.spectra.thick_restart import Accuracy, Ends, kept, thick_restart
from jaxml.types import InputError, Matvec, Params


def ends(
    matvec: Matvec,
    start: Params,
    *,
    lowest: int,
    highest: int,
    basis: int = 32,
    tolerance: ArrayLike = 1e-3,
    products: int = 1000,
) -> Ends:
    """The `lowest` lowest and the `highest` highest eigenvalues of a symmetric matrix.

    Thick-restart Lanczos: where the basis is full, the Ritz vectors next to the wanted
    ends are kept, and the Krylov space goes on from their common residual. Memory is
    `basis` vectors, and half of them once more at a restart, however many products it
    takes. Beside its product a step costs 8 p `basis` operations (full
    reorthogonalisation, twice) and the eigenvalues of a `basis` x `basis` matrix; a
    restart 2 p `basis`². Works inside `jit`; outside, the program of a
    `hessian_product` is kept.

    It stops where every wanted residual is at most `tolerance` ‖A‖, at `lowest +
    highest` products in a row; ‖A‖ is the largest |Ritz value| seen, which is never
    above it. A residual is that of the recurrence, |β sₖ|: what A does to a Ritz vector
    outside the basis, which full reorthogonalisation keeps equal to ‖Av - θv‖ up to
    rounding. So it costs no product; what rounding leaves, 32 eps ‖A‖, is added to it
    in the result, and no tolerance below that is asked for.

    What is certain, up to rounding: within r of each θ lies an eigenvalue; the i-th
    lowest eigenvalue is at most the i-th lowest θ, and likewise at the other end
    (Cauchy). What is not: that none was passed over. A start with almost nothing of an
    eigenvector hides it until the Krylov space has grown; the products in a row make
    that rare, a smaller tolerance rarer. No error of order r² / gap (Kato and Temple)
    is claimed, for the gap to the next eigenvalue is not known from products. An
    eigenvalue of multiplicity m shows once; further copies, which are true ones, only
    where rounding or an exhausted Krylov space lets them in.

    Args:
        matvec: a symmetric map.
        start: a vector, a pytree like the parameters: `tree.random_like(params, key)`,
            or `warm_start` of an earlier call. The products that follow a start near
            the answer are few, but it hides what it has no part of: start at random now
            and then.
        lowest: eigenvalues at the lower end; 0 for none.
        highest: likewise at the upper end.
        basis: vectors, more than `lowest + highest`; clipped to the number of
            parameters, where the result is exact. Four times the wanted ones or more
            need few restarts.
        tolerance: of residuals, relative to ‖A‖; may be traced.
        products: at most.

    Raises:
        InputError: no eigenvalue is wanted, or more than the basis has room for; there
            are fewer products than eigenvalues; the basis does not fit in memory; the
            parameters are empty, or not of one precision; outside `jit`, the products
            are not finite. Inside, the values are NaN then.

    Source: Wu and Simon 2000, SIAM J. Matrix Anal. Appl. 22, section 2; the bound,
    Parlett 1998, The Symmetric Eigenvalue Problem, theorems 4.5.1 and 10.1.1.

    >>> matrix = lambda v: v * jnp.array([0.0, 1.0, 2.0, 3.0])
    >>> search = jax.jit(lambda start: ends(matrix, start, lowest=1, highest=1).values)
    >>> abs(search(jnp.array([1.0, 1.0, 1.0, 1.0]))).round(4).tolist()
    [0.0, 3.0]
    """
    accuracy = Accuracy(tolerance, 0.0, products)
    if products < lowest + highest:
        raise InputError(
            f"{products} products do not show {lowest + highest} eigenvalues: allow "
            "more."
        )
    return search_ends(matvec, start, (lowest, highest), basis, accuracy)


def warm_start(found: Ends) -> Params:
    """Σᵢ vᵢ: the start that has an equal part of each vector found, and of no other.

    While A moves little from call to call, as in training, the Krylov space of this sum
    meets the ends of the next A after about as many products as there are vectors.

    >>> values, vectors = jnp.array([1.0, 2.0]), jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> errors = jnp.array([0.0, 0.0])
    >>> found = Ends(values, vectors, errors, jnp.array(2), jnp.array(True))
    >>> warm_start(found).tolist()
    [1.0, 1.0]
    """
    return jax.tree.map(lambda leaf: jnp.sum(leaf, 0), found.vectors)


def search_ends(
    matvec: Matvec,
    start: Params,
    wanted: tuple[int, int],
    basis: int,
    accuracy: Accuracy,
) -> Ends:
    """`ends`, of `(lowest, highest)`, to an accuracy in either unit.

    Raises:
        InputError: as `ends`.
    """
    dtype, size = check_space(start), tree.size(start)
    basis, count = min(basis, size), sum(wanted)
    if min(wanted) < 0 or not 1 <= count <= size:
        raise InputError(
            f"{wanted[0]} lowest and {wanted[1]} highest of {size} eigenvalues cannot "
            f"be found: ask for 1 to {size}, none of the two below 0."
        )
    if basis < min(count + 1, size):
        raise InputError(
            f"A basis of {basis} vectors has no room for {count} eigenvalues: take "
            f"{count + 1} or more."
        )
    memory.require(
        (basis + sum(kept(wanted, basis)) + count + 5) * size * dtype.itemsize,
        f"A basis of {basis} vectors",
        "lower basis",
    )
    limits = Accuracy(
        jnp.asarray(accuracy.relative, dtype),
        jnp.asarray(accuracy.absolute, dtype),
        jnp.asarray(accuracy.products, jnp.int32),
    )
    found = run_with(thick_restart, matvec, (wanted, basis), start, limits)
    check_finite(found.values)
    return found
