"""The minimum near a point at which a descent has ended."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool

from jaxml import tree
from jaxml.curvature.dense import dense
from jaxml.curvature.methods import eigenvector_following
from jaxml.curvature.products import hessian_product
from jaxml.types import Array, Objective, Params, Scalar


class Minimum(NamedTuple):
    """A point, its loss, and whether it is a minimum."""

    params: Params
    loss: Scalar
    certified: Bool[Array, ""]


def nearest_minimum(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    iterations: int = 30,
    gradient: float = 1e-10,
    eigenvalue: float = 1e-8,
) -> Minimum:
    """Newton steps on |H| to a point with ‖∇L‖ ≤ 1e-10 ‖H‖ ‖θ‖ and H positive definite.

    Gradient and spectrum suffice where the loss is smooth and no minimum lies at
    infinity, as with tanh units and an l2 penalty; `certify` asks more, and compiles
    three times as long. Cost: p Hessian products and an eigendecomposition an
    iteration. In float64.

    Args:
        objective: `(params, batch) -> scalar`, smooth, growing towards infinity.
        params: where a descent has ended.
        batch: passed to the objective.
        iterations: of Newton's method, at most.
        gradient: the largest ‖∇L‖ of a minimum, in ‖H‖ ‖θ‖.
        eigenvalue: the least of its Hessian, in ‖H‖.

    >>> bowl = lambda w, _: jnp.sum(w**2) + jnp.sum((w - 2.0) ** 2)
    >>> found = nearest_minimum(bowl, jnp.zeros(2), None)
    >>> found.params.tolist(), float(found.loss), bool(found.certified)
    ([1.0, 1.0], 4.0, True)
    """
    found = eigenvector_following(
        objective, params, batch, index=0, iterations=iterations
    )
    product = hessian_product(objective, found.params, batch)
    values = jnp.linalg.eigvalsh(dense(product, found.params))
    largest = jnp.max(jnp.abs(values))
    still = found.gradient_norm <= gradient * largest * tree.norm(found.params)
    return Minimum(
        found.params,
        objective(found.params, batch),
        still & (values[0] > eigenvalue * largest),
    )


class StuckMinimum(NamedTuple):
    """A minimum beside a lower one.

    Attributes:
        params: the point.
        loss: there; nan where none is certified so far above the lowest.
        lowest: the lowest loss of a certified minimum, nan where there is none.
    """

    params: Params
    loss: Scalar
    lowest: Scalar


def stuck_minimum(
    objective: Objective, ends: Params, batch: Any, *, ratio: float
) -> StuckMinimum:
    """The first of several certified minima whose loss is above the lowest by a ratio.

    Cost: `nearest_minimum` of each, one after another. In float64.

    Args:
        objective: `(params, batch) -> scalar`, positive, and as in `nearest_minimum`.
        ends: where descents from several starts have ended, a leading axis of starts.
        batch: passed to the objective.
        ratio: of its loss to the lowest, above 1.

    >>> wells = lambda w, _: (w[0] ** 2 - 1) ** 2 + 0.1 * w[0] + 1.0
    >>> with jax.enable_x64(True):
    ...     ends = jnp.array([[-1.0], [1.0]])
    ...     stuck = stuck_minimum(wells, ends, None, ratio=1.1)
    >>> round(float(stuck.loss), 3), round(float(stuck.lowest), 3)
    (1.099, 0.899)
    """

    def nearest(params: Params) -> Minimum:
        return nearest_minimum(objective, params, batch)

    found = jax.lax.map(nearest, ends)
    losses = jnp.where(found.certified, found.loss, jnp.nan)
    lowest = jnp.nanmin(losses)
    high = losses > ratio * lowest
    first = jnp.argmax(high)
    point = jax.tree.map(lambda leaf: leaf[first], found.params)
    return StuckMinimum(point, jnp.where(high[first], losses[first], jnp.nan), lowest)
