"""The minimum ratio, one name for three quantities: how much like a minimum a point is said to be."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Float

from jaxml import tree
from jaxml.types import Array, InputError, Key, Objective, Params, Scalar


def positive_share(eigenvalues: Float[Array, "*matrices p"]) -> Float[Array, "*matrices"] | float:
    """The share of eigenvalues above 0, as computed.

    An eigenvalue that is 0 in exact arithmetic comes out as rounding of either sign, so where n₀ is most
    of p the share is about one half and says nothing. `inertia` counts with a tolerance.

    >>> float(positive_share(jnp.array([-1.0, 0.0, 2.0, 5.0])))
    0.5
    """
    return (eigenvalues > 0).mean(axis=-1)


def sampling_ratio(
    objective: Objective, params: Params, batch: Any, *, radius: ArrayLike, pairs: int, key: Key
) -> Scalar:
    """The share of L(θ + r u) > L(θ) over u uniform on the unit sphere.

    Directions come in opposite pairs, so where the gradient is not 0 the ratio is 1/2 for every small
    enough radius, free of sampling error. At a critical point it tends to P(uᵀHu > 0), which is 1 at
    a minimum with a definite Hessian, and close to 1 at many a saddle. The same key gives the same
    directions at every point and radius.

    Args:
        objective: `(params, batch) -> scalar`; 2 `pairs` + 1 values of it, 2 `pairs` at once.
        params: θ.
        batch: passed to the objective.
        radius: r; may be traced.
        pairs: how many ±u.
        key: of the directions.

    >>> ratio = partial(sampling_ratio, params=jnp.zeros(2), batch=None, pairs=8, key=jax.random.key(0))
    >>> float(ratio(lambda w, _: w @ w, radius=1.0)), float(ratio(lambda w, _: w[0], radius=1.0))
    (1.0, 0.5)
    """

    def higher(key: Key) -> jax.Array:
        draw = tree.random_like(params, key)
        unit = tree.scale(1 / tree.norm(draw), draw)
        ends = (objective(tree.axpy(r, unit, params), batch) for r in (radius, -jnp.asarray(radius)))
        return jnp.stack([loss > here for loss in ends])

    here = objective(params, batch)
    return jnp.mean(jax.vmap(higher)(jax.random.split(key, pairs)), dtype=here.dtype)


def layerwise_gauss_newton_ratio(
    outputs: Callable[[Params, Any], jax.Array], params: Params, batch: Any
) -> Scalar:
    """The positive share of the eigenvalues of JₗᵀJₗ, Jₗ = ∂outputs/∂(kernel l), all layers together.

    No eigenvalue is negative in exact arithmetic, and a layer has at most as many positive ones as there
    are outputs: of a layer with more weights than that, the others are 0 and get their signs by rounding.

    Args:
        outputs: `(params, batch) -> z`, an array of any shape.
        params: leaves of two or more axes are kernels; others (biases) are left out.
        batch: passed to `outputs`.

    Raises:
        InputError: no leaf is a kernel.
    """
    with jax.default_matmul_precision("highest"):
        slopes = jax.jacfwd(outputs)(params, batch)
        pairs = zip(jax.tree.leaves(slopes), jax.tree.leaves(params), strict=True)
        layers = [slope.reshape(-1, leaf.size) for slope, leaf in pairs if leaf.ndim > 1]
        if not layers:
            raise InputError("No leaf of the parameters has two axes: give a network with kernels.")
        spectra = [jnp.linalg.eigvalsh(slope.T @ slope) for slope in layers]
    return jnp.mean(jnp.concatenate(spectra) > 0, dtype=spectra[0].dtype)
