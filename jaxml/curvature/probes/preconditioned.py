"""Sharpness as an optimizer sees it: the Hessian scaled by its answer to a gradient."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.probes.ends import Sharpness, flat_hessian, top
from jaxml.curvature.probes.ritz import (
    check_depth,
    next_start,
    random_start,
    ritz_pairs,
)
from jaxml.curvature.probes.watched import (
    BatchOf,
    Cost,
    Probe,
    Update,
    Watched,
    probe_of,
)
from jaxml.types import Matvec, Objective, Params

Scaling: TypeAlias = Callable[[Watched], Matvec]
"""`Watched -> (gradient -> step)`: a symmetric positive map Z = P⁻¹, P being the
preconditioner.
"""

SMALL = 1e-16
"""The gradient at which an update is linearised, in each entry.

Its square is normal in float32 also after (1 - 0.999) of it, 1e-35, and its size
vanishes against Adam's ε, 1e-8. At 0 itself the root of a mean square that is 0 has no
derivative.
"""


def preconditioned_sharpness(
    objective: Objective, batch: BatchOf, scaling: Scaling, *, depth: int = 3
) -> Probe:
    """The highest eigenvalue of P⁻¹H, which is that of P^-½ H P^-½.

    P⁻¹ is what `scaling` reads from the optimizer's state: `response(update)` of any
    family, or `divided_by` a diagonal. Both maps are only multiplied by; no root and no
    inverse is taken. Few steps of Lanczos from the last call's vector, in the inner
    product of P⁻¹.

    With P = diag(√v̂ + ε), Adam at a rate η is stable on a quadratic, its P frozen,
    where the value is below (2 + 2β₁) / ((1 - β₁) η), 38/η at β₁ = 0.9.

    Cost: `depth` products, the gradient that they linearise, and `depth` + 1
    applications of P⁻¹. Error: the residual, in the metric P⁻¹, to rounding.

    Args:
        objective: `(params, batch) -> scalar`.
        batch: `Watched -> batch`, such as `own_data`.
        scaling: `Watched -> P⁻¹`.
        depth: products a call, 2 or more.

    Raises:
        InputError: as `sharpness`.

    Source: Cohen et al. 2022, arXiv:2207.14484, section 2.

    >>> from jaxml.curvature import probes
    >>> bowl = lambda w, _: 0.5 * jnp.sum(jnp.array([8.0, 3.0]) * w**2)
    >>> scaling = divided_by(lambda train: train.opt_state)
    >>> watch = preconditioned_sharpness(bowl, probes.own_data, scaling)
    >>> point = probes.Point(jnp.ones(2), opt_state=jnp.array([4.0, 1.0]))
    >>> _, seen = watch.apply(watch.init(point.params), point)
    >>> round(float(seen.value), 4)
    3.0
    """
    check_depth(depth)
    settings = (objective, batch, scaling, depth)
    return probe_of(_one, _preconditioned, settings, Cost(1, depth))


def response(update: Update) -> Scaling:
    """Z = -∂(next parameters)/∂(gradient) at a gradient of (nearly) zero, the state
    given: how far an update follows its gradient, the rate included.

    At zero the square of the gradient has no derivative, so second moments are frozen
    as the state has them, and what is left is linear: of every chain, diagonal or not,
    without knowing how it is made. λ_max(Z H) has thresholds of its own, free of the
    rate: on a quadratic, Z frozen, descent is stable

    - below 2 without momentum;
    - below 2 (1 + β) with a velocity βm + g or an average βm + (1-β)g of it, and so
      with Adam, whose 38/η this is at β₁ = 0.9;
    - below 2 (1 + β)² / (1 + 2β) with Nesterov's.

    Error: the state is that after a gradient of zero, so mean squares are β₂ times
    those of the state and Z up to 1/√β₂ times that of P = √v + ε (0.05 % at β₂ = 0.999,
    5 % at 0.9). Measure decay that is coupled (L2) as part of the objective, at a
    weight_decay of 0.

    Diagonal families have such a Z, and Shampoo and SOAP. An update that is not linear
    in a small gradient has none: a sign (Lion), a length that is divided by (LARS,
    LAMB), matrices made orthogonal (Muon). Of these the result means nothing.

    Args:
        update: `(Watched, gradient) -> parameters after`.

    >>> from jaxml.curvature import probes
    >>> halved = lambda train, gradient: train.params - 0.5 * gradient
    >>> response(halved)(probes.Point(jnp.ones(2)))(jnp.array([4.0, 2.0])).tolist()
    [2.0, 1.0]
    """

    def scaling(train: Watched) -> Matvec:
        def moved(gradient: Params) -> Params:
            return update(train, gradient)

        def small(leaf: jax.Array) -> jax.Array:
            return jnp.full_like(leaf, SMALL)

        _, tangent = jax.linearize(moved, jax.tree.map(small, train.params))
        return lambda vector: tree.scale(-1, tangent(vector))

    return scaling


def divided_by(preconditioner: Callable[[Watched], Params]) -> Scaling:
    """Z = P⁻¹ for a diagonal P that is read from the optimizer's state.

    Args:
        preconditioner: `Watched -> diagonal`, a pytree like the parameters, positive.
    """

    def scaling(train: Watched) -> Matvec:
        diagonal = preconditioner(train)
        return lambda vector: jax.tree.map(jnp.divide, vector, diagonal)

    return scaling


def _one(params: Params) -> jax.Array:
    return random_start(params, 1)


def _preconditioned(
    objective: Objective,
    batch: BatchOf,
    scaling: Scaling,
    depth: int,
    start: jax.Array,
    train: Watched,
) -> tuple[jax.Array, Sharpness]:
    hessian = flat_hessian(objective, train.params, batch(train))
    with jax.default_matmul_precision("highest"):
        scaled = scaling(train)
    _, unravel = tree.ravel(train.params)

    def metric(vector: jax.Array) -> jax.Array:
        return tree.ravel(scaled(unravel(vector)))[0]

    pairs = ritz_pairs(hessian, metric, start, depth)
    return next_start(pairs, start), top(pairs)
