"""How do loss and Hessian look at the saddle and the minima of the smallest network?

The lecture's network has two weights, one example and no activation: L = (1 - w₁w₂)²,
with a saddle at the origin and two valleys of global minima. JAX's derivatives and
their eigenvalues are compared with the formulas on the slide; the course is wrong where
one does not hold to rounding. The controls are the eigenvector of the eigenvalue +2 at
the saddle, along which the loss must rise, and gradient descent from beside the line
w₁ = -w₂, which must leave the saddle. A step ε along (1, 1) lowers L by 2ε² - ε⁴, so
that "about ½|λ|ε²‖u‖²" holds to ε²/2, which is half a per cent at ε = 0.1.

A first version said that (1 - ε²)² is below 1 wherever ε ≠ 0, which holds up to √2.

Claims: C048, C049, A3.
Cost: 3 seconds on 2 cores, compilation included.
Expect: every formula holds; minima fail "all positive"; gradient descent can end in a
saddle.
Run: jaxml run toy_saddle
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Keep

ROUNDING = 20 * float(np.finfo(np.float64).eps)
TOY = "L = (1 - w₁w₂)², one example, no activation"
LONGEST = 0.1  # step along an eigenvector at the saddle
DOWN = np.array([1.0, 1.0])  # the eigenvector of -2 at the saddle
UP = np.array([1.0, -1.0])  # that of +2


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sample sizes."""

    points: int = 200
    steps: int = 2000
    rate: float = 0.05
    seed: int = 0


SMOKE = Config(points=20, steps=400)


class Result(NamedTuple):
    """What formulas and Hessians say."""

    formula_error: Float[Array, " point"]  # of both derivatives, over 1 + ‖H‖
    saddle: Float[Array, "2"]  # eigenvalues at the origin
    lengths: Float[Array, " length"]  # ε
    losses: Float[Array, " length"]  # at ε DOWN
    rises: Float[Array, " length"]  # at ε UP
    valley: Float[Array, " minimum"]  # w₁ where w₁w₂ = 1
    valley_eigenvalues: Float[Array, "minimum 2"]
    path: Float[Array, "step 2"]  # gradient descent from beside the saddle
    trapped: Float[Array, " start"]  # distance to the saddle, from w₁ = -w₂


def study(config: Config, keep: Keep) -> Result:
    """Everything in float64, in one program."""
    with jax.enable_x64(True):
        return keep("toys", lambda: jax.jit(partial(_all, config))())


def _all(config: Config) -> Result:
    points = jax.random.normal(randomness.key(config.seed), (config.points, 2))
    branch = jnp.geomspace(0.2, 5, config.points)
    valley = jnp.concatenate([-branch, branch])
    minima = jnp.stack([valley, 1 / valley], axis=1)
    lengths = jnp.linspace(-LONGEST, LONGEST, 41)
    starts = jnp.linspace(0.1, 1.5, 15)
    return Result(
        formula_error=jax.lax.map(_formula_error, points),
        saddle=_spectrum(jnp.zeros(2)),
        lengths=lengths,
        losses=_along(DOWN, lengths),
        rises=_along(UP, lengths),
        valley=valley,
        valley_eigenvalues=jax.lax.map(_spectrum, minima),
        path=_descend(config, jnp.array([0.011, 0.01])).observed,
        trapped=jax.vmap(partial(_distance, config))(starts),
    )


def _spectrum(point: jax.Array) -> jax.Array:
    return jnp.linalg.eigvalsh(_hessian(point))


def _hessian(point: jax.Array) -> jax.Array:
    product = curvature.hessian_product(problem.bilinear, point, None)
    return curvature.dense(product, point)


def _formula_error(w: jax.Array) -> jax.Array:
    """How far JAX's derivatives are from those on the slide."""
    a, b = w
    gradient = jnp.stack([-2 * b * (1 - a * b), -2 * a * (1 - a * b)])
    off = 4 * a * b - 2
    hessian = jnp.array([[2 * b * b, off], [off, 2 * a * a]])
    first = jax.grad(problem.bilinear)(w, None) - gradient
    second = _hessian(w) - hessian
    largest = jnp.maximum(jnp.abs(first).max(), jnp.abs(second).max())
    return largest / (1 + jnp.abs(hessian).max())


def _along(direction: np.ndarray, lengths: jax.Array) -> jax.Array:
    """The loss at those lengths along a direction from the saddle."""
    return jax.vmap(lambda e: problem.bilinear(e * direction, None))(lengths)


def _descend(config: Config, start: jax.Array) -> learn.Descent:
    sgd = learn.sgd(learn.Hyper(lr=config.rate))
    return learn.descend(
        problem.bilinear, sgd, start, None, steps=config.steps, observe=lambda w: w
    )


