"""Batch normalisation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxml.problem.models.normalisation.affine import identity, standardised
from jaxml.problem.models.normalisation.statistics import (
    GatheredStatistics,
    GivenStatistics,
    Moments,
    RunningStatistics,
    evaluated,
    joined,
    moments,
    require_batch,
    require_state,
    require_values,
)
from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["batch_norm", "kept_of_momentum"]


def batch_norm(
    kept: ArrayLike = 0.9,
    *,
    debiased: bool = True,
    affine: bool = True,
    epsilon: float = 1e-5,
    unbiased: bool = False,
) -> Model:
    """γ (x - mean) / √(variance + ε) + β of each channel, as a layer of a `chain`.

    In training, mean and variance are those of the batch over all axes but the last,
    the variance over n; the gradient goes through both. In evaluation they are those of
    the state, s ← kept s + (1 - kept) s_batch of each update, and constants. Before or
    after the activation is where the layer stands in its chain.

    Padding does not count. Where that is known, as outside `jit`, a batch of padding
    alone is refused, and so is a single value; within a program a batch of padding
    alone leaves the state as it was and gives finite outputs, and a single value gives
    β. Of each ghost batch by `problem.in_ghosts`; exactly over several batches by
    `problem.accumulated_loss` and `problem.with_exact_statistics`. Cost: two passes
    over the values, so that no variance is lost to cancellation.

    Args:
        kept: how much of the state an update keeps; 0 makes it that of the last batch.
            May be traced. Flax and Keras call it momentum; PyTorch's momentum is what
            the newest batch weighs, so `kept_of_momentum(0.1)` is 0.9.
        debiased: whether the sums of the state start at 0 and are divided by their
            weights, 1 - keptᵗ after t updates, as in Adam; else mean and variance start
            at 0 and 1, of which keptᵗ is left after t updates, as in Flax and PyTorch.
        affine: whether γ and β, 1 and 0 at first, are learned.
        epsilon: ε, in squared units of the values.
        unbiased: whether the state takes the batch's variance over n - 1, as the paper
            and PyTorch do; else over n, as Flax does. Training normalises by n always.

    Raises:
        InputError: `kept` outside [0, 1), or an ε below 0; at a call, no state, values
            without channels or not of floating point, a batch of padding alone or of a
            single value.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2; Kingma and Ba
    2015, arXiv:1412.6980, section 3, for the division by 1 - keptᵗ.

    >>> norm = batch_norm()
    >>> two = jnp.array([[1.0], [3.0]])
    >>> params, state = norm.init(jax.random.key(0), two)
    >>> outputs, state = norm.apply(params, state, two, train=True, key=None)
    >>> later, _ = norm.apply(params, state, two, train=False, key=None)
    >>> [round(x, 4) for x in later[:, 0].tolist()]
    [-1.0, 1.0]
    """
    require_kept(kept)
    require_epsilon(epsilon)

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        del key
        values = jnp.asarray(inputs)
        require_values(values)
        channels, dtype = values.shape[-1], values.dtype
        first = jnp.zeros if debiased else jnp.ones
        zeros = jnp.zeros(channels, dtype)
        state = RunningStatistics(zeros, first(channels, dtype), first((), dtype))
        return identity(channels, dtype, affine), state

    def remembered(before: RunningStatistics, seen: Moments) -> RunningStatistics:
        variance = _over_one_less(seen) if unbiased else seen.variance
        return _updated(before, kept, seen._replace(variance=variance))

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
        if train:
            seen, after = _seen(state, values, mask, remembered)
            mean, variance = seen.mean, seen.variance
        else:
            mean, variance = evaluated(state)
            after = state
        factor = jax.lax.rsqrt(variance + epsilon)
        return standardised(params, values, mean, factor), after

    return Model(init, apply)


def kept_of_momentum(momentum: float) -> float:
    """`kept` of PyTorch's momentum, the weight of the newest batch: 1 - momentum.

    The slide's p in μ ← p μ + (1 - p) μₜ is `kept` itself.

    Raises:
        InputError: a momentum outside (0, 1].

    >>> kept_of_momentum(0.1)
    0.9
    """
    if not 0 < momentum <= 1:
        raise InputError(
            f"A newest batch that weighs {momentum} makes no average: choose above 0, "
            "to 1."
        )
    return 1 - momentum


def require_kept(kept: ArrayLike) -> None:
    """Refuses a known part of the state that is not in [0, 1)."""
    if not isinstance(kept, Tracer) and not 0 <= float(np.asarray(kept)) < 1:
        raise InputError(
            f"A state of which {kept} is kept learns of no batch: choose from 0 to "
            "0.999."
        )


def require_epsilon(epsilon: float) -> None:
    """Refuses what would be subtracted from a variance."""
    if epsilon < 0:
        raise InputError(
            f"An epsilon of {epsilon} may leave no variance to divide by: choose 0 or "
            "more."
        )


def _seen(
    state: RunningStatistics | GivenStatistics | GatheredStatistics,
    values: jax.Array,
    mask: Array | None,
    remembered: Callable[[RunningStatistics, Moments], RunningStatistics],
) -> tuple[Moments, RunningStatistics | GatheredStatistics]:
    """By what training normalises, and the next state."""
    if isinstance(state, GivenStatistics):
        return state.moments, remembered(state.before, state.moments)
    if isinstance(state, RunningStatistics) or state.given is None:
        require_batch(values, mask)
    own = moments(values, mask)
    if isinstance(state, RunningStatistics):
        return own, remembered(state, own)
    given = own if state.given is None else state.given
    return given, state._replace(moments=joined(state.moments, own))


def _updated(
    before: RunningStatistics, kept: ArrayLike, seen: Moments
) -> RunningStatistics:
    """kept s + (1 - kept) s_batch, or s where the batch is padding alone."""
    some = seen.size > 0

    def moved(old: Array, new: Array) -> jax.Array:
        part = jnp.asarray(kept, old.dtype)
        return jnp.where(some, part * old + (1 - part) * new, old)

    weight = moved(before.weight, jnp.ones_like(before.weight))
    mean = moved(before.mean, seen.mean)
    return RunningStatistics(mean, moved(before.variance, seen.variance), weight)


def _over_one_less(seen: Moments) -> Array:
    """The variance over n - 1; 0 of a single value."""
    return seen.variance * (seen.size / jnp.maximum(seen.size - 1, 1))
