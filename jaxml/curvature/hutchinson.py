"""Traces and norms of a matrix from products with random signs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxml import tree
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_space
from jaxml.types import InputError, Key, Matvec, Params, Scalar


class Estimate(NamedTuple):
    """A mean over random probes.

    Attributes:
        value: the estimate.
        error: its standard error over the probes; nan with one probe.
    """

    value: Scalar
    error: Scalar


def trace(matvec: Matvec, params: Params, *, key: Key, probes: int) -> Estimate:
    """tr A as the mean of zᵀAz over vectors z of independent random signs.

    One product a probe, one after another. The variance of a probe of a symmetric A is
    2 Σᵢ≠ⱼ Aᵢⱼ², so that a diagonal matrix is exact with one. Works inside `jit` and
    `vmap`; outside, the program of a `hessian_product` is kept.

    Args:
        matvec: a linear map.
        params: the space it acts on; only shapes and dtype are read.
        key: of the signs.
        probes: how many z.

    Raises:
        InputError: no probe; the parameters are empty, or not of one precision.

    Source: Hutchinson 1989, Communications in Statistics 18; the variance, Avron and
    Toledo 2011, Journal of the ACM 58, lemma 9.

    >>> product = lambda v: jnp.array([1.0, 2.0, 3.0]) * v
    >>> found = trace(product, jnp.ones(3), key=jax.random.key(0), probes=2)
    >>> float(found.value), float(found.error)
    (6.0, 0.0)
    """
    return _probed(_quadratic, matvec, params, key, probes)


def frobenius_norm(
    matvec: Matvec, params: Params, *, key: Key, probes: int
) -> Estimate:
    """‖A‖_F as the root of the mean of ‖Az‖² over vectors z of random signs.

    Of a symmetric A it is √Σᵢ λᵢ². Cost and arguments as `trace`. The square is
    unbiased, and its root is low by about half the squared relative error.

    Raises:
        InputError: as `trace`.

    >>> product = lambda v: jnp.array([3.0, 4.0]) * v
    >>> found = frobenius_norm(product, jnp.ones(2), key=jax.random.key(0), probes=2)
    >>> float(found.value)
    5.0
    """
    square = _probed(_square, matvec, params, key, probes)
    root = jnp.sqrt(square.value)
    positive = root > 0
    error = square.error / (2 * jnp.where(positive, root, 1))
    return Estimate(root, jnp.where(positive, error, 0))


def mean_over(values: jax.Array) -> Estimate:
    """The mean of `[probe]` and its standard error."""
    probes = len(values)
    mean = jnp.mean(values)
    spread = jnp.sum((values - mean) ** 2) / max(probes - 1, 1)
    error = jnp.sqrt(spread / probes) if probes > 1 else jnp.full_like(mean, jnp.nan)
    return Estimate(mean, error)


def signs_like(x: Params, key: Key) -> Params:
    """Independent random signs of the shapes and dtypes of x, the same in both
    precisions.
    """

    def sign(draw: jax.Array) -> jax.Array:
        return jnp.where(draw < 0, -jnp.ones_like(draw), jnp.ones_like(draw))

    return jax.tree.map(sign, tree.random_like(x, key))


def check_probes(probes: int) -> None:
    """One probe or more.

    Raises:
        InputError: there is none.
    """
    if probes < 1:
        raise InputError(f"{probes} probes estimate nothing: take 1 or more.")


Form = Callable[[Params, Params], Scalar]
"""`(z, Az) -> number`."""


def _quadratic(vector: Params, image: Params) -> Scalar:
    return tree.vdot(vector, image)


def _square(vector: Params, image: Params) -> Scalar:
    del vector
    return tree.vdot(image, image)


def _probed(
    form: Form, matvec: Matvec, params: Params, key: Key, probes: int
) -> Estimate:
    """The mean of a form, by a program that is kept where the map is a pytree."""
    check_probes(probes)
    check_space(params)
    keys = jax.random.split(key, probes)
    if isinstance(matvec, Partial):
        residuals, structure = jax.tree.flatten(matvec)
        return run(_unflattened, (form, structure), residuals, params, keys)
    return _mean(form, matvec, params, keys)


def _unflattened(
    form: Form, structure: Any, residuals: list[Any], params: Params, keys: jax.Array
) -> Estimate:
    return _mean(form, jax.tree.unflatten(structure, residuals), params, keys)


def _mean(form: Form, matvec: Matvec, params: Params, keys: jax.Array) -> Estimate:
    def probe(key: Key) -> Scalar:
        vector = signs_like(params, key)
        return form(vector, matvec(vector))

    with jax.default_matmul_precision("highest"):
        return mean_over(jax.lax.map(probe, keys))
