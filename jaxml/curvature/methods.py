"""Methods of searching for critical points of any index, for networks small enough for
a dense spectrum.

Each method samples other points, so their yields are never pooled. Both need the whole
spectrum at every iteration, p Hessian products and one symmetric eigendecomposition of
O(p³), and stop early: `search` runs each network by itself; inside a program use
`jax.lax.map`, not `vmap`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxml import tree
from jaxml.curvature.certificate import length_scale, zero_tolerance
from jaxml.curvature.dense import dense
from jaxml.curvature.products import hessian_product
from jaxml.curvature.space import check_space
from jaxml.types import InputError, Objective, Params, Scalar


class Search(NamedTuple):
    """Where a search ended, the gradient norm there, and the iterations that it
    took.
    """

    params: Params
    gradient_norm: Scalar
    iterations: jax.Array


Method: TypeAlias = Callable[[Objective, Any, Any], Search]
"""`(objective, start, batch) -> Search`."""


def after(
    minimise: Callable[[Objective, Params, Any], Params], method: Method
) -> Method:
    """The method that minimises first, by whatever optimiser it is given, and searches
    from there.
    """
    return lambda objective, params, batch: method(
        objective, minimise(objective, params, batch), batch
    )


def stay(objective: Objective, params: Params, batch: Any) -> Search:
    """The method that searches nothing, to certify points that come from elsewhere."""
    grads = jax.grad(objective)(params, batch)
    return Search(params, tree.norm(grads), jnp.int32(0))


class _Modes(NamedTuple):
    """Gradient and spectrum at a point: the gradient's coordinates [p] in the
    eigenvectors' basis.
    """

    coordinates: jax.Array
    values: jax.Array
    vectors: jax.Array


def _modes(objective: Objective, params: Params, batch: Any) -> _Modes:
    grads, _ = tree.ravel(jax.grad(objective)(params, batch))
    matrix = dense(hessian_product(objective, params, batch), params)
    values, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)
    return _Modes(vectors.T @ grads, values, vectors)


def gradient_norm_descent(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    iterations: int = 200,
    radius: float = 0.3,
    tolerance: float = 1e-13,
) -> Search:
    """Levenberg-Marquardt on ‖∇L‖²: δ = -(H² + μI)⁻¹ H ∇L, which prescribes no index.

    Of 24 dampings μ, spread over the squared spectrum, every iteration takes the one
    with the smallest new gradient norm; steps are shortened to `radius`. It ends where
    that norm is at most `tolerance` times ‖H‖ (as it was before the last step), where
    no damping helps any more (a kink, a gradient that is merely flat), or when the
    iterations are spent.

    Source: Levenberg 1944; Marquardt 1963; for networks, Frye et al. 2021,
    arXiv:2003.10397.
    """
    check_space(params)
    flat, unravel = tree.ravel(params)
    least = _tolerance(tolerance, flat)
    dampings = jnp.logspace(-16, 2, 24, dtype=flat.dtype)

    def grade(x: jax.Array) -> jax.Array:
        return jnp.linalg.norm(tree.ravel(jax.grad(objective)(unravel(x), batch))[0])

    def improving(
        carry: tuple[jax.Array, jax.Array, jax.Array, jax.Array],
    ) -> jax.Array:
        _, _, count, progress = carry
        return (count < iterations) & progress

    def iterate(carry: tuple[jax.Array, jax.Array, jax.Array, jax.Array]):
        x, norm, count, _ = carry
        modes = _modes(objective, unravel(x), batch)
        largest = jnp.max(modes.values**2)

        def attempt(damping: jax.Array) -> tuple[jax.Array, jax.Array]:
            filtered = (
                modes.values / (modes.values**2 + damping * largest) * modes.coordinates
            )
            reached = x - _shortened(modes.vectors @ filtered, radius)
            return reached, grade(reached)

        reached, norms = jax.vmap(attempt)(dampings)
        best = jnp.argmin(jnp.where(jnp.isfinite(norms), norms, jnp.inf))
        better = norms[best] < norm
        x, norm = (
            jnp.where(better, reached[best], x),
            jnp.where(better, norms[best], norm),
        )
        return (
            x,
            norm,
            count + 1,
            better & (norm > least * jnp.sqrt(largest) * _unit(x)),
        )

    norm = grade(flat)
    start = (flat, norm, jnp.int32(0), norm > 0)
    x, norm, count, _ = jax.lax.while_loop(improving, iterate, start)
    return Search(unravel(x), norm, count)


def eigenvector_following(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    index: Any,
    iterations: int = 300,
    radius: float = 0.3,
    tolerance: float = 1e-13,
) -> Search:
    """Climb the `index` lowest modes of the Hessian and descend all others: δᵢ = ±gᵢ /
    |λᵢ|.

    Near a critical point of that index this is Newton's method. With index 0 it is
    Newton on the absolute Hessian, which no saddle attracts. Steps are shortened to
    `radius`. It ends where ‖∇L‖ is at most `tolerance` times ‖H‖, a distance, or when
    the iterations are spent. Curvatures below the certificate's tolerance for zero
    count as that tolerance, so that rounding moves no point along its flat directions.
    That the index is prescribed says nothing about how common such points are.

    A loss of degree 0 in some weights (weight normalisation) has Hw = -∇L: steps lead
    to w = 0, where it is singular, and such a search ends on a kink. Fix ‖w‖, or take
    `gradient_norm_descent`.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the start.
        batch: passed to the objective.
        index: how many modes to climb, from 0 to the number of parameters. It may be
            traced; then a number outside this range cannot be refused, and ends in NaN.
        iterations: at most.
        radius: of a step.
        tolerance: below 4 eps it is 4 eps.

    Raises:
        InputError: the index is outside its range; the parameters are no space
            (`certify`).

    Source: Cerjan and Miller 1981, J. Chem. Phys. 75; index 0: Dauphin et al. 2014,
    arXiv:1406.2572.
    """
    dtype, size = check_space(params), tree.size(params)
    if not isinstance(index, Tracer) and not (
        0 <= index <= size and index == int(index)
    ):
        raise InputError(
            f"There are no {index} modes to climb among {size} parameters: take 0 to "
            f"{size}."
        )
    flat, unravel = tree.ravel(params)
    climbs = jnp.arange(size) < index
    flat = jnp.where((index >= 0) & (index <= size), flat, jnp.nan)
    floor, least = (
        jnp.asarray(zero_tolerance(dtype), dtype),
        _tolerance(tolerance, flat),
    )

    def gradient_norm(x: jax.Array) -> jax.Array:
        return jnp.linalg.norm(tree.ravel(jax.grad(objective)(unravel(x), batch))[0])

    def searching(
        carry: tuple[jax.Array, jax.Array, jax.Array, jax.Array],
    ) -> jax.Array:
        _, norm, enough, count = carry
        return (norm > enough) & (count < iterations) & jnp.isfinite(norm)

    def iterate(carry: tuple[jax.Array, jax.Array, jax.Array, jax.Array]):
        x, _, _, count = carry
        modes = _modes(objective, unravel(x), batch)
        sizes = jnp.abs(modes.values)
        largest = jnp.max(sizes)
        smallest = floor * largest + jnp.asarray(jnp.finfo(dtype).tiny, dtype)
        newton = modes.coordinates / jnp.maximum(sizes, smallest)
        step = modes.vectors @ jnp.where(climbs, newton, -newton)
        x = x + _shortened(step, radius)
        return x, gradient_norm(x), least * largest * _unit(x), count + 1

    start = (flat, gradient_norm(flat), jnp.zeros((), dtype), jnp.int32(0))
    x, norm, _, count = jax.lax.while_loop(searching, iterate, start)
    return Search(unravel(x), norm, count)


def _tolerance(tolerance: float, like: jax.Array) -> jax.Array:
    """The tolerance, or what rounding allows."""
    return jnp.asarray(max(tolerance, 4 * float(jnp.finfo(like.dtype).eps)), like.dtype)


def _unit(x: jax.Array) -> jax.Array:
    """The length that a tolerance is a part of: 1, or less where the parameters are
    small.
    """
    return jnp.minimum(length_scale(jnp.linalg.norm(x), x.dtype), 1)


def _shortened(step: jax.Array, radius: float) -> jax.Array:
    """The step, no longer than the radius."""
    return step * (radius / jnp.maximum(jnp.linalg.norm(step), radius))
