"""What the benchmark of batch sizes times: an update of a network at one size, by one
run, by several at once and by PyTorch; and drawing a batch.
"""

import os
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, parallel, problem
from jaxml.bench import peers, torch_cnn
from jaxml.bench.batch_rows import EPOCH, Point, name
from jaxml.bench.race import Entrant, compiled
from jaxml.learn import Hyper
from jaxml.types import Batch, Key, Model

CLASSES = 10
HYPER = Hyper(lr=0.01)

POWERS = 1, 4, 16, 64, 256, 1024, 4096


class Size(NamedTuple):
    """The networks, their batches, and on how many updates each size is timed.

    Attributes:
        dense: batch sizes of the dense network.
        cnn: those of the CNN.
        dense_examples: that one timing of the dense network sees, in as many updates as
            they fill.
        cnn_examples: the same of the CNN.
        updates: of one timing, at most.
        torch_updates: the same of PyTorch.
        hidden: units of the dense network's hidden layer.
        channels: of the CNN's two convolutions.
        side: of a picture, in pixels.
        runs: that advance at once in the rows of several runs.
        rounds: repetitions.
    """

    dense: tuple[int, ...] = (*POWERS, 16_384, EPOCH)
    cnn: tuple[int, ...] = (*POWERS, 16_384, EPOCH)
    dense_examples: int = 2**20
    cnn_examples: int = 2**17
    updates: int = 256
    torch_updates: int = 64
    hidden: int = 100
    channels: tuple[int, int] = (8, 16)
    side: int = 28
    runs: int = 8
    rounds: int = 9


ON_ACCELERATOR = Size()
ON_CPU = Size(cnn=POWERS, dense_examples=2**14, cnn_examples=2**10)
SMOKE = Size(
    dense=(1, 4, 16),
    cnn=(1, 2, 4),
    dense_examples=16,
    cnn_examples=8,
    updates=4,
    torch_updates=2,
    hidden=4,
    channels=(2, 3),
    side=8,
    runs=2,
    rounds=2,
)


class Work(NamedTuple):
    """One network and what it is timed on.

    Attributes:
        name: of the network.
        model: the network.
        data: as many pictures as its largest batch.
        batches: its sizes.
        examples: that one timing sees.
        torch_loop: `(torch, batch, updates) -> ()`, updates of the same network.
    """

    name: str
    model: Model
    data: Batch
    batches: tuple[int, ...]
    examples: int
    torch_loop: Callable[[ModuleType, Batch, int], Callable[[], float]]


def dense(size: Size) -> Work:
    """A network of one hidden layer of ReLUs."""
    data = pictures(max(size.dense), size.side)
    flat = data._replace(inputs=data.inputs.reshape(len(data.inputs), -1))
    pixels = size.side**2

    def loop(torch: ModuleType, batch: Batch, updates: int) -> Callable[[], float]:
        nn, place = torch.nn, peers.accelerator(torch)
        hidden, output = (
            nn.Linear(pixels, size.hidden),
            nn.Linear(size.hidden, CLASSES),
        )
        layers = nn.Sequential(hidden, nn.ReLU(), output).to(place)
        inputs = torch.tensor(np.asarray(batch.inputs), device=place)
        labels = torch.tensor(np.asarray(batch.targets), dtype=torch.int64)
        seen = torch_cnn.Images(inputs, labels.to(place))
        return torch_cnn.loop(torch, layers, seen, steps=updates)

    return Work(
        f"dense {pixels}-{size.hidden}-{CLASSES}",
        problem.mlp((size.hidden, CLASSES), jax.nn.relu),
        jax.device_put(flat),
        size.dense,
        size.dense_examples,
        loop,
    )


def cnn(size: Size) -> Work:
    """Two convolutions with ReLU and max pool, then a dense layer."""

    def loop(torch: ModuleType, batch: Batch, updates: int) -> Callable[[], float]:
        layout = torch.channels_last
        layers = torch_cnn.network(torch, size.channels, size.side, CLASSES, layout)
        seen = torch_cnn.images(torch, batch, layout)
        return torch_cnn.loop(torch, layers, seen, steps=updates)

    first, second = size.channels
    return Work(
        f"CNN {first}-{second}-{CLASSES}",
        problem.cnn(size.channels, CLASSES),
        jax.device_put(pictures(max(size.cnn), size.side)),
        size.cnn,
        size.cnn_examples,
        loop,
    )


def pictures(count: int, side: int) -> Batch:
    """Normal pixels and uniform labels: the time of an update does not depend on
    them.
    """
    draw = np.random.default_rng(0)
    pixels = draw.standard_normal((count, side, side, 1), np.float32)
    return problem.examples(pixels, draw.integers(CLASSES, size=count, dtype=np.int32))


