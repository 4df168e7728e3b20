"""Noise after a normalisation: an ablation of steady distributions."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxml.problem.models.chain import called
from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["noisy"]


def noisy(
    layer: Model,
    *,
    shift: ArrayLike = 0.5,
    scale: ArrayLike = 1.25,
    spread: ArrayLike = 0.1,
) -> Model:
    """s x + m of the layer's outputs x in training: noise whose mean is not 0 and whose
    scale is not 1, and whose distribution is another one at every call.

    By each call's key every channel draws μ ~ U(-shift, shift) and σ ~ U(1, scale), and
    then every value m ~ U(μ - spread, μ + spread) and s ~ N(σ, spread²), independently.
    So a batch normalisation inside it trains on distributions that are steady no more.
    Drawn in float32; in evaluation it is the layer itself.

    Args:
        layer: such as `problem.batch_norm()`.
        shift: n_μ, in deviations of a normalised value; may be traced, as the others.
        scale: n_σ.
        spread: r_μ and r_σ, which are one number in the paper.

    Raises:
        InputError: in training, no key to draw from.

    Source: Santurkar et al. 2018, arXiv:1805.11604, section 2.2, and the algorithm and
    constants of its appendix.
    """

    def apply(
        params: Params,
        state: Any,
        inputs: Array,
        *,
        train: bool,
        key: Key | None,
        mask: Array | None = None,
    ) -> tuple[jax.Array, Any]:
        if train and key is None:
            raise InputError("Noise is drawn from a key: pass one in training.")
        own = None if key is None else jax.random.fold_in(key, 0)
        mode = (train, own, mask)
        values, after = called(layer, (params, state), inputs, mode)
        if not train or key is None:
            return values, after
        moved, factor = _drawn(key, values.shape, (shift, scale, spread))
        return values * factor.astype(values.dtype) + moved.astype(values.dtype), after

    return Model(layer.init, apply)


def _drawn(
    key: Key, shape: tuple[int, ...], of: tuple[ArrayLike, ArrayLike, ArrayLike]
) -> tuple[jax.Array, jax.Array]:
    """m and s of every value, in float32."""
    shift, scale, spread = (jnp.asarray(each, jnp.float32) for each in of)
    keys = jax.random.split(jax.random.fold_in(key, 1), 4)
    channels = (*[1] * (len(shape) - 1), shape[-1])
    units = [jax.random.uniform(each, channels, jnp.float32) for each in keys[:2]]
    centre = shift * (2 * units[0] - 1)
    factor = 1 + (scale - 1) * units[1]
    apart = 2 * jax.random.uniform(keys[2], shape, jnp.float32) - 1
    normal = jax.random.normal(keys[3], shape, jnp.float32)
    return centre + spread * apart, factor + spread * normal