def _distance(config: Config, w: jax.Array) -> jax.Array:
    """To the saddle, where gradient descent from (w, -w) ends."""
    return jnp.linalg.norm(_descend(config, jnp.stack([w, -w])).params)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Formulas hold to rounding."""
    return (
        *_slide(result),
        *_gradient_descent(result),
        *_escape(result),
        *_valley(result),
    )


def _equal(
    claim: str,
    role: Callable[..., Assertion],
    statement: str,
    errors: Array,
    *,
    tolerance: float = 0.0,
    unit: str = "error",
    setting: str = TOY,
) -> Assertion:
    """A finding that holds if the largest error is at most the tolerance."""
    rule = record.at_most(tolerance)
    return role(
        claim, statement, record.largest(errors), rule, unit=unit, setting=setting
    )


def _slide(result: Result) -> tuple[Assertion, ...]:
    finding = partial(_equal, "C048", record.deciding, tolerance=ROUNDING)
    return (
        finding(
            "The gradient and the Hessian of (1 - w₁w₂)² are those on the slide, with "
            "∂L/∂w₁ = 2(1 - w₁w₂)(-w₂), ∂²L/∂w₁² = 2w₂² and ∂²L/∂w₁∂w₂ = -2 + 4w₁w₂.",
            result.formula_error,
            unit="relative error",
        ),
        finding(
            "At the origin (1 - w₁w₂)² has a saddle, where the eigenvalues of the "
            "Hessian are -2 and 2.",
            result.saddle - np.array([-2, 2]),
        ),
    )


def _gradient_descent(result: Result) -> tuple[Assertion, ...]:
    finding = partial(_equal, "C048", record.supporting, tolerance=1e-9)
    steps = len(result.path)
    return (
        finding(
            "Gradient descent that starts on the line w₁ = -w₂ converges to the "
            "saddle of (1 - w₁w₂)².",
            result.trapped,
            unit="distance",
            setting=f"{TOY}, {len(result.trapped)} starts, {steps} updates",
        ),
        finding(
            "Control: gradient descent from (0.011, 0.010), which is not on the line "
            "w₁ = -w₂, ends where w₁w₂ = 1.",
            np.prod(result.path[-1:], axis=1) - 1,
            setting=f"{TOY}, {steps} updates",
        ),
    )


def _escape(result: Result) -> tuple[Assertion, ...]:
    squares = result.lengths**2
    moved = np.abs(result.lengths) > LONGEST / 100
    predicted = 2 * squares[moved]  # ½|λ|ε²‖u‖²
    fall = (1 - result.losses[moved]) / predicted
    rise = (result.rises[moved] - 1) / predicted
    setting = f"{TOY}, at the saddle, {len(squares)} lengths |ε| ≤ {LONGEST}"
    finding = partial(_equal, "C049", setting=setting)
    to_next_order = LONGEST**2 / 2 + 1e-9
    return (
        finding(
            record.deciding,
            "Along (1, 1), the eigenvector of the eigenvalue -2 at the saddle, the "
            "loss (1 - w₁w₂)² is (1 - ε²)², which is below 1 where 0 < |ε| < √2.",
            result.losses - (1 - squares) ** 2,
            tolerance=ROUNDING,
        ),
        finding(
            record.deciding,
            "A step ε along u = (1, 1) lowers (1 - w₁w₂)² by ½|λ|ε²‖u‖², to the "
            "fraction ε²/2 of it.",
            fall - 1,
            tolerance=to_next_order,
            unit="relative error",
        ),
        finding(
            record.supporting,
            "Control: a step ε along (1, -1), the eigenvector of the eigenvalue +2, "
            "raises (1 - w₁w₂)² by ½λε²‖u‖², to the fraction ε²/2 of it.",
            rise - 1,
            tolerance=to_next_order,
            unit="relative error",
        ),
    )


def _valley(result: Result) -> tuple[Assertion, ...]:
    steep = 2 * (result.valley**2 + result.valley**-2)
    theory = np.stack([np.zeros_like(steep), steep], axis=1)
    errors = (result.valley_eigenvalues - theory) / steep[:, None]
    relative = result.valley_eigenvalues / steep[:, None]
    positive = np.sum(relative > ROUNDING, axis=1)
    setting = f"{TOY}, {len(steep)} points of w₁w₂ = 1"
    finding = partial(_equal, "A3", record.deciding, setting=setting)
    return (
        finding(
            "At every minimum of (1 - w₁w₂)² the eigenvalues of the Hessian are 0 and "
            "2(w₁² + w₂²).",
            errors,
            tolerance=ROUNDING,
            unit="relative error",
        ),
        finding(
            "At every minimum of (1 - w₁w₂)² one eigenvalue of two is positive: the "
            "minimum ratio is 0.5, and the test that all be positive fails.",
            (positive != 1).astype(steep.dtype),
            unit="mismatches",
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """The escape path on the contour, steps from the saddle, and the spectrum along the
    valley.
    """
    figure, (plane, steps, spectrum) = panels(1, 3, height=3.6)
    side = np.linspace(-2, 2, 200)
    a, b = np.meshgrid(side, side)
    levels = [0.05, 0.3, 0.7, 1, 1.5, 3, 6, 12]
    plane.contour(a, b, (1 - a * b) ** 2, levels=levels, colors="0.6", linewidths=0.8)
    plane.contour(a, b, a * b, levels=[1], colors="#994455", linestyles="--")
    plane.plot(*result.path.T, color="black", markevery=5, label="gradient descent")
    plane.plot([-1.5, 1.5], [1.5, -1.5], "k:", marker="", label="into the saddle")
    label(plane, "L = (1 - w₁w₂)², dashed: its minima", "w₁", "w₂")
    lengths, valley = result.lengths, result.valley
    steps.plot(lengths, result.losses, "o", label="computed along (1, 1)")
    steps.plot(lengths, result.rises, "s", label="along (1, -1), control")
    steps.plot(lengths, 1 - 2 * lengths**2, "-", marker="", label="1 - ½|λ|ε²‖u‖²")
    steps.locator_params(axis="x", nbins=5)
    label(steps, "A step from the saddle", "ε", "loss")
    law = 2 * (valley**2 + valley**-2)
    spectrum.scatter(valley, law, marker="|", color="#994455", label="2(w₁² + w₂²)")
    spectrum.plot(valley, result.valley_eigenvalues, "k.", label="computed, both")
    spectrum.set_yscale("symlog")
    label(spectrum, "Minima, one eigenvalue 0", "w₁ on w₁w₂ = 1", "eigenvalues")
    shared_legend(figure, columns=4)
    return {"escape_path": figure}
