"""What it costs to watch the sharpness: the same training without a probe and with one
that takes a few warm-started Lanczos steps every so many updates.
"""

import os
from functools import partial
from typing import Any, NamedTuple

import jax

from jaxml import learn, problem
from jaxml.bench.batch_points import CLASSES, first, pictures
from jaxml.bench.race import Entrant, once, race
from jaxml.bench.rows import Row, Target
from jaxml.curvature import probes
from jaxml.learn import Hyper
from jaxml.types import Batch, Model

GOAL = Target("ratio", "at most", 1.3)


class Size(NamedTuple):
    """What is trained, and how it is watched.

    Attributes:
        small: units of the hidden layer of the network on 8x8 digits.
        large: those of the network on pictures.
        channels: of the two convolutions of the CNN.
        side: of a picture, in pixels.
        pictures: how many.
        batch: examples of an update of a dense network.
        images: those of the CNN.
        part: which part of an update's examples the probe sees, 2 being a half.
        steps: updates of a run of a dense network.
        slow_steps: those of the CNN.
        every: updates between two calls of the probe.
        depth: Hessian products of a call.
        runs: dense networks that advance at once, one a seed.
        rounds: repetitions.
    """

    small: int = 32
    large: int = 100
    channels: tuple[int, int] = (16, 32)
    side: int = 28
    pictures: int = 4096
    batch: int = 128
    images: int = 64
    part: int = 2
    steps: int = 320
    slow_steps: int = 32
    every: int = 16
    depth: int = 3
    runs: int = 4
    rounds: int = 9


SMOKE = Size(
    small=4,
    large=4,
    channels=(2, 2),
    side=4,
    pictures=32,
    batch=8,
    images=8,
    steps=4,
    slow_steps=4,
    every=2,
    depth=2,
    runs=2,
    rounds=2,
)


class Contest(NamedTuple):
    """One network, and how it is trained.

    Attributes:
        name: of the network.
        model: the network.
        data: all examples.
        batch: examples of an update.
        probed: examples of a call of the probe.
        steps: updates of a run.
        runs: at once.
    """

    name: str
    model: Model
    data: Batch
    batch: int
    probed: int
    steps: int
    runs: int


class Trainings(NamedTuple):
    """The same training without and with a probe."""

    plain: learn.Training
    watched: learn.Training
    cost: probes.Cost


def measure(size: Size | None = None) -> list[Row]:
    """Two dense networks and a CNN, from the seeds to arrays on the host, without and
    with the probe, in turn.
    """
    size = size or Size()
    return [row for contest in contests(size) for row in rows(contest, size)]


def contests(size: Size) -> list[Contest]:
    """The networks, from the smallest on."""
    drawn = pictures(size.pictures, size.side)
    flat = drawn._replace(inputs=drawn.inputs.reshape(size.pictures, -1))
    dense = [
        _dense(jax.device_put(data), width, size)
        for data, width in ((problem.digits(), size.small), (flat, size.large))
    ]
    one, other = size.channels
    convolutions = Contest(
        f"CNN, {one} and {other} channels",
        problem.cnn(size.channels, CLASSES),
        jax.device_put(drawn),
        size.images,
        size.images // size.part,
        size.slow_steps,
        1,
    )
    return [*dense, convolutions]


def _dense(data: Batch, width: int, size: Size) -> Contest:
    """A network of one hidden layer of ReLUs."""
    return Contest(
        f"{data.inputs.shape[1]}-{width}-{CLASSES}",
        problem.mlp((width, CLASSES), jax.nn.relu),
        data,
        size.batch,
        size.batch // size.part,
        size.steps,
        size.runs,
    )


def rows(contest: Contest, size: Size) -> list[Row]:
    """A network's two rows."""
    both = trainings(contest, size)
    note = (
        f"{contest.runs} runs of {contest.steps} updates of {contest.batch} examples, "
        f"at once on one device; the probe on the same {contest.probed} every "
        f"{size.every} updates: {both.cost.products} Hessian products and "
        f"{both.cost.gradients} gradient a call"
    )
    plain = entrant("without a probe", both.plain, contest.runs, note)
    watched = entrant("with the sharpness", both.watched, contest.runs, note)
    return race(
        "curvature_probe",
        [plain, watched._replace(target=GOAL)],
        to="without",
        rounds=size.rounds,
        contest=contest.name,
    )


def trainings(contest: Contest, size: Size) -> Trainings:
    """By SGD with momentum, watched on the same part of the data at every call."""
    objective = problem.objective(contest.model, problem.cross_entropy)
    watch = probes.sharpness(
        objective,
        lambda train: first(train.data, contest.probed),
        depth=size.depth,
    )
    train = partial(
        learn.training,
        problem.start(contest.model, contest.data.inputs),
        problem.training_loss(contest.model, problem.cross_entropy),
        learn.momentum,
        learn.shuffled(contest.data, contest.batch),
        steps=contest.steps,
    )
    probe = learn.Probe(watch.init, watch.apply)
    return Trainings(train(), train(every=size.every, probe=probe), watch.cost)


def entrant(what: str, training: learn.Training, runs: int, note: str) -> Entrant:
    """All runs of a training, advancing together on one device."""
    grid = learn.grid(Hyper, lr=0.01, seed=range(runs))
    program, seconds = once(
        lambda: learn.compiled(training, grid, lanes=runs, devices=1)
    )
    precision = os.environ.get("JAX_DEFAULT_MATMUL_PRECISION", "the device's default")
    return Entrant(
        what,
        partial(trained, program, training, grid),
        compile_seconds=seconds,
        note=f"{note}; initialisation and transfer included; matrix precision of the "
        f"training: {precision}, of the probe: highest",
    )


def trained(program: learn.Program, training: learn.Training, grid: Hyper) -> Any:
    """What all runs observed."""
    return learn.run(program, training, grid).trace
