"""The lecture's two-parameter network: what the signs of a Hessian tell about a point,
and what not.

L = (1 - w₁w₂)², one example, no activation: a saddle at the origin, and two valleys of
global minima.

Claims: C047, C048, C049, A3.
Cost: two seconds on 2 cores.
Expect: every formula holds; minima fail the "all positive" test; descent can end in a
saddle.
Run: jaxml run toy_saddle
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import curvature, learn, problem, randomness, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

ROUNDING = 20 * float(np.finfo(np.float64).eps)
TOY = "L = (1 - w₁w₂)², one example, no activation"
NONDEGENERATE = slice(0, 2)  # rows of `around`: the saddle and the minimum
DEGENERATE = slice(2, 4)  # w⁴ and w³


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sample sizes."""

    points: int = 200
    neighbours: int = 2000
    steps: int = 2000
    rate: float = 0.05
    seed: int = 0


SMOKE = Config(points=20, neighbours=100, steps=400)


class Result(NamedTuple):
    """What formulas and Hessians say; `around` looks at L at 0, (x - 1)² + 1 at 1, and
    w⁴ and w³ at 0.
    """

    formula_error: Array  # [point], of gradient and Hessian, relative to 1 + ‖H‖
    saddle: Array  # [2], eigenvalues at the origin
    # [function, 4]: fractions of neighbours above and below, lowest and highest
    # eigenvalue
    around: Array
    lengths: Array  # [length], ε
    losses: Array  # [length], L(ε, ε)
    valley: Array  # [point], w₁ where w₁w₂ = 1
    valley_eigenvalues: Array  # [point, 2]
    path: Array  # [step, 2], gradient descent from beside the saddle
    trapped: (
        Array  # [start], distance to the saddle after gradient descent from w₁ = -w₂
    )


def _spectrum(objective, point):
    product = curvature.hessian_product(objective, point, None)
    return jnp.linalg.eigvalsh(curvature.dense(product, point))


def _formula_error(w):
    """How far JAX's derivatives are from those on the slide."""
    a, b = w
    gradient = jnp.stack([-2 * b * (1 - a * b), -2 * a * (1 - a * b)])
    off = 4 * a * b - 2
    hessian = jnp.array([[2 * b * b, off], [off, 2 * a * a]])
    ours = curvature.dense(curvature.hessian_product(problem.bilinear, w, None), w)
    first, second = jax.grad(problem.bilinear)(w, None) - gradient, ours - hessian
    return jnp.maximum(jnp.abs(first).max(), jnp.abs(second).max()) / (
        1 + jnp.abs(hessian).max()
    )


def _around(config, objective, point):
    """Fractions of neighbours within 0.01 that lie above and below, and the ends of the
    spectrum.
    """
    key, shape = randomness.key(config.seed), (config.neighbours, *point.shape)
    offsets = 0.01 * jax.random.uniform(key, shape, minval=-1, maxval=1)
    losses = jax.vmap(lambda offset: objective(point + offset, None))(offsets)
    change = losses - objective(point, None)
    fractions = jnp.stack([change > 0, change < 0]).mean(axis=1, dtype=float)
    return jnp.concatenate([fractions, _spectrum(objective, point)[jnp.array([0, -1])]])


def _of_vector(function):
    """A function of one number as one of a vector of length 1."""
    return lambda w, batch: function(w[0], batch)


def _points_of_zero_gradient(config):
    """What lies around each, a row of `around`."""
    zero, one = jnp.zeros(1), jnp.ones(1)
    rows = [
        _around(config, problem.bilinear, jnp.zeros(2)),
        _around(config, _of_vector(problem.parabola), one),
        _around(config, _of_vector(problem.quartic), zero),
        _around(config, _of_vector(problem.cubic), zero),
    ]
    return jnp.stack(rows)


def study(config, keep):
    """Everything in float64, in one program."""

    def descend(start):
        sgd = learn.sgd(learn.Hyper(lr=config.rate))
        return learn.descend(
            problem.bilinear, sgd, start, None, steps=config.steps, observe=lambda w: w
        )

    def trapped(w):
        return jnp.linalg.norm(descend(jnp.stack([w, -w])).params)

    def compute():
        points = jax.random.normal(randomness.key(config.seed), (config.points, 2))
        branch = jnp.geomspace(0.2, 5, config.points)
        valley = jnp.concatenate([-branch, branch])
        minima = jnp.stack([valley, 1 / valley], axis=1)
        lengths = jnp.linspace(-0.1, 0.1, 41)
        return Result(
            formula_error=jax.lax.map(_formula_error, points),
            saddle=_spectrum(problem.bilinear, jnp.zeros(2)),
            around=_points_of_zero_gradient(config),
            lengths=lengths,
            losses=jax.vmap(lambda e: problem.bilinear(e * jnp.ones(2), None))(lengths),
            valley=valley,
            valley_eigenvalues=jax.lax.map(
                partial(_spectrum, problem.bilinear), minima
            ),
            path=descend(jnp.array([0.011, 0.01])).observed,
            trapped=jax.vmap(trapped)(jnp.linspace(0.1, 1.5, 15)),
        )

    with jax.enable_x64(True):
        return keep("toys", lambda: jax.jit(compute)())


def findings(result):
    """Formulas to rounding; what the test of the eigenvalues' signs tells and misses is
    counted.
    """
    return (*_signs(result), *_slide(result), *_valley(result))


def _sides(around):
    """Whether the spectrum and the neighbours see something above and below [function,
    2], each.
    """
    spectrum = np.stack([around[:, 3] > ROUNDING, around[:, 2] < -ROUNDING], axis=1)
    return spectrum, around[:, :2] > 0


