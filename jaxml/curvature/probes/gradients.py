"""Probes of gradients and updates: their lengths by layer, their angles, and the
curvature along them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.probes.watched import (
    BatchOf,
    Cost,
    Probe,
    Update,
    Watched,
    probe_of,
    stateless,
)
from jaxml.curvature.products import hessian_product
from jaxml.types import Objective, Params, Scalar


class LayerNorms(NamedTuple):
    """Euclidean norms, each a pytree like the parameters with a number a leaf.

    Attributes:
        weights: ‖θ‖.
        gradients: ‖g‖, g that of the probe's batch.
        updates: ‖θ' - θ‖ of the update that the optimizer would make by g next.
    """

    weights: Any
    gradients: Any
    updates: Any


class DirectionalSharpness(NamedTuple):
    """Curvature along two directions.

    Attributes:
        gradient: gᵀHg / ‖g‖².
        update: uᵀHu / ‖u‖², u the update that the optimizer would make by g next.
    """

    gradient: Scalar
    update: Scalar


def layer_norms(objective: Objective, batch: BatchOf, update: Update) -> Probe:
    """‖θ‖, ‖g‖ and ‖Δθ‖ of every leaf of the parameters.

    Δθ is the next update by the gradient of the probe's batch, from the run's
    parameters and optimizer state. It is a difference of parameters, so it is known to
    a rounding of θ. Cost: one gradient, and one update.

    Args:
        objective: `(params, batch) -> scalar`.
        batch: `Watched -> batch`.
        update: `(Watched, gradient) -> parameters after`.

    >>> from jaxml.curvature import probes
    >>> halved = lambda train, gradient: train.params - 0.5 * gradient
    >>> watch = layer_norms(lambda w, _: 3 * w[0], probes.own_data, halved)
    >>> _, seen = watch.apply((), probes.Point(jnp.ones(1)))
    >>> float(seen.weights), float(seen.gradients), float(seen.updates)
    (1.0, 3.0, 1.5)
    """
    return probe_of(stateless, _layer_norms, (objective, batch, update), Cost(1, 0))


def directional_sharpness(
    objective: Objective, batch: BatchOf, update: Update
) -> Probe:
    """dᵀHd / ‖d‖² along the gradient and along the update that it would cause.

    Not a number where the direction vanishes. Cost: two products, the gradient that
    they linearise, one gradient, and one update.

    Args:
        objective: `(params, batch) -> scalar`.
        batch: `Watched -> batch`.
        update: `(Watched, gradient) -> parameters after`.

    Source: Pan and Li 2023, arXiv:2306.00204, of the update.

    >>> from jaxml.curvature import probes
    >>> bowl = lambda w, _: 0.5 * jnp.sum(jnp.array([3.0, 1.0]) * w**2)
    >>> first = lambda train, gradient: train.params.at[0].add(-gradient[0])
    >>> watch = directional_sharpness(bowl, probes.own_data, first)
    >>> _, seen = watch.apply((), probes.Point(jnp.ones(2)))
    >>> round(float(seen.gradient), 4), float(seen.update)  # (3³ + 1³) / (3² + 1²)
    (2.8, 3.0)
    """
    return probe_of(stateless, _directional, (objective, batch, update), Cost(2, 2))


def gradient_cosine(objective: Objective, batch: BatchOf) -> Probe:
    """cos(g_t, g_s) of the gradients at this call and at the last one, s = t - every.

    Both are of the probe's batch. Not a number at the first call, nor where a gradient
    vanishes. Cost: one gradient; memory: one between calls.

    >>> from jaxml.curvature import probes
    >>> slope = lambda w, direction: jnp.dot(direction, w)
    >>> watch = gradient_cosine(slope, probes.own_data)
    >>> here = probes.Point(jnp.ones(2), data=jnp.array([1.0, 0.0]))
    >>> state, _ = watch.apply(watch.init(here.params), here)
    >>> _, cosine = watch.apply(state, here._replace(data=jnp.array([3.0, 4.0])))
    >>> round(float(cosine), 4)
    0.6
    """
    return probe_of(_no_gradient, _since, (objective, batch), Cost(1, 0))


def step_cosine(objective: Objective, batch: BatchOf, update: Update) -> Probe:
    """cos(g_t, g_t+1) of the gradients before and after the next update.

    The update is made on the probe's batch and then forgotten; both gradients are of
    that batch. With full-batch training they are the training's own. Gradient descent
    at the edge of stability has one near -1 along the sharpest direction. Cost: two
    gradients and one update.

    >>> from jaxml.curvature import probes
    >>> bowl = lambda w, _: 0.5 * jnp.sum(w**2)
    >>> beyond = lambda train, gradient: train.params - 1.5 * gradient
    >>> watch = step_cosine(bowl, probes.own_data, beyond)
    >>> round(float(watch.apply((), probes.Point(jnp.ones(2)))[1]), 4)
    -1.0
    """
    return probe_of(stateless, _step_cosine, (objective, batch, update), Cost(2, 0))


def _layer_norms(
    objective: Objective, batch: BatchOf, update: Update, state: Any, train: Watched
) -> tuple[Any, LayerNorms]:
    gradient = _gradient(objective, train.params, batch(train))
    move = tree.axpy(-1, train.params, update(train, gradient))
    norms = [jax.tree.map(tree.norm, each) for each in (train.params, gradient, move)]
    return state, LayerNorms(*norms)


def _directional(
    objective: Objective, batch: BatchOf, update: Update, state: Any, train: Watched
) -> tuple[Any, DirectionalSharpness]:
    seen = batch(train)
    gradient = _gradient(objective, train.params, seen)
    move = tree.axpy(-1, train.params, update(train, gradient))
    product = hessian_product(objective, train.params, seen)
    along = [_unit(direction) for direction in (gradient, move)]
    with jax.default_matmul_precision("highest"):
        bent = [tree.vdot(direction, product(direction)) for direction in along]
    return state, DirectionalSharpness(*bent)


def _since(
    objective: Objective, batch: BatchOf, last: Params, train: Watched
) -> tuple[Params, Scalar]:
    gradient = _gradient(objective, train.params, batch(train))
    return gradient, _cosine(last, gradient)


def _step_cosine(
    objective: Objective, batch: BatchOf, update: Update, state: Any, train: Watched
) -> tuple[Any, Scalar]:
    seen = batch(train)
    before = _gradient(objective, train.params, seen)
    after = _gradient(objective, update(train, before), seen)
    return state, _cosine(before, after)


def _gradient(objective: Objective, params: Params, batch: Any) -> Params:
    with jax.default_matmul_precision("highest"):
        return jax.grad(objective)(params, batch)


def _cosine(x: Params, y: Params) -> Scalar:
    return tree.vdot(_unit(x), _unit(y))


def _unit(x: Params) -> Params:
    """x / ‖x‖, not a number where x vanishes; scaled first, so that no square
    underflows.
    """
    largest = jax.tree.reduce(
        jnp.maximum, jax.tree.map(lambda leaf: jnp.max(jnp.abs(leaf), initial=0), x)
    )
    scaled = jax.tree.map(lambda leaf: leaf / largest, x)
    return tree.scale(1 / tree.norm(scaled), scaled)


def _no_gradient(params: Params) -> Params:
    """The gradient before the first call: zeros."""
    return jax.tree.map(jnp.zeros_like, params)
