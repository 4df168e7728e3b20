"""Losses of one example each, penalties of the parameters, and the weighted mean that
joins examples.

Losses of labels take logits `[n, k]` and one integer class an example, and refuse
anything else when they are first traced. A label outside 0..k-1 is refused where its
value is known; in a compiled program, where it is not, the example's loss is NaN. That
holds for padding too: give it a label.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Bool, Float

from jaxml import tree
from jaxml.problem.labels import labels_of
from jaxml.types import Array, InputError, Params, Scalar

__all__ = [
    "accuracy",
    "cross_entropy",
    "hinge",
    "huber",
    "l1",
    "l2",
    "mae",
    "mse",
    "none",
    "softmax_mse",
    "weighted_mean",
]

Penalty = Callable[[Params], Scalar]


def mse(
    outputs: Float[Array, "n k"], targets: Float[Array, "..."]
) -> Float[jax.Array, " n"]:
    """(1/k) Σⱼ rⱼ² for the residual r = outputs - targets of each example.

    Raises:
        InputError: the shapes differ. So do `mae` and `huber`.

    >>> mse(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [2.5]
    """
    return jnp.mean(jnp.square(_residual(outputs, targets)), axis=-1)


def mae(
    outputs: Float[Array, "n k"], targets: Float[Array, "..."]
) -> Float[jax.Array, " n"]:
    """(1/k) Σⱼ |rⱼ|; the derivative at rⱼ = 0 is taken as 0."""
    return jnp.mean(_magnitude(_residual(outputs, targets)), axis=-1)


def huber(
    outputs: Float[Array, "n k"],
    targets: Float[Array, "..."],
    *,
    delta: ArrayLike = 1.0,
) -> Float[jax.Array, " n"]:
    """(1/k) Σⱼ h(rⱼ), where h(r) = r²/2 for |r| <= δ and δ(|r| - δ/2) beyond.

    Give another δ by `functools.partial(huber, delta=...)`.

    Raises:
        InputError: a known δ that is not above 0; see also `mse`.

    Source: Huber 1964, "Robust estimation of a location parameter".

    >>> huber(jnp.array([[0.5], [3.0]]), jnp.zeros((2, 1))).tolist()
    [0.125, 2.5]
    """
    residual = _residual(outputs, targets)
    if not isinstance(delta, Tracer) and not (jnp.asarray(delta) > 0).all():
        raise InputError(
            f"A huber loss that bends at {delta} has no minimum: give a delta above 0."
        )
    size, bound = jnp.abs(residual), jnp.asarray(delta, residual.dtype)
    return jnp.mean(
        jnp.where(size <= bound, jnp.square(residual) / 2, bound * (size - bound / 2)),
        axis=-1,
    )


def cross_entropy(
    outputs: Float[Array, "..."], targets: Array
) -> Float[jax.Array, " n"]:
    """log Σⱼ exp(zⱼ) - z_y in nats, from logits z and the label y; no logit overflows.

    Raises:
        InputError: outputs that are not `[n, k]`, labels that are not integers `[n]`,
            or are known to lie outside 0..k-1. So do the other losses of labels.

    >>> logits = jnp.array([[1000.0, 0.0], [0.0, 1000.0]])
    >>> cross_entropy(logits, jnp.array([0, 0])).tolist()
    [0.0, 1000.0]
    """
    labels = labels_of(outputs, targets)
    return jax.nn.logsumexp(outputs, axis=-1) - _labelled(outputs, labels)


def softmax_mse(outputs: Float[Array, "..."], targets: Array) -> Float[jax.Array, " n"]:
    """Σⱼ (softmax(z)ⱼ - 1[j = y])², the Brier score: a sum over classes, at most 2, and
    flat there.

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability".
    """
    labels = labels_of(outputs, targets)
    probabilities = jax.nn.softmax(outputs, axis=-1)
    indicators = _hit(outputs, labels).astype(probabilities.dtype)
    total = jnp.sum(jnp.square(probabilities - indicators), axis=-1)
    return _or_nan(total, outputs, labels)


def hinge(outputs: Float[Array, "..."], targets: Array) -> Float[jax.Array, " n"]:
    """Σ_{j≠y} max(0, 1 + zⱼ - z_y): every class within the margin of the label's
    counts.

    Source: Weston and Watkins 1999, "Support vector machines for multi-class pattern
        recognition"; Crammer and Singer 2001 take the largest term in place of the sum.

    >>> hinge(jnp.array([[3.0, 5.0, 2.5], [9.0, 0.0, 1.0]]), jnp.array([0, 0])).tolist()
    [3.5, 0.0]
    """
    labels = labels_of(outputs, targets)
    margins = jax.nn.relu(1 + outputs - _labelled(outputs, labels)[:, None])
    return jnp.sum(
        jnp.where(_hit(outputs, labels), jnp.zeros_like(margins), margins), axis=-1
    )


def accuracy(outputs: Float[Array, "..."], targets: Array) -> Float[jax.Array, " n"]:
    """1 where the largest output is the label's, else 0; of equal outputs the first
    counts.
    """
    labels = labels_of(outputs, targets)
    right = jnp.argmax(outputs, axis=-1).astype(labels.dtype) == labels
    return _or_nan(right.astype(outputs.dtype), outputs, labels)


def none(params: Params) -> Scalar:
    """0, in the dtype of the parameters: no penalty."""
    return jnp.zeros((), jax.tree.leaves(params)[0].dtype)


def l1(coefficient: ArrayLike) -> Penalty:
    """Coefficient · Σᵢ |θᵢ|, biases included; the derivative at 0 is 0, so zeros stay.
    May be traced.
    """

    def penalty(params: Params) -> Scalar:
        total = jax.tree.reduce(
            jnp.add, jax.tree.map(lambda leaf: jnp.sum(_magnitude(leaf)), params)
        )
        return jnp.asarray(coefficient, total.dtype) * total

    return penalty


def l2(coefficient: ArrayLike) -> Penalty:
    """Coefficient · Σᵢ θᵢ², biases included: 2 · coefficient on the Hessian's diagonal.

    >>> float(l2(0.5)({"w": jnp.array([1.0, 2.0]), "b": jnp.array([3.0])}))
    7.0
    """

    def penalty(params: Params) -> Scalar:
        total = tree.vdot(params, params)
        return jnp.asarray(coefficient, total.dtype) * total

    return penalty


def weighted_mean(values: Float[Array, "..."], weights: Float[Array, "..."]) -> Scalar:
    """Σᵢ wᵢ vᵢ / Σᵢ wᵢ; NaN where no weight is positive, for then there is no mean.

    Raises:
        InputError: there is not one value and one weight an example, so that they would
            broadcast.

    >>> float(weighted_mean(jnp.array([1.0, 3.0, 50.0]), jnp.array([1.0, 1.0, 0.0])))
    2.0
    """
    if values.ndim != 1 or values.shape != weights.shape:
        raise InputError(
            f"Losses {values.shape} and weights {weights.shape} differ: give one of "
            "each an example, [n]."
        )
    return jnp.sum(weights * values) / jnp.sum(weights)


def _residual(outputs: Array, targets: Array) -> jax.Array:
    if outputs.shape != targets.shape:
        raise InputError(
            f"Outputs {outputs.shape} and targets {targets.shape} differ: give both "
            "the shape [n, k]."
        )
    return jnp.asarray(outputs) - targets


def _magnitude(x: jax.Array) -> jax.Array:
    """|x| with derivative 0 at 0, where that of `jnp.abs` is 1."""
    return x * jnp.sign(x)


def _hit(outputs: Array, labels: Array) -> Bool[jax.Array, "n k"]:
    """Whether class j is the label of example i."""
    return (
        jnp.asarray(labels)[:, None]
        == jnp.arange(outputs.shape[-1], dtype=labels.dtype)[None, :]
    )


def _labelled(outputs: Array, labels: Array) -> Float[jax.Array, " n"]:
    """The output of the label's class; by a mask, whose derivative is a sum and no
    scatter.
    """
    chosen = jnp.sum(
        jnp.where(_hit(outputs, labels), outputs, jnp.zeros_like(outputs)), axis=-1
    )
    return _or_nan(chosen, outputs, labels)


def _or_nan(values: jax.Array, outputs: Array, labels: Array) -> Float[jax.Array, " n"]:
    """The values, but NaN where the label is none of the outputs' classes."""
    labels = jnp.asarray(labels)
    known = (labels >= 0) & (labels < outputs.shape[-1])
    return jnp.where(known, values, jnp.full_like(values, jnp.nan))
