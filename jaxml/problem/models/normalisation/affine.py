"""γ x + β of each channel, which follows a normalisation."""

import jax
import jax.numpy as jnp

from jaxml.types import Array, Params

__all__: list[str] = []


def identity(channels: int, dtype: jnp.dtype, affine: bool) -> Params:
    """γ = 1 and β = 0, or nothing to learn."""
    if not affine:
        return {}
    return {"bias": jnp.zeros(channels, dtype), "scale": jnp.ones(channels, dtype)}


def standardised(
    params: Params, values: jax.Array, mean: Array, factor: Array
) -> jax.Array:
    """γ (x - mean) factor + β, with mean and factor of each channel."""
    if "scale" in params:
        factor = params["scale"] * factor
    centred = values - along_last(mean, values)
    return shifted(params, centred * along_last(factor, values))


def scaled(params: Params, values: jax.Array) -> jax.Array:
    """γ x + β, or of them what there is."""
    if "scale" in params:
        values = values * along_last(params["scale"], values)
    return shifted(params, values)


def shifted(params: Params, values: jax.Array) -> jax.Array:
    """x + β, if there is a β."""
    if "bias" not in params:
        return values
    return values + along_last(params["bias"], values)


def along_last(channels: Array, values: jax.Array) -> jax.Array:
    """Numbers of channels with as many axes as the values."""
    return jnp.asarray(channels).reshape(*[1] * (values.ndim - 1), -1)
