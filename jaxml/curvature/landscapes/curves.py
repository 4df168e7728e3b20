"""Mode connectivity: a curve of low loss between two solutions, and its barrier."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.programs import run, traced
from jaxml.curvature.space import check_leaves, check_like
from jaxml.types import Array, InputError, Key, Objective, Params, Scalar


class Curve(NamedTuple):
    """φ(t) = (1 - t)² θ₁ + 2 t (1 - t) θ_c + t² θ₂.

    Attributes:
        first: θ₁ = φ(0).
        control: θ_c, which the curve need not pass.
        second: θ₂ = φ(1).
    """

    first: Params
    control: Params
    second: Params


class Barriers(NamedTuple):
    """Losses between two solutions, along a curve and along the straight line.

    A barrier is the highest loss along a path minus the higher loss of its two ends, at
    the values of t that were given: 0 where no point lies above both ends, not finite
    where a loss is not.

    Attributes:
        curve: `[t]`.
        line: at (1 - t) θ₁ + t θ₂, `[t]`.
        curve_barrier: of the curve.
        line_barrier: of the straight line.
    """

    curve: Float[jax.Array, " t"]
    line: Float[jax.Array, " t"]
    curve_barrier: Scalar
    line_barrier: Scalar


def bezier_point(curve: Curve, t: Any) -> Params:
    """φ(t), a pytree like the ends.

    >>> arc = Curve(jnp.array([0.0]), jnp.array([1.0]), jnp.array([0.0]))
    >>> bezier_point(arc, 0.5).tolist()
    [0.5]
    """
    bend = tree.scale(2 * t * (1 - t), curve.control)
    return tree.axpy((1 - t) ** 2, curve.first, tree.axpy(t**2, curve.second, bend))


def bezier(
    objective: Objective,
    ends: tuple[Params, Params],
    batch: Any,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    key: Key,
) -> Curve:
    """The control point that lowers E[L(φ(t))], t uniform on [0, 1], by stochastic
    steps.

    One t and one gradient a step. The control point begins in the middle of the ends,
    where the curve is the straight line; a loss that is symmetric about that line has
    no gradient away from it, and then only an optimizer that adds noise leaves it.
    Works inside `jit`; outside, the program is kept for the same objective, optimizer
    and number of steps.

    The steps see the whole batch; t is all that is drawn. Under batch normalisation the
    objective decides: with the statistics of the batch, every point of the curve has
    its own and nothing is left to do; running statistics do not belong to points
    between two networks, and must be computed again at each point, inside the
    objective. Nothing of the kind is done here.

    Args:
        objective: `(params, batch) -> scalar`.
        ends: θ₁ and θ₂, of one structure, shapes and precision.
        batch: passed to the objective.
        optimizer: any transformation, such as `optax.adam(1e-2)`.
        steps: 1 or more.
        key: of the draws of t.

    Raises:
        InputError: no step; the ends are no floating-point arrays, or unlike; outside
            `jit`, the control point is not finite at the end.

    Source: Garipov et al. 2018, arXiv:1802.10026, equations 2, 5 and 7 (uniform t).

    >>> ring = lambda w, _: (w @ w - 1) ** 2
    >>> ends = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
    >>> arc = bezier(
    ...     ring, ends, None, optax.adam(0.05), steps=200, key=jax.random.key(0)
    ... )
    >>> found = barriers(ring, arc, None, at=jnp.linspace(0, 1, 21))
    >>> float(found.line_barrier), bool(found.curve_barrier < 0.03)
    (0.25, True)
    """
    first, second = ends
    check_leaves(first)
    check_like(second, first, "second end")
    if steps < 1:
        raise InputError(f"{steps} steps train no curve: take 1 or more.")
    control = run(_trained, (objective, optimizer, steps), first, second, batch, key)
    if not traced(control) and not _finite(control):
        raise InputError(
            "The curve's control point is not finite: lower the learning rate, or look "
            "whether the loss is finite on the straight line."
        )
    return Curve(first, control, second)


def barriers(objective: Objective, curve: Curve, batch: Any, *, at: Array) -> Barriers:
    """Losses along a curve and along the straight line between its ends, and how high
    each rises above the higher end.

    Two evaluations a value of t and one at each end. Between the values of t the loss
    may be higher: a barrier is a lower bound. Works inside `jit`; outside, the program
    is kept.

    Args:
        objective: `(params, batch) -> scalar`; another than the curve was trained on
            where need be.
        curve: of `bezier`.
        batch: passed to the objective.
        at: `[t]`, from 0 to 1.

    Raises:
        InputError: `at` is no vector.

    Source: Draxler et al. 2018, arXiv:1803.00885, section 2 (the highest loss of a
        path).

    >>> double_well = lambda w, _: (w[0] ** 2 - 1) ** 2
    >>> ends = jnp.array([-1.0]), jnp.array([1.0])
    >>> straight = Curve(ends[0], jnp.array([0.0]), ends[1])
    >>> t = jnp.array([0.0, 0.25, 0.5, 1.0])
    >>> barriers(double_well, straight, None, at=t).curve.tolist()
    [0.0, 0.5625, 1.0, 0.0]
    """
    if jnp.ndim(at) != 1 or jnp.size(at) == 0:
        raise InputError(
            f"t is of shape {jnp.shape(at)}: give a vector of one or more values."
        )
    return run(_barriers, (objective,), curve, batch, jnp.asarray(at))


def _trained(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    steps: int,
    first: Params,
    second: Params,
    batch: Any,
    key: Key,
) -> Params:
    def loss(control: Params, t: jax.Array) -> Scalar:
        return objective(bezier_point(Curve(first, control, second), t), batch)

    def step(carry: tuple[Params, Any], number: jax.Array) -> tuple[Any, None]:
        control, state = carry
        t = jax.random.uniform(jax.random.fold_in(key, number), (), jnp.float32)
        with jax.default_matmul_precision("highest"):
            gradient = jax.grad(loss)(control, t)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update(gradient, state, control)
        return (tree.axpy(1.0, _cast(updates, control), control), state), None

    control = tree.scale(0.5, tree.axpy(1.0, first, second))
    with jax.numpy_dtype_promotion("standard"):
        state = optimizer.init(control)
    (control, _), _ = jax.lax.scan(step, (control, state), jnp.arange(steps))
    return control


def _finite(params: Params) -> bool:
    leaves = jax.tree.leaves(jax.device_get(params))
    return all(np.all(np.isfinite(leaf)) for leaf in leaves)


def _cast(updates: Params, like: Params) -> Params:
    return jax.tree.map(lambda ours, theirs: ours.astype(theirs.dtype), updates, like)


def _barriers(
    objective: Objective, curve: Curve, batch: Any, at: jax.Array
) -> Barriers:
    def loss(params: Params) -> Scalar:
        with jax.default_matmul_precision("highest"):
            return objective(params, batch)

    middle = tree.scale(0.5, tree.axpy(1.0, curve.first, curve.second))
    line = curve._replace(control=middle)
    ends = jnp.maximum(loss(curve.first), loss(curve.second))
    along = jax.lax.map(lambda t: loss(bezier_point(curve, t)), at)
    straight = jax.lax.map(lambda t: loss(bezier_point(line, t)), at)
    return Barriers(
        along,
        straight,
        jnp.maximum(jnp.max(along), ends) - ends,
        jnp.maximum(jnp.max(straight), ends) - ends,
    )
