"""Labels: one integer class an example, refused in a sentence where they are something
else.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxml.types import Array, InputError

__all__ = ["check_labels"]


def check_labels(targets: Any, classes: int) -> None:
    """Passes if there is one label an example, and each is one of the integers 0, ...,
    classes - 1.

    Raises:
        InputError: labels that are not integers, not `[n]`, or the first one out of
            range.
    """
    labels = np.asarray(targets)
    require_integers(labels)
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        row = int(outside.argmax())
        raise InputError(
            f"Label {labels[row]} in row {row} (from 0) is outside 0..{classes - 1}: "
            "renumber the labels or raise the number of classes."
        )


def require_integers(labels: Array) -> None:
    """Passes if there is one integer an example; only shape and dtype are looked at.

    Raises:
        InputError: another dtype, or another shape than `[n]`.
    """
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InputError(f"The labels are {labels.dtype}: cast them to int32.")
    if labels.ndim != 1:
        raise InputError(
            f"The labels have the shape {labels.shape}, not [n]: give one class an "
            "example, of a column by labels[:, 0], of indicators by labels.argmax(-1)."
        )


def labels_of(outputs: Array, targets: Array) -> Array:
    """The targets as labels of the classes that the outputs `[n, k]` have.

    The values are looked at where they are known, which those of traced targets are
    not.

    Raises:
        InputError: shapes or dtypes that are no logits and labels; a known label
            outside 0..k-1.
    """
    if outputs.ndim != 2:
        raise InputError(
            f"The outputs have the shape {outputs.shape}: reshape them to [n, classes]."
        )
    require_integers(targets)
    if len(targets) != len(outputs):
        raise InputError(
            f"There are {len(outputs)} outputs but {len(targets)} labels: give each "
            "output one."
        )
    if not isinstance(targets, Tracer):
        check_labels(targets, outputs.shape[1])
    # Classes are counted in the labels' dtype: 8 bits cannot count 300, and 64 are for
    # `enable_x64` alone.
    return (
        targets.astype(jnp.int32)
        if targets.dtype.itemsize < 4
        else jnp.asarray(targets)
    )
