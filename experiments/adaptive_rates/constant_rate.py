"""Does gradient descent reach the optimum of the lecture's surface at a constant rate?

The surface is the squared error of a line b + wx through ten Pokémon, Σ(y - b - wx)²,
from (b, w) = (-120, -4). Gradient descent runs at rates in steps of 1.5 up to 0.999 of
the largest stable one, 2/λ with λ the largest eigenvalue, and at three beyond. It has
arrived when the squared error is within 100 of the least, the course's tolerance.

The course says that a large rate oscillates and that a small one stops far from the
optimum after 100,000 updates. It is wrong if some rate arrives within 100,000, or if an
update beyond 2/λ leaves the error along the steep axis on its side, or smaller. At 2/λ
the error along the flat axis shrinks by 1 - 2/κ an update, from 68 to the 6 that the
tolerance allows: that takes 382,000 updates, and 450,000 are given, to see whether the
budget or the method is at fault. Controls: the same loss with the steep curvature along
both axes, where one rate must arrive soon, and a rate below 1/λ, at which nothing may
oscillate. Nothing is random. The margin of 5 % is less than a step of the grid.

A first version said that gradient descent arrives at no constant rate, which is true of
100,000 updates only, and tried six rates.

Claims: C079.
Cost: 3 seconds on 2 cores, compilation included.
Expect: the course is right; four times its budget would have been enough.
Run: jaxml run constant_rate
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep, Objective

LINE = problem.pokemon_line()
STEEP = float(LINE.eigenvalues[1])
LARGEST = 2 / STEEP  # stable rate
CLOSE = 100.0  # above the least squared error
STABLE = 0.999 * LARGEST / 1.5 ** np.arange(12)
USUAL = 1e-6  # a rate of the course
UNSTABLE = np.array([1.2e-6, 1e-5, 1e-2])
GENTLE = STEEP**-1 / 2  # a rate at which the error of no axis changes sign
DEMO = 5e-6 / 10  # of the summed error; the course's is of the mean of ten
NEVER = 1e9  # stands for the updates of a run that never arrives

SURFACE = "squared error of a line through ten Pokémon"
BOWL = "squared error with the steep curvature along both axes, from the same start"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates: the course's, enough for any stable rate, its demo's, and early."""

    steps: int = 100_000
    enough: int = 450_000
    demo: int = 1_400_000
    early: int = 20


SMOKE = Config(steps=300, enough=400, demo=500, early=5)


class Result(NamedTuple):
    """What became of gradient descent at each rate.

    Attributes:
        arrivals: updates until close at STABLE rates, 0 if never.
        control: likewise where both curvatures are equal.
        usual: b and w after the course's updates at rate USUAL.
        demo: squared error above the least after the demo.
        early: errors along the steep axis at UNSTABLE rates.
        gentle: likewise at GENTLE.
        suboptimality: squared errors above the least at STABLE rates after the course's
            updates.
        steps: the course's updates.
        enough: updates in which `arrivals` are counted.
        demo_steps: updates of the demo.
    """

    arrivals: Int[Array, " rate"]
    control: Int[Array, " rate"]
    usual: Float[Array, "2"]
    demo: Float[Array, ""]
    early: Float[Array, "rate update"]
    gentle: Float[Array, " update"]
    suboptimality: Float[Array, " rate"]
    steps: Int[Array, ""]
    enough: Int[Array, ""]
    demo_steps: Int[Array, ""]


def study(config: Config, keep: Keep) -> Result:
    """A program for each question, in float64, for all rates at once."""
    arrivals = partial(_arrivals, config.enough)
    early = partial(_errors, config.early)
    lecture = _at(STABLE, partial(arrivals, LINE.loss))
    bowl = _at(STABLE, partial(arrivals, _bowl))
    suboptimality = _at(STABLE, partial(_suboptimality, config.steps))
    usual = jax.jit(partial(_end, config.steps, USUAL))
    demo = jax.jit(partial(_suboptimality, config.demo, DEMO))
    beyond = _at(UNSTABLE, early)
    gentle = jax.jit(partial(early, GENTLE))
    with jax.enable_x64(True):
        return Result(
            arrivals=keep("arrivals", lecture),
            control=keep("control", bowl),
            suboptimality=keep("suboptimality", suboptimality),
            usual=keep("usual", usual),
            demo=keep("demo", demo),
            early=keep("early", beyond),
            gentle=keep("gentle", gentle),
            steps=np.array(config.steps),
            enough=np.array(config.enough),
            demo_steps=np.array(config.demo),
        )


def _at(rates: np.ndarray, function: Callable) -> Callable:
    """The function at each rate."""
    return partial(jax.jit(jax.vmap(function)), rates)


def _walk(loss: Objective, steps: int, rate: Array | float) -> learn.Descent:
    sgd = learn.sgd(learn.Hyper(lr=rate))
    start = jnp.array(LINE.start)
    return learn.descend(loss, sgd, start, None, steps=steps, observe=lambda x: x)


def _arrivals(steps: int, loss: Objective, rate: jax.Array) -> jax.Array:
    losses = _walk(loss, steps, rate).loss
    return jnp.argmax(losses < LINE.least + CLOSE)


def _bowl(params: jax.Array, _: None) -> jax.Array:
    return LINE.least + STEEP / 2 * jnp.sum((params - LINE.best) ** 2)


def _end(steps: int, rate: Array | float) -> jax.Array:
    return _walk(LINE.loss, steps, rate).params


