"""The lecture's two-parameter network: what the signs of a Hessian tell about a point, and what not.

L = (1 - w₁w₂)², one example, no activation: a saddle at the origin, and two valleys of global minima.

Claims: C047, C048, C049, A3.
Cost: two seconds on 2 cores.
Expect: every formula holds; minima fail the "all positive" test; descent can end in a saddle.
Run: jaxml run toy_saddle
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import curvature, learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

ROUNDING = 20 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sample sizes."""

    points: int = 200
    neighbours: int = 2000
    steps: int = 2000
    rate: float = 0.05
    dtype: str = "float64"


SMOKE = Config(points=20, neighbours=100, steps=400)


class Result(NamedTuple):
    """What formulas and Hessians say; `around` has one row a function (L, w⁴ and w³, each at 0)."""

    formula_error: Array  # [point], of gradient and Hessian, relative to 1 + ‖H‖
    saddle: Array  # [2], eigenvalues at the origin
    around: Array  # [function, 4]: shares of neighbours above and below, lowest and highest eigenvalue
    lengths: Array  # [length], ε
    losses: Array  # [length], L(ε, ε)
    valley: Array  # [point], w₁ where w₁w₂ = 1
    valley_eigenvalues: Array  # [point, 2]
    path: Array  # [step, 2], descent from beside the saddle
    trapped: Array  # [start], distance to the saddle after descent from w₁ = -w₂


def _spectrum(objective, point):
    return jnp.linalg.eigvalsh(curvature.dense(curvature.hessian_product(objective, point, None), point))


def _formula_error(w):
    """How far JAX's derivatives are from those on the slide."""
    a, b = w
    gradient = jnp.stack([-2 * b * (1 - a * b), -2 * a * (1 - a * b)])
    off = 4 * a * b - 2
    hessian = jnp.array([[2 * b * b, off], [off, 2 * a * a]])
    ours = curvature.dense(curvature.hessian_product(problem.bilinear, w, None), w)
    first, second = jax.grad(problem.bilinear)(w, None) - gradient, ours - hessian
    return jnp.maximum(jnp.abs(first).max(), jnp.abs(second).max()) / (1 + jnp.abs(hessian).max())


def _around(objective, point, count):
    """Shares of neighbours within 0.01 that lie above and below, and the ends of the spectrum."""
    offsets = 0.01 * jax.random.uniform(jax.random.key(0), (count, *point.shape), minval=-1, maxval=1)
    change = jax.vmap(lambda offset: objective(point + offset, None))(offsets) - objective(point, None)
    shares = jnp.stack([change > 0, change < 0]).mean(axis=1, dtype=float)
    return jnp.concatenate([shares, _spectrum(objective, point)[jnp.array([0, -1])]])


def study(config, keep):
    """Everything in float64, in one program."""

    def descend(start):
        sgd = learn.sgd(learn.Hyper(lr=config.rate))
        return learn.descend(problem.bilinear, sgd, start, None, steps=config.steps, observe=lambda w: w)

    def compute():
        valley = jnp.concatenate([sign * jnp.geomspace(0.2, 5, config.points) for sign in (-1, 1)])
        lengths = jnp.linspace(-0.1, 0.1, 41)
        powers = [lambda w, _, f=f: f(w[0], None) for f in (problem.quartic, problem.cubic)]
        cases = zip((problem.bilinear, *powers), (jnp.zeros(2), jnp.zeros(1), jnp.zeros(1)), strict=True)
        return Result(
            formula_error=jax.lax.map(
                _formula_error, jax.random.normal(jax.random.key(0), (config.points, 2))
            ),
            saddle=_spectrum(problem.bilinear, jnp.zeros(2)),
            around=jnp.stack([_around(*case, config.neighbours) for case in cases]),
            lengths=lengths,
            losses=jax.vmap(lambda e: problem.bilinear(e * jnp.ones(2), None))(lengths),
            valley=valley,
            valley_eigenvalues=jax.lax.map(
                partial(_spectrum, problem.bilinear), jnp.stack([valley, 1 / valley], axis=1)
            ),
            path=descend(jnp.array([0.011, 0.01])).observed,
            trapped=jax.vmap(lambda w: jnp.linalg.norm(descend(jnp.stack([w, -w])).params))(
                jnp.linspace(0.1, 1.5, 15)
            ),
        )

    with jax.enable_x64(True):
        return keep("toys", lambda: jax.jit(compute)())


def findings(result):
    """Formulas to rounding; what the test misses is counted."""
    exact = partial(record.exact, unit="1", dtype="float64")
    (above, below, *_), (quartic_above, _, *quartic), (_, cubic_below, *cubic) = result.around
    steep = 2 * (result.valley**2 + result.valley**-2)
    theory = np.stack([np.zeros_like(steep), steep], axis=1)
    passing = result.valley_eigenvalues[:, 0] > ROUNDING * steep
    return (
        exact("C048", "∂L/∂w and H are those on the slide.", result.formula_error, ROUNDING),
        exact("C048", "At the origin the eigenvalues are ±2.", result.saddle - [-2, 2], ROUNDING),
        exact("C047", "At a saddle neighbours lie above and below, at least 3 of 10 each (share missing).",
              np.maximum(0.3 - np.array([above, below]), 0), 0.0),
        exact("C047", "H = 0 decides nothing: all neighbours of w⁴ lie above, 4 of 10 of w³ below.",
              np.array([*quartic, *cubic, 1 - quartic_above, max(0.4 - cubic_below, 0)]), ROUNDING),
        exact("C049", "Along (1, 1) the loss is (1 - ε²)², below 1 wherever ε ≠ 0.",
              result.losses - (1 - result.lengths**2) ** 2, ROUNDING),
        exact("A3", "On the valley w₁w₂ = 1 the eigenvalues are 0 and 2(w₁² + w₂²).",
              (result.valley_eigenvalues - theory) / steep[:, None], ROUNDING),
        record.above("A3", "Global minima pass the test that all eigenvalues are positive: their share.",
                     record.proportion(passing), 0.5, unit="1", dtype="float64"),
        exact("C048", "Descent from w₁ = -w₂ converges into the saddle: its distance.", result.trapped, 1e-9),
    )  # fmt: skip


def figures(result):
    """The escape path on the contour, and the spectrum along the valley."""
    figure, (left, right) = panels(1, 2, width=5.0)
    a, b = np.meshgrid(*[np.linspace(-2, 2, 200)] * 2)
    left.contour(
        a, b, (1 - a * b) ** 2, levels=[0.05, 0.3, 0.7, 1, 1.5, 3, 6, 12], colors="0.55", linewidths=0.8
    )
    left.plot(*result.path.T, color="black", markevery=5, label="descent from (0.011, 0.010)")
    left.plot([-1.5, 0, 1.5], [1.5, 0, -1.5], ":", color="black", marker="", label="ends in the saddle")
    left.legend(fontsize=8, loc="lower left")
    label(left, "L = (1 - w₁w₂)²", "w₁", "w₂")
    right.scatter(np.repeat(result.valley, 2), result.valley_eigenvalues, s=6, color="black")
    right.set_yscale("symlog")
    label(right, "Global minima, each with a zero eigenvalue", "w₁ on w₁w₂ = 1", "eigenvalues of the Hessian")
    return {"escape_path": figure}
