"""Examples: arrays checked once, at the door."""

import jax
import numpy as np
from jaxtyping import Num

from jaxml.types import Array, Batch, Dataset, InputError, Key

__all__ = ["check_labels", "examples", "split"]


def examples(inputs: Num[Array, " n *_"], targets: Num[Array, " m *_"]) -> Batch:
    """The pairs (inputs[i], targets[i]), each of weight 1, as NumPy arrays.

    Args:
        inputs: `[n, ...]`, floating point; the weights take its dtype.
        targets: `[n, ...]`, integer classes or floating-point values.

    Raises:
        InputError: lengths that differ, inputs that are not floating point, NaN or infinity.

    >>> examples(np.zeros((2, 3), np.float32), np.array([0, 1])).weights
    array([1., 1.], dtype=float32)
    """
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    if len(inputs) != len(targets):
        raise InputError(f"There are {len(inputs)} inputs but {len(targets)} targets: give each input one.")
    if not np.issubdtype(inputs.dtype, np.floating):
        raise InputError(f"The inputs are {inputs.dtype}: cast them to float32 or float64.")
    _require_finite(inputs, "inputs")
    _require_finite(targets, "targets")
    return Batch(inputs, targets, np.ones(len(inputs), inputs.dtype))


def check_labels(targets: Num[Array, " n"], classes: int) -> None:
    """Passes if every label is one of the integers 0, ..., classes - 1.

    Raises:
        InputError: labels that are not integers, or the first one out of range.
    """
    labels = np.asarray(targets)
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"The labels are {labels.dtype}: cast them to int32.")
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        row = int(outside.argmax())
        raise InputError(
            f"Label {labels[row]} in row {row} (from 0) is outside 0..{classes - 1}: "
            "renumber the labels or raise the number of classes."
        )


def split(batch: Batch, count: int, *, key: Key) -> Dataset:
    """The first `count` examples of a random permutation to train on, the others to test.

    Raises:
        InputError: either part would be empty.
    """
    total = len(batch.weights)
    if not 0 < count < total:
        raise InputError(f"{count} of {total} examples cannot be split off: choose from 1 to {total - 1}.")
    order = np.asarray(jax.random.permutation(key, total))
    train, test = (
        jax.tree.map(lambda field, rows=rows: np.asarray(field)[rows], batch)
        for rows in (order[:count], order[count:])
    )
    return Dataset(train, test)


def _require_finite(values: np.ndarray, name: str) -> None:
    """Raises InputError with how many values are not finite, and the row of the first."""
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.nonzero(bad)[0][0])
        raise InputError(
            f"The {name} hold {bad.sum()} values that are NaN or infinite, the first in row {row} (from 0): "
            "drop or impute them."
        )
