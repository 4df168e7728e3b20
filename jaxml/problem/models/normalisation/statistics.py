"""Mean and variance over a batch, what is remembered of them, and what is given instead
of them.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float

from jaxml.problem.models.adapters import missing_state
from jaxml.types import Array, InputError

__all__ = ["GatheredStatistics", "GivenStatistics", "RunningStatistics"]

Channels = Float[Array, " channels"]
Number = Float[Array, ""]


class RunningStatistics(NamedTuple):
    """The state of a batch normalisation: exponentially weighted sums over updates.

    Attributes:
        mean: Σ of the batches' means, by their weights.
        variance: likewise.
        weight: Σ of the weights; what divides the other two. It is 1 throughout where
            they start at 0 and 1, and nothing is debiased.
    """

    mean: Channels
    variance: Channels
    weight: Number


class Moments(NamedTuple):
    """Of values of each channel: how many there are, their mean and variance."""

    size: Number
    mean: Channels
    variance: Channels


class GivenStatistics(NamedTuple):
    """In place of the running statistics: training normalises by `moments`, whatever
    the batch, and leaves the running ones as after a batch that has them.

    Attributes:
        moments: such as those of several batches together.
        before: the running statistics.
    """

    moments: Moments
    before: RunningStatistics


class GatheredStatistics(NamedTuple):
    """In place of the running statistics: training adds the batch's moments to these.

    Attributes:
        moments: of all batches so far.
        given: by which training normalises; None where by the batch's own.
    """

    moments: Moments
    given: Moments | None


def moments(values: jax.Array, mask: Array | None) -> Moments:
    """Of each channel, over the examples that count and all places: over all axes but
    the last. Where no example counts, the size is 0, and mean and variance are of all.
    """
    axes = tuple(range(values.ndim - 1))
    places = math.prod(values.shape[1:-1])
    if mask is None:
        size = jnp.asarray(values.shape[0] * places, values.dtype)
        mean = jnp.mean(values, axis=axes, keepdims=True)
        variance = jnp.mean(jnp.square(values - mean), axis=axes)
        return Moments(size, mean.reshape(-1), variance)
    mask = jnp.asarray(mask)
    size = jnp.sum(mask, dtype=values.dtype) * places
    counted = (mask | ~jnp.any(mask)).reshape(-1, *[1] * (values.ndim - 1))
    divisor = jnp.sum(counted, dtype=values.dtype) * places
    total = jnp.sum(jnp.where(counted, values, 0), axis=axes, keepdims=True)
    mean = total / divisor
    squares = jnp.where(counted, jnp.square(values - mean), 0)
    variance = jnp.sum(squares, axis=axes) / divisor
    return Moments(size, mean.reshape(-1), variance)


def joined(one: Moments, other: Moments) -> Moments:
    """The moments of both samples together.

    Source: Chan, Golub and LeVeque 1983, "Algorithms for computing the sample
    variance", equation 2.1.
    """
    size = one.size + other.size
    part = other.size / jnp.maximum(size, 1)
    apart = other.mean - one.mean
    within = one.variance + (other.variance - one.variance) * part
    between = jnp.square(apart) * part * (1 - part)
    return Moments(size, one.mean + apart * part, within + between)


def no_moments(like: RunningStatistics) -> Moments:
    """Those of no value at all."""
    mean = jnp.zeros_like(like.mean)
    return Moments(jnp.zeros_like(like.weight), mean, mean)


def evaluated(running: RunningStatistics) -> tuple[jax.Array, jax.Array]:
    """Mean and variance of evaluation: the sums over their weight; 0 and 1 before the
    first update.
    """
    seen = running.weight > 0
    divisor = jnp.where(seen, running.weight, 1)
    mean = jnp.where(seen, running.mean / divisor, 0)
    return mean, jnp.where(seen, running.variance / divisor, 1)


def require_values(values: jax.Array) -> None:
    """Refuses values without a batch axis and a last axis of channels."""
    if values.ndim < 2:
        raise InputError(
            f"Values {values.shape} have no channels to normalise: give [n, channels] "
            "or [n, ..., channels]."
        )
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise InputError(
            f"The values are {values.dtype}, which cannot be normalised: cast them to "
            "float32 or float64."
        )


def require_state(state: Any) -> None:
    """Refuses to go on without the state of initialisation or training."""
    if not jax.tree.leaves(state):
        raise missing_state()


def require_batch(values: jax.Array, mask: Array | None) -> None:
    """Refuses a batch that has no variance, as far as that is known."""
    rows = values.shape[0]
    if mask is not None and not isinstance(mask, Tracer):
        rows = int(np.sum(np.asarray(mask)))
    if rows == 0:
        raise InputError(
            "A batch of padding alone has no mean: give batch normalisation an example "
            "that counts, or leave the batch out."
        )
    if rows * math.prod(values.shape[1:-1]) == 1:
        raise InputError(
            "Batch normalisation of one value gives 0 whatever it is: train on 2 "
            "examples or more, or take layer or group normalisation."
        )
