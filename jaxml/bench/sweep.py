"""A grid of small trainings: one program, against the strongest alternatives and the
usual loops.
"""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem
from jaxml.bench import bare, grids, peers, torch_forms
from jaxml.bench.grids import Grid
from jaxml.bench.race import Entrant, compiled, once, race
from jaxml.bench.rows import Row, Target
from jaxml.learn import Batches, Hyper
from jaxml.types import Batch, Key, Params

WIDTHS = (10, 10, 1)
MODEL = problem.mlp(WIDTHS, jnp.tanh)


class Size(NamedTuple):
    """How much is trained, and on how much of it the slow ways are measured.

    Attributes:
        rates: learning rates of the grid.
        seeds: of the grid; rates times seeds are its runs.
        steps: updates of a run.
        points: of the curve.
        batch: examples of the smaller batch.
        loop_runs: runs measured of the Python loop.
        scan_runs: runs measured of the scans in turn.
        torch_steps: updates measured in PyTorch.
        rounds: repetitions.
    """

    rates: int = 10
    seeds: int = 10
    steps: int = 2000
    points: int = 64
    batch: int = 8
    loop_runs: int = 4
    scan_runs: int = 10
    torch_steps: int = 500
    rounds: int = 3


class Run(NamedTuple):
    """What a plain training loop carries from one update to the next."""

    params: Params
    opt_state: Any
    step: jax.Array


ON_CPU = Size()
ON_ACCELERATOR = Size(loop_runs=1, scan_runs=2, torch_steps=100)
"""There a launch takes longer than its arithmetic, and run after run takes minutes."""


def measure(size: Size | None = None) -> list[Row]:
    """Full batches, where the arithmetic weighs most, and small ones, where it weighs
    least.
    """
    size = size or (ON_CPU if jax.default_backend() == "cpu" else ON_ACCELERATOR)
    data = jax.device_put(problem.sinc(size.points))
    rows = [
        *contest(f"all {size.points} points", learn.full(data), size.points, size),
        *contest(
            f"batches of {size.batch}",
            learn.shuffled(data, size.batch),
            size.batch,
            size,
        ),
    ]
    return rows if peers.torch() else [*rows, peers.absent("sweep")]


def contest(label: str, batches: Batches, examples: int, size: Size) -> list[Row]:
    """Every way of training the same runs on the same data: all at once, and one by
    one.
    """
    grid = grid_of(batches, examples, size)
    entrants = [
        *grids.ours(grid),
        grids.bare_scan(grid),
        python_loop(batches, grid.hypers, size),
        scans_in_turn(batches, grid.hypers, size),
        grids.limit(grid),
    ]
    left_out: list[Row] = []
    torch = peers.torch()
    if torch:
        forms, left_out = grids.pytorch(torch, grid, "sweep")
        entrants += [
            *forms,
            torch_loop(torch, batches.data, grid.hypers, examples, size),
        ]
    return [
        *race("sweep", entrants, to="ours", rounds=size.rounds, contest=label),
        *left_out,
    ]


def grid_of(batches: Batches, examples: int, size: Size) -> Grid:
    """Rates times seeds of the network, for every way."""
    widths = batches.data.inputs.shape[1], *WIDTHS
    return Grid(
        make=partial(experiment, batches, size),
        hypers=learn.grid(
            Hyper, lr=np.geomspace(1e-3, 1e-1, size.rates), seed=range(size.seeds)
        ),
        data=batches.data,
        setting=bare.Setting(
            widths, jnp.tanh, bare.squared_error, bare.momentum, examples, size.steps
        ),
        network=torch_forms.tanh_regressor,
        rule=torch_forms.momentum,
        torch_steps=size.torch_steps,
    )


def experiment(batches: Batches, size: Size) -> learn.Training:
    """The network on the curve, by SGD with momentum."""
    loss = problem.training_loss(MODEL, problem.mse)
    start = problem.start(MODEL, batches.data.inputs)
    return learn.training(start, loss, learn.momentum, batches, steps=size.steps)


def python_loop(batches: Batches, hypers: Hyper, size: Size) -> Entrant:
    """A jitted update, called once a step."""
    step = jax.jit(update(batches))
    runs = [start(batches, hypers, index) for index in range(size.loop_runs)]

    def train(run: Run, key: Key, rate: jax.Array, *, steps: int) -> tuple[Run, Any]:
        loss = None
        for _ in range(steps):
            run, loss = step(run, key, rate, batches.data)
        return run, loss

    _, seconds = once(lambda: train(*runs[0], steps=1))
    return Entrant(
        "Python loop of jitted steps",
        lambda: [train(*run, steps=size.steps) for run in runs],
        parts=len(hypers.lr) / size.loop_runs,
        compile_seconds=seconds,
        target=Target("ratio", "at least", 4.0),
        note=f"runs measured: {size.loop_runs}, scaled to all; compiled once, its "
        "rate is traced",
        role="alternative",
    )


