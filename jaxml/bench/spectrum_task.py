"""The network whose curvature the benchmark `spectrum` measures: a CNN of about 106,000
parameters, trained a little on enlarged digits, so that its spectrum has outliers.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import problem, tree
from jaxml.types import Array, Batch, Key, Objective, Params

CLASSES = 10
RATE, MOMENTUM = 0.05, 0.9


class Size(NamedTuple):
    """The network, its pictures, and how far its spectrum is asked for.

    Attributes:
        channels: of the two convolutions.
        hidden: units of the dense layer behind them.
        side: of a picture, in pixels.
        pictures: how many.
        part: pictures that products and gradients go through at a time.
        updates: of training before anything is measured.
        depth: steps of a density.
        probes: of a density.
        slow_probes: of these, how many a slow way is measured on.
        rounds: repetitions of single products.
        slow_rounds: repetitions of spectra.
    """

    channels: tuple[int, int] = (16, 32)
    hidden: int = 64
    side: int = 28
    pictures: int = 1024
    part: int = 32
    updates: int = 60
    depth: int = 64
    probes: int = 4
    slow_probes: int = 1
    rounds: int = 7
    slow_rounds: int = 2


SMOKE = Size(
    channels=(2, 3),
    hidden=4,
    side=8,
    pictures=24,
    part=8,
    updates=2,
    depth=6,
    probes=2,
    rounds=2,
    slow_rounds=1,
)


class Task(NamedTuple):
    """What is differentiated, and where."""

    objective: Objective
    params: Params
    batch: Batch


def pictures(size: Size) -> Batch:
    """8x8 digits, each pixel enlarged to a square, with a black border where the side
    asks for one.
    """
    digits = problem.digits()
    scale, border = divmod(size.side, 8)
    count = size.pictures
    small = np.asarray(digits.inputs[:count]).reshape(-1, 8, 8)
    large = np.kron(small, np.ones((1, scale, scale), np.float32))
    margin = (border // 2, border - border // 2)
    framed = np.pad(large, ((0, 0), margin, margin))[..., None]
    return jax.device_put(problem.examples(framed, np.asarray(digits.targets[:count])))


def initial(size: Size, key: Key) -> Params:
    """LeCun normal kernels, zero biases."""
    first, second = size.channels
    flat = (size.side // 4) ** 2 * second
    shapes = {
        "early": (3, 3, 1, first),
        "late": (3, 3, first, second),
        "hidden": (flat, size.hidden),
        "output": (size.hidden, CLASSES),
    }
    draw = jax.nn.initializers.lecun_normal()
    keys = jax.random.split(key, len(shapes))
    return {
        name: {"kernel": draw(own, shape), "bias": jnp.zeros(shape[-1])}
        for own, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def outputs(params: Params, inputs: Array) -> jax.Array:
    """Twice a 3 x 3 convolution, ReLU and 2 x 2 max pool; then two dense layers."""
    values: Any = jnp.asarray(inputs)
    for name in ("early", "late"):
        layer = params[name]
        maps = problem.convolve(values, layer["kernel"])
        values = problem.max_pool(jax.nn.relu(maps + _row(layer, maps.ndim)))
    flat = values.reshape(len(values), -1)
    dense = params["hidden"]
    hidden = jax.nn.relu(flat @ dense["kernel"] + _row(dense, 2))
    last = params["output"]
    return hidden @ last["kernel"] + _row(last, 2)


def _row(layer: Any, axes: int) -> jax.Array:
    """A layer's bias, as so many axes."""
    return layer["bias"].reshape(*[1] * (axes - 1), -1)


def objective(params: Params, batch: Batch) -> jax.Array:
    """The mean cross-entropy."""
    losses = problem.cross_entropy(outputs(params, batch.inputs), batch.targets)
    return jnp.mean(losses)


def task(size: Size) -> Task:
    """The network after some updates of SGD with momentum on all pictures."""
    batch = pictures(size)

    def update(_: Any, carry: tuple[Params, Params]) -> tuple[Params, Params]:
        params, velocity = carry
        gradient = jax.grad(objective)(params, batch)
        velocity = tree.axpy(MOMENTUM, velocity, gradient)
        return tree.axpy(-RATE, velocity, params), velocity

    @jax.jit
    def trained(key: Key) -> Params:
        params = initial(size, key)
        start = (params, tree.scale(0.0, params))
        return jax.lax.fori_loop(0, size.updates, update, start)[0]

    return Task(objective, trained(jax.random.key(0)), batch)