def _signs(result):
    spectrum, neighbours = _sides(result.around)
    mismatches = (spectrum != neighbours).astype(result.around.dtype)
    saddle = result.around[0, :2]
    flat = result.around[DEGENERATE]
    quartic_above, cubic_below = flat[0, 0], flat[1, 1]
    shortfalls = np.array([1 - quartic_above, max(0.4 - cubic_below, 0)])
    sampled = (
        f"{len(result.around)} functions of one or two weights, random neighbours "
        "within 0.01"
    )
    return (
        record.deciding(
            "C047",
            "Where no eigenvalue of the Hessian is zero, their signs tell a saddle, "
            "which has neighbours above and below, from a minimum, all of whose "
            "neighbours lie above.",
            record.largest(mismatches[NONDEGENERATE]),
            record.at_most(0.0),
            unit="mismatches",
            setting=f"{TOY}, at the origin, and (x - 1)² + 1 at x = 1",
        ),
        record.supporting(
            "C047",
            "At a saddle at least 3 of 10 neighbours lie above and at least 3 of 10 "
            "below.",
            record.largest(np.maximum(0.3 - saddle, 0)),
            record.at_most(0.0),
            unit="error",
            setting=sampled,
        ),
        record.deciding(
            "C047",
            "Where an eigenvalue of the Hessian is zero the signs still tell the kind "
            "of the point: w⁴ and w³, both with the Hessian 0, have neighbours on the "
            "same sides.",
            record.largest(np.diff(flat[:, :2] > 0, axis=0).astype(flat.dtype)),
            record.at_most(0.0),
            unit="mismatches",
            setting="w⁴ and w³ at 0",
        ),
        record.supporting(
            "C047",
            "A Hessian of zero decides nothing: w⁴ and w³ both have it at 0, where "
            "all neighbours of w⁴ lie above and at least 4 of 10 of w³ below.",
            record.largest(np.append(flat[:, 2:], shortfalls)),
            record.at_most(ROUNDING),
            unit="error",
            setting=sampled,
        ),
    )


def _slide(result):
    return (
        record.deciding(
            "C048",
            "The gradient and the Hessian of (1 - w₁w₂)² are those on the slide, with "
            "∂L/∂w₁ = 2(1 - w₁w₂)(-w₂), ∂²L/∂w₁² = 2w₂² and ∂²L/∂w₁∂w₂ = -2 + 4w₁w₂.",
            record.largest(result.formula_error),
            record.at_most(ROUNDING),
            unit="relative error",
            setting=TOY,
        ),
        record.deciding(
            "C048",
            "At the origin (1 - w₁w₂)² has a saddle, where the eigenvalues of the "
            "Hessian are -2 and 2.",
            record.largest(result.saddle - [-2, 2]),
            record.at_most(ROUNDING),
            unit="error",
            setting=TOY,
        ),
        record.supporting(
            "C048",
            "Gradient descent that starts on the line w₁ = -w₂ converges to the "
            "saddle of (1 - w₁w₂)².",
            record.largest(result.trapped),
            record.at_most(1e-9),
            unit="distance",
            setting=f"{TOY}, {len(result.trapped)} starts, {len(result.path)} updates",
        ),
        record.deciding(
            "C049",
            "Along (1, 1), the eigenvector of the eigenvalue -2 at the saddle, the "
            "loss (1 - w₁w₂)² is (1 - ε²)², which is below 1 wherever ε ≠ 0.",
            record.largest(result.losses - (1 - result.lengths**2) ** 2),
            record.at_most(ROUNDING),
            unit="error",
            setting=TOY,
        ),
    )


def _valley(result):
    steep = 2 * (result.valley**2 + result.valley**-2)
    theory = np.stack([np.zeros_like(steep), steep], axis=1)
    relative = result.valley_eigenvalues / steep[:, None]
    positive = np.sum(relative > ROUNDING, axis=1)
    setting = f"{TOY}, {len(steep)} points of w₁w₂ = 1"
    return (
        record.deciding(
            "A3",
            "At every minimum of (1 - w₁w₂)² the eigenvalues of the Hessian are 0 and "
            "2(w₁² + w₂²).",
            record.largest((result.valley_eigenvalues - theory) / steep[:, None]),
            record.at_most(ROUNDING),
            unit="relative error",
            setting=setting,
        ),
        record.deciding(
            "A3",
            "At every minimum of (1 - w₁w₂)² one eigenvalue of two is positive: the "
            "minimum ratio is 0.5, and the test that all be positive fails.",
            record.largest((positive != 1).astype(steep.dtype)),
            record.at_most(0.0),
            unit="mismatches",
            setting=setting,
        ),
    )


def figures(result):
    """The escape path on the contour, and the spectrum along the valley."""
    figure, (left, right) = panels(1, 2, width=5.0)
    a, b = np.meshgrid(*[np.linspace(-2, 2, 200)] * 2)
    left.contour(
        a,
        b,
        (1 - a * b) ** 2,
        levels=[0.05, 0.3, 0.7, 1, 1.5, 3, 6, 12],
        colors="0.55",
        linewidths=0.8,
    )
    left.plot(
        *result.path.T, color="black", markevery=5, label="descent from (0.011, 0.010)"
    )
    left.plot(
        [-1.5, 0, 1.5],
        [1.5, 0, -1.5],
        ":",
        color="black",
        marker="",
        label="ends in the saddle",
    )
    left.legend(fontsize=8, loc="lower left")
    label(left, "L = (1 - w₁w₂)²", "w₁", "w₂")
    right.scatter(
        np.repeat(result.valley, 2), result.valley_eigenvalues, s=6, color="black"
    )
    right.set_yscale("symlog")
    label(
        right,
        "Global minima, each with a zero eigenvalue",
        "w₁ on w₁w₂ = 1",
        "eigenvalues of the Hessian",
    )
    return {"escape_path": figure}
