"""How far does gradient descent step, and when does it walk off?

The lecture's example is f(x) = (x - 1)² + 1 from x = 6, on which gradient descent of
rate η is at x_t = 1 + 5 (1 - 2η)ᵗ. What the course says of it is mathematics: a claim
fails if one number is off by more than rounding. That steps shrink because the gradient
does (C015) has a control on which they must not, f(x) = x; that it walks off at a rate
above 1 (C160) has the rates below. Rates are drawn anew from each seed, 20 on either
side.

This is the simplest study: copy it to begin your own.

Claims: C015, C158, C160.
Cost: one second on 2 cores.
Expect: the closed form holds to rounding; above a rate of 1 it walks off.
Run: jaxml run gradient_descent
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep, Objective, Scalar

EPS = float(np.finfo(np.float64).eps)
START = 6.0
RATE = 0.05
FIRST = np.array([5.5, 5.05, 4.645])  # x₁, x₂ and x₃, worked out by hand
NEAR = 1e-6  # a distance that 5 · 0.9ᵗ falls below at t = 147
ARRIVED = 1e-12  # a distance at which rounding has stopped the approach
LENGTHS = 100  # of the first steps, whose ratios are taken

PARABOLA = "f(x) = (x - 1)² + 1 from x = 6"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates at the lecture's rate and at each drawn rate, and rates on either side of
    1.
    """

    steps: int = 1000
    drawn_steps: int = 60
    rates: int = 20
    seed: int = 0


SMOKE = Config(steps=400, rates=2)


class Result(NamedTuple):
    """Where gradient descent stands.

    Attributes:
        path: on the parabola, at RATE.
        slide: on f(x) = x, whose gradient does not shrink, at RATE.
        rates: drawn, first those below 1.
        drawn: on the parabola, at those rates.
    """

    path: Float[Array, " update"]
    slide: Float[Array, " update"]
    rates: Float[Array, " rate"]
    drawn: Float[Array, "rate update"]


def study(config: Config, keep: Keep) -> Result:
    """One program in float64."""
    with jax.enable_x64(True):
        return keep("paths", jax.jit(partial(_paths, config)))


def _paths(config: Config) -> Result:
    fractions = jax.random.uniform(randomness.key(config.seed), (2, config.rates))
    rates = jnp.concatenate([fractions[0], 1 + fractions[1]])
    at_rate = partial(_path, problem.parabola, config.drawn_steps)
    return Result(
        path=_path(problem.parabola, config.steps, jnp.asarray(RATE)),
        slide=_path(_straight, config.steps, jnp.asarray(RATE)),
        rates=rates,
        drawn=jax.vmap(at_rate)(rates),
    )


def _path(objective: Objective, steps: int, rate: Scalar) -> Float[Array, " update"]:
    """x₀, ..., x_steps of gradient descent from START."""
    sgd = learn.sgd(learn.Hyper(lr=rate))
    start = jnp.asarray(START)
    watched = partial(learn.descend, steps=steps, observe=jnp.asarray)
    descent = watched(objective, sgd, start, None)
    return jnp.append(descent.observed, descent.params)


def _straight(x: Scalar, batch: None) -> Scalar:
    """f(x) = x."""
    del batch
    return x


def findings(result: Result) -> tuple[Assertion, ...]:
    """Equations to rounding, and mismatches of which there may be none."""
    return (
        *_closed_form(result),
        *_own_numbers(result),
        *_shrinking(result),
        *_walking_off(result),
    )


def _closed_form(result: Result) -> tuple[Assertion, ...]:
    closed_form = 1 + 5 * 0.9 ** np.arange(len(result.path))
    return (
        record.deciding(
            "C158",
            "Gradient descent with rate 0.05 is at x_t = 1 + 5 · 0.9ᵗ after t updates.",
            record.largest(result.path - closed_form),
            record.at_most(60 * EPS),
            unit="error",
            setting=_long(result),
        ),
    )


def _own_numbers(result: Result) -> tuple[Assertion, ...]:
    """Numbers that were worked out by hand, and how long it takes."""
    finding = partial(record.supporting, "C158", setting=_long(result))
    arrival = np.argmax(np.abs(result.path - 1) < NEAR)
    idle = np.diff(result.path) == 0
    return (
        finding(
            "The first three updates of gradient descent lead to 5.5, 5.05 and 4.645.",
            record.largest(result.path[1:4] - FIRST),
            record.at_most(20 * EPS),
            unit="error",
        ),
        finding(
            "Gradient descent comes within 1e-6 of the minimum in 147 updates: the "
            "difference from 147.",
            record.certain(arrival - 147, of=result.path),
            record.near(0.0, margin=0.5, reason="updates are whole numbers"),
            unit="updates",
        ),
        finding(
            "More than half of the updates of gradient descent no longer change x.",
            record.certain(np.mean(idle), of=result.path),
            record.above(0.5),
            unit="fraction",
        ),
    )


