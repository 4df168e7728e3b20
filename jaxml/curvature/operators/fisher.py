"""The Fisher matrix as a product: exact, sampled, and its empirical namesake."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Float

from jaxml.curvature.products import _jacobian_product
from jaxml.curvature.programs import run, traced
from jaxml.curvature.space import check_leaves
from jaxml.types import Array, Batch, InputError, Key, Matvec, Params

NORMALISED = 1e-3
"""By how much probabilities may miss 1 in all: rounding of single precision is far
below, a loss that is no log likelihood far above.
"""

Outputs = Callable[[Params, Any], jax.Array]
"""`(params, batch) -> z`, `[n, ...]`."""

Loss = Callable[[jax.Array, Array], Float[jax.Array, " n"]]
"""`(z, targets) -> [n]`, each example's -log p(target | z) in nats."""


def fisher_product(
    outputs: Outputs,
    loss: Loss,
    params: Params,
    batch: Batch,
    *,
    labels: Sequence[Any],
) -> Matvec:
    """v ↦ F v, F = Σᵢ wᵢ E_y[∇ℓᵢ(y) ∇ℓᵢ(y)ᵀ] / Σᵢ wᵢ with y from the network's own
    p(y | xᵢ) = exp(-ℓᵢ(y)): the Fisher matrix.

    The expectation is the exact sum over the labels that there are; the targets of the
    batch are not read. Where p is an exponential family in z, as with the softmax's
    cross-entropy, F is the Gauss-Newton matrix. The network is linearised once, at the
    highest matrix precision; a product costs about one gradient. Memory beside that of
    a gradient: the loss's gradients by z, labels times the size of z.

    Args:
        outputs: `(params, batch) -> z`, `[n, ...]`.
        loss: `(z, targets) -> [n]`, the negative log likelihood in nats.
        params: the point, a pytree.
        batch: the examples; those of weight 0 count for nothing.
        labels: every target that an example may have.

    Raises:
        InputError: the parameters are empty, or not floating-point arrays; the loss is
            not one value an example; probabilities that do not sum to 1.

    Source: Amari 1998, Natural gradient works efficiently in learning, Neural
    Computation 10; Martens 2020, arXiv:1412.1193, sections 5 and 9.2.

    >>> def logistic(z, targets):
    ...     return jnp.logaddexp(0.0, jnp.where(targets == 1, -z, z))
    >>> line = lambda w, batch: w * batch.inputs
    >>> two = Batch(jnp.array([1.0, 3.0]), jnp.array([0, 1]), jnp.array([1.0, 1.0]))
    >>> product = fisher_product(line, logistic, jnp.array(0.0), two, labels=(0, 1))
    >>> float(product(jnp.array(1.0)))  # p (1 - p) x², p = 1/2
    1.25
    """
    check_leaves(params)
    product, excess = run(_exact, (outputs, loss, tuple(labels)), params, batch)
    if not traced(excess) and not float(excess) <= NORMALISED:
        raise InputError(
            f"exp(-loss) misses 1 by {float(excess):.2g} in its sum over the labels: "
            "give the negative log likelihood in nats, and every label."
        )
    return product


def sampled_fisher_product(
    outputs: Outputs,
    loss: Loss,
    params: Params,
    batch: Batch,
    *,
    sample: Callable[[Key, jax.Array], jax.Array],
    draws: int,
    key: Key,
) -> Matvec:
    """v ↦ Σᵢ wᵢ mean_y[∇ℓᵢ(y) ∇ℓᵢ(y)ᵀ] v / Σᵢ wᵢ over targets y that are drawn from the
    network's own p(y | xᵢ): an unbiased estimate of the Fisher matrix.

    For targets that are not one of a few. The draws are made once, so that it is one
    positive semi-definite matrix, of rank at most draws times examples. Cost and memory
    as `fisher_product`, with draws in place of labels.

    Args:
        outputs: `(params, batch) -> z`, `[n, ...]`.
        loss: `(z, targets) -> [n]`, -log p(target | z) in nats up to a constant.
        params: the point, a pytree.
        batch: the examples; their targets are not read.
        sample: `(key, z) -> targets`, one target of each example.
        draws: targets of each example.
        key: of the draws.

    Raises:
        InputError: no draw; the parameters are empty, or not floating-point arrays; the
            loss is not one value an example.

    Source: as `fisher_product`.
    """
    check_leaves(params)
    if draws < 1:
        raise InputError(f"{draws} draws estimate nothing: take 1 or more.")
    return run(_sampled, (outputs, loss, sample, draws), params, batch, key)


