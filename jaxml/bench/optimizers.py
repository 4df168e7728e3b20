"""A tuning grid of a digits network: one program, against the strongest alternatives
and the usual loops.
"""

from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import learn, problem
from jaxml.bench import bare, grids, peers, torch_forms
from jaxml.bench.grids import Grid
from jaxml.bench.race import Entrant, compiled, once, race
from jaxml.bench.rows import Row, Target
from jaxml.learn import Family, Hyper
from jaxml.types import Batch

CLASSES = 10


class Optimizer(NamedTuple):
    """One optimizer in the library, in bare JAX, and in PyTorch by hand and as a
    class.
    """

    family: Family
    bare: bare.Rule
    by_hand: torch_forms.Rule
    torch_class: str
    settings: dict[str, float]


OPTIMIZERS = {
    "SGD with momentum": Optimizer(
        learn.momentum, bare.momentum, torch_forms.momentum, "SGD", {"momentum": 0.9}
    ),
    "Adam": Optimizer(learn.adam, bare.adam, torch_forms.adam, "Adam", {}),
}

AHEAD = Target("ratio", "at least", 1.3)
"""Of PyTorch's best steady state over ours."""

NEAR = Target("ratio", "at least", 1 / 1.5)
"""Of the limit over ours, so that ours takes at most 1.5 times as long."""

COLD = Target("ratio", "at most", 1.2)
"""Of ours with its compilation over PyTorch batched by hand, which has none."""

NAIVE = Target("ratio", "at least", 10.0)
"""Of PyTorch run after run over ours."""

MANY = Target("ratio", "at most", 120.0)
"""Of the most runs over one."""


class Size(NamedTuple):
    """How much is trained, and on how much of it the slow ways are measured.

    Attributes:
        rates: learning rates of the grid.
        seeds: of the grid; rates times seeds are its runs.
        steps: updates of a run.
        width: of the hidden layer.
        batch: examples of a batch.
        torch_steps: updates measured in PyTorch.
        growth: numbers of runs whose time and memory are compared.
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


ON_CPU = Size()
ON_ACCELERATOR = Size(torch_steps=200)
"""There a launch takes longer than its arithmetic, and run after run takes minutes."""


def measure(size: Size | None = None) -> list[Row]:
    """Each optimizer's grid in every way, then how one program grows with its runs."""
    size = size or (ON_CPU if jax.default_backend() == "cpu" else ON_ACCELERATOR)
    data = jax.device_put(problem.digits())
    rows = [row for name in OPTIMIZERS for row in contest(name, data, size)]
    rows += grown(data, size)
    return rows if peers.torch() else [*rows, peers.absent("optimizers")]


def contest(name: str, data: Batch, size: Size) -> list[Row]:
    """The grid in every way: all runs at once, and run by run."""
    grid = grid_of(OPTIMIZERS[name], data, size)
    single = experiment(OPTIMIZERS[name].family, data, size, steps=1)
    cold = grids.cold(grid)
    entrants = [
        *grids.ours(grid),
        grids.bare_scan(grid),
        *one_by_one(grid.make(), single, grid.hypers),
    ]
    left_out: list[Row] = []
    torch = peers.torch()
    if torch:
        forms, left_out = grids.pytorch(torch, grid, "optimizers")
        entrants += [form._replace(target=AHEAD) for form in forms]
        entrants.append(torch_loop(torch, OPTIMIZERS[name], data, grid.hypers, size))
        cold = cold._replace(target=COLD, against=grids.BY_HAND)
    entrants += [cold, grids.products(grid), limit(grid)]
    rows = race("optimizers", entrants, to="ours", rounds=size.rounds, contest=name)
    return [*rows, *left_out]


def limit(grid: Grid) -> Entrant:
    """The grid's matrix products at the measured peak, and how far from it ours may
    be.
    """
    entrant = grids.limit(grid)
    note = (
        f"{entrant.note}; ours takes at most 1.5 times as long where this is at least "
        "0.667 of ours"
    )
    return entrant._replace(target=NEAR, note=note)


def grid_of(optimizer: Optimizer, data: Batch, size: Size) -> Grid:
    """Rates times seeds of the network, for every way."""
    widths = data.inputs.shape[1], size.width, CLASSES
    return Grid(
        make=partial(experiment, optimizer.family, data, size),
        hypers=learn.grid(
            Hyper, lr=np.geomspace(1e-4, 1e-1, size.rates), seed=range(size.seeds)
        ),
        data=data,
        setting=bare.Setting(
            widths,
            jax.nn.relu,
            bare.cross_entropy,
            optimizer.bare,
            size.batch,
            size.steps,
        ),
        network=torch_forms.relu_classifier,
        rule=optimizer.by_hand,
        torch_steps=size.torch_steps,
        classes=CLASSES,
    )


