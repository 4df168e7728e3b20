"""Networks of pictures with batch normalisation: a step of a CNN from several seeds at
once, and an epoch of a residual network; ours and PyTorch's.
"""

from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import learn, parallel, problem
from jaxml.bench import batch_points, grids, peers, torch_cnn, torch_pictures
from jaxml.bench.race import Entrant, race
from jaxml.bench.rows import Row, Target
from jaxml.types import Batch, Model

CLASSES = 10

EVEN = Target("ratio", "at least", 1.0)
"""Of PyTorch over ours."""

NEARLY = Target("ratio", "at least", 1 / 1.2)
"""The same, where ours may take 1.2 times PyTorch's time."""


class Size(NamedTuple):
    """The networks, their pictures, and how much of the work each way is timed on.

    Attributes:
        channels: of the CNN's two convolutions.
        batch: pictures of an update.
        side: of a picture, in pixels.
        seeds: trainings at once.
        steps: of the CNN, in the program that is timed.
        torch_steps: of PyTorch's loops.
        vmapped_steps: of its grouped convolutions.
        depth: of the residual network.
        width: channels of its first stage.
        pictures: of an epoch.
        updates: of an epoch, on which ours is timed at most; its seconds are scaled.
        rounds: repetitions.
    """

    channels: tuple[int, int] = (32, 64)
    batch: int = 64
    side: int = 28
    seeds: int = 4
    steps: int = 10
    torch_steps: int = 10
    vmapped_steps: int = 2
    depth: int = 8
    width: int = 16
    pictures: int = 10_000
    updates: int = 20
    rounds: int = 3


FULL = Size()
SMOKE = Size((2, 3), 4, 8, 2, 2, 1, 1, 8, 2, 8, 1, 1)


def measure(size: Size = FULL) -> list[Row]:
    """Seconds of a CNN's step from all seeds, and of a residual network's epoch from
    one seed and from all.
    """
    rows = [*steps(size), *epoch(size, 1), *epoch(size, size.seeds)]
    return rows if peers.torch() else [*rows, peers.absent("pictures")]


def cnn(size: Size) -> Model:
    """Twice a 3 x 3 convolution, batch normalisation, ReLU and 2 x 2 max pool; then one
    dense layer.
    """
    layers = []
    for channels in size.channels:
        layers += [
            problem.convolution(channels, bias=False),
            problem.batch_norm(),
            problem.elementwise(jax.nn.relu),
            problem.max_pooling(2),
        ]
    return problem.chain(*layers, problem.linear(CLASSES))


def resnet(size: Size) -> Model:
    """The residual network with batch normalisation."""
    return problem.resnet(
        size.depth, size.width, CLASSES, normaliser=problem.batch_norm
    )


def cnn_training(size: Size) -> learn.Training:
    """Steps of the CNN on one batch, by SGD with momentum."""
    batch = batch_points.pictures(size.batch, size.side)
    return _training(cnn(size), learn.full(batch), batch, size.steps)


def resnet_training(size: Size) -> learn.Training:
    """The first updates of an epoch of the residual network, shuffled, by SGD with
    momentum.
    """
    data = batch_points.pictures(size.pictures, size.side)
    batches = learn.shuffled(data, size.batch)
    steps = min(batches.per_epoch, size.updates)
    return _training(resnet(size), batches, data, steps)


def steps(size: Size) -> list[Row]:
    """The CNN's step from all seeds: vmapped first, then a run on each device."""
    training, hypers = cnn_training(size), _seeds(size.seeds)
    entrants = [
        each._replace(parts=each.parts / size.steps) for each in _ours(training, hypers)
    ]
    torch = peers.torch()
    if torch:
        entrants += torch_steps(torch, size)
    contest = f"one step of a CNN with batch norm, {size.seeds} seeds"
    return race("pictures", entrants, to="ours", rounds=size.rounds, contest=contest)


