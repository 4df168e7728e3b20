"""Networks of pictures with batch normalisation in PyTorch.

PyTorch is handed to each function that needs it, because it may be absent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from jaxml.bench import peers
from jaxml.bench.torch_cnn import MOMENTUM, RATE, Images
from jaxml.types import Params

Module = Any


class Stacked(NamedTuple):
    """One network's structure, and the weights of all seeds, `[seed, ...]`."""

    network: Module
    weights: dict[str, Any]


def cnn(torch: ModuleType, channels: Sequence[int], side: int, classes: int) -> Module:
    """For each entry a 3 x 3 convolution, batch normalisation, ReLU and 2 x 2 max pool;
    then one dense layer.
    """
    nn = torch.nn
    layers, before = [], 1
    for outputs in channels:
        layers += [*_normalised(torch, before, outputs, 1), nn.ReLU(), nn.MaxPool2d(2)]
        before = outputs
    pixels = (side // 2 ** len(channels)) ** 2
    output = nn.Linear(before * pixels, classes)
    return _placed(torch, [*layers, _without_weights(torch, _as_ours), output])


def resnet(torch: ModuleType, depth: int, width: int, classes: int) -> Module:
    """`problem.resnet` with batch normalisation."""
    nn = torch.nn
    layers, before = [*_normalised(torch, 1, width, 1), nn.ReLU()], width
    for stage in range(3):
        channels = width * 2**stage
        for _ in range((depth - 2) // 6):
            stride = channels // before
            branch = nn.Sequential(
                *_normalised(torch, before, channels, stride),
                nn.ReLU(),
                *_normalised(torch, channels, channels, 1),
            )
            layers += [_with_shortcut(torch, branch, stride), nn.ReLU()]
            before = channels
    mean = _without_weights(torch, _mean)
    return _placed(torch, [*layers, mean, nn.Linear(before, classes)])


def shuffled(
    torch: ModuleType, network: Module, data: Images, *, batch: int, updates: int
) -> Callable[[], float]:
    """So many updates of PyTorch's own optimizer, eager, on batches drawn from a new
    order at each call.
    """
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM)

    def train() -> float:
        order = torch.randperm(len(data.labels), device=data.labels.device)
        value = torch.zeros(())
        for index in order.split(batch)[:updates]:
            optimizer.zero_grad()
            outputs = network(data.images[index])
            value = torch.nn.functional.cross_entropy(outputs, data.labels[index])
            value.backward()
            optimizer.step()
        return value.item()

    return train


def stacked(torch: ModuleType, networks: Sequence[Module]) -> Stacked:
    """The networks for `torch.func.vmap`, without running statistics, which it cannot
    update in place.
    """
    first, *_ = networks
    for network in networks:
        torch.func.replace_all_batch_norm_modules_(network)
    weights, _ = torch.func.stack_module_state(list(networks))
    copies = {name: value.detach().clone() for name, value in weights.items()}
    return Stacked(first, copies)


def load(torch: ModuleType, network: Module, params: Params) -> None:
    """Gives a network our parameters, layer by layer in the order of the chain."""
    weighted = (torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.Linear)
    layers = [part for part in network.modules() if isinstance(part, weighted)]
    with torch.no_grad():
        for layer, own in zip(layers, _layers(params), strict=True):
            name = "kernel" if "kernel" in own else "scale"
            weight = np.asarray(own[name])
            axes = (3, 2, 0, 1) if weight.ndim == 4 else tuple(range(weight.ndim))[::-1]
            layer.weight.copy_(torch.tensor(weight.transpose(axes).copy()))
            if layer.bias is not None:
                layer.bias.copy_(torch.tensor(np.asarray(own["bias"])))


def _layers(params: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The innermost dicts, in the order of their names."""
    if any(not isinstance(value, Mapping) for value in params.values()):
        yield params
        return
    for name in sorted(params):
        yield from _layers(params[name])


def _normalised(
    torch: ModuleType, before: int, outputs: int, stride: int
) -> tuple[Module, Module]:
    convolution = torch.nn.Conv2d(
        before, outputs, 3, stride=stride, padding=1, bias=False
    )
    return convolution, torch.nn.BatchNorm2d(outputs)


def _placed(torch: ModuleType, layers: Sequence[Module]) -> Module:
    """The layers in turn, on PyTorch's device, kernels in channels-last order."""
    network = torch.nn.Sequential(*layers)
    place = peers.accelerator(torch)
    return network.to(device=place, memory_format=torch.channels_last)


def _without_weights(torch: ModuleType, function: Callable[[Any], Any]) -> Module:
    class Calling(torch.nn.Module):
        def forward(self, values: Any) -> Any:
            return function(values)

    return Calling()


def _with_shortcut(torch: ModuleType, branch: Module, stride: int) -> Module:
    """The branch added to its inputs, of which a stride takes every second pixel and
    leaves zeros for the new channels.
    """

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = branch

        def forward(self, values: Any) -> Any:
            outputs = self.branch(values)
            if stride == 1:
                return values + outputs
            new = outputs.shape[1] - values.shape[1]
            taken = values[:, :, ::stride, ::stride]
            margins = (0, 0, 0, 0, 0, new)
            return torch.nn.functional.pad(taken, margins) + outputs

    return Block()


def _as_ours(maps: Any) -> Any:
    """Rows, columns, channels, the last fastest: as they lie in memory."""
    return maps.permute(0, 2, 3, 1).flatten(1)


def _mean(maps: Any) -> Any:
    return maps.mean((2, 3))
