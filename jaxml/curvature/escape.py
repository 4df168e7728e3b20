"""Leaving a saddle along negative curvature, with the drop confirmed."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.certificate import check_scalar
from jaxml.curvature.space import check_deterministic, check_like, check_space
from jaxml.types import InputError, Objective, Params


class Escape(NamedTuple):
    """A step off a critical point.

    Attributes:
        params: where the lowest loss was seen; the point itself where no length lowered
            it.
        length: of the step, signed along the direction; 0 where nothing lower was
            found.
        drop: L(before) - L(after); 0, or more than 8 eps |L(before)|, which rounding
            alone can make.
        losses: the loss at every length that was tried, `[2 count]`.
        lengths: those lengths, ascending: the negative ones, then the positive.
        change: the lowest of `losses` minus L(before), as it came out: positive where
            every step leads up, infinite where no loss was finite, NaN where L(before)
            is NaN. A finding that the loss falls must ask this: `drop` cannot be
            negative.
    """

    params: Params
    length: jax.Array
    drop: jax.Array
    losses: jax.Array
    lengths: jax.Array
    change: jax.Array


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
    """The best of 2·count geometrically spaced steps ± along a direction of negative
    curvature.

    Along a unit eigenvector of eigenvalue λ < 0 the drop is -λ ε²/2 to second order, on
    both sides; the sides differ beyond. Lengths at which the loss is not finite are
    passed over. Cost: 2·count + 1 losses, no gradient.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the saddle.
        batch: passed to the objective.
        direction: normalised here; a pytree like the parameters. One of length 0 leads
            nowhere.
        shortest: the shortest step.
        longest: the longest step.
        count: how many lengths each way.

    Raises:
        InputError: no length, or lengths that are not positive and ascending; a
            direction with other shapes than the parameters, which would broadcast; an
            objective whose value is no scalar.

    >>> down = jnp.array([5.0, 0.0])
    >>> ridge = lambda w, _: 1 - w[0] ** 2 / 2
    >>> step = escape(ridge, jnp.zeros(2), None, down, longest=1.0)
    >>> float(abs(step.length)), float(step.drop)
    (1.0, 0.5)
    """
    if not (0 < shortest <= longest and count >= 1):
        raise InputError(
            f"{count} lengths from {shortest} to {longest} make no step: give at least "
            "one, with 0 < shortest <= longest."
        )
    dtype = check_space(params)
    check_like(direction, params, "direction")
    check_scalar(objective, params, batch)
    check_deterministic(objective, params, batch)
    unit = tree.scale(1 / tree.norm(direction), direction)
    sizes = jnp.geomspace(shortest, longest, count, dtype=dtype)
    lengths = jnp.concatenate([-sizes[::-1], sizes])
    losses = jax.lax.map(
        lambda length: objective(tree.axpy(length, unit, params), batch), lengths
    )
    before = objective(params, batch)
    finite = jnp.where(jnp.isfinite(losses), losses, jnp.inf)
    best = jnp.argmin(finite)
    change = finite[best] - before
    lower = -change > 8 * float(jnp.finfo(losses.dtype).eps) * jnp.abs(before)
    length = jnp.where(lower, lengths[best], 0)
    drop = jnp.where(lower, -change, 0)
    moved = tree.where(
        lower, tree.axpy(length, unit, params), params
    )  # a direction of length 0 makes NaN
    return Escape(moved, length, drop, losses, lengths, change)
