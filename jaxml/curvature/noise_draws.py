"""The noise of any batches drawn from examples, from one matrix of inner products."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.noise import count_examples
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_leaves
from jaxml.types import Array, InputError, Objective, Params, Scalar

FEW = 16
"""Examples of a batch up to which pairs of them are gathered, rather than a matrix
multiplied."""


class ExampleGradients(NamedTuple):
    """Of the gradients gᵢ of n examples, ḡ their mean.

    Attributes:
        products: `[n, n]`, ⟨gᵢ - ḡ, gⱼ - ḡ⟩; its trace is (n - 1) tr Σ.
        square: ‖ḡ‖².
    """

    products: Float[Array, "n n"]
    square: Float[Array, ""]


class DrawnNoise(NamedTuple):
    """What batches of one size show of their gradients g_B.

    Attributes:
        noise: the mean of ‖g_B - ḡ‖² over batches, tr Cov(g_B) if they are unbiased.
        bias: ‖E g_B - ḡ‖², without what the number of independent batches explains: 0
            on average where E g_B is ḡ, and then as often below it.
    """

    noise: float
    bias: float


def example_gradients(
    objective: Objective, params: Params, batch: Any
) -> ExampleGradients:
    """How the gradients of a batch's examples lie to each other.

    Cost: the gradient of every example and n² products; memory: n gradients. Works
    inside `vmap`, as a probe of a sweep.

    Args:
        objective: `(params, batch) -> scalar`, a mean over the batch; a batch of one
            example is given as a batch of length 1.
        params: the point, a pytree.
        batch: a pytree of arrays with a leading axis of examples, no padding.

    Raises:
        InputError: leaves of unequal length, or parameters that are no floating-point
            arrays.

    >>> pull = lambda w, x: jnp.mean(0.5 * (w - x) ** 2)
    >>> seen = example_gradients(pull, jnp.zeros(()), jnp.array([1.0, 3.0]))
    >>> seen.products.tolist(), float(seen.square)
    ([[1.0, -1.0], [-1.0, 1.0]], 4.0)
    """
    check_leaves(params)
    count_examples(batch)
    return run(_example_gradients, (objective,), params, batch)


def _example_gradients(
    objective: Objective, params: Params, batch: Any
) -> ExampleGradients:
    def gradient(example: Any) -> jax.Array:
        alone = jax.tree.map(lambda leaf: leaf[None], example)
        return tree.ravel(jax.grad(objective)(params, alone))[0]

    with jax.default_matmul_precision("highest"):
        gradients = jax.vmap(gradient)(jax.tree.map(jnp.asarray, batch))
        mean = jnp.mean(gradients, axis=0)
        apart = gradients - mean[None]
        return ExampleGradients(apart @ apart.T, mean @ mean)


def error_of_products(
    objective: Objective, params: Params, batch: Any, products: Array, drawn: Array
) -> Scalar:
    """The relative error of ‖g_B - ḡ‖² from inner products, beside that from g_B and ḡ
    by differentiation: rounding where the objective is a mean over its batch.

    Cost: two gradients.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the point, a pytree.
        batch: all examples, as in `example_gradients`.
        products: what it has found, `[n, n]`.
        drawn: `[b]`, the numbers of the examples in one batch.

    >>> pull = lambda w, x: jnp.mean(0.5 * (w - x) ** 2)
    >>> examples = jnp.array([1.0, 3.0, 5.0])
    >>> seen = example_gradients(pull, jnp.zeros(()), examples)
    >>> one = jnp.array([0, 1])
    >>> float(error_of_products(pull, jnp.zeros(()), examples, seen.products, one))
    0.0
    """
    own = jax.tree.map(lambda leaf: jnp.asarray(leaf)[drawn], batch)
    with jax.default_matmul_precision("highest"):
        gradient = jax.grad(objective)
        apart = tree.axpy(-1.0, gradient(params, batch), gradient(params, own))
        square = jnp.mean(products[drawn][:, drawn])
        return tree.vdot(apart, apart) / square - 1


def noise_of_draws(products: Array, batches: Array) -> DrawnNoise:
    """Noise and bias of the gradients of batches that were drawn independently.

    Args:
        products: of `example_gradients`, `[n, n]`.
        batches: `[draw, b]`, the numbers of the examples in each; one may come twice.

    Raises:
        InputError: fewer than two batches.

    >>> products = np.array([[1.0, -1.0], [-1.0, 1.0]])
    >>> noise_of_draws(products, np.array([[0], [1], [0], [1]])).noise
    1.0
    """
    matrix, drawn = np.asarray(products), np.asarray(batches)
    count = len(drawn)
    if drawn.ndim != 2 or count < 2:
        raise InputError(
            f"Batches {list(drawn.shape)} tell no noise from bias: give two rows of "
            "examples or more."
        )
    mean = np.bincount(drawn.ravel(), minlength=len(matrix)) / drawn.size
    noise = float(np.mean(_squares(matrix, drawn), dtype=np.float64))
    of_mean = float(mean @ matrix @ mean)
    return DrawnNoise(noise, (count * of_mean - noise) / (count - 1))


def _squares(matrix: np.ndarray, batches: np.ndarray) -> np.ndarray:
    """‖g_B - ḡ‖² of every batch: the mean over pairs of its examples."""
    count, size = batches.shape
    if size <= FEW:
        pairs = matrix[batches[:, :, None], batches[:, None]]
        return pairs.mean(axis=(1, 2))
    weights = np.zeros((count, len(matrix)), matrix.dtype)
    np.add.at(weights, (np.arange(count)[:, None], batches), 1 / size)
    return np.sum(weights @ matrix * weights, axis=1)
