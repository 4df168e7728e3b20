"""Where a model is evaluated: not always at the parameters that descend."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import ScheduleFreeState, schedule_free_eval_params

from jaxml import tree
from jaxml.learn.optimizers.precision import like, wide
from jaxml.types import Params


def evaluation_params(opt_state: Any, params: Params) -> Params:
    """Where to evaluate: what the outermost optimizer keeps under the name
    `evaluation`, else `params`.

    Lookahead descends from its fast weights and is evaluated at its slow ones;
    averaging methods likewise. An optimizer takes part by a state with a field of that
    name. Of Optax's own, `contrib.schedule_free` is evaluated at its average and
    `contrib.sam` at the centre of its climb. Where `optax.masked` or `optax.partition`
    hides leaves from one, they are evaluated where another keeps them, else at
    `params`.
    """
    found = _outermost(opt_state, params)
    return params if found is None else like(found, params)


def anchor(opt_state: Any, params: Params) -> Params:
    """The point that an optimizer descends from: one that moves with the parameters, or
    they themselves.
    """
    if getattr(opt_state, "MOVES_WITH", ()):
        return _filled(opt_state.evaluation, params)
    if isinstance(opt_state, ScheduleFreeState | optax.contrib.SAMState):
        point = _point(opt_state, params)
        return params if point is None else _filled(point, params)
    found = params
    for inner in parts(opt_state):
        found = anchor(inner, found)
        if found is not params and not isinstance(opt_state, dict):
            return found
    return found


def carried(opt_state: Any, shift: Params) -> Any:
    """The state after the parameters were moved by `shift` from outside: its points go
    along.

    A wrapper says which by a tuple `MOVES_WITH` of names of fields; an average of past
    points has none.
    """
    if isinstance(opt_state, dict):
        return {name: carried(inner, shift) for name, inner in opt_state.items()}
    if not isinstance(opt_state, tuple):
        return opt_state
    names = getattr(opt_state, "_fields", None)
    if names is None:
        return tuple(carried(inner, shift) for inner in opt_state)
    moving = getattr(opt_state, "MOVES_WITH", _MOVING.get(type(opt_state), ()))
    moved = [
        _shifted(value, shift) if name in moving else carried(value, shift)
        for name, value in zip(names, opt_state, strict=True)
    ]
    return type(opt_state)(*moved)


_MOVING: dict[type, tuple[str, ...]] = {
    ScheduleFreeState: ("z",),
    optax.contrib.SAMState: ("cache",),
}
"""The fields of Optax's own states that move with the parameters."""


def _outermost(opt_state: Any, params: Params) -> Params | None:
    """The first point on the way inwards, breadth before depth; leaves hidden from it
    from the next.
    """
    level, found = [opt_state], None
    while level:
        for state in level:
            point = _point(state, params)
            if point is not None:
                found = point if found is None else _filled(found, point)
        if found is not None and not _hidden(found):
            return found
        level = [inner for state in level for inner in parts(state)]
    return None if found is None else _filled(found, params)


def _hidden(point: Params) -> bool:
    """Whether leaves of a point were hidden from the optimizer that keeps it."""
    return any(map(_is_masked, jax.tree.leaves(point, is_leaf=_is_masked)))


def _filled(point: Params, params: Params) -> Params:
    """The point, with the leaves that were hidden from its optimizer taken from
    `params`.
    """
    return jax.tree.map(
        lambda own, other: other if _is_masked(own) else own,
        point,
        params,
        is_leaf=_is_masked,
    )


def _only(params: Params, point: Params) -> Params:
    """`params` without the leaves that the point's optimizer does not see."""
    return jax.tree.map(
        lambda own, other: own if _is_masked(own) else other,
        point,
        params,
        is_leaf=_is_masked,
    )


def _shifted(point: Any, shift: Params) -> Any:
    """The point moved by the part of a shift that it sees."""
    return None if point is None else tree.axpy(1, _only(shift, point), point)


def _is_masked(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)


def _point(state: Any, params: Params) -> Params | None:
    """Where this very state is evaluated, if it says; or where one is to which it
    defers.
    """
    if hasattr(state, "DEFERS_TO"):
        inner = _outermost(getattr(state, state.DEFERS_TO), state.evaluation)
        return state.evaluation if inner is None else inner
    if hasattr(state, "evaluation"):
        return state.evaluation
    if isinstance(state, ScheduleFreeState):
        return _over_runs(schedule_free_eval_params, state.b1)(
            state, wide(_only(params, state.z))
        )
    if isinstance(state, optax.contrib.SAMState) and state.cache is not None:
        climbs = state.steps_since_sync > 0
        return _over_runs(tree.where, climbs)(
            climbs, state.cache, _only(params, state.cache)
        )
    return None


def _over_runs(function: Callable[..., Params], scalar: Any) -> Callable[..., Params]:
    """The function, mapped over the leading axes that a scalar of a single run has in a
    sweep's state.
    """
    for _ in range(jnp.ndim(scalar)):
        function = jax.vmap(function)
    return function


def parts(state: Any) -> list[Any]:
    """The states inside a state."""
    if isinstance(state, dict):
        return list(state.values())
    if not isinstance(state, tuple | list):
        return []
    return [part for part in state if not isinstance(part, jax.Array)]
