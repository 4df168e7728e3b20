"""Other initial weights of networks that also have parameters which begin at one."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxml.problem.tasks.overfitting import other_signs
from jaxml.types import Array, Params

__all__ = ["other_kernel_signs"]


def other_kernel_signs(params: Params, number: ArrayLike) -> Params:
    """Initial parameters whose kernels have signs drawn anew by a number, those given
    at number 0.

    As `other_signs` it gives another start that is as probable, also to networks with a
    normalisation, whose γ has to begin at one: biases, γ and β, which have one axis,
    stay.

    Args:
        params: of a network; kernels are all that has two axes or more.
        number: of the draw, perhaps traced.

    >>> params = {"kernel": jnp.full((1, 4), 2.0), "scale": jnp.ones(4)}
    >>> other = other_kernel_signs(params, 1)
    >>> jnp.abs(other["kernel"]).tolist(), other["scale"].tolist()
    ([[2.0, 2.0, 2.0, 2.0]], [1.0, 1.0, 1.0, 1.0])
    """
    drawn = other_signs(params, number)

    def one(old: Array, new: Array) -> Array:
        return new if jnp.ndim(old) > 1 else old

    return jax.tree.map(one, params, drawn)
