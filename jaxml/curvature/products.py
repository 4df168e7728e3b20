"""Curvature as matrix-vector products: Hessian, Gauss-Newton, and both over data that
come in parts.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml.curvature.programs import run
from jaxml.curvature.space import check_leaves
from jaxml.types import Array, InputError, Matvec, Objective, Params, Scalar


def hessian_product(objective: Objective, params: Params, batch: Any) -> Matvec:
    """v ↦ H v, H = ∂²L/∂θ² at `params`: the gradient's derivative along v.

    The gradient is linearised once, here, at the highest matrix precision, and its
    intermediate values are kept. A product then costs about one gradient (a gradient
    recomputed for each product would make it two or three) and the memory of one
    gradient with nothing freed. Called outside `jit` it runs compiled, and so does what
    takes the product (`dense`, `lanczos`, `extremes`): another call with the same
    objective and shapes compiles nothing. Inside `jit`, `vmap` and `lax.map` it is part
    of their program.

    Args:
        objective: `(params, batch) -> scalar`, twice differentiable at `params`; at a
            kink the product is that of the branch which JAX differentiates.
        params: the point, a pytree.
        batch: whatever the objective reads, a pytree of arrays.

    Raises:
        InputError: the parameters are empty, or not floating-point arrays.

    Source: Pearlmutter 1994, Fast exact multiplication by the Hessian, Neural
    Computation 6.

    >>> toy = lambda w, _: (1 - w[0] * w[1]) ** 2
    >>> product = hessian_product(toy, jnp.zeros(2), None)
    >>> product(jnp.array([1.0, 0.0])).tolist()
    [0.0, -2.0]
    """
    check_leaves(params)
    return run(_linearised, (objective,), params, batch)


def _linearised(objective: Objective, params: Params, batch: Any) -> Matvec:
    gradient = jax.jit(jax.grad(objective))
    with jax.default_matmul_precision("highest"):
        _, product = jax.linearize(lambda point: gradient(point, batch), params)
    return product


def gauss_newton_product(
    outputs: Callable[[Params, Any], jax.Array],
    criterion: Callable[[jax.Array, Any], Scalar],
    params: Params,
    batch: Any,
) -> Matvec:
    """v ↦ Jᵀ C J v, J = ∂outputs/∂θ and C = ∂²criterion/∂outputs²: the generalised
    Gauss-Newton matrix.

    It is positive semi-definite, and differs from the Hessian of criterion(outputs(θ))
    by the network's own curvature, Σ ∂criterion/∂zᵢ ∂²zᵢ/∂θ², which vanishes where the
    network is linear in its parameters or the criterion's gradient is zero. All three
    maps are linearised once, at the highest matrix precision; a product costs about one
    gradient. J is the transpose of the reverse mode's Jᵀ, so that functions with a rule
    for it alone (`jax.custom_vjp`) can be differentiated.

    Args:
        outputs: `(params, batch) -> z`, an array of any shape.
        criterion: `(z, batch) -> scalar`, convex in z.
        params: the point, a pytree.
        batch: whatever the two read, a pytree of arrays.

    Raises:
        InputError: the parameters are empty, or not floating-point arrays.

    Source: Schraudolph 2002, Fast curvature matrix-vector products, Neural Computation
    14; Martens 2020, arXiv:1412.1193.

    >>> outputs, criterion = lambda w, x: x * w[0] * w[1], lambda z, _: (1 - z) ** 2
    >>> params, batch = jnp.array([2.0, 1.0]), jnp.array(1.0)
    >>> product = gauss_newton_product(outputs, criterion, params, batch)
    >>> product(jnp.array([1.0, 0.0])).tolist()
    [2.0, 4.0]
    """
    check_leaves(params)
    return run(_generalised, (outputs, criterion), params, batch)


def _generalised(
    outputs: Callable[[Params, Any], jax.Array],
    criterion: Callable[[jax.Array, Any], Scalar],
    params: Params,
    batch: Any,
) -> Matvec:
    network, gradient = jax.jit(outputs), jax.jit(jax.grad(criterion))
    with jax.default_matmul_precision("highest"):
        predicted, pull = jax.vjp(lambda point: network(point, batch), params)
        _, bend = jax.linearize(lambda point: gradient(point, batch), predicted)
    return jax.tree_util.Partial(_jacobian_product, pull, bend, predicted)


def _jacobian_product(
    pull: Callable[[jax.Array], tuple[Params]],
    bend: Matvec,
    predicted: jax.Array,
    vector: Params,
) -> Params:
    push = jax.linear_transpose(lambda z: pull(z)[0], predicted)
    with jax.default_matmul_precision("highest"):
        return pull(bend(push(vector)[0]))[0]


def stacked(objective: Objective, fractions: Float[Array, " batches"]) -> Objective:
    """Σ_b fractions[b] · objective(θ, batch_b), for batches stacked on a leading axis.

    A scan whose body is rematerialised: the program and its memory are those of one
    batch, however many there are, also for gradients and curvature products. The price
    is that nothing is kept between products: each recomputes what it needs of the
    gradient, and costs about two of them.

    Args:
        objective: `(params, batch) -> scalar`, a mean over the batch.
        fractions: what each batch counts for. With per-batch means, its part of the
            total weight, so that they sum to 1: then the value is the mean over all the
            data, ragged batches included. A batch of fraction 0 counts for nothing, but
            its loss must be finite.

    Returns:
        `(params, batches) -> scalar`, each leaf of `batches` of shape `[b, ...]`.

    Raises:
        InputError: the leading axes are not as long as `fractions`.

    >>> mean = stacked(lambda w, x: w * jnp.mean(x), jnp.array([0.75, 0.25]))
    >>> float(mean(jnp.array(1.0), jnp.array([[1.0, 3.0], [4.0, 8.0]])))
    3.0
    """

    def total(params: Params, batches: Any) -> Scalar:
        lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(batches)}
        if lengths != {fractions.shape}:
            raise InputError(
                f"{len(fractions)} fractions do not fit batches with leading axes "
                f"{sorted(lengths)}: stack one batch for each fraction."
            )
        body = jax.checkpoint(lambda batch: objective(params, batch), prevent_cse=False)
        losses = jax.lax.map(body, batches)
        return jnp.vdot(
            jnp.asarray(fractions, losses.dtype), losses, precision="highest"
        )

    return total
