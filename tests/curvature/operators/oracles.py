"""A small weighted classifier in NumPy and in JAX; matrices by their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxml.types import Batch

EXAMPLES, INPUTS, HIDDEN, CLASSES = 13, 2, 4, 3
DRAW = np.random.default_rng(0)
BATCH = Batch(
    DRAW.normal(size=(EXAMPLES, INPUTS)),
    DRAW.integers(0, CLASSES, EXAMPLES).astype(np.int32),
    DRAW.uniform(0.5, 2.0, EXAMPLES) * (np.arange(EXAMPLES) % 5 != 1),
)
PARAMS = {
    "first": DRAW.normal(size=(INPUTS, HIDDEN)),
    "second": DRAW.normal(size=(HIDDEN, CLASSES)),
}
THETA = np.concatenate([leaf.ravel() for leaf in PARAMS.values()])
FRACTIONS = BATCH.weights / BATCH.weights.sum()
STEP, TINY = 1e-5, 1e-30


def predict(params, batch):
    return jnp.tanh(batch.inputs @ params["first"]) @ params["second"]


def log_loss(logits, targets):
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], 1)
    return -chosen[:, 0]


def mean_loss(logits, batch):
    losses = log_loss(logits, batch.targets)
    return jnp.sum(batch.weights * losses) / jnp.sum(batch.weights)


def objective(params, batch):
    return mean_loss(predict(params, batch), batch)


def as_tree(vector, dtype):
    """A vector in the shapes of the parameters."""
    first, second = np.split(np.asarray(vector, dtype), [INPUTS * HIDDEN])
    return {
        "first": first.reshape(INPUTS, HIDDEN),
        "second": second.reshape(HIDDEN, CLASSES),
    }


def at(dtype):
    """Parameters and batch in one precision."""

    def cast(leaf):
        return leaf.astype(dtype if leaf.dtype.kind == "f" else np.int32)

    return jax.tree.map(cast, (PARAMS, BATCH))


def label_losses(theta):
    """-log p of every class for every example, `[n, k]`, in NumPy."""
    split = INPUTS * HIDDEN
    first = theta[:split].reshape(INPUTS, HIDDEN)
    second = theta[split:].reshape(HIDDEN, CLASSES)
    logits = np.tanh(BATCH.inputs @ first) @ second
    return np.log(np.exp(logits).sum(1, keepdims=True)) - logits


def label_gradients(theta=THETA):
    """Their gradients `[n, k, p]`, by complex steps: exact to rounding."""
    columns = [
        label_losses(theta + TINY * 1j * unit).imag for unit in np.eye(THETA.size)
    ]
    return np.stack(columns, -1) / TINY


def hessian():
    """Of the objective, by differences of these gradients in NumPy."""
    examples = np.arange(EXAMPLES)

    def gradient(theta):
        return FRACTIONS @ label_gradients(theta)[examples, BATCH.targets]

    steps = STEP * np.eye(THETA.size)
    rows = [gradient(THETA + step) - gradient(THETA - step) for step in steps]
    return np.stack(rows) / (2 * STEP)


def by_differences(objective, params, batch):
    """The Hessian, from central differences of the gradient."""
    flat, unravel = ravel_pytree(params)

    @jax.jit
    def gradients(points, batch):
        def gradient(point):
            return ravel_pytree(jax.grad(objective)(unravel(point), batch))[0]

        return jax.vmap(gradient)(points)

    steps = STEP * np.eye(flat.size)
    right = gradients(np.asarray(flat) + steps, batch)
    left = gradients(np.asarray(flat) - steps, batch)
    return (np.asarray(right) - np.asarray(left)) / (2 * STEP)