def scans_in_turn(batches: Batches, hypers: Hyper, size: Size) -> Entrant:
    """A jitted scan over the updates, called once a run."""
    step = update(batches)
    runs = [start(batches, hypers, index) for index in range(size.scan_runs)]

    def train(
        run: Run, key: Key, rate: jax.Array, data: Batch
    ) -> tuple[Run, jax.Array]:
        return jax.lax.scan(
            lambda run, _: step(run, key, rate, data), run, length=size.steps
        )

    program, seconds = compiled(train, *runs[0], batches.data)
    return Entrant(
        "jitted scans, one after another",
        lambda: [program(*run, batches.data) for run in runs],
        parts=len(hypers.lr) / size.scan_runs,
        compile_seconds=seconds,
        note=f"runs measured: {size.scan_runs}, scaled to all; compiled once, its "
        "rate is traced",
        role="alternative",
    )


def start(batches: Batches, hypers: Hyper, index: int) -> tuple[Run, Key, jax.Array]:
    """Run `index` of the grid before its first step, the key of its batches, and its
    learning rate.
    """
    key = jax.random.key(hypers.seed[index])
    rate = jnp.float32(hypers.lr[index])
    params, _ = MODEL.init(jax.random.fold_in(key, 0), batches.data.inputs)
    opt_state = learn.momentum(Hyper(lr=rate)).init(params)
    return Run(params, opt_state, jnp.int32(0)), jax.random.fold_in(key, 1), rate


def update(
    batches: Batches,
) -> Callable[[Run, Key, jax.Array, Batch], tuple[Run, jax.Array]]:
    """The update of a training loop that records the loss and nothing else."""
    objective = problem.objective(MODEL, problem.mse)

    def step(run: Run, key: Key, rate: jax.Array, data: Batch) -> tuple[Run, jax.Array]:
        batch = batches.draw(data, key, run.step)
        loss, grads = jax.value_and_grad(objective)(run.params, batch)
        optimizer = learn.momentum(Hyper(lr=rate))
        params, opt_state = learn.update(optimizer, grads, run.opt_state, run.params)
        return Run(params, opt_state, run.step + 1), loss

    return step


def torch_loop(
    torch: ModuleType, data: Batch, hypers: Hyper, examples: int, size: Size
) -> Entrant:
    """PyTorch's own layers and optimizer, eager, from the weights of the first run."""
    first, _, rate = start(learn.full(data), hypers, 0)
    place = peers.accelerator(torch)
    inputs, targets = (
        torch.tensor(np.asarray(field), device=place) for field in data[:2]
    )
    weights = [
        [
            torch.tensor(np.asarray(layer["kernel"]).T.copy()),
            torch.tensor(np.asarray(layer["bias"])),
        ]
        for layer in first.params.values()
    ]

    def train() -> float:
        layers = [
            torch.nn.Linear(kernel.shape[1], kernel.shape[0]) for kernel, _ in weights
        ]
        for layer, (kernel, bias) in zip(layers, weights, strict=True):
            layer.load_state_dict({"weight": kernel, "bias": bias})
        bends = [part for layer in layers[:-1] for part in (layer, torch.nn.Tanh())]
        network = torch.nn.Sequential(*bends, layers[-1]).to(place)
        optimizer = torch.optim.SGD(network.parameters(), lr=float(rate), momentum=0.9)
        value, order = torch.zeros(()), torch.arange(size.points)
        for index in range(size.torch_steps):
            first = index * examples % size.points
            if first == 0 and examples < size.points:
                order = torch.randperm(size.points)
            chosen = (
                order[first : first + examples]
                if examples < size.points
                else slice(None)
            )
            optimizer.zero_grad()
            value = torch.nn.functional.mse_loss(
                network(inputs[chosen]), targets[chosen]
            )
            value.backward()
            optimizer.step()
        return value.item()

    return Entrant(
        "PyTorch, eager, run after run",
        train,
        parts=len(hypers.lr) * size.steps / size.torch_steps,
        note=f"runs measured: 1, {size.torch_steps} of its steps, scaled to all",
        device=peers.device_name(torch),
        role="alternative",
    )
