"""Folds times seeds of a small regression network at each of several depths: all runs
of a depth in one program, against PyTorch run after run and its vmapped step.

A depth has shapes of its own, so that depths are timed apart and their seconds added.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, parallel, problem
from jaxml.bench import grids, peers, sums, torch_batches, torch_forms
from jaxml.bench.race import Entrant
from jaxml.bench.rows import Row, Target, ranked
from jaxml.bench.sums import Pieces
from jaxml.bench.torch_batches import Examples, Tensor
from jaxml.types import Batch, Dataset

LAGS = 28
DAYS = 770
"""That are forecast; 2, 5 and 10 folds divide them evenly."""

RATE = 1e-3
LOOP = Target("ratio", "at least", 10.0)
"""Of PyTorch run after run over ours."""


class Size(NamedTuple):
    """How much is computed.

    Attributes:
        depths: hidden layers of the networks, of `width` units each.
        k: folds.
        seeds: runs of each fold.
        steps: updates of a run, each on `batch` days.
        torch_steps: updates that PyTorch is timed on; its seconds are scaled.
        rounds: repetitions.
    """

    depths: tuple[int, ...] = (1, 2, 4)
    width: int = 16
    k: int = 5
    seeds: int = 8
    steps: int = 1_000
    batch: int = 64
    torch_steps: int = 100
    rounds: int = 5


SMOKE = Size(depths=(1, 2), width=2, k=2, seeds=2, steps=2, torch_steps=2, rounds=1)


class Point(NamedTuple):
    """One run.

    Attributes:
        fold: which is held out.
        seed: of the initial weights and the order.
    """

    fold: Any = 0
    seed: Any = 0


def measure(size: Size | None = None) -> list[Row]:
    """All depths in every way."""
    size = size or Size()
    ways = [ours(size)]
    torch = peers.torch()
    if torch:
        ways += [at_once(torch, size), loop(torch, size)]
    rows = sums.race("folds", ways, to="ours", rounds=size.rounds, contest="")
    return ranked(rows) if torch else [*rows, peers.absent("folds")]


@lru_cache(maxsize=2)
def parts(k: int) -> Dataset:
    """Days of two years of views, of causes that are known, dealt out to k folds."""
    views = problem.caused_views(LAGS + DAYS, problem.Causes(), seed=0)
    first = int(views.days[0]) + LAGS
    days = problem.Span(first, first + DAYS - 1)
    every = problem.lagged(views, LAGS, days)
    scaled, _ = problem.rescaled(Dataset(every, every))
    single = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), scaled.train)
    return learn.folds(single, k, key=jax.random.key(0))


def training(size: Size, depth: int) -> learn.Training:
    """Of one depth; the point says which fold is held out."""
    model = problem.mlp((*[size.width] * depth, 1), jnp.tanh)
    folds = parts(size.k)
    one = jax.tree.map(lambda leaf: leaf[0], folds.train)
    adam = learn.fixed(learn.adam, learn.Hyper(lr=RATE))
    loss = problem.objective(model, problem.mse)

    def held_out(params: Any, own: Dataset) -> jax.Array:
        return loss(params, own.test)

    def of_point(point: Point) -> learn.Training:
        return learn.training(
            problem.start(model, one.inputs),
            problem.training_loss(model, problem.mse),
            adam,
            learn.by_fold(folds, point.fold, size.batch),
            steps=size.steps,
            probe=learn.evaluating({"held-out": held_out}),
        )

    return learn.at_each_point(of_point, Point())


def points(size: Size) -> Point:
    """Every fold with every seed."""
    return learn.grid(Point, fold=range(size.k), seed=range(size.seeds))


def ours(size: Size) -> Pieces:
    """A program a depth, compiled before."""
    hypers = points(size)
    lanes = -(-len(hypers.seed) // len(parallel.devices()))
    programs = [
        grids.program(training(size, depth), hypers, lanes=lanes)
        for depth in size.depths
    ]
    first, *_ = programs
    note = f"{first.what.removeprefix('ours, ')}: {first.note}"
    return sums.joined("ours, a program a depth", programs, note=note)


def loop(torch: ModuleType, size: Size) -> Pieces:
    """Its own layers, optimizer and shuffling, a run after another."""
    each = [one_run(torch, size, depth) for depth in size.depths]
    note = (
        f"runs measured: 1 of {size.k * size.seeds} at each depth, {size.torch_steps} "
        "of its updates, scaled to all"
    )
    return sums.joined("PyTorch, eager, run after run", each, note=note)


def one_run(torch: ModuleType, size: Size, depth: int) -> Entrant:
    """The first fold with the first seed."""
    place = peers.accelerator(torch)
    train = jax.tree.map(lambda leaf: leaf[0], parts(size.k).train)
    inputs, targets = torch_batches.tensors(torch, train, place)
    layers = []
    for wide in (LAGS, *[size.width] * (depth - 1)):
        layers += [torch.nn.Linear(wide, size.width), torch.nn.Tanh()]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(size.width, 1)).to(place)
    descent = torch.optim.Adam(network.parameters(), lr=RATE)

    def run() -> None:
        batches = cut(torch, len(inputs), size)
        for chosen in batches:
            descent.zero_grad()
            outputs = network(inputs[chosen])
            value = torch.nn.functional.mse_loss(outputs, targets[chosen])
            value.backward()
            descent.step()

    return Entrant(
        "PyTorch, eager",
        run,
        parts=size.k * size.seeds * size.steps / size.torch_steps,
        target=LOOP,
        device=peers.device_name(torch),
        role="alternative",
    )


def cut(torch: ModuleType, examples: int, size: Size) -> Iterator[Tensor]:
    """The places of each batch, shuffled anew each epoch."""
    made = 0
    while made < size.torch_steps:
        order = torch.randperm(examples)
        for chosen in order.split(size.batch)[: size.torch_steps - made]:
            made += 1
            yield chosen


def at_once(torch: ModuleType, size: Size) -> Pieces:
    """All runs of a depth by `torch.func.vmap`, the update of all at once."""
    each = [vmapped(torch, size, depth) for depth in size.depths]
    note = (
        f"all runs of a depth at once, shuffling included; {size.torch_steps} of "
        f"{size.steps} updates measured, scaled to all"
    )
    return sums.joined(grids.VMAPPED, each, note=note)


def vmapped(torch: ModuleType, size: Size, depth: int) -> Entrant:
    """The runs of one depth."""
    place = peers.accelerator(torch)
    hypers = points(size)
    first_state = partial(learn.first_state, training(size, depth))
    states = jax.jit(jax.vmap(first_state))(hypers)
    rates = np.full(len(hypers.seed), RATE, np.float32)
    start = torch_forms.state(torch, grids.arrays(states.params), rates, place)
    widths = (LAGS, *[size.width] * depth, 1)
    network = torch_forms.tanh_regressor(torch, widths)
    step = torch_forms.vmapped(torch, network, torch_forms.adam)
    data = [
        torch_batches.tensors(torch, fold_of(size, fold), place)
        for fold in range(size.k)
    ]

    def run() -> None:
        torch_forms.train(start, step, drawn(torch, size, data))

    return Entrant(
        "PyTorch, vmapped",
        run,
        parts=size.steps / size.torch_steps,
        device=peers.device_name(torch),
        role="alternative",
    )


def fold_of(size: Size, fold: int) -> Batch:
    """What one fold trains on."""
    return jax.tree.map(lambda leaf: leaf[fold], parts(size.k).train)


def drawn(
    torch: ModuleType, size: Size, data: Sequence[tuple[Tensor, Tensor]]
) -> Iterator[Examples]:
    """Batches of all runs, fold after fold, each from what its fold trains on."""
    streams = [
        torch_batches.shuffled(
            torch, each, runs=size.seeds, batch=size.batch, steps=size.torch_steps
        )
        for each in data
    ]
    for examples in zip(*streams, strict=True):
        inputs = torch.cat([each.inputs for each in examples])
        targets = torch.cat([each.targets for each in examples])
        yield Examples(inputs, targets, examples[0].weights)