def experiment(
    family: Family, data: Batch, size: Size, *, steps: int | None = None
) -> learn.Training:
    """A network of one hidden layer of ReLUs on shuffled digits."""
    model = problem.mlp((size.width, CLASSES), jax.nn.relu)
    loss = problem.training_loss(model, problem.cross_entropy)
    start, batches = problem.start(model, data.inputs), learn.shuffled(data, size.batch)
    return learn.training(start, loss, family, batches, steps=steps or size.steps)


def one_by_one(
    training: learn.Training, single: learn.Training, grid: Hyper
) -> list[Entrant]:
    """The same runs in turn, by a jitted scan and by a Python loop of jitted steps; one
    is measured.

    Args:
        training: the whole run.
        single: the same of one step.
        grid: of which the first run is taken.
    """
    point = Hyper(*(np.asarray(column)[0] for column in grid))
    state = jax.jit(partial(learn.first_state, training))(point)
    scan, scan_seconds = compiled(training.run, state, training.data)
    step, step_seconds = compiled(single.run, state, single.data)

    def loop() -> Any:
        current = state
        for _ in range(training.steps):
            current, _ = step(current, single.data)
        return current

    note, count = "runs measured: 1, scaled to all", float(len(grid.lr))
    return [
        Entrant(
            "jitted scans, one after another",
            lambda: scan(state, training.data),
            count,
            scan_seconds,
            note=note,
            role="alternative",
        ),
        Entrant(
            "Python loop of jitted steps",
            loop,
            count,
            step_seconds,
            note=note,
            role="alternative",
        ),
    ]


def grown(data: Batch, size: Size) -> list[Row]:
    """Seconds and planned memory as the runs grow, spread over all devices; the ratio
    is to the fewest.
    """
    entrants = [growth(count, data, size) for count in size.growth]
    entrants[-1] = entrants[-1]._replace(target=MANY)
    return race(
        "optimizers",
        entrants,
        to=runs(size.growth[0]),
        rounds=size.rounds,
        contest="growth",
    )


def growth(count: int, data: Batch, size: Size) -> Entrant:
    """So many runs of a quarter of the updates, from the seeds to arrays on the
    host.
    """
    training = experiment(learn.momentum, data, size, steps=max(size.steps // 4, 1))
    hypers = learn.grid(Hyper, lr=np.geomspace(1e-4, 1e-1, count))
    lanes = grids.evenly(hypers, None)
    program, seconds = once(lambda: learn.compiled(training, hypers, lanes=lanes))
    planned = len(program.places) * program.bytes / 2**20
    return Entrant(
        f"{runs(count)}, a quarter of the steps, {planned:.3g} MiB",
        partial(learn.run, program, training, hypers),
        compile_seconds=seconds,
        note="memory as XLA plans it for all chunks that are computed at once",
        role="ours",
    )


def runs(count: int) -> str:
    """So many runs, in words.

    >>> runs(1), runs(64)
    ('1 run', '64 runs')
    """
    return "1 run" if count == 1 else f"{count} runs"


def torch_loop(
    torch: ModuleType, optimizer: Optimizer, data: Batch, hypers: Hyper, size: Size
) -> Entrant:
    """PyTorch's own layers, optimizer and shuffling, eager, a run after another."""
    place = peers.accelerator(torch)
    inputs = torch.tensor(np.asarray(data.inputs), device=place)
    labels = torch.tensor(np.asarray(data.targets), dtype=torch.int64, device=place)
    first = torch.nn.Linear(inputs.shape[1], size.width)
    network = torch.nn.Sequential(
        first, torch.nn.ReLU(), torch.nn.Linear(size.width, CLASSES)
    ).to(place)
    kind = getattr(torch.optim, optimizer.torch_class)
    descent = kind(
        network.parameters(), lr=float(np.median(hypers.lr)), **optimizer.settings
    )

    def train() -> float:
        value, order, examples = torch.zeros(()), torch.arange(0), len(inputs)
        for index in range(size.torch_steps):
            first = index * size.batch % (-(-examples // size.batch) * size.batch)
            if first == 0:
                order = torch.randperm(examples, device=place)
            chosen = order[first : first + size.batch]
            descent.zero_grad()
            value = torch.nn.functional.cross_entropy(
                network(inputs[chosen]), labels[chosen]
            )
            value.backward()
            descent.step()
        return value.item()

    return Entrant(
        "PyTorch, eager, run after run",
        train,
        parts=len(hypers.lr) * size.steps / size.torch_steps,
        target=NAIVE,
        note=f"runs measured: 1, {size.torch_steps} of its updates, scaled to all",
        device=peers.device_name(torch),
        role="alternative",
    )
