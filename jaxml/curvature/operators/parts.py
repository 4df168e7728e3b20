"""A batch in equal parts, and the gradient over all of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.noise import count_examples
from jaxml.curvature.programs import run, traced
from jaxml.curvature.space import check_leaves
from jaxml.types import Array, Batch, InputError, Objective, Params


class Parts(NamedTuple):
    """A batch in equal parts.

    Attributes:
        batches: the parts stacked, each leaf `[part, example, ...]`; what fills up the
            last has weight 0.
        fractions: each part's part of the total weight; they sum to 1.
    """

    batches: Batch
    fractions: Float[Array, " part"]


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


def whole_gradient(
    objective: Objective, params: Params, batch: Batch, *, size: int
) -> Params:
    """∇L over all the data, L a mean over examples, in the memory of one part.

    The parts follow one another, and nothing is computed twice. On a CPU small parts
    are faster than all the data at once, for the reason that `whole_product` gives.
    Outside `jit` the program is kept.

    Args:
        objective: `(params, batch) -> scalar`, a weighted mean over the batch.
        params: the point, a pytree.
        batch: the examples.
        size: the most examples of a part.

    Raises:
        InputError: the parameters are empty, or not floating-point arrays; what `cut`
            refuses.

    >>> half_square = lambda w, batch: jnp.mean((w * batch.inputs) ** 2) / 2
    >>> four = Batch(jnp.arange(4.0), jnp.zeros(4), jnp.ones(4))
    >>> float(whole_gradient(half_square, jnp.array(2.0), four, size=2))
    7.0
    """
    check_leaves(params)
    return run(_gradient_of_parts, (objective,), params, cut(batch, size))


def _gradient_of_parts(objective: Objective, params: Params, parts: Parts) -> Params:
    def image(batch: Any) -> Params:
        with jax.default_matmul_precision("highest"):
            return jax.grad(objective)(params, batch)

    return added(image, parts, jax.tree.map(jnp.zeros_like, params))


def added(image: Callable[[Any], Params], parts: Any, start: Params) -> Params:
    """`start` + Σ fraction · image(part), for `(parts, fractions)` that are stacked."""
    _, fractions = parts
    if not len(fractions):
        return start

    def add(total: Params, part: Any) -> tuple[Params, None]:
        item, fraction = part
        return tree.axpy(fraction, image(item), total), None

    total, _ = jax.lax.scan(add, start, tuple(parts))
    return total
