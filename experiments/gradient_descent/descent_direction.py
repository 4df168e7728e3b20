"""Which way does gradient descent step, and do the coordinates know of each other?

Three sentences of the course are asked about. That the negative gradient is the
direction in which a function falls fastest (C161) is compared with 3,600 directions at
points drawn anew from each seed; the control is a step that is equally long in both
coordinates. That x₁ and x₂ have nothing to do with each other (C161) would show as a
partial derivative in w₁ that is the same whatever w₂ is; the control is a function
whose Hessian is diagonal.

That x should grow where f'(x) > 0 (X1) contradicts the course's own update. It is asked
at every point of a grid with f'(x) > 0: does f fall if x grows by 0.05 f'(x)? The
control is a step against the derivative. Neither can fail while 0.05 |f''| < 2, as in
both functions; a longer step might leap a maximum.

What contradicts the course is asked of two functions each.

Claims: C161, X1.
Cost: one second on 2 cores.
Expect: the gradient is steepest; coordinates are coupled; increasing x raises the
function.
Run: jaxml run descent_direction
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import (
    Axes,
    Figure,
    label,
    legend_below,
    panels,
    shared_legend,
    strips,
)
from jaxml.types import Keep, Objective, Scalar

STEP = 0.05  # of x, in f'(x)
DIRECTIONS = 3600  # around the circle
PLANES = ("(1 - w₁w₂)²", "w₁² + w₁w₂ + w₂²", "w₁² + w₂²")
CURVES = ("(x - 1)² + 1 on (1, 6]", "x sin x on (0, 14]")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Points of the plane that are drawn, and points of the grids on the line."""

    points: int = 20
    starts: int = 1400
    seed: int = 0


SMOKE = Config(points=4, starts=56)


class Result(NamedTuple):
    """Directions, couplings, and what a step does.

    Attributes:
        gradient: the angle between -∇f and the direction that falls fastest, in
            radians.
        even: the same of a step that is equally long in both coordinates.
        coupled: the change of ∂f/∂w₁ at w₁ = 0 where w₂ goes from 0 to 1.
        starts: points of the line.
        derivatives: f' there.
        along: f(x + STEP f'(x)) - f(x).
        against: f(x - STEP f'(x)) - f(x).
    """

    gradient: Float[np.ndarray, " point"]
    even: Float[np.ndarray, " point"]
    coupled: Float[np.ndarray, " plane"]
    starts: Float[np.ndarray, "curve start"]
    derivatives: Float[np.ndarray, "curve start"]
    along: Float[np.ndarray, "curve start"]
    against: Float[np.ndarray, "curve start"]


def study(config: Config, keep: Keep) -> Result:
    """Two programs in float64."""
    with jax.enable_x64(True):
        angles = keep("plane", jax.jit(partial(_angles, config)))
        changes = keep("line", jax.jit(partial(_changes, config)))
    return Result(*angles, *changes)


def _angles(config: Config) -> tuple[jax.Array, ...]:
    """What `Result` holds of the plane."""
    shape = (config.points, 2)
    points = jax.random.normal(randomness.key(config.seed), shape)
    steepest = jax.vmap(_steepest)(points)
    down = -_over_points(jax.grad(problem.bilinear), points)
    planes = (problem.bilinear, _tilted, _round)
    coupled = jnp.stack([_coupling(plane) for plane in planes])
    return _between(steepest, down), _between(steepest, jnp.sign(down)), coupled


def _changes(config: Config) -> tuple[jax.Array, ...]:
    """What `Result` holds of the line."""
    fractions = jnp.arange(1, config.starts + 1) / config.starts
    parts = (
        _steps(problem.parabola, 1 + 5 * fractions),
        _steps(problem.x_sin_x, 14 * fractions),
    )
    return jax.tree.map(lambda *curves: jnp.stack(curves), *parts)


def _over_points(function: Objective, points: jax.Array) -> jax.Array:
    return jax.vmap(function, (0, None))(points, None)


def _tilted(w: jax.Array, batch: None) -> Scalar:
    """w₁² + w₁w₂ + w₂²."""
    del batch
    return jnp.sum(w**2) + jnp.prod(w)


def _round(w: jax.Array, batch: None) -> Scalar:
    """w₁² + w₂²."""
    del batch
    return jnp.sum(w**2)


def _steepest(point: jax.Array) -> jax.Array:
    """The direction along which the derivative of (1 - w₁w₂)² is lowest."""
    angles = jnp.linspace(-jnp.pi, jnp.pi, DIRECTIONS + 1)
    directions = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)

    def derivative(direction: jax.Array) -> jax.Array:
        """Of the function along a line through the point."""

        def height(distance: jax.Array) -> Scalar:
            return problem.bilinear(point + distance * direction, None)

        return jax.grad(height)(0.0)

    lowest = jnp.argmin(jax.vmap(derivative)(directions))
    return directions[lowest]


def _between(one: jax.Array, other: jax.Array) -> jax.Array:
    """The angles between the vectors of two arrays, in radians."""
    sine = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    cosine = jnp.sum(one * other, axis=1)
    return jnp.abs(jnp.arctan2(sine, cosine))


