"""Does a rate for each parameter beat one rate for all, on the lecture's surface and on
it turned?

The surface is the squared error of a line through ten Pokémon, two parameters of very
unequal curvature. Its long axis lies within a sixth of a degree of a coordinate axis,
so the same surface is also turned about its minimum, with the start: what does not
depend on the axes takes the same path.

Claims: C078, C079, C080, C081, C082, C083, C084, C085, A4, A5, A9, A10.
Sources: Duchi, Hazan and Singer 2011; Tieleman and Hinton 2012; Kingma and Ba 2015,
arXiv:1412.6980.
Cost: 20 seconds on 2 cores: 13 programs of 100,000 steps.
Expect: adaptive rates arrive in a budget too short for descent; rotated by 45 degrees
they lose most of it.
Run: jaxml run adaptive_rates
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

ANGLES = np.radians([0.0, 5.0, 15.0, 45.0])
PLAIN = np.array([1e-8, 1e-7, 3e-7, 1e-6, 1.1e-6, 1.2e-6])
ADAPTIVE = np.array([0.1, 0.3, 0.5, 1.0, 3.0, 10.0])
WIDE = np.geomspace(1e-3, 1000.0, 35)  # in steps of 1.5, with the best rates inside
START, CLOSE = np.array([-120.0, -4.0]), 100.0  # of the suboptimality, a squared error
DATA = problem.pokemon_cp(dtype=np.float64)
DESIGN, HEIGHTS = (
    np.hstack([np.ones_like(DATA.inputs), DATA.inputs]),
    DATA.targets[:, 0],
)
BEST, CURVATURE = np.linalg.lstsq(DESIGN, HEIGHTS)[0], 2 * DESIGN.T @ DESIGN
NEVER = 1e9  # updates of a method that does not arrive

SURFACE = "squared error of a line through ten Pokémon"


class Runs(NamedTuple):
    """What became of one method at each rate and angle; steps and bursts count from the
    start.
    """

    steps: (
        jax.Array
    )  # [rate, angle], until the suboptimality is first below CLOSE, or inf
    settled: jax.Array  # [rate, angle], until it is below CLOSE for good, or inf
    bursts: jax.Array  # [rate, angle], how often |w - w*| rises beyond 1
    end: jax.Array  # [rate, angle, 2], rotated back
    excess: jax.Array  # [rate, angle], of the squared error at the end over its minimum
    path: jax.Array  # [rate, angle, look, 2], at geometrically spaced steps


class Result(NamedTuple):
    """Runs by method; "course" is the lecture's Adagrad."""

    descent: Runs
    momentum: Runs
    course: Runs
    course_inverse_sqrt: Runs
    course_exponential: Runs
    course_cosine: Runs
    adagrad: Runs
    rmsprop: Runs
    rmsprop_cosine: Runs
    adam: Runs
    rotated_adagrad: Runs
    rotated_adam: Runs
    rotated_rmsprop: Runs
    updates: Array  # [], of each run


class Method(NamedTuple):
    """An optimizer, its schedule, the rates it is run at, and its second moment's
    decay.
    """

    family: learn.Family
    shape: Callable[..., Any]
    rates: np.ndarray = ADAPTIVE
    second_moment: float = 0.0


