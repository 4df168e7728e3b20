"""Does Nesterov's gradient need a second copy of the parameters?

Nesterov's method takes the gradient where momentum would lead: m ← βm + ∇f(θ - ηβm), θ
← θ - ηm. Written in the points θ - ηβm it keeps one copy of the parameters, which is
the library's `nag`. Both forms walk 200 updates from each of 30 random starts on three
functions: the squared error of a line through ten Pokémon, Rosenbrock's, and x sin x.

If the claim holds, the paths differ by less than a bound on rounding: ε times the
length of the path and of its largest step, times how far neighbouring paths part. The
negative control is momentum, which takes the gradient at θ itself and must exceed the
bound. The largest stable rates of both, on x²/2 with 4,000 updates, show what the
look-ahead costs; rates step by 0.005. A unit is a start, drawn anew by the seed.

Claims: C121.
Sources: Nesterov 1983; Sutskever et al. 2013.
Cost: 3 seconds on 2 cores.
Expect: one path to rounding; momentum walks another; a lower largest rate.
Run: jaxml run nesterov
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.record.figures import label, legend_below, panels
from jaxml.types import Array

EPS = float(np.finfo(float).eps)
BETA = 0.9
LINE = problem.pokemon_line()
_, STEEP = LINE.eigenvalues
FRACTIONS = np.linspace(0.5, 4, 700)  # rates on x²/2
STEP = 3.5 / 699
LIMITS = {
    "Nesterov's gradient": (2 + 2 * BETA) / (1 + 2 * BETA),
    "momentum": 2 + 2 * BETA,
}
"""The largest stable rates by theory, in 1/λ."""
FLOOR = 1e-5  # the least error that the figure can show


@dataclass(frozen=True, kw_only=True)
class Config:
    """Starts on each function, updates of a path, and updates on x²/2."""

    starts: int = 30
    steps: int = 200
    bowl_steps: int = 4000
    seed: int = 0


SMOKE = Config(starts=4, bowl_steps=200)


class Result(NamedTuple):
    """Distances between paths, over the bound on rounding, and ends on x²/2."""

    apart: Float[Array, "function start"]  # of `nag` and the form with a copy
    control: Float[Array, "function start"]  # of `nag` and momentum
    nag: Float[Array, " fraction"]  # the last |x| over the first
    momentum: Float[Array, " fraction"]
    steps: Array  # [], updates of a path
    bowl_steps: Array  # [], updates on x²/2


class Distances(NamedTuple):
    """From the path of `nag`, over the bound on rounding."""

    with_copy: Array
    momentum: Array


def _rosenbrock(x, _):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def _squares(x, _):
    return jnp.sum((LINE.heights - LINE.design @ x) ** 2)


def _sine(x, _):
    return problem.x_sin_x(x[0], None)


def _bowl(x, _):
    return x**2 / 2


def _walk(function, steps, family, x, lr):
    optimizer = family(learn.Hyper(lr=lr, momentum=BETA))
    return learn.descend(function, optimizer, x, None, steps=steps, observe=lambda x: x)


def _with_copy(function, steps, x, lr):
    """The points θ - ηβm of the form that keeps θ as well."""

    def step(carry, _):
        theta, m = carry
        ahead = theta - lr * BETA * m
        m = BETA * m + jax.grad(function)(ahead, None)
        return (theta - lr * m, m), ahead

    return jax.lax.scan(step, (x, jnp.zeros_like(x)), length=steps)[1]


def _distances(function, steps, lr, x):
    """How far the path of `nag` is from two others, from one start."""

    def path(x):
        return _walk(function, steps, learn.nag, x, lr).observed

    walked = path(x)
    copied = _with_copy(function, steps, x, lr)
    heavy = _walk(function, steps, learn.momentum, x, lr).observed
    gradients = jax.vmap(jax.grad(function), (0, None))(walked, None)
    pull = lr * jnp.abs(gradients).max() / 0.1
    parting = jnp.abs(jax.jacfwd(path)(x)).max()
    size = jnp.abs(walked).max() + pull
    bound = 4 * steps * EPS * size * (1 + parting)

    def distance(other):
        return jnp.abs(walked - other).max() / bound

    return Distances(distance(copied), momentum=distance(heavy))


def _everywhere(steps, points):
    """Distances on the three functions, `[function, start]`."""

    def from_starts(function, lr, starts):
        return jax.vmap(partial(_distances, function, steps, lr))(starts)

    def stacked(*columns):
        return jnp.stack(columns)

    line = from_starts(_squares, 1 / STEEP / 2, LINE.best + points)
    valley = from_starts(_rosenbrock, 1e-4, points)
    waves = from_starts(_sine, 0.01, 7 + 3 * points)
    return jax.tree.map(stacked, line, valley, waves)


def _ends(family, steps):
    """The last |x| on x²/2 from 1, `[fraction]`."""

    def last(lr):
        walk = _walk(_bowl, steps, family, jnp.ones(()), lr)
        return jnp.abs(walk.params)

    return jax.vmap(last)(FRACTIONS)


def study(config: Config, keep: Callable) -> Result:
    """One program for the paths and one for each method's rates, in float64."""
    (seed,) = randomness.seeds(config.seed, 1)
    points = np.random.default_rng(seed).uniform(-2, 2, (config.starts, 2))
    steps = config.bowl_steps
    paths = jax.jit(partial(_everywhere, config.steps, points))
    nag = jax.jit(partial(_ends, learn.nag, steps))
    momentum = jax.jit(partial(_ends, learn.momentum, steps))
    with jax.enable_x64(True):
        distances = keep("paths", paths)
        nag_ends = keep("nag", nag)
        momentum_ends = keep("momentum", momentum)
    return Result(
        apart=distances.with_copy,
        control=distances.momentum,
        nag=nag_ends,
        momentum=momentum_ends,
        steps=np.array(config.steps),
        bowl_steps=np.array(steps),
    )


