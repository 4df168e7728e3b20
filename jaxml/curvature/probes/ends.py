"""Probes of the ends of the Hessian's spectrum, and of the gradient in the top of
it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.probes.ritz import (
    FlatMap,
    RitzPairs,
    check_depth,
    next_start,
    random_start,
    ritz_pairs,
)
from jaxml.curvature.probes.watched import (
    BatchOf,
    Cost,
    Probe,
    Watched,
    probe_of,
)
from jaxml.curvature.products import hessian_product
from jaxml.types import Objective, Params, Scalar


class Sharpness(NamedTuple):
    """An eigenvalue that is watched.

    Attributes:
        value: λ, the Rayleigh quotient of a vector, so never above the highest.
        residual: some eigenvalue lies no further than this from λ; large in the first
            calls, which start cold.
    """

    value: Scalar
    residual: Scalar


class NegativeCurvature(NamedTuple):
    """The lowest eigenvalue that is watched, and its direction.

    Attributes:
        value: λ, never below the lowest eigenvalue.
        residual: some eigenvalue lies no further than this from λ.
        vector: of length 1, a pytree like the parameters; its sign is arbitrary.
    """

    value: Scalar
    residual: Scalar
    vector: Params


class TopSubspace(NamedTuple):
    """Where the gradient lies.

    Attributes:
        fraction: ‖V g‖² / ‖g‖², V the eigenvectors of the highest eigenvalues; nan
            where g = 0.
        values: of these eigenvalues, `[count]`, the highest first.
        residuals: `[count]`, as `Sharpness` has it.
    """

    fraction: Scalar
    values: Float[jax.Array, " count"]
    residuals: Float[jax.Array, " count"]


def sharpness(objective: Objective, batch: BatchOf, *, depth: int = 3) -> Probe:
    """The highest eigenvalue of the Hessian: λ_max(∂²L/∂θ²).

    A few steps of Lanczos from the last call's vector. Between two calls the vector
    moves little, so a few products do; the first calls are cold, as their residuals
    say. Gradient descent at the rate η is stable on a quadratic where λ_max < 2/η.

    Cost: `depth` products and the gradient that they linearise; memory: 2 depth
    vectors, and one between calls. Error: the residual, to rounding; but where two
    eigenvalues cross, the one that is watched may be the second for some calls, and no
    residual shows that.

    Args:
        objective: `(params, batch) -> scalar`.
        batch: `Watched -> batch`, such as `own_data`.
        depth: products a call, 2 or more.

    Raises:
        InputError: a depth below 2; when it starts, parameters that are empty or not of
            one precision.

    Source: Cohen et al. 2021, arXiv:2103.00065.

    >>> from jaxml.curvature import probes
    >>> bowl = lambda w, curvatures: 0.5 * jnp.sum(curvatures * w**2)
    >>> one = jnp.array([1.0, 1.0])
    >>> point = probes.Point(one, data=jnp.array([3.0, 1.0]))
    >>> watch = sharpness(bowl, probes.own_data)
    >>> _, seen = watch.apply(watch.init(point.params), point)
    >>> round(float(seen.value), 4), watch.cost
    (3.0, Cost(gradients=1, products=3))
    """
    check_depth(depth)
    return probe_of(_one, _sharpness, (objective, batch, depth), Cost(1, depth))


def negative_curvature(
    objective: Objective, batch: BatchOf, *, depth: int = 10
) -> Probe:
    """The lowest eigenvalue of the Hessian and its vector: λ_min(∂²L/∂θ²).

    As `sharpness`, of -H. The lowest eigenvalue is small beside the highest and close
    to its neighbours, so it takes more products: watch the residual. The vector is
    observed at every call: the run keeps one vector of parameters each.

    Cost, arguments and errors: as `sharpness`.

    >>> from jaxml.curvature import probes
    >>> saddle = lambda w, _: w[0] ** 2 - w[1] ** 2
    >>> watch = negative_curvature(saddle, probes.own_data)
    >>> one = jnp.array([1.0, 1.0])
    >>> _, seen = watch.apply(watch.init(one), probes.Point(one))
    >>> round(float(seen.value), 4), jnp.abs(seen.vector).round(4).tolist()
    (-2.0, [0.0, 1.0])
    """
    check_depth(depth)
    return probe_of(_one, _lowest, (objective, batch, depth), Cost(1, depth))


def top_subspace(
    objective: Objective, batch: BatchOf, *, count: int, depth: int = 2
) -> Probe:
    """The fraction of the gradient in the top subspace: ‖V g‖² / ‖g‖².

    V are the eigenvectors of the `count` highest eigenvalues, by block Lanczos from
    those of the last call. Of a classifier of k classes the first k hold most of it.

    Cost: `count` · depth products, the gradient that they linearise, and one more;
    memory: 2 `count` depth vectors.

    Args:
        objective: `(params, batch) -> scalar`.
        batch: `Watched -> batch`.
        count: eigenvalues, from 1 to the number of parameters.
        depth: products a vector and call, 2 or more.

    Raises:
        InputError: as `sharpness`; when it starts, a count that does not fit.

    Source: Gur-Ari, Roberts and Dyer 2018, arXiv:1812.04754, its f_top.

    >>> from jaxml.curvature import probes
    >>> bowl = lambda w, _: 0.5 * jnp.sum(jnp.array([3.0, 2.0, 1.0]) * w**2)
    >>> watch = top_subspace(bowl, probes.own_data, count=2)
    >>> one = jnp.array([1.0, 1.0, 1.0])
    >>> _, seen = watch.apply(watch.init(one), probes.Point(one))
    >>> round(float(seen.fraction), 4)  # (3² + 2²) / (3² + 2² + 1²)
    0.9286
    """
    check_depth(depth)

    def init(params: Params) -> jax.Array:
        return random_start(params, count)

    cost = Cost(2, count * depth)
    return probe_of(init, _subspace, (objective, batch, depth), cost)


def _one(params: Params) -> jax.Array:
    return random_start(params, 1)


def _sharpness(
    objective: Objective, batch: BatchOf, depth: int, start: jax.Array, train: Watched
) -> tuple[jax.Array, Sharpness]:
    hessian = flat_hessian(objective, train.params, batch(train))
    pairs = ritz_pairs(hessian, None, start, depth)
    return next_start(pairs, start), top(pairs)


def _lowest(
    objective: Objective, batch: BatchOf, depth: int, start: jax.Array, train: Watched
) -> tuple[jax.Array, NegativeCurvature]:
    hessian = flat_hessian(objective, train.params, batch(train))
    _, unravel = tree.ravel(train.params)
    pairs = ritz_pairs(lambda v: -hessian(v), None, start, depth)
    value, residual = top(pairs)
    (vector,) = pairs.vectors
    return next_start(pairs, start), NegativeCurvature(
        -value, residual, unravel(vector)
    )


def _subspace(
    objective: Objective, batch: BatchOf, depth: int, start: jax.Array, train: Watched
) -> tuple[jax.Array, TopSubspace]:
    seen = batch(train)
    hessian = flat_hessian(objective, train.params, seen)
    pairs = ritz_pairs(hessian, None, start, depth)
    with jax.default_matmul_precision("highest"):
        gradient, _ = tree.ravel(jax.grad(objective)(train.params, seen))
        inside = pairs.vectors @ gradient
        fraction = jnp.vdot(inside, inside) / jnp.vdot(gradient, gradient)
    return next_start(pairs, start), TopSubspace(
        fraction, pairs.values, pairs.residuals
    )


def flat_hessian(objective: Objective, params: Params, batch: Any) -> FlatMap:
    """The Hessian as a map of vectors `[p]`."""
    product = hessian_product(objective, params, batch)
    _, unravel = tree.ravel(params)

    def matvec(vector: jax.Array) -> jax.Array:
        return tree.ravel(product(unravel(vector)))[0]

    return matvec


def top(pairs: RitzPairs) -> Sharpness:
    """The highest of the pairs."""
    value, *_ = pairs.values
    residual, *_ = pairs.residuals
    return Sharpness(value, residual)
