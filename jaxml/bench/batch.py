"""Seconds of one update, and of an epoch, against the batch size: a device that small
batches leave idle takes larger ones in the same time.

An update is timed on a batch that is there already; drawing one is timed apart, and so
is compilation. All sizes of a network are timed in turn, round after round, so that
what slows the machine slows them all.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax

from jaxml import memory
from jaxml.bench import batch_rows, peers
from jaxml.bench.batch_points import (
    ON_ACCELERATOR,
    ON_CPU,
    Size,
    Work,
    cnn,
    dense,
    drawing,
    first_states,
    one_run,
    several_runs,
    torch_point,
)
from jaxml.bench.batch_rows import Point
from jaxml.bench.race import timed
from jaxml.bench.rows import Row
from jaxml.types import InputError


def measure(size: Size | None = None) -> list[Row]:
    """An update of a dense network and of a small CNN at each batch size, by one run,
    by several at once, and by PyTorch; drawing a batch; and the law of the times.

    Raises:
        InputError: sizes of batches that do not grow, or fewer than three of them.
    """
    if size is None:
        size = ON_CPU if jax.default_backend() == "cpu" else ON_ACCELERATOR
    for batches in (size.dense, size.cnn):
        check(batches, size.rounds)
    work = dense(size)
    rows = [
        *curves(work, drawing(work, size), size),
        *curves(cnn(size), [], size),
    ]
    return rows if peers.torch() else [*rows, peers.absent("batch")]


def check(batches: Sequence[int], rounds: int) -> None:
    """Refuses sizes and rounds that show no law.

    Raises:
        InputError: see `measure`.
    """
    growing = list(batches) == sorted(set(batches))
    if len(batches) < 3 or not growing or batches[0] < 1 or rounds < 2:
        raise InputError(
            f"Batches of {tuple(batches)} in {rounds} rounds show no law of an "
            "update's time: give at least 3 sizes, each 1 or more and above the one "
            "before it, and 2 rounds."
        )


def curves(work: Work, drawn: Sequence[Point], size: Size) -> list[Row]:
    """The network's rows, curve after curve."""
    states = first_states(work, size.runs)
    ours, omitted = fitting(partial(one_run, work, states, size), work.batches)
    largest = max((point.batch for point in ours), default=0)
    several = [batch for batch in work.batches if batch * size.runs <= largest]
    lanes, beyond = fitting(partial(several_runs, work, states, size), several)
    points = [*ours, *lanes, *(point for point in drawn if point.batch <= largest)]
    torch = peers.torch()
    if torch:
        points += [torch_point(torch, work, size, point.batch) for point in ours]
    if not points:
        return omitted
    seconds = timed([point.entrant for point in points], size.rounds)
    return [*batch_rows.rows(points, seconds), *omitted, *beyond]


def fitting(
    make: Callable[[int], Point], batches: Sequence[int]
) -> tuple[list[Point], list[Row]]:
    """The points of a curve up to the first that does not fit in memory, and a row that
    says so.
    """
    points = []
    for batch in batches:
        point, free = make(batch), memory.available_bytes()
        if point.bytes > free:
            return points, [batch_rows.omitted(point, free)]
        points.append(point)
    return points, []
