"""The small CNN in PyTorch: one training by its own layers, and several seeds at once.

PyTorch is handed to each function that needs it, because it may be absent.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from jaxml.bench import peers
from jaxml.bench.machine import cores
from jaxml.types import Batch, Params

Tensor = Any
Weights = dict[str, Any]
"""By PyTorch's names: `0.weight`, `0.bias` of the first convolution, `3` of the second,
`7` of the output.
"""

RATE, MOMENTUM = 0.01, 0.9


class Images(NamedTuple):
    """A batch on PyTorch's device: images `[n, 1, height, width]` and labels `[n]`."""

    images: Tensor
    labels: Tensor


def images(torch: ModuleType, batch: Batch, layout: Any) -> Images:
    """Our batch in that memory layout."""
    place = peers.accelerator(torch)
    channels_first = np.moveaxis(np.asarray(batch.inputs), -1, 1).copy()
    labels = torch.tensor(np.asarray(batch.targets), dtype=torch.int64, device=place)
    return Images(
        torch.tensor(channels_first, device=place).to(memory_format=layout), labels
    )


def network(
    torch: ModuleType, channels: Sequence[int], side: int, classes: int, layout: Any
) -> Any:
    """Twice a 3 x 3 convolution, ReLU and 2 x 2 max pool; then one dense layer."""
    nn = torch.nn
    first, second = channels
    early = nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    late = nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    output = nn.Linear(second * (side // 4) ** 2, classes)
    layers = nn.Sequential(*early, *late, nn.Flatten(), output)
    return layers.to(device=peers.accelerator(torch), memory_format=layout)


def weights(params: Params, side: int) -> dict[str, np.ndarray]:
    """Our parameters under PyTorch's names and in its order of axes, behind any leading
    axis of runs.
    """
    named = {}
    for place, layer in (("0", "layer_00"), ("3", "layer_01")):
        kernel = np.asarray(params[layer]["kernel"])
        named[f"{place}.weight"] = np.moveaxis(kernel, (-1, -2), (-4, -3)).copy()
        named[f"{place}.bias"] = np.asarray(params[layer]["bias"])
    kernel = np.asarray(params["output"]["kernel"])
    *runs, _, classes = kernel.shape
    # Ours flattens rows, columns, channels; PyTorch channels, rows, columns.
    maps = kernel.reshape(*runs, side // 4, side // 4, -1, classes)
    ordered = np.moveaxis(maps, (-1, -2), (-4, -3))
    named["7.weight"] = ordered.reshape(*runs, classes, -1).copy()
    named["7.bias"] = np.asarray(params["output"]["bias"])
    return named


def loop(
    torch: ModuleType, layers: Any, batch: Images, *, steps: int
) -> Callable[[], float]:
    """So many steps of PyTorch's own optimizer, eager, continued at each call."""
    optimizer = torch.optim.SGD(layers.parameters(), lr=RATE, momentum=MOMENTUM)

    def train() -> float:
        value = torch.zeros(())
        for _ in range(steps):
            optimizer.zero_grad()
            value = torch.nn.functional.cross_entropy(
                layers(batch.images), batch.labels
            )
            value.backward()
            optimizer.step()
        return value.item()

    return train


def on_cores(
    torch: ModuleType, loops: Sequence[Callable[[], float]]
) -> Callable[[], list[float]]:
    """Several trainings, each on one core, as many at once as there are cores."""

    def run() -> list[float]:
        with ThreadPoolExecutor(
            cores(), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            values = list(pool.map(_called, loops))
        torch.set_num_threads(cores())
        return values

    return run


def _called(train: Callable[[], float]) -> float:
    return train()


def vmapped(
    torch: ModuleType, layers: Any, stacked: Weights, batch: Images, *, steps: int
) -> Callable[[], Weights]:
    """So many steps of all seeds at once by `torch.func`, eager, continued at each
    call.

    A convolution vmapped over its kernels becomes a grouped one.

    Args:
        torch: PyTorch.
        layers: the network, for its structure.
        stacked: the weights of all seeds, `[seed, ...]`; they are updated in place.
        batch: what every seed sees.
        steps: updates of a call.
    """
    velocities = {name: torch.zeros_like(value) for name, value in stacked.items()}

    def loss(weights: Weights) -> Tensor:
        outputs = torch.func.functional_call(layers, weights, (batch.images,))
        return torch.nn.functional.cross_entropy(outputs, batch.labels)

    gradients_of = torch.func.vmap(torch.func.grad(loss))

    def train() -> Weights:
        for _ in range(steps):
            gradients = gradients_of(stacked)
            for name, velocity in velocities.items():
                velocity.mul_(MOMENTUM).add_(gradients[name])
                stacked[name].sub_(velocity, alpha=RATE)
        return stacked

    return train


def stacked(torch: ModuleType, named: Mapping[str, np.ndarray]) -> Weights:
    """The weights of all seeds on PyTorch's device, convolutions' kernels in
    channels-last order.
    """
    place = peers.accelerator(torch)
    tensors = {name: torch.tensor(value, device=place) for name, value in named.items()}
    for name in ("0.weight", "3.weight"):
        last = tensors[name].permute(0, 1, 3, 4, 2).contiguous()
        tensors[name] = last.permute(0, 1, 4, 2, 3)
    return tensors
