"""The loss on lines and planes through a point, along directions of comparable size."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.landscape import Quantity
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_leaves, check_like
from jaxml.types import Array, InputError, Params

Axes = Callable[[tuple[Any, ...], Any], tuple[int, ...] | None]
"""`(path, leaf) -> axes` over which the entries of one filter lie, None where a
direction must not change the leaf.
"""

EMBEDDING = "embedding"
"""Linen's name of a table of vectors, one row a token."""


def linen_filters(path: tuple[Any, ...], leaf: Any) -> tuple[int, ...] | None:
    """The axes of one unit's incoming weights: all but the last, as Linen lays kernels
    out.

    A filter of a dense kernel `[in, out]` is a column, of a convolution kernel
    `[h, w, in, out]` what leads to one output channel, and of a table called
    "embedding" `[token, feature]` a row. Vectors and numbers are None: biases, and
    scales and shifts of normalisation. The query, key and value kernels of Linen's
    attention, `[in, head, out]`, are cut by their last axis as well, so a filter takes
    one output of every head; other cuts and layouts need a function of their own.

    >>> linen_filters((), jnp.ones((3, 3, 1, 8))), linen_filters((), jnp.ones(8))
    ((0, 1, 2), None)
    """
    dimensions = jnp.ndim(leaf)
    if dimensions < 2:
        return None
    if path and getattr(path[-1], "key", None) == EMBEDDING:
        return (dimensions - 1,)
    return tuple(range(dimensions - 1))


def whole_layers(path: tuple[Any, ...], leaf: Any) -> tuple[int, ...] | None:
    """All axes of a leaf: the whole kernel is one group. Vectors and numbers are
    None.

    >>> whole_layers((), jnp.ones((2, 8))), whole_layers((), jnp.ones(8))
    ((0, 1), None)
    """
    del path
    dimensions = jnp.ndim(leaf)
    return tuple(range(dimensions)) if dimensions > 1 else None


def filter_normalised(
    params: Params, direction: Params, *, axes: Axes = linen_filters
) -> Params:
    """d_f ‖θ_f‖ / ‖d_f‖ for each filter f: a direction whose filters are as long as the
    network's.

    Networks that differ by the scale of a filter before a scale-invariant activation or
    normalisation then show slices of equal width, which plain directions do not.

    Args:
        params: θ.
        direction: d, a pytree like θ: a draw of `jaxml.tree.random_like`, an
            eigenvector.
        axes: which entries of a leaf form one filter; `whole_layers` normalises layer
            by layer.

    Returns:
        A direction like θ. A leaf for which `axes` is None is 0; so is a filter that
        is 0 in θ or in d.

    Raises:
        InputError: the parameters are empty or no floating-point arrays; the direction
            is not like them.

    Source: Li et al. 2018, arXiv:1712.09913, section 4; biases and parameters of
        normalisation are 0 in the authors' program.

    >>> kernel = jnp.array([[3.0, 0.0], [4.0, 2.0]])  # columns of lengths 5 and 2
    >>> filter_normalised(kernel, jnp.array([[1.0, -1.0], [0.0, 0.0]])).tolist()
    [[5.0, -2.0], [0.0, 0.0]]
    """
    check_leaves(params)
    check_like(direction, params, "direction")
    return run(_normalised, (axes,), params, direction)


def _normalised(axes: Axes, params: Params, direction: Params) -> Params:
    def normalised(path: tuple[Any, ...], theta: Array, d: Array) -> jax.Array:
        over = axes(path, theta)
        if over is None:
            return jnp.zeros_like(d)
        wanted, length = _lengths(theta, over), _lengths(d, over)
        safe = jnp.where(length > 0, length, jnp.ones_like(length))
        return jnp.asarray(d) * (wanted / safe)

    return jax.tree_util.tree_map_with_path(normalised, params, direction)


def _lengths(leaf: Array, over: tuple[int, ...]) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(leaf), axis=over, keepdims=True))


def orthogonalised(second: Params, first: Params) -> Params:
    """d₂ - d₁ ⟨d₁, d₂⟩ / ⟨d₁, d₁⟩: the part of the second direction orthogonal to the
    first.

    Two independent random directions are orthogonal up to about 1/√p, so this moves
    the lengths of normalised filters little; normalising again would undo it.

    Raises:
        InputError: the second direction is not like the first.

    >>> axis, diagonal = jnp.array([2.0, 0.0]), jnp.array([1.0, 1.0])
    >>> orthogonalised(diagonal, axis).tolist()
    [0.0, 1.0]
    """
    check_leaves(first)
    check_like(second, first, "second direction")
    return run(_orthogonal_part, (), second, first)


