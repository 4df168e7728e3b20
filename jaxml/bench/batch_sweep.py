"""Several seeds at each of several batch sizes: `learn.batch_sweep` in both ways,
against PyTorch's loop over the runs and its best batched form.

All make as many updates of the same network. No way but ours that accumulates gradients
computes two sizes at once, so sizes are timed apart and their seconds added.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import learn, problem
from jaxml.bench import (
    batch_points,
    batch_sweep_torch,
    grids,
    optimizers,
    peak,
    peers,
    sums,
)
from jaxml.bench.grids import Grid
from jaxml.bench.machine import device
from jaxml.bench.race import once
from jaxml.bench.rows import Row, Target, judged, ranked, spread
from jaxml.bench.sums import Pieces
from jaxml.learn import Hyper, accumulation
from jaxml.types import Batch, Workload

CLASSES = 10
RATE = 0.05

DIGITS = Target("ratio", "at least", 25.0)
"""Of PyTorch run after run over ours, of the digits."""

PICTURES = Target("ratio", "at least", 5.0)
"""The same of the pictures, where products of matrices weigh more."""

EVEN = Target("ratio", "at least", 1.0)
"""Of PyTorch's best form over ours."""

EVERYWHERE = 0
"""Stands for as many runs on each device as there are for it."""


class Size(NamedTuple):
    """What is trained, and on how much of it PyTorch is measured.

    Attributes:
        sizes: of the batches, multiples of the first.
        seeds: at each of them.
        digits: how many there are; one of them is held out.
        epochs: of the digits, so that PyTorch's loop takes seconds.
        width: of the digits network's hidden layer.
        pictures: that train a run; random ones.
        side: of a picture, in pixels.
        hidden: units of the pictures network's hidden layer.
        torch_updates: measured in PyTorch at each size, at most.
        alone: runs of the pictures network that advance together on a device where
            gradients are accumulated. A run alone makes an optimizer's update only
            where one is due; among several it is computed at each micro-batch.
        rounds: repetitions.
    """

    sizes: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512, 1024)
    seeds: int = 5
    digits: int = 1797
    epochs: int = 20
    width: int = 32
    pictures: int = 10_000
    side: int = 28
    hidden: int = 100
    torch_updates: int = 64
    alone: int = 1
    rounds: int = 3


ON_CPU = Size()
ON_ACCELERATOR = Size(alone=EVERYWHERE)
"""There one run at a time leaves the device idle."""

SMOKE = Size(
    sizes=(4, 8),
    seeds=2,
    digits=19,
    epochs=2,
    width=3,
    pictures=12,
    side=3,
    hidden=4,
    torch_updates=3,
    rounds=1,
)


class Task(NamedTuple):
    """What every way trains.

    Attributes:
        name: of the task.
        data: all examples; one more than train a run.
        width: of the hidden layer.
        epochs: of a run.
        lanes: accumulating runs that advance together, or `EVERYWHERE`.
        target: of PyTorch's loop over ours.
    """

    name: str
    data: Batch
    width: int
    epochs: int
    lanes: int
    target: Target


def measure(size: Size | None = None) -> list[Row]:
    """Both tasks in every way, with compilation and without."""
    size = size or (ON_CPU if jax.default_backend() == "cpu" else ON_ACCELERATOR)
    rows = [row for task in tasks(size) for row in contest(task, size)]
    return rows if peers.torch() else [*rows, peers.absent("batch_sweep")]


def tasks(size: Size) -> list[Task]:
    """A small network on digits, and a wider one on pictures."""
    digits = batch_points.first(problem.digits(), size.digits)
    pictures = batch_points.pictures(size.pictures + 1, size.side)
    flat = pictures._replace(inputs=pictures.inputs.reshape(size.pictures + 1, -1))
    return [
        Task("digits", digits, size.width, size.epochs, EVERYWHERE, DIGITS),
        Task("pictures", flat, size.hidden, 1, size.alone, PICTURES),
    ]


def contest(task: Task, size: Size) -> list[Row]:
    """The task in every way in turn; with compilation, which takes longer, once."""
    micro = min(size.sizes)
    first_whole = first_time(task, size, None)
    first_accumulated = first_time(task, size, micro)
    by_size = [grid_of(task, size, batch) for batch in size.sizes]
    ways = [whole(by_size), accumulated(task, size), limit(by_size)]
    left_out: list[Row] = []
    torch = peers.torch()
    if torch:
        forms, left_out = batch_sweep_torch.at_once(torch, by_size)
        ways += [*forms, batch_sweep_torch.loop(torch, by_size, task.target)]
    rows = sums.race(
        "batch_sweep", ways, to="ours", rounds=size.rounds, contest=task.name
    )
    base = rows[-1] if torch else rows[0]  # PyTorch's loop, or else ours
    cold = [compared(each, base, task) for each in (first_whole, first_accumulated)]
    return [*map(aimed, ranked([*rows, *cold])), *left_out]


def aimed(row: Row) -> Row:
    """The row with a target if it is of the strongest alternative."""
    aims = row.role == "strongest" and row.target is None
    return judged(row._replace(target=EVEN)) if aims else row


