"""What a certificate says: minimum, saddle, or one of five reasons to say neither."""

from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxml.curvature.certificate import DOUBLE, ZERO, Certificate, length_scale
from jaxml.curvature.inertia import Inertia, inertia_from_eigenvalues
from jaxml.types import Array, InputError

Outcome: TypeAlias = Literal[
    "minimum",
    "saddle",
    "kink",
    "gradient-flat",
    "at infinity",
    "not converged",
    "flat to second order",
]

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""How a search for a critical point can end, in the order of the codes of `outcome`."""

MINIMUM, SADDLE, KINK, GRADIENT_FLAT, AT_INFINITY, NOT_CONVERGED, FLAT = range(
    len(OUTCOMES)
)


class Criteria(NamedTuple):
    """What a certified critical point must satisfy. All are ratios: neither the loss's
    unit matters nor θ's.

    The defaults are for float64; certificates in float32 are judged by the same times
    what its rounding is coarser, (eps₃₂ / eps₆₄) to the power of 1/2, or 2/3 for
    `jump`.

    Attributes:
        gradient_norm: ‖∇L‖ is at most this part of ‖H‖ ℓ.
        newton_step: at most this, so that the point is where the gradient says it is.
        zero: eigenvalues within this part of the largest |eigenvalue| count as zero.
            `certify` has the same default, restricts the Newton step by it, and looks
            what the loss does in the others.
        alignment: a gradient that is aligned less than this with the Hessian's range is
            flat.
        jump: a gradient that changes across a tiny step by other than its Hessian says,
            by more than this part of ‖H‖, straddles a kink: no Hessian describes the
            loss there, even if the gradient is 0. So does one that is not the mean of
            the gradients on both sides, by 1e5 times as much.
        persistence: unless the misfit goes as the step does: less than this part of it
            is left.
        flat_change: along flat directions the loss changes by at most this many times
            what is explained.
        large: "at infinity" is a point whose ‖θ‖, in Newton steps, or whose Newton
            step, in ℓ, exceeds this.
    """

    gradient_norm: float = 1e-10
    newton_step: float = 1e-6
    zero: float = ZERO
    alignment: float = 1e-2
    jump: float = 1e-8
    persistence: float = 0.5
    flat_change: float = 1.0
    large: float = 10.0


def signs(certificate: Certificate, criteria: Criteria = Criteria()) -> Inertia:  # noqa: B008  # immutable
    """n₊, n₀, n₋ at the tolerance `criteria.zero` times the largest |eigenvalue|; 0, p,
    0 if not finite.

    Where the certificate leaves the signs of larger eigenvalues open (its `zero`),
    these count as zero too.
    """
    values = np.asarray(certificate.eigenvalues)
    finite = np.isfinite(values).all(axis=-1)
    values = np.where(np.expand_dims(finite, -1), values, 0)
    within = np.maximum(
        _scaled(criteria.zero, values.dtype, 1 / 2),
        np.nan_to_num(certificate.zero, posinf=1),
    )
    tolerance = np.asarray(within * np.max(np.abs(values), axis=-1))
    return inertia_from_eigenvalues(values, tolerance=tolerance)


def outcome(certificate: Certificate, criteria: Criteria = Criteria()) -> np.ndarray:  # noqa: B008  # immutable
    """Codes into OUTCOMES, one a network.

    A certified point has a gradient and a Newton step of 0 up to rounding, and no kink.
    It is a saddle when an eigenvalue is below zero by more than the tolerance; a
    minimum when all are above it, or when along those that are zero the loss is
    constant up to rounding, as on the orbit of a symmetry (n₀ says how many there are).
    Else second order cannot classify it, and it is flat to second order: the loss
    changes along the Hessian's kernel by more than second order explains, be it down (a
    monkey saddle) or up (w⁴). What is not certified is named by the first that holds:
    at infinity, where the loss and its gradient fall on and on along the Newton step
    and θ or that step is large (far out on a tail rounding may make the gradient jump,
    and is no kink); kink; gradient-flat, where the gradient lies in the Hessian's
    kernel; not converged.
    """
    c = Certificate(*(np.asarray(field) for field in certificate))
    largest = np.max(np.abs(c.eigenvalues), axis=-1)
    finite = np.isfinite(c.loss) & np.isfinite(c.gradient_norm) & np.isfinite(largest)
    kinked = finite & _kinked(c, criteria)
    certified = finite & ~kinked & _stationary(c, criteria, largest)
    inertia = signs(c, criteria)
    negative, zero = np.asarray(inertia.negative), np.asarray(inertia.zero)
    explained = (zero == 0) | (c.flat_change <= criteria.flat_change)
    cases = {
        SADDLE: certified & (negative > 0),
        MINIMUM: certified & explained,
        FLAT: certified,
        AT_INFINITY: finite & _receding(c, criteria),
        KINK: kinked,
        GRADIENT_FLAT: finite & (c.alignment < criteria.alignment),
    }
    return np.select(list(cases.values()), list(cases), NOT_CONVERGED)


def distinct(
    loss: Float[Array, " n"], index: Array, *, tolerance: float = 1e-6
) -> Int[np.ndarray, " m"]:
    """The first row of every group of critical points that share loss and index, in
    ascending order.

    Hidden units change places, tanh units their signs, ReLUs their scale: a critical
    point has images of the same loss and the same n₋, and searches find one after the
    other. They are one unit, not many. So are points that share both by chance, and the
    number of rows is a lower bound.

    Args:
        loss: at each point.
        index: n₋ at each point, as `signs` counts it.
        tolerance: losses of one index that follow each other closer than this part of
            the largest |loss| are the same.

    Raises:
        InputError: loss and index differ in length, or a loss is not finite.

    >>> distinct(np.array([2.0, 1.0, 2.0, 2.0]), np.array([1, 0, 1, 0])).tolist()
    [0, 1, 3]
    """
    loss, index = np.asarray(loss), np.asarray(index)
    if loss.shape != index.shape:
        raise InputError(
            f"{len(loss)} losses and {len(index)} indices are no points: give one of "
            "each a point."
        )
    if not np.isfinite(loss).all():
        raise InputError(
            "Some losses are not finite: leave out the networks that diverged."
        )
    if not len(loss):
        return np.arange(0)
    order = np.lexsort((loss, index))
    apart = np.diff(loss[order]) > tolerance * np.max(np.abs(loss))
    begins = np.append(True, apart | (np.diff(index[order]) != 0))
    return np.sort(np.minimum.reduceat(order, np.flatnonzero(begins)))


def discoveries(
    certificate: Certificate, group: Int[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Whether a search is the first of its group to find a certified point.

    Certified are minima, saddles and points flat to second order; points of a group are
    the same as `distinct` says, those of two groups never are.

    Args:
        certificate: one entry a search.
        group: of each search, such as the number of its data set.
    """
    found = np.isin(outcome(certificate), (MINIMUM, SADDLE, FLAT))
    index = np.asarray(signs(certificate).negative)
    parameters = np.shape(certificate.eigenvalues)[-1]
    kind = (parameters + 1) * group + index
    rows = np.flatnonzero(found)
    loss = np.asarray(certificate.loss)
    first = rows[distinct(loss[rows], kind[rows])]
    return np.isin(np.arange(len(found)), first)


