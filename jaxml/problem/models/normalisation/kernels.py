"""Layers whose kernels are made of other parameters: by length and direction, or over
their largest singular value.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxml.problem.models.chain import called
from jaxml.problem.models.normalisation.statistics import require_state
from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["spectral_normed", "weight_normed"]


FIRST_ITERATIONS = 32
"""Of the power iteration, before the first update."""


def weight_normed(layer: Model) -> Model:
    """The layer with kernels w = g v / ‖v‖: of each output unit a length g and a
    direction v, both learned.

    A kernel is a parameter of two axes or more; its norms are over all but the last,
    the outputs'. Parameters are `layer`, the layer's own with v in place of w, and
    `length`, the g by the kernel's path; at first g = ‖v‖, so that it begins as the
    layer does. The paper's first lengths from a batch are left out. A column of zeros
    has no direction, and gives NaN.

    Args:
        layer: such as `problem.linear(10)`, or a chain of layers.

    Raises:
        InputError: at initialisation, a layer without a kernel.

    Source: Salimans and Kingma 2016, arXiv:1602.07868, equation 2.
    """

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        params, state = layer.init(key, inputs)
        lengths = {name: _lengths(kernel) for name, kernel in _kernels(params).items()}
        return {"layer": params, "length": lengths}, state

    def apply(
        params: Params,
        state: Any,
        inputs: Array,
        *,
        train: bool,
        key: Key | None,
        mask: Array | None = None,
    ) -> tuple[jax.Array, Any]:
        def made(name: str, direction: jax.Array) -> jax.Array:
            factor = params["length"][name] / _lengths(direction)
            return direction * factor.reshape(*[1] * (direction.ndim - 1), -1)

        weights = _replaced(params["layer"], params["length"], made)
        return called(layer, (weights, state), inputs, (train, key, mask))

    return Model(init, apply)


def spectral_normed(layer: Model) -> Model:
    """The layer with kernels w / σ(w), σ = uᵀ w v the largest singular value, by one
    power iteration an update.

    A kernel is a parameter of two axes or more, read as a matrix `[all other axes,
    outputs]`; so of a convolution σ is that of the kernel, not of the map. Parameters
    are the layer's own; the state is `layer`, its own, and `left` and `right`, u and v
    by the kernel's path. Initialisation makes 32 iterations.

    u and v are constants of the gradient, as in the paper. There the iteration precedes
    the normalisation, here it follows it: so the loss in a given state is one smooth
    function of the parameters, in training and in evaluation, and gradients and Hessian
    products are those of that function. σ is late by one update.

    Args:
        layer: such as `problem.linear(10)`, or a chain of layers.

    Raises:
        InputError: at initialisation, a layer without a kernel; at a call, no state.

    Source: Miyato et al. 2018, arXiv:1802.05957, equation 8 and algorithm 1.
    """

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        params, state = layer.init(key, inputs)
        left, right = {}, {}
        for place, (name, kernel) in enumerate(_kernels(params).items()):
            drawn = jax.random.fold_in(jax.random.fold_in(key, 1), place)
            start = jax.random.normal(drawn, kernel.shape[-1:], jnp.float32)
            vectors = _iterated(kernel, start.astype(kernel.dtype), FIRST_ITERATIONS)
            left[name], right[name] = vectors
        return params, {"layer": state, "left": left, "right": right}

    def apply(
        params: Params,
        state: Any,
        inputs: Array,
        *,
        train: bool,
        key: Key | None,
        mask: Array | None = None,
    ) -> tuple[jax.Array, Any]:
        require_state(state)
        left, right = state["left"], state["right"]

        def made(name: str, kernel: jax.Array) -> jax.Array:
            return kernel / _times(left[name], _times(_matrix(kernel), right[name]))

        weights = _replaced(params, left, made)
        own = (weights, state["layer"])
        outputs, after = called(layer, own, inputs, (train, key, mask))
        if train:
            left, right = _next_vectors(params, right)
        return outputs, {"layer": after, "left": left, "right": right}

    return Model(init, apply)


def _next_vectors(
    params: Params, right: Mapping[str, jax.Array]
) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """u and v of every kernel after one more iteration, without a gradient."""
    lefts, rights = {}, {}
    for name, kernel in _kernels(jax.lax.stop_gradient(params)).items():
        lefts[name], rights[name] = _iterated(kernel, right[name], 1)
    return lefts, rights


def _iterated(
    kernel: jax.Array, right: jax.Array, iterations: int
) -> tuple[jax.Array, jax.Array]:
    """u ← w v / ‖w v‖, v ← wᵀ u / ‖wᵀ u‖, so many times."""
    matrix = _matrix(kernel)

    def once(_: Any, vectors: tuple[jax.Array, jax.Array]) -> Any:
        left = _unit(_times(matrix, vectors[1]))
        return left, _unit(_times(left, matrix))

    first = (jnp.zeros_like(matrix, shape=matrix.shape[:1]), right)
    return jax.lax.fori_loop(0, iterations, once, first)


def _times(one: Array, other: Array) -> jax.Array:
    """A product whose rounding is that of its dtype on every device."""
    return jnp.matmul(one, other, precision="highest")


def _unit(vector: jax.Array) -> jax.Array:
    tiny = jnp.finfo(vector.dtype).tiny
    return vector / jnp.maximum(jnp.linalg.norm(vector), tiny)


def _matrix(kernel: jax.Array) -> jax.Array:
    return kernel.reshape(-1, kernel.shape[-1])


def _lengths(kernel: jax.Array) -> jax.Array:
    """The norm over all axes but the last."""
    return jnp.sqrt(jnp.sum(jnp.square(_matrix(kernel)), axis=0))


def _kernels(params: Params) -> dict[str, jax.Array]:
    """The parameters of two axes or more by their path, such as `layer_00/kernel`.

    Raises:
        InputError: there is none.
    """
    kernels = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if leaf.ndim > 1:
            kernels[_name(path)] = leaf
    if not kernels:
        raise InputError(
            "The layer has no kernel, a parameter of two axes or more, to normalise: "
            "wrap a dense layer or a convolution."
        )
    return kernels


def _replaced(
    params: Params,
    names: Mapping[str, Any],
    made: Callable[[str, jax.Array], jax.Array],
) -> Params:
    """The parameters with those of such paths made anew."""

    def one(path: Any, leaf: jax.Array) -> jax.Array:
        name = _name(path)
        return made(name, leaf) if name in names else leaf

    return jax.tree_util.tree_map_with_path(one, params)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
