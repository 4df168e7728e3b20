"""What is refused before curvature is computed, each in one sentence."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.certificate import check_scalar
from jaxml.curvature.operators.restricted import leaf_paths
from jaxml.curvature.products import hessian_product
from jaxml.curvature.programs import run, traced
from jaxml.curvature.space import check_deterministic, check_space
from jaxml.types import InputError, Objective, Params

NAMED = 3
"""Leaves that a message names."""


class _Finite(NamedTuple):
    """The loss, and by leaf whether its gradient and a Hessian product are finite."""

    loss: jax.Array
    gradient: jax.Array
    product: jax.Array


def check(objective: Objective, params: Params, batch: Any) -> None:
    """Passes an objective whose curvature at the point exists and can be measured.

    Once, before much is computed: costs a gradient, a Hessian product, and four traces.
    Inside `jit` the last two of the reasons below are not looked for.

    Raises:
        InputError: there are no parameters; a leaf is no array, or an integer, or
            complex; leaves of several precisions; a loss that is no scalar; an
            objective that draws when it is traced; a loss, a gradient or a Hessian
            that is not finite at the point.

    >>> check(lambda w, _: jnp.sum(w["bias"] ** 2), {"bias": jnp.zeros(2)}, None)
    """
    check_space(params)
    check_scalar(objective, params, batch)
    check_deterministic(objective, params, batch)
    require_finite(objective, params, batch)


def require_finite(objective: Objective, params: Params, batch: Any) -> None:
    """Passes a point at which the loss, its gradient and its Hessian are finite.

    The Hessian is judged by its product with one random vector, which is finite
    wherever a row of it is; the leaves of the others are named. Costs a gradient and a
    product; inside `jit` nothing is known and all passes.

    Raises:
        InputError: one of them is not finite.

    >>> try:
    ...     require_finite(lambda w, _: jnp.sum(w["scale"] ** 1.5),
    ...                    {"scale": jnp.zeros(2)}, None)
    ... except InputError as error:
    ...     print(str(error).partition(":")[0])
    The Hessian is not finite in scale, though the gradient is
    """
    found = run(_measured, (objective,), params, batch)
    if traced(found):
        return
    loss = float(found.loss)
    if not jnp.isfinite(loss):
        raise InputError(
            f"The loss is {loss:g} at this point: leave out networks that diverged, "
            "and examples that are not finite."
        )
    paths = leaf_paths(params)
    if not found.gradient.all():
        raise InputError(
            f"The gradient is not finite in {_named(paths, found.gradient)}: add a "
            "small constant where a norm or a root is taken at 0, or move the point."
        )
    if not found.product.all():
        raise InputError(
            f"The Hessian is not finite in {_named(paths, found.product)}, though the "
            "gradient is: the loss has no second derivative there (a norm, or a power "
            "below 2, at 0), so smooth it or move the point."
        )


def _measured(objective: Objective, params: Params, batch: Any) -> _Finite:
    direction = tree.random_like(params, jax.random.key(0))
    loss, gradient = jax.value_and_grad(objective)(params, batch)
    product = hessian_product(objective, params, batch)(direction)
    return _Finite(loss, _finite(gradient), _finite(product))


def _finite(x: Params) -> jax.Array:
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(x)])


def _named(paths: tuple[str, ...], finite: jax.Array) -> str:
    """The leaves that are not finite, the first of them by name."""
    names = [path or "it" for path, good in zip(paths, finite, strict=True) if not good]
    more = len(names) - NAMED
    shown = " and ".join(names[:NAMED])
    return f"{shown} and {more} more leaves" if more > 0 else shown
