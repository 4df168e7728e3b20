"""The plane that shows most of training trajectories, and what a random walk would
show.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import memory, tree
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_space
from jaxml.types import Array, InputError


class PrincipalPlane(NamedTuple):
    """Principal components of points in the space of parameters.

    Attributes:
        mean: of all points, `[p]`.
        components: orthonormal directions, `[component, p]`, by falling variance; 0
            where all variance is in those before.
        explained: each component's fraction of the whole variance, `[component]`.
        projections: coordinates of the points, `[..., component]`, from the mean.
        residuals: of each point, the fraction of its squared distance from the mean
            that the components do not show, `[...]`; 0 at the mean itself.
    """

    mean: Float[jax.Array, " p"]
    components: Float[jax.Array, "component p"]
    explained: Float[jax.Array, " component"]
    projections: Float[jax.Array, "... component"]
    residuals: Float[jax.Array, "..."]


def principal_plane(weights: Array, *, count: int = 2) -> PrincipalPlane:
    """The plane in which points, centred at their mean, have most variance: principal
    components.

    From the Gram matrix of the n centred points: n² p operations and n p numbers beside
    the weights, no matrix of p x p, so p may be a million. Squaring costs half of the
    digits: components whose fraction of the variance is near the precision are noise.
    The plane is fixed up to signs, which are chosen so that the first point has
    coordinates of 0 or more. Works inside `jit`; outside, the program is kept.

    A plane shows curves of high-dimensional random walks as smooth arcs: compare
    `explained` with `random_walk_variances`, and read a picture beside its residuals.

    Args:
        weights: one run `[point, p]`, or several in one shared plane `[run, point, p]`,
            such as `jax.vmap(lambda params: tree.ravel(params)[0])(stacked)`. Where the
            runs begin at different weights, the differences between runs are part of
            the variance: subtract each run's first point to leave them out.
        count: of components; at most the number of points minus 1, and p.

    Raises:
        InputError: weights of other axes, not of float32 or float64, too few points, or
            more than fits in memory.

    Source: Jolliffe 2002, Principal Component Analysis, section 3.5; for trajectories
        Li et al. 2018, arXiv:1712.09913, section 7.

    >>> corners = jnp.array([[2.0, 1, 0], [2, -1, 0], [-2, 1, 0], [-2, -1, 0]])
    >>> found = principal_plane(corners, count=1)
    >>> [f"{float(fraction):.2f}" for fraction in found.explained]
    ['0.80']
    """
    dtype = check_space(weights)
    if jnp.ndim(weights) not in (2, 3):
        raise InputError(
            f"Weights of shape {jnp.shape(weights)} are no trajectories: give "
            "[point, p], or [run, point, p]."
        )
    size = weights.shape[-1]
    points = weights.size // max(size, 1)
    if not 1 <= count <= min(points - 1, size):
        raise InputError(
            f"{points} points of {size} parameters have no {count} principal "
            "components: lower count, or give more points."
        )
    needed = 2 * points * size * dtype.itemsize
    memory.require(needed, f"Centring {points} points", "keep fewer points of each run")
    return run(_principal, (count,), jnp.asarray(weights))


def projected(
    plane: PrincipalPlane, weights: Array
) -> tuple[Float[jax.Array, "... component"], Float[jax.Array, "..."]]:
    """Coordinates in a plane of points that it was not made from, and what the plane
    does not show of them.

    Args:
        plane: of `principal_plane`.
        weights: `[..., p]`.

    Returns:
        As `PrincipalPlane.projections` and `residuals`.

    Raises:
        InputError: the points have another number of parameters.

    >>> plane = principal_plane(jnp.array([[1.0, 0.0], [-1.0, 0.0]]), count=1)
    >>> coordinates, residuals = projected(plane, jnp.array([3.0, 3.0]))
    >>> f"{float(coordinates[0]):.3f}, {float(residuals):.3f}"
    '3.000, 0.500'
    """
    check_space(weights)
    if jnp.shape(weights)[-1:] != plane.mean.shape:
        raise InputError(
            f"Points of shape {jnp.shape(weights)} do not lie in a space of "
            f"{plane.mean.size} parameters: give [..., {plane.mean.size}]."
        )
    size = plane.mean.size
    points = jnp.reshape(jnp.asarray(weights), (-1, size))
    found = run(_projected, (), plane.mean, plane.components, points)
    coordinates, residuals = found
    shape = weights.shape[:-1]
    return coordinates.reshape(*shape, -1), residuals.reshape(shape)


def random_walk_variances(
    points: int, *, count: int, runs: int = 1
) -> Float[np.ndarray, " component"]:
    """1 / (4 sin²(πk/2n)) over the sum (n² - 1)/6: each component's fraction of the
    variance of a random walk of n points in infinitely many dimensions.

    The control for `PrincipalPlane.explained`: for large n the fractions are 6/(πk)²,
    so 61 % and 15 % lie in a plane whatever was or was not learned. Valid where the
    parameters are many more than the points, and the steps of equal length, independent
    and isotropic.

    With several runs from one starting point (all of which are points), the covariance
    falls into the mean over runs, with the values above, and runs - 1 copies of a walk
    that is not centred, with 1 / (4 sin²(π(2k - 1)/(4n - 2))), k = 1, …, n - 1: so
    planes of several runs show less.

    Args:
        points: n of each run, its start included; 2 or more.
        count: of components; at most n runs - runs.
        runs: that start at one point; 1 or more.

    Raises:
        InputError: numbers outside these ranges.

    Source: Antognini and Sohl-Dickstein 2018, arXiv:1806.08805, section 3; for finite n
        and several runs, the spectra of path graphs with free, and with one fixed end
        (Strang 1999, The discrete cosine transform, SIAM Review 41).

    >>> random_walk_variances(1000, count=2).round(3).tolist()
    [0.608, 0.152]
    """
    most = runs * (points - 1)
    if points < 2 or runs < 1 or not 1 <= count <= most:
        raise InputError(
            f"{runs} random walks of {points} points have no {count} components: take "
            "2 points or more, 1 run or more, and fewer components."
        )
    modes = np.arange(1, points)
    centred = _inverse_square_sine(modes / points)
    odd = 2 * modes - 1
    fixed = _inverse_square_sine(odd / (2 * points - 1))
    copies = np.repeat(fixed, runs - 1)
    values = np.concatenate([centred, copies])
    descending = np.sort(values)[::-1]
    return descending[:count] / np.sum(values)


def random_walk_projections(
    points: int, *, count: int
) -> Float[np.ndarray, "point component"]:
    """cos(πk(t - 1/2)/n) / (2 sin(πk/2n)) · √(2/n), t = 1, …, n: the coordinates of a
    random walk with unit steps in its own principal components.

    Any two of them draw a Lissajous curve; the first two a parabola. They are fixed up
    to signs, in infinitely many dimensions, as `random_walk_variances`.

    Args:
        points: n, 2 or more.
        count: of components; at most n - 1.

    Raises:
        InputError: numbers outside these ranges.

    Source: Antognini and Sohl-Dickstein 2018, arXiv:1806.08805, section 3.

    >>> x, y = random_walk_projections(3, count=2).T
    >>> x.round(3).tolist(), y.round(3).tolist()
    ([0.707, 0.0, -0.707], [0.236, -0.471, 0.236])
    """
    if points < 2 or not 1 <= count <= points - 1:
        raise InputError(
            f"A random walk of {points} points has no {count} components: take at most "
            "the number of points minus 1."
        )
    modes = np.arange(1, count + 1)
    times = np.arange(points) + 0.5
    phases = np.outer(times, modes)
    waves = np.cos(np.pi / points * phases)
    unit = np.sqrt(2 / points) * waves
    return unit * np.sqrt(_inverse_square_sine(modes / points))


def _inverse_square_sine(fractions: np.ndarray) -> np.ndarray:
    """1 / (4 sin²(πx/2))."""
    sines = np.sin(np.pi / 2 * fractions)
    return 1 / (4 * sines**2)


def _principal(count: int, weights: jax.Array) -> PrincipalPlane:
    points = weights.reshape(-1, weights.shape[-1])
    mean = jnp.mean(points, axis=0)
    centred = points - mean[None]
    components, explained = _components(count, centred)
    projections, residuals = _projected(mean, components, points)
    shape = weights.shape[:-1]
    return PrincipalPlane(
        mean,
        components,
        explained,
        projections.reshape(*shape, count),
        residuals.reshape(shape),
    )


def _components(count: int, centred: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Directions `[component, p]` and their fractions of the variance."""
    gram = _product(centred, centred.T)
    ascending, eigenvectors = jnp.linalg.eigh(gram)
    values = jnp.flip(ascending)[:count]
    descending = jnp.flip(eigenvectors.T, axis=0)
    rows = descending[:count]
    first = rows[:, :1]
    mirrored = jnp.where(first < 0, -rows, rows)
    epsilon = jnp.finfo(centred.dtype).eps
    negligible = len(centred) * epsilon * ascending[-1]
    shown = values > negligible
    variances = jnp.where(shown, values, jnp.zeros_like(values))
    lengths = jnp.sqrt(_divisor(variances))
    directions = _product(mirrored, centred) / lengths[:, None]
    components = jnp.where(shown[:, None], directions, jnp.zeros_like(directions))
    return components, variances / _divisor(jnp.trace(gram))


def _projected(
    mean: jax.Array, components: jax.Array, points: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Point by point, so that no second copy of the points is made."""

    def one(point: jax.Array) -> tuple[jax.Array, jax.Array]:
        centred = point - mean
        coordinates = _product(components, centred)
        beyond = centred - _product(coordinates, components)
        outside = tree.vdot(beyond, beyond)
        return coordinates, outside / _divisor(tree.vdot(centred, centred))

    return jax.lax.map(one, points)


def _product(left: jax.Array, right: jax.Array) -> jax.Array:
    return jnp.matmul(left, right, precision="highest")


def _divisor(values: jax.Array) -> jax.Array:
    """The same values, 1 where they are 0 or less."""
    return jnp.where(values > 0, values, jnp.ones_like(values))
