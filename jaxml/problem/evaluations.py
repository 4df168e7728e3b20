"""What a classifier's outputs on a batch say, beyond a mean loss.

Each function takes `(outputs, batch)`, logits `[n, k]` and a `Batch` with labels; of a
model that is `problem.outputs(model)(params, batch)`. Examples of weight 0 do not
count. A label outside 0..k-1 is refused where its value is known, and makes the result
NaN where it is traced.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml.problem.labels import labels_of
from jaxml.problem.losses import _hit, _or_nan, accuracy
from jaxml.types import Array, Batch, InputError, Scalar

__all__ = ["calibration_error", "confusion_matrix"]


def calibration_error(
    outputs: Float[Array, "..."], batch: Batch, *, bins: int = 15
) -> Scalar:
    """Σ_b (n_b / n) |accuracy in b - mean confidence in b|: the expected calibration
    error, from 0 to 1.

    An example's confidence is its largest softmax probability; bin m of M is
    ((m - 1)/M, m/M]. With weights, n_b is their sum. The error depends on the number of
    bins and grows with it on few examples: name it beside the number.

    Args:
        outputs: logits `[n, k]`.
        batch: with labels `[n]`.
        bins: M, of equal width; the paper takes 15.

    Raises:
        InputError: no bin; outputs or labels that `cross_entropy` refuses.

    Source: Guo et al. 2017, arXiv:1706.04599, equation 3.
    """
    if bins < 1:
        raise InputError(f"{bins} bins hold no example: give 1 or more.")
    right = accuracy(outputs, batch.targets)
    confidence = jnp.max(jax.nn.softmax(outputs, axis=-1), axis=-1)
    place = jnp.ceil(confidence * jnp.asarray(bins, confidence.dtype)) - 1
    bin_of = jnp.clip(place.astype(jnp.int32), 0, bins - 1)
    weights = jnp.asarray(batch.weights)
    excess = weights * (right - confidence).astype(weights.dtype)
    gaps = jax.ops.segment_sum(excess, bin_of, num_segments=bins)
    return jnp.sum(jnp.abs(gaps)) / jnp.sum(weights)


def confusion_matrix(
    outputs: Float[Array, "..."], batch: Batch
) -> Float[jax.Array, "label prediction"]:
    """How many examples of label i have their largest output at class j, `[i, j]`: the
    sums of their weights.

    Of equal outputs the first counts, as in `accuracy`: the trace over the sum is the
    mean accuracy.

    Raises:
        InputError: outputs or labels that `cross_entropy` refuses.

    >>> batch = Batch(jnp.zeros((3, 1)), jnp.array([0, 1, 1]), jnp.ones(3))
    >>> logits = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> confusion_matrix(logits, batch).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    labels = labels_of(outputs, batch.targets)
    predicted = jnp.argmax(outputs, axis=-1).astype(labels.dtype)
    weights = jnp.asarray(batch.weights)
    actual = weights[:, None] * _hit(outputs, labels).astype(weights.dtype)
    chosen = _hit(outputs, predicted).astype(weights.dtype)
    sums = jnp.einsum("ni,nj->ij", actual, chosen, precision="highest")
    unknown = jnp.isnan(jnp.sum(_or_nan(weights, outputs, labels)))
    return jnp.where(unknown, jnp.full_like(sums, jnp.nan), sums)
