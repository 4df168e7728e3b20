"""How high the loss rises within a box, and within a ball, around a point."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from scipy import optimize

from jaxml import tree
from jaxml.curvature.programs import run, traced
from jaxml.curvature.space import check_like, check_space
from jaxml.types import InputError, Key, Objective, Params, Scalar

START = 1e-3
"""Part of the box, or of the ball's radius, within which the ascent starts."""


class BoxSharpness(NamedTuple):
    """The highest loss that was found in a box around θ.

    Attributes:
        sharpness: 100 (highest - loss) / (1 + loss), in percent.
        loss: at θ.
        highest: in the box.
        evaluations: of the loss and its gradient.
    """

    sharpness: float
    loss: float
    highest: float
    evaluations: int


def box_sharpness(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    epsilon: float,
    dimension: int | None = None,
    iterations: int = 10,
    key: Key,
) -> BoxSharpness:
    """φ = 100 (max L(θ + Ay) - L(θ)) / (1 + L(θ)) over |yᵢ| ≤ ε (|(A⁺θ)ᵢ| + 1).

    Keskar's sharpness: the maximum over a box by a few iterations of L-BFGS-B, so that
    φ is a lower bound of what it is called. A is the identity, or has columns of
    independent standard normal entries, `[p, dimension]`; the paper, which takes 100,
    says only that they are random, and the length of A's columns sets the scale of φ.
    It changes when layers are rescaled.

    SciPy runs on the host in float64, in coordinates in which the box is [-1, 1]ᵈ and
    the mean |∂L/∂yᵢ| at the start is 1, since the steps of so few iterations depend on
    units. It starts at random in the middle thousandth of the box, where the gradient
    does not vanish even at a critical point. The gradient is one program that is kept;
    each iteration needs one or two of them. Memory: A.

    Args:
        objective: `(params, batch) -> scalar`, above -1.
        params: θ, a pytree.
        batch: passed to the objective.
        epsilon: ε; the paper takes 1e-3 and 5e-4.
        dimension: of the random subspace; None takes the whole space.
        iterations: of L-BFGS-B; the paper takes 10.
        key: of A and of the start.

    Raises:
        InputError: within `jit`; ε or the number of iterations is not positive; the
            subspace has no dimension, or more than the parameters; the loss is not
            finite, or -1 or below; the parameters are empty, or not of one precision.

    Source: Keskar et al. 2017, arXiv:1609.04836, definition 2.1, equations 3 and 4;
    Zhu et al. 1997, ACM Transactions on Mathematical Software 23.

    >>> parabola = lambda w, _: 0.5 * jnp.sum(w**2)
    >>> around = {"epsilon": 0.5, "key": jax.random.key(0)}
    >>> round(box_sharpness(parabola, jnp.zeros(4), None, **around).sharpness, 4)
    50.0
    """
    dtype = check_space(params)
    if traced((params, batch)):
        raise InputError(
            "This maximum over a box is found on the host: call box_sharpness outside "
            "jit, or take ascent_sharpness."
        )
    if not (epsilon > 0 and iterations > 0):
        raise InputError(
            f"A box of ε = {epsilon} searched by {iterations} iterations is none: use "
            "positive numbers."
        )
    size = tree.size(params)
    if dimension is not None and not 1 <= dimension <= size:
        raise InputError(
            f"{size} parameters have no subspace of {dimension} dimensions: take 1 to "
            f"{size}."
        )
    box = _box(params, epsilon, dimension, key)
    point, batch = jax.device_put((params, batch))

    def measured(unit: np.ndarray) -> tuple[float, np.ndarray]:
        step = jnp.asarray(unit * box.widths, dtype)
        value, gradient = run(_along, (objective,), point, batch, box.subspace, step)
        return float(value), np.asarray(gradient, np.float64) * box.widths

    loss, _ = measured(np.zeros_like(box.start))
    if not (np.isfinite(loss) and loss > -1):
        raise InputError(
            f"The loss at the point is {loss:g}: give one that is finite and above -1."
        )
    seen = _ascended(measured, box.start, iterations)
    highest = max([loss, *seen])
    sharpness = 100 * (highest - loss) / (1 + loss)
    return BoxSharpness(sharpness, loss, highest, len(seen))


class _Box(NamedTuple):
    """A box in a subspace, and where the search in it starts, in units of the box."""

    subspace: Any
    widths: np.ndarray
    start: np.ndarray


def _box(params: Params, epsilon: float, dimension: int | None, key: Key) -> _Box:
    """The box of the definition."""
    flat = np.asarray(tree.ravel(params)[0])
    of_subspace, of_start = jax.random.split(key)
    subspace, coordinates = None, flat
    if dimension is not None:
        shape = (len(flat), dimension)
        draw = jax.random.normal(of_subspace, shape, jnp.float32)
        subspace = np.asarray(draw).astype(flat.dtype)
        coordinates = np.linalg.solve(subspace.T @ subspace, subspace.T @ flat)
    widths = epsilon * (np.abs(coordinates.astype(np.float64)) + 1)
    draw = jax.random.uniform(of_start, widths.shape, jnp.float32, -START, START)
    return _Box(subspace, widths, np.asarray(draw, np.float64))


