"""Networks one part of which is chosen by a number, perhaps traced."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxml.problem.models.chain import called
from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["one_of"]


def one_of(number: ArrayLike, *parts: Model) -> Model:
    """f_number(x), as a part of a `chain`: which of several parts it is becomes an axis
    of a sweep, in one program.

    Parameters and state are tuples, those of each part, and only those of the chosen
    one matter: the others' have no gradient, and their state stays. A part that names
    `mask` is given it. Each part draws its initial parameters by a key of its own, and
    in training all draw by the same. Cost: where runs advance together that of all
    parts, else that of the chosen one.

    Args:
        number: of a part, from 0; one beyond the last is that of the nearest, where it
            is traced.
        *parts: one or more, whose outputs have one shape and dtype.

    Raises:
        InputError: no parts, or a known number that is none of them.

    >>> from jaxml.problem.models.chain import elementwise
    >>> part = one_of(1, elementwise(jnp.sin), elementwise(jnp.square))
    >>> values = jnp.array([[3.0]])
    >>> own = part.init(jax.random.key(0), values)
    >>> part.apply(*own, values, train=False, key=None)[0].tolist()
    [[9.0]]
    """
    if not parts:
        raise InputError("Of no parts none can be chosen: give one or more.")
    _require_one(number, len(parts))

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        keys = [jax.random.fold_in(key, place) for place in range(len(parts))]
        pairs = zip(parts, keys, strict=True)
        own = [part.init(own_key, inputs) for part, own_key in pairs]
        return tuple(params for params, _ in own), tuple(state for _, state in own)

    def apply(
        params: Params,
        state: Any,
        inputs: Array,
        *,
        train: bool,
        key: Key | None,
        mask: Array | None = None,
    ) -> tuple[jax.Array, Any]:
        nothing = tuple({} for _ in parts)
        every, states = params or nothing, state or nothing
        mode = (train, key, mask)

        def one(place: int, values: jax.Array) -> tuple[jax.Array, Any]:
            own = (every[place], states[place])
            outputs, after = called(parts[place], own, values, mode)
            return outputs, (*states[:place], after, *states[place + 1 :])

        branches = [partial(one, place) for place in range(len(parts))]
        return jax.lax.switch(number, branches, jnp.asarray(inputs))

    return Model(init, apply)


def _require_one(number: ArrayLike, count: int) -> None:
    """Refuses a known number that is no part's."""
    if isinstance(number, Tracer):
        return
    known = np.asarray(number)
    if not (np.issubdtype(known.dtype, np.integer) and 0 <= int(known) < count):
        raise InputError(
            f"{number} is no number of {count} parts: choose a whole one from 0 to "
            f"{count - 1}."
        )
