"""What the benchmark of batch sizes and seeds trains: a small network on digits, and a
wider one on pictures.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import learn, problem
from jaxml.bench import batch_points, grids, optimizers
from jaxml.bench.grids import Grid
from jaxml.bench.rows import Target
from jaxml.learn import Hyper, accumulation
from jaxml.types import Batch, Workload

CLASSES = 10
RATE = 0.05

DIGITS = Target("ratio", "at least", 25.0)
"""Of PyTorch run after run over ours, of the digits."""

PICTURES = Target("ratio", "at least", 5.0)
"""The same of the pictures, where products of matrices weigh more."""

EVERYWHERE = 0
"""Stands for as many runs on each device as there are for it."""


class Size(NamedTuple):
    """What is trained, and on how much of it PyTorch is measured.

    Attributes:
        sizes: of the batches, multiples of the first; from one example to all digits,
            about threefold, as the course's figures have them.
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

    sizes: tuple[int, ...] = (1, 3, 10, 30, 100, 300, 1000, 1796)
    seeds: int = 5
    digits: int = 1797
    epochs: int = 5
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
        lanes: runs that advance together on a device, or `EVERYWHERE`.
        target: of PyTorch's loop over ours.
    """

    name: str
    data: Batch
    width: int
    epochs: int
    lanes: int
    target: Target


def tasks(size: Size) -> list[Task]:
    """A small network on digits, and a wider one on pictures."""
    digits = batch_points.first(problem.digits(), size.digits)
    pictures = batch_points.pictures(size.pictures + 1, size.side)
    flat = pictures._replace(inputs=pictures.inputs.reshape(size.pictures + 1, -1))
    return [
        Task("digits", digits, size.width, size.epochs, EVERYWHERE, DIGITS),
        Task("pictures", flat, size.hidden, 1, size.alone, PICTURES),
    ]


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


def joined(size: Size) -> Any:
    """The runs of all sizes as one grid, each with the micro-batches of its updates."""
    seeds = [*range(size.seeds)] * len(size.sizes)
    hypers = learn.grid(Hyper, lr=RATE, seed=seeds)
    periods = np.array(size.sizes, np.int32) // np.int32(min(size.sizes))
    return accumulation.with_period(hypers, np.repeat(periods, size.seeds))


def together(task: Task, hypers: Any) -> int:
    """How many runs advance together on a device: on a CPU one where a run's state and
    momentum fill its cache.
    """
    return grids.evenly(hypers, None) if task.lanes == EVERYWHERE else task.lanes
