"""Convolutional networks with any normalisation in front of each activation."""

from collections.abc import Callable, Sequence

import jax

from jaxml.problem.models.chain import chain, elementwise
from jaxml.problem.models.convolutions.layers import convolved
from jaxml.problem.models.convolutions.windows import sliding_window
from jaxml.problem.models.dense import linear
from jaxml.types import Model

__all__ = ["normalised_convolutions"]

_HE = 2.0
"""Variance of the initial kernels times the fan-in."""


def normalised_convolutions(
    norm: Model,
    channels: int,
    strides: Sequence[int],
    *,
    outputs: int,
    kernels: Callable[[Model], Model] = lambda layer: layer,
) -> Model:
    """ReLU(N(K * x + b)) in each hidden layer, and a last layer W x + b over all places
    and channels.

    Kernels are 3 by 3, and begin with He's variance. It is a `problem.chain` of three
    parts a hidden layer, as `problem.normalised_dense`.

    Args:
        norm: N, such as `problem.batch_norm()` or `problem.instance_norm()`.
        channels: of every hidden layer.
        strides: of the hidden layers.
        outputs: of the last layer.
        kernels: what each convolution is made into, such as `problem.weight_normed`.

    Raises:
        InputError: a number of channels, of outputs or a stride below 1; or as `norm`
            does.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.2.
    """
    relu = elementwise(jax.nn.relu)
    hidden = []
    for stride in strides:
        layer = convolved(channels, sliding_window(3, stride), variance=_HE)
        hidden += [kernels(layer), norm, relu]
    return chain(*hidden, linear(outputs))
