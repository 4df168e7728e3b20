"""Weights of `units` that are constructed, not trained: exact curves, and steep steps.

They are the parameters of `units(count, activation)` for inputs `[n, 1]`, and can be
trained further. Arrays are float64 where JAX has it, as in `jax.enable_x64(True)`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.types import Array, InputError, Params

__all__ = [
    "hard_sigmoid",
    "hard_sigmoids_of_curve",
    "relus_of_curve",
    "relus_of_hard_sigmoids",
    "sigmoid_stairs",
    "stairs_bound",
]


def hard_sigmoid(inputs: Array) -> jax.Array:
    """min(max(z + ½, 0), 1): 0, then a ramp of slope 1 about 0, then 1.

    `jax.nn.hard_sigmoid` has the slope 1/6 instead.

    >>> hard_sigmoid(jnp.array([-1.0, 0.0, 0.25, 1.0])).tolist()
    [0.0, 0.5, 0.75, 1.0]
    """
    return jnp.clip(jnp.asarray(inputs) + 0.5, 0, 1)


def hard_sigmoids_of_curve(knots: Array, values: Array) -> Params:
    """y₀ + Σᵢ (yᵢ - yᵢ₋₁) h((x - mᵢ) / (tᵢ - tᵢ₋₁)), h the hard sigmoid: a piecewise
    linear curve exactly, on [t₀, tₙ].

    One hard sigmoid a piece, with its middle at mᵢ, so k kinks between the ends take
    k + 1. Before t₀ and after tₙ the sum is constant.

    Args:
        knots: t `[n + 1]`, increasing: the ends, and the kinks between them.
        values: y `[n + 1]`, of the curve at the knots.

    Returns:
        Parameters of `units(n, hard_sigmoid)`.

    Raises:
        InputError: fewer than two knots, knots that do not increase, as many values as
            there are not knots, or a number that is not finite.

    Source: Lee 2021, Machine Learning, the lecture that introduces deep learning.

    >>> tent = hard_sigmoids_of_curve(np.array([0.0, 1.0, 3.0]), np.array([5., 7., 6.]))
    >>> tent["hidden"]["kernel"].tolist(), tent["output"]["kernel"].tolist()
    ([[1.0, 0.5]], [[2.0], [-1.0]])
    """
    t, y = _checked(knots, values)
    slopes = 1 / np.diff(t)
    middles = (t[1:] + t[:-1]) / 2
    return _weights(slopes, -middles * slopes, np.diff(y), y[0])


def relus_of_curve(knots: Array, values: Array) -> Params:
    """y₀ + Σᵢ (sᵢ₊₁ - sᵢ) relu(x - tᵢ), s the slopes of the pieces and s₀ = 0: a
    piecewise linear curve exactly, on [t₀, tₙ].

    One ReLU a piece, so k kinks between the ends take k + 1. After tₙ the last piece
    goes on.

    Args:
        knots: as `hard_sigmoids_of_curve` takes them.
        values: as it takes them.

    Returns:
        Parameters of `units(n, jax.nn.relu)`.

    Raises:
        InputError: as `hard_sigmoids_of_curve`.

    >>> tent = relus_of_curve(np.array([0.0, 1.0, 3.0]), np.array([5.0, 7.0, 6.0]))
    >>> tent["hidden"]["bias"].tolist(), tent["output"]["kernel"].tolist()
    ([-0.0, -1.0], [[2.0], [-2.5]])
    """
    t, y = _checked(knots, values)
    slopes = np.diff(y) / np.diff(t)
    changes = np.diff(slopes, prepend=0.0)
    return _weights(np.ones_like(changes), -t[:-1], changes, y[0])


def relus_of_hard_sigmoids(params: Params) -> Params:
    """c h(z) = c relu(z + ½) - c relu(z - ½): two ReLUs for each hard sigmoid.

    The function is the same everywhere, of any number of inputs.

    Args:
        params: of `units(i, hard_sigmoid)`.

    Returns:
        Parameters of `units(2i, jax.nn.relu)`.

    Source: Lee 2021, Machine Learning, the lecture that introduces deep learning.
    """
    kernel, bias = params["hidden"]["kernel"], params["hidden"]["bias"]
    heights = params["output"]["kernel"]
    return {
        "hidden": {
            "kernel": jnp.concatenate([kernel, kernel], axis=1),
            "bias": jnp.concatenate([bias + 0.5, bias - 0.5]),
        },
        "output": {
            "kernel": jnp.concatenate([heights, -heights]),
            "bias": params["output"]["bias"],
        },
    }


def sigmoid_stairs(
    values: Array, low: float, high: float, *, steepness: float = 8.0
) -> Params:
    """f(x₀) + Σᵢ (f(xᵢ) - f(xᵢ₋₁)) σ(s (x - mᵢ) / d): a step of σ midway between each
    two of n + 1 points at a distance of d.

    The weights σ(zᵢ) - σ(zᵢ₊₁) of the values f(xᵢ) are positive and sum to 1, so the
    sum is a mean of values near x; how near, says `stairs_bound`.

    Args:
        values: f `[n + 1]`, at equal steps from `low` to `high`, both included.
        low: the first point.
        high: the last.
        steepness: s, of a step relative to the distance of the points.

    Returns:
        Parameters of `units(n, jax.nn.sigmoid)`.

    Raises:
        InputError: fewer than two values, one that is not finite, an empty interval, or
            a steepness that is not positive.

    Source: after Cybenko 1989, Mathematics of Control, Signals and Systems 2; here each
        weight is given.

    >>> step = sigmoid_stairs(np.array([1.0, 4.0]), 0.0, 2.0, steepness=6.0)
    >>> step["hidden"]["kernel"].tolist(), step["output"]["kernel"].tolist()
    ([[3.0]], [[3.0]])
    """
    y = np.asarray(values, np.float64)
    _check_stairs(low, high, steepness)
    points, y = _checked(np.linspace(low, high, max(len(y), 1)), y)
    middles = (points[1:] + points[:-1]) / 2
    slope = steepness * len(middles) / (high - low)
    return _weights(np.full_like(middles, slope), -middles * slope, np.diff(y), y[0])


def stairs_bound(
    lipschitz: float, count: int, low: float, high: float, *, steepness: float = 8.0
) -> float:
    """L d (½ + 2 ln 2 / s): no error of `sigmoid_stairs` on [low, high] is larger.

    Its sum is the mean of f at the point nearest to x plus logistic noise of scale
    d / s, whose mean size is 2 ln 2 · d / s; the nearest point adds d / 2 at most.

    Args:
        lipschitz: L, the steepest slope of f.
        count: n, so that d = (high - low) / n.
        low: the first point.
        high: the last.
        steepness: s.

    Raises:
        InputError: no step, a negative slope, or as `sigmoid_stairs`.

    >>> round(stairs_bound(1.0, 10, 0.0, 1.0, steepness=8.0), 6)
    0.067329
    """
    _check_stairs(low, high, steepness)
    if count < 1 or not lipschitz >= 0:
        raise InputError(
            f"{count} steps for a slope of {lipschitz} have no bound: give 1 or more, "
            "and a slope of 0 or more."
        )
    distance = (high - low) / count
    return lipschitz * distance * (0.5 + 2 * math.log(2) / steepness)


def _check_stairs(low: float, high: float, steepness: float) -> None:
    if not (math.isfinite(high - low) and high > low and 0 < steepness < math.inf):
        raise InputError(
            f"Steps of steepness {steepness} from {low} to {high} are none: give an "
            "interval from low to high, and a positive steepness."
        )


def _checked(knots: Array, values: Array) -> tuple[np.ndarray, np.ndarray]:
    """Both in float64, if they make a curve."""
    t, y = np.asarray(knots, np.float64), np.asarray(values, np.float64)
    if t.ndim != 1 or t.shape != y.shape or len(t) < 2:
        raise InputError(
            f"Knots {t.shape} with values {y.shape} make no curve: give one value a "
            "knot, and two knots or more."
        )
    if not (np.isfinite(t).all() and np.isfinite(y).all() and (np.diff(t) > 0).all()):
        raise InputError(
            "A curve goes through finite points from left to right: sort its knots, "
            "and let no two be equal."
        )
    return t, y


def _weights(
    slopes: np.ndarray, shifts: np.ndarray, heights: np.ndarray, constant: float
) -> Params:
    """The parameters of `units` with one input."""
    return {
        "hidden": {"kernel": jnp.asarray(slopes[None]), "bias": jnp.asarray(shifts)},
        "output": {
            "kernel": jnp.asarray(heights[:, None]),
            "bias": jnp.asarray([constant]),
        },
    }
