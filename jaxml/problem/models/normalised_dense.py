"""Dense networks with any normalisation in front of each activation."""

from collections.abc import Callable, Sequence

import jax
from jax.typing import ArrayLike

from jaxml.problem.models.chain import chain, elementwise
from jaxml.problem.models.dense import linear, mlp
from jaxml.types import Model

__all__ = ["normalised_dense"]


def normalised_dense(
    norm: Model,
    widths: Sequence[int],
    *,
    outputs: int,
    activation: Callable[[jax.Array], jax.Array] = jax.nn.relu,
    scale: ArrayLike = 1.0,
) -> Model:
    """σ(N(W x + b)) in each hidden layer, and a last layer W x + b.

    It is a `problem.chain` of three parts a hidden layer, so that the parameters of the
    first are "layer_00" for W and b and "layer_01" for those of N.

    Args:
        norm: N, such as `problem.batch_norm()` or `problem.layer_norm()`; each layer
            has parameters and a state of its own. `problem.one_of` and
            `problem.indexed_norm` make networks with and without it one program.
        widths: of the hidden layers.
        outputs: of the last layer.
        activation: σ, elementwise.
        scale: of the hidden kernels, as `problem.mlp` takes it; the last one is at 1.

    Raises:
        InputError: a width or a number of outputs below 1; or as `norm` does.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.2.
    """
    sigma = elementwise(activation)
    hidden = [
        part
        for width in widths
        for part in (mlp((width,), jax.nn.identity, scale=scale), norm, sigma)
    ]
    return chain(*hidden, linear(outputs))
