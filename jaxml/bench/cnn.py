"""One training step of a small CNN inside a scan, and several seeds of a smaller one:
ours and PyTorch's.
"""

from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem
from jaxml.bench import grids, peak, peers, torch_cnn
from jaxml.bench.race import Entrant, compiled, race
from jaxml.bench.rows import Row, Target
from jaxml.types import Array, Batch, Key, Model, Params

CLASSES = 10

EVEN = Target("ratio", "at least", 1.0)
"""Of PyTorch over ours."""


class Size(NamedTuple):
    """The network, its images, and how many steps each way is timed on.

    Attributes:
        channels: of the two convolutions.
        images: of the batch.
        side: of an image, in pixels.
        steps: in the scan that is timed.
        slow_steps: the same for the convolution that is not ours here.
        torch_steps: in PyTorch's loop.
        rounds: repetitions.
        seeds: trainings of the contest of seeds.
        seed_channels: of its two convolutions.
        seed_steps: of each training.
        vmapped_steps: the same, as measured of PyTorch's grouped convolutions.
    """

    channels: tuple[int, int] = (32, 64)
    images: int = 64
    side: int = 28
    steps: int = 20
    slow_steps: int = 2
    torch_steps: int = 10
    rounds: int = 5
    seeds: int = 8
    seed_channels: tuple[int, int] = (16, 32)
    seed_steps: int = 20
    vmapped_steps: int = 2


FULL = Size()


def measure(size: Size = FULL) -> list[Row]:
    """Seconds of one step, and of several seeds' trainings."""
    batch = examples(size)
    rows = [*one_step(batch, size), *several_seeds(batch, size)]
    return rows if peers.torch() else [*rows, peers.absent("cnn")]


def one_step(batch: Batch, size: Size) -> list[Row]:
    """One step in each way; ours by patches on a CPU, and by XLA's convolution
    elsewhere.
    """
    ours = problem.cnn(size.channels, CLASSES)
    on_cpu = jax.default_backend() == "cpu"
    other = "XLA's convolution" if on_cpu else "patches"
    convolve = problem.convolve_native if on_cpu else problem.convolve_patches
    name = f"ours ({'patches' if on_cpu else 'XLA'}), in a scan"
    fastest = scan(name, ours, batch, steps=size.steps)
    slower = scan(
        f"{other}, in a scan", by(convolve, size.channels), batch, steps=size.slow_steps
    )
    entrants = [
        fastest._replace(role="ours"),
        slower._replace(
            role="alternative",
            target=Target("ratio", "at least", 10.0) if on_cpu else None,
        ),
        peak.limit(flops(size.channels, size)),
    ]
    torch = peers.torch()
    if torch:
        entrants += torch_loops(torch, batch, size)
    return race("cnn", entrants, to="ours", rounds=size.rounds)


def several_seeds(batch: Batch, size: Size) -> list[Row]:
    """A smaller network trained from several seeds: one run a device, vmapped, and by
    PyTorch.
    """
    training = small(batch, size)
    hypers = learn.grid(learn.Hyper, lr=torch_cnn.RATE, seed=range(size.seeds))
    entrants = [
        *our_seeds(training, hypers),
        peak.limit(size.seeds * size.seed_steps * flops(size.seed_channels, size)),
    ]
    torch = peers.torch()
    if torch:
        entrants += torch_seeds(torch, training, hypers, batch, size)
    contest = (
        f"{size.seeds} seeds of {size.seed_steps} steps, {named(size.seed_channels)}"
    )
    return race("cnn", entrants, to="ours", rounds=size.rounds, contest=contest)


def our_seeds(training: learn.Training, hypers: learn.Hyper) -> list[Entrant]:
    """By `learn`, in the way that suits the platform first: CPU cores take a run each,
    accelerators many.
    """
    if jax.default_backend() == "cpu":
        return [
            grids.program(training, hypers, lanes=1),
            grids.program(training, hypers, lanes=len(hypers.seed), devices=1),
        ]
    return [
        grids.program(training, hypers, lanes=grids.evenly(hypers, None)),
        grids.program(training, hypers, lanes=1),
    ]


def named(channels: tuple[int, int]) -> str:
    """The network in words.

    >>> named((16, 32))
    '16 and 32 channels'
    """
    return f"{channels[0]} and {channels[1]} channels"


def small(batch: Batch, size: Size) -> learn.Training:
    """The smaller network on one batch, by SGD with momentum."""
    model = problem.cnn(size.seed_channels, CLASSES)
    loss = problem.training_loss(model, problem.cross_entropy)
    start = problem.start(model, batch.inputs)
    return learn.training(
        start, loss, learn.momentum, learn.full(batch), steps=size.seed_steps
    )


