"""Leaving a saddle along negative curvature, with the drop confirmed."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.types import Objective, Params


class Escape(NamedTuple):
    """A step off a critical point.

    Attributes:
        params: where the lowest loss was seen.
        length: of the step, signed along the direction; 0 where no length lowered the loss.
        drop: L(before) - L(after), 0 or more.
        losses: the loss at every length that was tried, `[2 count]`.
        lengths: those lengths.
    """

    params: Params
    length: jax.Array
    drop: jax.Array
    losses: jax.Array
    lengths: jax.Array


def escape(
    objective: Objective,
    params: Params,
    batch: Any,
    direction: Params,
    *,
    shortest: float = 1e-4,
    longest: float = 10.0,
    count: int = 32,
) -> Escape:
    """The best of 2·count geometrically spaced steps ± along a direction of negative curvature.

    Along a unit eigenvector of eigenvalue λ < 0 the drop is -λ ε²/2 to second order, on both sides; the
    sides differ beyond. Cost: 2·count losses, no gradient.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the saddle.
        batch: passed to the objective.
        direction: normalised here.
        shortest: the shortest step.
        longest: the longest step.
        count: how many lengths each way.
    """
    unit = tree.scale(1 / tree.norm(direction), direction)
    dtype = jnp.result_type(*jax.tree.leaves(params))
    sizes = jnp.geomspace(shortest, longest, count, dtype=dtype)
    lengths = jnp.concatenate([-sizes[::-1], sizes])
    losses = jax.lax.map(lambda length: objective(tree.axpy(length, unit, params), batch), lengths)
    before = objective(params, batch)
    best = jnp.argmin(jnp.where(jnp.isfinite(losses), losses, jnp.inf))
    lower = losses[best] < before
    length = jnp.where(lower, lengths[best], 0)
    drop = jnp.where(lower, before - losses[best], 0)
    return Escape(tree.axpy(length, unit, params), length, drop, losses, lengths)
