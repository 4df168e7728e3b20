"""A grid of hyperparameters: every combination of the given values, one a run."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxml.learn.optimizers.hyper import validate
from jaxml.types import Hypers, InputError

_LARGEST = int(np.iinfo(np.int32).max)


def grid(kind: type[Hypers], **axes: Any) -> Hypers:
    """Every combination of the given values, as one `kind` whose fields are arrays
    `[runs]`.

    Runs come in C order of the keywords, so results reshape to the lengths of the
    axes; fields not named keep their default. An axis is one number or any ordered
    collection of numbers. Fields that are whole by default or annotation are int32, the
    others floating point of the precision that holds where `grid` is called: float64
    inside `jax.enable_x64(True)`, else float32.

    >>> from jaxml.learn.optimizers.hyper import Hyper
    >>> grid(Hyper, lr=[0.1, 0.2], seed=range(3)).seed.tolist()
    [0, 1, 2, 0, 1, 2]

    Raises:
        InputError: an axis is empty, unknown, no row of numbers, or breaks a rule of
            `validate`; a number is not whole where it counts something, or is beyond
            what its dtype can hold.
    """
    _check_axes(kind, axes)
    values = {name: _row(name, axis) for name, axis in axes.items()}
    empty = [name for name, row in values.items() if not row]
    if empty:
        raise InputError(
            f"the axis {empty[0]} of the grid is empty: give at least one value."
        )
    runs = list(itertools.product(*values.values()))
    columns = dict(zip(values, zip(*runs, strict=True), strict=True)) if axes else {}
    filled: dict[str, np.ndarray] = {}
    for name, value in _filled(kind, columns).items():
        row = value if name in columns else _default(name, value)
        filled[name] = _column(kind, name, row, len(runs))
    return validate(kind(**filled))


def joined(grids: Sequence[Hypers]) -> Hypers:
    """Grids of one kind, one after another, as one grid.

    >>> from jaxml.learn.optimizers.hyper import Hyper
    >>> joined([grid(Hyper, lr=[0.1, 0.2]), grid(Hyper, lr=[0.3], seed=[1])]).seed
    array([0, 0, 1], dtype=int32)

    Raises:
        InputError: no grids, or grids of more than one kind.
    """
    kinds = {type(each) for each in grids}
    if len(kinds) != 1:
        raise InputError(
            f"{len(grids)} grids of {len(kinds)} kinds cannot be joined: give one grid "
            "or more, all of one kind."
        )
    (kind,) = kinds
    columns = [np.concatenate(column) for column in zip(*grids, strict=True)]
    return kind(*columns)


def _check_axes(kind: Any, axes: Mapping[str, Any]) -> None:
    """Refuses axes that are no fields of the kind, and fields without any value."""
    known = getattr(kind, "_fields", None)
    if known is None or not isinstance(kind, type):
        raise InputError(
            f"{_told(kind)} has no fields to make a grid of: give a NamedTuple, "
            "such as `learn.Hyper`."
        )
    unknown = sorted(axes.keys() - set(known))
    if unknown:
        raise InputError(
            f"{unknown[0]} is no hyperparameter here: choose among {', '.join(known)}."
        )
    defaults = getattr(kind, "_field_defaults", {})
    missing = [name for name in known if name not in axes and name not in defaults]
    if missing:
        raise InputError(f"{missing[0]} has no default: give it at least one value.")


def _filled(kind: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns by name, and the defaults of the fields that have none."""
    return kind(**columns)._asdict()


def runs_of(hypers: Any) -> int:
    """How many runs a grid has.

    Raises:
        InputError: `hypers` is no NamedTuple of columns of one length, or a column
            cannot be what it stands for: a count that is not whole or beyond int32.
    """
    if not hasattr(hypers, "_asdict"):
        raise InputError(
            f"A {type(hypers).__name__} is no grid of hyperparameters: "
            "make one by `learn.grid(learn.Hyper, lr=[0.1])`."
        )
    kind, columns = type(hypers), hypers._asdict()
    for name, column in columns.items():
        if np.ndim(column) != 1:
            raise InputError(
                f"{name} has the shape {np.shape(column)} where a grid has one "
                f"number a run: make the grid by `learn.grid({kind.__name__}, "
                f"{name}=[...])`."
            )
        if counts(kind, name):
            _held(name, np.asarray(column))
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        longest, shortest = (
            max(lengths, key=lengths.__getitem__),
            min(lengths, key=lengths.__getitem__),
        )
        raise InputError(
            f"{longest} has {lengths[longest]} numbers and {shortest} "
            f"{lengths[shortest]}: make the grid by `learn.grid`, which gives each "
            "field one number a run."
        )
    return next(iter(lengths.values()), 0)