def epoch(size: Size, seeds: int) -> list[Row]:
    """An epoch of the residual network, from so many seeds."""
    training = resnet_training(size)
    updates = learn.updates_per_epoch(size.pictures, size.batch)
    entrants = [
        each._replace(
            parts=each.parts * updates / training.steps,
            note=f"updates measured: {training.steps} of {updates}, scaled to all",
        )
        for each in _ours(training, _seeds(seeds))
    ]
    torch = peers.torch()
    if torch:
        entrants.append(torch_epoch(torch, size, seeds))
    noun = "seed" if seeds == 1 else "seeds"
    contest = f"one epoch of a ResNet-{size.depth}, {seeds} {noun}"
    return race("pictures", entrants, to="ours", rounds=size.rounds, contest=contest)


def torch_steps(torch: ModuleType, size: Size) -> list[Entrant]:
    """PyTorch, channels last: seed after seed, and all by `torch.func`."""
    layout = torch.channels_last
    batch = batch_points.pictures(size.batch, size.side)
    images = torch_cnn.images(torch, batch, layout)
    networks = [
        torch_pictures.cnn(torch, size.channels, size.side, CLASSES)
        for _ in range(size.seeds)
    ]
    first, *_ = networks
    loop = torch_cnn.loop(torch, first, images, steps=size.torch_steps)
    alone = Entrant(
        "PyTorch, channels last, seed after seed",
        loop,
        parts=size.seeds / size.torch_steps,
        target=EVEN,
        note=f"seeds measured: 1, {size.torch_steps} of its steps, scaled to all",
        device=peers.device_name(torch),
        role="alternative",
    )
    stacked = torch_pictures.stacked(torch, networks)
    vmapped = alone._replace(
        what="PyTorch, channels last, seeds by `torch.func.vmap`",
        run=torch_cnn.vmapped(
            torch, stacked.network, stacked.weights, images, steps=size.vmapped_steps
        ),
        parts=1 / size.vmapped_steps,
        note="becomes a grouped convolution, and keeps no running statistics; steps "
        f"measured: {size.vmapped_steps}",
    )
    return [alone, vmapped]


def torch_epoch(torch: ModuleType, size: Size, seeds: int) -> Entrant:
    """PyTorch, channels last, seed after seed."""
    data = batch_points.pictures(size.pictures, size.side)
    network = torch_pictures.resnet(torch, size.depth, size.width, CLASSES)
    updates = learn.updates_per_epoch(size.pictures, size.batch)
    measured = min(updates, size.torch_steps)
    images = torch_cnn.images(torch, data, torch.channels_last)
    return Entrant(
        "PyTorch, channels last, seed after seed",
        torch_pictures.shuffled(
            torch, network, images, batch=size.batch, updates=measured
        ),
        parts=seeds * updates / measured,
        target=NEARLY if seeds == 1 else EVEN,
        note=f"seeds measured: 1, {measured} of its {updates} updates, scaled to all",
        device=peers.device_name(torch),
        role="alternative",
    )


def _training(
    model: Model, batches: learn.Batches, data: Batch, steps: int
) -> learn.Training:
    loss = problem.training_loss(model, problem.cross_entropy)
    start = problem.start(model, data.inputs)
    return learn.training(start, loss, learn.momentum, batches, steps=steps)


def _seeds(count: int) -> learn.Hyper:
    return learn.grid(learn.Hyper, lr=torch_cnn.RATE, seed=range(count))


def _ours(training: learn.Training, hypers: learn.Hyper) -> list[Entrant]:
    """All seeds vmapped on one device; and where there are several, spread over all."""
    count = len(np.asarray(hypers.seed))
    program = partial(grids.program, training, hypers)
    vmapped: list[Any] = [program(lanes=count, devices=1)]
    if count > 1 and len(parallel.devices()) > 1:
        vmapped.append(program(lanes=grids.evenly(hypers, None)))
    return vmapped
