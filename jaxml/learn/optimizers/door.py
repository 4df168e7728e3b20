"""The one door through which a chain's `init` and `update` run."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxml.learn.optimizers.evaluation import parts
from jaxml.learn.optimizers.rates import traced_numbers
from jaxml.types import InputError, Params


def begin(optimizer: optax.GradientTransformation, params: Params) -> Any:
    """The optimizer's state before the first update.

    Raises:
        InputError: the optimizer is `optax.lookahead`, which wants parameters of its
            own kind, or one that decides on a traced number.
    """
    with jax.numpy_dtype_promotion("standard"), traced_numbers():
        opt_state = optimizer.init(params)
    if _holds_lookahead(opt_state):
        raise InputError(
            "optax.lookahead wants parameters in pairs, which no model here takes: "
            "wrap the family by learn.lookahead, which keeps the slow weights in its "
            "state."
        )
    return opt_state


def update(
    optimizer: optax.GradientTransformation,
    grads: Params,
    opt_state: Any,
    params: Params,
    *,
    value: Any = None,
    value_fn: Callable[[Params], Any] | None = None,
) -> tuple[Params, Any]:
    """One step: (params, opt_state). The only door through which a chain's `update`
    runs.

    Optax multiplies Python numbers into arrays, which strict promotion forbids; here it
    may. Whatever that does to dtypes, the state keeps those with which it was
    initialised, as a scan requires.

    Args:
        optimizer: any chain.
        grads: of the loss at `params`.
        opt_state: from `optimizer.init` or the last update.
        params: where the gradient was taken.
        value: the loss there, and
        value_fn: the loss as a function of the parameters: for chains that ask for
            them, such as `optax.contrib.reduce_on_plateau` and `optax.lbfgs`; the
            others are not given them.

    Raises:
        InputError: the optimizer decides on a traced number.
    """
    extra = {"value": value, "grad": grads, "value_fn": value_fn}
    given = {name: argument for name, argument in extra.items() if argument is not None}
    with jax.numpy_dtype_promotion("standard"), traced_numbers():
        updates, new_state = step_of(optimizer, grads, opt_state, params, given)
        params = optax.apply_updates(params, updates)
    return params, jax.tree.map(
        lambda new, old: jnp.asarray(new, old.dtype), new_state, opt_state
    )


def step_of(
    optimizer: optax.GradientTransformation,
    grads: Params,
    opt_state: Any,
    params: Params,
    extra: dict[str, Any],
) -> tuple[Params, Any]:
    """The updates and the next state, the extra arguments handed to a chain that takes
    them.

    Against Optax's convention its `contrib.sam` refuses those that it does not know:
    such a chain gets none.
    """
    taking = optax.with_extra_args_support(optimizer)
    try:
        return taking.update(grads, opt_state, params, **extra)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
    return taking.update(grads, opt_state, params)


def _holds_lookahead(opt_state: Any) -> bool:
    """Whether Optax's lookahead is part of the chain."""
    if {"fast_state", "steps_since_sync"} <= set(getattr(opt_state, "_fields", ())):
        return True
    return any(map(_holds_lookahead, parts(opt_state)))
