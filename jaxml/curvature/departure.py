"""A saddle of index 1 with all that it takes to say when a run has left it."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Int

from jaxml import tree
from jaxml.curvature.transition import (
    Sides,
    TransitionState,
    both_sides,
    left_state,
    seen_by_examples,
    transition_state,
)
from jaxml.types import Array, Objective, Params, Scalar


class Departure(NamedTuple):
    """A transition state from which runs start.

    Attributes:
        state: the transition state.
        sides: where gradient descent comes on either side of it.
        seen: what the gradients of single examples have along the way down.
        leaves: whether it is certified, steep enough, and goes down on both sides.
    """

    state: TransitionState
    sides: Sides
    seen: Scalar
    leaves: Bool[Array, ""]


def departure(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    flattest: float = 1e-3,
    distance: float = 1e-2,
    folds: float = 40.0,
) -> Departure:
    """The transition state to which eigenvector following leads, and its two sides.

    Either side is gradient descent at 1/(4‖H‖) over a number of e-folds of the lowest
    eigenvalue. Cost: `transition_state`, the gradient of every example, and as many
    gradients as both sides need; hardly any of these where the state is not certified
    or too flat. In float64.

    Args:
        objective: `(params, batch) -> scalar`, smooth, a mean over the batch.
        params: where the search starts.
        batch: all examples, a pytree of arrays with a leading axis, no padding.
        flattest: the least |λ| of the lowest eigenvalue, in ‖H‖.
        distance: of the starts of both sides, in ‖θ‖.
        folds: of either side.
    """
    state = transition_state(objective, params, batch)
    steep = state.lowest < -flattest * state.largest
    starts = state.certified & steep
    limit = growth_updates(state, rate=0.25, folds=jnp.where(starts, folds, 0.0))
    sides = both_sides(
        objective,
        state,
        batch,
        distance=distance * tree.norm(state.params),
        rate=0.25 / state.largest,
        updates=limit,
    )
    seen = seen_by_examples(objective, state, batch)
    return Departure(state, sides, seen, starts & sides.two)


def growth_updates(state: TransitionState, *, rate: Any, folds: Any) -> Int[Array, ""]:
    """⌈folds / ln(1 + rate |λ| / ‖H‖)⌉: updates of gradient descent in which the part
    along the lowest eigenvector grows by so many e-folds; 1 or more.

    Args:
        state: the transition state.
        rate: η in 1/‖H‖; may be traced.
        folds: how many; may be traced.

    >>> down, one = jnp.ones(1), jnp.ones(())
    >>> state = TransitionState(down, down, -one / 2, one, one > 0)
    >>> int(growth_updates(state, rate=1.0, folds=4.0))
    10
    """
    growth = jnp.log1p(rate * jnp.abs(state.lowest) / state.largest)
    return jnp.maximum(jnp.ceil(folds / growth), 1.0).astype(jnp.int32)


def departed(
    objective: Objective, params: Params, batch: Any, *, start: Departure
) -> Bool[Array, "2"]:
    """`left_state` of a departure: by half of the drop, and by half of the way.

    Args:
        objective: `(params, batch) -> scalar`.
        params: where a run is.
        batch: passed to the objective.
        start: where it came from.
    """
    return left_state(objective, params, batch, state=start.state, sides=start.sides)
