"""Rules that look at a whole leaf: its norm, its matrix, its Kronecker factors."""

import math

import jax
import jax.numpy as jnp

from jaxml.learn.optimizers.rules import (
    Rule,
    in_turn,
    stateless,
    unbiased_average,
    unbiased_root,
)

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ADAM = in_turn(unbiased_average, unbiased_root)


def _decay(u, g, p, state, t, h):
    return u + h.weight_decay * p, state


def _local_rate(u, g, p, state, t, h):
    size, grad = jnp.linalg.norm(p), jnp.linalg.norm(g)
    whole = grad + h.weight_decay * size
    rate = jnp.where(
        (size > 0) & (grad > 0), h.trust * size / jnp.where(whole > 0, whole, 1), 1
    )
    return rate * (u + h.weight_decay * p), state


def _trust_ratio(u, g, p, state, t, h):
    size, length = jnp.linalg.norm(p), jnp.linalg.norm(u)
    return jnp.where(
        (size > 0) & (length > 0), size / jnp.where(length > 0, length, 1), 1
    ) * u, state


def _orthogonal(u, g, p, state, t, h):
    if not u.size:
        return u, state
    matrix = _flattened(u)
    inputs, outputs = matrix.shape
    x = matrix.T if inputs > outputs else matrix
    x = x / (jnp.linalg.norm(x) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    x = x.T if inputs > outputs else x
    return (x * max(1.0, outputs / inputs) ** 0.5).reshape(u.shape), state


def _factors(leaf):
    """Zero squares, one for each axis of the leaf as a matrix, or the one of a
    vector.
    """
    return tuple(jnp.zeros((n, n), leaf.dtype) for n in _flattened(leaf).shape)


def _flattened(leaf):
    if leaf.ndim < 2:
        return leaf.reshape(-1)
    return leaf.reshape(math.prod(leaf.shape[:-1]), leaf.shape[-1])


def _preconditioned(u, g, p, state, t, h):
    if not u.size:
        return u, state
    step, grad = _flattened(u), _flattened(g)
    if grad.ndim == 1:
        total = state[0] + jnp.outer(grad, grad)
        return (_power(total, -1 / 2, h) @ step).reshape(u.shape), (total,)
    left, right = state[0] + grad @ grad.T, state[1] + grad.T @ grad
    step = _power(left, -1 / 4, h) @ step @ _power(right, -1 / 4, h)
    return step.reshape(u.shape), (left, right)


def _basis(leaf):
    """Adam's state, and for each axis of the leaf as a matrix a covariance and its
    basis.
    """
    if leaf.ndim < 2:
        return ADAM.init(leaf)
    matrix = jnp.zeros_like(_flattened(leaf))
    squares = tuple(jnp.zeros((n, n), leaf.dtype) for n in matrix.shape)
    return (matrix, matrix, squares, squares)


def _rotated(u, g, p, state, t, h):
    if not u.size:
        return u, state
    if u.ndim < 2:
        return ADAM.apply(u, g, p, state, t, h)
    mean, square, (left, right), (rows, columns) = state
    grad, first, made = _flattened(u), t == 1, jnp.maximum(t - 1, 1)
    keep, decay = h.momentum, h.second_moment
    mean = jnp.where(first, mean, keep * mean + (1 - keep) * grad)
    square = jnp.where(
        first, square, decay * square + (1 - decay) * (rows.T @ grad @ columns) ** 2
    )
    root = jnp.sqrt(square / (1 - decay**made)) + h.epsilon
    step = rows @ (rows.T @ mean @ columns / (1 - keep**made) / root) @ columns.T
    grown = (
        decay * left + (1 - decay) * grad @ grad.T,
        decay * right + (1 - decay) * grad.T @ grad,
    )
    choice = jnp.where(
        first, 0, jnp.where(t % jnp.asarray(h.period, jnp.int32) == 0, 1, 2)
    )
    bases = tuple(
        jax.lax.switch(choice, BASIS_UPDATES, *pair)
        for pair in zip(grown, (rows, columns), strict=True)
    )
    return jnp.where(first, 0, step).reshape(u.shape), (mean, square, grown, bases)


BASIS_UPDATES = (
    lambda covariance, basis: jnp.linalg.eigh(covariance)[1][:, ::-1].astype(
        basis.dtype
    ),
    lambda covariance, basis: jnp.linalg.qr(covariance @ basis)[0].astype(basis.dtype),
    lambda covariance, basis: basis,
)
"""How a basis follows its covariance: from scratch, strongest first; by orthogonal
iteration; not at all.
"""


def _power(matrix, exponent, h):
    """(matrix + εI)^exponent, of a symmetric positive semi-definite matrix."""
    values, vectors = jnp.linalg.eigh(matrix)
    powers = (jnp.maximum(values, 0) + h.epsilon) ** exponent
    return (vectors * powers[None]) @ vectors.T


decay = Rule(stateless, _decay)
"""u + weight_decay p."""
local_rate = Rule(stateless, _local_rate)
"""trust ‖p‖ / (‖g‖ + weight_decay ‖p‖) (u + weight_decay p), factor 1 where a norm is
0.

You et al. 2017, arXiv:1708.03888.
"""
trust_ratio = Rule(stateless, _trust_ratio)
"""‖p‖ / ‖u‖ u, and u where a norm is 0. You et al. 2020, arXiv:1904.00962."""
orthogonal = Rule(stateless, _orthogonal)
"""About U Vᵀ of u = U Σ Vᵀ, by five Newton-Schulz steps, times √max(1, outputs /
inputs). Jordan 2024.

Kernels are [inputs, outputs] here, where PyTorch has their transposes; those of a
convolution, [height, width, inputs, outputs], count as a matrix of height · width ·
inputs by outputs.
"""
kronecker_root = Rule(_factors, _preconditioned)
"""L^-¼ u R^-¼, L = εI + Σ g gᵀ and R = εI + Σ gᵀ g; of vectors H^-½ u, H = εI + Σ g gᵀ.
O(n³) an axis.

More than two axes count as a matrix of the last. Gupta, Koren and Singer 2018,
arXiv:1802.09568.
"""
kronecker_basis = Rule(_basis, _rotated)
"""Adam in the eigenvectors of E[g gᵀ] and E[gᵀ g], which every `period` updates
rotate by a step of QR.

The first gradient only chooses them; vectors get Adam. O(n³) an axis. Vyas et al. 2024,
arXiv:2409.11321, whose code counts a period from the second gradient, so that its bases
rotate one gradient later than these.
"""


def on_matrices(matrix: Rule, other: Rule) -> Rule:
    """One rule for leaves of two axes or more, and one for the others."""

    def choice(leaf):
        return matrix if jnp.ndim(leaf) >= 2 else other

    return Rule(
        lambda leaf: choice(leaf).init(leaf),
        lambda u, g, p, state, t, h: choice(u).apply(u, g, p, state, t, h),
    )
