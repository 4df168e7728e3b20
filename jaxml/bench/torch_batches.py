"""What many runs at once see in PyTorch: all examples, or each its own order of them.

PyTorch is handed to each function that needs it, because it may be absent.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from jaxml.types import Batch

Tensor = Any


class Examples(NamedTuple):
    """What one update sees: inputs and targets `[run, batch, ...]`, and the examples'
    weights `[batch]`.

    The weights sum to 1, and are 0 for padding.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor


def tensors(
    torch: ModuleType, data: Batch, place: str, *, classes: int | None = None
) -> tuple[Tensor, Tensor]:
    """Inputs and targets on the device; labels as indicators of so many classes."""
    inputs = np.asarray(data.inputs)
    targets = np.asarray(data.targets)
    if classes is not None:
        targets = np.eye(classes, dtype=inputs.dtype)[targets]
    return torch.tensor(inputs, device=place), torch.tensor(targets, device=place)


def whole(data: tuple[Tensor, Tensor], *, runs: int, steps: int) -> Iterator[Examples]:
    """All examples at every update."""
    inputs, targets = (field.expand(runs, *field.shape) for field in data)
    examples = len(data[0])
    weights = inputs.new_full((examples,), 1 / examples)
    for _ in range(steps):
        yield Examples(inputs, targets, weights)


def shuffled(
    torch: ModuleType, data: tuple[Tensor, Tensor], *, runs: int, batch: int, steps: int
) -> Iterator[Examples]:
    """Every example once an epoch, in an order of each run's own; the last batch is
    padded.
    """
    examples, place = len(data[0]), data[0].device
    per_epoch = -(-examples // batch)
    present = torch.arange(per_epoch * batch, device=place) < examples
    weights = present.view(per_epoch, batch).float()
    weights /= weights.sum(1, keepdim=True)
    order = torch.empty(0)
    for step in range(steps):
        turn = step % per_epoch
        if turn == 0:
            order = orders(torch, runs, examples, place)
            order = torch.nn.functional.pad(order, (0, per_epoch * batch - examples))
        start = turn * batch
        index = order[:, start : start + batch]
        yield gathered(data, index, weights[turn])


def orders(torch: ModuleType, runs: int, examples: int, place: Any) -> Tensor:
    """A permutation a run, `[run, examples]`: drawn one by one on a CPU, by one sort
    elsewhere.
    """
    if place.type == "cpu":
        return torch.stack([torch.randperm(examples) for _ in range(runs)])
    return torch.rand(runs, examples, device=place).argsort(1)


def gathered(data: tuple[Tensor, Tensor], index: Tensor, weights: Tensor) -> Examples:
    """The examples at the places `[run, batch]`."""
    chosen = index.reshape(-1)
    inputs, targets = (
        field.index_select(0, chosen).view(*index.shape, -1) for field in data
    )
    return Examples(inputs, targets, weights)
