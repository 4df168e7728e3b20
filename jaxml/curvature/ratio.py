"""The minimum ratio, one name for three quantities: how much like a minimum a point is
said to be.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.space import check_deterministic, check_space
from jaxml.types import Array, InputError, Key, Objective, Params, Scalar


def positive_fraction(
    eigenvalues: Float[Array, "*matrices p"],
) -> Float[Array, "*matrices"] | float:
    """The fraction of eigenvalues above 0, as computed.

    An eigenvalue that is 0 in exact arithmetic comes out as rounding of either sign, so
    where n₀ is most of p the fraction is about one half whatever the point is.
    `inertia` counts with a tolerance. Where an eigenvalue is NaN the fraction is NaN.

    >>> float(positive_fraction(jnp.array([-1.0, 0.0, 2.0, 5.0])))
    0.5
    """
    fraction = (eigenvalues > 0).mean(axis=-1)
    numbers = jnp if isinstance(eigenvalues, jax.Array) else np
    return numbers.where(numbers.isnan(eigenvalues).any(axis=-1), np.nan, fraction)


def sampling_ratio(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    radius: ArrayLike,
    pairs: int,
    key: Key,
) -> Scalar:
    """The fraction of L(θ ± r u) > L(θ) over directions u uniform on the unit sphere.

    Where the gradient is not 0, one of two opposite neighbours lies higher if r is
    small, so the ratio tends to 1/2, free of sampling error. At a critical point it
    tends to P(uᵀHu > 0), which is 1 at a minimum and close to 1 at a saddle whose few
    negative eigenvalues are small against the trace. A loss of +inf lies higher than
    any other; where L(θ) is not finite, a neighbour's loss is NaN, or r is 0 so that
    there is no neighbour, the ratio is NaN.

    Args:
        objective: `(params, batch) -> scalar`. The memory is that of 2 `pairs` of its
            values at once.
        params: θ.
        batch: passed to the objective.
        radius: r; may be traced.
        pairs: how many u.
        key: the same key gives the same directions at every point and radius.

    Raises:
        InputError: no pair; the parameters are empty, or not of one precision; the
            objective is another function each time it is traced.

    >>> choice = {"radius": 1.0, "pairs": 8, "key": jax.random.key(0)}
    >>> float(sampling_ratio(lambda w, _: w @ w, jnp.zeros(2), None, **choice))
    1.0
    >>> float(sampling_ratio(lambda w, _: w[0], jnp.zeros(2), None, **choice))
    0.5
    """
    if pairs < 1:
        raise InputError(f"{pairs} pairs of neighbours give no ratio: take 1 or more.")
    check_space(params)
    check_deterministic(objective, params, batch)
    flat, unravel = tree.ravel(params)
    draws = jax.random.normal(key, (pairs, flat.size), jnp.float32).astype(flat.dtype)
    steps = (
        jnp.asarray(radius, flat.dtype)
        * draws
        / jnp.linalg.norm(draws, axis=1, keepdims=True)
    )
    losses = jax.vmap(lambda step: objective(unravel(flat + step), batch))(
        jnp.concatenate([steps, -steps])
    )
    here = objective(params, batch)
    known = (
        jnp.isfinite(here) & ~jnp.any(jnp.isnan(losses)) & (jnp.asarray(radius) != 0)
    )
    return jnp.where(known, jnp.mean(losses > here, dtype=flat.dtype), jnp.nan)


def layerwise_gauss_newton_ratio(
    outputs: Callable[[Params, Any], jax.Array], params: Params, batch: Any
) -> Scalar:
    """The fraction above 0 of the eigenvalues of JₗᵀJₗ, Jₗ = ∂outputs/∂(kernel l), of
    all layers together.

    In exact arithmetic none is negative, and a layer has no more positive ones than
    there are outputs: of a layer with more weights than that, the other eigenvalues are
    0 and get their signs by rounding.

    Args:
        outputs: `(params, batch) -> z`, an array of any shape.
        params: leaves of two or more axes are kernels; others (biases) are left out.
        batch: passed to `outputs`.

    Raises:
        InputError: no leaf is a kernel.
    """
    with jax.default_matmul_precision("highest"):
        jacobians = jax.tree.leaves(jax.jacfwd(outputs)(params, batch))
        leaves = jax.tree.leaves(params)
        layers = [
            jacobian.reshape(-1, leaf.size)
            for jacobian, leaf in zip(jacobians, leaves, strict=True)
            if leaf.ndim > 1
        ]
        if not layers:
            raise InputError(
                "No leaf of the parameters has two axes: give a network that has "
                "kernels."
            )
        spectrum = jnp.concatenate(
            [jnp.linalg.eigvalsh(layer.T @ layer) for layer in layers]
        )
    return jnp.asarray(positive_fraction(spectrum), spectrum.dtype)
