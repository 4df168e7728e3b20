"""A flatness that does not change when layers are rescaled."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.hutchinson import Estimate, check_probes, mean_over, signs_like
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_space
from jaxml.types import InputError, Key, Objective, Params, Scalar


def relative_flatness(
    objective: Objective, params: Params, batch: Any, *, layer: str
) -> Scalar:
    """κ = Σₛₛ′ ⟨wₛ, wₛ′⟩ tr Hₛₛ′ over the units s, s′ of one layer.

    wₛ are the weights into unit s, a column of a kernel `[in, out]`, and
    Hₛₛ′ = ∂²L/∂wₛ∂wₛ′, `[in, in]`. Where (W₁, b₁, W₂) becomes (aW₁, ab₁, W₂/a), which
    changes no output of a ReLU network, the κ of either layer stays as it is. High is
    sharp.

    KᵀK = RᵀR by a QR decomposition of the kernel K, so κ = Σₜᵣ ⟨eₜRᵣ, H eₜRᵣ⟩:
    in · min(in, out) products with the layer's Hessian, min(in, out) at once.
    `relative_flatness_estimate` costs one product a probe.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the point, a pytree.
        batch: passed to the objective.
        layer: the kernel's path in the pytree, such as "layer_01/kernel"; the one
            before the outputs is the authors' choice.

    Raises:
        InputError: no such leaf, or one that is no matrix; the parameters are empty, or
            not of one precision.

    Source: Petzka et al. 2021, arXiv:2001.00939, definition 3; the rescaling, Dinh et
    al. 2017, arXiv:1703.04933.

    >>> squares = lambda params, _: jnp.sum(params["w"] ** 2)
    >>> params = {"w": jnp.array([[1.0, 2.0]])}
    >>> float(relative_flatness(squares, params, None, layer="w"))
    10.0
    """
    check_space(params)
    return run(_exact, (objective, _place(params, layer)), params, batch)


def relative_flatness_estimate(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    layer: str,
    key: Key,
    probes: int,
) -> Estimate:
    """`relative_flatness` as the mean of ⟨ZR, H ZR⟩ over matrices Z of random signs.

    One product a probe, with R of KᵀK = RᵀR and Z `[in, min(in, out)]`, since
    E (ZR)ₜₛ(ZR)ₜ′ₛ′ is (RᵀR)ₛₛ′ where t = t′ and 0 elsewhere.

    Raises:
        InputError: as `relative_flatness`, or no probe.
    """
    check_space(params)
    check_probes(probes)
    keys = jax.random.split(key, probes)
    return run(_estimated, (objective, _place(params, layer)), params, batch, keys)


class _Layer(NamedTuple):
    """A kernel's factor R, `[r, out]`, and the product with its Hessian."""

    factor: jax.Array
    product: Callable[[jax.Array], jax.Array]


def _exact(objective: Objective, place: int, params: Params, batch: Any) -> Scalar:
    kernel = jax.tree.leaves(params)[place]
    with jax.default_matmul_precision("highest"):
        layer = _of_layer(objective, place, params, batch)

        def of_input(row: jax.Array) -> Scalar:
            def along(factor: jax.Array) -> Scalar:
                direction = jnp.zeros_like(kernel).at[row].set(factor)
                return tree.vdot(direction, layer.product(direction))

            return jnp.sum(jax.vmap(along)(layer.factor))

        return jnp.sum(jax.lax.map(of_input, jnp.arange(len(kernel))))


def _estimated(
    objective: Objective, place: int, params: Params, batch: Any, keys: jax.Array
) -> Estimate:
    kernel = jax.tree.leaves(params)[place]
    with jax.default_matmul_precision("highest"):
        layer = _of_layer(objective, place, params, batch)
        shape = jnp.zeros((len(kernel), len(layer.factor)), kernel.dtype)

        def probe(key: Key) -> Scalar:
            direction = signs_like(shape, key) @ layer.factor
            return tree.vdot(direction, layer.product(direction))

        return mean_over(jax.lax.map(probe, keys))


def _of_layer(objective: Objective, place: int, params: Params, batch: Any) -> _Layer:
    leaves, structure = jax.tree.flatten(params)

    def loss(kernel: jax.Array) -> Scalar:
        replaced = [*leaves[:place], kernel, *leaves[place + 1 :]]
        return objective(jax.tree.unflatten(structure, replaced), batch)

    kernel = jnp.asarray(leaves[place])
    _, product = jax.linearize(jax.grad(loss), kernel)
    return _Layer(jnp.linalg.qr(kernel, mode="r"), product)


def _place(params: Params, layer: str) -> int:
    """Where among the leaves the kernel of a layer is."""
    places = {}
    for place, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(params)):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if jnp.ndim(leaf) == 2:
            places[name] = place
    if layer not in places:
        known = ", ".join(places) or "none: give a network that has one"
        raise InputError(f"{layer!r} is no matrix of the parameters: take {known}.")
    return places[layer]
