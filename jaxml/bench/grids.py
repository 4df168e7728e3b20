"""One grid of trainings of a dense network in the strongest ways: ours, bare JAX,
PyTorch's.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import learn, parallel
from jaxml.bench import bare, peak, peers, torch_batches, torch_forms
from jaxml.bench.race import Entrant, compiled, once
from jaxml.bench.rows import Row
from jaxml.bench.torch_batches import Examples
from jaxml.bench.torch_forms import Network, State, Step, Unavailable
from jaxml.learn import Hyper
from jaxml.types import Batch, Params

BY_HAND = "PyTorch, batched by hand, eager"
VMAPPED = "PyTorch, `torch.func.vmap` of the step, eager"
FUSED = "PyTorch, `torch.compile` of the vmapped step"


class Grid(NamedTuple):
    """What every way trains.

    Attributes:
        make: `() -> Training`, made anew at each call, so that it is traced anew.
        hypers: rates and seeds, one a run.
        data: all examples.
        setting: network, batch, steps and optimizer in bare JAX.
        network: `(torch, widths) -> Network`, the same in PyTorch.
        rule: the optimizer in PyTorch.
        torch_steps: updates measured in PyTorch.
        classes: where targets are labels, how many there are.
    """

    make: Callable[[], learn.Training]
    hypers: Hyper
    data: Batch
    setting: bare.Setting
    network: Callable[[ModuleType, Sequence[int]], Network]
    rule: torch_forms.Rule
    torch_steps: int
    classes: int | None = None


def ours(grid: Grid) -> list[Entrant]:
    """The grid by `learn`: spread over all devices, and where that is another thing on
    one of them.
    """
    everywhere = evenly(grid.hypers, None)
    entrants = [program(grid.make(), grid.hypers, lanes=everywhere)]
    if len(parallel.devices()) > 1:
        entrants.append(
            program(grid.make(), grid.hypers, lanes=len(grid.hypers.lr), devices=1)
        )
    return entrants


def program(
    training: learn.Training, hypers: Any, *, lanes: int, devices: int | None = None
) -> Entrant:
    """One program, compiled before, whose chunks of so many runs are computed on
    several devices.
    """
    compile_it = partial(learn.compiled, training, hypers, lanes=lanes, devices=devices)
    chunk_program, seconds = once(compile_it)
    return Entrant(
        f"ours, {len(chunk_program.places)} x {lanes} runs at a time",
        partial(learn.run, chunk_program, training, hypers),
        compile_seconds=seconds,
        note="devices, or cores, times the runs that advance together on one; "
        "initialisation and transfer included",
        role="ours",
    )


def cold(grid: Grid) -> Entrant:
    """The same from nothing: traced, lowered, compiled and run."""
    lanes = evenly(grid.hypers, None)
    return Entrant(
        "ours, compilation included",
        lambda: learn.sweep(grid.make(), grid.hypers, lanes=lanes),
        note="traced and compiled anew each time, nothing taken from a cache",
        role="ours",
    )


def evenly(hypers: Any, devices: int | None) -> int:
    """How many runs each device has, at most."""
    return -(-len(hypers.lr) // len(parallel.devices(devices)))


def bare_scan(grid: Grid) -> Entrant:
    """A vmapped scan in JAX alone, on one device."""
    data = jax.device_put(grid.data)
    count, examples = len(grid.hypers.lr), len(grid.data.weights)
    draw = partial(bare.shuffled, grid.setting, runs=count, examples=examples)
    arguments = grid.hypers.seed, grid.hypers.lr, data.inputs, data.targets
    first = draw(seed=0)
    vmapped, seconds = compiled(bare.program(grid.setting, first), *arguments, first)

    def run() -> Any:
        return vmapped(*arguments, draw(seed=0))

    return Entrant(
        "bare JAX, a vmapped scan on one device",
        run,
        compile_seconds=seconds,
        note="its own network, shuffling and optimizer; initialisation and shuffling "
        "included; the loss is kept, and nothing else is observed",
        role="alternative",
    )


def products(grid: Grid) -> Entrant:
    """The matrix products of all updates of all runs in the shapes in which a vmapped
    step makes them.
    """
    setting, runs = grid.setting, len(grid.hypers.lr)
    draw = np.random.default_rng(0)
    first, *_ = setting.widths
    inputs = draw.standard_normal((runs, setting.batch, first), np.float32)
    kernels = [
        draw.standard_normal((runs, *shape), np.float32)
        for shape in pairwise(setting.widths)
    ]
    alone = jax.vmap(partial(peak.chain, steps=setting.steps))

    def chunk(
        operands: tuple[jax.Array, list[jax.Array]], shared: tuple[()]
    ) -> list[jax.Array]:
        del shared
        return alone(*operands)

    lanes = evenly(grid.hypers, None)
    count = -(-runs // lanes)
    operands = inputs, kernels
    first_chunk = parallel.rows(operands, np.arange(lanes))
    compile_it = partial(parallel.compiled, chunk, first_chunk, (), chunks=count)
    program, seconds = once(compile_it)

    def run() -> list[Any]:
        with parallel.computing(program, operands, (), runs) as outputs:
            return [outputs(index) for index in range(count)]

    return Entrant(
        "its matrix products alone, as the step batches them",
        run,
        compile_seconds=seconds,
        note=f"{len(program.places)} x {lanes} runs at a time",
        role="limit",
    )


def limit(grid: Grid) -> Entrant:
    """The matrix products of all updates of all runs at the machine's measured peak."""
    setting = grid.setting
    runs = len(grid.hypers.lr)
    return peak.limit(runs * setting.steps * peak.dense(setting.widths, setting.batch))