def _coupling(plane: Objective) -> jax.Array:
    """How much ∂f/∂w₁ at w₁ = 0 changes where w₂ goes from 0 to 1."""
    points = jnp.array([[0.0, 0.0], [0.0, 1.0]])
    partials = _over_points(jax.grad(plane), points)[:, 0]
    return partials[1] - partials[0]


def _steps(curve: Objective, starts: jax.Array) -> tuple[jax.Array, ...]:
    """Starts, derivatives, and the change of f in a step along and against the
    gradient.
    """
    heights = _over_points(curve, starts)
    derivatives = _over_points(jax.grad(curve), starts)
    along = _over_points(curve, starts + STEP * derivatives)
    against = _over_points(curve, starts - STEP * derivatives)
    return starts, derivatives, along - heights, against - heights


def findings(result: Result) -> tuple[Assertion, ...]:
    """Angles to the resolution, changes to the bit, and fractions of grids."""
    parabola, waves = CURVES
    return (
        *_directions(result),
        *_couplings(result),
        *_uphill(parabola, result, 0),
        *_uphill(waves, result, 1),
    )


def _directions(result: Result) -> tuple[Assertion, ...]:
    points = len(result.gradient)
    setting = f"f(w) = (1 - w₁w₂)² at {points} normal points, {DIRECTIONS:,} directions"
    resolution = record.at_most(np.pi / DIRECTIONS)
    return (
        record.deciding(
            "C161",
            "The negative gradient is the direction in which the function falls "
            "fastest: the angle between them.",
            record.largest(result.gradient),
            resolution,
            unit="radians",
            setting=setting,
        ),
        record.supporting(
            "C161",
            "Control: the direction in which both coordinates step equally far is the "
            "one in which the function falls fastest: the angle between them.",
            record.largest(result.even),
            resolution,
            unit="radians",
            setting=setting,
        ),
    )


def _couplings(result: Result) -> list[Assertion]:
    """By function; that with a diagonal Hessian is the control."""
    statements = (
        (record.deciding, ""),
        (record.deciding, ""),
        (record.supporting, "Control, a diagonal Hessian: "),
    )
    found = []
    for plane, (role, control), change in zip(
        PLANES, statements, result.coupled, strict=True
    ):
        finding = role(
            "C161",
            f"{control}The coordinates have nothing to do with each other: the partial "
            "derivative in w₁ is the same at w₂ = 0 and at w₂ = 1.",
            record.largest(change[None]),
            record.at_most(0.0),
            unit="error",
            setting=f"f(w) = {plane} at w₁ = 0",
        )
        found.append(finding)
    return found


def _uphill(name: str, result: Result, curve: int) -> tuple[Assertion, ...]:
    """Fractions of the points with a positive derivative at which a step lowers f."""
    rising = result.derivatives[curve] > 0
    along = result.along[curve, rising]
    against = result.against[curve, rising]
    points = f"{len(along)} points of a grid with a positive derivative"
    setting = f"f(x) = {name}, {points}, steps of 0.05 f'(x)"
    return (
        record.deciding(
            "X1",
            "Where the derivative is positive, increasing x lowers the function.",
            record.certain(np.mean(along < 0), of=along),
            record.above(0.5),
            unit="fraction",
            setting=setting,
            figure="steps",
        ),
        record.supporting(
            "X1",
            "Control: where the derivative is positive, decreasing x lowers the "
            "function.",
            record.certain(np.mean(against < 0), of=against),
            record.above(0.5),
            unit="fraction",
            setting=setting,
            figure="steps",
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """What a step along and against a positive derivative does to f, by where it
    begins; and angles and couplings.
    """
    steps, axes = panels(1, 2)
    for curve, axis in enumerate(axes):
        _change_of_height(axis, result, curve)
    shared_legend(steps)
    directions, (angles, couplings) = panels(1, 2)
    off = {"-∇f": result.gradient, "both equally far (control)": result.even}
    strips(angles, off)
    limit = "half the distance of directions"
    angles.axhline(np.pi / DIRECTIONS, color="0.4", linestyle="--", label=limit)
    angles.set_yscale("log")
    label(angles, "(1 - w₁w₂)², a point a draw", "step", "angle to the steepest (rad)")
    couplings.scatter(PLANES, np.abs(result.coupled), color="black")
    couplings.axhline(0, color="0.4", linestyle=":", label="not coupled")
    y = "change of ∂f/∂w₁ at w₁ = 0"
    label(couplings, "Where w₂ goes from 0 to 1", "f (the last: control)", y)
    for axis in (angles, couplings):
        legend_below(axis)
    return {"steps": steps, "directions": directions}


def _change_of_height(axis: Axes, result: Result, curve: int) -> None:
    rising = result.derivatives[curve] > 0
    starts = result.starts[curve, rising]
    along, against = result.along[curve, rising], result.against[curve, rising]
    axis.scatter(starts, along, s=6, marker="^", label="x increases")
    axis.scatter(starts, against, s=6, marker="v", label="x decreases")
    axis.axhline(0, color="0.4", linestyle=":", label="neither higher nor lower")
    title = f"f(x) = {CURVES[curve]}"
    label(axis, title, "x, where f'(x) > 0", "change of f in one step")
