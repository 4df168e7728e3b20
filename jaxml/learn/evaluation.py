"""Where a model is evaluated: not always at the parameters that descend."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import ScheduleFreeState, schedule_free_eval_params

from jaxml import tree
from jaxml.learn.precision import like, wide
from jaxml.types import Params


def evaluation_params(opt_state: Any, params: Params) -> Params:
    """Where to evaluate: what the outermost optimizer keeps under the name `evaluation`, else `params`.

    Lookahead descends from its fast weights and is evaluated at its slow ones; averaging methods
    likewise. An optimizer takes part by a state with a field of that name. Of Optax's own,
    `contrib.schedule_free` is evaluated at its average and `contrib.sam` at the centre of its climb.
    """
    found = _outermost(opt_state, params)
    return params if found is None else like(found, params)


def anchor(opt_state: Any, params: Params) -> Params:
    """The point that an optimizer descends from: one that moves with the parameters, or they themselves."""
    if getattr(opt_state, "MOVES_WITH", ()):
        return opt_state.evaluation
    for inner in _parts(opt_state):
        found = anchor(inner, params)
        if found is not params:
            return found
    return params


def carried(opt_state: Any, shift: Params) -> Any:
    """The state after the parameters were moved by `shift` from outside: its points go along.

    A wrapper says which by a tuple `MOVES_WITH` of names of fields; an average of past points has none.
    """
    if not isinstance(opt_state, tuple):
        return opt_state
    names = getattr(opt_state, "_fields", None)
    if names is None:
        return tuple(carried(inner, shift) for inner in opt_state)
    moving = getattr(opt_state, "MOVES_WITH", ())
    moved = [
        tree.axpy(1, shift, value) if name in moving else carried(value, shift)
        for name, value in zip(names, opt_state, strict=True)
    ]
    return type(opt_state)(*moved)


def _outermost(opt_state: Any, params: Params) -> Params | None:
    """The first point on the way inwards, breadth before depth."""
    level = [opt_state]
    while level:
        for state in level:
            point = _point(state, params)
            if point is not None:
                return point
        level = [inner for state in level for inner in _parts(state)]
    return None


def _point(state: Any, params: Params) -> Params | None:
    """Where this very state is evaluated, if it says; or where one is to which it defers."""
    if hasattr(state, "DEFERS_TO"):
        inner = _outermost(getattr(state, state.DEFERS_TO), state.evaluation)
        return state.evaluation if inner is None else inner
    if hasattr(state, "evaluation"):
        return state.evaluation
    if isinstance(state, ScheduleFreeState):
        return _over_runs(schedule_free_eval_params, state.b1)(state, wide(params))
    if isinstance(state, optax.contrib.SAMState) and state.cache is not None:
        climbs = state.steps_since_sync > 0
        return _over_runs(tree.where, climbs)(climbs, state.cache, params)
    return None


def _over_runs(function: Callable[..., Params], scalar: Any) -> Callable[..., Params]:
    """The function, mapped over the leading axes that a scalar of a single run has in a sweep's state."""
    for _ in range(jnp.ndim(scalar)):
        function = jax.vmap(function)
    return function


def _parts(state: Any) -> list[Any]:
    """The states inside a state."""
    if isinstance(state, dict):
        return list(state.values())
    if not isinstance(state, tuple | list):
        return []
    return [part for part in state if not isinstance(part, jax.Array)]