def flops(channels: tuple[int, int], size: Size) -> int:
    """The products of one step: forward, and backward to weights and to inner values.

    A 3 x 3 convolution is the product of patches, nine values a channel, with its
    kernel; the first one's inputs are data, which need no derivative.

    >>> by_hand = 2 * (2 * 16 * 9 + 3 * 4 * 9 + 3 * 1 * 10)
    >>> flops((1, 1), Size(images=1, side=4)) == by_hand
    True
    """
    first, second = channels
    pixels = size.images * size.side**2
    early = peak.product(pixels, 9, first)
    late = peak.product(pixels // 4, 9 * first, second)
    output = peak.product(size.images, second * (size.side // 4) ** 2, CLASSES)
    return 2 * early + 3 * late + 3 * output


def examples(size: Size) -> Batch:
    """Normal pixels and uniform labels: the time of a step does not depend on them."""
    draw = np.random.default_rng(0)
    images = draw.standard_normal((size.images, size.side, size.side, 1), np.float32)
    labels = draw.integers(CLASSES, size=size.images, dtype=np.int32)
    return jax.device_put(problem.examples(images, labels))


def by(convolve: Any, channels: tuple[int, ...]) -> Model:
    """`problem.cnn` with another convolution, on the same parameters."""

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        del train, key
        values = jnp.asarray(inputs)
        for index in range(len(channels)):
            kernel, bias = (
                params[f"layer_{index:02}"][part] for part in ("kernel", "bias")
            )
            values = problem.max_pool(
                jax.nn.relu(convolve(values, kernel) + bias.reshape(1, 1, 1, -1))
            )
        kernel, bias = (params["output"][part] for part in ("kernel", "bias"))
        return values.reshape(len(values), -1) @ kernel + bias.reshape(1, -1), state

    return problem.cnn(channels, CLASSES)._replace(apply=apply)


def scan(what: str, model: Model, batch: Batch, *, steps: int) -> Entrant:
    """Steps of SGD with momentum on one batch, by `learn`."""
    loss = problem.training_loss(model, problem.cross_entropy)
    start = problem.start(model, batch.inputs)
    training = learn.training(
        start, loss, learn.momentum, learn.full(batch), steps=steps
    )
    state = jax.jit(partial(learn.first_state, training))(learn.Hyper(lr=0.01))
    program, seconds = compiled(training.run, state, batch)
    return Entrant(
        what,
        lambda: program(state, batch),
        parts=1 / steps,
        compile_seconds=seconds,
        note=f"steps measured: {steps}",
    )


def torch_loops(torch: ModuleType, batch: Batch, size: Size) -> list[Entrant]:
    """PyTorch's own layers and optimizer, eager, in both of its memory layouts; the
    target is its default.
    """
    first = torch_loop(torch, torch.contiguous_format, batch, size)
    last = torch_loop(torch, torch.channels_last, batch, size)
    entrant = Entrant(
        "PyTorch, eager, channels first",
        first,
        parts=1 / size.torch_steps,
        note=f"steps measured: {size.torch_steps}",
        device=peers.device_name(torch),
        role="alternative",
    )
    return [
        entrant._replace(target=EVEN),
        entrant._replace(what="PyTorch, eager, channels last", run=last),
    ]


def torch_loop(torch: ModuleType, layout: Any, batch: Batch, size: Size) -> Any:
    """So many steps of the same network, continued at each call."""
    layers = torch_cnn.network(torch, size.channels, size.side, CLASSES, layout)
    images = torch_cnn.images(torch, batch, layout)
    return torch_cnn.loop(torch, layers, images, steps=size.torch_steps)


def torch_seeds(
    torch: ModuleType,
    training: learn.Training,
    hypers: learn.Hyper,
    batch: Batch,
    size: Size,
) -> list[Entrant]:
    """PyTorch, channels last, from our initial weights: run after run, a run a core,
    and vmapped.
    """
    layout = torch.channels_last
    images = torch_cnn.images(torch, batch, layout)
    states = jax.jit(partial(jax.lax.map, partial(learn.first_state, training)))(hypers)
    stacked = torch_cnn.stacked(torch, torch_cnn.weights(states.params, size.side))
    networks = [
        torch_cnn.network(torch, size.seed_channels, size.side, CLASSES, layout)
        for _ in range(size.seeds)
    ]
    loops = [
        torch_cnn.loop(torch, each, images, steps=size.torch_steps) for each in networks
    ]
    scale = size.seed_steps / size.torch_steps
    alone = Entrant(
        "PyTorch, channels last, run after run",
        loops[0],
        parts=size.seeds * scale,
        target=EVEN,
        note=f"runs measured: 1, {size.torch_steps} of its steps, scaled to all",
        device=peers.device_name(torch),
        role="alternative",
    )
    vmapped = alone._replace(
        what="PyTorch, channels last, seeds by `torch.func.vmap`",
        run=torch_cnn.vmapped(
            torch, networks[0], stacked, images, steps=size.vmapped_steps
        ),
        parts=size.seed_steps / size.vmapped_steps,
        note=f"becomes a grouped convolution; steps measured: {size.vmapped_steps}, "
        "scaled to all",
    )
    if peers.accelerator(torch) != "cpu":
        return [alone, vmapped]
    on_cores = alone._replace(
        what="PyTorch, channels last, a run on each core",
        run=torch_cnn.on_cores(torch, loops),
        parts=scale,
        note=f"by Python threads; steps measured: {size.torch_steps}, scaled to all",
    )
    return [alone, on_cores, vmapped]
