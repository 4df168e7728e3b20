"""A grid of trainings in JAX and nothing else: its own network, shuffling and
optimizers, vmapped.

What a user would write who needs one loss curve a run and no more. Nothing here is of
the library.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.types import Params

Weights = list[tuple[jax.Array, jax.Array]]
"""Kernel `[inputs, outputs]` and bias `[outputs]` of each layer."""


class Rule(NamedTuple):
    """An optimizer by hand.

    Attributes:
        begin: `weights -> state`.
        update: `(weights, gradients, state, count, rate) -> (weights, state)`,
            updates counted from 1.
    """

    begin: Callable[[Params], Any]
    update: Callable[..., tuple[Params, Any]]


class Setting(NamedTuple):
    """What is trained.

    Attributes:
        widths: of all layers, the inputs first.
        activation: between the layers.
        loss: `(outputs, targets) -> [n]`.
        rule: the optimizer.
        batch: examples of a batch, all of them if there are no more.
        steps: updates.
    """

    widths: Sequence[int]
    activation: Callable[[jax.Array], jax.Array]
    loss: Callable[[jax.Array, jax.Array], jax.Array]
    rule: Rule
    batch: int
    steps: int


class Drawn(NamedTuple):
    """Which examples the updates see.

    Attributes:
        places: `[run, steps, batch]`.
        weights: `[steps, batch]`, 0 for padding.
    """

    places: Any
    weights: Any


def program(
    setting: Setting, drawn: Drawn | None
) -> Callable[..., tuple[Weights, jax.Array]]:
    """`(seeds, rates, inputs, targets, drawn) -> (weights, losses)` of all runs at
    once, to be jitted.

    Args:
        setting: what is trained.
        drawn: an example of what is drawn; None where every update sees all examples.
    """

    def run(
        seed: jax.Array,
        rate: jax.Array,
        inputs: jax.Array,
        targets: jax.Array,
        drawn: Drawn | None,
    ) -> tuple[Weights, jax.Array]:
        weights = initial(jax.random.key(seed), setting.widths)
        return train(setting, weights, rate, inputs, targets, drawn)

    return jax.vmap(run, in_axes=(0, 0, None, None, by_run(drawn)))


def by_run(drawn: Drawn | None) -> Drawn | None:
    """The axis of runs in each part of what is drawn."""
    return None if drawn is None else Drawn(0, None)


def initial(key: jax.Array, widths: Sequence[int]) -> Weights:
    """Normal kernels of variance 1 / fan-in, and biases of zero."""
    weights = []
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        kernel = jax.random.normal(jax.random.fold_in(key, index), (inputs, outputs))
        weights.append((kernel / inputs**0.5, jnp.zeros(outputs)))
    return weights


def shuffled(setting: Setting, *, runs: int, examples: int, seed: int) -> Drawn | None:
    """An order of its own for each run and epoch, whose last batch is padded; None
    where a batch is all.

    By sorting random numbers: on the host beside a CPU, where NumPy sorts several times
    faster than XLA, and on the device elsewhere.
    """
    if setting.batch >= examples:
        return None
    per_epoch = -(-examples // setting.batch)
    epochs = -(-setting.steps // per_epoch)
    shape = runs, epochs, examples
    if jax.default_backend() == "cpu":
        order = np.argsort(
            np.random.default_rng(seed).random(shape, np.float32)
        ).astype(np.int32)
    else:
        order = _sorted_on_device(jax.random.key(seed), shape)
    padding = per_epoch * setting.batch - examples
    places = jnp.pad(order, ((0, 0), (0, 0), (0, padding)))
    present = np.arange(per_epoch * setting.batch) < examples
    weights = np.tile(present, epochs).astype(np.float32)
    return Drawn(
        places.reshape(runs, -1, setting.batch)[:, : setting.steps],
        weights.reshape(-1, setting.batch)[: setting.steps],
    )


@partial(jax.jit, static_argnums=1)
def _sorted_on_device(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jnp.argsort(jax.random.bits(key, shape))


def train(
    setting: Setting,
    weights: Weights,
    rate: jax.Array,
    inputs: jax.Array,
    targets: jax.Array,
    drawn: Drawn | None,
) -> tuple[Weights, jax.Array]:
    """One run: a scan over the updates, on all examples where none are drawn."""

    def mean(
        weights: Weights, inputs: jax.Array, targets: jax.Array, counts: jax.Array
    ) -> jax.Array:
        values = inputs
        for kernel, bias in weights[:-1]:
            values = setting.activation(values @ kernel + bias[None])
        kernel, bias = weights[-1]
        losses = setting.loss(values @ kernel + bias[None], targets)
        return jnp.vdot(losses, counts) / jnp.sum(counts)

    def step(
        carried: tuple[Weights, Any, jax.Array], drawn: Drawn | None
    ) -> tuple[tuple[Weights, Any, jax.Array], jax.Array]:
        weights, state, count = carried
        if drawn is None:
            batch = inputs, targets, jnp.ones(len(inputs), inputs.dtype)
        else:
            batch = inputs[drawn.places], targets[drawn.places], drawn.weights
        loss, gradients = jax.value_and_grad(mean)(weights, *batch)
        count = count + 1
        weights, state = setting.rule.update(weights, gradients, state, count, rate)
        return (weights, state, count), loss

    carried = weights, setting.rule.begin(weights), jnp.int32(0)
    (weights, _, _), losses = jax.lax.scan(step, carried, drawn, length=setting.steps)
    return weights, losses


def cross_entropy(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """log Σⱼ exp(zⱼ) - z_y of each example."""
    chosen = jax.nn.one_hot(labels, outputs.shape[-1])
    return -jnp.sum(chosen * jax.nn.log_softmax(outputs), axis=-1)


def squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """(1/k) Σⱼ (zⱼ - yⱼ)² of each example."""
    return jnp.mean((outputs - targets) ** 2, axis=-1)


def _zeros(weights: Params) -> Params:
    return jax.tree.map(jnp.zeros_like, weights)


def _momentum(
    weights: Params,
    gradients: Params,
    velocity: Params,
    count: jax.Array,
    rate: jax.Array,
) -> tuple[Params, Params]:
    del count
    velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradients)
    return jax.tree.map(lambda w, v: w - rate * v, weights, velocity), velocity


def _adam(
    weights: Params,
    gradients: Params,
    state: tuple[Params, Params],
    count: jax.Array,
    rate: jax.Array,
) -> tuple[Params, tuple[Params, Params]]:
    mean, square = state
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g**2, square, gradients)
    turn = count.astype(jnp.float32)
    first, second = 1 - 0.9**turn, 1 - 0.999**turn

    def moved(w: jax.Array, m: jax.Array, s: jax.Array) -> jax.Array:
        return w - rate * (m / first) / (jnp.sqrt(s / second) + 1e-8)

    return jax.tree.map(moved, weights, mean, square), (mean, square)


momentum = Rule(_zeros, _momentum)
"""v ← 0.9 v + g; w ← w - η v. Polyak 1964."""

adam = Rule(lambda weights: (_zeros(weights), _zeros(weights)), _adam)
"""Kingma and Ba 2015, arXiv:1412.6980, algorithm 1, with its constants."""
