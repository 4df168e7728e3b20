"""Many runs at once in PyTorch, as an expert would write it: vmapped, and batched by
hand.

PyTorch is handed to each function that needs it, because it may be absent.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import NamedTuple

import numpy as np

from jaxml.bench.race import once
from jaxml.bench.torch_batches import Examples, Tensor
from jaxml.types import Array

Step = Callable[["State", Examples], None]
"""One update of all runs, in place."""


class Network(NamedTuple):
    """A dense network and its loss, with the derivatives that a backward pass by hand
    needs.

    Attributes:
        widths: of all layers, the inputs first.
        bend: the activation.
        slope: `(∂/∂a, a) -> ∂/∂x` for a = bend(x).
        losses: `(outputs [..., k], targets [..., k]) -> [...]`.
        pull: `(outputs, targets) -> ∂ losses / ∂ outputs`.
    """

    widths: Sequence[int]
    bend: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    losses: Callable[[Tensor, Tensor], Tensor]
    pull: Callable[[Tensor, Tensor], Tensor]


class State(NamedTuple):
    """All runs; the lists are of one layout.

    Attributes:
        weights: kernel `[run, inputs, outputs]` and bias `[run, 1, outputs]` of one
            layer after another, or all of them in one vector.
        first: the velocity, or the mean of the gradients.
        second: the mean of their squares.
        rates: of each weight's run; they broadcast against the weights.
        count: updates made.
    """

    weights: list[Tensor]
    first: list[Tensor]
    second: list[Tensor]
    rates: list[Tensor]
    count: Tensor


Rule = Callable[[State, list[Tensor]], None]
"""Updates the state in place by the gradients, which have the layout of the weights."""


def relu_classifier(torch: ModuleType, widths: Sequence[int]) -> Network:
    """ReLUs and the cross-entropy; targets are indicators of the class."""

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        return -(torch.log_softmax(outputs, -1) * targets).sum(-1)

    def pull(outputs: Tensor, targets: Tensor) -> Tensor:
        return torch.softmax(outputs, -1).sub_(targets)

    def slope(gradient: Tensor, values: Tensor) -> Tensor:
        return torch.ops.aten.threshold_backward(gradient, values, 0)

    return Network(widths, torch.relu, slope, losses, pull)


def tanh_regressor(torch: ModuleType, widths: Sequence[int]) -> Network:
    """Hyperbolic tangents and the mean squared error."""

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).square().mean(-1)

    def pull(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).mul_(2 / widths[-1])

    return Network(widths, torch.tanh, torch.ops.aten.tanh_backward, losses, pull)


def momentum(state: State, gradients: list[Tensor]) -> None:
    """v ← 0.9 v + g; w ← w - η v. Polyak 1964."""
    for weight, velocity, rate, gradient in zip(
        state.weights, state.first, state.rates, gradients, strict=True
    ):
        velocity.mul_(0.9).add_(gradient)
        weight.addcmul_(velocity, rate, value=-1)


def adam(state: State, gradients: list[Tensor]) -> None:
    """Kingma and Ba 2015, arXiv:1412.6980, algorithm 1, with its constants."""
    state.count.add_(1)
    first_bias, second_bias = 1 - 0.9**state.count, 1 - 0.999**state.count
    for weight, mean, square, rate, gradient in zip(
        state.weights, state.first, state.second, state.rates, gradients, strict=True
    ):
        mean.lerp_(gradient, 0.1)
        square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        root = (square / second_bias).sqrt_().add_(1e-8).mul_(first_bias)
        weight.addcdiv_(mean * rate, root, value=-1)


def state(
    torch: ModuleType, weights: Sequence[np.ndarray], rates: Array, place: str
) -> State:
    """The runs before their first update.

    Args:
        torch: PyTorch.
        weights: kernels `[run, inputs, outputs]` and biases `[run, outputs]`, layer by
            layer.
        rates: one a run.
        place: the device.
    """
    parts = [torch.tensor(np.asarray(part), device=place) for part in weights]
    three = [part if part.ndim == 3 else part[:, None] for part in parts]
    rate = torch.tensor(np.asarray(rates, np.float32), device=place).view(-1, 1, 1)
    zeros = [torch.zeros_like(part) for part in three]
    return copied(
        State(three, zeros, zeros, [rate] * len(three), torch.zeros((), device=place))
    )


def joined(torch: ModuleType, state: State) -> State:
    """The same with all weights in one vector, so that an update is a few
    operations.
    """
    rates = [
        rate.expand_as(weight)
        for rate, weight in zip(state.rates, state.weights, strict=True)
    ]
    lists = state.weights, state.first, state.second, rates
    vectors = [torch.cat([part.reshape(-1) for part in parts]) for parts in lists]
    return State(*([vector] for vector in vectors), count=state.count)


def copied(state: State) -> State:
    """A state of its own with the same numbers."""
    lists = [[part.clone() for part in parts] for parts in state[:-1]]
    return State(*lists, count=state.count.clone())


def layers(weights: list[Tensor], network: Network) -> list[tuple[Tensor, Tensor]]:
    """Kernel `[run, inputs, outputs]` and bias `[run, 1, outputs]` of each layer, as
    views of a vector.
    """
    if len(weights) > 1:
        return list(zip(weights[::2], weights[1::2], strict=True))
    shapes = []
    for inputs, outputs in pairwise(network.widths):
        shapes += [(inputs, outputs), (1, outputs)]
    sizes = [rows * columns for rows, columns in shapes]
    runs = len(weights[0]) // sum(sizes)
    parts = weights[0].split([runs * size for size in sizes])
    views = [part.view(runs, *shape) for part, shape in zip(parts, shapes, strict=True)]
    return layers(views, network)


def vmapped(torch: ModuleType, network: Network, rule: Rule) -> Step:
    """`torch.func.vmap` of the gradient of one run's loss; the update is of all runs at
    once.
    """

    def loss(
        weights: list[tuple[Tensor, Tensor]],
        inputs: Tensor,
        targets: Tensor,
        counts: Tensor,
    ) -> Tensor:
        values = inputs
        for kernel, bias in weights[:-1]:
            values = network.bend(torch.addmm(bias, values, kernel))
        kernel, bias = weights[-1]
        return network.losses(torch.addmm(bias, values, kernel), targets) @ counts

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(0, 0, 0, None))

    def step(state: State, examples: Examples) -> None:
        found = gradients(layers(state.weights, network), *examples)
        rule(state, [part for layer in found for part in layer])

    return step


def by_hand(torch: ModuleType, network: Network, rule: Rule, start: State) -> Step:
    """Forward and backward as batched products, the gradients written where the update
    reads them.

    Args:
        torch: PyTorch.
        network: what is trained.
        rule: the optimizer.
        start: a joined state, as those that the step will update.
    """
    joined_gradients = [torch.empty_like(part) for part in start.weights]
    gradients = layers(joined_gradients, network)

    def step(state: State, examples: Examples) -> None:
        weights = layers(state.weights, network)
        values = [examples.inputs]
        for kernel, bias in weights[:-1]:
            values.append(network.bend(torch.baddbmm(bias, values[-1], kernel)))
        kernel, bias = weights[-1]
        outputs = torch.baddbmm(bias, values[-1], kernel)
        back = network.pull(outputs, examples.targets).mul_(
            examples.weights[None, :, None]
        )
        for index in reversed(range(len(weights))):
            kernel_gradient, bias_gradient = gradients[index]
            torch.bmm(values[index].transpose(1, 2), back, out=kernel_gradient)
            torch.sum(back, 1, keepdim=True, out=bias_gradient)
            if index:
                through = torch.bmm(back, weights[index][0].transpose(1, 2))
                back = network.slope(through, values[index])
        rule(state, joined_gradients)

    return step


def train(start: State, step: Step, batches: Iterable[Examples]) -> State:
    """A copy of the runs, trained on these batches."""
    state = copied(start)
    for examples in batches:
        step(state, examples)
    return state


class Unavailable(NamedTuple):
    """Why `torch.compile` does not work here."""

    why: str


def compiled(
    torch: ModuleType, step: Step, start: State, *examples: Examples
) -> tuple[Step, float] | Unavailable:
    """The step by `torch.compile` and the seconds that compiling it took, nothing taken
    from a cache.

    Of batches of several sizes it compiles the first as it is, and the others, by its
    own default, once for all.
    """
    dynamo = import_module("torch._dynamo.exc")
    inductor = import_module("torch._inductor.exc")
    caches = import_module("torch._inductor.utils")
    torch.compiler.reset()
    fused = torch.compile(step)
    try:
        with caches.fresh_cache():
            _, seconds = once(lambda: [fused(copied(start), each) for each in examples])
    except (
        dynamo.BackendCompilerFailed,
        inductor.TritonMissing,
        inductor.GPUTooOldForTriton,
    ) as error:
        return Unavailable(str(error).splitlines()[0])
    return fused, seconds
