"""Normalisations of pictures in one program, which differ in what they average over."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxml.problem.models.normalisation.affine import identity, scaled
from jaxml.problem.models.normalisation.batch import require_epsilon
from jaxml.problem.models.normalisation.statistics import require_values
from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["POOLS", "pooled_norm"]

POOLS = ("none", "batch", "layer", "instance", "group")
"""What `pooled_norm` holds, in the order of its numbers."""


def pooled_norm(which: ArrayLike, *, groups: int, epsilon: float = 1e-5) -> Model:
    """γ (x - mean) / √(variance + ε) + β of pictures, with mean and variance over one
    of `POOLS` by its number.

    All are over the places of a channel. "instance" is over no more than these, "layer"
    over all channels of an example too, "group" over those of a group, and "batch" over
    all examples; "none" is γ x + β. So they are one program, with the same parameters,
    at the cost of one: from the mean and variance of each channel of each example those
    of a pool follow exactly.

    There is no state: in evaluation too a batch is normalised by itself. Padding counts
    as examples do.

    Args:
        which: from 0 to 4; may be traced.
        groups: of channels, in their order, equally many in each.
        epsilon: ε, in squared units of the values.

    Raises:
        InputError: an ε below 0, or no group; at a call, values without channels or not
            of floating point, or channels that do not divide into so many groups.

    Source: Wu and He 2018, arXiv:1803.08494, equations 2 to 7, for the pools.

    >>> norm = pooled_norm(POOLS.index("instance"), groups=1, epsilon=0.0)
    >>> row = jnp.array([[[1.0], [5.0]]])
    >>> params, state = norm.init(jax.random.key(0), row)
    >>> norm.apply(params, state, row, train=True, key=None)[0][0, :, 0].tolist()
    [-1.0, 1.0]
    """
    require_epsilon(epsilon)
    if groups < 1:
        raise InputError(f"{groups} groups cannot share channels: give 1 or more.")

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        del key
        values = jnp.asarray(inputs)
        require_values(values)
        return identity(values.shape[-1], values.dtype, True), {}

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        del train, key
        values = jnp.asarray(inputs)
        require_values(values)
        _require_divisible(values.shape[-1], groups)
        places = values.reshape(len(values), -1, values.shape[-1])
        own_mean = jnp.mean(places, axis=1, keepdims=True)
        own_variance = jnp.mean(jnp.square(places - own_mean), axis=1, keepdims=True)
        number = jnp.asarray(which)

        def pooled(each: jax.Array, none: float) -> jax.Array:
            """The mean of `[example, 1, channel]` over what the number says."""
            candidates = (jnp.full_like(each, none), *_pools(each, groups))
            chosen = [number == place for place in range(len(candidates))]
            return jnp.select(chosen, candidates)

        mean = pooled(own_mean, 0.0)
        spread = own_variance + jnp.square(own_mean - mean)
        factor = jax.lax.rsqrt(pooled(spread, 1 - epsilon) + epsilon)
        outputs = ((places - mean) * factor).reshape(values.shape)
        return scaled(params, outputs), state

    return Model(init, apply)


def _pools(each: jax.Array, groups: int) -> tuple[jax.Array, ...]:
    """Means over the batch, the layer, nothing and the group, of the same shape."""
    shape = each.shape
    grouped = each.reshape(shape[0], 1, groups, shape[-1] // groups)
    of_group = jnp.mean(grouped, axis=3, keepdims=True)
    return (
        jnp.broadcast_to(jnp.mean(each, axis=0, keepdims=True), shape),
        jnp.broadcast_to(jnp.mean(each, axis=2, keepdims=True), shape),
        each,
        jnp.broadcast_to(of_group, grouped.shape).reshape(shape),
    )


def _require_divisible(channels: int, groups: int) -> None:
    if channels % groups:
        raise InputError(
            f"{channels} channels do not divide into {groups} groups: choose a divisor "
            f"of {channels}."
        )
