"""Seconds and memory of a sweep as its runs grow: an accelerator that one run leaves
idle takes hundreds.
"""

import os
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import learn, parallel, problem
from jaxml.bench.race import Entrant, once, race
from jaxml.bench.rows import Row, Target
from jaxml.learn import Hyper
from jaxml.types import Batch

CLASSES = 10
JUDGED = 256
"""The number of lanes that has a target."""

CPU = Target("ratio", "at most", 120.0)
ACCELERATOR = Target("ratio", "at most", 2.0)


class Size(NamedTuple):
    """What is trained, and on how much of it many lanes are measured.

    Attributes:
        lanes: numbers of runs; the first has the ratio 1.
        steps: updates of a run.
        long: so many lanes or more are measured on fewer updates.
        long_steps: how many.
        width: of the hidden layer.
        batch: examples of a batch.
        rounds: repetitions.
        target: of `JUDGED` lanes.
    """

    lanes: tuple[int, ...] = (1, 16, JUDGED, 4096)
    steps: int = 500
    long: int = 4096
    long_steps: int = 500
    width: int = 32
    batch: int = 32
    rounds: int = 5
    target: Target = ACCELERATOR


ON_ACCELERATOR = Size()
ON_CPU = Size(long_steps=20, rounds=3, target=CPU)
SMOKE = Size(
    (1, 4),
    steps=4,
    long=4,
    long_steps=2,
    width=4,
    batch=8,
    rounds=1,
)


def measure(size: Size | None = None) -> list[Row]:
    """Each number of runs as one sweep, from the seeds to arrays on the host, in
    turn.
    """
    if size is None:
        size = ON_CPU if jax.default_backend() == "cpu" else ON_ACCELERATOR
    data = jax.device_put(problem.digits())
    entrants = [sweep(data, count, size) for count in size.lanes]
    return race("lanes", entrants, to=named(size.lanes[0]), rounds=size.rounds)


def sweep(data: Batch, count: int, size: Size) -> Entrant:
    """So many runs, spread evenly over the devices, or the cores, that there are."""
    steps = size.long_steps if count >= size.long else size.steps
    training = experiment(data, steps, size)
    grid = learn.grid(Hyper, lr=np.geomspace(1e-4, 1e-1, count))
    lanes = -(-count // len(parallel.devices()))
    program, seconds = once(lambda: learn.compiled(training, grid, lanes=lanes))
    together = len(program.places)
    precision = os.environ.get("JAX_DEFAULT_MATMUL_PRECISION", "the device's default")
    measured = f"updates measured: {steps} of {size.steps}; chunks at once: {together}"
    planned = together * program.bytes / 2**20
    return Entrant(
        f"{named(count)}, {planned:.3g} MiB",
        partial(trained, program, training, grid),
        parts=size.steps / steps,
        compile_seconds=seconds,
        target=size.target if count == JUDGED else None,
        note=f"{measured}; initialisation and transfer included; matrix precision: "
        f"{precision}; memory as XLA plans it for all that is computed at once",
    )


def experiment(data: Batch, steps: int, size: Size) -> learn.Training:
    """A network of one hidden layer of ReLUs on shuffled digits, by SGD with
    momentum.
    """
    model = problem.mlp((size.width, CLASSES), jax.nn.relu)
    loss = problem.training_loss(model, problem.cross_entropy)
    start = problem.start(model, data.inputs)
    batches = learn.shuffled(data, size.batch)
    return learn.training(start, loss, learn.momentum, batches, steps=steps)


def trained(program: learn.Program, training: learn.Training, grid: Hyper) -> Any:
    """The losses of all runs."""
    return learn.run(program, training, grid).trace.loss


def named(count: int) -> str:
    """The way's name.

    >>> named(1), named(4096)
    ('1 lane', '4,096 lanes')
    """
    return "1 lane" if count == 1 else f"{count:,} lanes"
