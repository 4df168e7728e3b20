"""Searches for critical points of any index, for networks small enough for a dense spectrum.

Each way of searching samples other points, so their yields are never pooled. Both need the whole
spectrum at every iteration, p Hessian products and one symmetric eigendecomposition of O(p³), and stop
early: map over networks with `jax.lax.map`, not `vmap`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import tree
from jaxml.curvature.certificate import MINIMUM, SADDLE, Certificate, Criteria, certify, outcome
from jaxml.curvature.dense import dense
from jaxml.curvature.products import hessian_product
from jaxml.types import Objective, Params, Scalar


class Search(NamedTuple):
    """Where a search ended, the gradient norm there, and the iterations that it took."""

    params: Params
    gradient_norm: Scalar
    iterations: jax.Array


Way: TypeAlias = Callable[[Objective, Any, Any], Search]
"""`(objective, start, batch) -> Search`."""


class Candidates(NamedTuple):
    """What a search over many networks found, one row a network.

    Attributes:
        params: `[network, p]`, each row in the order of `tree.ravel`.
        iterations: `[network]`.
        certificate: what was measured there; `outcome` and `signs` judge it.
    """

    params: jax.Array
    iterations: jax.Array
    certificate: Certificate


def search(way: Way, objective: Objective, starts: Any, batch: Any) -> Candidates:
    """Searches from every start and certifies what is found, as one program that maps over networks.

    Args:
        way: `(objective, start, batch) -> Search`; one of this file's functions, or a composition such as
            training first.
        objective: `(params, batch) -> scalar`.
        starts: a pytree with a leading axis, one start a network: parameters, or whatever the way unpacks.
        batch: passed to the objective.
    """
    objective = jax.jit(objective)  # traced and lowered once, though differentiated in many places

    def one(start: Any, batch: Any) -> Candidates:
        found = way(objective, start, batch)
        return Candidates(
            tree.ravel(found.params)[0], found.iterations, certify(objective, found.params, batch)
        )

    return jax.jit(lambda starts, batch: jax.lax.map(lambda start: one(start, batch), starts))(starts, batch)


def certified(candidates: Candidates, criteria: Criteria = Criteria()) -> Candidates:  # noqa: B008  # immutable
    """The rows that are minima or saddles, on the host."""
    sure = np.isin(outcome(candidates.certificate, criteria), (MINIMUM, SADDLE))
    return jax.tree.map(lambda column: np.asarray(column)[sure], candidates)


def after(minimise: Callable[[Objective, Params, Any], Params], way: Way) -> Way:
    """The way that minimises first, by whatever optimiser it is given, and searches from there."""
    return lambda objective, params, batch: way(objective, minimise(objective, params, batch), batch)


def stay(objective: Objective, params: Params, batch: Any) -> Search:
    """The way that searches nothing, to certify points that come from elsewhere."""
    grads = jax.grad(objective)(params, batch)
    return Search(params, tree.norm(grads), jnp.int32(0))


class _Modes(NamedTuple):
    """Gradient and spectrum at a point: the gradient's coordinates [p] in the eigenvectors' basis."""

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

    Of 24 dampings μ, spread over the squared spectrum, every iteration takes the one with the smallest
    new gradient norm; steps are shortened to `radius`. It ends at `tolerance`, where no damping helps any
    more (a kink, a gradient that is merely flat), or when the iterations are spent.

    Source: Levenberg 1944; Marquardt 1963; for networks, Frye et al. 2021, arXiv:2003.10397.
    """
    flat, fold = tree.ravel(params)
    grade = lambda x: jnp.linalg.norm(tree.ravel(jax.grad(objective)(fold(x), batch))[0])  # noqa: E731  # of a flat vector
    dampings = jnp.logspace(-16, 2, 24, dtype=flat.dtype)

    def improving(carry: tuple[jax.Array, jax.Array, jax.Array, jax.Array]) -> jax.Array:
        _, norm, count, progress = carry
        return (norm > tolerance) & (count < iterations) & progress

    def iterate(carry: tuple[jax.Array, jax.Array, jax.Array, jax.Array]):
        x, norm, count, _ = carry
        modes = _modes(objective, fold(x), batch)
        largest = jnp.max(modes.values**2)

        def attempt(damping: jax.Array) -> tuple[jax.Array, jax.Array]:
            filtered = modes.values / (modes.values**2 + damping * largest) * modes.coordinates
            reached = x - _shortened(modes.vectors @ filtered, radius)
            return reached, grade(reached)

        reached, norms = jax.vmap(attempt)(dampings)
        best = jnp.argmin(jnp.where(jnp.isfinite(norms), norms, jnp.inf))
        better = norms[best] < norm
        return jnp.where(better, reached[best], x), jnp.where(better, norms[best], norm), count + 1, better

    start = (flat, grade(flat), jnp.int32(0), jnp.bool_(True))
    x, norm, count, _ = jax.lax.while_loop(improving, iterate, start)
    return Search(fold(x), norm, count)


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
    """Climb the `index` lowest modes of the Hessian and descend all others: δᵢ = ±gᵢ / |λᵢ|.

    Near a critical point of that index this is Newton's method. With index 0 it is Newton on the
    absolute Hessian, which no saddle attracts. Steps are shortened to `radius`. The index may be
    traced; that it is prescribed says nothing about how common such points are.

    Source: Cerjan and Miller 1981, J. Chem. Phys. 75; index 0: Dauphin et al. 2014, arXiv:1406.2572.
    """
    flat, fold = tree.ravel(params)
    climbs = jnp.arange(flat.size) < index
    floor = jnp.asarray(jnp.finfo(flat.dtype).eps, flat.dtype)

    def searching(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        _, norm, count = carry
        return (norm > tolerance) & (count < iterations) & jnp.isfinite(norm)

    def iterate(carry: tuple[jax.Array, jax.Array, jax.Array]):
        x, _, count = carry
        modes = _modes(objective, fold(x), batch)
        newton = modes.coordinates / (jnp.abs(modes.values) + floor * jnp.max(jnp.abs(modes.values)))
        step = modes.vectors @ jnp.where(climbs, newton, -newton)
        x = x + _shortened(step, radius)
        grads, _ = tree.ravel(jax.grad(objective)(fold(x), batch))
        return x, jnp.linalg.norm(grads), count + 1

    start = (flat, jnp.asarray(jnp.inf, flat.dtype), jnp.int32(0))
    start = iterate(start)
    x, norm, count = jax.lax.while_loop(searching, iterate, start)
    return Search(fold(x), norm, count)


def _shortened(step: jax.Array, radius: float) -> jax.Array:
    """The step, no longer than the radius."""
    return step * (radius / jnp.maximum(jnp.linalg.norm(step), radius))
