"""Examples: arrays checked once, at the door."""

from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.typing import DTypeLike

from jaxml.problem.labels import check_labels, require_integers
from jaxml.types import Batch, Dataset, InputError, Key

__all__ = ["examples", "split"]


def examples(
    inputs: Any,
    targets: Any,
    *,
    classes: int | None = None,
    dtype: DTypeLike | None = None,
) -> Batch:
    """The pairs (inputs[i], targets[i]), each of weight 1, as NumPy arrays in the
    machine's byte order.

    Args:
        inputs: `[n, ...]`, floating point; or integers from 0 on, which number tokens
            and are for models that embed them (ours of dense layers and images refuse
            them).
        targets: integer classes `[n]` from 0 on, or floating-point values `[n, ...]`.
        classes: how many there are, where targets are labels; with it the largest is
            checked as well.
        dtype: of the weights; that of floating-point inputs, and float32 beside tokens,
            when not given.

    Raises:
        InputError: lengths that differ, or are 0; text, objects, values under a mask,
            NaN or infinity; inputs that are neither floating point nor tokens; targets
            that are neither floating point nor integers; integers beyond int32, which
            JAX would cut short; integer targets that are a column or indicators of
            classes, or labels out of range; within `jit`, traced values.

    >>> examples(np.zeros((2, 3), np.float32), np.array([0, 1])).weights
    array([1., 1.], dtype=float32)
    """
    inputs, targets = _numbers(inputs, "inputs"), _numbers(targets, "targets")
    if len(inputs) != len(targets):
        raise InputError(
            f"There are {len(inputs)} inputs but {len(targets)} targets: give each "
            "input one."
        )
    if len(inputs) == 0:
        raise InputError(
            "There are no examples, and so no mean over them: give one or more."
        )
    _require_inputs(inputs)
    _require_targets(targets, classes)
    if dtype is None:
        dtype = inputs.dtype if np.issubdtype(inputs.dtype, np.floating) else np.float32
    if not jax.numpy.issubdtype(np.dtype(dtype), np.floating):
        raise InputError(
            f"Weights are not counted in {np.dtype(dtype)}: take float32 or float64."
        )
    return Batch(inputs, targets, np.ones(len(inputs), dtype))


def split(batch: Batch, count: int, *, key: Key) -> Dataset:
    """The first `count` examples of a random permutation to train on, the others to
    test.

    Raises:
        InputError: either part would be empty.
    """
    total = len(batch.weights)
    if not 0 < count < total:
        raise InputError(
            f"{count} of {total} examples cannot be split off: choose from 1 to "
            f"{total - 1}."
        )
    order = np.asarray(jax.random.permutation(key, total))
    train, test = (
        jax.tree.map(lambda field, rows=rows: np.asarray(field)[rows], batch)
        for rows in (order[:count], order[count:])
    )
    return Dataset(train, test)


def _numbers(values: Any, name: str) -> np.ndarray:
    """The values as an array of numbers with a leading axis, in the machine's byte
    order.
    """
    if isinstance(values, Tracer):
        raise InputError(
            f"The {name} are being traced, so no value is known: make the batch "
            "outside jit."
        )
    if isinstance(values, dict):
        raise InputError(
            f"The {name} are a dict: join its arrays into one, such as by "
            "np.concatenate."
        )
    if np.ma.is_masked(values):
        raise InputError(f"Some {name} lie under a mask: fill them or drop their rows.")
    try:
        array = np.asarray(values)
    except ValueError as reason:
        raise InputError(
            f"The {name} are no array ({reason}): give rows of equal lengths."
        ) from reason
    if array.dtype.kind in "SUT":
        raise InputError(
            f"The {name} are text: number them, such as by np.unique({name}, "
            "return_inverse=True)[1]."
        )
    if array.dtype.kind in "OMmV" and array.dtype.isbuiltin != 2:
        raise InputError(
            f"The {name} are {array.dtype}: make them an array of numbers."
        )
    if array.ndim == 0:
        raise InputError(f"The {name} are a single value: give an array [n, ...].")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _require_inputs(inputs: np.ndarray) -> None:
    if np.issubdtype(inputs.dtype, np.integer):
        if inputs.size and inputs.min() < 0:
            raise InputError(
                "Integer inputs number tokens, and some are negative: number them from "
                "0, or cast values to float32 or float64."
            )
        _require_int32(inputs, "inputs")
        return
    _require_floating(inputs, "inputs")
    _require_finite(inputs, "inputs")


def _require_targets(targets: np.ndarray, classes: int | None) -> None:
    if classes is not None:
        check_labels(targets, classes)
    elif np.issubdtype(targets.dtype, np.integer):
        _require_classes(targets)
    elif targets.dtype == bool:
        raise InputError(
            "The targets are bool: cast labels to int32, and values to float32 or "
            "float64."
        )
    else:
        _require_floating(targets, "targets")
        _require_finite(targets, "targets")


def _require_classes(targets: np.ndarray) -> None:
    """Integers of which it is not known how many classes they number."""
    if targets.ndim == 1:
        check_labels(targets, int(targets.max(initial=0)) + 1)
    elif targets.shape[1:] == (1,) or _are_indicators(targets):
        require_integers(targets)
    _require_int32(targets, "targets")


def _are_indicators(targets: np.ndarray) -> bool:
    """Whether each row is 0 but for a single 1."""
    return targets.ndim == 2 and bool(
        np.all((targets != 0).sum(1) == 1) and np.all(targets.max(1) == 1)
    )


def _require_floating(values: np.ndarray, name: str) -> None:
    """Floating point that JAX has: long doubles are NumPy's alone."""
    if not np.issubdtype(values.dtype, np.floating) or values.dtype.itemsize > 8:
        raise InputError(
            f"The {name} are {values.dtype}: cast them to float32 or float64."
        )


def _require_int32(values: np.ndarray, name: str) -> None:
    """Without `enable_x64` JAX keeps the lower 32 bits of an integer, and says
    nothing.
    """
    largest = int(values.max(initial=0))
    if largest > np.iinfo(np.int32).max:
        raise InputError(
            f"The {name} reach {largest}, beyond int32: renumber them from 0."
        )


def _require_finite(values: np.ndarray, name: str) -> None:
    """Raises InputError with how many values are not finite, and the row of the
    first.
    """
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.nonzero(bad)[0][0])
        raise InputError(
            f"The {name} hold {bad.sum()} values that are NaN or infinite, the first "
            f"in row {row} (from 0): drop or impute them."
        )
