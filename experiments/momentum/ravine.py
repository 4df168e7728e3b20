"""How many updates does momentum save where the loss is ill-conditioned?

The loss is the lecture's: the squared error of a line b + wx through ten Pokémon, from
(b, w) = (-120, -4), whose Hessian has the condition κ = 3.13e5. Momentum, -ηm with m ←
βm + g, and gradient descent (β = 0) run at ten rates each, from 0.05 to 0.999 of the
largest stable rate 2(1 + β)/λ, and each counts at its best: updates until the loss is
within 100 of the least, the course's tolerance.

If momentum repairs the slow progress, gradient descent needs more updates than momentum
with β = 0.9; fewer would refute it, and theory says about (1 + β)/(1 - β) = 19 times as
many. At 2/λ gradient descent shrinks the error along the flat axis by 1 - 2/κ an
update, from 68 to the 6 that the tolerance allows: that takes 382,000 updates, and it
gets 400,000. The negative control is the same loss with all curvatures equal, where
momentum may not need fewer. Nothing is random. The margin of 5 % is less than a step of
the grid. The best rates of β = 0 and 0.9 lie 0.1 % below the largest, beyond which all
diverge.

Claims: C075.
Sources: Polyak 1964.
Cost: 10 seconds on 2 cores.
Expect: 19 times fewer at β = 0.9; the course's counts; Polyak's β not the best in time.
Run: jaxml run ravine
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, problem, record
from jaxml.record.figures import label, legend_below, panels
from jaxml.types import Array

EPS = float(np.finfo(float).eps)
LINE = problem.pokemon_line()
FLAT, STEEP = LINE.eigenvalues
FLAT_AXIS = LINE.eigenvectors[:, 0]
KAPPA = STEEP / FLAT
CLOSE = 100.0  # above the least squared error

RHO = 1 - 2 / (np.sqrt(KAPPA) + 1)  # the factor of the error at Polyak's rate
POLYAKS = 4 / np.sum(np.sqrt(LINE.eigenvalues)) ** 2  # rate; its β is ρ²
BETAS = np.array([0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, RHO**2, 0.995, 0.999])
NONE, USUAL, FASTEST = 0, 3, 7  # places of β = 0, 0.9 and ρ²
FRACTIONS = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999])
COURSES = len(FRACTIONS)  # the place of the course's rate, which follows them
COURSES_RATE = 1e-6
COURSES_DESCENT = 1.1e-6  # its rate of gradient descent
NEVER = 1e9  # stands for the updates of a run that never is close

RAVINE = "squared error of a line through ten Pokémon, κ = 3.13e5"
BOWL = "squared error with both curvatures equal, κ = 1, from the same start"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of a race at most, and of the path at Polyak's rate."""

    steps: int = 400_000
    path_steps: int = 3000
    course_steps: int = 100_000
    control_steps: int = 2000


SMOKE = Config(steps=300, path_steps=60, course_steps=300, control_steps=300)


class Result(NamedTuple):
    """Updates until close, 0 if never; rates are FRACTIONS, the course's, Polyak's."""

    arrivals: Int[Array, "beta rate"]
    control: Int[Array, "beta fraction"]  # where all curvatures are equal
    law: Float[Array, " step"]  # error along the flat axis at Polyak's rate and β
    suboptimality: Float[Array, ""]  # of gradient descent after the course's updates
    steps: Int[Array, ""]
    course_steps: Int[Array, ""]
    control_steps: Int[Array, ""]


class Pace(NamedTuple):
    """What each run of a race is given."""

    rates: Float[Array, "beta rate"]
    beta: Float[Array, " beta"]


def _squares(params, _):
    return jnp.sum((LINE.heights - LINE.design @ params) ** 2)


def _bowl(params, _):
    """The same loss with the curvature of the steep axis along both."""
    return STEEP / 2 * jnp.sum((params - LINE.best) ** 2) + _squares(LINE.best, None)


def _walk(loss, steps, lr, beta):
    optimizer = learn.momentum(learn.Hyper(lr=lr, momentum=beta))
    start = jnp.array(LINE.start)
    return learn.descend(loss, optimizer, start, None, steps=steps, observe=lambda x: x)


def _arrivals(loss, steps, rates):
    """Updates until the loss is close to the least, `[β, rate]`, on all cores."""

    def updates(lr, beta):
        losses = _walk(loss, steps, lr, beta).loss
        return jnp.argmax(losses < _squares(LINE.best, None) + CLOSE)

    def of_beta(pace):
        return jax.vmap(updates, (0, None))(pace.rates, pace.beta)

    def race(pace, _):
        return jax.lax.map(of_beta, pace)

    paces = Pace(rates, BETAS)
    first = parallel.rows(paces, np.arange(1))
    program = parallel.compiled(race, first, None, chunks=len(BETAS))
    return parallel.gathered(program, paces, None)


def _law(steps):
    walk = _walk(_squares, steps, POLYAKS, BETAS[FASTEST])
    return (walk.observed - LINE.best[None]) @ FLAT_AXIS


def _suboptimality(steps):
    walk = _walk(_squares, steps, COURSES_DESCENT, 0.0)
    return _squares(walk.params, None) - _squares(LINE.best, None)


