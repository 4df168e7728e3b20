"""Which batch sizes are trained, for how long and in which order: the plan of a sweep,
checked.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxml.learn.batches import Batches, shuffled
from jaxml.learn.orders import Order, split_in_order, whole_batches
from jaxml.types import InputError, Workload


class BatchSizes(NamedTuple):
    """Which batch sizes are trained, and for how long.

    Attributes:
        sizes: in the order wanted, none twice.
        epochs: passes over a run's own training examples; not read where `updates` is
            given.
        updates: of every size in place of `epochs`.
        order: of a run's own examples: `shuffled`, `shuffled_once` or `in_order`.
        drop_remainder: whether the last batch of an epoch is left out where it would be
            smaller than the others.
        micro: examples of a micro-batch, a divisor of all sizes, where all are to share
            one program that accumulates gradients.
    """

    sizes: Sequence[int]
    epochs: int
    updates: int | None = None
    order: Order = shuffled
    drop_remainder: bool = False
    micro: int | None = None


def stream(workload: Workload, plan: BatchSizes, size: int) -> Batches:
    """A run's own examples in the order wanted, in batches of this size."""
    batches = split_in_order(
        workload.data,
        train=workload.train,
        test=workload.test,
        size=size,
        order=plan.order,
    )
    if plan.drop_remainder:
        return whole_batches(batches, workload.train, size)
    return batches


def updates(workload: Workload, plan: BatchSizes, size: int) -> tuple[int, int]:
    """Updates of a run of this size, and of one of its epochs."""
    each = stream(workload, plan, size).per_epoch
    total = plan.epochs * each if plan.updates is None else plan.updates
    return total, each


def evaluations(workload: Workload, plan: BatchSizes, size: int) -> np.ndarray:
    """After how many updates the measures are taken."""
    if not workload.measures:
        return np.array([], int)
    total, each = updates(workload, plan, size)
    return np.append(np.arange(each, total, each), total)


def checked(plan: BatchSizes, train: int) -> BatchSizes:
    """The plan with its sizes as Python's integers, if it can be carried out."""
    if len(plan.sizes) == 0:
        raise InputError("There are no batch sizes to train with: give at least one.")
    for size in plan.sizes:
        if not 1 <= size <= train or int(size) != size:
            raise InputError(
                f"A batch of {size} cannot be taken from a run's {train} training "
                f"examples: choose a whole number between 1 and {train}."
            )
    sizes = [int(size) for size in plan.sizes]
    twice = [size for size in sizes if sizes.count(size) > 1]
    if twice:
        raise InputError(
            f"The batch size {twice[0]} is given twice: give each size once, and more "
            "runs of it as points of the grid."
        )
    lengths = {"epochs": plan.epochs, "updates": plan.updates, "micro": plan.micro}
    for field, length in lengths.items():
        if length is not None and (length < 1 or int(length) != length):
            raise InputError(
                f"{field} of {length} make no run: choose a whole number, 1 or more."
            )
    if plan.micro is not None:
        _require_multiples(plan, sizes, plan.micro)
    return plan._replace(sizes=sizes)


def _require_multiples(plan: BatchSizes, sizes: list[int], micro: int) -> None:
    """Refuses what one accumulating program cannot train."""
    if plan.updates is not None:
        raise InputError(
            f"Runs of {plan.updates} updates of several batch sizes have different "
            "numbers of micro-batches, and one program has one: give `epochs` alone, "
            "or no `micro`."
        )
    others = [size for size in sizes if size % micro]
    if others:
        fitting = [str(size) for size in sizes if size % micro == 0]
        some = f"train with {', '.join(fitting)}, or " if fitting else ""
        raise InputError(
            f"A batch of {others[0]} is no multiple of a micro-batch of {micro}: "
            f"{some}take micro-batches of {math.gcd(*sizes)}, which divide all sizes."
        )
