"""What can be trained: a pytree of floating-point arrays, and nothing else."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxml.types import InputError, Key, Params

Start = Callable[[Key], tuple[Params, Any]]


def trainable_start(start: Start) -> Start:
    """`start`, whose parameters are looked at as they are made.

    Raises:
        InputError: when it is called, as `trainable`.
    """

    def checked(key: Key) -> tuple[Params, Any]:
        params, model_state = start(key)
        return trainable(params), model_state

    return checked


def trainable(params: Params) -> Params:
    """The parameters, if each leaf is a floating-point number or array of them, and
    there is one.

    >>> trainable({"weights": 1.5})
    {'weights': 1.5}

    Raises:
        InputError: there is no leaf, or one that gradient descent cannot move: a
            function of a whole module, a count, a typed key, text.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if not leaves:
        raise InputError(
            "There are no parameters to train: let `start` return at least one array."
        )
    for path, leaf in leaves:
        dtype = _dtype(leaf)
        if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
            kind = f"of type {type(leaf).__name__}" if dtype is None else f"{dtype}"
            raise InputError(
                f"params{jax.tree_util.keystr(path)} is {kind} and cannot be trained: "
                "return floating-point arrays alone as parameters, counts and keys in "
                "the model state, and functions of a module by splitting it, as "
                "`nnx.split` and `equinox.partition` do."
            )
    return params


def _dtype(leaf: Any) -> Any:
    if isinstance(leaf, bool | int | float | complex):
        return jnp.result_type(leaf)
    return getattr(leaf, "dtype", None)