def _long(result: Result) -> str:
    return f"{PARABOLA}, rate 0.05, {len(result.path) - 1:,} updates"


def _shrinking(result: Result) -> tuple[Assertion, ...]:
    return (
        record.deciding(
            "C015",
            "At a constant rate the steps of gradient descent shrink as the gradient "
            "does, by 0.9 an update.",
            record.largest(_ratios(result.path) - 0.9),
            record.at_most(60 * EPS / 0.9**LENGTHS),  # rounding of x, in the last steps
            unit="relative error",
            setting=f"{PARABOLA}, rate 0.05, {LENGTHS} updates",
        ),
        record.supporting(
            "C015",
            "Control, a gradient that does not shrink: "
            "the steps of gradient descent shrink by 0.9 an update.",
            record.largest(_ratios(result.slide) - 0.9),
            record.at_most(60 * EPS / 0.9**LENGTHS),
            unit="relative error",
            setting=f"f(x) = x from x = 6, rate 0.05, {LENGTHS} updates",
        ),
    )


def _ratios(path: Float[Array, " update"]) -> np.ndarray:
    """The lengths of the first steps, each in terms of the one before it."""
    lengths = np.abs(np.diff(path))[:LENGTHS]
    return lengths[1:] / lengths[:-1]


def _walking_off(result: Result) -> tuple[Assertion, ...]:
    """Updates that end on the wrong side of the distance before them, by rate."""
    distance = np.abs(result.drawn - 1)
    change = np.diff(distance)
    above = result.rates > 1
    stays = change <= 0
    parts = (change >= 0) & (distance[:, 1:] > ARRIVED)
    updates = f"{change.shape[1]} updates"
    finding = partial(record.deciding, "C160", unit="mismatches")
    return (
        finding(
            "With a rate above 1 every update of gradient descent ends further from "
            "the minimum than the one before: updates that do not.",
            record.largest(_count(stays[above], result)),
            record.at_most(0.0),
            setting=f"{PARABOLA}, {np.sum(above)} rates drawn from (1, 2), {updates}",
        ),
        finding(
            "With a rate below 1 every update of gradient descent ends nearer to the "
            "minimum than the one before: updates that do not.",
            record.largest(_count(parts[~above], result)),
            record.at_most(0.0),
            setting=f"{PARABOLA}, {np.sum(~above)} rates drawn from (0, 1), {updates}",
        ),
    )


def _count(hits: np.ndarray, result: Result) -> np.ndarray:
    """Hits of each row, as numbers of the result's precision."""
    return np.sum(hits, axis=1, dtype=result.drawn.dtype)


def figures(result: Result) -> dict[str, Figure]:
    """The approach at the lecture's rate, and by how much an update changes the
    distance.
    """
    figure, (left, right) = panels(1, 2, height=3.9)
    updates = np.arange(len(result.path))
    distance = np.abs(result.path - 1)
    left.plot(updates[:400], distance[:400], label="gradient descent")
    left.plot(updates[:400], 5 * 0.9 ** updates[:400], label="5 · 0.9ᵗ")
    left.scatter([1, 2, 3], FIRST - 1, s=20, color="#003366", zorder=3, label="by hand")
    left.axvline(147, color="0.4", linestyle=":", label="ledger: update 147")
    left.axhline(NEAR, color="0.4", linestyle="--", label="1e-6")
    left.set_yscale("log")
    label(left, f"{PARABOLA}, η = 0.05", "update", "distance to the minimum")
    factor = np.abs(result.drawn[:, 1] - 1) / (START - 1)
    grid = np.linspace(0, 2, 201)
    right.plot(grid, np.abs(1 - 2 * grid), marker="", label="|1 - 2η|")
    right.scatter(result.rates, factor, color="black", s=14, label="drawn rates")
    right.axhline(1, color="0.4", linestyle=":", label="neither nearer nor further")
    right.axvline(RATE, color="0.4", linestyle="--", label="the lecture's η = 0.05")
    label(right, "One update", "rate η", "distance after / before")
    for axis in (left, right):
        legend_below(axis)
    return {"paths": figure}
