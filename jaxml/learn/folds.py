"""Cross-validation: folds of equal shapes, so that all folds and seeds are one
program.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml.learn.batches import Batches, shuffled
from jaxml.types import Array, Batch, Dataset, InputError, Key

__all__ = [
    "Selected",
    "assigned_folds",
    "by_fold",
    "folds",
    "folds_in_time",
    "grouped_folds",
    "selected",
]


class Selected(NamedTuple):
    """What cross-validation says.

    Attributes:
        errors: of each model, the mean over folds.
        model: the place of the least, the first of equal ones.
    """

    errors: Float[np.ndarray, " model"]
    model: int


def selected(errors: Float[Array, "model fold"]) -> Selected:
    """The model whose validation error, averaged over the folds, is least; it is then
    trained again on all the data.

    Raises:
        InputError: no models or folds, or an error that is NaN.

    >>> errors = np.array([[0.2, 0.4, 0.3], [0.4, 0.5, 0.6], [0.4, 0.5, 0.3]])
    >>> averages, model = selected(errors)
    >>> averages.round(6).tolist(), model
    ([0.3, 0.5, 0.4], 0)
    """
    values = np.asarray(errors)
    if values.ndim != 2 or not values.size or np.isnan(values).any():
        raise InputError(
            f"Errors {values.shape} with {np.isnan(values).sum()} that are NaN choose "
            "no model: give a number for each model and fold."
        )
    averages = np.mean(values, axis=1)
    return Selected(averages, int(np.argmin(averages)))


def folds(data: Batch, k: int, *, key: Key) -> Dataset:
    """k random parts, as equal as can be, each held out once while the others train.

    They leak wherever examples depend on one another: use `grouped_folds` for several
    examples of one source, and `folds_in_time` for a series.

    Args:
        data: all examples.
        k: from 2 (halves) to their number (leave one out).
        key: of the order in which they are dealt out.

    Returns:
        A `Dataset` whose arrays have a leading axis of folds. Shorter parts end in
        copies of weight 0.

    Raises:
        InputError: k below 2 or above the number of examples.
    """
    count = len(data.weights)
    _require_k(k, count, "examples")
    order = np.asarray(jax.random.permutation(key, count))
    fold_of = np.empty(count, int)
    fold_of[order] = np.arange(count) % k
    return assigned_folds(data, fold_of)


def grouped_folds(
    data: Batch, groups: Sequence[Any] | Array, k: int, *, key: Key
) -> Dataset:
    """`folds` that hold out whole groups: no group is trained on and held out at once.

    Groups are dealt out from the largest to the smallest, each to the fold that has the
    fewest examples; the key orders those of equal size.

    Args:
        data: all examples.
        groups: of each example a name, such as who wrote it.
        k: from 2 to the number of groups.
        key: of the order among groups of one size.

    Raises:
        InputError: k below 2 or above the number of groups; not one group an example.
    """
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    if group_of.shape != (len(data.weights),):
        raise InputError(
            f"{len(data.weights)} examples have groups of the shape "
            f"{group_of.shape}: give each example one."
        )
    _require_k(k, len(names), "groups")
    sizes = np.bincount(group_of)
    tie = np.asarray(jax.random.permutation(key, len(names)))
    totals, fold_of_group = np.zeros(k, int), np.empty(len(names), int)
    for group in tie[np.argsort(-sizes[tie], kind="stable")]:
        fold = int(np.argmin(totals))
        fold_of_group[group] = fold
        totals[fold] += sizes[group]
    return assigned_folds(data, fold_of_group[group_of])


def folds_in_time(data: Batch, times: Array, k: int, *, gap: Any = 0) -> Dataset:
    """k folds of a series: of k + 1 stretches in the order of time, each but the first
    is held out once, and what lies before it trains.

    Args:
        data: all examples.
        times: of each, such as `DailyViews.days`.
        k: from 1 to one below the number of different times.
        gap: examples less than this before the first held-out time do not train, such
            as those whose targets reach into it.

    Returns:
        As `folds`; earlier folds train on fewer examples, the rest is weight 0.

    Raises:
        InputError: not one time an example, or one that is not finite; k out of range;
            a gap that leaves a fold nothing to train on.

    Source: Bergmeir and Benítez 2012, Information Sciences 191, evaluation by
        last blocks.
    """
    times = _times(data, times)
    known = np.unique(times)
    if not 1 <= k < len(known):
        raise InputError(
            f"{len(known)} different times make no {k} folds after a first stretch: "
            f"choose from 1 to {len(known) - 1}."
        )
    stretch_of = np.arange(len(known)) * (k + 1) // len(known)
    stretch = stretch_of[np.searchsorted(known, times)]
    parts = []
    for fold in range(1, k + 1):
        held = np.flatnonzero(stretch == fold)
        train = np.flatnonzero(times < times[held].min() - gap)
        if not len(train):
            raise InputError(
                f"A gap of {gap} leaves fold {fold} nothing to train on: shorten it, "
                "or use fewer folds."
            )
        parts.append((train, held))
    return _stacked(data, parts)


def assigned_folds(
    data: Batch, fold_of: Array, *, times: Array | None = None
) -> Dataset:
    """Folds of one's own: each number 0, ..., k - 1 is held out once, the others train.

    Args:
        data: all examples.
        fold_of: of each example the fold in which it is held out.
        times: of each example, where it matters that none is trained on that comes
            after one that is held out.

    Raises:
        InputError: not one whole number an example, a fold without examples or fewer
            than two; with `times`, a fold that trains on what comes after the first
            that it holds out.
    """
    number = np.asarray(fold_of)
    if number.shape != (len(data.weights),) or number.dtype.kind not in "iu":
        raise InputError(
            f"{len(data.weights)} examples have folds {number.dtype} {number.shape}: "
            "give each example one whole number."
        )
    count = int(number.max(initial=0)) + 1
    sizes = np.bincount(np.maximum(number, 0), minlength=count)
    if number.min(initial=0) < 0 or count < 2 or not sizes.all():
        raise InputError(
            f"Folds of {sizes.tolist()} examples do not hold each out once: number two "
            "or more from 0, without a gap."
        )
    parts = [
        (np.flatnonzero(number != fold), np.flatnonzero(number == fold))
        for fold in range(count)
    ]
    if times is not None:
        _require_past(_times(data, times), parts)
    return _stacked(data, parts)


def by_fold(folds: Dataset, fold: Any, size: int) -> Batches:
    """Shuffled batches of what one fold trains on; the run's own data is the fold's
    `Dataset`.

    With the fold's number a field of the grid and `at_each_point`, all folds and seeds
    are one program.

    Args:
        folds: as `folds` makes them.
        fold: its number, perhaps traced.
        size: of a batch; examples of weight 0 fill some of the places.

    Raises:
        InputError: a batch could be all padding, or is larger than what trains.

    >>> data = Batch(jnp.ones((6, 1)), jnp.arange(6), jnp.ones(6))
    >>> three = folds(data, 3, key=jax.random.key(0))
    >>> batches = by_fold(three, 1, 4)
    >>> own = batches.own(batches.data, jax.random.key(1))
    >>> own.train.inputs.shape, own.test.inputs.shape
    ((4, 1), (2, 1))
    """
    weights = np.asarray(folds.train.weights)
    padding = int(np.max(np.sum(weights == 0, axis=1)))
    if 0 < size <= padding:
        raise InputError(
            f"Folds have up to {padding} places of padding, which could fill a batch "
            f"of {size}: take batches of {padding + 1} or more."
        )
    first = jax.tree.map(lambda leaf: leaf[0], folds.train)
    shown = shuffled(first, size)

    def own(data: Any, key: Key) -> Dataset:
        del key
        number = jnp.asarray(fold).astype(jnp.int32)  # grids hold numbers as floats
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[number], data)

    def draw(own: Dataset, key: Key, step: Any) -> Batch:
        return shown.draw(own.train, key, step)

    data: Any = folds
    return Batches(data, draw, shown.per_epoch, own)


def _require_k(k: int, count: int, of: str) -> None:
    if int(k) != k or not 2 <= k <= count:
        raise InputError(
            f"{count} {of} make no {k} folds: choose a whole number from 2 to {count}."
        )


def _times(data: Batch, times: Array) -> np.ndarray:
    values = np.asarray(times)
    if values.shape != (len(data.weights),) or not np.isfinite(values).all():
        raise InputError(
            f"{len(data.weights)} examples have times of the shape {values.shape}, or "
            "some are not finite: give each example one number."
        )
    return values


def _require_past(times: np.ndarray, parts: Sequence[tuple[Any, Any]]) -> None:
    for fold, (train, held) in enumerate(parts):
        late = int(np.sum(times[train] >= times[held].min()))
        if late:
            raise InputError(
                f"Fold {fold} trains on {late} examples from the first held-out time "
                "on, so it leaks: use `folds_in_time`."
            )


def _stacked(data: Batch, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Dataset:
    """The parts of each fold, stacked."""
    train, held = zip(*parts, strict=True)
    return Dataset(_rows(data, train), _rows(data, held))


def _rows(data: Batch, places: Sequence[np.ndarray]) -> Batch:
    """Examples at these places, one row of places a fold; the first, of weight 0, fills
    shorter rows.
    """
    longest = max(map(len, places))
    index = np.zeros((len(places), longest), int)
    present = np.zeros(index.shape, bool)
    for row, own in enumerate(places):
        index[row, : len(own)] = own
        present[row, : len(own)] = True
    inputs, targets, weights = (np.asarray(field)[index] for field in data)
    return Batch(inputs, targets, np.where(present, weights, np.zeros_like(weights)))
