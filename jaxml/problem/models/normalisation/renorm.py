"""Batch renormalisation: batch normalisation that sees a batch as evaluation does."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxml.problem.models.normalisation.affine import identity, standardised
from jaxml.problem.models.normalisation.batch import require_epsilon, require_kept
from jaxml.problem.models.normalisation.statistics import (
    Channels,
    Number,
    moments,
    require_batch,
    require_state,
    require_values,
)
from jaxml.types import Array, Key, Model, Params

__all__ = ["RunningDeviations", "batch_renorm"]


class RunningDeviations(NamedTuple):
    """The state of a batch renormalisation: exponentially weighted sums over updates.

    Attributes:
        mean: Σ of the batches' means, by their weights.
        deviation: likewise, of √(variance + ε).
        weight: Σ of the weights; 0 before the first update.
    """

    mean: Channels
    deviation: Channels
    weight: Number


def batch_renorm(
    kept: ArrayLike = 0.99,
    *,
    largest_ratio: ArrayLike = 3.0,
    largest_shift: ArrayLike = 5.0,
    affine: bool = True,
    epsilon: float = 1e-5,
) -> Model:
    """γ (r (x - m_B) / s_B + d) + β of each channel, as a layer of a `chain`.

    m_B and s_B = √(variance + ε) are the batch's, m and s the state's, and r = s_B / s
    within [1/r_max, r_max] and d = (m_B - m) / s within [-d_max, d_max] are constants
    of the gradient. So within the bounds training gives what evaluation gives, γ (x -
    m) / s + β, while the gradient is one through the batch's statistics. r_max = 1 and
    d_max = 0 are batch normalisation, which the first update is in any case. The state
    is debiased, and padding is as in `batch_norm`.

    Because r and d are held constant, the gradient is not that of the training loss as
    a function of the parameters, but where r and d stand at their bounds; nor is a
    Hessian product. In evaluation both are exact.

    Args:
        kept: how much of the state an update keeps; may be traced.
        largest_ratio: r_max, 1 or more; may be traced, as the paper raises it in
            training from 1 to 3.
        largest_shift: d_max, 0 or more; likewise from 0 to 5.
        affine: whether γ and β, 1 and 0 at first, are learned.
        epsilon: ε, in squared units of the values.

    Raises:
        InputError: as `batch_norm`.

    Source: Ioffe 2017, arXiv:1702.03275, algorithm 1.
    """
    require_kept(kept)
    require_epsilon(epsilon)

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        del key
        values = jnp.asarray(inputs)
        require_values(values)
        channels, dtype = values.shape[-1], values.dtype
        zeros = jnp.zeros(channels, dtype)
        state = RunningDeviations(zeros, zeros, jnp.zeros((), dtype))
        return identity(channels, dtype, affine), state

    def apply(
        params: Params,
        state: Any,
        inputs: Array,
        *,
        train: bool,
        key: Key | None,
        mask: Array | None = None,
    ) -> tuple[jax.Array, Any]:
        del key
        values = jnp.asarray(inputs)
        require_state(state)
        require_values(values)
        if not train:
            mean, deviation = _remembered(state, jnp.zeros_like(state.mean), 1.0)
            return standardised(params, values, mean, 1 / deviation), state
        require_batch(values, mask)
        seen = moments(values, mask)
        deviation = jnp.sqrt(seen.variance + epsilon)
        bounds = (largest_ratio, largest_shift)
        ratio, shift = _corrections(state, seen.mean, deviation, bounds)
        centre = seen.mean - shift * deviation / ratio
        outputs = standardised(params, values, centre, ratio / deviation)
        seen_here = (seen.size > 0, seen.mean, deviation)
        return outputs, _updated(state, kept, *seen_here)

    return Model(init, apply)


def _corrections(
    state: RunningDeviations,
    mean: Array,
    deviation: jax.Array,
    bounds: tuple[ArrayLike, ArrayLike],
) -> tuple[jax.Array, jax.Array]:
    """r and d, constants of the gradient."""
    largest_ratio, largest_shift = (jnp.asarray(each, mean.dtype) for each in bounds)
    running_mean, running_deviation = _remembered(state, mean, deviation)
    ratio = deviation / running_deviation
    shift = (mean - running_mean) / running_deviation
    ratio = jnp.clip(ratio, 1 / largest_ratio, largest_ratio)
    shift = jnp.clip(shift, -largest_shift, largest_shift)
    return jax.lax.stop_gradient(ratio), jax.lax.stop_gradient(shift)


def _remembered(
    state: RunningDeviations, mean: Array, deviation: ArrayLike
) -> tuple[jax.Array, jax.Array]:
    """The state's mean and deviation; before the first update those given."""
    seen = state.weight > 0
    divisor = jnp.where(seen, state.weight, 1)
    known = jnp.where(seen, state.deviation / divisor, deviation)
    return jnp.where(seen, state.mean / divisor, mean), known


def _updated(
    before: RunningDeviations,
    kept: ArrayLike,
    some: Array,
    mean: Array,
    deviation: Array,
) -> RunningDeviations:
    """kept s + (1 - kept) s_batch, or s where the batch is padding alone."""

    def moved(old: Array, new: Array) -> jax.Array:
        part = jnp.asarray(kept, old.dtype)
        return jnp.where(some, part * old + (1 - part) * new, old)

    weight = moved(before.weight, jnp.ones_like(before.weight))
    mean, deviation = moved(before.mean, mean), moved(before.deviation, deviation)
    return RunningDeviations(mean, deviation, weight)
