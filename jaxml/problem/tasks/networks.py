"""Fixed problems that several studies look at, so that they speak of the same
networks.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxml import tree
from jaxml.problem.data.embedded import digits, sinc
from jaxml.problem.data.examples import examples
from jaxml.problem.losses import Penalty, cross_entropy, l2, mse, none
from jaxml.problem.models.dense import mlp, units
from jaxml.problem.objectives import Loss, objective, outputs, start
from jaxml.types import Array, Batch, Key, Model, Objective, Params

__all__ = [
    "Task",
    "deep_relu",
    "initial_vectors",
    "networks",
    "objective_of_vector",
    "output_errors",
    "parity_digits",
    "relu_sinc",
    "softmax_digits",
    "square_wave",
    "tanh_sinc",
    "unravel",
    "untrained_logits",
    "wider_inputs",
]


class Task(NamedTuple):
    """A network, the loss of an example, a penalty of its parameters, and all its data.

    `objective(*task[:3])` and `training_loss(*task[:3])` make functions of it.
    """

    model: Model
    loss: Loss
    penalty: Penalty
    batch: Batch


def networks(task: Task, seeds: Sequence[int]) -> Params:
    """The task's initial parameters of these seeds, stacked on a leading axis.

    Args:
        task: whose model is initialised.
        seeds: one a network, such as `range(40)` or
            `randomness.seeds(config.seed, 40)`.
    """

    def params(seed: jax.Array) -> Params:
        return task.model.init(jax.random.key(seed), task.batch.inputs)[0]

    return jax.lax.map(params, jnp.asarray(np.asarray(seeds)))


def initial_vectors(task: Task, seeds: Sequence[int]) -> jax.Array:
    """`networks` as vectors `[network, p]`, each in the order of `tree.ravel`."""

    def vector(params: Params) -> jax.Array:
        return tree.ravel(params)[0]

    return jax.vmap(vector)(networks(task, seeds))


def unravel(task: Task) -> Callable[[jax.Array], Params]:
    """The function that unravels a vector `[p]`, in the order of `tree.ravel`, into the
    task's parameters.
    """
    params, _ = jax.eval_shape(task.model.init, jax.random.key(0), task.batch.inputs)
    return tree.ravel(
        jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), params)
    )[1]


def objective_of_vector(task: Task) -> Objective:
    """The task's objective as a function of a vector `[p]`, in the order of
    `tree.ravel`, and a batch.
    """
    params = unravel(task)
    of_params = objective(task.model, task.loss, task.penalty)

    def of_vector(vector: jax.Array, batch: Batch) -> jax.Array:
        return of_params(params(vector), batch)

    return of_vector


def output_errors(task: Task, params: Params) -> jax.Array:
    """δ = ∂loss/∂outputs, one row an example, before averaging."""
    predicted = outputs(task.model)(params, task.batch)
    return jax.grad(lambda z: jnp.sum(task.loss(z, task.batch.targets)))(predicted)


def relu_sinc(
    width: int = 20, *, points: int = 64, dtype: DTypeLike = jnp.float64
) -> Task:
    """A sum of `width` ReLUs fits sin(5πx)/(5πx) by least squares: 3 width + 1
    parameters, no decay.
    """
    return Task(units(width, jax.nn.relu), mse, none, sinc(points, dtype=dtype))


def tanh_sinc(
    width: int = 10,
    *,
    decay: float = 1e-4,
    scale: float = 1.0,
    points: int = 64,
    dtype: DTypeLike = jnp.float64,
) -> Task:
    """The same by `width` tanh units with an l2 penalty: smooth, and no minimum lies at
    infinity.

    Args:
        width: of the hidden layer; 3 width + 1 parameters.
        decay: factor of the sum of squared parameters.
        scale: of the initial kernels' standard deviation.
        points: on [1e-4, 1].
        dtype: of the data, and so of the parameters.
    """
    return Task(
        mlp((width, 1), jnp.tanh, scale=scale),
        mse,
        l2(decay),
        sinc(points, dtype=dtype),
    )


def softmax_digits(
    width: int = 4,
    *,
    decay: float = 1e-3,
    examples: int = 500,
    dtype: DTypeLike = jnp.float64,
) -> Task:
    """The first `examples` 8x8 digits through `width` tanh units, cross-entropy, and an
    l2 penalty.
    """
    batch = Batch(*(field[:examples] for field in digits(dtype=dtype)))
    return Task(mlp((width, 10), jnp.tanh), cross_entropy, l2(decay), batch)


def parity_digits(
    width: int = 3,
    *,
    components: int = 8,
    decay: float = 1e-3,
    dtype: DTypeLike = jnp.float64,
) -> Task:
    """Whether a digit is odd, ±1, by least squares from whitened principal components:
    small and steep.

    Between its minima lie saddles of index 1 at which no two of the `width` tanh units
    are alike, and their lowest eigenvalue is about a hundredth of the largest.

    Args:
        width: of the hidden layer; (components + 2) width + 1 parameters.
        components: of all 1,797 digits, in the order of their variance, each scaled to
            variance 1.
        decay: factor of the sum of squared parameters.
        dtype: of the data, and so of the parameters.
    """
    images = digits(dtype=np.float64)
    centred = images.inputs - np.mean(images.inputs, axis=0)
    scores, _, _ = np.linalg.svd(centred, full_matrices=False)
    inputs = np.sqrt(len(scores)) * scores[:, :components]
    parity = 2.0 * (images.targets % 2) - 1
    whitened = (inputs, parity[:, None], images.weights)
    batch = Batch(*(field.astype(dtype) for field in whitened))
    return Task(mlp((width, 1), jnp.tanh), mse, l2(decay), batch)


def wider_inputs(task: Task, copies: int) -> Task:
    """The same functions from more parameters: inputs x/√k, written k times over.

    A kernel with k equal copies u acts as √k u on x, and an l2 penalty of both is the
    same. Under such a penalty copies are equal at every critical point, and its index
    is that of the task on x.

    Args:
        task: a network of dense layers, the first `layer_00`; its kernels start as
            large as those of x.
        copies: k, 1 or more.

    >>> wider_inputs(tanh_sinc(2), 4).batch.inputs.shape
    (64, 4)
    """
    root = np.sqrt(copies)
    inputs = np.tile(task.batch.inputs, copies) / root
    batch = task.batch._replace(inputs=inputs)

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        params, state = task.model.init(key, inputs)
        params["layer_00"]["kernel"] *= root
        return params, state

    model = task.model._replace(init=init)
    return task._replace(model=model, batch=batch)


def untrained_logits(count: int, *, key: Key) -> tuple[jax.Array, jax.Array]:
    """Logits Wᵀx `[count, 10]` of a linear classifier before training, and labels.

    W has entries of variance 1, normal and truncated as those of `mlp`, and x are 8x8
    digits drawn anew with replacement, in float64.

    Args:
        count: digits.
        key: of the digits and of W.
    """
    data = digits(dtype=np.float64)
    chosen = jax.random.randint(key, (count,), 0, len(data.targets))
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf)[chosen], data)
    model = mlp((10,), jnp.tanh, scale=8.0)  # over the root of 64 inputs: variance 1
    params, _ = start(model, batch.inputs)(jax.random.fold_in(key, 1))
    return outputs(model)(params, batch), batch.targets


def square_wave(count: int, *, dtype: DTypeLike = jnp.float64) -> Batch:
    """sgn(sin 5πx) at the middles of `count` equal intervals of [0, 1].

    Raises:
        InputError: no interval.

    >>> square_wave(5).targets[:, 0].tolist()
    [1.0, -1.0, 1.0, -1.0, 1.0]
    """
    x = (np.arange(count)[:, None] + 0.5) / max(count, 1)
    return examples(x.astype(dtype), np.sign(np.sin(5 * np.pi * x)).astype(dtype))


def deep_relu(batch: Batch) -> Task:
    """Two hidden layers of 6 ReLUs fit numbers `[n, 1]` by least squares: 61
    parameters, no decay.

    He's initial kernels, and biases of zero.

    Args:
        batch: such as `sinc(64)` or `square_wave(64)`.
    """
    return Task(mlp((6, 6, 1), jax.nn.relu, scale=np.sqrt(2)), mse, none, batch)