def _orthogonal_part(second: Params, first: Params) -> Params:
    square = tree.vdot(first, first)
    safe = jnp.where(square > 0, square, jnp.ones_like(square))
    return tree.axpy(-tree.vdot(first, second) / safe, first, second)


def line(
    quantities: Mapping[str, Quantity],
    params: Params,
    direction: Params,
    batch: Any,
    *,
    at: Array,
) -> dict[str, Any]:
    """Named quantities at θ + x d, for each x of `at`.

    One evaluation of every quantity a point, one after another, at the highest matrix
    precision. Works inside `jit` and `vmap`; outside, the program is kept.

    Args:
        quantities: by name, `(params, batch) -> value`.
        params: θ.
        direction: d, a pytree like θ.
        batch: passed to the quantities.
        at: `[x]`.

    Returns:
        By name, with a leading axis `[x]`.

    Raises:
        InputError: no quantity, `at` is no vector, the direction is not like θ.

    Source: Goodfellow, Vinyals and Saxe 2015, arXiv:1412.6544.

    >>> square = {"loss": lambda w, _: w @ w}
    >>> ones, x = jnp.ones(2), jnp.array([-1.0, 0.0, 1.0])
    >>> line(square, ones, ones, None, at=x)["loss"].tolist()
    [0.0, 2.0, 8.0]
    """
    _check_quantities(quantities)
    _check_values(at, "x")
    check_leaves(params)
    check_like(direction, params, "direction")
    named = tuple(quantities.items())
    return run(_line, (named,), params, direction, batch, jnp.asarray(at))


def plane(
    quantities: Mapping[str, Quantity],
    params: Params,
    first: Params,
    second: Params,
    batch: Any,
    *,
    at: tuple[Array, Array],
) -> dict[str, Any]:
    """Named quantities at θ + x d₁ + y d₂, for each x and y of `at`.

    Cost, precision and programs as `line`. The axes of a picture of it are true to
    scale where d₁ and d₂ are orthogonal and equally long.

    Args:
        quantities: by name, `(params, batch) -> value`.
        params: θ.
        first: d₁, a pytree like θ.
        second: d₂, a pytree like θ.
        batch: passed to the quantities.
        at: the values `[x]` and `[y]`.

    Returns:
        By name, with leading axes `[x, y]`.

    Raises:
        InputError: as `line`, of either direction.

    Source: Li et al. 2018, arXiv:1712.09913, section 3.

    >>> product = {"loss": lambda w, _: w[0] * w[1]}
    >>> e1, e2 = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
    >>> grid = jnp.array([1.0, 2.0]), jnp.array([-1.0, 0.0, 3.0])
    >>> plane(product, jnp.zeros(2), e1, e2, None, at=grid)["loss"].tolist()
    [[-1.0, 0.0, 3.0], [-2.0, 0.0, 6.0]]
    """
    _check_quantities(quantities)
    xs, ys = at
    _check_values(xs, "x")
    _check_values(ys, "y")
    check_leaves(params)
    check_like(first, params, "first direction")
    check_like(second, params, "second direction")
    named = tuple(quantities.items())
    values = jnp.asarray(xs), jnp.asarray(ys)
    return run(_plane, (named,), params, (first, second), batch, values)


def _line(
    named: tuple[tuple[str, Quantity], ...],
    params: Params,
    direction: Params,
    batch: Any,
    at: jax.Array,
) -> dict[str, Any]:
    def point(x: jax.Array) -> dict[str, Any]:
        return _values(named, tree.axpy(x, direction, params), batch)

    return jax.lax.map(point, at)


def _plane(
    named: tuple[tuple[str, Quantity], ...],
    params: Params,
    directions: tuple[Params, Params],
    batch: Any,
    at: tuple[jax.Array, jax.Array],
) -> dict[str, Any]:
    first, second = directions
    xs, ys = at

    def row(x: jax.Array) -> dict[str, Any]:
        return _line(named, tree.axpy(x, first, params), second, batch, ys)

    return jax.lax.map(row, xs)


def _values(
    named: tuple[tuple[str, Quantity], ...], params: Params, batch: Any
) -> dict[str, Any]:
    with jax.default_matmul_precision("highest"):
        return {name: quantity(params, batch) for name, quantity in named}


def _check_quantities(quantities: Mapping[str, Quantity]) -> None:
    if not quantities:
        raise InputError("There is no quantity to measure: name one or more.")


def _check_values(values: Array, name: str) -> None:
    if jnp.ndim(values) != 1 or jnp.size(values) == 0:
        raise InputError(
            f"The values of {name} are of shape {jnp.shape(values)}: give a vector of "
            "one or more."
        )
