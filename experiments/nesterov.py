"""Does looking ahead help: Nesterov's gradient against momentum and descent, and in Adam?

Looking ahead takes the gradient where momentum would lead, at θ - ηβm; the library's `nag` walks along those
points and needs no copy. The ravine is the squared error of a line through ten Pokémon, of curvatures μ and
λ, κ = λ/μ = 3e5. Close is within 100 of the least error: once, or for good, through the last half of a run.

Claims: C121, C122.
Sources: Nesterov 1983; Sutskever et al. 2013; Dozat 2016; Polyak 1964.
Cost: 8 seconds on 2 cores.
Expect: one path; the error falls as 1 - 1/√κ; fewer steps than momentum; a lower largest rate; Nadam wins.
Run: jaxml run nesterov
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

EPS, CLOSE, START = float(np.finfo(float).eps), 100.0, np.array([-120.0, -4.0])  # of b and w
DATA = problem.pokemon_cp(dtype=np.float64)
DESIGN, HEIGHTS = np.hstack([np.ones_like(DATA.inputs), DATA.inputs]), DATA.targets[:, 0]
BEST, (CURVES, AXES) = np.linalg.lstsq(DESIGN, HEIGHTS)[0], np.linalg.eigh(2 * DESIGN.T @ DESIGN)
ROOT = np.sqrt(CURVES[1] / CURVES[0])  # √κ
BETA, SPEEDS = 1 - 2 / (ROOT + 1), np.array([4 / (1 + 1 / ROOT) ** 2, 1]) / CURVES[1]  # Polyak's, Nesterov's
RATES, USUAL = np.append(0.05 * 1.1 ** np.arange(46) / CURVES[1], SPEEDS), np.array([0.9])
BETAS = np.sort(np.append(1 - np.logspace(-4, -0.7, 17), [BETA**2, BETA]))
ADAPTIVE, (SHARES, STEP) = np.logspace(-2, 2, 33), np.linspace(0.5, 4, 700, retstep=True)
ROSENBROCK = lambda x, _: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2  # noqa: E731
SQUARES = lambda x, _: jnp.sum((HEIGHTS - DESIGN @ x) ** 2)  # noqa: E731
SINE, COUNTS = lambda x, _: problem.x_sin_x(x[0], None), ("once", "for good")
PAIR, ADAMS = {"NAG": learn.nag, "momentum": learn.momentum}, {"Nadam": learn.nadam, "Adam": learn.adam}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Steps along the ravine, those of descent there, and starts on each function for the equation."""

    steps: int = 20_000
    descent: int = 450_000
    starts: int = 30
    dtype: str = "float64"


SMOKE = Config(steps=60, descent=60, starts=4)


class Result(NamedTuple):
    """Step counts in the order of COUNTS, 0 if never; methods as in PAIR and ADAMS."""

    apart: Array  # [function, start], between the two forms' paths, over a bound on rounding
    law: Array  # [3, step], the error along the flat axis: of NAG, Polyak's, descent
    ravine: Array  # [method, β, rate, count]
    descent: Array  # [1, rate, count]
    adams: Array  # [method, 1, rate, count]
    largest: Array  # [method, share], the last |x| over the first on λx²/2 at β = 0.9


def _run(function, steps, family, x, lr, beta):
    optimizer = family(learn.Hyper(lr=lr, momentum=beta, second_moment=0.999, epsilon=1e-8))
    return learn.descend(function, optimizer, x, None, steps=steps, observe=lambda x: x)


def _counts(steps, family, lr, beta):
    """Steps along the ravine until the error is close, and until it stays so through the last half."""
    close = _run(SQUARES, steps, family, jnp.array(START), lr, beta).loss < SQUARES(BEST, None) + CLOSE
    stays = jnp.argmax(jnp.cumprod(close[::-1])[::-1])
    return jnp.stack([jnp.argmax(close), jnp.where(2 * stays <= steps, stays, 0)])


def _apart(function, lr, x):
    """How far NAG is from the form with a copy, m ← βm + ∇f(θ - ηβm), θ ← θ - ηm, seen at θ - ηβm."""

    def step(carry, _):
        ahead = carry[0] - lr * 0.9 * carry[1]
        m = 0.9 * carry[1] + jax.grad(function)(ahead, None)
        return (carry[0] - lr * m, m), ahead

    path = lambda x: _run(function, 200, learn.nag, x, lr, 0.9).observed  # noqa: E731
    walked, copied = path(x), jax.lax.scan(step, (x, jnp.zeros_like(x)), length=200)[1]
    pull = lr * jnp.abs(jax.vmap(jax.grad(function), (0, None))(walked, None)).max() / 0.1
    grown = jnp.abs(jax.jacfwd(path)(x)).max()  # how far neighbours part
    return jnp.abs(walked - copied).max() / (800 * EPS * (jnp.abs(walked).max() + pull) * (1 + grown))


