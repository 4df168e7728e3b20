"""The diagonal and the trace of a matrix from products with random signs."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxml import memory, tree
from jaxml.curvature.hutchinson import (
    Estimate,
    check_probes,
    mean_over,
    signs_like,
)
from jaxml.curvature.space import check_space
from jaxml.curvature.spectra.krylov import (
    check_finite,
    next_direction,
    projection,
    run_with,
)
from jaxml.types import InputError, Key, Matvec, Params, Scalar


class Diagonal(NamedTuple):
    """The diagonal of a matrix, entry by entry.

    Attributes:
        values: the estimates, a pytree like the parameters.
        errors: their standard errors over the probes, likewise; nan with one probe.
    """

    values: Params
    errors: Params


def diagonal(matvec: Matvec, params: Params, *, probes: int, key: Key) -> Diagonal:
    """Aᵢᵢ as the mean of zᵢ (Az)ᵢ over vectors z of independent random signs.

    One product a probe, one after another; memory: ten vectors of parameters. The
    variance of a probe is Σⱼ≠ᵢ Aᵢⱼ², so that a diagonal matrix is exact with one.
    Works inside `jit` and `vmap`; outside, the program of a `hessian_product` is kept.

    Args:
        matvec: a linear map.
        params: the space it acts on; only shapes and dtype are read.
        probes: how many z.
        key: of the signs.

    Raises:
        InputError: no probe; the parameters are empty, or not of one precision; outside
            `jit`, the products are not finite.

    Source: Bekas, Kokiopoulou and Saad 2007, Applied Numerical Mathematics 57, equation
    2; Welford 1962, Technometrics 4, for the running sums.

    >>> product = lambda v: v * jnp.array([1.0, 2.0])
    >>> estimated = jax.jit(partial(diagonal, product, probes=2))
    >>> found = estimated(jnp.array([0.0, 0.0]), key=jax.random.key(0))
    >>> found.values.tolist(), found.errors.tolist()
    ([1.0, 2.0], [0.0, 0.0])
    """
    check_probes(probes)
    check_space(params)
    keys = jax.random.split(key, probes)
    found = run_with(_diagonal, matvec, (), params, keys)
    check_finite(ravel_pytree(found.values)[0])
    return found


class _Running(NamedTuple):
    """Of the probes so far: how many, their mean, and Σ (x - mean)², by entry."""

    probes: jax.Array
    mean: Params
    squares: Params


def _diagonal(matvec: Matvec, params: Params, keys: jax.Array) -> Diagonal:
    probes = len(keys)
    dtype = jnp.result_type(*jax.tree.leaves(params))

    def add(running: _Running, key: Key) -> tuple[_Running, None]:
        signs = signs_like(params, key)
        drawn = jax.tree.map(jnp.multiply, signs, matvec(signs))
        count = running.probes + 1
        apart = jax.tree.map(jnp.subtract, drawn, running.mean)
        left = 1 - 1 / count

        def further(square: jax.Array, distance: jax.Array) -> jax.Array:
            return square + left * distance**2

        mean = tree.axpy(1 / count, apart, running.mean)
        squares = jax.tree.map(further, running.squares, apart)
        return _Running(count, mean, squares), None

    nothing = jax.tree.map(jnp.zeros_like, params)
    begun = _Running(jnp.zeros((), dtype), nothing, nothing)
    with jax.default_matmul_precision("highest"):
        (_, mean, squares), _ = jax.lax.scan(add, begun, keys)

    def error(square: jax.Array) -> jax.Array:
        if probes == 1:
            return jnp.full_like(square, jnp.nan)
        return jnp.sqrt(square / (probes * (probes - 1)))

    return Diagonal(mean, jax.tree.map(error, squares))


def hutch_plus_plus(
    matvec: Matvec, params: Params, *, rank: int, probes: int, key: Key
) -> Estimate:
    """tr A = tr QᵀAQ + tr (I - QQᵀ) A (I - QQᵀ): the first exactly, the second by
    random signs.

    Q spans the images of `rank` vectors of random signs, and so most of what a few
    large eigenvalues contribute. For a positive semi-definite A the error falls as one
    over the products instead of one over their root; for any A the estimate is
    unbiased. Its standard error is that of the second part over the probes, given Q.

    2 `rank` + `probes` products, one after another; the paper takes `rank` = `probes`.
    Memory: `rank` + 10 vectors of parameters. Works inside `jit`; outside, the program
    of a `hessian_product` is kept.

    Args:
        matvec: a symmetric map.
        params: the space it acts on; only shapes and dtype are read.
        rank: columns of Q, at most the number of parameters.
        probes: of the rest.
        key: of all signs.

    Raises:
        InputError: no probe, a rank outside this range; Q does not fit in memory; the
            parameters are empty, or not of one precision; outside `jit`, the products
            are not finite.

    Source: Meyer et al. 2021, arXiv:2010.09649, algorithm 1 and theorem 1.
    """
    dtype, size = check_space(params), tree.size(params)
    check_probes(probes)
    if not 1 <= rank <= size:
        raise InputError(
            f"A rank of {rank} does not fit {size} parameters: take 1 to {size}."
        )
    memory.require(
        (rank + 10) * size * dtype.itemsize,
        f"A subspace of rank {rank}",
        "lower the rank",
    )
    of_span, of_rest = jax.random.split(key)
    keys = jax.random.split(of_span, rank), jax.random.split(of_rest, probes)
    found = run_with(_hutch_plus_plus, matvec, (), params, *keys)
    check_finite(found.value)
    return found


def _hutch_plus_plus(
    matvec: Matvec, params: Params, of_span: jax.Array, of_rest: jax.Array
) -> Estimate:
    vector, unravel = tree.ravel(params)
    rank = len(of_span)

    def image(direction: jax.Array) -> jax.Array:
        return tree.ravel(matvec(unravel(direction)))[0]

    def quadratic(direction: jax.Array) -> Scalar:
        return tree.vdot(direction, image(direction))

    def spanned(number: jax.Array, rows: jax.Array) -> jax.Array:
        seen = image(draw(of_span[number]))
        return rows.at[number].set(next_direction(seen, rows, number))

    def draw(key: Key) -> jax.Array:
        return tree.ravel(signs_like(params, key))[0]

    def outside(rows: jax.Array, key: Key) -> Scalar:
        _, rest = projection(draw(key), rows)
        return quadratic(rest)

    with jax.default_matmul_precision("highest"):
        none = jnp.zeros((rank, vector.size), vector.dtype)
        rows = jax.lax.fori_loop(0, rank, spanned, none)
        inside = jnp.sum(jax.lax.map(quadratic, rows))
        rest = mean_over(jax.lax.map(partial(outside, rows), of_rest))
    return Estimate(inside + rest.value, rest.error)
