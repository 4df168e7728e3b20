"""One training step of a small CNN inside a scan: patches, XLA's convolution, PyTorch."""

from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem
from jaxml.bench import peers
from jaxml.bench.race import Entrant, compiled, race
from jaxml.bench.rows import Row, Target
from jaxml.types import Array, Batch, Key, Model, Params

CLASSES = 10


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
    """

    channels: tuple[int, int] = (32, 64)
    images: int = 64
    side: int = 28
    steps: int = 20
    slow_steps: int = 2
    torch_steps: int = 10
    rounds: int = 5


FULL = Size()


def measure(size: Size = FULL) -> list[Row]:
    """Seconds of one step; ours by patches on a CPU, and by XLA's convolution elsewhere."""
    batch = examples(size)
    ours = problem.cnn(size.channels, CLASSES)
    on_cpu = jax.default_backend() == "cpu"
    other = "XLA's convolution" if on_cpu else "patches"
    convolve = problem.convolve_native if on_cpu else problem.convolve_patches
    slower = scan(f"{other}, in a scan", by(convolve, size.channels), batch, steps=size.slow_steps)
    entrants = [
        scan(f"ours ({'patches' if on_cpu else 'XLA'}), in a scan", ours, batch, steps=size.steps),
        slower._replace(target=Target("ratio", "at least", 10.0) if on_cpu else None),
    ]
    torch = peers.torch()
    if torch:
        entrants += torch_loops(torch, batch, size)
    rows = race("cnn", entrants, to="ours", rounds=size.rounds)
    return rows if torch else [*rows, peers.absent("cnn")]


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
            kernel, bias = (params[f"layer_{index:02}"][part] for part in ("kernel", "bias"))
            values = problem.max_pool(jax.nn.relu(convolve(values, kernel) + bias.reshape(1, 1, 1, -1)))
        kernel, bias = (params["output"][part] for part in ("kernel", "bias"))
        return values.reshape(len(values), -1) @ kernel + bias.reshape(1, -1), state

    return problem.cnn(channels, CLASSES)._replace(apply=apply)


def scan(what: str, model: Model, batch: Batch, *, steps: int) -> Entrant:
    """Steps of SGD with momentum on one batch, by `learn`."""
    loss = problem.training_loss(model, problem.cross_entropy)
    start = problem.start(model, batch.inputs)
    training = learn.training(start, loss, learn.momentum, learn.full(batch), steps=steps)
    state = jax.jit(training.init)(learn.Hyper(lr=0.01))
    program, seconds = compiled(training.run, state, batch)
    return Entrant(
        what,
        lambda: program(state, batch),
        parts=1 / steps,
        compile_seconds=seconds,
        note=f"steps measured: {steps}",
    )


def torch_loops(torch: ModuleType, batch: Batch, size: Size) -> list[Entrant]:
    """PyTorch's own layers and optimizer, eager, in both of its memory layouts; the target is its default."""
    layouts = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}
    return [
        Entrant(
            f"PyTorch, eager, {name}",
            torch_loop(torch, layout, batch, size),
            parts=1 / size.torch_steps,
            target=Target("ratio", "at least", 1.0) if layout is torch.contiguous_format else None,
            note=f"steps measured: {size.torch_steps}",
            device=peers.device_name(torch),
        )
        for name, layout in layouts.items()
    ]


def torch_loop(torch: ModuleType, layout: Any, batch: Batch, size: Size) -> Any:
    """So many steps of the same network, continued at each call."""
    first, second = size.channels
    nn, place = torch.nn, peers.accelerator(torch)
    network = nn.Sequential(
        *(nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(second * (size.side // 4) ** 2, CLASSES)),
    ).to(device=place, memory_format=layout)
    images = torch.tensor(np.moveaxis(np.asarray(batch.inputs), -1, 1).copy(), device=place)
    images = images.to(memory_format=layout)
    labels = torch.tensor(np.asarray(batch.targets), dtype=torch.int64, device=place)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    def train() -> float:
        value = torch.zeros(())
        for _ in range(size.torch_steps):
            optimizer.zero_grad()
            value = nn.functional.cross_entropy(network(images), labels)
            value.backward()
            optimizer.step()
        return value.item()

    return train
