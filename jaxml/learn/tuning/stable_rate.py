"""The largest learning rate at which training stays stable, by bisection."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Bool

from jaxml.learn.training.state import Training, first_state
from jaxml.types import Array, InputError, Scalar

__all__ = ["StableRate", "ends_below_start", "largest_stable_rate"]


class StableRate(NamedTuple):
    """Between which two rates stability ends.

    Attributes:
        stable: the largest rate up to which all rates that were tried are stable; NaN
            where the lowest is not.
        unstable: the next one that was tried, which is not stable; infinite where all
            were.
    """

    stable: Scalar
    unstable: Scalar


def largest_stable_rate(
    stable: Callable[[Scalar], Bool[Array, ""]],
    *,
    low: ArrayLike,
    high: ArrayLike,
    points: int = 8,
    rounds: int = 4,
) -> StableRate:
    """Where a condition first fails as the rate climbs from low to high.

    Each round tries `points` rates at once, geometrically spaced over the bracket, ends
    included, and keeps the two between which the condition first fails. So where a rate
    is stable above one that is not, the lowest failure that the grid sees is what
    counts. The bracket that is left is a factor of (high / low)^((points - 1)^-rounds):
    of 1e4 with 8 points and 4 rounds, 1.004. Three points bisect.

    One trace of the condition. Works inside `jit`, and inside `vmap` over seeds. Cost:
    `points` runs of the condition a round, vmapped.

    Args:
        stable: `rate -> bool`, pure, such as `ends_below_start(training, hyper)`.
        low: the lowest rate.
        high: the highest.
        points: tried in a round, 3 or more.
        rounds: of trials.

    Raises:
        InputError: known rates out of order or not positive, fewer than three points,
            or no round.

    >>> found = largest_stable_rate(lambda rate: rate * 4 < 2, low=1e-3, high=10.0)
    >>> print(f"{float(found.stable):.3f} {float(found.unstable):.3f}")
    0.500 0.502
    """
    _require_order(low, high)
    if points < 3 or rounds < 1:
        raise InputError(
            f"{points} points and {rounds} rounds narrow nothing: give 3 points or "
            "more, and 1 round or more."
        )
    first, last = jnp.asarray(low, float), jnp.asarray(high, float)
    bracket = StableRate(first, last)
    found, _ = jax.lax.scan(
        lambda carry, _: (_narrowed(stable, points, *carry), None),
        (bracket, jnp.bool_(False)),
        length=rounds,
    )
    return found[0]


def ends_below_start(
    training: Training, hyper: Any, *, fraction: ArrayLike = 1.0
) -> Callable[[Scalar], Bool[Array, ""]]:
    """`rate -> bool`: whether a run has not diverged and its mean loss over the last
    tenth of the updates is below that of its first batch, or below a fraction of it.

    Under gradient descent on ½ λ θ² that is a rate below 2 / λ. Of networks whose
    weights' scale does not matter, a rate far beyond that may blow the weights up once,
    and train with a small effective rate from then on: it ends below its start too, and
    counts as stable.

    Args:
        training: whose optimizer reads `hyper.lr`.
        hyper: one point; its rate is replaced.
        fraction: of the first loss, that must be left behind; 1 asks for stability
            alone. May be traced.

    Raises:
        InputError: a point without a field `lr`.
    """
    if "lr" not in getattr(hyper, "_fields", ()):
        raise InputError(
            f"A {type(hyper).__name__} has no field lr, whose bound is sought: give "
            "one, such as `learn.Hyper(lr=0.1)`."
        )
    last = max(1, training.steps // 10)

    def stable(rate: Scalar) -> Bool[Array, ""]:
        state = first_state(training, hyper._replace(lr=rate))
        state, trace = training.run(state, training.data)
        ends = jnp.mean(trace.loss[-last:])
        return (state.diverged_at < 0) & (ends < fraction * trace.loss[0])

    return stable


def _narrowed(
    stable: Callable[[Scalar], Bool[Array, ""]],
    points: int,
    bracket: StableRate,
    done: Bool[Array, ""],
) -> tuple[StableRate, Bool[Array, ""]]:
    """The bracket after one round, and whether an end of the range is the answer."""
    low, high = bracket
    parts = jnp.linspace(0, 1, points, dtype=low.dtype)
    rates = low * (high / low) ** parts
    rates = rates.at[-1].set(high)
    fine = jax.vmap(stable)(rates)
    first = jnp.argmin(fine)
    all_fine, none_fine = jnp.all(fine), first == 0
    none_fine &= ~all_fine
    below = jnp.where(none_fine, jnp.nan, rates[first - 1])
    after = StableRate(
        jnp.where(all_fine, high, below), jnp.where(all_fine, jnp.inf, rates[first])
    )
    kept = jax.tree.map(lambda old, new: jnp.where(done, old, new), bracket, after)
    return kept, done | all_fine | none_fine


def _require_order(low: ArrayLike, high: ArrayLike) -> None:
    known = not isinstance(low, Tracer) and not isinstance(high, Tracer)
    if known and not 0 < float(np.asarray(low)) < float(np.asarray(high)):
        raise InputError(
            f"No rate lies between {low} and {high}: give low < high, both positive."
        )
