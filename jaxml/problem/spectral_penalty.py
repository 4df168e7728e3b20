"""The penalty of large singular values: spectral-norm regularisation."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxml.problem.losses import Penalty
from jaxml.types import InputError, Params, Scalar

__all__ = ["spectral_penalty"]


def spectral_penalty(coefficient: ArrayLike, *, iterations: int = 16) -> Penalty:
    """Coefficient / 2 · Σ σ(W)² over all kernels, σ the largest singular value.

    A kernel is a parameter of two axes or more, read as a matrix `[all other axes,
    outputs]`; so of a convolution σ is that of the kernel, not of the map. σ² is ‖W v‖²
    where v comes of a power iteration on Wᵀ W and is a constant of the gradient, which
    is then coefficient · σ u vᵀ. It is at most the true σ², and short of it by a
    fraction of (σ₂ / σ₁)^(4 · iterations) times what v misses at first. The paper goes
    on with the vector of the update before, by one iteration an update; here every call
    begins anew, so that the penalty is a function of the parameters alone.

    Args:
        coefficient: the paper's λ; may be traced.
        iterations: of the power iteration, each of the cost of two products with W.

    Raises:
        InputError: no iteration; at a call, parameters without a kernel.

    Source: Yoshida and Miyato 2017, arXiv:1705.10941, algorithm 1.

    >>> penalty = spectral_penalty(1.0)
    >>> float(penalty({"kernel": jnp.diag(jnp.array([3.0, 1.0]))}))
    4.5
    """
    if iterations < 1:
        raise InputError(
            f"A power iteration of {iterations} steps finds no singular vector: give 1 "
            "or more."
        )

    def penalty(params: Params) -> Scalar:
        kernels = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
        if not kernels:
            raise InputError(
                "No parameter has two axes, so there is no singular value to penalise: "
                "give a network with a dense layer or a convolution."
            )
        squares = [_largest_square(kernel, iterations) for kernel in kernels]
        total = sum(squares[1:], squares[0])
        return jnp.asarray(coefficient, total.dtype) * total / 2

    return penalty


def _largest_square(kernel: jax.Array, iterations: int) -> jax.Array:
    """σ², by a vector that starts where no symmetry makes it miss the largest."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    fixed = jax.lax.stop_gradient(matrix)
    first = jnp.cos(jnp.arange(1, matrix.shape[1] + 1, dtype=matrix.dtype))

    def once(_: jax.Array, right: jax.Array) -> jax.Array:
        return _unit(_times(_times(fixed, right), fixed))

    right = jax.lax.fori_loop(0, iterations, once, _unit(first))
    return jnp.sum(jnp.square(_times(matrix, right)))


def _times(one: jax.Array, other: jax.Array) -> jax.Array:
    """A product whose rounding is that of its dtype on every device."""
    return jnp.matmul(one, other, precision="highest")


def _unit(vector: jax.Array) -> jax.Array:
    tiny = jnp.finfo(vector.dtype).tiny
    return vector / jnp.maximum(jnp.linalg.norm(vector), tiny)
