"""The curvature of some leaves of the parameters, the others held fixed."""

import functools
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxml.curvature.space import check_leaves, check_like
from jaxml.types import InputError, Matvec, Params


class Restricted(NamedTuple):
    """A function of some leaves alone.

    Attributes:
        function: `(selected, batch) -> value`, the others held where they were.
        params: the selected leaves; in the place of every other stands None, which is
            no leaf.
    """

    function: Callable[[Params, Any], Any]
    params: Params


class RestrictedProduct(NamedTuple):
    """A block of a matrix, as a product.

    Attributes:
        product: of vectors like `params`.
        params: the selected leaves; in the place of every other stands None, which is
            no leaf.
    """

    product: Matvec
    params: Params


def leaf_paths(params: Params) -> tuple[str, ...]:
    """The name of every leaf: where it stands in the pytree, as in "Dense_0/kernel".

    >>> leaf_paths({"Dense_0": {"bias": 0.0, "kernel": 1.0}, "scales": [2.0]})
    ('Dense_0/bias', 'Dense_0/kernel', 'scales/0')
    """
    found, _ = jax.tree_util.tree_flatten_with_path(params)
    return tuple(
        jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in found
    )


def restricted(
    function: Callable[[Params, Any], Any],
    params: Params,
    select: Callable[[str], Any],
) -> Restricted:
    """θ_S ↦ f(θ_S, θ_rest): its Hessian is the block H_SS of the whole one.

    Whatever takes an objective takes the restricted one, and `outputs` of a
    Gauss-Newton or Fisher product are restricted likewise; only what S needs is
    differentiated. Leaves outside S may be of any kind. The other leaves are constants
    of the new function, so that another point is another function, which compiles anew:
    where the point moves, call it inside `jit`, or take `restricted_product`.

    Args:
        function: `(params, batch) -> value`.
        params: the point, a pytree.
        select: whether the leaf of a path (see `leaf_paths`) is in S, such as
            `re.compile("Dense_0/").match`.

    Raises:
        InputError: no leaf is selected, or one of those is no floating-point array.

    >>> product = lambda w, _: w["a"] * w["b"] ** 2
    >>> at = {"a": jnp.array(3.0), "b": jnp.array(2.0)}
    >>> part = restricted(product, at, "b".__eq__)
    >>> float(part.function({"a": None, "b": jnp.array(1.0)}, None))
    3.0
    """
    mask = _mask(params, select)
    leaves, structure = jax.tree.flatten(params)
    chosen = _selected(params, mask)
    check_leaves(chosen)

    def of_selected(selected: Params, batch: Any) -> Any:
        ours = iter(jax.tree.leaves(selected))
        merged = [
            next(ours) if take else leaf
            for take, leaf in zip(mask, leaves, strict=True)
        ]
        return function(jax.tree.unflatten(structure, merged), batch)

    return Restricted(of_selected, chosen)


def restricted_product(
    product: Matvec, params: Params, select: Callable[[str], Any]
) -> RestrictedProduct:
    """v ↦ (A v)_S for v that is zero outside S: the block A_SS of any symmetric map.

    One linearisation serves all blocks, and another point compiles nothing again; each
    product costs one of the whole map.

    Args:
        product: of vectors like `params`.
        params: the space it acts on.
        select: as in `restricted`.

    Raises:
        InputError: no leaf is selected; the parameters are not floating-point arrays;
            at a call, a direction of another shape.

    >>> crossed = lambda v: {"a": 5.0 * v["b"], "b": 5.0 * v["a"] + 2.0 * v["b"]}
    >>> at = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    >>> block = restricted_product(crossed, at, "b".__eq__)
    >>> block.product({"a": None, "b": jnp.ones(1)})["b"].tolist()
    [2.0]
    """
    check_leaves(params)
    mask = _mask(params, select)
    chosen = _selected(params, mask)
    shapes = tuple(
        jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(params)
    )
    block = _block(jax.tree.structure(params), mask, shapes)
    bind = Partial if isinstance(product, Partial) else functools.partial
    return RestrictedProduct(bind(block, product), chosen)


@lru_cache
def _block(
    structure: Any, mask: tuple[bool, ...], shapes: tuple[jax.ShapeDtypeStruct, ...]
) -> Callable[[Matvec, Params], Params]:
    """`(product, v) -> (A v)_S`, one function for all points of one selection."""
    like = _selected(jax.tree.unflatten(structure, shapes), mask)

    def block(product: Matvec, vector: Params) -> Params:
        check_like(vector, like, "direction")
        ours = iter(jax.tree.leaves(vector))
        padded = [
            next(ours) if take else jnp.zeros(shape.shape, shape.dtype)
            for take, shape in zip(mask, shapes, strict=True)
        ]
        return _selected(product(jax.tree.unflatten(structure, padded)), mask)

    return block


def _mask(params: Params, select: Callable[[str], Any]) -> tuple[bool, ...]:
    """Which leaves are selected."""
    paths = leaf_paths(params)
    mask = tuple(bool(select(path)) for path in paths)
    if not any(mask):
        raise InputError(
            "No leaf of the parameters is selected: select some of "
            f"{', '.join(paths) or 'a pytree that has leaves'}."
        )
    return mask


def _selected(x: Any, mask: tuple[bool, ...]) -> Any:
    """The selected leaves of x, and None for the others."""
    leaves, structure = jax.tree.flatten(x)
    chosen = [leaf if take else None for take, leaf in zip(mask, leaves, strict=True)]
    return jax.tree.unflatten(structure, chosen)
