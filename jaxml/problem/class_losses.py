"""Further losses of labels, and class weights for any of them.

All but `logit_mse` see differences of logits alone. As in `losses`, a label outside
0..k-1 is refused where its value is known, and makes the example's loss NaN where it
is traced.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Float

from jaxml.problem.labels import labels_of
from jaxml.problem.losses import _hit, _labelled, _or_nan, cross_entropy
from jaxml.problem.objectives import Loss
from jaxml.types import Array, Batch, InputError

__all__ = [
    "class_weighted",
    "focal",
    "logit_mse",
    "multi_margin",
    "squared_multi_margin",
    "weighted_by_class",
]


def focal(gamma: ArrayLike) -> Loss:
    """-(1 - p_y)^γ log p_y in nats, from logits: the cross-entropy, less where the
    label is already probable.

    The paper's factor α of a class is `class_weighted`.

    Args:
        gamma: from 0 (`cross_entropy`), perhaps traced; the paper takes 2.

    Raises:
        InputError: a known γ below 0; at a call, as `cross_entropy`.

    Source: Lin et al. 2017, arXiv:1708.02002, equation 4.
    """
    if not isinstance(gamma, Tracer) and not np.all(np.asarray(gamma) >= 0):
        raise InputError(
            f"A focal loss of exponent {gamma} grows with certainty: give a gamma of 0 "
            "or more."
        )

    def loss(outputs: Array, targets: Array) -> Float[jax.Array, " n"]:
        surprise = cross_entropy(outputs, targets)
        exponent = jnp.asarray(gamma, surprise.dtype)
        return jnp.exp(exponent * _log_of_others(outputs, targets)) * surprise

    return loss


def _log_of_others(outputs: Array, targets: Array) -> Float[jax.Array, " n"]:
    """log(1 - p_y), which is finite where 1 - p_y rounds to 0."""
    label = _hit(outputs, labels_of(outputs, targets))
    others = jnp.where(label, jnp.full_like(outputs, -jnp.inf), outputs)
    whole = jax.nn.logsumexp(outputs, axis=-1)
    return jax.nn.logsumexp(others, axis=-1) - whole


def multi_margin(
    outputs: Float[Array, "..."], targets: Array, *, margin: ArrayLike = 1.0
) -> Float[jax.Array, " n"]:
    """(1/k) Σ_{j≠y} max(0, m + zⱼ - z_y): PyTorch's `MultiMarginLoss` with p = 1.

    With m = 1 it is `hinge` over the number of classes. Another margin is given by
    `functools.partial(multi_margin, margin=...)`; it may be traced.

    >>> scores, labels = jnp.array([[3.0, 5.0, 2.5]]), jnp.array([0])
    >>> round(float(multi_margin(scores, labels)[0]), 4)  # (3 + 0.5) / 3
    1.1667
    """
    labels = labels_of(outputs, targets)
    total = jnp.sum(_violations(outputs, labels, margin), axis=-1)
    return _or_nan(total / outputs.shape[-1], outputs, labels)


def squared_multi_margin(
    outputs: Float[Array, "..."], targets: Array, *, margin: ArrayLike = 1.0
) -> Float[jax.Array, " n"]:
    """(1/k) Σ_{j≠y} max(0, m + zⱼ - z_y)²: PyTorch's `MultiMarginLoss` with p = 2."""
    labels = labels_of(outputs, targets)
    squares = jnp.square(_violations(outputs, labels, margin))
    return _or_nan(jnp.sum(squares, axis=-1) / outputs.shape[-1], outputs, labels)


def _violations(
    outputs: Array, labels: Array, margin: ArrayLike
) -> Float[jax.Array, "n k"]:
    """How far each other class comes within the margin of the label's; 0 at the
    label.
    """
    width = jnp.asarray(margin, outputs.dtype)
    reached = width + outputs - _labelled(outputs, labels)[:, None]
    beyond = jax.nn.relu(reached)
    return jnp.where(_hit(outputs, labels), jnp.zeros_like(beyond), beyond)