def _ascended(measured: Any, start: np.ndarray, iterations: int) -> list[float]:
    """The losses that L-BFGS-B saw on its way up within [-1, 1]ᵈ."""
    _, gradient = measured(start)
    scale = float(np.mean(np.abs(gradient)))
    seen: list[float] = []

    def falling(unit: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = measured(unit)
        if np.isfinite(value):
            seen.append(value)
        return -value / scale, -gradient / scale

    if scale > 0:
        optimize.minimize(
            falling,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-1.0, 1.0)] * len(start),
            options={"maxiter": iterations, "ftol": 0.0, "gtol": 0.0},
        )
    return seen


def _along(
    objective: Objective, params: Params, batch: Any, subspace: Any, step: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """L(θ + Ay) and its gradient by y."""
    flat, unravel = tree.ravel(params)

    def loss(step: jax.Array) -> Scalar:
        moved = step if subspace is None else subspace @ step
        return objective(unravel(flat + moved), batch)

    with jax.default_matmul_precision("highest"):
        return jax.value_and_grad(loss)(step)


class Ascent(NamedTuple):
    """The highest point that was found in a ball around θ.

    Attributes:
        rise: L(θ + δ) - L(θ), not negative.
        displacement: δ, a pytree like the parameters.
    """

    rise: Scalar
    displacement: Params


def ascent_sharpness(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    radius: ArrayLike,
    steps: int,
    key: Key,
    scale: Params | None = None,
) -> Ascent:
    """max L(θ + s∘u) - L(θ) over ‖u‖₂ ≤ ρ, by projected ascent along normalised
    gradients.

    u ← Π(u + ρ g/‖g‖), g = s∘∇L(θ + s∘u), Π onto the ball, from a random u of ρ/1000;
    the highest of all points counts, so the rise is a lower bound. With s = 1 and a
    small ρ at a minimum it tends to ½λρ², λ the Hessian's highest eigenvalue; the first
    step is that of SAM. With s = |θ| (adaptive sharpness) it does not change when the
    layers of a ReLU network are rescaled. `steps` + 1 gradients; works inside `jit` and
    `vmap`, and outside the program is kept.

    Args:
        objective: `(params, batch) -> scalar`.
        params: θ, a pytree.
        batch: passed to the objective.
        radius: ρ; may be traced.
        steps: of the ascent.
        key: of the start.
        scale: s, a pytree like the parameters; 1 when not given. `jax.tree.map(jnp.abs,
            params)` is the adaptive one.

    Raises:
        InputError: no step; a scale unlike the parameters; the parameters are empty, or
            not of one precision.

    Source: Foret et al. 2021, arXiv:2010.01412, equation 1; Kwon et al. 2021,
    arXiv:2102.11600, definition 2.

    >>> bowl = lambda w, _: jnp.vdot(jnp.array([1.0, 4.0]), w**2)
    >>> way = {"radius": 0.5, "steps": 20, "key": jax.random.key(0)}
    >>> round(float(ascent_sharpness(bowl, jnp.zeros(2), None, **way).rise), 4)
    1.0
    """
    dtype = check_space(params)
    if steps < 1:
        raise InputError(f"An ascent of {steps} steps rises nowhere: take 1 or more.")
    if scale is None:
        scale = jax.tree.map(jnp.ones_like, params)
    check_like(scale, params, "scale")
    length = jnp.asarray(radius, dtype)
    return run(_ascent, (objective, steps), params, batch, length, scale, key)


def _ascent(
    objective: Objective,
    steps: int,
    params: Params,
    batch: Any,
    radius: jax.Array,
    scale: Params,
    key: Key,
) -> Ascent:
    flat, unravel = tree.ravel(params)
    scales, _ = tree.ravel(scale)

    def loss(step: jax.Array) -> Scalar:
        return objective(unravel(flat + scales * step), batch)

    def inside(step: jax.Array) -> jax.Array:
        return step * jnp.minimum(1, radius / _positive(tree.norm(step)))

    def climb(step: jax.Array, _: None) -> tuple[jax.Array, tuple[Scalar, jax.Array]]:
        value, gradient = jax.value_and_grad(loss)(step)
        direction = gradient / _positive(tree.norm(gradient))
        return inside(step + radius * direction), (value, step)

    aside = tree.random_like(flat, key)
    start = START * radius * aside / _positive(tree.norm(aside))
    with jax.default_matmul_precision("highest"):
        here = objective(params, batch)
        last, (values, visited) = jax.lax.scan(climb, start, length=steps)
        values = jnp.append(values, loss(last))
    visited = jnp.concatenate([visited, last[None]])
    values = jnp.where(jnp.isfinite(values), values, -jnp.inf)
    best = jnp.argmax(values)
    higher = values[best] > here
    step = jnp.where(higher, scales * visited[best], 0)
    rise = jnp.where(higher, values[best] - here, 0)
    return Ascent(rise, unravel(step))


def _positive(x: jax.Array) -> jax.Array:
    return x + jnp.asarray(jnp.finfo(x.dtype).tiny, x.dtype)