def empirical_fisher_product(
    outputs: Outputs, loss: Loss, params: Params, batch: Batch
) -> Matvec:
    """v ↦ Σᵢ wᵢ gᵢ gᵢᵀ v / Σᵢ wᵢ, gᵢ the gradient of example i's loss at its own
    target: the second moment of gradients, called the empirical Fisher matrix.

    No Fisher matrix: it takes the targets of the data instead of the network's own, and
    vanishes where every example is fitted, while the curvature does not. No example's
    gradient is ever formed. A product is one forward and one reverse derivative, about
    one gradient; memory is that of one gradient with nothing freed, and of one part of
    the data in `whole_product`.

    Args:
        outputs: `(params, batch) -> z`, `[n, ...]`.
        loss: `(z, targets) -> [n]`, any loss of one example.
        params: the point, a pytree.
        batch: the examples; those of weight 0 count for nothing.

    Raises:
        InputError: the parameters are empty, or not floating-point arrays; the loss is
            not one value an example.

    Source: Kunstner et al. 2019, arXiv:1905.12558, equation 3.

    >>> half_square = lambda z, y: (z - y) ** 2 / 2
    >>> line = lambda w, batch: w * batch.inputs
    >>> one = jnp.array([1.0, 1.0])
    >>> two = Batch(jnp.array([1.0, 3.0]), jnp.array([2.0, 1.0]), one)
    >>> product = empirical_fisher_product(line, half_square, jnp.array(0.0), two)
    >>> float(product(jnp.array(1.0)))  # the mean of (x y)²
    6.5
    """
    check_leaves(params)
    return run(_empirical, (outputs, loss), params, batch)


class _Linear(NamedTuple):
    """z, and the transpose of its derivative by θ."""

    predicted: jax.Array
    pull: Callable[[jax.Array], tuple[Params]]


def _exact(
    outputs: Outputs,
    loss: Loss,
    labels: tuple[Any, ...],
    params: Params,
    batch: Batch,
) -> tuple[Matvec, jax.Array]:
    linear = _linear(outputs, params, batch)
    each = jnp.asarray(labels, batch.targets.dtype)
    targets = jnp.broadcast_to(each[:, None], (len(labels), len(batch.weights)))
    losses, gradients = _judged(loss, linear.predicted, targets)
    chances = jnp.exp(-losses)
    excess = jnp.max(jnp.abs(jnp.sum(chances, axis=0) - 1))
    return _outer(linear, gradients, chances, batch.weights), excess


def _sampled(
    outputs: Outputs,
    loss: Loss,
    sample: Callable[[Key, jax.Array], jax.Array],
    draws: int,
    params: Params,
    batch: Batch,
    key: Key,
) -> Matvec:
    linear = _linear(outputs, params, batch)
    keys = jax.random.split(key, draws)
    targets = jax.vmap(lambda own: sample(own, linear.predicted))(keys)
    losses, gradients = _judged(loss, linear.predicted, targets)
    chances = jnp.full_like(losses, 1 / draws)
    return _outer(linear, gradients, chances, batch.weights)


def _empirical(outputs: Outputs, loss: Loss, params: Params, batch: Batch) -> Matvec:
    linear = _linear(outputs, params, batch)
    targets = jnp.asarray(batch.targets)[None]
    losses, gradients = _judged(loss, linear.predicted, targets)
    return _outer(linear, gradients, jnp.ones_like(losses), batch.weights)


def _linear(outputs: Outputs, params: Params, batch: Batch) -> _Linear:
    network = jax.jit(outputs)
    with jax.default_matmul_precision("highest"):
        linear = _Linear(*jax.vjp(lambda point: network(point, batch), params))
    shape, examples = jnp.shape(linear.predicted), len(batch.weights)
    if shape[:1] != (examples,):
        raise InputError(
            f"The outputs are {shape} for {examples} examples: return one row for each "
            "example, [n, ...]."
        )
    return linear


def _judged(
    loss: Loss, predicted: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Losses `[m, n]` and their gradients by z, `[m, n, ...]`, for m targets of each
    example.
    """

    def total(z: jax.Array, own: jax.Array) -> tuple[jax.Array, jax.Array]:
        losses = loss(z, own)
        if jnp.shape(losses) != z.shape[:1]:
            raise InputError(
                f"The loss returns {jnp.shape(losses)} for {len(z)} examples: return "
                "one value for each, [n], and no mean."
            )
        return jnp.sum(losses), losses

    gradient = jax.grad(total, has_aux=True)
    with jax.default_matmul_precision("highest"):
        gradients, losses = jax.vmap(gradient, in_axes=(None, 0))(predicted, targets)
    return losses, gradients


def _outer(
    linear: _Linear, gradients: jax.Array, chances: jax.Array, weights: Array
) -> Matvec:
    """Jᵀ (Σ_m chances · weight · g gᵀ) J as a product that is a pytree."""
    counts = jnp.asarray(weights, chances.dtype)
    counts = counts / jnp.sum(counts)
    bend = Partial(_spread, gradients, chances * counts[None])
    return Partial(_jacobian_product, linear.pull, bend, linear.predicted)


def _spread(gradients: jax.Array, counts: jax.Array, direction: jax.Array) -> jax.Array:
    """Σ_m counts[m, n] g[m, n] ⟨g[m, n], u[n]⟩."""
    rows = gradients.reshape(*counts.shape, -1)
    flat = direction.reshape(len(direction), -1)
    along = jnp.einsum("mnk,nk->mn", rows, flat, precision="highest")
    spread = jnp.einsum("mnk,mn->nk", rows, counts * along, precision="highest")
    return spread.reshape(direction.shape)
