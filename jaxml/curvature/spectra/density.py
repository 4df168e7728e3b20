"""The density of the spectrum, by quadrature from random vectors."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Float

from jaxml import memory, tree
from jaxml.curvature.hutchinson import Estimate, check_probes, mean_over
from jaxml.curvature.lanczos import krylov_bytes, lanczos
from jaxml.curvature.space import check_space
from jaxml.curvature.spectra.krylov import check_finite, run_with
from jaxml.types import Array, InputError, Key, Matvec, Params

BLOCK = 1024
"""Entries of a direction that are drawn at a time."""


class Density(NamedTuple):
    """Σᵢ wᵢ δ(λ - xᵢ) of each probe: a spectrum as so many point masses.

    Attributes:
        nodes: x, `[probe, depth]`, ascending, in the matrix's units.
        weights: w, `[probe, depth]`; those of a probe sum to 1.
    """

    nodes: Float[Array, "probe depth"]
    weights: Float[Array, "probe depth"]


def spectral_density(
    matvec: Matvec, params: Params, *, depth: int, probes: int, key: Key
) -> Density:
    """(1/p) Σᵢ δ(λ - λᵢ) of a symmetric matrix, by stochastic Lanczos quadrature.

    A probe is a random direction z; its spectral measure Σᵢ ⟨z, uᵢ⟩² δ(λ - λᵢ) has the
    density as its mean, and the eigenvalues of the Lanczos matrix of z, weighted by
    the squared first entries of their vectors, are its Gauss quadrature: exact for
    polynomials of degree 2 depth - 1. Directions are normal vectors scaled to length 1,
    for then the variance of a probe's mean of f is 2 Var f(λ) / (p + 2) whatever the
    eigenvectors are; that of random signs is smaller where they are aligned with the
    axes, but depends on them.

    Two errors: that of the probes, which the estimates of this module report, and that
    of the depth, which they do not see: the density is resolved to about the spacing
    of the nodes, at the ends finer than inside, and an eigenvalue of a weight far below
    1/p of a probe may have no node.

    `depth` products a probe, one probe after another. Memory: `depth` + 5 vectors of
    parameters. Works inside `jit`; outside, the program of a `hessian_product` is kept.

    Args:
        matvec: a symmetric map.
        params: the space it acts on; only shapes and dtype are read.
        depth: of each Krylov space; clipped to the number of parameters, where the
            quadrature is exact.
        probes: how many directions.
        key: of the directions.

    Raises:
        InputError: no probe, no depth; the basis does not fit in memory; the parameters
            are empty, or not of one precision; outside `jit`, the products are not
            finite. Inside, the result is NaN then.

    Source: Ubaru, Chen and Saad 2017, SIAM J. Matrix Anal. Appl. 38, algorithm 1;
    Ghorbani, Krishnan and Xiao 2019, arXiv:1901.10159, section 2; Papyan 2019,
    arXiv:1811.07062.

    >>> product = lambda v: 3 * v
    >>> estimated = jax.jit(partial(spectral_density, product, depth=1, probes=2))
    >>> density = estimated(jnp.array([0.0, 0.0]), key=jax.random.key(0))
    >>> jnp.round(density.nodes, 4).tolist(), density.weights.tolist()
    ([[3.0], [3.0]], [[1.0], [1.0]])
    """
    dtype = check_space(params)
    size = tree.size(params)
    check_probes(probes)
    depth = min(depth, size)
    if depth < 1:
        raise InputError(f"A depth of {depth} shows no spectrum: take 1 or more.")
    memory.require(
        krylov_bytes(size, depth, dtype),
        f"A Krylov basis of depth {depth}",
        "lower the depth",
    )
    keys = jax.random.split(key, probes)
    density = run_with(_density, matvec, (depth,), params, keys)
    check_finite(density.nodes)
    return density


def smoothed_density(density: Density, at: Array, *, width: ArrayLike) -> Estimate:
    """Σᵢ wᵢ N(λ; xᵢ, width²) at each λ: the density seen through a Gaussian.

    No products.

    Args:
        density: of `spectral_density`.
        at: λ, `[grid]`.
        width: standard deviation of the Gaussian, in the matrix's units; may be traced.
            One below the spacing of the nodes shows the nodes, not the spectrum.

    Returns:
        An Estimate of `[grid]`, the mean over the probes and its standard error.

    Source: Ghorbani, Krishnan and Xiao 2019, arXiv:1901.10159, equation 3.

    >>> point = Density(jnp.zeros((1, 1)), jnp.ones((1, 1)))
    >>> found = smoothed_density(point, jnp.array([0.0]), width=1.0)
    >>> round(float(found.value[0]), 4)
    0.3989
    """
    dtype = density.nodes.dtype
    grid = jnp.asarray(at, dtype)
    scale = jnp.asarray(width, dtype)

    def at_one(place: jax.Array) -> Estimate:
        def kernel(nodes: jax.Array) -> jax.Array:
            distance = (nodes - place) / scale
            standard = jax.scipy.stats.norm.pdf(distance)
            return standard / scale

        return _mean(density, kernel)

    return jax.lax.map(at_one, grid)


def fraction_below(density: Density, threshold: ArrayLike) -> Estimate:
    """The fraction of eigenvalues below a threshold, and its standard error.

    The threshold cuts a probe's quadrature between two nodes; the measure that it
    stands for has there a fraction that differs from it by less than the weight of the
    node nearest below, or that of the node nearest above (Chebyshev, Markov and
    Stieltjes). The standard error does not include this; it is small where no single
    node near the threshold is heavy, and large where many eigenvalues are within
    rounding of it.

    Args:
        density: of `spectral_density`.
        threshold: in the matrix's units; may be traced.

    Source: Szegő 1939, Orthogonal Polynomials, section 3.41.

    >>> density = Density(jnp.array([[-1.0, 2.0]]), jnp.array([[0.25, 0.75]]))
    >>> float(jax.jit(fraction_below)(density, 0.0).value)
    0.25
    """
    dtype = density.nodes.dtype
    limit = jnp.asarray(threshold, dtype)

    def below(nodes: jax.Array) -> jax.Array:
        holds = nodes < limit
        return holds.astype(nodes.dtype)

    return _mean(density, below)


def _mean(density: Density, function: Callable[[jax.Array], jax.Array]) -> Estimate:
    """(1/p) tr f(A), over the probes."""
    nodes = jnp.asarray(density.nodes)
    weights = jnp.asarray(density.weights)
    values = function(nodes)
    of_probes = jnp.sum(weights * values, axis=1)
    return mean_over(of_probes)


def _density(matvec: Matvec, depth: int, params: Params, keys: jax.Array) -> Density:
    probe = partial(_probe, matvec, params, depth)
    return jax.lax.map(probe, keys)


def _probe(matvec: Matvec, params: Params, depth: int, key: Key) -> Density:
    start = _normal_like(params, key)
    krylov = lanczos(matvec, start, depth=depth)
    nodes, rotation = jnp.linalg.eigh(krylov.tridiagonal)
    first_entries = rotation[0]
    return Density(nodes, first_entries**2)


def _normal_like(params: Params, key: Key) -> Params:
    """Independent standard normal entries, drawn a block at a time: a loop around one
    draw of all entries would keep its counters, two vectors of parameters.
    """
    flat, unravel = tree.ravel(params)
    blocks = -(-flat.size // BLOCK)

    def block(key: Key) -> jax.Array:
        return jax.random.normal(key, (BLOCK,), "float32")

    keys = jax.random.split(key, blocks)
    drawn = jax.lax.map(block, keys)
    entries = drawn.ravel()[: flat.size]
    return unravel(entries.astype(flat.dtype))
