"""Is this a critical point, and of which kind? Measured here, judged by `outcome`."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.dense import dense
from jaxml.curvature.flat import FAR, LENGTHS, Local, directions, flat_change, nudges
from jaxml.curvature.products import hessian_product
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_deterministic, check_space
from jaxml.types import InputError, Objective, Params

DOUBLE = float(jnp.finfo(jnp.float64).eps)
ZERO = 1e-8
"""Eigenvalues within this part of the largest |eigenvalue| count as zero, in
float64.
"""

LONGER = 8.0
"""How much longer the second step across a kink is than the first."""


class Certificate(NamedTuple):
    """What is measured at a candidate; every field may carry leading axes, one entry a
    network.

    Lengths are parts of ℓ = ‖θ‖ + min(1, 10 ‖θ‖), or of 1 where θ is 0 up to rounding.

    Attributes:
        loss: L(θ).
        gradient_norm: ‖∇L‖.
        parameter_norm: ‖θ‖.
        newton_step: ‖H⁺∇L‖ / ℓ, over eigenvalues that are not zero: how far Newton
            would still go.
        alignment: ‖H∇L‖ / (‖H‖ ‖∇L‖), in [0, 1]; near 0 the gradient lies in the
            Hessian's kernel, and methods that descend the gradient norm stop though the
            gradient is not 0.
        jump: ‖∇L(θ+d) - ∇L(θ-d) - 2Hd‖ / 2‖H‖‖d‖, d a tiny step in a random direction;
            of the order of ‖d‖² where the loss is smooth, finite however tiny the step
            where a kink lies between.
        eigenvalues: `[p]` ascending.
        offset: ‖∇L(θ+d) + ∇L(θ-d) - 2∇L‖ / 2‖H‖‖d‖: whether ∇L is the gradient of both
            sides.
        persistence: of the larger one-sided residual ‖∇L(θ±8d) - ∇L ∓ 8Hd‖ / 8‖d‖, what
            part is left at ‖d‖: at most 1/8 where the loss is smooth, about 1 or more
            across a kink.
        fall: ∇Lᵀ|H|⁺∇L / 2, the loss that Newton would still gain.
        zero: the eigenvalues within this part of the largest |eigenvalue| whose sign
            the point leaves open: the tolerance, or more where H still changes by more
            over the Newton step.
        flat_change: how much L changes along flat directions, in units of what rounding
            explains (`curvature.flat`); 0 where there are none, or eigenvalues below
            zero.
        tail: the largest of ‖∇L(θ+2tδ)‖ / ‖∇L(θ+tδ)‖, t = 1, 2, 4 and δ = -|H|⁺∇L;
            infinite if L rises. Below 1 the loss falls on and on without a minimum
            ahead.
    """

    loss: Any
    gradient_norm: Any
    parameter_norm: Any
    newton_step: Any
    alignment: Any
    jump: Any
    eigenvalues: Any
    offset: Any = 0.0
    persistence: Any = jnp.inf
    fall: Any = 0.0
    zero: Any = 0.0
    flat_change: Any = 0.0
    tail: Any = jnp.inf


def certify(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    reach: float | None = None,
    zero: float | None = None,
) -> Certificate:
    """Measures a candidate: p Hessian products, one eigendecomposition, and some forty
    gradients at most.

    In float32 the defaults are those that rounding allows there. Outside `jit` the
    program is kept, and another call with the same objective and shapes compiles
    nothing.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the candidate, in one precision.
        batch: passed to the objective.
        reach: length of the step that looks for a kink, as a part of 1 + ‖θ‖ (of ℓ, see
            `Certificate`).
        zero: the tolerance; by default 1e-8 in float64 and 2e-4 in float32.
            `Criteria.zero` should agree.

    Raises:
        InputError: the parameters are empty, not floating-point arrays of one
            precision; the objective is another function each time it is traced, or its
            value is no scalar.

    Source: the alignment is the flatness test of Frye et al. 2021, arXiv:2003.10397,
    section 3.
    """
    dtype = check_space(params)
    check_scalar(objective, params, batch)
    check_deterministic(objective, params, batch)
    rounding = float(jnp.finfo(dtype).eps) / DOUBLE
    reach = 1e-7 * rounding**0.4 if reach is None else reach
    zero = zero_tolerance(dtype) if zero is None else zero
    limits = jnp.asarray(reach, dtype), jnp.asarray(zero, dtype)
    return run(_measure, (objective,), params, batch, *limits)


def zero_tolerance(dtype: Any) -> float:
    """What part of the largest |eigenvalue| counts as zero: 1e-8 in float64, 2e-4 in
    float32.
    """
    return ZERO * (float(jnp.finfo(dtype).eps) / DOUBLE) ** 0.5


def check_scalar(objective: Objective, params: Params, batch: Any) -> None:
    """The value of an objective is one real number.

    Raises:
        InputError: it has axes, or is of another kind.
    """
    value = jax.eval_shape(objective, params, batch)
    if not hasattr(value, "dtype"):
        raise InputError(
            f"The objective returns a {type(value).__name__}: return the loss alone."
        )
    if value.shape != ():
        raise InputError(
            f"The objective returns an array {value.shape}: average it, a loss is one "
            "number."
        )
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise InputError(
            f"The objective returns {value.dtype}: cast it to float32 or float64."
        )


def length_scale(size: Any, dtype: Any) -> Any:
    """ℓ = ‖θ‖ + min(1, 10 ‖θ‖), or 1 where θ is 0 up to rounding: below eps^(3/4)."""
    small = float(jnp.finfo(dtype).eps) ** 0.75
    return jnp.where(
        size <= small, jnp.ones_like(size), size + jnp.minimum(10 * size, 1)
    )


def _measure(
    objective: Objective, params: Params, batch: Any, reach: jax.Array, zero: jax.Array
) -> Certificate:
    flat, unravel = tree.ravel(params)

    def both(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.value_and_grad(
            lambda x: jnp.asarray(objective(unravel(x), batch), x.dtype)
        )(x)

    size = jnp.linalg.norm(flat)
    length = length_scale(size, flat.dtype)
    around = _around(flat, reach * length)
    losses, gradients = jax.vmap(both)(
        jnp.concatenate([flat[None], nudges(flat, length), around])
    )
    grads, sides = gradients[0], gradients[-len(around) :]
    matrix = dense(hessian_product(objective, params, batch), params)
    values, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)
    local = Local(both, flat, losses[: -len(around)], values, vectors)
    largest, norm = jnp.max(jnp.abs(values)), jnp.linalg.norm(grads)

    newton = _newton(local, grads, zero * largest)
    kink = _sides(around, sides, local, grads, matrix)
    changing = 10 * newton.length * kink.third / _positive(largest)
    within = jnp.maximum(zero, changing)
    alignment = jnp.linalg.norm(matrix @ grads) / _positive(largest * norm)

    return Certificate(
        loss=losses[0],
        gradient_norm=norm,
        parameter_norm=size,
        newton_step=newton.length / length,
        alignment=alignment,
        jump=kink.jump,
        eigenvalues=values,
        offset=kink.offset,
        persistence=kink.persistence,
        fall=newton.fall,
        zero=within,
        flat_change=_flatness(local, within * largest, size),
        tail=_tail(local, newton.step),
    )


class _Newton(NamedTuple):
    """-|H|⁺∇L, its length, and ∇Lᵀ|H|⁺∇L / 2."""

    step: jax.Array
    length: jax.Array
    fall: jax.Array


def _newton(local: Local, grads: jax.Array, zero: jax.Array) -> _Newton:
    """The Newton step on |H|, over the eigenvalues beyond `zero`."""
    sizes = jnp.abs(local.values)
    bends = sizes > zero
    coordinates = local.vectors.T @ grads
    steps = jnp.where(bends, coordinates / jnp.where(bends, sizes, 1), 0)
    fall = 0.5 * jnp.sum(jnp.abs(coordinates * steps))
    return _Newton(-local.vectors @ steps, jnp.linalg.norm(steps), fall)


def _flatness(local: Local, zero: jax.Array, size: jax.Array) -> jax.Array:
    """`flat_change` where it decides something: flat directions, and none of negative
    curvature.
    """
    far = size <= float(jnp.finfo(size.dtype).eps) ** 0.75
    lengths = jnp.where(
        far, jnp.asarray(FAR, size.dtype), jnp.asarray(LENGTHS, size.dtype)
    )
    length = jnp.where(far, jnp.ones_like(size), size)
    silent = (jnp.min(jnp.abs(local.values)) <= zero) & (local.values[0] >= -zero)
    probe = partial(flat_change, local, zero, length, lengths)
    return jax.lax.cond(silent, probe, lambda: jnp.zeros((), size.dtype))


def _around(point: jax.Array, length: jax.Array) -> jax.Array:
    """θ+d, θ-d, and the same of a step 8 times longer, `[4, p]`."""
    step = length * directions(1, point)[0]
    return point[None] + jnp.stack([step, -step, LONGER * step, -LONGER * step])


class _Sides(NamedTuple):
    """What gradients on both sides say of θ: jump, offset and persistence, and ‖∂³L‖
    along the step.
    """

    jump: jax.Array
    offset: jax.Array
    persistence: jax.Array
    third: jax.Array


def _sides(
    around: jax.Array,
    sides: jax.Array,
    local: Local,
    grads: jax.Array,
    matrix: jax.Array,
) -> _Sides:
    steps = around - local.point[None]
    right, left, far_right, far_left = sides - grads[None] - steps @ matrix
    length, largest = jnp.linalg.norm(steps[0]), jnp.max(jnp.abs(local.values))
    scale = _positive(2 * largest * length)
    near, far = _larger(right, left), _larger(far_right, far_left)
    rounding = 16 * float(jnp.finfo(near.dtype).eps) * jnp.linalg.norm(grads)
    persistence = LONGER * near / _positive(far)
    return _Sides(
        jump=jnp.maximum(jnp.linalg.norm(right - left) - rounding, 0) / scale,
        offset=jnp.maximum(jnp.linalg.norm(right + left) - rounding, 0) / scale,
        persistence=persistence,
        third=jnp.where(
            persistence < 0.5, jnp.linalg.norm(right + left) / length**2, 0
        ),
    )


def _tail(local: Local, step: jax.Array) -> jax.Array:
    """The largest ratio of successive gradient norms at 1, 2, 4 and 8 Newton steps;
    infinite if L rises.
    """
    points = local.point[None] + jnp.outer(jnp.asarray([1, 2, 4, 8], step.dtype), step)
    losses, gradients = jax.vmap(local.both)(points)
    norms = jnp.linalg.norm(gradients, axis=1)
    ratios = norms[1:] / _positive(norms[:-1])
    falls = jnp.all(jnp.diff(losses) < 0) & (losses[0] < local.losses[0])
    return jnp.where(falls, jnp.max(ratios), jnp.inf)


def _larger(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.maximum(jnp.linalg.norm(x), jnp.linalg.norm(y))


def _positive(x: jax.Array) -> jax.Array:
    return x + jnp.asarray(jnp.finfo(x.dtype).tiny, x.dtype)
