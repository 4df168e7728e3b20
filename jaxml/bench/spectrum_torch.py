"""The same network in PyTorch, and its curvature by PyHessian and by curvlinops.

The modules are handed to each function that needs them, because they may be absent.
"""

import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from jaxml.bench import peers
from jaxml.bench.spectrum_task import CLASSES, Size, Task
from jaxml.types import Params

Call = Callable[[], Any]


class Peer(NamedTuple):
    """The network on PyTorch's device, and its data."""

    torch: ModuleType
    layers: Any
    inputs: Any
    labels: Any


def peer(torch: ModuleType, task: Task, size: Size) -> Peer:
    """Our network, weights and pictures, channels first, PyTorch's default."""
    place = peers.accelerator(torch)
    channels_first = np.moveaxis(np.asarray(task.batch.inputs), -1, 1).copy()
    labels = np.asarray(task.batch.targets)
    return Peer(
        torch,
        network(torch, task.params, size).to(place),
        torch.tensor(channels_first, device=place),
        torch.tensor(labels, dtype=torch.int64, device=place),
    )


def network(torch: ModuleType, params: Params, size: Size) -> Any:
    """The layers, with our weights."""
    nn = torch.nn
    first, second = size.channels
    flat = second * (size.side // 4) ** 2
    layers = nn.Sequential(
        *(nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(flat, size.hidden), nn.ReLU()),
        nn.Linear(size.hidden, CLASSES),
    )
    layers.load_state_dict(
        {name: torch.tensor(value) for name, value in weights(params, size).items()}
    )
    return layers


def weights(params: Params, size: Size) -> dict[str, np.ndarray]:
    """Our parameters under PyTorch's names and in its order of axes."""
    places = {"early": "0", "late": "3", "hidden": "7", "output": "9"}
    named = {}
    for name, place in places.items():
        kernel = np.asarray(params[name]["kernel"])
        if kernel.ndim == 4:
            kernel = np.moveaxis(kernel, (-1, -2), (0, 1))
        elif name == "hidden":
            # Ours flattens rows, columns, channels; PyTorch channels, rows, columns.
            maps = kernel.reshape(size.side // 4, size.side // 4, -1, size.hidden)
            kernel = np.moveaxis(maps, (-1, -2), (0, 1)).reshape(size.hidden, -1)
        else:
            kernel = kernel.T
        named[f"{place}.weight"] = kernel.copy()
        named[f"{place}.bias"] = np.array(params[name]["bias"])
    return named


def gradient(peer: Peer) -> Call:
    """Of the mean cross-entropy, by PyTorch's own layers."""

    def run() -> None:
        peer.layers.zero_grad()
        loss(peer).backward()

    return run


def gradient_in_parts(peer: Peer, size: int) -> Call:
    """The same, the parts' gradients added up."""
    entropy = peer.torch.nn.functional.cross_entropy
    parts = list(zip(peer.inputs.split(size), peer.labels.split(size), strict=True))

    def run() -> None:
        peer.layers.zero_grad()
        for inputs, labels in parts:
            total = entropy(peer.layers(inputs), labels, reduction="sum")
            (total / len(peer.labels)).backward()

    return run


def product(peer: Peer) -> Call:
    """A Hessian product by double backward, the gradient kept as PyHessian keeps it."""
    params = list(peer.layers.parameters())
    autograd = peer.torch.autograd.grad
    gradients = autograd(loss(peer), params, create_graph=True)
    direction = [peer.torch.ones_like(param) for param in params]

    def run() -> None:
        autograd(gradients, params, grad_outputs=direction, retain_graph=True)

    return run


def loss(peer: Peer) -> Any:
    """The mean cross-entropy."""
    entropy = peer.torch.nn.functional.cross_entropy
    return entropy(peer.layers(peer.inputs), peer.labels)


def has(name: str) -> bool:
    """Whether a library beside PyTorch is installed."""
    return find_spec(name) is not None


def top_two(peer: Peer) -> Callable[[], list[float]]:
    """PyHessian's two eigenvalues of largest modulus, at its default tolerance, 1e-3 of
    an eigenvalue between two iterations.
    """

    def run() -> list[float]:
        peer.torch.manual_seed(0)
        return _pyhessian(peer).eigenvalues(top_n=2)[0]

    return run


def density(peer: Peer, *, depth: int, probes: int) -> Call:
    """PyHessian's nodes and weights. It calls `torch.eig`, which PyTorch has removed;
    what replaced it stands in for it.
    """

    def eig(matrix: Any, eigenvectors: bool) -> tuple[Any, Any]:
        del eigenvectors
        values, vectors = peer.torch.linalg.eig(matrix)
        return peer.torch.view_as_real(values), vectors.real

    def run() -> Any:
        peer.torch.manual_seed(0)
        with patch.object(peer.torch, "eig", eig):
            return _pyhessian(peer).density(iter=depth, n_v=probes)

    return run


def _pyhessian(peer: Peer) -> Any:
    entropy = peer.torch.nn.CrossEntropyLoss()
    on_cuda = peers.accelerator(peer.torch) == "cuda"
    with warnings.catch_warnings():
        # It keeps the gradient's graph by design, of which PyTorch warns.
        warnings.filterwarnings("ignore", message="Using backward")
        return import_module("pyhessian").hessian(
            peer.layers, entropy, data=(peer.inputs, peer.labels), cuda=on_cuda
        )


def operator(peer: Peer) -> Any:
    """curvlinops' Hessian as a linear operator of SciPy."""
    with warnings.catch_warnings():
        # A library that it imports uses what PyTorch is about to drop.
        warnings.simplefilter("ignore", DeprecationWarning)
        curvlinops = import_module("curvlinops")
    params = [param for param in peer.layers.parameters() if param.requires_grad]
    hessian = curvlinops.HessianLinearOperator(
        peer.layers,
        peer.torch.nn.CrossEntropyLoss(),
        params,
        [(peer.inputs, peer.labels)],
        check_deterministic=False,
    )
    return hessian.to_scipy()
