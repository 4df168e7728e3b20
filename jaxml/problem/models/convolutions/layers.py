"""Layers with weights: convolutions, locally connected ones, and a bias a channel."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import variance_scaling

from jaxml.problem.models.convolutions.operations import correlate, require_groups
from jaxml.problem.models.convolutions.windows import (
    Padding,
    Sizes,
    SlidingWindow,
    output_shape,
    require_pictures,
    shifts,
    sliding_window,
)
from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["channel_bias", "convolution", "locally_connected"]

_LECUN = 1.0
"""Variance of the initial weights times the fan-in."""


def convolution(
    channels: int,
    kernel: Sizes = 3,
    stride: Sizes = 1,
    dilation: Sizes = 1,
    padding: Padding = "same",
    groups: int = 1,
    bias: bool = True,
) -> Model:
    """y[i, j, o] = b[o] + Σ_{r,s,c} K[r, s, c, o] x[iS + rD - P, jS + sD - P, c], zero
    outside, of pictures `[n, height, width, channels]`.

    Parameters are `kernel` `[rows, columns, channels / groups, outputs]`, normal,
    truncated at two standard deviations, with variance 1 / fan-in, and `bias`
    `[outputs]`, zero. Each filter is as deep as the pictures have channels, or as those
    of its group. `problem.sliding_window` says what "same" means.

    Args:
        channels: of the outputs.
        kernel: rows and columns of a filter; one number is for both, here and below.
        stride: S, in pixels.
        dilation: D, from one pixel that the filter takes to the next.
        padding: "same", "valid", or P as ((above, below), (left, right)).
        groups: into so many equal parts are channels and outputs divided, and each part
            sees only its own.
        bias: whether there is a b.

    Raises:
        InputError: a number below 1, or groups that do not divide the outputs; at a
            call, inputs that are no pictures, groups that do not divide their channels,
            or a kernel so large that some of its weights meet nothing but padding.

    >>> layer = convolution(64)
    >>> params, _ = layer.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    >>> params["kernel"].shape, sum(leaf.size for leaf in params.values())
    ((3, 3, 3, 64), 1792)
    """
    at = sliding_window(kernel, stride, dilation, padding)
    return convolved(channels, at, groups=groups, bias=bias)


def convolved(
    channels: int,
    at: SlidingWindow,
    *,
    groups: int = 1,
    bias: bool = True,
    variance: float = _LECUN,
) -> Model:
    """`convolution` whose initial weights have that variance times the fan-in."""
    _require_counts(channels, groups)

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        require_pictures(inputs)
        inner = max(inputs.shape[-1] // groups, 1)
        shape = (*at.kernel, inner, channels)
        require_groups(inputs.shape[-1], shape, groups)
        output_shape(at, *inputs.shape[1:3])
        draw = variance_scaling(variance, "fan_in", "truncated_normal")
        drawn = draw(key, shape, jnp.float32).astype(inputs.dtype)
        params = {"kernel": drawn}
        if bias:
            params["bias"] = jnp.zeros(channels, drawn.dtype)
        return params, {}

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        del train, key
        require_pictures(inputs)
        maps = correlate(inputs, params["kernel"], at, groups)
        return (_shifted(maps, params["bias"]) if bias else maps), state

    return Model(init, apply)


def locally_connected(
    channels: int,
    kernel: Sizes = 3,
    stride: Sizes = 1,
    dilation: Sizes = 1,
    padding: Padding = "same",
    bias: bool = True,
) -> Model:
    """A convolution whose weights are not shared: y[i, j, o] = b[i, j, o] +
    Σ_{r,s,c} K[i, j, r, s, c, o] x[iS + rD - P, jS + sD - P, c].

    Parameters are `kernel` `[rows, columns, kernel rows * kernel columns * channels,
    outputs]`, of the outputs' rows and columns and drawn as those of a convolution, and
    `bias` `[rows, columns, outputs]`, zero. By patches everywhere. Arguments and errors
    are those of `convolution`.

    Source: LeCun 1989, "Generalization and network design strategies".

    >>> layer = locally_connected(64, padding="valid", bias=False)
    >>> inputs = jax.ShapeDtypeStruct((1, 100, 100, 3), jnp.float32)
    >>> params, _ = jax.eval_shape(layer.init, jax.random.key(0), inputs)
    >>> params["kernel"].size == 98**2 * 64 * 27
    True
    """
    _require_counts(channels, 1)
    at = sliding_window(kernel, stride, dilation, padding)

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        require_pictures(inputs)
        rows, columns = output_shape(at, *inputs.shape[1:3])
        seen = at.kernel[0] * at.kernel[1] * inputs.shape[-1]
        draw = variance_scaling(_LECUN, "fan_in", "truncated_normal", batch_axis=(0, 1))
        shape = (rows, columns, seen, channels)
        drawn = draw(key, shape, jnp.float32).astype(inputs.dtype)
        params = {"kernel": drawn}
        if bias:
            params["bias"] = jnp.zeros((rows, columns, channels), drawn.dtype)
        return params, {}

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        del train, key
        require_pictures(inputs)
        patches = jnp.concatenate(shifts(inputs, at), axis=-1)
        kernel = params["kernel"]
        needed = (*patches.shape[1:], channels)
        if kernel.shape != needed:
            raise InputError(
                f"Weights {kernel.shape} without sharing meet pictures that need "
                f"{needed}: initialise the layer on pictures of this size."
            )
        maps = jnp.einsum("nijp,ijpo->nijo", patches, kernel)
        return (maps + jnp.asarray(params["bias"])[None] if bias else maps), state

    return Model(init, apply)


def channel_bias() -> Model:
    """x + b, one number a channel, the last axis, zero at first: a normaliser's place
    where nothing is normalised.
    """

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        del key
        return {"bias": jnp.zeros(inputs.shape[-1], inputs.dtype)}, {}

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        del train, key
        return _shifted(jnp.asarray(inputs), params["bias"]), state

    return Model(init, apply)


def _shifted(values: jax.Array, bias: Array) -> jax.Array:
    """Values `[..., channels]` and a bias `[channels]`, added."""
    leading = (1,) * (values.ndim - 1)
    return values + jnp.reshape(bias, (*leading, -1))


def _require_counts(channels: int, groups: int) -> None:
    if min(channels, groups) < 1 or channels % groups:
        raise InputError(
            f"{channels} outputs in {groups} groups make no layer: give 1 or more of "
            "each, the outputs a multiple of the groups."
        )
