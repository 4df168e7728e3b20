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
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Float

from jaxml import memory, tree
from jaxml.curvature.dense import working_bytes
from jaxml.curvature.noise import count_examples
from jaxml.curvature.programs import KEPT, run, traced
from jaxml.curvature.space import check_leaves, check_like
from jaxml.types import Array, Batch, InputError, Matvec, Params

SPARED = 2
"""One part in so many of the free memory is taken; the rest is for what uses the
product, such as a Krylov basis.
"""

Product = Callable[[Params, Any], Matvec]
"""`(params, batch) -> matvec`, of a mean over the batch."""


class Parts(NamedTuple):
    """A batch in equal parts.

    Attributes:
        batches: the parts stacked, each leaf `[part, example, ...]`; what fills up the
            last has weight 0.
        fractions: each part's part of the total weight; they sum to 1.
    """

    batches: Batch
    fractions: Float[Array, " part"]


class Whole(NamedTuple):
    """A product over all the data.

    Attributes:
        product: the matrix-vector product.
        parts: in how many parts the data are gone through; 1 is all at once.
        linearised: how many of them are linearised once and kept; the others are
            recomputed by every product, at two to three times the cost.
        bytes: at the peak, as estimated.
    """

    product: Matvec
    parts: int
    linearised: int
    bytes: int


def cut(batch: Batch, size: int) -> Parts:
    """Equal parts of at most `size` examples, and the fractions that make their mean
    that of all.

    A full-data objective is `stacked(objective, parts.fractions)`, of `parts.batches`:
    equal to the objective of the whole batch where that is a weighted mean over
    examples (plus a penalty). The last part is filled up by copies of the last example
    with weight 0. A part whose own examples all have weight 0 has fraction 0, and
    weights 1, so that its mean exists.

    Args:
        batch: the examples; where they do not divide evenly, they are copied.
        size: the most examples of a part; parts are as even as their number allows.

    Raises:
        InputError: a size below 1, no example, arrays of unequal length, or no weight
            above 0.

    >>> five = Batch(jnp.arange(5.0), jnp.zeros(5), jnp.ones(5))
    >>> parts = cut(five, 2)
    >>> parts.batches.weights.tolist()
    [[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]
    >>> [round(float(fraction), 2) for fraction in parts.fractions]
    [0.4, 0.4, 0.2]
    """
    examples = count_examples(batch)
    if size < 1 or examples < 1:
        raise InputError(
            f"{examples} examples in parts of {size} are none: give one example or "
            "more, and a size of 1 or more."
        )
    parts = -(-examples // size)
    each = -(-examples // parts)
    places = np.arange(parts * each)

    def stack(leaf: Array) -> Array:
        filled = leaf
        if len(places) > examples:
            filled = leaf[np.minimum(places, examples - 1)]
        return filled.reshape(parts, each, *leaf.shape[1:])

    inputs, targets, weights = (stack(leaf) for leaf in batch)
    present = (places < examples).reshape(parts, each)
    weights = jnp.where(present, jnp.asarray(weights), 0)
    totals = jnp.sum(weights, axis=1)
    if not traced(totals) and not jnp.sum(totals) > 0:
        raise InputError(
            "No example has a weight above 0, so there is no mean: give some of them "
            "weight 1."
        )
    weights = jnp.where(totals[:, None] > 0, weights, 1)
    return Parts(Batch(inputs, targets, weights), totals / jnp.sum(totals))


def whole_product(
    product: Product,
    params: Params,
    batch: Batch,
    *,
    size: int,
    limit: int | None = None,
) -> Whole:
    """v ↦ A v over all the data, A the matrix of a mean over examples, in bounded
    memory.

    What a linearisation keeps is found from the program, without computing: the arrays
    that the product closes over, exactly, and the working memory beside them, which
    fusion makes less than the estimate. If those of all the data fit, all is linearised
    once, as `product` alone would: a product then costs about one gradient. Otherwise
    the data are cut into parts, as many of these are linearised as fit, and the others
    are recomputed by each product. Time to compile does not depend on the number of
    parts; outside `jit`, another call with the same product and shapes compiles
    nothing.

    Args:
        product: `(params, batch) -> matvec`, such as
            `partial(hessian_product, objective)`, `partial(gauss_newton_product,
            outputs, criterion)` or `partial(empirical_fisher_product, outputs, loss)`,
            each a weighted mean over the batch. It is told apart by what it is made
            of. A key in it draws the same for every part.
        params: the point, a pytree.
        batch: the examples.
        size: the most examples of a part, where it comes to parts.
        limit: bytes for the product; by default half of those that are free.

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
    (3.5, 1, 1)
    """
    check_leaves(params)
    free = memory.available_bytes() // SPARED if limit is None else limit
    same = _same(product)
    parts = cut(batch, size)
    everything = _cost(same, params, batch)
    if everything.kept + everything.working <= free:
        needed = everything.kept + everything.working
        return Whole(product(params, batch), 1, 1, needed)
    part = jax.tree.map(lambda leaf: leaf[0], parts.batches)
    one = _cost(same, params, part)
    working = max(one.working, one.again)
    memory.require(
        working,
        f"A product over a part of {len(part.weights)} examples",
        "lower size, or raise limit",
        free=free,
    )
    count = len(parts.fractions)
    linearised = min(count, (free - working) // max(one.kept, 1))
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
        return _added(of_rest, rest, _added(of_kept, kept, nothing))

    return total


_kept_sum = lru_cache(maxsize=KEPT)(_sum_of)


def _added(image: Callable[[Any], Params], parts: Any, start: Params) -> Params:
    """`start` + Σ fraction · image(part), for `(parts, fractions)` that are stacked."""
    _, fractions = parts
    if not len(fractions):
        return start

    def add(total: Params, part: Any) -> tuple[Params, None]:
        item, fraction = part
        return tree.axpy(fraction, image(item), total), None

    total, _ = jax.lax.scan(add, start, tuple(parts))
    return total