def logit_mse(
    outputs: Float[Array, "..."],
    targets: Array,
    *,
    label_weight: ArrayLike = 1.0,
    label_value: ArrayLike = 1.0,
) -> Float[jax.Array, " n"]:
    """(1/C) (k (z_y - M)² + Σ_{j≠y} zⱼ²): the rescaled square loss of C logits, without
    a softmax.

    With k = M = 1 it is `mse` of logits and indicators of the labels. Where classes are
    many the paper takes larger numbers, such as k = 15 and M = 30 for the thousand of
    ImageNet. They are given by `functools.partial`, and may be traced.

    Args:
        outputs: logits `[n, C]`.
        targets: labels `[n]`.
        label_weight: k.
        label_value: M, to which the label's logit is fitted.

    Source: Hui and Belkin 2020, arXiv:2006.07322, the rescaled square loss.
    """
    labels = labels_of(outputs, targets)
    label = _hit(outputs, labels)
    one, zero = jnp.ones_like(outputs), jnp.zeros_like(outputs)
    weight = jnp.where(label, jnp.asarray(label_weight, outputs.dtype), one)
    aim = jnp.where(label, jnp.asarray(label_value, outputs.dtype), zero)
    mean = jnp.mean(weight * jnp.square(outputs - aim), axis=-1)
    return _or_nan(mean, outputs, labels)


def class_weighted(loss: Loss, weights: Array) -> Loss:
    """w_y times the loss of an example of label y.

    The mean over examples then divides by their number, so that rare classes of large
    weight lengthen the gradient. PyTorch's `MultiMarginLoss(weight=...)` does so; its
    `CrossEntropyLoss(weight=...)` divides by the sum of the weights, which
    `weighted_by_class` makes of any loss. The label's class alone counts, also where
    the loss is smoothed.

    Args:
        loss: of labels, `(outputs, targets) -> [n]`.
        weights: one a class, `[k]`, not negative; may be traced.

    Raises:
        InputError: weights that are no vector, or known to be negative or not finite;
            at a call, another number of them than of outputs.
    """
    _require_weights(weights)

    def weighted(outputs: Array, targets: Array) -> Float[jax.Array, " n"]:
        _require_as_many(weights, outputs.shape[-1])
        values = loss(outputs, targets)
        return values * _weight_of_label(weights, targets).astype(values.dtype)

    return weighted


def weighted_by_class(batch: Batch, weights: Array) -> Batch:
    """The batch with each example's weight times that of its label's class, w_y.

    Any weighted mean over it is Σᵢ w_y loss / Σᵢ w_y, as PyTorch's
    `CrossEntropyLoss(weight=...)` has it; padding stays padding.

    Args:
        batch: with labels `[n]`.
        weights: one a class, `[k]`, not negative; may be traced.

    Raises:
        InputError: as `class_weighted`; a known label that has no weight.
    """
    _require_weights(weights)
    own = jnp.asarray(batch.weights)
    factor = _weight_of_label(weights, batch.targets).astype(own.dtype)
    present = jnp.where(own > 0, factor, jnp.zeros_like(factor))
    return batch._replace(weights=own * present)


def _weight_of_label(weights: Array, targets: Array) -> Float[jax.Array, " n"]:
    """NaN for a label that has none, where it is traced."""
    rows = jnp.broadcast_to(jnp.asarray(weights), (len(targets), len(weights)))
    return _labelled(rows, labels_of(rows, targets))


def _require_weights(weights: Array) -> None:
    if np.ndim(weights) != 1 or not jnp.issubdtype(weights.dtype, jnp.floating):
        raise InputError(
            f"The class weights are {weights.dtype}{list(np.shape(weights))}: give one "
            "floating-point number a class, [k]."
        )
    if isinstance(weights, Tracer):
        return
    known = np.asarray(weights)
    if not np.all((known >= 0) & np.isfinite(known)):
        raise InputError(
            f"The class weights {known.tolist()} are not all finite and 0 or more: "
            "correct them."
        )


def _require_as_many(weights: Array, classes: int) -> None:
    if len(weights) != classes:
        raise InputError(
            f"There are {len(weights)} class weights but {classes} outputs: give one "
            "weight a class."
        )
