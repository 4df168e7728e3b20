"""How much the update of other layers changes a layer's gradient."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml.curvature.programs import run
from jaxml.curvature.space import check_like, check_space
from jaxml.types import Array, InputError, Objective, Params

__all__ = ["CovariateShift", "internal_covariate_shift"]


class CovariateShift(NamedTuple):
    """Of each layer: its gradient g with all layers old, and g' with those before it
    updated.

    Attributes:
        difference: `[layer]`, ‖g - g'‖₂.
        cosine: `[layer]`, of the angle between g and g'; NaN where one of them is 0.
        old: `[layer]`, ‖g‖₂.
        updated: `[layer]`, ‖g'‖₂.
    """

    difference: Float[Array, " layer"]
    cosine: Float[Array, " layer"]
    old: Float[Array, " layer"]
    updated: Float[Array, " layer"]


def internal_covariate_shift(
    objective: Objective,
    before: Params,
    after: Params,
    batch: Any,
    *,
    layers: Sequence[Sequence[str]],
) -> CovariateShift:
    """‖g_i - g'_i‖ and cos(g_i, g'_i): g_i = ∂L/∂W_i with all layers as before, g'_i
    with those that precede layer i in `layers` as after.

    What the update of lower layers changes of the problem that layer i solves; exact,
    on one batch. Listed from the output to the inputs, `layers[::-1]`, it is the other
    order: what the update of upper layers changes. The first of the list sees no
    change: its difference is 0. Batch normalisation counts as training sees it by
    `in_training`. One gradient a layer and one more; works inside `jit` and `vmap`, and
    outside the program is kept.

    Args:
        objective: `(params, batch) -> scalar`.
        before: parameters, a dict of layers by name.
        after: the same after an update.
        batch: passed to the objective.
        layers: the names of each layer in order, such as `[["layer_00", "layer_01"],
            ["layer_03"]]` of a kernel and its normalisation, and of the output.

    Raises:
        InputError: parameters that are no dict, or unlike each other; names that are
            not each layer's once.

    Source: Santurkar et al. 2018, arXiv:1805.11604, definition 2.1.
    """
    check_space(before)
    check_like(after, before, "update")
    if not isinstance(before, Mapping):
        raise InputError(
            "The parameters are no dict, so their layers have no names: give a dict of "
            "layers."
        )
    ordered = tuple(map(tuple, layers))
    named = sorted(name for layer in ordered for name in layer)
    if named != sorted(before):
        raise InputError(
            f"The layers name {', '.join(named)}, and the parameters hold "
            f"{', '.join(sorted(before))}: name each once."
        )
    return run(_shifts, (objective, ordered), before, after, batch)


def _shifts(
    objective: Objective,
    layers: tuple[tuple[str, ...], ...],
    before: Mapping[str, Params],
    after: Mapping[str, Params],
    batch: Any,
) -> CovariateShift:
    """Of all layers in turn, by one program: which of them are updated is traced."""
    place_of = {name: place for place, layer in enumerate(layers) for name in layer}

    def gradient(params: Mapping[str, Params]) -> Mapping[str, Params]:
        return jax.grad(objective)(params, batch)

    def of_layer(place: jax.Array) -> CovariateShift:
        mixed = {}
        for name, own in before.items():
            updated = place_of[name] < place
            mixed[name] = _either(updated, after[name], own)
        new = gradient(mixed)

        def product(one: Mapping[str, Params], other: Mapping[str, Params]) -> Any:
            parts = {name: _inner(one[name], other[name]) for name in one}
            own = [jnp.where(place_of[name] == place, parts[name], 0) for name in parts]
            return sum(own[1:], start=own[0])

        change = jax.tree.map(jnp.subtract, new, old)
        lengths = jnp.sqrt(product(old, old)), jnp.sqrt(product(new, new))
        cosine = product(old, new) / (lengths[0] * lengths[1])
        return CovariateShift(jnp.sqrt(product(change, change)), cosine, *lengths)

    with jax.default_matmul_precision("highest"):
        old = gradient(before)
        return jax.lax.map(of_layer, jnp.arange(len(layers), dtype=jnp.int32))


def _either(condition: jax.Array, one: Params, other: Params) -> Params:
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), one, other)


def _inner(one: Params, other: Params) -> jax.Array:
    """⟨x, y⟩ of one layer."""
    products = jax.tree.map(lambda x, y: jnp.sum(x * y), one, other)
    return jax.tree.reduce(jnp.add, products)
