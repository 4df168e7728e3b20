"""How the rate moves: the last part of every optimizer."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jaxml import tree
from jaxml.learn.schedules import Shape, constant, warmup
from jaxml.types import Params, Scalar

Family: TypeAlias = Callable[..., optax.GradientTransformation]
"""`(hyper, shape) -> optax.GradientTransformation`, called inside the traced function."""


def rate_at(hyper: Any, shape: Shape = constant) -> Callable[[Any], Scalar]:
    """step ↦ lr · shape(step, horizon), after a warm-up of `hyper.warmup` updates if it has one."""
    rate_shape = warmup(shape, getattr(hyper, "warmup", 0.0))
    return lambda step: rate_shape(step, hyper.horizon) * jnp.asarray(hyper.lr, jnp.result_type(float))


class RateState(NamedTuple):
    """How many updates were made."""

    step: jax.Array


def scale_by_rate(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """u ← -lr · shape(step, horizon) · u, after a warm-up of `hyper.warmup` updates if it has one.

    Reads `lr`, `horizon` and, where it exists, `warmup` of any NamedTuple; so a shape handed in is not to
    be wrapped in `schedules.warmup` with the same length.
    """
    rate = rate_at(hyper, shape)

    def init(params: Params) -> RateState:
        del params
        return RateState(jnp.zeros((), jnp.int32))

    def apply(updates: Params, state: Any, params: Params | None = None) -> tuple[Params, RateState]:
        del params
        return tree.scale(-rate(state.step), updates), RateState(state.step + 1)

    return optax.GradientTransformation(init, apply)