def named(micro: int | None) -> str:
    """The way's name.

    >>> named(None), named(8)
    ('ours, a program a size', 'ours, accumulated from micro-batches of 8')
    """
    if micro is None:
        return "ours, a program a size"
    return f"ours, accumulated from micro-batches of {micro}"


def first_time(task: Task, size: Size, micro: int | None) -> Row:
    """`learn.batch_sweep` from nothing to arrays on the host, measured once."""
    plan = learn.BatchSizes(size.sizes, task.epochs, micro=micro)
    workload, hypers = workload_of(task), points(size)
    lanes = grids.evenly(hypers, None)
    if micro is not None:
        lanes = together(task, joined(size))
    sweep = partial(learn.batch_sweep, workload, learn.momentum, plan, hypers)
    _, seconds = once(lambda: sweep(lanes=lanes))
    return Row(
        "batch_sweep",
        f"{task.name}: {named(micro)}, compilation included",
        device(),
        spread([seconds]),
        repetitions=1,
        note="`learn.batch_sweep` traced and compiled anew, nothing taken from a "
        "cache, the programs of several sizes on several cores",
        role="ours",
    )


def compared(row: Row, base: Row, task: Task) -> Row:
    """A row that was measured once, with its ratio to the median of another."""
    if row.seconds is None or base.seconds is None:
        return row
    ratio = row.seconds.median / base.seconds.median
    to = "ours" if base.role == "ours" else base.what.removeprefix(f"{task.name}: ")
    return row._replace(ratio=ratio, to=to)


def points(size: Size) -> Hyper:
    """The seeds."""
    return learn.grid(Hyper, lr=RATE, seed=range(size.seeds))


def workload_of(task: Task) -> Workload:
    """The task without measures, made anew, so that it is traced anew."""
    model = problem.mlp((task.width, CLASSES), jax.nn.relu)
    return Workload(
        start=problem.start(model, task.data.inputs),
        loss=problem.training_loss(model, problem.cross_entropy),
        data=task.data,
        train=len(task.data.weights) - 1,
        test=1,
        measures={},
    )


def batches_of(workload: Workload, batch: int) -> learn.Batches:
    """What a run sees: examples that it drew for itself, shuffled every epoch."""
    return learn.split_anew(
        workload.data, train=workload.train, test=workload.test, size=batch
    )


def training_of(task: Task, batch: int) -> learn.Training:
    """The task in whole batches of one size, as `learn.batch_sweep` trains it."""
    workload = workload_of(task)
    batches = batches_of(workload, batch)
    steps = task.epochs * batches.per_epoch
    return learn.training(
        workload.start, workload.loss, learn.momentum, batches, steps=steps
    )


def grid_of(task: Task, size: Size, batch: int) -> Grid:
    """The seeds at one size, for every way."""
    train = len(task.data.weights) - 1
    updates = task.epochs * learn.updates_per_epoch(train, batch)
    shape = optimizers.Size(
        steps=updates,
        width=task.width,
        batch=batch,
        torch_steps=min(updates, size.torch_updates),
    )
    momentum = optimizers.OPTIMIZERS["SGD with momentum"]
    seen = batch_points.first(task.data, train)
    return optimizers.grid_of(momentum, seen, shape)._replace(
        make=partial(training_of, task, batch), hypers=points(size)
    )


def whole(by_size: list[Grid]) -> Pieces:
    """A program a size, compiled before, as `learn.batch_sweep` makes it."""
    parts = []
    for grid in by_size:
        lanes = grids.evenly(grid.hypers, None)
        parts.append(grids.program(grid.make(), grid.hypers, lanes=lanes))
    first, *_ = parts
    note = f"{first.what.removeprefix('ours, ')}: {first.note}"
    return sums.joined(named(None), parts, note=note)


def accumulated(task: Task, size: Size) -> Pieces:
    """All sizes as runs of one program, compiled before, as `learn.batch_sweep` makes
    it.
    """
    workload, micro = workload_of(task), min(size.sizes)
    training = accumulation.accumulated(
        workload.start,
        workload.loss,
        learn.momentum,
        batches_of(workload, micro),
        epochs=accumulation.Epochs(task.epochs),
    )
    hypers = joined(size)
    part = grids.program(training, hypers, lanes=together(task, hypers))
    note = f"{part.what.removeprefix('ours, ')}: {part.note}"
    return sums.joined(named(micro), [part], note=note)


def joined(size: Size) -> Any:
    """The runs of all sizes as one grid, each with the micro-batches of its updates."""
    seeds = [*range(size.seeds)] * len(size.sizes)
    hypers = learn.grid(Hyper, lr=RATE, seed=seeds)
    periods = np.array(size.sizes, np.int32) // np.int32(min(size.sizes))
    return accumulation.with_period(hypers, np.repeat(periods, size.seeds))


def together(task: Task, hypers: Any) -> int:
    """How many accumulating runs advance together on a device."""
    return grids.evenly(hypers, None) if task.lanes == EVERYWHERE else task.lanes


def limit(by_size: list[Grid]) -> Pieces:
    """The matrix products of all updates of all runs at the measured peak."""
    total = 0
    for grid in by_size:
        setting = grid.setting
        each = peak.dense(setting.widths, setting.batch)
        total += len(grid.hypers.lr) * setting.steps * each
    part = peak.limit(total)
    return sums.joined(part.what, [part], note=part.note)
