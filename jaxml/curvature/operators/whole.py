"""Products over all the data: what fits in memory is linearised once, the rest
recomputed part by part.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxml import memory
from jaxml.curvature.dense import working_bytes
from jaxml.curvature.operators.parts import Parts, added, cut
from jaxml.curvature.programs import KEPT, run
from jaxml.curvature.space import check_leaves, check_like
from jaxml.types import Batch, Matvec, Params

SPARED = 2
"""One part in so many of the free memory is taken; the rest is for what uses the
product, such as a Krylov basis.
"""

Product = Callable[[Params, Any], Matvec]
"""`(params, batch) -> matvec`, of a mean over the batch."""


class Whole(NamedTuple):
    """A product over all the data.

    Attributes:
        product: the matrix-vector product.
        parts: in how many parts the data are gone through; 1 is all at once.
        linearised: how many of them are linearised once and kept; the others are
            recomputed by every product.
        bytes: at the peak, as estimated.
    """

    product: Matvec
    parts: int
    linearised: int
    bytes: int


def whole_product(
    product: Product,
    params: Params,
    batch: Batch,
    *,
    size: int,
    keep: int | None = None,
) -> Whole:
    """v ↦ A v over all the data, A the matrix of a mean over examples, in bounded
    memory.

    What a linearisation keeps is found from the program, without computing: the arrays
    that the product closes over, exactly, and the working memory beside them, which
    fusion makes less than the estimate. As many parts are linearised once as fit, and
    the others are recomputed by each product. Recomputing takes more operations and
    reads less memory, so that on a CPU `keep=0` may be as fast. Time to compile does
    not depend on the number of parts; outside `jit`, another call with the same product
    and shapes compiles nothing.

    On a CPU small parts are faster than all the data at once, linearised or not: what
    they compute on the way stays in the cache, and no fresh memory is taken for it
    (`jaxml bench spectrum`). On an accelerator take the size of the data, or the
    largest part that fits.

    Args:
        product: `(params, batch) -> matvec`, such as
            `partial(hessian_product, objective)`, `partial(gauss_newton_product,
            outputs, criterion)` or `partial(empirical_fisher_product, outputs, loss)`,
            each a weighted mean over the batch. It is told apart by what it is made
            of. A key in it draws the same for every part.
        params: the point, a pytree.
        batch: the examples.
        size: the most examples of a part; that of all the data for a single part.
        keep: bytes that linearised parts may keep, 0 for none; by default what half of
            the free memory has room for.

    Raises:
        InputError: not even one part fits; the parameters are empty, or not
            floating-point arrays; what `cut` refuses; at a call, a direction of another
            shape.

    >>> from jaxml.curvature import hessian_product
    >>> half_square = lambda w, batch: jnp.mean((w * batch.inputs) ** 2) / 2
    >>> hessian = functools.partial(hessian_product, half_square)
    >>> four = Batch(jnp.arange(4.0), jnp.zeros(4), jnp.ones(4))
    >>> whole = whole_product(hessian, jnp.array(1.0), four, size=2)
    >>> float(whole.product(jnp.array(1.0))), whole.parts, whole.linearised
    (3.5, 2, 2)
    """
    check_leaves(params)
    free = memory.available_bytes() // SPARED
    same = _same(product)
    parts = cut(batch, size)
    part = jax.tree.map(lambda leaf: leaf[0], parts.batches)
    one = _cost(same, params, part)
    working = max(one.working, one.again)
    memory.require(
        working,
        f"A product over a part of {len(part.weights)} examples",
        "lower size",
        free=free,
    )
    count = len(parts.fractions)
    room = free - working if keep is None else keep
    linearised = min(count, room // max(one.kept, 1))
    if count == linearised == 1:
        return Whole(product(params, batch), 1, 1, working + one.kept)
    matvec = run(_in_parts, (same, linearised), params, parts)
    return Whole(matvec, count, linearised, working + linearised * one.kept)


@dataclass(frozen=True, kw_only=True)
class _Same:
    """A product that is equal to another made of the same functions and arguments."""

    product: Product = field(compare=False)
    made_of: tuple[Any, ...]


def _same(product: Product) -> _Same:
    made_of: tuple[Any, ...] = (product,)
    if isinstance(product, functools.partial):
        keywords = sorted(product.keywords.items())
        made_of = (product.func, product.args, tuple(keywords))
    return _Same(product=product, made_of=made_of)


class _Cost(NamedTuple):
    """Bytes that a linearised product keeps, that making and using it takes beside
    them, and that one without keeping anything takes.
    """

    kept: int
    working: int
    again: int


def _cost(same: _Same, params: Params, batch: Any) -> _Cost:
    """The cost by shapes alone, kept by product and shapes."""
    shapes = jax.eval_shape(lambda *operands: operands, params, batch)
    leaves, structure = jax.tree.flatten(shapes)
    try:
        return _known_cost(same, structure, tuple(leaves))
    except TypeError:
        return _found_cost(same, structure, tuple(leaves))


def _found_cost(same: _Same, structure: Any, leaves: tuple[Any, ...]) -> _Cost:
    params, batch = jax.tree.unflatten(structure, leaves)
    matvec = jax.eval_shape(same.product, params, batch)
    residuals = jax.tree.leaves(matvec)
    kept = sum(leaf.size * leaf.dtype.itemsize for leaf in residuals)
    make = jax.make_jaxpr(same.product)(params, batch)
    use = jax.make_jaxpr(lambda matvec, vector: matvec(vector))(matvec, params)
    both = jax.make_jaxpr(lambda point, data, vector: same.product(point, data)(vector))
    again = both(params, batch, params)
    making = working_bytes(make.jaxpr) - kept
    working = max(making, working_bytes(use.jaxpr), 0)
    return _Cost(kept, working, working_bytes(again.jaxpr))


_known_cost = lru_cache(maxsize=KEPT)(_found_cost)


def _in_parts(same: _Same, linearised: int, params: Params, parts: Parts) -> Matvec:
    """The sum over parts, of which the first ones are linearised here."""
    first = jax.tree.map(lambda leaf: jnp.asarray(leaf)[:linearised], parts)
    rest = jax.tree.map(lambda leaf: jnp.asarray(leaf)[linearised:], parts)
    maps = None
    if linearised:
        maps = jax.lax.map(lambda batch: same.product(params, batch), first.batches)
    return Partial(_summing(same), (maps, first.fractions), params, rest)


def _summing(same: _Same) -> Callable[..., Params]:
    try:
        return _kept_sum(same)
    except TypeError:
        return _sum_of(same)


def _sum_of(same: _Same) -> Callable[..., Params]:
    """`(linearised parts, params, other parts, v) -> Σ fraction · (A_part v)`."""

    @jax.jit
    def total(kept: Any, params: Params, rest: Parts, vector: Params) -> Params:
        check_like(vector, params, "direction")

        def of_kept(linear: Matvec) -> Params:
            return linear(vector)

        def of_rest(batch: Any) -> Params:
            return same.product(params, batch)(vector)

        nothing = jax.tree.map(jnp.zeros_like, vector)
        return added(of_rest, rest, added(of_kept, kept, nothing))

    return total


_kept_sum = lru_cache(maxsize=KEPT)(_sum_of)
