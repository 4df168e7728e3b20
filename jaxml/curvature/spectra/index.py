"""How many eigenvalues are negative, at any size."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Int

from jaxml import tree
from jaxml.curvature.dense import dense
from jaxml.curvature.inertia import inertia
from jaxml.curvature.programs import traced
from jaxml.curvature.space import check_space
from jaxml.curvature.spectra.restarted import search_ends
from jaxml.curvature.spectra.thick_restart import Accuracy, Ends
from jaxml.types import Array, InputError, Key, Matvec, Params

LARGEST = 2048
"""Parameters up to which the whole matrix is taken: it needs as many products, and 32
MiB in float64.
"""


class Index(NamedTuple):
    """How many eigenvalues lie below -tolerance: bounds that are certain up to
    rounding, and one that is likely.

    Attributes:
        surely_negative: at least so many.
        likely_negative: at most so many, unless the start of the search had almost
            nothing of an eigenvector, or an eigenvalue is multiple.
        possibly_negative: at most so many.
        exact: 1 where the bounds come from the whole matrix and are one number, 0 where
            they come from the lowest Ritz values.
    """

    surely_negative: Int[Array, ""]
    likely_negative: Int[Array, ""]
    possibly_negative: Int[Array, ""]
    exact: Int[Array, ""]


def index_interval(
    matvec: Matvec,
    params: Params,
    *,
    tolerance: float,
    lowest: int,
    products: int = 2000,
    largest: int = LARGEST,
    key: Key,
) -> Index:
    """The number of eigenvalues below -tolerance, as an interval.

    Up to `largest` parameters by the whole matrix and Sylvester's law (`dense`,
    `inertia`): p products, exact. Above, from the `lowest` lowest Ritz values of
    thick-restart Lanczos (`ends`), each resolved to half the tolerance if the products
    suffice, with a basis of twice as many vectors and 20 more; see `index_of_ends` for
    what is then certain. Where the interval is not closed, raise `lowest` above the
    lower bound, or the tolerance above the width of the bulk around zero.

    Args:
        matvec: a symmetric map.
        params: the space it acts on; only shapes and dtype are read.
        tolerance: in the matrix's units, above 0: an eigenvalue above its negative does
            not count. Below rounding of the products, signs are noise.
        lowest: Ritz values, more than the index that is expected.
        products: at most, of Lanczos.
        largest: parameters up to which the whole matrix is taken.
        key: of the start.

    Raises:
        InputError: inside `jit`; the tolerance is not above 0; what `dense` or `ends`
            refuse.

    >>> signs = jnp.array([-1.0, -1.0, 0.0, 2.0])
    >>> found = index_interval(
    ...     lambda v: signs * v, signs, tolerance=0.1, lowest=2, key=jax.random.key(0)
    ... )
    >>> int(found.surely_negative), int(found.possibly_negative), int(found.exact)
    (2, 2, 1)
    """
    check_space(params)
    size = tree.size(params)
    if traced((params, jax.tree.leaves(matvec))):
        raise InputError(
            "Signs are counted on the host: call index_interval outside jit, or take "
            "index_of_ends."
        )
    if not (np.isfinite(tolerance) and tolerance > 0):
        raise InputError(
            f"A tolerance of {tolerance} tells no sign from zero: give a finite one "
            "above 0."
        )
    if size <= largest:
        negative = inertia(dense(matvec, params), tolerance=tolerance).negative
        count = jnp.asarray(negative, jnp.int32)
        return Index(count, count, count, jnp.ones_like(count))
    start = tree.random_like(params, key)
    accuracy = Accuracy(0.0, tolerance / 2, products)
    found = search_ends(matvec, start, (lowest, 0), 2 * lowest + 20, accuracy)
    return index_of_ends(found, lowest=lowest, tolerance=tolerance)


def index_of_ends(found: Ends, *, lowest: int, tolerance: ArrayLike) -> Index:
    """What Ritz values say of the number of eigenvalues below -tolerance.

    Certain, however few products were spent, by Cauchy's interlacing: as many
    eigenvalues as there are Ritz values below it are below it, and as many as there are
    above are above; so of p parameters all others remain possible. Likely only: where
    the last of the lowest is not negative by more than its residual, no eigenvalue
    beyond it is, and those count that are negative, or may be within their residuals. A
    Krylov space hides all copies but one of a multiple eigenvalue, and what its start
    has almost nothing of. No products; works inside `jit`.

    Args:
        found: of `ends`.
        lowest: how many of its values are of the lower end.
        tolerance: in the matrix's units, above rounding; may be traced.

    Raises:
        InputError: there are fewer values than `lowest`, or none of the lower end.

    Source: Parlett 1998, The Symmetric Eigenvalue Problem, theorem 10.1.1.

    >>> values, vectors = jnp.array([-2.0, 0.0]), jnp.ones((2, 9))
    >>> errors = jnp.array([0.0, 0.0])
    >>> found = Ends(values, vectors, errors, jnp.array(5), jnp.array(True))
    >>> count = jax.jit(lambda found: index_of_ends(found, lowest=2, tolerance=0.1))
    >>> [int(number) for number in count(found)[:3]]
    [1, 1, 8]
    """
    count = len(found.values)
    if not 1 <= lowest <= count:
        raise InputError(
            f"{lowest} of {count} values cannot be of the lower end: take 1 to {count}."
        )
    size = tree.size(found.vectors) // count
    values = jnp.asarray(found.values)
    bound = -jnp.asarray(tolerance, values.dtype)
    surely = _count(values < bound)
    possibly = size - _count(values >= bound)
    least = (values - found.residuals)[:lowest]
    likely = jnp.where(least[-1] >= bound, _count(least < bound), possibly)
    return Index(surely, likely, possibly, jnp.zeros_like(surely))


def _count(holds: jax.Array) -> jax.Array:
    return jnp.sum(holds, dtype=jnp.int32)
