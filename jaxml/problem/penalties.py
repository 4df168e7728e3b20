"""Penalties of some of the parameters."""

import jax

from jaxml.problem.losses import Penalty
from jaxml.types import InputError, Params, Scalar

__all__ = ["without_biases"]


def without_biases(penalty: Penalty) -> Penalty:
    """The penalty of the weights alone: of parameters with two axes or more.

    Biases and factors of normalised units have one axis; they move and scale a function
    without bending it, so a penalty on them only keeps it from the targets' mean.

    Args:
        penalty: such as `l2(1e-3)` or `l1(1e-3)`.

    Raises:
        InputError: at a call, parameters that have no weights in this sense.

    >>> import jax.numpy as jnp
    >>> from jaxml.problem.losses import l2
    >>> params = {"kernel": jnp.array([[1.0, 2.0]]), "bias": jnp.array([3.0])}
    >>> float(without_biases(l2(0.5))(params)), float(l2(0.5)(params))
    (2.5, 7.0)
    """

    def of_weights(params: Params) -> Scalar:
        weights = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
        if not weights:
            raise InputError(
                "No parameter has two axes, so all would be taken for biases: give the "
                "penalty itself."
            )
        return penalty(weights)

    return of_weights