LECTURE = {
    "course": Method(learn.mean_square_adagrad, learn.constant),
    "course_inverse_sqrt": Method(learn.mean_square_adagrad, learn.inverse_sqrt),
    "course_exponential": Method(learn.mean_square_adagrad, learn.exponential),
    "course_cosine": Method(learn.mean_square_adagrad, learn.cosine),
}
PUBLISHED = {
    "descent": Method(learn.sgd, learn.constant, PLAIN),
    "momentum": Method(learn.momentum, learn.constant, PLAIN),
    "adagrad": Method(learn.adagrad, learn.constant),
    "rmsprop": Method(learn.rmsprop, learn.constant, second_moment=0.9),
    "rmsprop_cosine": Method(learn.rmsprop, learn.cosine, second_moment=0.99),
    "adam": Method(learn.adam, learn.constant, second_moment=0.999),
}
ROTATED = {
    "rotated_adagrad": Method(learn.adagrad, learn.constant, WIDE),
    "rotated_adam": Method(learn.adam, learn.constant, WIDE, second_moment=0.999),
    "rotated_rmsprop": Method(learn.rmsprop, learn.cosine, WIDE, second_moment=0.99),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """How long every method runs."""

    steps: int = 100_000


SMOKE = Config(steps=300)


def _run(config, method, rate, angle):
    turn = jnp.array(
        [[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]]
    )
    horizon = float(config.steps)
    hyper = learn.Hyper(lr=rate, second_moment=method.second_moment, horizon=horizon)

    def back(params):  # to the data's coordinates
        return BEST + turn.T @ (params - BEST)

    def error(params, _):  # Σ (y - b - wx)²
        return jnp.sum((HEIGHTS - DESIGN @ back(params)) ** 2)

    start, least = BEST + turn @ (START - BEST), jnp.sum((HEIGHTS - DESIGN @ BEST) ** 2)
    optimizer = method.family(hyper, method.shape)
    run = learn.descend(error, optimizer, start, None, steps=config.steps, observe=back)
    close, far = run.loss - least < CLOSE, jnp.abs(run.observed[:, 1] - BEST[1]) > 1
    seen = np.unique(np.geomspace(1, config.steps, 400).astype(int)) - 1
    steps = jnp.where(jnp.any(close), jnp.argmax(close).astype(float), jnp.inf)
    settled = jnp.where(
        close[-1], config.steps - jnp.argmax(~close[::-1]).astype(float), jnp.inf
    )
    settled = jnp.where(jnp.all(close), 0.0, settled)
    bursts = jnp.sum(far[1:] & ~far[:-1])
    return Runs(
        steps,
        settled,
        bursts,
        back(run.params),
        error(run.params, None) - least,
        run.observed[seen],
    )


def _program(config, method):
    """All runs of a method: rates on the first axis, angles on the second."""
    at_angles = jax.vmap(partial(_run, config, method), (None, 0))
    return jax.jit(jax.vmap(at_angles, (0, None)))


def study(config, keep):
    """One program a method, its rates and angles as lanes."""
    with jax.enable_x64(True):
        runs = {}
        for name, method in (LECTURE | PUBLISHED | ROTATED).items():
            program = _program(config, method)
            runs[name] = keep(name, partial(program, method.rates, ANGLES))
        return Result(**runs, updates=np.array(config.steps))


def _bursts(runs):
    """How often w leaves the neighbourhood of its optimum, over all rates together."""
    return record.certain(np.sum(runs.bursts[:, 0]), of=runs.excess)


def _bursts_left(runs, constant):
    """Bursts of a method over those at a constant rate, over all rates together."""
    counts = np.sum(runs.bursts[:, 0]), np.maximum(np.sum(constant.bursts[:, 0]), 1)
    return record.certain(np.divide(*counts), of=runs.excess)


def _suboptimality(runs):
    """At the end by rate, on the surface as it is; what overflows is the largest of
    all.
    """
    return np.nan_to_num(runs.excess[:, 0], nan=1e300, posinf=1e300)


def _arrival(runs):
    """Updates until the suboptimality is below CLOSE at the best rate, on the surface
    as it is.
    """
    return record.certain(np.minimum(np.min(runs.steps[:, 0]), NEVER))


def _slowdown(result, runs):
    """Updates on the surface rotated by 45 degrees over those without; a run that fails
    has the budget's.
    """
    straight, *_, rotated = np.minimum(np.min(runs.settled, axis=0), result.updates)
    return record.certain(rotated / straight)


def _setting(result, rates):
    return (
        f"{SURFACE}, rates {rates.min():g} to {rates.max():g}, {result.updates:,} "
        "updates"
    )


def findings(result):
    """Nothing is random. Arrivals are at the best of a method's rates."""
    return (
        *_surface(result),
        *_descent(result),
        *_lecture_rule(result),
        *_published(result),
        *_neighbours(result),
        *_decays(result),
        *_rotation(result),
    )


def _surface(result):
    values = np.linalg.eigvalsh(CURVATURE)
    tiny_rate = result.descent.end[1, 0]  # of the rate 1e-7, at angle 0
    return (
        record.deciding(
            "C078",
            "The squared error of a line through the ten Pokémon is smallest at b = "
            "-188.433, w = 2.66945, to half a unit of the last digit.",
            record.largest((BEST - [-188.433, 2.66945]) / [5e-4, 5e-6]),
            record.at_most(1.0),
            unit="error",
            setting=SURFACE,
        ),
        record.deciding(
            "A5",
            "The Hessian of the squared error of a line through the ten Pokémon has "
            "the eigenvalues 5.573 and 1.7468e6, and so the condition number 3.13e5, "
            "to half a unit of the last digit.",
            record.largest(
                (_with_ratio(values) - [5.573, 1.7468e6, 3.13e5]) / [5e-4, 50, 500]
            ),
            record.at_most(1.0),
            unit="error",
            setting=SURFACE,
        ),
        record.deciding(
            "A5",
            "Gradient descent with rate 1e-7 ends at b = -123.7, w = 2.483, as the "
            "lecture's panel shows, to half a unit of the last digit.",
            record.largest((tiny_rate - [-123.7, 2.483]) / [0.05, 5e-4]),
            record.at_most(1.0),
            unit="error",
            setting=f"{SURFACE}, {result.updates:,} updates",
        ),
    )


def _with_ratio(values):
    """Two eigenvalues, and the larger over the smaller."""
    return np.append(values, values[1] / values[0])


def _descent(result):
    suboptimality = _suboptimality(result.descent)
    slope = (CURVATURE @ (START - BEST))[0]  # ∂/∂b of the summed squared error
    moves = (
        0.01 * np.abs(slope) / np.array([1, len(HEIGHTS)])
    )  # of the summed and the mean error
    setting = _setting(result, PLAIN)
    return (
        record.deciding(
            "C079",
            "Gradient descent with a constant rate ends within a squared error of 100 "
            "of the optimum at no rate tried, in the lecture's number of updates.",
            record.certain(suboptimality.min()),
            record.above(CLOSE),
            unit="squared error",
            setting=setting,
        ),
        record.supporting(
            "C079",
            "Gradient descent with a rate beyond two over the largest eigenvalue "
            "blows up.",
            record.certain(suboptimality[-1]),
            record.above(1e6),
            unit="squared error",
            setting=setting,
        ),
        record.deciding(
            "A10",
            "The first update of plain gradient descent with rate 0.01 moves b more "
            "than twice as far as the 3.5 of the slide, for the summed and for the "
            "mean squared error.",
            record.certain(moves.min() / 3.5),
            record.above(
                1.0,
                margin=1.0,
                reason="a length read off a plot is right to a factor of two",
            ),
            unit="ratio",
            setting=f"{SURFACE}, from b = -120, w = -4",
        ),
    )


def _lecture_rule(result):
    setting = _setting(result, ADAPTIVE)
    bursting = result.course.bursts[:, 0] > 0
    return (
        record.deciding(
            "C080",
            "With the root mean square of all past gradients as divisor, the best "
            "constant rate comes within a squared error of 100 of the optimum.",
            _arrival(result.course),
            record.below(float(result.updates)),
            unit="updates",
            setting=setting,
        ),
        record.deciding(
            "C080",
            "With the root mean square of all past gradients as divisor, w bursts out "
            "of its optimum again: how often its distance rises above 1, at all "
            "constant rates together.",
            _bursts(result.course),
            record.above(0.0),
            unit="count",
            setting=setting,
        ),
        record.deciding(
            "A4",
            "With rates that fall as 1/√t the lecture's rule ends where the published "
            "Adagrad does.",
            record.largest((result.course_inverse_sqrt.end - result.adagrad.end)[:, 0]),
            record.at_most(1e-6),
            unit="distance",
            setting=setting,
        ),
        record.deciding(
            "A4",
            "The published Adagrad has no burst at the rates at which the lecture's "
            "rule bursts.",
            record.certain(
                np.sum(result.adagrad.bursts[bursting, 0]), of=result.adagrad.excess
            ),
            record.at_most(0.0),
            unit="count",
            setting=setting,
        ),
    )


def _published(result):
    return (
        record.deciding(
            "C081",
            "Adagrad as published, at its best rate, comes within a squared error of "
            "100 of the optimum.",
            _arrival(result.adagrad),
            record.below(float(result.updates)),
            unit="updates",
            setting=_setting(result, ADAPTIVE),
        ),
        record.deciding(
            "C081",
            "Adagrad as published does not burst out of the optimum at any rate.",
            _bursts(result.adagrad),
            record.at_most(0.0),
            unit="count",
            setting=_setting(result, ADAPTIVE),
        ),
    )


def _neighbours(result):
    """Beside C082, C083 and C084."""
    setting = _setting(result, ADAPTIVE)
    return (
        record.supporting(  # the rates of the two directions are not compared
            "C082",
            "Adagrad, which has a rate for each parameter, reaches the optimum.",
            _arrival(result.adagrad),
            record.below(float(result.updates)),
            unit="updates",
            setting=setting,
        ),
        record.supporting(  # no slope changes here
            "C083",
            "RMSProp with decay 0.9 and a constant rate of 0.1 does not settle at the "
            "optimum.",
            record.certain(_suboptimality(result.rmsprop)[0]),
            record.above(CLOSE),
            unit="squared error",
            setting=f"{SURFACE}, {result.updates:,} updates",
        ),
        record.supporting(
            "C083",
            "RMSProp with decay 0.99 and a rate that falls from 0.1 along a cosine "
            "settles at the optimum.",
            record.certain(_suboptimality(result.rmsprop_cosine)[0]),
            record.below(CLOSE),
            unit="squared error",
            setting=f"{SURFACE}, {result.updates:,} updates",
        ),
        record.supporting(  # its best rate is not its default one
            "C084",
            "Adam with its best rate reaches the optimum within 10,000 updates.",
            _arrival(result.adam),
            record.below(1e4),
            unit="updates",
            setting=setting,
        ),
    )


def _decays(result):
    """All bursts must go; how many do, whose number hangs on how fast the rate falls,
    stands beside it.
    """
    decays = {
        "1/√t": result.course_inverse_sqrt,
        "an exponential to a hundredth of the first rate": result.course_exponential,
        "a cosine to zero": result.course_cosine,
    }
    few = {"margin": 0.05, "reason": "1 burst in 20 is less than another start changes"}
    rows = []
    for shape, runs in decays.items():
        rows.append(
            record.deciding(
                "C085",
                "A rate that decays removes all bursts of division by the root mean "
                "square of all past gradients.",
                _bursts(runs),
                record.at_most(0.0),
                unit="count",
                setting=f"{_setting(result, ADAPTIVE)}, decay by {shape}",
            )
        )
        rows.append(
            record.supporting(
                "C085",
                "A rate that decays leaves fewer than half of the bursts of a "
                "constant one.",
                _bursts_left(runs, result.course),
                record.below(0.5, **few),
                unit="ratio",
                setting=f"{_setting(result, ADAPTIVE)}, decay by {shape}",
            )
        )
    return rows


def _rotation(result):
    _, vectors = np.linalg.eigh(CURVATURE)
    rows = [
        record.deciding(
            "A9",
            "The long axis of the surface lies within a degree of a parameter's axis.",
            record.certain(np.degrees(np.abs(vectors[1, 0]))),
            record.below(1.0),
            unit="degrees",
            setting=SURFACE,
        )
    ]
    adaptive = {
        "Adagrad": result.rotated_adagrad,
        "Adam": result.rotated_adam,
        "RMSProp with decay 0.99 and a cosine": result.rotated_rmsprop,
    }
    five_percent = "5 % of the updates is less than what a finer grid of rates changes"
    for name, runs in adaptive.items():
        rows.append(
            record.deciding(
                "A9",
                f"{name} needs more updates to stay near the optimum where the surface "
                "is rotated by 45 degrees, the whole budget where it fails.",
                _slowdown(result, runs),
                record.above(1.0, margin=0.05, reason=five_percent),
                unit="ratio",
                setting=_setting(result, WIDE),
            )
        )
    rows.append(
        record.supporting(
            "A9",
            "Gradient descent with momentum needs as many updates to stay near the "
            "optimum where the surface is rotated by 45 degrees.",
            _slowdown(result, result.momentum),
            record.near(1.0, margin=0.05, reason=five_percent),
            unit="ratio",
            setting=_setting(result, PLAIN),
        )
    )
    return rows


def figures(result):
    """The paths on the contour, and steps against the angle."""
    figure, axes = panels(2, 2, width=5.0)
    b, w = np.meshgrid(np.linspace(-205, -110, 80), np.linspace(-5, 7, 80))
    offset = np.stack([b - BEST[0], w - BEST[1]], axis=-1)
    excess = 0.5 * np.einsum("...i,ij,...j", offset, CURVATURE, offset)
    for axis, name, rate in zip(
        axes, ("course", "adagrad", "adam"), (3, 5, 3), strict=False
    ):
        axis.contour(
            b, w, np.log10(excess + 1), levels=12, colors="0.7", linewidths=0.7
        )
        axis.plot(*result.descent.path[3, 0].T, label="descent at η = 1e-6")
        axis.plot(
            *getattr(result, name).path[rate, 0].T,
            label=f"{name} at η = {ADAPTIVE[rate]:g}",
        )
        axis.set(xlim=(-205, -110), ylim=(-5, 7))
        axis.legend(fontsize=8)
        label(axis, name, "b (combat power)", "w (1)")
    for name in ("momentum", "adagrad", "rmsprop_cosine", "adam"):
        axes[3].semilogy(
            np.degrees(ANGLES), getattr(result, name).steps.min(axis=0), label=name
        )
    axes[3].legend(fontsize=8)
    label(
        axes[3],
        "The best of each method's rates",
        "angle of the surface (°)",
        "steps to excess 100",
    )
    return {"paths": figure}
