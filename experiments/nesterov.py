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

from jaxml import learn, problem, randomness, record
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
COUNTS = "once", "for good"
NEVER = 1e9  # stands for the updates of a method that never is close
RAVINE = "squared error of a line through ten Pokémon, κ = 3.13e5"
PAIR, ADAMS = {"NAG": learn.nag, "momentum": learn.momentum}, {"Nadam": learn.nadam, "Adam": learn.adam}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Steps along the ravine, those of descent there, and starts on each function for the equation."""

    steps: int = 20_000
    descent: int = 450_000
    starts: int = 30
    seed: int = 0


SMOKE = Config(steps=60, descent=60, starts=4)


class Result(NamedTuple):
    """Step counts in the order of COUNTS, 0 if never; methods as in PAIR and ADAMS."""

    apart: Array  # [function, start], between the two forms' paths, over a bound on rounding
    law: Array  # [3, step], the error along the flat axis: of NAG, Polyak's, descent
    ravine: Array  # [method, β, rate, count]
    descent: Array  # [1, rate, count]
    adams: Array  # [method, 1, rate, count]
    largest: Array  # [method, share], the last |x| over the first on λx²/2 at β = 0.9
    steps: Array  # [], updates of a run along the ravine
    descent_steps: Array  # [], of descent there


def _rosenbrock(x, _):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def _squares(x, _):
    return jnp.sum((HEIGHTS - DESIGN @ x) ** 2)


def _sine(x, _):
    return problem.x_sin_x(x[0], None)


def _bowl(x, _):
    return x**2 / 2


def _run(function, steps, family, x, lr, beta):
    optimizer = family(learn.Hyper(lr=lr, momentum=beta, second_moment=0.999, epsilon=1e-8))
    return learn.descend(function, optimizer, x, None, steps=steps, observe=lambda x: x)


def _counts(steps, family, lr, beta):
    """Steps along the ravine until the error is close, and until it stays so through the last half."""
    close = _run(_squares, steps, family, jnp.array(START), lr, beta).loss < _squares(BEST, None) + CLOSE
    stays = jnp.argmax(jnp.cumprod(close[::-1])[::-1])
    return jnp.stack([jnp.argmax(close), jnp.where(2 * stays <= steps, stays, 0)])


def _apart(function, lr, x):
    """How far NAG is from the form with a copy, m ← βm + ∇f(θ - ηβm), θ ← θ - ηm, seen at θ - ηβm."""

    def step(carry, _):
        ahead = carry[0] - lr * 0.9 * carry[1]
        m = 0.9 * carry[1] + jax.grad(function)(ahead, None)
        return (carry[0] - lr * m, m), ahead

    def path(x):
        return _run(function, 200, learn.nag, x, lr, 0.9).observed

    walked, copied = path(x), jax.lax.scan(step, (x, jnp.zeros_like(x)), length=200)[1]
    pull = lr * jnp.abs(jax.vmap(jax.grad(function), (0, None))(walked, None)).max() / 0.1
    grown = jnp.abs(jax.jacfwd(path)(x)).max()  # how far neighbours part
    return jnp.abs(walked - copied).max() / (800 * EPS * (jnp.abs(walked).max() + pull) * (1 + grown))


def _apart_everywhere(points):
    """`_apart` on three functions, `[function, start]`."""
    given = (
        (_squares, SPEEDS[1] / 2, BEST + points),
        (_rosenbrock, 1e-4, points),
        (_sine, 0.01, 7 + 3 * points),
    )
    return jnp.stack([jax.vmap(partial(_apart, function, lr))(starts) for function, lr, starts in given])


def _laws():
    """Errors along the flat axis of NAG, Polyak's momentum and descent, `[3, step]`."""
    laws = (learn.nag, SPEEDS[1], BETA), (learn.momentum, SPEEDS[0], BETA**2), (learn.sgd, SPEEDS[1], 0.0)
    walked = [_run(_squares, 3000, family, jnp.array(START), lr, beta).observed for family, lr, beta in laws]
    return jnp.stack(walked) @ AXES[:, 0] - BEST @ AXES[:, 0]


def _grid_of_counts(steps, family, rates, betas):
    """`_counts` by `[β, rate, count]`."""
    by_rate = jax.vmap(partial(_counts, steps, family), (0, None))
    return jax.vmap(by_rate, (None, 0))(rates, betas)


def _counts_of(families, steps, rates, betas):
    """`_grid_of_counts` of several methods, `[method, β, rate, count]`."""
    return jnp.stack([_grid_of_counts(steps, family, rates, betas) for family in families.values()])


def _ends():
    """The last |x| on x²/2 by method and share of the largest rate, from 1 at β = 0.9."""

    def last(family, lr):
        return jnp.abs(_run(_bowl, 4000, family, jnp.ones(()), lr, 0.9).params)

    return jnp.stack([jax.vmap(partial(last, family))(SHARES) for family in PAIR.values()])


def study(config, keep):
    """One program for each part."""
    (seed,) = randomness.seeds(config.seed, 1)
    points = np.random.default_rng(seed).uniform(-2, 2, (config.starts, 2))
    parts = {
        "apart": partial(_apart_everywhere, points),
        "law": _laws,
        "ravine": partial(_counts_of, PAIR, config.steps, RATES, BETAS),
        "descent": partial(_grid_of_counts, config.descent, learn.sgd, RATES, np.zeros(1)),
        "adams": partial(_counts_of, ADAMS, config.steps, ADAPTIVE, USUAL),
        "largest": _ends,
    }
    with jax.enable_x64(True):
        found = {name: keep(name, jax.jit(part)) for name, part in parts.items()}
    return Result(**found, steps=np.array(config.steps), descent_steps=np.array(config.descent))


