"""Optimizers that find their own rate: they look at all the parameters at once."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxml import tree
from jaxml.learn.optimizers.precision import in_single
from jaxml.learn.optimizers.rates import rate_at, scale_by_rate
from jaxml.learn.schedules import Shape, constant
from jaxml.types import Params


class SwitchState(NamedTuple):
    """Adam's moments, SGD's velocity, the running estimate of its rate, and whether it
    has settled.
    """

    step: jax.Array
    mean: Params
    square: Params
    velocity: Params
    estimate: jax.Array
    rate: jax.Array
    switched: jax.Array


def swats(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Adam, until the rate at which SGD would make Adam's step settles to `tolerance`;
    then SGD at it.

    The rate is γ = pᵀp / (-pᵀg) of Adam's step p, averaged by β₂. SGD has momentum β₁
    and takes (1 - β₁) times the rate found. The gradient is that of the loss plus
    weight_decay ‖θ‖²/2, which the paper leaves out.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon, tolerance.
    Source: Keskar and Socher 2017, arXiv:1712.07628, algorithm 1.
    """

    def init(params: Params) -> SwitchState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        zero = jnp.zeros((), jnp.result_type(*jax.tree.leaves(params)))
        return SwitchState(
            jnp.zeros((), jnp.int32), zeros, zeros, zeros, zero, zero, jnp.bool_(False)
        )

    def apply(
        updates: Params, state: Any, params: Any = None
    ) -> tuple[Params, SwitchState]:
        del params
        count, beta, gamma = state.step + 1, hyper.momentum, hyper.second_moment
        mean = jax.tree.map(lambda m, g: beta * m + (1 - beta) * g, state.mean, updates)
        square = jax.tree.map(
            lambda v, g: gamma * v + (1 - gamma) * g**2, state.square, updates
        )
        size = hyper.lr * jnp.sqrt(1 - gamma**count) / (1 - beta**count)
        step = jax.tree.map(
            lambda m, v: -size * m / (jnp.sqrt(v) + hyper.epsilon), mean, square
        )
        slope = tree.vdot(step, updates)
        ratio = tree.vdot(step, step) / jnp.where(slope != 0, -slope, 1)
        estimate = jnp.where(
            slope != 0, gamma * state.estimate + (1 - gamma) * ratio, state.estimate
        )
        unbiased = estimate / (1 - gamma**count)
        settled = (
            (slope != 0) & (count > 1) & (jnp.abs(unbiased - ratio) < hyper.tolerance)
        )
        velocity = jax.tree.map(lambda v, g: beta * v + g, state.velocity, updates)
        velocity = tree.where(state.switched, velocity, state.velocity)
        plain = tree.scale(-(1 - beta) * state.rate, velocity)
        rate = jnp.where(state.switched, state.rate, unbiased)
        step = tree.where(state.switched, plain, step)
        after = SwitchState(
            count, mean, square, velocity, estimate, rate, state.switched | settled
        )
        return tree.scale(-1 / jnp.maximum(hyper.lr, 1e-30), step), after

    decay = optax.add_decayed_weights(hyper.weight_decay)
    switching = optax.GradientTransformation(init, apply)
    return in_single(optax.chain(decay, switching, scale_by_rate(hyper, shape)))


class DistanceState(NamedTuple):
    """Adam's moments of d g, the start, the weighted sums r and s, and the distance
    estimate d.
    """

    step: jax.Array
    mean: Params
    square: Params
    start: Params
    numerator: jax.Array
    total: Params
    distance: jax.Array


def prodigy(
    hyper: Any, shape: Shape = constant, *, first: float = 1e-6
) -> optax.GradientTransformation:
    """Adam at rate · d, d a growing lower bound of the distance to the solution; decay
    is decoupled.

    d starts at `first`; `hyper.lr` is a factor of it, meant to be 1.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon.
    Source: Mishchenko and Defazio 2024, arXiv:2306.06101, algorithm 4.
    """
    rate_of = rate_at(hyper, shape)

    def init(params: Params) -> DistanceState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        dtype = jnp.result_type(*jax.tree.leaves(params))
        zero, distance = jnp.zeros((), dtype), jnp.asarray(first, dtype)
        return DistanceState(
            jnp.zeros((), jnp.int32), zeros, zeros, params, zero, zeros, distance
        )

    def apply(
        updates: Params, state: Any, params: Any = None
    ) -> tuple[Params, DistanceState]:
        beta, gamma, d, rate = (
            hyper.momentum,
            hyper.second_moment,
            state.distance,
            rate_of(state.step),
        )
        root = jnp.sqrt(gamma)
        mean = jax.tree.map(
            lambda m, g: beta * m + (1 - beta) * d * g, state.mean, updates
        )
        square = jax.tree.map(
            lambda v, g: gamma * v + (1 - gamma) * (d * g) ** 2, state.square, updates
        )
        gone = jax.tree.map(jnp.subtract, state.start, params)
        weight = (1 - root) * rate * d**2
        numerator = root * state.numerator + weight * tree.vdot(updates, gone)
        total = jax.tree.map(lambda s, g: root * s + weight * g, state.total, updates)
        size = sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(total))
        distance = jnp.maximum(d, numerator / jnp.where(size > 0, size, 1))

        def step(m: jax.Array, v: jax.Array, p: jax.Array) -> jax.Array:
            return (
                -rate
                * d
                * (m / (jnp.sqrt(v) + d * hyper.epsilon) + hyper.weight_decay * p)
            )

        update = jax.tree.map(step, mean, square, params)
        return update, DistanceState(
            state.step + 1, mean, square, state.start, numerator, total, distance
        )

    return in_single(optax.GradientTransformation(init, apply))
