"""Cross-entropy of targets that are no single class: smoothed labels, and mixtures."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Float

from jaxml.problem.losses import cross_entropy
from jaxml.problem.objectives import Loss
from jaxml.types import Array, InputError

__all__ = ["smoothed_cross_entropy", "soft_cross_entropy"]


def smoothed_cross_entropy(epsilon: ArrayLike) -> Loss:
    """(1 - ε)(-log p_y) + (ε / k) Σⱼ (-log pⱼ) in nats: the label with probability
    1 - ε, else any of the k classes.

    Its minimum over logits is not at infinity: p_y = 1 - ε + ε / k there.

    Args:
        epsilon: from 0 (`cross_entropy`) to below 1, perhaps traced.

    Raises:
        InputError: a known ε outside [0, 1); at a call, as `cross_entropy`.

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7.

    >>> logits, labels = jnp.array([[jnp.log(3.0), 0.0]]), jnp.array([0])
    >>> loss = smoothed_cross_entropy(0.5)(logits, labels)
    >>> round(float(loss[0] - cross_entropy(logits, labels)[0]), 4)  # (ε/2) log 3
    0.2747
    """
    known = not isinstance(epsilon, Tracer)
    if known and not np.all((np.asarray(epsilon) >= 0) & (np.asarray(epsilon) < 1)):
        raise InputError(
            f"Labels cannot be smoothed by {epsilon}: give a number from 0 to below 1."
        )

    def loss(outputs: Array, targets: Array) -> Float[jax.Array, " n"]:
        sharp = cross_entropy(outputs, targets)
        part = jnp.asarray(epsilon, sharp.dtype)
        even = jax.nn.logsumexp(outputs, axis=-1) - jnp.mean(outputs, axis=-1)
        return (1 - part) * sharp + part * even

    return loss


def soft_cross_entropy(
    outputs: Float[Array, "n k"], targets: Float[Array, "n k"]
) -> Float[jax.Array, " n"]:
    """-Σⱼ tⱼ log pⱼ in nats, from logits and probabilities t of the classes, such as
    `mixed` makes.

    >>> half = jnp.array([[0.5, 0.5]])
    >>> round(float(soft_cross_entropy(jnp.zeros((1, 2)), half)[0]), 4)  # log 2
    0.6931
    """
    return -jnp.sum(targets * jax.nn.log_softmax(outputs, axis=-1), axis=-1)