def require_precision(hypers: Any, params: Any) -> None:
    """Refuses a grid that was rounded to less than the precision of the parameters it
    is to train.

    A grid made outside `jax.enable_x64` holds float32: 0.9 has become 0.89999998, which
    a run in float64 would take at its word.

    Raises:
        InputError: the parameters are float64, and a floating-point column is not.
    """
    if not any(leaf.dtype == np.float64 for leaf in jax.tree.leaves(params)):
        return
    for name, column in hypers._asdict().items():
        dtype = np.asarray(column).dtype
        if jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize < 8:
            raise InputError(
                f"{name} was rounded to {dtype} and the parameters are float64: "
                "make the grid inside `with jax.enable_x64(True):`."
            )


def counts(kind: Any, name: str) -> bool:
    """Whether a field is whole: by an annotation of int, or by a default that is
    one.
    """
    annotation = kind.__annotations__.get(name)
    written = getattr(annotation, "__forward_arg__", annotation)
    return isinstance(kind._field_defaults.get(name), int | np.integer) or written in (
        int,
        "int",
    )


def _row(name: str, axis: Any) -> list[Any]:
    """The values of an axis, in their order."""
    if np.ma.isMaskedArray(axis) and np.ma.is_masked(axis):
        raise InputError(
            f"the axis {name} of the grid is masked in part: give the numbers that are "
            "meant, such as its compressed()."
        )
    whole = isinstance(axis, str | bytes | set | frozenset | dict) or not isinstance(
        axis, Iterable
    )
    if whole or jnp.issubdtype(getattr(axis, "dtype", float), jax.dtypes.extended):
        values = [axis]
    elif hasattr(axis, "ndim"):
        values = list(np.atleast_1d(np.asarray(axis)))
    else:
        values = list(axis)
    for value in values:
        if not _is_number(value):
            raise InputError(
                f"the axis {name} of the grid holds {_told(value)}, which is no "
                "number: give a list of numbers, in the order of the runs."
            )
    return values


def _is_number(value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return True
    array = isinstance(value, np.generic | np.ndarray | jax.Array) and not isinstance(
        value, Tracer
    )
    if not array or np.ndim(value) > 0:
        return False
    return any(
        jnp.issubdtype(value.dtype, kind)
        for kind in (np.bool_, np.integer, np.floating)
    )


def _told(value: Any) -> str:
    if isinstance(value, Tracer):
        return "a traced value"
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"a {type(value).__name__}"


def _default(name: str, value: Any) -> tuple[Any, ...]:
    """The one value of a field that is not named."""
    row = _row(name, value)
    if len(row) != 1:
        raise InputError(
            f"the default of {name} is {_told(value)}, and a run has one number a "
            "field: declare one field a number."
        )
    return tuple(row)


def _column(kind: Any, name: str, row: tuple[Any, ...], runs: int) -> np.ndarray:
    """One value a run; int32 for fields that count, else floating point."""
    numbers = _whole(name, row) if counts(kind, name) else _real(name, row)
    return np.array(np.broadcast_to(numbers, (runs,)))


def _whole(name: str, row: tuple[Any, ...]) -> np.ndarray:
    for value in row:
        if not (math.isfinite(value) and int(value) == value):
            raise InputError(
                f"{name} counts something by its default or annotation, so it cannot "
                f"be {float(value):g}: give a whole number, or declare the field as "
                "a float."
            )
        if abs(int(value)) > _LARGEST:
            raise InputError(
                f"{name} must lie within int32, not {int(value)}: give at most "
                f"{_LARGEST}."
            )
    return np.array([int(value) for value in row], np.int32)


def _real(name: str, row: tuple[Any, ...]) -> np.ndarray:
    dtype = jnp.result_type(float)
    with np.errstate(over="ignore", under="ignore"):
        numbers = np.asarray([_double(value) for value in row]).astype(dtype)
    for value, number in zip(row, numbers, strict=True):
        lost = math.isfinite(_double(value)) and not math.isfinite(number)
        if lost or (value != 0 and number == 0):
            raise InputError(
                f"{name} of {value} is {number} in {dtype}: choose a number that "
                f"{dtype} can hold, or work inside `with jax.enable_x64(True):`."
            )
    return numbers


def _double(value: Any) -> float:
    """A number as float64, infinite where it is beyond."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _held(name: str, column: np.ndarray) -> None:
    """Refuses a column of counts that the run would take for others."""
    if not (np.issubdtype(column.dtype, np.integer) or column.dtype == bool):
        raise InputError(
            f"{name} counts something and its column is {column.dtype}: make the grid "
            "by `learn.grid`."
        )
    beyond = column[(column > _LARGEST) | (column < -_LARGEST)]
    if beyond.size:
        raise InputError(
            f"{name} must lie within int32, not {beyond[0]}: give at most {_LARGEST}."
        )