def pytorch(
    torch: ModuleType, grid: Grid, benchmark: str
) -> tuple[list[Entrant], list[Row]]:
    """All runs at once in PyTorch, in three ways; and why one is left out, where it
    is.
    """
    place = peers.accelerator(torch)
    start = beginning(torch, grid, place)
    joined = torch_forms.joined(torch, start)
    network = grid.network(torch, grid.setting.widths)
    vmapped = torch_forms.vmapped(torch, network, grid.rule)
    by_hand = torch_forms.by_hand(torch, network, grid.rule, joined)
    data = torch_batches.tensors(torch, grid.data, place, classes=grid.classes)
    batches = partial(drawn, torch, grid, data)
    fused = torch_forms.compiled(torch, vmapped, start, next(batches()))
    entrant = partial(torch_form, torch, grid, batches)
    entrants = [
        entrant(VMAPPED, start, vmapped),
        entrant(BY_HAND, joined, by_hand),
    ]
    if isinstance(fused, Unavailable):
        return entrants, [Row(benchmark, FUSED, "", note=f"left out: {fused.why}")]
    step, seconds = fused
    entrants.append(entrant(FUSED, start, step)._replace(compile_seconds=seconds))
    return entrants, []


def torch_form(
    torch: ModuleType,
    grid: Grid,
    batches: Callable[[], Iterator[Examples]],
    what: str,
    start: State,
    step: Step,
) -> Entrant:
    """All runs from one state by one step, on part of the updates."""

    def run() -> None:
        torch_forms.train(start, step, batches())

    return Entrant(
        what,
        run,
        parts=grid.setting.steps / grid.torch_steps,
        note="all runs at once, shuffling included; updates measured: "
        f"{grid.torch_steps} of {grid.setting.steps}, scaled to all",
        device=peers.device_name(torch),
        role="alternative",
    )


def beginning(torch: ModuleType, grid: Grid, place: str) -> State:
    """PyTorch's runs before their first update, with our initial weights."""
    first_state = partial(learn.first_state, grid.make())
    states = jax.jit(partial(jax.lax.map, first_state))(grid.hypers)
    return torch_forms.state(torch, arrays(states.params), grid.hypers.lr, place)


def arrays(params: Params) -> list[np.ndarray]:
    """Kernel and bias of each layer of our dense network, in turn."""
    layers = [params[name] for name in sorted(params)]
    return [np.asarray(layer[part]) for layer in layers for part in ("kernel", "bias")]


def drawn(torch: ModuleType, grid: Grid, data: tuple[Any, Any]) -> Iterator[Examples]:
    """What the measured updates see of the data."""
    runs, batch = len(grid.hypers.lr), grid.setting.batch
    if batch >= len(grid.data.weights):
        return torch_batches.whole(data, runs=runs, steps=grid.torch_steps)
    return torch_batches.shuffled(
        torch, data, runs=runs, batch=batch, steps=grid.torch_steps
    )
