"""How evenly loss and gradient change along a step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_like, check_space
from jaxml.types import Array, InputError, Objective, Params, Scalar

__all__ = ["AlongStep", "along_step"]


class AlongStep(NamedTuple):
    """What was seen of θ - s d at several lengths s.

    Attributes:
        loss: `[length]`, L(θ - s d).
        loss_range: the highest minus the lowest of them.
        gradient_change: `[length]`, ‖∇L(θ - s d) - ∇L(θ)‖₂.
        change_range: the highest minus the lowest of them.
        beta: the effective smoothness, max over s of ‖∇L(θ - s d) - ∇L(θ)‖ / ‖s d‖.
    """

    loss: Float[jax.Array, " length"]
    loss_range: Scalar
    gradient_change: Float[jax.Array, " length"]
    change_range: Scalar
    beta: Scalar


def along_step(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    lengths: Float[Array, " length"],
    direction: Params | None = None,
) -> AlongStep:
    """L(θ - s d) and ‖∇L(θ - s d) - ∇L(θ)‖ at each length s, and their ranges.

    The direction is the gradient, so that the lengths are learning rates; the paper
    takes them from ½ to 4 times that of training. Batch normalisation counts as
    training sees it by `in_training`. β is at most the Lipschitz constant of the
    gradient, and on a quadratic between its lowest and highest |eigenvalue|.

    Losses and gradients in units of the parameters: of networks that do not change when
    layers are rescaled, only β ‖θ‖² and its like can be compared, and at equal loss.
    One gradient for each length and one more; works inside `jit` and `vmap`, and
    outside the program is kept.

    Args:
        objective: `(params, batch) -> scalar`.
        params: θ, a pytree.
        batch: passed to the objective.
        lengths: s, one or more, none of them 0; may be traced.
        direction: d, a pytree like the parameters, such as what an optimizer subtracts
            at a rate of 1; the gradient when not given.

    Raises:
        InputError: no length; a direction unlike the parameters; parameters that are
            empty, or not of one precision.

    Source: Santurkar et al. 2018, arXiv:1805.11604, section 3.1, figure 4.

    >>> bowl = lambda w, _: jnp.sum(w**2)
    >>> seen = along_step(bowl, jnp.ones(1), None, lengths=jnp.array([0.25, 0.5]))
    >>> [seen.loss.tolist(), seen.gradient_change.tolist(), float(seen.beta)]
    [[0.25, 0.0], [1.0, 2.0], 2.0]
    """
    dtype = check_space(params)
    lengths = jnp.asarray(lengths, dtype)
    if lengths.ndim != 1 or not len(lengths):
        raise InputError(
            f"Lengths {lengths.shape} are no list of steps: give an array of one or "
            "more."
        )
    if direction is not None:
        check_like(direction, params, "direction")
    return run(_along, (objective,), params, batch, lengths, direction)


def _along(
    objective: Objective,
    params: Params,
    batch: Any,
    lengths: jax.Array,
    direction: Params | None,
) -> AlongStep:
    def graded(point: Params) -> tuple[Scalar, Params]:
        return jax.value_and_grad(objective)(point, batch)

    with jax.default_matmul_precision("highest"):
        _, here = graded(params)
        along = here if direction is None else direction

        def at(length: jax.Array) -> tuple[Scalar, Scalar]:
            value, gradient = graded(tree.axpy(-length, along, params))
            return value, tree.norm(jax.tree.map(jnp.subtract, gradient, here))

        losses, changes = jax.lax.map(at, lengths)
        steps = jnp.abs(lengths) * tree.norm(along)
    return AlongStep(
        losses, jnp.ptp(losses), changes, jnp.ptp(changes), jnp.max(changes / steps)
    )
