"""Normalisations of each example by itself: over its channels, its places, or both."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxml.problem.models.normalisation.affine import identity, scaled
from jaxml.problem.models.normalisation.batch import require_epsilon
from jaxml.problem.models.normalisation.statistics import require_values
from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["group_norm", "instance_norm", "layer_norm", "rms_norm"]


def layer_norm(*, affine: bool = True, epsilon: float = 1e-5) -> Model:
    """γ (x - mean) / √(variance + ε) + β over the last axis, at each place by itself.

    Of dense layers `[n, units]` that is over all units of an example; of tokens `[n,
    length, channels]` at each token. Over channels and places together, as Wu and He
    read it of images, it is `group_norm(1)`. The same in training and evaluation, and
    without a state.

    Args:
        affine: whether γ and β of each channel, 1 and 0 at first, are learned.
        epsilon: ε, in squared units of the values.

    Raises:
        InputError: an ε below 0; at a call, values without channels or not of floating
            point, or of one channel, which would be 0 whatever it is.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, equation 4.
    """

    def normalised(values: jax.Array) -> jax.Array:
        _require_several(values.shape[-1], "channel", "layer")
        return _standardised(values, (-1,), epsilon)

    return _layer(normalised, affine, epsilon)


def group_norm(groups: int, *, affine: bool = True, epsilon: float = 1e-5) -> Model:
    """γ (x - mean) / √(variance + ε) + β over each group of channels and all places of
    an example.

    Channels are grouped in their order, equally many in each. The same in training and
    evaluation, and without a state.

    Args:
        groups: how many; the paper takes 32.
        affine: whether γ and β of each channel, 1 and 0 at first, are learned.
        epsilon: ε, in squared units of the values.

    Raises:
        InputError: no group, or an ε below 0; at a call, channels that cannot be
            divided into so many, or a group of a single value.

    Source: Wu and He 2018, arXiv:1803.08494, equation 7.
    """
    if groups < 1 or int(groups) != groups:
        raise InputError(
            f"{groups} groups cannot share channels: give a whole number, 1 or more."
        )

    def normalised(values: jax.Array) -> jax.Array:
        channels = values.shape[-1]
        if channels % groups:
            raise InputError(
                f"{channels} channels do not divide into {groups} groups: choose a "
                f"divisor of {channels}."
            )
        members = channels // groups
        grouped = values.reshape(len(values), -1, groups, members)
        places = grouped.shape[1]
        _require_several(places * members, "value a group", "group")
        axes = (1, 3)
        if places == 1:  # rows of one group each, whose sums XLA makes faster
            grouped, axes = values.reshape(-1, members), (1,)
        return _standardised(grouped, axes, epsilon).reshape(values.shape)

    return _layer(normalised, affine, epsilon)


def instance_norm(*, affine: bool = True, epsilon: float = 1e-5) -> Model:
    """γ (x - mean) / √(variance + ε) + β over the places of each channel of an example.

    The same in training and evaluation, and without a state.

    Args:
        affine: whether γ and β of each channel, 1 and 0 at first, are learned.
        epsilon: ε, in squared units of the values.

    Raises:
        InputError: an ε below 0; at a call, values without places, as of a dense layer,
            or with one, which would be 0 whatever it is.

    Source: Ulyanov, Vedaldi and Lempitsky 2016, arXiv:1607.08022, equation 2.
    """

    def normalised(values: jax.Array) -> jax.Array:
        places = values.reshape(len(values), -1, values.shape[-1])
        _require_several(places.shape[1], "place", "instance")
        return _standardised(places, (1,), epsilon).reshape(values.shape)

    return _layer(normalised, affine, epsilon)


def rms_norm(*, affine: bool = True, epsilon: float = 1e-5) -> Model:
    """γ x / √(mean of x² + ε) over the last axis, at each place by itself.

    Layer normalisation without the mean, and so without β. The same in training and
    evaluation, and without a state.

    Args:
        affine: whether γ of each channel, 1 at first, is learned.
        epsilon: ε, in squared units of the values; the paper has none.

    Raises:
        InputError: an ε below 0; at a call, values without channels or not of floating
            point.

    Source: Zhang and Sennrich 2019, arXiv:1910.07467, equation 4.
    """

    def normalised(values: jax.Array) -> jax.Array:
        squares = jnp.mean(jnp.square(values), axis=-1, keepdims=True)
        return values * jax.lax.rsqrt(squares + epsilon)

    return _layer(normalised, affine, epsilon, learned=("scale",))


def _layer(
    normalised: Callable[[jax.Array], jax.Array],
    affine: bool,
    epsilon: float,
    *,
    learned: tuple[str, ...] = ("bias", "scale"),
) -> Model:
    """The layer of a function of each example by itself."""
    require_epsilon(epsilon)

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        del key
        values = jnp.asarray(inputs)
        require_values(values)
        every = identity(values.shape[-1], values.dtype, affine)
        return {name: every[name] for name in learned if name in every}, {}

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        del train, key
        values = jnp.asarray(inputs)
        require_values(values)
        return scaled(params, normalised(values)), state

    return Model(init, apply)


def _standardised(
    values: jax.Array, axes: tuple[int, ...], epsilon: float
) -> jax.Array:
    """(x - mean) / √(variance + ε) over some axes; the variance in a pass of its own,
    for mean of squares minus square of mean cancels.
    """
    centred = values - jnp.mean(values, axis=axes, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=axes, keepdims=True)
    return centred * jax.lax.rsqrt(variance + epsilon)


def _require_several(count: int, of: str, kind: str) -> None:
    if count < 2:
        raise InputError(
            f"A {kind} normalisation over {count} {of} gives 0 whatever it is: "
            "normalise over more, or over the batch."
        )
