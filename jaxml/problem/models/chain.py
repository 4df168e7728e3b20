"""Networks put together from parts: one after another, and around a shortcut.

A part is a `Model`, so that a layer, a block and a network are the same thing.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["called", "chain", "elementwise", "with_shortcut"]

Mode = tuple[bool, Key | None, Array | None]


def chain(*parts: Model) -> Model:
    """f_L(... f_2(f_1(x))): each part is given the outputs of the one before.

    Parameters and state are dicts, `layer_00`, `layer_01` and so on by the place of a
    part; parts without parameters or without state have no entry. Parts draw by keys of
    their own. A part that names `mask`, such as batch normalisation, is given it. The
    chain of no parts is the identity.

    >>> network = chain(elementwise(jnp.tanh))
    >>> network.init(jax.random.key(0), jnp.zeros((1, 2)))
    ({}, {})
    """

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        params, state = {}, {}
        example = _example(inputs)
        for place, part in enumerate(parts):
            own = part.init(jax.random.fold_in(key, place), example)
            example = _outputs_like(part, own, example)
            _enter(params, state, place, own)
        return params, state

    def apply(
        params: Params,
        state: Any,
        inputs: Array,
        *,
        train: bool,
        key: Key | None,
        mask: Array | None = None,
    ) -> tuple[jax.Array, Any]:
        values, after = jnp.asarray(inputs), {}
        for place, part in enumerate(parts):
            own = _own(params, state, place)
            mode = (train, _drawn(key, place), mask)
            values, next_state = called(part, own, values, mode)
            _enter({}, after, place, ({}, next_state))
        return values, after

    return Model(init, apply)


def with_shortcut(branch: Model, shortcut: Model | None = None) -> Model:
    """s(x) + f(x), where the shortcut s is the identity when not given.

    Parameters and state are those of `chain(branch, shortcut)`: `layer_00` is of the
    branch, `layer_01` of the shortcut. At initial values at which the branch is 0, it
    is the identity.

    Raises:
        InputError: at a call, a branch whose outputs are not shaped as the shortcut's.

    Source: He et al. 2015, arXiv:1512.03385, equations 1 and 2.
    """
    parts = (branch, chain() if shortcut is None else shortcut)

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        params, state = {}, {}
        example = _example(inputs)
        for place, part in enumerate(parts):
            own = part.init(jax.random.fold_in(key, place), example)
            _enter(params, state, place, own)
        return params, state

    def apply(
        params: Params,
        state: Any,
        inputs: Array,
        *,
        train: bool,
        key: Key | None,
        mask: Array | None = None,
    ) -> tuple[jax.Array, Any]:
        summands, after = [], {}
        for place, part in enumerate(parts):
            own = _own(params, state, place)
            mode = (train, _drawn(key, place), mask)
            values, next_state = called(part, own, inputs, mode)
            summands.append(values)
            _enter({}, after, place, ({}, next_state))
        _require_equal_shapes(*(values.shape for values in summands))
        return summands[1] + summands[0], after

    return Model(init, apply)


def elementwise(function: Callable[[jax.Array], jax.Array]) -> Model:
    """φ(x), without parameters: an activation, or any function of the values alone."""

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        del key, inputs
        return {}, {}

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        del params, train, key
        return function(jnp.asarray(inputs)), state

    return Model(init, apply)


def called(
    part: Model, own: tuple[Params, Any], inputs: Any, mode: Mode
) -> tuple[jax.Array, Any]:
    """A part's outputs and next state; it is given the mask if it names it.

    Args:
        part: of a network.
        own: its parameters and its state.
        inputs: of the part.
        mode: whether it trains, the key that it draws by, and which examples count.
    """
    train, key, mask = mode
    params, state = own
    masked = "mask" in inspect.signature(part.apply).parameters
    present = {"mask": mask} if masked and mask is not None else {}
    return part.apply(params, state, inputs, train=train, key=key, **present)


def _outputs_like(part: Model, own: tuple[Params, Any], example: Array) -> jax.Array:
    """Zeros of the shape and dtype of what a part makes of an example."""

    def evaluated(own: tuple[Params, Any], example: Array) -> jax.Array:
        return called(part, own, example, (False, None, None))[0]

    shape = jax.eval_shape(evaluated, own, example)
    return jnp.zeros(shape.shape, shape.dtype)


def _example(inputs: Array) -> jax.Array:
    """One example of zeros, for only its shape and dtype matter."""
    return jnp.zeros((1, *inputs.shape[1:]), inputs.dtype)


def _enter(
    params: dict[str, Any], state: dict[str, Any], place: int, own: tuple[Params, Any]
) -> None:
    """Adds a part's own, where it has any."""
    own_params, own_state = own
    if jax.tree.leaves(own_params):
        params[_name(place)] = own_params
    if jax.tree.leaves(own_state):
        state[_name(place)] = own_state


def _own(params: Params, state: Any, place: int) -> tuple[Params, Any]:
    """The parameters and the state of the part at a place; empty where it has none."""
    name = _name(place)
    return params.get(name, {}), (state or {}).get(name, {})


def _drawn(key: Key | None, place: int) -> Key | None:
    """The key of the part at a place."""
    return None if key is None else jax.random.fold_in(key, place)


def _name(place: int) -> str:
    return f"layer_{place:02}"


def _require_equal_shapes(branch: Sequence[int], shortcut: Sequence[int]) -> None:
    if tuple(branch) != tuple(shortcut):
        raise InputError(
            f"A branch that gives {tuple(branch)} cannot be added to a shortcut of "
            f"{tuple(shortcut)}: give a shortcut that changes the shape likewise."
        )
