"""Several normalisations in one program: which of them is a number, perhaps traced."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxml.problem.models.normalisation.affine import identity, scaled
from jaxml.problem.models.normalisation.batch import require_epsilon
from jaxml.problem.models.normalisation.statistics import require_values
from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["NORMS", "indexed_norm"]

NORMS = ("none", "batch", "batch, mean absolute value", "batch, largest value", "layer")
"""What `indexed_norm` holds, in the order of its numbers."""


def indexed_norm(which: ArrayLike, *, epsilon: float = 1e-5) -> Model:
    """γ N(x) + β of dense values `[n, units]`, where N is one of `NORMS` by its number.

    N of "none" is x; that of "batch" (x - mean) / √(variance + ε), of each unit over
    the examples; the two after it divide what is centred over the batch by its mean or
    largest absolute value plus ε, the ℓ₁ and ℓ∞ norms in place of ℓ₂; and "layer" is
    `layer_norm`. So networks with and without normalisation have the same parameters
    and initial values, and compile once.

    There is no state: in evaluation too a batch is normalised by itself, so that the
    loss of all training examples is one function of the parameters. Padding counts as
    examples do. Cost: all of them are computed, each in time of the values.

    Args:
        which: from 0 to 4; may be traced.
        epsilon: ε, in squared units of the values in a variance, and in their units in
            the other two.

    Raises:
        InputError: an ε below 0; at a call, values of other axes than examples and
            units, or not of floating point.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1; Santurkar et al.
    2018, arXiv:1805.11604, section 3.3, for norms other than ℓ₂.

    >>> norm = indexed_norm(NORMS.index("batch, largest value"), epsilon=0.0)
    >>> two = jnp.array([[1.0], [5.0]])
    >>> params, state = norm.init(jax.random.key(0), two)
    >>> norm.apply(params, state, two, train=True, key=None)[0][:, 0].tolist()
    [-1.0, 1.0]
    """
    require_epsilon(epsilon)

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        del key
        values = _dense(inputs)
        return identity(values.shape[-1], values.dtype, True), {}

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        del train, key
        values = _dense(inputs)
        over_batch, over_layer = _centred(values, 0), _centred(values, 1)
        sizes = jnp.abs(over_batch)
        each = (
            values,
            over_batch * _factor(over_batch, 0, epsilon),
            over_batch / (jnp.mean(sizes, axis=0, keepdims=True) + epsilon),
            over_batch / (jnp.max(sizes, axis=0, keepdims=True) + epsilon),
            over_layer * _factor(over_layer, 1, epsilon),
        )
        number = jnp.asarray(which)
        chosen = [number == place for place in range(len(each))]
        return scaled(params, jnp.select(chosen, each)), state

    return Model(init, apply)


def _dense(inputs: Array) -> jax.Array:
    values = jnp.asarray(inputs)
    require_values(values)
    if values.ndim != 2:
        raise InputError(
            f"Values of {values.ndim} axes are no units of examples: give `[n, units]`."
        )
    return values


def _centred(values: jax.Array, axis: int) -> jax.Array:
    return values - jnp.mean(values, axis=axis, keepdims=True)


def _factor(centred: jax.Array, axis: int, epsilon: float) -> jax.Array:
    """1 / √(variance + ε)."""
    variance = jnp.mean(jnp.square(centred), axis=axis, keepdims=True)
    return jax.lax.rsqrt(variance + epsilon)