def study(config, keep):
    """One program for each part."""
    points = np.random.default_rng(0).uniform(-2, 2, (config.starts, 2))
    given = (SQUARES, SPEEDS[1] / 2, BEST + points), (ROSENBROCK, 1e-4, points), (SINE, 0.01, 7 + 3 * points)
    laws = (learn.nag, SPEEDS[1], BETA), (learn.momentum, SPEEDS[0], BETA**2), (learn.sgd, SPEEDS[1], 0.0)
    last = lambda f, share: _run(lambda x, _: x**2 / 2, 4000, f, jnp.ones(()), share, 0.9).params  # noqa: E731
    over = lambda *given: jax.vmap(jax.vmap(partial(_counts, *given[:2]), (0, None)), (None, 0))(*given[2:])  # noqa: E731
    parts = {
        "apart": lambda: jnp.stack([jax.vmap(partial(_apart, f, lr))(xs) for f, lr, xs in given]),
        "law": lambda: jnp.stack([_run(SQUARES, 3000, f, jnp.array(START), *law).observed
                                  for f, *law in laws]) @ AXES[:, 0] - BEST @ AXES[:, 0],
        "ravine": lambda: jnp.stack([over(config.steps, f, RATES, BETAS) for f in PAIR.values()]),
        "descent": lambda: over(config.descent, learn.sgd, RATES, np.zeros(1)),
        "adams": lambda: jnp.stack([over(config.steps, f, ADAPTIVE, USUAL) for f in ADAMS.values()]),
        "largest": lambda: jnp.abs(jnp.stack([jax.vmap(partial(last, f))(SHARES) for f in PAIR.values()])),
    }  # fmt: skip
    with jax.enable_x64(True):
        return Result(**{name: keep(name, jax.jit(part)) for name, part in parts.items()})


def findings(result):
    """Only starts are random. Each method is at its best on one grid, 1e9 steps if it never is close."""
    kinds, t, rho = (record.exact, record.above, record.below), np.arange(result.law.shape[1]), 1 - 1 / ROOT
    exact, above, below = (partial(kind, unit="1", dtype="float64") for kind in kinds)
    laws = (1 + ((1 - (1 + BETA) / ROOT**2) / rho - 1) * t) * rho**t, (1 - 1 / ROOT**2) ** t
    errors = result.law[[0, 2]] / result.law[[0, 2], :1] / laws - 1
    best = lambda x: np.where(x > 0, x, 1e9).reshape(-1, 2).min(axis=0)  # noqa: E731
    ahead, momentum, descent, nadam, adam = map(best, (*result.ravine, result.descent, *result.adams))
    falls = np.log(np.abs(result.law[:, len(t) // 2] / result.law[:, -1]))
    pairs = ("C121", "momentum", "NAG", momentum, ahead), ("C122", "Adam", "Nadam", adam, nadam)
    return (
        exact("C121", "The form with a copy walks the same path: errors in bounds.", result.apart, 1.0),
        exact("C121", "NAG's error falls as (1 + kt)(1 - 1/√κ)ᵗ at η = 1/λ.", errors[0], len(t) * EPS**0.5),
        exact("C121", "Descent's falls as (1 - 1/κ)ᵗ there.", errors[1], 4 * len(t) * EPS),
        *(rule("C121", f"NAG's falls {what}: ratio of log falls.", record.certain(falls[0] / falls[k]), 1.0)
          for rule, what, k in ((above, "faster than descent's", 2), (below, "slower than Polyak's", 1))),
        above("C121", "Descent takes more steps: ratio.", record.certain(descent[0] / ahead[0]), 1.0),
        *(above(claim, f"{a} takes more steps than {b} until close {count}: ratio.",
                record.certain(x[k] / y[k]), 1.0)
          for claim, a, b, x, y in pairs for k, count in enumerate(COUNTS[: 2 if claim == "C121" else 1])),
        exact("C121", "The largest η is (2 + 2β)/(1 + 2β)/λ for NAG, 2(1 + β)/λ for momentum: in 1/λ.",
              np.array([SHARES[last < 1].max() for last in result.largest]) - [3.8 / 2.8, 3.8], STEP),
    )  # fmt: skip


def figures(result):
    """Errors along the flat axis, steps by β, and steps by Adam's rate."""
    figure, axes = panels(1, 3)
    axes[0].semilogy(np.abs(result.law.T), label=["NAG", "Polyak's", "descent"])
    rows = lambda x: np.moveaxis(np.where(x > 0, x, np.inf), -1, 0).min(axis=-1).reshape(4, -1).T  # noqa: E731
    names = lambda pair: [f"{name}, {count}" for count in COUNTS for name in pair]  # noqa: E731
    axes[1].loglog(1 - BETAS, rows(result.ravine), label=names(PAIR), markevery=1)
    axes[2].loglog(ADAPTIVE, rows(result.adams.swapaxes(1, 2)), label=names(ADAMS), markevery=1)
    label(axes[0], "Ravine, each at its asymptotic rate", "step", "error along the flat axis")
    label(axes[1], "Each β at its best rate", "1 - β", "steps to 100 above the least error")
    label(axes[2], "β₁ = 0.9 (empty: never for good)", "rate η (1)", "steps to 100 above the least error")
    for axis in axes:
        axis.legend(fontsize=7)
    return {"nesterov": figure}
