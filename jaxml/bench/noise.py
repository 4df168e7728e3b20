"""What it costs to watch the noise of the gradient: the same training without a probe
and with one that estimates tr Σ and ‖G‖², layer by layer, every so many updates.
"""

import os
from functools import partial
from typing import Any, NamedTuple

import jax

from jaxml import curvature, learn, problem
from jaxml.bench.batch_points import CLASSES, first, pictures
from jaxml.bench.race import Entrant, once, race
from jaxml.bench.rows import Row, Target
from jaxml.learn import Hyper
from jaxml.types import Batch, Params

GOAL = Target("ratio", "at most", 1.15)


class Size(NamedTuple):
    """What is trained, and how it is watched.

    Attributes:
        small: units of the hidden layer of the network on 8x8 digits.
        large: those of the network on pictures.
        side: of a picture, in pixels.
        pictures: how many.
        batch: examples an update.
        steps: updates of a run.
        every: updates between two estimates.
        probed: examples of an estimate.
        parts: of equal size, into which these are cut.
        runs: that advance at once, one a seed.
        rounds: repetitions.
    """

    small: int = 32
    large: int = 100
    side: int = 28
    pictures: int = 4096
    batch: int = 32
    steps: int = 400
    every: int = 20
    probed: int = 64
    parts: int = 2
    runs: int = 8
    rounds: int = 9


SMOKE = Size(
    small=4,
    large=4,
    side=4,
    pictures=64,
    batch=8,
    steps=4,
    every=2,
    probed=16,
    parts=4,
    runs=2,
    rounds=2,
)


def measure(size: Size | None = None) -> list[Row]:
    """Several runs of a small network and of a larger one, from the seeds to arrays on
    the host, without and with the estimates, in turn.
    """
    size = size or Size()
    drawn = pictures(size.pictures, size.side)
    flat = drawn._replace(inputs=drawn.inputs.reshape(size.pictures, -1))
    digits = jax.device_put(problem.digits())
    return [
        *rows(digits, size.small, size),
        *rows(jax.device_put(flat), size.large, size),
    ]


def rows(data: Batch, width: int, size: Size) -> list[Row]:
    """A network's two rows."""
    network = f"{data.inputs.shape[1]}-{width}-{CLASSES}"
    plain = trainings(data, width, size)
    return race(
        "noise",
        [
            entrant("without a probe", plain.plain, size),
            entrant("with the noise of every layer", plain.watched, size)._replace(
                target=GOAL
            ),
        ],
        to="without",
        rounds=size.rounds,
        contest=network,
    )


class Trainings(NamedTuple):
    """The same training without and with a probe."""

    plain: learn.Training
    watched: learn.Training


def trainings(data: Batch, width: int, size: Size) -> Trainings:
    """A network of one hidden layer of ReLUs, by SGD with momentum."""
    model = problem.mlp((width, CLASSES), jax.nn.relu)
    objective = problem.objective(model, problem.cross_entropy)

    def noise(params: Params, own: Batch) -> curvature.PartsNoise:
        seen = first(own, size.probed)
        return curvature.noise_of_parts(objective, params, seen, parts=size.parts)

    train = partial(
        learn.training,
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        learn.momentum,
        learn.shuffled(data, size.batch),
        steps=size.steps,
    )
    probe = learn.evaluating({"noise": noise})
    return Trainings(train(), train(every=size.every, probe=probe))


def entrant(what: str, training: learn.Training, size: Size) -> Entrant:
    """All runs of a training, advancing together on one device."""
    grid = learn.grid(Hyper, lr=0.01, seed=range(size.runs))
    program, seconds = once(
        lambda: learn.compiled(training, grid, lanes=size.runs, devices=1)
    )
    precision = os.environ.get("JAX_DEFAULT_MATMUL_PRECISION", "the device's default")
    return Entrant(
        what,
        partial(trained, program, training, grid),
        compile_seconds=seconds,
        note=f"{size.runs} runs of {size.steps} updates of {size.batch} examples, at "
        f"once on one device; {size.probed} examples in {size.parts} parts every "
        f"{size.every} updates; initialisation and transfer included; matrix "
        f"precision: {precision}",
    )


def trained(program: learn.Program, training: learn.Training, grid: Hyper) -> Any:
    """What all runs observed."""
    return learn.run(program, training, grid).trace