def findings(result):
    """Only starts are random. Each method is at its best on one grid, NEVER if it never is close."""
    return (*_paths(result), *_rates_of_fall(result), *_races(result))


def _paths(result):
    """The two forms, and the largest stable rates."""
    largest = np.array([SHARES[last < 1].max() for last in result.largest])
    return (
        record.deciding(
            "C121",
            "Without a second copy of the parameters Nesterov's gradient walks the same path as with it: "
            "the error over a bound on rounding.",
            record.largest(result.apart),
            record.at_most(1.0),
            unit="ratio",
            setting=(
                f"the squared error of a line, Rosenbrock's function and x sin x, "
                f"{result.apart.shape[1]} starts each, 200 updates"
            ),
        ),
        record.supporting(
            "C121",
            "The largest stable rate is (2 + 2β)/(1 + 2β)/λ of Nesterov's gradient, 2(1 + β)/λ of momentum.",
            record.largest(largest - [3.8 / 2.8, 3.8]),
            record.at_most(STEP),
            unit="error",
            setting="f(x) = x²/2, β = 0.9, 4,000 updates; to a step of the grid of rates",
        ),
    )


def _rates_of_fall(result):
    """Errors along the flat axis of the ravine, against closed forms and each other."""
    t, rho = np.arange(result.law.shape[1]), 1 - 1 / ROOT
    nesterov = (1 + ((1 - (1 + BETA) / ROOT**2) / rho - 1) * t) * rho**t
    descent = (1 - 1 / ROOT**2) ** t
    errors = result.law[[0, 2]] / result.law[[0, 2], :1] / [nesterov, descent] - 1
    falls = np.log(np.abs(result.law[:, len(t) // 2] / result.law[:, -1]))
    setting = f"{RAVINE}, {len(t):,} updates along the flat axis"
    margin = {"margin": 0.05, "reason": "5 % of a rate is not felt"}
    return (
        record.supporting(
            "C121",
            "The error of Nesterov's gradient at η = 1/λ falls as (1 + kt)(1 - 1/√κ)ᵗ.",
            record.largest(errors[0]),
            record.at_most(len(t) * EPS**0.5),
            unit="relative error",
            setting=setting,
        ),
        record.supporting(
            "C121",
            "The error of gradient descent at η = 1/λ falls as (1 - 1/κ)ᵗ.",
            record.largest(errors[1]),
            record.at_most(4 * len(t) * EPS),
            unit="relative error",
            setting=setting,
        ),
        record.supporting(
            "C121",
            "The error of Nesterov's gradient falls faster than gradient descent's: ratio of exponents.",
            record.certain(falls[0] / falls[2]),
            record.above(1.0, **margin),
            unit="ratio",
            setting=setting,
        ),
        record.supporting(
            "C121",
            "The error of Nesterov's gradient falls more slowly than Polyak's: ratio of exponents.",
            record.certain(falls[0] / falls[1]),
            record.below(1.0, **margin),
            unit="ratio",
            setting=setting,
        ),
    )


def _races(result):
    """Updates until close to the least error, each method at its best."""
    ahead, momentum = (_fewest(counts) for counts in result.ravine)
    nadam, adam = (_fewest(counts) for counts in result.adams)
    descent = _fewest(result.descent)
    once, for_good = (
        f"{RAVINE}, updates until within {CLOSE:g} of the least error {count}, each at its best rate and β, "
        f"{result.steps:,} updates, of descent {result.descent_steps:,}"
        for count in COUNTS
    )
    return (
        _race("C121", "gradient descent", "Nesterov's gradient", descent[0] / ahead[0], once),
        _race("C121", "momentum", "Nesterov's gradient", momentum[0] / ahead[0], once),
        _race("C121", "momentum", "Nesterov's gradient", momentum[1] / ahead[1], for_good),
        _race("C122", "Adam", "Nadam", adam[0] / nadam[0], once),
    )


def _fewest(counts):
    """The fewest updates `[count]` over β and rates `[β, rate, count]`, where 0 is never."""
    return np.where(counts > 0, counts, NEVER).reshape(-1, len(COUNTS)).min(axis=0)


def _race(claim, slower, faster, ratio, setting):
    return record.supporting(
        claim,
        f"{slower[0].upper()}{slower[1:]} needs more updates than {faster}.",
        record.certain(ratio),
        record.above(1.0, margin=0.05, reason="5 % of the updates is less than a step of the grid of rates"),
        unit="ratio",
        setting=setting,
    )


def _rows(counts):
    """Of counts `[method, row, column, count]` the fewest over columns, `[row, count and method]`."""
    fewest = np.moveaxis(np.where(counts > 0, counts, np.inf), -1, 0).min(axis=-1)
    return fewest.reshape(2 * len(COUNTS), -1).T


def _labels(pair):
    return [f"{name}, {count}" for count in COUNTS for name in pair]


def figures(result):
    """Errors along the flat axis, steps by β, and steps by Adam's rate."""
    figure, axes = panels(1, 3)
    axes[0].semilogy(np.abs(result.law.T), label=["NAG", "Polyak's", "descent"])
    axes[1].loglog(1 - BETAS, _rows(result.ravine), label=_labels(PAIR), markevery=1)
    axes[2].loglog(ADAPTIVE, _rows(result.adams.swapaxes(1, 2)), label=_labels(ADAMS), markevery=1)
    label(axes[0], "Ravine, each at its asymptotic rate", "step", "error along the flat axis")
    label(axes[1], "Each β at its best rate", "1 - β", "steps to 100 above the least error")
    label(axes[2], "β₁ = 0.9 (empty: never for good)", "rate η (1)", "steps to 100 above the least error")
    for axis in axes:
        axis.legend(fontsize=7)
    return {"nesterov": figure}