def updates_of(examples: int, batch: int, most: int) -> int:
    """As many updates as the examples fill, from 1 to `most`.

    >>> [updates_of(1024, batch, 256) for batch in (1, 16, 4096)]
    [256, 64, 1]
    """
    return max(1, min(most, examples // batch))


def training_of(work: Work, batch: Batch, updates: int) -> learn.Training:
    """SGD with momentum on one batch."""
    loss = problem.training_loss(work.model, problem.cross_entropy)
    start = problem.start(work.model, batch.inputs)
    return learn.training(start, loss, learn.momentum, learn.full(batch), steps=updates)


def first_states(work: Work, runs: int) -> learn.TrainState:
    """So many runs before their first update, one a seed."""
    training = training_of(work, first(work.data, 1), 1)
    grid = learn.grid(Hyper, lr=HYPER.lr, seed=range(runs))
    return jax.jit(partial(jax.lax.map, partial(learn.first_state, training)))(grid)


def first(data: Batch, count: int) -> Batch:
    """The first examples."""
    return jax.tree.map(lambda leaf: leaf[:count], data)


def one_run(work: Work, states: learn.TrainState, size: Size, batch: int) -> Point:
    """Updates of one run in a scan, by `learn`."""
    updates = updates_of(work.examples, batch, size.updates)
    seen = first(work.data, batch)
    state = jax.tree.map(lambda leaf: leaf[0], states)
    program, seconds = compiled(training_of(work, seen, updates).run, state, seen)
    entrant = Entrant(
        name(work.name, batch),
        partial(program, state, seen),
        parts=1 / updates,
        compile_seconds=seconds,
        note=f"on a fixed batch; {timing(updates)}",
        role="ours",
    )
    return Point(entrant, batch, parallel.bytes_of(program))


def several_runs(work: Work, states: learn.TrainState, size: Size, batch: int) -> Point:
    """The same of several runs, vmapped, each on a batch of its own."""
    updates = updates_of(work.examples, size.runs * batch, size.updates)
    together = first(work.data, size.runs * batch)
    seen = jax.tree.map(
        lambda leaf: leaf.reshape(size.runs, batch, *leaf.shape[1:]), together
    )
    run = training_of(work, first(work.data, batch), updates).run
    program, seconds = compiled(jax.vmap(run), states, seen)
    entrant = Entrant(
        name(f"{work.name}, {size.runs} runs at once, each", batch),
        partial(program, states, seen),
        parts=1 / (updates * size.runs),
        compile_seconds=seconds,
        note=f"vmapped, on fixed batches of their own; {timing(updates)}",
        role="detail",
        against=name(work.name, batch),
    )
    return Point(entrant, batch, parallel.bytes_of(program))


def timing(updates: int) -> str:
    """How a time was taken."""
    precision = os.environ.get("JAX_DEFAULT_MATMUL_PRECISION", "the device's default")
    return (
        f"updates measured: {updates}, in a scan; matrix precision: {precision}; "
        "memory as XLA plans it, the batch included"
    )


def drawing(work: Work, size: Size) -> list[Point]:
    """Shuffled batches of each size, drawn in a scan and used for nothing."""
    return [drawn(work, size, batch) for batch in work.batches]


def drawn(work: Work, size: Size, batch: int) -> Point:
    """Batches of one size."""
    times = updates_of(work.examples, batch, size.updates)
    run = partial(last_batch, learn.shuffled(work.data, batch), times)
    arguments = work.data, jax.random.key(0)
    program, seconds = compiled(run, *arguments)
    entrant = Entrant(
        name("drawing", batch),
        partial(program, *arguments),
        parts=1 / times,
        compile_seconds=seconds,
        note=f"shuffled, from {len(work.data.weights):,} pictures on the device; "
        f"batches measured: {times}, in a scan",
        role="detail",
        against=name(work.name, batch),
    )
    return Point(entrant, batch)


def last_batch(batches: learn.Batches, times: int, data: Batch, key: Key) -> Batch:
    """The last of so many batches. Each is written whole, for the loop carries it."""
    shapes = jax.eval_shape(batches.draw, data, key, jnp.int32(0))
    blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def draw(before: Batch, step: jax.Array) -> tuple[Batch, None]:
        del before
        return batches.draw(data, key, step), None

    return jax.lax.scan(draw, blank, jnp.arange(times, dtype=jnp.int32))[0]


def torch_point(torch: ModuleType, work: Work, size: Size, batch: int) -> Point:
    """PyTorch's own layers and optimizer, eager, on the same batch."""
    updates = updates_of(work.examples, batch, size.torch_updates)
    entrant = Entrant(
        name(f"{work.name}, PyTorch, eager", batch),
        work.torch_loop(torch, first(work.data, batch), updates),
        parts=1 / updates,
        note=f"on the same batch; updates measured: {updates}; convolutions channels "
        "last",
        device=peers.device_name(torch),
        role="alternative",
        against=name(work.name, batch),
    )
    return Point(entrant, batch)
