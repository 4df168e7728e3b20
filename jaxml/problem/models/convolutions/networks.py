"""Small networks for pictures: residual, the same without shortcuts, and VGG."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp

from jaxml.problem.models.chain import chain, elementwise, with_shortcut
from jaxml.problem.models.convolutions.layers import channel_bias, convolved
from jaxml.problem.models.convolutions.pooling import global_mean, max_pooling
from jaxml.problem.models.convolutions.windows import sliding_window
from jaxml.problem.models.dense import linear
from jaxml.types import InputError, Model

__all__ = ["plain_net", "resnet", "vgg"]

Normaliser = Callable[[], Model]
"""Makes the layer behind a convolution, such as `problem.batch_norm`."""

_HE = 2.0
"""Variance of the initial weights times the fan-in, for ReLU."""


def resnet(
    depth: int = 8,
    width: int = 16,
    classes: int = 10,
    *,
    normaliser: Normaliser = channel_bias,
) -> Model:
    """The residual network of CIFAR: a convolution, three stages of n blocks, the mean
    over the picture, and a dense layer: 6n + 2 layers with weights.

    A block is ReLU(x + N(K * ReLU(N(K' * x)))), of 3 x 3 kernels without bias and
    normalisers N. The stages have `width`, 2 `width` and 4 `width` channels; the second
    and the third begin with stride 2, where the shortcut takes every second pixel and
    has zeros for the channels that are new (option A). Kernels are normal, truncated,
    with variance 2 / fan-in.

    Args:
        depth: 6n + 2: 8, 14, 20, 32, 44, 56, 110.
        width: channels of the first stage.
        classes: outputs.
        normaliser: makes an N; a bias a channel when not given.

    Raises:
        InputError: another depth, or a number below 1; at a call, inputs that are no
            pictures, or of fewer than 5 x 5 pixels.

    Source: He et al. 2015, arXiv:1512.03385, section 4.2.
    """
    return _staged(depth, width, classes, normaliser, _residual)


def plain_net(
    depth: int = 8,
    width: int = 16,
    classes: int = 10,
    *,
    normaliser: Normaliser = channel_bias,
) -> Model:
    """`resnet` without its shortcuts, which have no parameters: the same initial
    weights under the same key, in the same number.
    """
    return _staged(depth, width, classes, normaliser, _plain)


def vgg(
    stages: Sequence[Sequence[int]] = ((16, 16), (32, 32), (64, 64)),
    classes: int = 10,
    *,
    hidden: Sequence[int] = (),
    normaliser: Normaliser = channel_bias,
) -> Model:
    """Stages of 3 x 3 convolutions, normaliser and ReLU, each ended by a 2 x 2 max
    pool; then dense layers.

    Args:
        stages: the channels of each convolution, stage by stage.
        classes: outputs.
        hidden: widths of dense layers, with ReLU, before the last one.
        normaliser: behind each convolution; a bias a channel when not given.

    Raises:
        InputError: no stage, one without a convolution, or a number below 1; at a call,
            inputs that are no pictures, or vanish in the pools.

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556, section 2.
    """
    if not stages or not all(stages):
        raise InputError(
            f"The stages {stages} make no network: give each one convolution or more."
        )
    layers = []
    for stage in stages:
        for channels in stage:
            layers += [*_normalised(channels, 1, normaliser), _relu()]
        layers.append(max_pooling(2))
    for units in hidden:
        layers += [linear(units), _relu()]
    return chain(*layers, linear(classes))


def _staged(
    depth: int,
    width: int,
    classes: int,
    normaliser: Normaliser,
    join: Callable[[Model, Model | None], Model],
) -> Model:
    if depth < 8 or depth % 6 != 2:
        raise InputError(
            f"Three stages of blocks of two layers have no depth of {depth}: choose "
            "8, 14, 20 or another 6n + 2."
        )
    parts = [*_normalised(width, 1, normaliser), _relu()]
    for stage in range(3):
        channels = width * 2**stage
        for block in range((depth - 2) // 6):
            stride = 2 if stage and not block else 1
            branch = chain(
                *_normalised(channels, stride, normaliser),
                _relu(),
                *_normalised(channels, 1, normaliser),
            )
            shortcut = None if stride == 1 else _narrowed(channels // 2)
            parts += [join(branch, shortcut), _relu()]
    return chain(*parts, global_mean(), linear(classes))


def _residual(branch: Model, shortcut: Model | None) -> Model:
    return with_shortcut(branch, shortcut)


def _plain(branch: Model, shortcut: Model | None) -> Model:
    del shortcut
    return chain(branch)


def _normalised(
    channels: int, stride: int, normaliser: Normaliser
) -> tuple[Model, Model]:
    """A 3 x 3 convolution without bias, and its normaliser."""
    layer = convolved(channels, sliding_window(3, stride), bias=False, variance=_HE)
    return layer, normaliser()


def _narrowed(new: int) -> Model:
    """Every second pixel, with zeros for so many new channels: the shortcut to a stage
    of half the pixels.
    """
    return elementwise(partial(_padded, new=new))


def _padded(pictures: jax.Array, *, new: int) -> jax.Array:
    taken = pictures[:, ::2, ::2]
    return jnp.pad(taken, ((0, 0), (0, 0), (0, 0), (0, new)))


def _relu() -> Model:
    return elementwise(jax.nn.relu)
