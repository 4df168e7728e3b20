"""A saddle of index 1, and how gradient descent leaves it on either side."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from jaxml import tree
from jaxml.curvature.dense import dense
from jaxml.curvature.methods import eigenvector_following
from jaxml.curvature.products import hessian_product
from jaxml.types import Array, Key, Objective, Params, Scalar


class TransitionState(NamedTuple):
    """A point, and whether it is a saddle with one way down.

    Attributes:
        params: the point.
        down: the eigenvector of the lowest eigenvalue, of length 1.
        lowest: that eigenvalue.
        largest: ‖H‖.
        certified: whether the gradient vanishes and exactly one eigenvalue is negative,
            all others positive.
    """

    params: Params
    down: Params
    lowest: Scalar
    largest: Scalar
    certified: Bool[Array, ""]


def transition_state(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    iterations: int = 150,
    gradient: float = 1e-10,
    eigenvalue: float = 1e-8,
) -> TransitionState:
    """The point with ‖∇L‖ ≤ 1e-10 ‖H‖ ‖θ‖ and λ₁ < 0 < λ₂ to which eigenvector
    following leads.

    Gradient and spectrum suffice where the loss is smooth, as in `nearest_minimum`.
    Cost: p Hessian products and an eigendecomposition an iteration; memory p². In
    float64.

    Args:
        objective: `(params, batch) -> scalar`, smooth, growing towards infinity.
        params: where the search starts.
        batch: passed to the objective.
        iterations: of the search, at most.
        gradient: the largest ‖∇L‖, in ‖H‖ ‖θ‖.
        eigenvalue: the least |λ| that is not taken for zero, in ‖H‖.

    Source: Cerjan and Miller 1981, J. Chem. Phys. 75 (the search).

    >>> wells = lambda w, _: (w[0] ** 2 - 1) ** 2 / 4 + (w[1] - 1) ** 2
    >>> search = jax.jit(lambda start: transition_state(wells, start, None))
    >>> with jax.enable_x64(True):
    ...     found = search(jnp.array([0.2, 0.8]))
    >>> [round(float(x), 6) for x in (*abs(found.params), found.lowest, found.largest)]
    [0.0, 1.0, -1.0, 2.0]
    >>> bool(found.certified)
    True
    """
    found = eigenvector_following(
        objective, params, batch, index=1, iterations=iterations
    )
    product = hessian_product(objective, found.params, batch)
    values, vectors = jnp.linalg.eigh(dense(product, found.params))
    _, unravel = tree.ravel(found.params)
    largest = jnp.max(jnp.abs(values))
    zero = eigenvalue * largest
    stationary = found.gradient_norm <= gradient * largest * tree.norm(found.params)
    one_way = jnp.sum(values < -zero) == 1
    strict = jnp.all(jnp.abs(values) > zero)
    return TransitionState(
        params=found.params,
        down=unravel(vectors[:, 0]),
        lowest=values[0],
        largest=largest,
        certified=stationary & one_way & strict,
    )


class Sides(NamedTuple):
    """Where gradient descent comes on either side of a transition state.

    Attributes:
        drop: L at the state minus L where it ends.
        way: ⟨end - state, down⟩, at least twice what it began with, also where its path
            turns back: positive on the first side, negative on the second.
        two: whether it goes down on both sides.
    """

    drop: Float[Array, "2"]
    way: Float[Array, "2"]
    two: Bool[Array, ""]


def both_sides(
    objective: Objective,
    state: TransitionState,
    batch: Any,
    *,
    distance: Any,
    rate: Any,
    updates: Any,
) -> Sides:
    """Gradient descent from ± distance along the way down.

    Cost: 2 · updates gradients.

    Args:
        objective: `(params, batch) -> scalar`.
        state: the transition state.
        batch: passed to the objective.
        distance: of the start from the state; twice this is the least way.
        rate: η.
        updates: how many on each side; may be traced.

    >>> well = lambda w, _: (w**2 - 1) ** 2 / 4
    >>> zero, one = jnp.zeros(()), jnp.ones(())
    >>> state = TransitionState(zero, one, -one, one, one > zero)
    >>> both = both_sides(well, state, None, distance=0.1, rate=0.5, updates=50)
    >>> both.drop.round(6).tolist(), both.way.round(6).tolist(), bool(both.two)
    ([0.25, 0.25], [1.0, -1.0], True)
    """

    def ended(side: Array) -> Params:
        def update(_: Array, params: Params) -> Params:
            return tree.axpy(-rate, jax.grad(objective)(params, batch), params)

        first = tree.axpy(side * distance, state.down, state.params)
        return jax.lax.fori_loop(0, updates, update, first)

    def measured(side: Array) -> tuple[Array, Array]:
        end = ended(side)
        moved = tree.axpy(-1.0, state.params, end)
        fall = objective(state.params, batch) - objective(end, batch)
        along = side * tree.vdot(moved, state.down)
        return fall, side * jnp.maximum(along, 2 * distance)

    signs = jnp.array([1.0, -1.0], state.lowest.dtype)
    drop, way = jax.lax.map(measured, signs)
    return Sides(drop, way, jnp.all(drop > 0))


def beside(params: Params, *, relative: Any, key: Key) -> Params:
    """A point relative · ‖θ‖ off, in a direction drawn evenly from all.

    Args:
        params: θ, a pytree.
        relative: to its norm; may be traced.
        key: of the direction.

    >>> moved = jax.jit(lambda w, key: w - beside(w, relative=0.1, key=key))
    >>> x, y = moved(jnp.array([3.0, 4.0]), jax.random.key(0)).tolist()
    >>> round((x**2 + y**2) ** 0.5, 5)
    0.5
    """
    direction = tree.random_like(params, key)
    length = relative * tree.norm(params) / tree.norm(direction)
    return tree.axpy(length, direction, params)


def left_state(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    state: TransitionState,
    sides: Sides,
) -> Bool[Array, "2"]:
    """Whether weights have left a transition state: by half of the drop, and by half of
    the way.

    By the drop where the loss is lower than at the state by half of the smaller drop of
    both sides; noise may lift the loss above that though the weights are long away. By
    the way where ⟨params - state, down⟩ is half of what gradient descent comes to on
    that side; noise may carry them back.

    Cost: two losses.

    Args:
        objective: `(params, batch) -> scalar`.
        params: where a run is.
        batch: passed to the objective.
        state: where it came from.
        sides: of that state.

    >>> well = lambda w, _: (w**2 - 1) ** 2 / 4
    >>> zero, one = jnp.zeros(()), jnp.ones(())
    >>> state = TransitionState(zero, one, -one, one, one > zero)
    >>> both = Sides(jnp.array([0.25, 0.25]), jnp.array([1.0, -1.0]), one > zero)
    >>> at = {"params": 0.52 * one, "batch": None, "state": state, "sides": both}
    >>> jax.jit(lambda at: left_state(well, **at))(at).tolist()
    [False, True]
    """
    fall = objective(state.params, batch) - objective(params, batch)
    along = tree.vdot(tree.axpy(-1.0, state.params, params), state.down)
    first, second = sides.way
    away = (along >= first / 2) | (along <= second / 2)
    return jnp.stack([fall >= jnp.min(sides.drop) / 2, away])


def seen_by_examples(
    objective: Objective, state: TransitionState, batch: Any
) -> Scalar:
    """√(Σᵢ ⟨gᵢ, down⟩² / Σᵢ ‖gᵢ‖²): what the gradients of single examples have along
    the way down, and so what the noise of batches can see of it.

    0 where the way down is that of a hidden unit with zero weights, 1/√p on average
    over directions.
    Cost: the gradient of every example, one after another.

    Args:
        objective: `(params, batch) -> scalar`, a mean over the batch.
        state: the transition state.
        batch: all examples, a pytree of arrays with a leading axis, no padding.

    Source: Chen et al. 2023, arXiv:2306.04251 (invariant sets of SGD).

    >>> pull = lambda w, x: jnp.mean((w[0] - x) ** 2) - w[1] ** 2
    >>> zero, one = jnp.zeros(()), jnp.ones(())
    >>> point, down = jnp.array([2.0, 3.0]), jnp.array([0.0, 1.0])
    >>> state = TransitionState(point, down, -one, one, one > zero)
    >>> round(float(seen_by_examples(pull, state, jnp.array([-2.0, 6.0]))), 6)
    0.6
    """

    def squares(example: Any) -> tuple[Array, Array]:
        alone = jax.tree.map(lambda leaf: leaf[None], example)
        gradient = jax.grad(objective)(state.params, alone)
        return tree.vdot(gradient, state.down) ** 2, tree.vdot(gradient, gradient)

    along, whole = jax.lax.map(squares, batch)
    return jnp.sqrt(jnp.sum(along) / jnp.sum(whole))
