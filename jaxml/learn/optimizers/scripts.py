"""Scripts of gradients: what an optimizer makes of gradients that are written down
beforehand.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxml.learn.optimizers.door import begin, update
from jaxml.types import Params


def steps_along(optimizer: optax.GradientTransformation, gradients: Params) -> Params:
    """Δθ of every update on the given gradients, with a leading axis `[step]`.

    The parameters stay at 0, so that what reads them, such as weight decay, adds
    nothing.

    Args:
        optimizer: any chain.
        gradients: with a leading axis `[step]`; of the dtype of the steps.

    >>> steps_along(optax.sgd(0.5), jnp.array([1.0, 2.0])).tolist()
    [-0.5, -1.0]
    """
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), gradients)

    def one(state: Any, gradient: Params) -> tuple[Any, Params]:
        step, state = update(optimizer, gradient, state, zero)
        return state, step

    return jax.lax.scan(one, begin(optimizer, zero), gradients)[1]
