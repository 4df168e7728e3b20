"""What is a step of momentum: the weighted sum of all earlier gradients, in two forms?

The velocity m ← βm + g, θ ← θ - ηm is run on x sin x, whose gradients change along the
path. Its steps are compared with sums that are written out anew from those gradients,
and its path with that of the average m ← βm + (1 - β)g at η/(1 - β).

If the claims hold, each error stays below a bound on what rounding can do: a position x
is rounded by ε|x|, a step by ε times the largest step, and errors grow as neighbouring
paths part. The negative controls must exceed the bound: the sum with a spare factor β
on the newest gradient, as one version of the notes has it, and the average at an η that
is not rescaled. Nothing is random: starts are a grid, and the bound holds at each of
them. The slope of 1 is walked for 9,000 updates, so that 0.99⁹⁰⁰⁰ is far below
rounding.

Claims: C073, C077.
Sources: Polyak 1964; Sutskever et al. 2013.
Cost: 3 seconds on 2 cores.
Expect: both claims hold to rounding, and both controls fail.
Run: jaxml run momentum
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.record.figures import label, legend_below, panels

EPS = float(np.finfo(float).eps)
BETAS = np.array([0.5, 0.8, 0.9, 0.95, 0.99])
ETA = 0.1  # of the average; the velocity takes η(1 - β)
FLOOR = 1e-4  # the least error that the figure can show


@dataclass(frozen=True, kw_only=True)
class Config:
    """Starts on [0.1, 14] of x sin x, updates there, and updates down a slope of 1."""

    starts: int = 40
    steps: int = 300
    slide: int = 9000


SMOKE = Config(starts=4, steps=60)


class Result(NamedTuple):
    """Errors over the bound on rounding, of a grid of starts."""

    sums: Float[np.ndarray, "start beta"]
    spare: Float[np.ndarray, "start beta"]  # with the spare factor β
    forms: Float[np.ndarray, "start beta"]
    unscaled: Float[np.ndarray, "start beta"]  # both forms at one η
    terminal: Float[np.ndarray, " beta"]  # of the last step down a slope of 1
    steps: np.ndarray  # [], updates on x sin x
    slide: np.ndarray  # [], updates down the slope


class Errors(NamedTuple):
    """Of a path, over the bound on rounding."""

    right: jax.Array
    wrong: jax.Array  # of the negative control


def _path(function, steps, family, x, lr, beta):
    """The positions before each update, `[step]`."""
    optimizer = family(learn.Hyper(lr=lr, momentum=beta))
    descent = learn.descend(
        function, optimizer, x, None, steps=steps, observe=lambda x: x
    )
    return descent.observed


def _weighted_sums(gradients, weights_of_ages):
    """The sum of the weighted gradients up to each step but the last, `[step]`."""
    steps = len(gradients)
    ages = np.subtract.outer(np.arange(steps - 1), np.arange(steps))
    weights = jnp.where(ages >= 0, weights_of_ages(ages), 0)
    return weights @ gradients


def _sums(steps, x, beta):
    """How far the steps of momentum are from sums over earlier gradients."""
    lr = ETA * (1 - beta)
    path = _path(problem.x_sin_x, steps, learn.momentum, x, lr, beta)
    gradients = jax.vmap(jax.grad(problem.x_sin_x), (0, None))(path, None)
    largest_step = ETA * jnp.abs(gradients).max()
    time_constant = 1 / (1 - beta)
    bound = jnp.abs(path).max() + largest_step * (time_constant + steps)

    def powers(ages):
        return beta ** np.maximum(ages, 0.0)

    def spare_powers(ages):
        return powers(ages) * jnp.where(ages == 0, beta, 1)

    def error(weights_of_ages):
        off = jnp.diff(path) + lr * _weighted_sums(gradients, weights_of_ages)
        return jnp.abs(off).max() / bound / EPS

    return Errors(error(powers), error(spare_powers))


def _forms(steps, x, beta):
    """How far the path of the velocity is from that of the average."""
    lr = ETA * (1 - beta)
    velocity = partial(_path, problem.x_sin_x, steps, learn.momentum)
    average = partial(_path, problem.x_sin_x, steps, learn.averaged_momentum)
    path = velocity(x, lr, beta)
    gradients = jax.vmap(jax.grad(problem.x_sin_x), (0, None))(path, None)
    largest_step = ETA * jnp.abs(gradients).max()
    parting = jnp.abs(jax.jacfwd(velocity)(x, lr, beta)).max()
    time_constant = 1 / (1 - beta)
    bound = steps * (jnp.abs(path).max() + largest_step * time_constant) * (1 + parting)

    def error(lr_of_average):
        off = path - average(x, lr_of_average, beta)
        return jnp.abs(off).max() / bound / EPS

    return Errors(error(ETA), error(lr))


def _terminal(steps, beta):
    """How far the last step down a slope of 1 is from 1, at η = 1 - β."""

    def slope(x, _):
        return x

    path = _path(slope, steps, learn.momentum, jnp.zeros(()), 1 - beta, beta)
    last_step = path[-2] - path[-1]
    bound = steps + 2 / (1 - beta)
    return jnp.abs(last_step - 1) / bound / EPS


def _equations(steps, x, beta):
    """Errors of both claims, on one path."""
    return {"sums": _sums(steps, x, beta), "forms": _forms(steps, x, beta)}


def study(config: Config, keep: Callable) -> Result:
    """One program for x sin x and one for the slope, in float64."""
    by_beta = jax.vmap(partial(_equations, config.steps), (None, 0))
    by_start = jax.jit(jax.vmap(by_beta, (0, None)))
    slides = jax.jit(jax.vmap(partial(_terminal, config.slide)))
    with jax.enable_x64(True):
        starts = jnp.linspace(0.1, 14, config.starts)
        errors = keep("errors", partial(by_start, starts, BETAS))
        terminal = keep("terminal", partial(slides, BETAS))
    sums, forms = errors["sums"], errors["forms"]
    return Result(
        sums=sums.right,
        spare=sums.wrong,
        forms=forms.right,
        unscaled=forms.wrong,
        terminal=terminal,
        steps=np.array(config.steps),
        slide=np.array(config.slide),
    )


def findings(result: Result) -> tuple[record.Assertion, ...]:
    """Equations to rounding, each with a control that must fail."""
    return (*_of_sums(result), *_of_forms(result))


def _setting(result: Result) -> str:
    starts, betas = result.sums.shape
    return (
        f"x sin x, {starts} starts on a grid over [0.1, 14], "
        f"{betas} values of β from 0.5 to 0.99, {result.steps} updates"
    )


def _of_sums(result: Result) -> tuple[record.Assertion, ...]:
    return (
        record.deciding(
            "C073",
            "The steps of momentum are the sums -η Σ βᵗ⁻ⁱ gᵢ over all earlier "
            "gradients: the error over a bound on rounding.",
            record.largest(result.sums),
            record.at_most(1.0),
            unit="ratio",
            setting=_setting(result),
            figure="errors",
        ),
        record.supporting(
            "C073",
            "The steps of momentum are not the sums with a spare factor β on the "
            "newest gradient: the smallest error over a bound on rounding.",
            record.certain(result.spare.min()),
            record.above(1.0),
            unit="ratio",
            setting=_setting(result),
            figure="errors",
        ),
        record.supporting(
            "C073",
            "Under a constant gradient g the steps of momentum end at ηg/(1 - β): "
            "the error over a bound on rounding.",
            record.largest(result.terminal),
            record.at_most(1.0),
            unit="ratio",
            setting=f"a slope of 1, 5 values of β from 0.5 to 0.99, {result.slide:,} "
            "updates",
        ),
    )


def _of_forms(result: Result) -> tuple[record.Assertion, ...]:
    return (
        record.deciding(
            "C077",
            "Momentum as a velocity at η(1 - β) and as an average of gradients at η "
            "walk one path: the error over a bound on rounding.",
            record.largest(result.forms),
            record.at_most(1.0),
            unit="ratio",
            setting=_setting(result),
            figure="errors",
        ),
        record.supporting(
            "C077",
            "Momentum as a velocity and as an average of gradients, both at η, do not "
            "walk one path: the smallest error over a bound on rounding.",
            record.certain(result.unscaled.min()),
            record.above(1.0),
            unit="ratio",
            setting=_setting(result),
            figure="errors",
        ),
    )


def figures(result: Result) -> dict:
    """Errors of the equations and of their controls, one point a start, FLOOR or
    more.
    """
    figure, axes = panels(1, 2, height=3.5)
    sums = {"Σ βᵗ⁻ⁱ gᵢ": result.sums, "with a spare β (control)": result.spare}
    forms = {"rescaled η": result.forms, "one η (control)": result.unscaled}
    claims = {"Steps and weighted sums": sums, "Velocity and average": forms}
    places = np.arange(len(BETAS))
    for axis, (title, pair) in zip(axes, claims.items(), strict=True):
        for (name, errors), marker in zip(pair.items(), "os", strict=True):
            shown = np.maximum(errors, FLOOR)
            aside = np.linspace(-0.25, 0.25, len(shown))
            x = np.add.outer(aside, places)
            axis.scatter(x, shown, s=8, marker=marker, label=name)
        axis.axhline(1, color="0.3", linestyle="--", label="the bound")
        axis.set_yscale("log")
        axis.set_xticks(places, [f"{beta:g}" for beta in BETAS])
        label(axis, f"{title}, a point a start", "β", "error over rounding's bound")
        legend_below(axis, columns=2)
    return {"errors": figure}