def study(config: Config, keep: Callable) -> Result:
    """A program for each part, in float64; the races take all cores."""
    largest = 2 * (1 + BETAS[:, None]) / STEEP
    grid = FRACTIONS * largest
    others = np.tile([COURSES_RATE, POLYAKS], (len(BETAS), 1))
    rates = np.hstack([grid, others])
    control = partial(_arrivals, _bowl, config.control_steps, grid)
    with jax.enable_x64(True):
        return Result(
            arrivals=keep(
                "arrivals", partial(_arrivals, _squares, config.steps, rates)
            ),
            control=keep("control", control),
            law=keep("law", partial(_law, config.path_steps)),
            suboptimality=keep(
                "suboptimality", partial(_suboptimality, config.course_steps)
            ),
            steps=np.array(config.steps),
            course_steps=np.array(config.course_steps),
            control_steps=np.array(config.control_steps),
        )


def findings(result: Result) -> tuple[record.Assertion, ...]:
    """Counts of updates, where nothing is random."""
    return (*_races(result), *_course(result), _of_law(result))


def _race(
    role: Callable, statement: str, ratio: np.floating, rule: record.Rule, setting: str
) -> record.Assertion:
    return role(
        "C075",
        statement,
        record.certain(ratio),
        rule,
        unit="ratio",
        setting=f"{setting}, updates to within 100 of the least, each at its best rate",
        figure="ravine",
    )


def _fewest(arrivals: Int[Array, "beta rate"]) -> Float[np.ndarray, " beta"]:
    return np.where(arrivals, arrivals, NEVER).min(axis=1)


def _races(result: Result) -> tuple[record.Assertion, ...]:
    best = _fewest(result.arrivals)
    others = np.delete(best, FASTEST).min()
    equal = _fewest(result.control)
    reason = "5 % of the updates is less than a step of the grid of rates"
    more = record.above(1.0, margin=0.05, reason=reason)
    setting = f"{RAVINE}, at most {result.steps:,} updates"
    bowl = f"{BOWL}, at most {result.control_steps:,} updates"
    return (
        _race(
            record.deciding,
            "Gradient descent needs more updates than momentum with β = 0.9.",
            best[NONE] / best[USUAL],
            more,
            setting,
        ),
        _race(
            record.supporting,
            "Where all curvatures are equal, gradient descent needs fewer updates than "
            "momentum with β = 0.9.",
            equal[NONE] / equal[USUAL],
            record.below(1.0, margin=0.05, reason=reason),
            bowl,
        ),
        _race(
            record.supporting,
            "Polyak's β needs the fewest updates: those of the best other β over its.",
            others / best[FASTEST],
            more,
            setting,
        ),
    )


def _course(result: Result) -> tuple[record.Assertion, ...]:
    """The course's own figures."""
    updates = result.arrivals[USUAL, COURSES] or NEVER
    rounded = "half of the last digit that the course prints"
    return (
        record.supporting(
            "C075",
            "Momentum with β = 0.9 at η = 1e-6 needs 43,700 updates: difference from "
            "it.",
            record.certain(updates - 43_700.0, of=result.law),
            record.near(0.0, margin=50.0, reason=rounded),
            unit="updates",
            setting=f"{RAVINE}, updates to within 100 of the least error",
        ),
        record.supporting(
            "C075",
            "Gradient descent at η = 1.1e-6 is still 3.8e3 above the least error.",
            record.certain(result.suboptimality),
            record.near(3800.0, margin=50.0, reason=rounded),
            unit="squared error",
            setting=f"{RAVINE}, {result.course_steps:,} updates",
        ),
        record.supporting(
            "C075",
            "The Hessian of the lecture's loss has the condition κ = 3.13e5.",
            record.certain(KAPPA),
            record.near(3.13e5, margin=500.0, reason=rounded),
            unit="ratio",
            setting="squared error of a line through ten Pokémon",
        ),
    )


def _closed_form(steps: int) -> Float[np.ndarray, " step"]:
    t = np.arange(steps)
    first = (1 - POLYAKS * FLAT) / RHO - 1
    return (1 + first * t) * RHO**t


def _of_law(result: Result) -> record.Assertion:
    steps = len(result.law)
    closed_form = _closed_form(steps) * result.law[0]
    return record.supporting(
        "C075",
        "At Polyak's η and β the error along the flat axis falls as (1 + kt)ρᵗ.",
        record.largest(result.law / closed_form - 1),
        record.at_most(steps * EPS**0.5),
        unit="relative error",
        setting=f"{RAVINE}, {steps:,} updates",
        figure="ravine",
    )


def figures(result: Result) -> dict:
    """Updates at the best rate by β, and the error at Polyak's."""
    figure, (updates, errors) = panels(1, 2, height=3.7)
    for arrivals, name in ((result.arrivals, "κ = 3.13e5"), (result.control, "κ = 1")):
        fewest = _fewest(arrivals)
        seen = np.where(fewest < NEVER, fewest, np.nan)
        updates.loglog(1 - BETAS, seen, markevery=1, label=name)
    course = result.arrivals[USUAL, COURSES] or np.nan
    updates.scatter(0.1, course, s=30, color="#003366", label="at η = 1e-6")
    printed = "ledger, η = 1e-6: 43,700"
    updates.axhline(43_700, color="0.4", linestyle=":", label=printed)
    updates.invert_xaxis()
    title = "Each β at its best rate"
    label(updates, title, "1 - β", "updates to 100 above the least error")
    steps = np.arange(len(result.law))
    errors.semilogy(steps, np.abs(result.law), marker="", label="momentum")
    closed_form = np.abs(_closed_form(len(steps)) * result.law[0])
    some = steps[::300]
    errors.scatter(some, closed_form[some], color="#994455", label="(1 + kt)ρᵗ")
    label(errors, "At Polyak's η and β", "update", "error along the flat axis")
    for axis in (updates, errors):
        legend_below(axis)
    return {"ravine": figure}