def _suboptimality(steps: int, rate: Array | float) -> jax.Array:
    return LINE.loss(_end(steps, rate), None) - LINE.least


def _errors(steps: int, rate: Array | float) -> jax.Array:
    """Distances from the optimum along the steep axis, signed, by update."""
    path = _walk(LINE.loss, steps, rate).observed
    return (path - LINE.best[None]) @ LINE.eigenvectors[:, 1]


def findings(result: Result) -> tuple[Assertion, ...]:
    """Nothing is random."""
    return (
        *_budget(result),
        *_courses(result),
        *_oscillation(result),
    )


def _fewest(arrivals: Array) -> np.ndarray:
    """Updates at the best rate."""
    return np.where(arrivals, arrivals, NEVER).min()


def _budget(result: Result) -> tuple[Assertion, ...]:
    reason = "5 % of the updates is less than a step of the grid of rates"
    past = float(result.steps)
    rates = f"{len(STABLE)} rates from {STABLE[-1]:.2g} to {STABLE[0]:.3g}"
    finding = partial(record.supporting, "C079", unit="updates")
    return (
        record.deciding(
            "C079",
            "Gradient descent takes more than the lecture's number of updates to come "
            "within a squared error of 100 of the least, at any constant rate.",
            record.certain(_fewest(result.arrivals)),
            record.above(past, margin=0.05 * past, reason=reason),
            unit="updates",
            setting=f"{SURFACE}, {rates}, against {result.steps:,} updates",
        ),
        finding(
            "The lecture's number of updates is what is missing: with more, gradient "
            "descent at the best constant rate comes within a squared error of 100 of "
            "the least.",
            record.certain(_fewest(result.arrivals)),
            record.below(float(result.enough)),
            setting=f"{SURFACE}, {rates}, {result.enough:,} updates",
        ),
        finding(
            "Control: where both curvatures are equal, gradient descent at the best "
            "constant rate comes within a squared error of 100 of the least in 1,000 "
            "updates.",
            record.certain(_fewest(result.control)),
            record.below(1000.0),
            setting=f"{BOWL}, {rates}",
        ),
    )


def _courses(result: Result) -> tuple[Assertion, ...]:
    """The course's own runs."""
    finding = partial(record.supporting, "C079")
    b, _ = result.usual
    rounded = "half a unit of the last digit that the course prints"
    return (
        finding(
            "With rate 5e-6 on the mean squared error gradient descent comes within a "
            "squared error of 100 of the least.",
            record.certain(result.demo),
            record.below(CLOSE),
            unit="squared error",
            setting=f"{SURFACE}, {result.demo_steps:,} updates",
        ),
        finding(
            "Gradient descent with rate 1e-6 gets no further than b = -149.",
            record.certain(b, of=result.usual),
            record.near(-149.0, margin=0.5, reason=rounded),
            unit="weight",
            setting=f"{SURFACE}, {result.steps:,} updates",
        ),
    )


def _quiet(errors: Array) -> np.integer:
    """Updates that leave the error on its side, or do not lengthen it."""
    before, after = errors[..., :-1], errors[..., 1:]
    grows = np.abs(after) > np.abs(before)
    crosses = before * after < 0
    return np.sum(~(grows & crosses), dtype=int)


def _oscillation(result: Result) -> tuple[Assertion, ...]:
    gentle = result.gentle
    crossings = np.sum(gentle[:-1] * gentle[1:] < 0)
    updates = f"first {len(gentle) - 1} updates"
    rates = ", ".join(f"{rate:g}" for rate in UNSTABLE)
    return (
        record.deciding(
            "C079",
            "Beyond the largest stable rate gradient descent oscillates: each update "
            "takes the error along the steep axis to the other side and lengthens it. "
            "Updates that do not, counted.",
            record.certain(_quiet(result.early), of=result.early),
            record.at_most(0.0),
            unit="count",
            setting=f"{SURFACE}, rates {rates}, {updates}",
        ),
        record.supporting(
            "C079",
            "Control: at half of one over the largest eigenvalue gradient descent does "
            "not oscillate. Updates to the other side, counted.",
            record.certain(crossings, of=gentle),
            record.at_most(0.0),
            unit="count",
            setting=f"{SURFACE}, rate {GENTLE:.3g}, {updates}",
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """The squared error by rate after the course's updates, and updates until close."""
    figure, (errors, updates) = panels(1, 2, height=3.8)
    name = f"after {result.steps:,} updates"
    errors.loglog(STABLE, result.suboptimality, label=name)
    errors.axhline(CLOSE, color="0.4", linestyle=":", label="close to the optimum")
    surfaces = {"lecture's surface": result.arrivals, "κ = 1": result.control}
    for what, arrivals in surfaces.items():
        seen = np.where(arrivals, arrivals, np.nan)
        updates.loglog(STABLE, seen, label=what)
    budget = float(result.steps)
    updates.axhline(budget, color="0.4", linestyle=":", label="lecture's budget")
    for axis in (errors, updates):
        largest = f"stable below 2/λ = {LARGEST:.4g}"
        axis.axvline(LARGEST, color="0.4", linestyle="--", label=largest)
        legend_below(axis)
    title = "Squared error above the least"
    label(errors, title, "rate η", "squared error (combat power²)")
    errors.set_ylim(50, 3e4)
    title = "Until close (no point: never)"
    label(updates, title, "rate η", "updates to 100 above the least")
    return {"constant_rate": figure}
