"""A tuning grid of a digits network as one program, compilation included, against the usual loops."""

from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import learn, problem
from jaxml.bench import peers
from jaxml.bench.machine import device
from jaxml.bench.race import Entrant, compiled, once, race
from jaxml.bench.rows import Row, Target, spread
from jaxml.learn import Family, Hyper
from jaxml.learn.sweep import bytes_of
from jaxml.types import Batch

FAMILIES: dict[str, Family] = {"SGD with momentum": learn.momentum, "Adam": learn.adam}


class Size(NamedTuple):
    """How much is trained, and on how much of it the slow ways are measured.

    Attributes:
        rates: learning rates of the grid.
        seeds: of the grid; rates times seeds are its lanes.
        steps: updates of a lane.
        width: of the hidden layer.
        batch: examples of a batch.
        torch_steps: updates measured of one lane in PyTorch.
        growth: numbers of lanes whose time and memory are compared.
        rounds: repetitions.
    """

    rates: int = 8
    seeds: int = 8
    steps: int = 2000
    width: int = 32
    batch: int = 32
    torch_steps: int = 500
    growth: tuple[int, ...] = (1, 4, 16, 64, 256)
    rounds: int = 3


FULL = Size()


def measure(size: Size = FULL) -> list[Row]:
    """Each optimizer's grid in every way, then how one program grows with its lanes."""
    data = jax.device_put(problem.digits())
    rows = [row for name in FAMILIES for row in contest(name, data, size)]
    rows += grown(data, size)
    return rows if peers.torch() else [*rows, peers.absent("optimizers")]


def contest(name: str, data: Batch, size: Size) -> list[Row]:
    """The grid as one program, compiled within the time and before it, and run by run."""
    grid = learn.grid(Hyper, lr=np.geomspace(1e-4, 1e-1, size.rates), seed=range(size.seeds))
    make, lanes = partial(experiment, FAMILIES[name], data, size), len(grid.lr)
    training = make()
    program, seconds = once(lambda: learn.compiled(training, grid, lanes=lanes))
    entrants = [
        Entrant("one program, compilation included", lambda: learn.sweep(make(), grid, lanes=lanes)),
        Entrant("one program", lambda: program.run(grid, training.data), compile_seconds=seconds),
        *one_by_one(training, make(steps=1), grid),
    ]
    torch = peers.torch()
    if torch:
        entrants.append(torch_loop(torch, name, data, grid, size))
    entrants = [each._replace(what=f"{name}: {each.what}") for each in entrants]
    return race("optimizers", entrants, to="ours", rounds=size.rounds)


def experiment(family: Family, data: Batch, size: Size, *, steps: int | None = None) -> learn.Training:
    """A network of one hidden layer of ReLUs on shuffled digits."""
    model = problem.mlp((size.width, 10), jax.nn.relu)
    loss = problem.training_loss(model, problem.cross_entropy)
    start, batches = problem.start(model, data.inputs), learn.shuffled(data, size.batch)
    return learn.training(start, loss, family, batches, steps=steps or size.steps)


def one_by_one(training: learn.Training, single: learn.Training, grid: Hyper) -> list[Entrant]:
    """The same runs in turn, by a jitted scan and by a Python loop of jitted steps; one is measured.

    Args:
        training: the whole run.
        single: the same of one step.
        grid: of which the first lane is taken.
    """
    lane = Hyper(*(np.asarray(column)[0] for column in grid))
    state = jax.jit(training.init)(lane)
    scan, scan_seconds = compiled(training.run, state, training.data)
    step, step_seconds = compiled(single.run, state, single.data)

    def loop() -> Any:
        current = state
        for _ in range(training.steps):
            current, _ = step(current, single.data)
        return current

    note, count = "lanes measured: 1, scaled to all", float(len(grid.lr))
    return [
        Entrant(
            "jitted scans, one after another",
            lambda: scan(state, training.data),
            count,
            scan_seconds,
            note=note,
        ),
        Entrant("Python loop of jitted steps", loop, count, step_seconds, note=note),
    ]


def grown(data: Batch, size: Size) -> list[Row]:
    """Seconds and planned memory of one program as its lanes grow; the ratio is to the fewest lanes."""
    rows: list[Row] = []
    for lanes in size.growth:
        training = experiment(learn.momentum, data, size, steps=max(size.steps // 4, 1))
        grid = learn.grid(Hyper, lr=np.geomspace(1e-4, 1e-1, lanes))
        # A program of one lane is vmapped too: it is the same program that grows.
        lane_states = jax.jit(jax.vmap(training.init))(grid)
        program, seconds = compiled(jax.vmap(training.run, (0, None)), lane_states, training.data)
        jax.block_until_ready(program(lane_states, training.data))
        times = [once(partial(program, lane_states, training.data))[1] for _ in range(size.rounds)]
        first = rows[0].seconds if rows else None
        rows.append(
            Row(
                "optimizers",
                f"{lanes} lanes, a quarter of the steps, {bytes_of(program) / 2**20:.3g} MiB",
                device(),
                spread(times),
                float(np.median(times)) / first.median if first else 1.0,
                f"{size.growth[0]} lane",
                repetitions=size.rounds,
                compile_seconds=seconds,
                note="memory as XLA plans it, arguments and outputs included",
            )
        )
    return rows


def torch_loop(torch: ModuleType, name: str, data: Batch, grid: Hyper, size: Size) -> Entrant:
    """PyTorch's own layers, optimizer and shuffling, eager, a run after another."""
    place = peers.accelerator(torch)
    inputs = torch.tensor(np.asarray(data.inputs), device=place)
    labels = torch.tensor(np.asarray(data.targets), dtype=torch.int64, device=place)
    network = torch.nn.Sequential(
        torch.nn.Linear(inputs.shape[1], size.width), torch.nn.ReLU(), torch.nn.Linear(size.width, 10)
    ).to(place)
    settings = {"lr": float(np.median(grid.lr))}
    optimizer = (
        torch.optim.Adam(network.parameters(), **settings)
        if name == "Adam"
        else torch.optim.SGD(network.parameters(), momentum=0.9, **settings)
    )

    def train() -> float:
        value, order, examples = torch.zeros(()), torch.arange(0), len(inputs)
        for index in range(size.torch_steps):
            first = index * size.batch % (-(-examples // size.batch) * size.batch)
            if first == 0:
                order = torch.randperm(examples, device=place)
            chosen = order[first : first + size.batch]
            optimizer.zero_grad()
            value = torch.nn.functional.cross_entropy(network(inputs[chosen]), labels[chosen])
            value.backward()
            optimizer.step()
        return value.item()

    return Entrant(
        "PyTorch, eager, run after run",
        train,
        parts=len(grid.lr) * size.steps / size.torch_steps,
        target=Target("ratio", "at least", 10.0),
        note=f"lanes measured: 1, {size.torch_steps} of its steps, scaled to all",
        device=peers.device_name(torch),
    )
