"""A saddle of a wider network, built from a critical point of a narrower one."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml.types import Array, Params


def zero_unit(params: Params, incoming: str, outgoing: str) -> Params:
    """The same function with one more hidden unit between two dense layers, all of
    whose weights are 0.

    With an odd activation of slope 1 at 0 (tanh) a critical point stays one. The
    Hessian gains, beside the old spectrum, the eigenvalues `zero_unit_eigenvalues`, so
    a minimum becomes a strict saddle wherever the data still correlate with the output
    error.

    Args:
        params: layers by name, each `{"kernel": [in, out], "bias": [out]}`.
        incoming: the layer whose outputs are the hidden units.
        outgoing: the layer that reads them.

    Source: Fukumizu and Amari 2000, Neural Networks 13, theorem 3, for the unit with
    zero weights.
    """
    first, second = params[incoming], params[outgoing]
    column = ((0, 0), (0, 1))
    row = ((0, 1), (0, 0))
    wider = {
        "kernel": jnp.pad(first["kernel"], column),
        "bias": jnp.pad(first["bias"], (0, 1)),
    }
    reader = {
        "kernel": jnp.pad(second["kernel"], row),
        "bias": second["bias"],
    }
    return params | {incoming: wider, outgoing: reader}


def zero_unit_eigenvalues(
    errors: Float[Array, "n o"],
    inputs: Float[Array, "n d"],
    weights: Float[Array, " n"],
) -> Float[jax.Array, " added"]:
    """±σᵢ(M) and zeros, ascending: the spectrum that a zero unit of slope 1 adds,
    without penalty.

    M = mean of δ [x, 1]ᵀ, `[o, d + 1]`. The unit's block of the Hessian is [[0, Mᵀ],
    [M, 0]], since its contribution v tanh(wᵀx + b) is bilinear in (v, (w, b)) at 0 and
    touches no other weight to second order. An l2 penalty c ‖θ‖² adds 2c to each.

    Args:
        errors: δ, the loss's gradient at the outputs, one row an example, before
            averaging.
        inputs: what the hidden layer sees.
        weights: of the examples in the mean.
    """
    ones = jnp.ones((len(inputs), 1), inputs.dtype)
    with_one = jnp.concatenate([inputs, ones], axis=1)
    weighted = errors * weights[:, None]
    mean = weighted.T @ with_one / jnp.sum(weights)
    singular = jnp.linalg.svd(mean, compute_uv=False)
    left = sum(mean.shape) - 2 * singular.size
    zeros = jnp.zeros(left, mean.dtype)
    everything = jnp.concatenate([singular, -singular, zeros])
    return jnp.sort(everything)
