"""Where training should have stopped: by a measure on held-out examples."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from jaxml import tree
from jaxml.learn.optimizers.evaluation import evaluation_params
from jaxml.learn.training.state import Probe, TrainState
from jaxml.types import Array, InputError, Params

__all__ = ["Stopped", "keeping_best", "stopped_early"]


class Stopped(NamedTuple):
    """Where curves stop, as places among their evaluations, from 0.

    Attributes:
        best: the evaluation to go back to.
        last: the one at which training ends.
    """

    best: Int[jax.Array, "*curves"]
    last: Int[jax.Array, "*curves"]


def stopped_early(
    curves: Float[Array, "*curves evaluation"], *, patience: ArrayLike | None = None
) -> Stopped:
    """Training ends once the measure has not fallen below its least for `patience`
    evaluations, and goes back to that least.

    Curves that were recorded in full say what every patience would have done.

    Args:
        curves: of a measure on examples that are neither trained on nor judged by,
            the lower the better; what is not finite never is the least.
        patience: evaluations, 1 or more, perhaps traced; never when not given, so that
            the best of all is taken. Broadcast over the curves.

    Raises:
        InputError: no evaluations, or a known patience below 1.

    Source: Prechelt 1998, "Early stopping, but when?", in Neural Networks: Tricks of
        the Trade, criterion UP with one evaluation a strip.

    >>> curve = np.array([4.0, 2.0, 3.0, 3.0, 1.0])
    >>> best, last = stopped_early(curve, patience=2)
    >>> int(best), int(last), int(stopped_early(curve).best)
    (1, 3, 4)
    """
    count = np.shape(curves)[-1]
    _require_patience(patience)
    if count < 1:
        raise InputError("A curve without evaluations has no best: give one or more.")
    values = jnp.where(jnp.isfinite(curves), curves, jnp.inf)
    axis = values.ndim - 1
    least = jax.lax.cummin(values, axis=axis)
    fallen = least[..., 1:] < least[..., :-1]
    places = jax.lax.broadcasted_iota(jnp.int32, values.shape, axis)
    later = places[..., 1:]
    since = jnp.where(fallen, later, jnp.zeros_like(later))
    since = jnp.concatenate([jnp.zeros_like(since[..., :1]), since], axis=-1)
    best = jax.lax.cummax(since, axis=axis)
    allowed = jnp.asarray(count if patience is None else patience)
    allowed = jnp.broadcast_to(allowed, values.shape[:-1])
    stalled = (places - best) >= allowed[..., None]
    last = jnp.where(
        jnp.any(stalled, axis=-1),
        jnp.argmax(stalled, axis=-1).astype(jnp.int32),
        jnp.int32(count - 1),
    )
    return Stopped(jnp.take_along_axis(best, last[..., None], axis=-1)[..., 0], last)


class _Kept(NamedTuple):
    """What `keeping_best` keeps: the best parameters, and how long ago that was."""

    params: Params
    least: jax.Array
    stalled: jax.Array
    updates: jax.Array


def keeping_best(
    quantities: Mapping[str, Callable[[Params, Any], Any]],
    *,
    by: Callable[[Params, Any], Any],
    patience: ArrayLike,
) -> Probe:
    """The probe that keeps the parameters with the least held-out measure so far, until
    that has not fallen for `patience` evaluations, and observes quantities of them.

    Its last observation is what early stopping would have returned. The run itself goes
    on, since runs that advance together take equally long. Memory: a copy of the
    parameters.

    Args:
        quantities: by name, `(params, own data) -> value`, as of `evaluating`.
        by: the measure, `(params, own data) -> number`, on examples that are neither
            trained on nor judged by.
        patience: evaluations, 1 or more, perhaps traced.

    Raises:
        InputError: a known patience below 1, or a quantity called "updates", which is
            observed besides: those at which the kept parameters were seen.
    """
    _require_patience(patience)
    if "updates" in quantities:
        raise InputError(
            'A quantity is called "updates", which is observed anyway: rename it.'
        )

    def init(params: Params) -> _Kept:
        (dtype, *_) = [leaf.dtype for leaf in jax.tree.leaves(params)]
        return _Kept(params, jnp.array(jnp.inf, dtype), jnp.int32(0), jnp.int32(0))

    def apply(kept: _Kept, train: TrainState) -> tuple[_Kept, dict[str, Any]]:
        params = evaluation_params(train.opt_state, train.params)
        value = by(params, train.data)
        going = kept.stalled < jnp.asarray(patience)
        better = going & (value < kept.least)
        stalled = jnp.where(better, jnp.int32(0), kept.stalled + going.astype("int32"))
        now = _Kept(params, value, stalled, train.step)
        kept = tree.where(better, now, kept._replace(stalled=stalled))
        seen = {
            name: quantity(kept.params, train.data)
            for name, quantity in quantities.items()
        }
        return kept, {**seen, "updates": kept.updates}

    return Probe(init, apply)


def _require_patience(patience: ArrayLike | None) -> None:
    if patience is None or isinstance(patience, Tracer):
        return
    if not np.all(np.asarray(patience) >= 1):
        raise InputError(
            f"A patience of {patience} evaluations stops before the first: give 1 or "
            "more."
        )