def _scaled(limit: float, dtype: np.dtype, power: float) -> float:
    """A limit for float64 as another precision allows it."""
    return limit * (float(jnp.finfo(dtype).eps) / DOUBLE) ** power


def _kinked(c: Certificate, criteria: Criteria) -> Any:
    dtype = c.eigenvalues.dtype
    jumps = c.jump > _scaled(criteria.jump, dtype, 2 / 3)
    beside = c.offset > 1e5 * _scaled(criteria.jump, dtype, 2 / 3)
    return (jumps | beside) & (c.persistence > criteria.persistence)


def _stationary(c: Certificate, criteria: Criteria, largest: Any) -> Any:
    """Gradient and Newton step are 0 up to rounding.

    Where θ is 0 it has no length to compare a step with: there either the step itself
    is 0 up to rounding or the loss that it would still gain.
    """
    dtype = c.eigenvalues.dtype
    length = np.asarray(length_scale(c.parameter_norm, dtype))
    small = float(jnp.finfo(dtype).eps)
    gradient = (
        c.gradient_norm
        <= _scaled(criteria.gradient_norm, dtype, 1 / 2) * largest * length
    )
    step = c.newton_step <= _scaled(criteria.newton_step, dtype, 1 / 2)
    nowhere = c.parameter_norm <= small**0.75
    spent = (c.newton_step <= small**0.75) | (c.fall <= 8 * small * np.abs(c.loss))
    return gradient & step & (~nowhere | spent)


def _receding(c: Certificate, criteria: Criteria) -> Any:
    """The loss falls on and on from here, and here is far out already."""
    length = np.asarray(length_scale(c.parameter_norm, c.eigenvalues.dtype))
    step = c.newton_step * length
    large = (c.parameter_norm > criteria.large * step) | (
        c.newton_step > criteria.large
    )
    return (c.tail < 1) & large & (step > 0)
