"""Is this a critical point, and of which kind? Measured first, judged afterwards."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import tree
from jaxml.curvature.dense import dense
from jaxml.curvature.inertia import Inertia, inertia_from_eigenvalues
from jaxml.curvature.products import hessian_product
from jaxml.types import Objective, Params

OUTCOMES = ("minimum", "saddle", "kink", "gradient-flat", "at infinity", "not converged")
"""How a search for a critical point can end, in the order of the codes of `outcome`."""

MINIMUM, SADDLE, KINK, GRADIENT_FLAT, AT_INFINITY, NOT_CONVERGED = range(len(OUTCOMES))


class Certificate(NamedTuple):
    """What is measured at a candidate; every field may carry leading axes, one entry a network.

    Attributes:
        loss: L(θ).
        gradient_norm: ‖∇L‖.
        parameter_norm: ‖θ‖.
        newton_step: ‖H⁺∇L‖ / (1 + ‖θ‖), over eigenvalues beyond rounding: how far Newton would still go.
        alignment: ‖H∇L‖ / (‖H‖ ‖∇L‖), in [0, 1]; near 0 the gradient lies in the Hessian's kernel, and
            methods that descend the gradient norm stop though the gradient is not 0.
        jump: ‖∇L(θ+d) - ∇L(θ-d) - 2Hd‖ / 2‖H‖‖d‖, d a tiny step in a random direction; of the order
            of ‖d‖² where the loss is smooth, finite however tiny the step where a kink lies between.
        eigenvalues: `[p]` ascending.
    """

    loss: Any
    gradient_norm: Any
    parameter_norm: Any
    newton_step: Any
    alignment: Any
    jump: Any
    eigenvalues: Any


class Criteria(NamedTuple):
    """What a certified critical point must satisfy; the defaults are for float64.

    Attributes:
        gradient_norm: at most this.
        newton_step: at most this, so that the point is where the gradient says it is.
        largest: the largest |eigenvalue| is at least this; at infinity all of them vanish.
        zero: eigenvalues within this part of the largest |eigenvalue| count as zero.
        alignment: a gradient that is aligned less than this with the Hessian's range is flat.
        jump: a gradient that changes across a tiny step by other than its Hessian says, by more than this
            part of ‖H‖, straddles a kink: no Hessian describes the loss there, even if the gradient is 0.
    """

    gradient_norm: float = 1e-8
    newton_step: float = 1e-6
    largest: float = 1e-5
    zero: float = 1e-8
    alignment: float = 1e-2
    jump: float = 1e-8


def certify(objective: Objective, params: Params, batch: Any, *, reach: float = 1e-7) -> Certificate:
    """Measures a candidate: p Hessian products, one eigendecomposition, four gradients.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the candidate.
        batch: passed to the objective.
        reach: length of the step that looks for a kink, as a part of 1 + ‖θ‖.

    Source: the alignment is the flatness test of Frye et al. 2021, arXiv:2003.10397, section 3.
    """
    flat, fold = tree.ravel(params)
    gradient = lambda x: tree.ravel(jax.grad(objective)(fold(x), batch))[0]  # noqa: E731  # of a flat vector
    grads, matrix = gradient(flat), dense(hessian_product(objective, params, batch), params)
    values, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)
    largest, size = jnp.max(jnp.abs(values)), jnp.linalg.norm(flat)
    tiny = jnp.asarray(jnp.finfo(flat.dtype).tiny, flat.dtype)
    norm = jnp.linalg.norm(grads)

    rounding = largest * flat.size * jnp.asarray(jnp.finfo(flat.dtype).eps, flat.dtype)
    bends = jnp.abs(values) > rounding
    newton = jnp.where(bends, vectors.T @ grads / jnp.where(bends, values, 1), 0)
    direction = tree.random_like(flat, jax.random.key(0))
    step = reach * (1 + size) * direction / jnp.linalg.norm(direction)
    jump = jnp.linalg.norm(gradient(flat + step) - gradient(flat - step) - 2 * matrix @ step)
    return Certificate(
        loss=objective(params, batch),
        gradient_norm=norm,
        parameter_norm=size,
        newton_step=jnp.linalg.norm(newton) / (1 + size),
        alignment=jnp.linalg.norm(matrix @ grads) / (largest * norm + tiny),
        jump=jump / (2 * largest * reach * (1 + size) + tiny),
        eigenvalues=values,
    )


def signs(certificate: Certificate, criteria: Criteria = Criteria()) -> Inertia:  # noqa: B008  # immutable
    """n₊, n₀, n₋ at the tolerance `criteria.zero` times the largest |eigenvalue|; 0, p, 0 if not finite."""
    values = np.asarray(certificate.eigenvalues)
    finite = np.isfinite(values).all(axis=-1)
    values = np.where(np.expand_dims(finite, -1), values, 0)
    return inertia_from_eigenvalues(values, tolerance=criteria.zero * np.max(np.abs(values), axis=-1))


def outcome(certificate: Certificate, criteria: Criteria = Criteria()) -> np.ndarray:  # noqa: B008  # immutable
    """Codes into OUTCOMES, one a network.

    A certified point is a minimum when no eigenvalue is below zero by more than the tolerance (to second
    order: zero eigenvalues may remain, and n₀ says how many), else a saddle. What is not certified is
    named by the first that holds: at infinity, kink, gradient-flat, not converged.
    """
    c = Certificate(*(np.asarray(field) for field in certificate))
    largest = np.max(np.abs(c.eigenvalues), axis=-1)
    finite = np.isfinite(c.loss) & np.isfinite(c.gradient_norm) & np.isfinite(largest)
    still = finite & (c.gradient_norm <= criteria.gradient_norm)
    vanishing, kinked = finite & (largest < criteria.largest), finite & (c.jump > criteria.jump)
    certified = still & ~vanishing & ~kinked & (c.newton_step <= criteria.newton_step)
    cases = {
        MINIMUM: certified & (np.asarray(signs(c, criteria).negative) == 0),
        SADDLE: certified,
        AT_INFINITY: vanishing | (still & ~kinked),
        KINK: kinked,
        GRADIENT_FLAT: finite & (c.alignment < criteria.alignment),
    }
    return np.select(list(cases.values()), list(cases), NOT_CONVERGED)