def findings(result: Result) -> tuple[record.Assertion, ...]:
    """An equation to rounding, its control, and the largest stable rates."""
    setting = (
        "the squared error of a line, Rosenbrock's function and x sin x, "
        f"{result.apart.shape[1]} starts each, {result.steps} updates"
    )
    return (
        record.deciding(
            "C121",
            "Without a second copy of the parameters Nesterov's gradient walks the "
            "same path as with it: the error over a bound on rounding.",
            record.largest(result.apart),
            record.at_most(1.0),
            unit="ratio",
            setting=setting,
            figure="nesterov",
        ),
        record.supporting(
            "C121",
            "Momentum, which takes the gradient where it stands, does not walk the "
            "path of Nesterov's gradient: the smallest error over a bound on "
            "rounding.",
            record.certain(result.control.min()),
            record.above(1.0),
            unit="ratio",
            setting=setting,
            figure="nesterov",
        ),
        _largest_rate(result, "Nesterov's gradient", "(2 + 2β)/(1 + 2β)/λ", result.nag),
        _largest_rate(result, "momentum", "2(1 + β)/λ", result.momentum),
    )


def _largest_rate(
    result: Result, method: str, law: str, ends: Array
) -> record.Assertion:
    largest = FRACTIONS[ends < 1].max()
    error = np.abs(largest - LIMITS[method])
    return record.supporting(
        "C121",
        f"The largest stable rate of {method} is {law}, to a step of the grid of "
        "rates.",
        record.certain(error),
        record.at_most(STEP),
        unit="error",
        setting=f"f(x) = x²/2, β = 0.9, {result.bowl_steps:,} updates",
        figure="rates",
    )


def figures(result: Result) -> dict:
    """Distances from the path of `nag`, and where both methods become unstable."""
    return {"nesterov": _paths(result), "rates": _rates(result)}


def _paths(result: Result):
    figure, (axis,) = panels(width=5.0)
    functions = ["line", "Rosenbrock", "x sin x"]
    starts, places = np.indices(result.apart.T.shape)
    places = places + 0.4 * starts / len(starts) - 0.2
    with_copy = np.maximum(result.apart.T, FLOOR)
    axis.scatter(places, with_copy, s=14, marker="o", label="the form with a copy")
    momentum = np.maximum(result.control.T, FLOOR)
    axis.scatter(places, momentum, s=14, marker="s", label="momentum (the control)")
    axis.axhline(1, color="0.3", linestyle="--", label="the bound")
    axis.set_yscale("log")
    axis.set_xticks(range(len(functions)), functions)
    title = "Distance from the path without a copy, a point a start"
    label(axis, title, "function", "distance over the bound on rounding")
    legend_below(axis)
    return figure


def _rates(result: Result):
    figure, (axis,) = panels(width=5.0)
    methods = {"Nesterov's gradient": result.nag, "momentum": result.momentum}
    for name, ends in methods.items():
        (line,) = axis.plot(FRACTIONS, ends < 1, marker="", label=name)
        law = {"color": line.get_color(), "linestyle": ":", "linewidth": 3}
        axis.axvline(LIMITS[name], label=f"law of {name}", **law)
    axis.set_yticks([0, 1], ["grows", "shrinks"])
    label(axis, "x²/2, β = 0.9", "rate η, in 1/λ", "|x| in the end")
    legend_below(axis)
    return figure
