"""Is Nadam Adam with Nesterov's look-ahead, and does that help?

Nadam puts m̂ = β₁m/(1 - β₁ᵗ⁺¹) + (1 - β₁)g/(1 - β₁ᵗ) in the place of Adam's m/(1 -
β₁ᵗ). That is a definition, of which two things can be wrong, and decide:

- *The formula*: steps of Nadam, of this library and of Optax, are compared with it,
  written out anew in NumPy, on normal random gradients of four scales. Adam's steps,
  the negative control, must not follow it.
- *Nesterov's*: with a huge ε the divisor is a constant, and after 400 updates the
  corrections have died out. Then both must step as Nesterov's momentum does, in the
  form of which `nesterov` shows that it looks ahead. In the first 20 updates they must
  not, which is the control.

Errors are in units of a bound on rounding: 4ε/(1 - β₂) of the largest step, and 4ε of
the largest gradient.

Then both go down the lecture's ravine, the squared error of a line b + wx through ten
Pokémon from (b, w) = (-120, -4), with β₁ = 0.9, β₂ = 0.999 and ε = 1e-8 at 33 rates,
and each counts at its best: updates until the loss is within 100 of the least once, and
for good, which is through the last half of the run. If the look-ahead helps, Adam needs
more updates; a ratio 5 % below 1 would refute it. A best rate between 0.01 and 100
stands inside the grid, whose step is 1.33. One problem and one β₁ decide nothing about
Nadam: the race supports. 20,000 updates are 20 times the time constant of β₂. The
gradients are drawn anew by the seed; the race is deterministic.

Not tested: other definitions: PyTorch's, whose β₁ is β₁(1 - 0.96^(0.004t)/2), and
Dozat's algorithm 2, which multiplies v̂ by β₂ as well.

Claims: C122.
Sources: Dozat 2016; Kingma and Ba 2015, arXiv:1412.6980.
Cost: 4 seconds on 2 cores.
Expect: the formula holds, and is Nesterov's; Nadam arrives a little earlier, and
    neither stays for good.
Run: jaxml run nadam
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record.figures import STYLES, label, legend_below, panels
from jaxml.types import Array

EPS = float(np.finfo(float).eps)
FIRST = 0.9  # β₁
SECOND = 0.999  # β₂
EPSILON = 1e-8
SCALES = np.array([1e-3, 1, 10, 1e3])  # of the random gradients
FLOOR = 1e-6  # errors below are drawn there
LINE = problem.pokemon_line()
CLOSE = 100.0  # above the least squared error
RATES = np.logspace(-2, 2, 33)
NEVER = 1e9  # stands for the updates of a method that never is close
HUGE = 1e30  # an ε beside which the root of the mean square is nothing
EARLY, SETTLED = 20, 400  # updates after which 0.9ᵗ is 0.12, and 5e-19


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates down the ravine at most, and random gradients of each scale."""

    steps: int = 20_000
    gradients: int = 2000
    seed: int = 0


SMOKE = Config(steps=60, gradients=SETTLED + 1)


class Updates(NamedTuple):
    """Until the loss is close to the least; 0 if it never is."""

    once: Int[Array, " rate"]
    for_good: Int[Array, " rate"]


class Result(NamedTuple):
    """Steps on random gradients against the formula, and updates down the ravine."""

    formula: Float[Array, "update scale"]  # error of Nadam, over the bound on rounding
    optax: Float[Array, "update scale"]  # of Optax's Nadam
    plain: Float[Array, "update scale"]  # of Nadam with a constant divisor, from NAG
    plain_optax: Float[Array, "update scale"]  # of Optax's
    control: Float[Array, "update scale"]  # of Adam
    nadam: Updates
    adam: Updates
    steps: Array  # [], updates down the ravine at most


def _optimizer(family, lr, epsilon=EPSILON):
    hyper = learn.Hyper(lr=lr, momentum=FIRST, second_moment=SECOND, epsilon=epsilon)
    return family(hyper)


def _nadams_formula(gradients: np.ndarray) -> np.ndarray:
    """The steps of Nadam, `[update, scale]`."""
    m = (1 - FIRST) * learn.decayed_sums(gradients, FIRST)
    v = (1 - SECOND) * learn.decayed_sums(gradients**2, SECOND)
    t = np.arange(1, len(gradients) + 1)[:, None]
    ahead = FIRST * m / (1 - FIRST ** (t + 1))
    now = (1 - FIRST) * gradients / (1 - FIRST**t)
    root = np.sqrt(v / (1 - SECOND**t))
    return -(ahead + now) / (root + EPSILON)


def _squares(params, _):
    return jnp.sum((LINE.heights - LINE.design @ params) ** 2)


def _updates(family, steps, lr):
    """Updates of one run until the loss is close, once and for good."""
    optimizer = _optimizer(family, lr)
    losses = learn.descend(
        _squares, optimizer, jnp.array(LINE.start), None, steps=steps
    ).loss
    close = losses < _squares(LINE.best, None) + CLOSE
    close_from_here = jnp.cumprod(close[::-1])[::-1]
    stays = jnp.argmax(close_from_here)
    for_good = jnp.where(2 * stays <= steps, stays, 0)
    return Updates(jnp.argmax(close), for_good)


def study(config: Config, keep: Callable) -> Result:
    """One program for the steps and one for each method's race, in float64."""

    def race(family):
        by_rate = jax.vmap(partial(_updates, family, config.steps))
        return jax.jit(partial(by_rate, RATES))

    def along(gradients):
        optimizers = {
            "Nadam": _optimizer(learn.nadam, 1.0),
            "Optax": optax.nadam(1.0, b1=FIRST, b2=SECOND, eps=EPSILON),
            "plain": _optimizer(learn.nadam, HUGE, HUGE),
            "plain Optax": optax.nadam(HUGE, b1=FIRST, b2=SECOND, eps=HUGE),
            "Nesterov": _optimizer(learn.nag, 1 - FIRST),
            "Adam": _optimizer(learn.adam, 1.0),
        }
        return {
            name: learn.steps_along(optimizer, gradients)
            for name, optimizer in optimizers.items()
        }

    (seed,) = randomness.seeds(config.seed, 1)
    shape = (config.gradients, len(SCALES))
    gradients = SCALES * np.random.default_rng(seed).normal(size=shape)
    formula = _nadams_formula(gradients)
    bound = 4 * EPS / (1 - SECOND) * np.abs(formula).max()
    with jax.enable_x64(True):
        steps = keep("steps", partial(jax.jit(along), gradients))
        nesterov = steps["Nesterov"]
        smallest = 4 * EPS * np.abs(gradients).max(axis=0)
        differences = {
            "formula": _apart(steps["Nadam"], formula, bound),
            "optax": _apart(steps["Optax"], formula, bound),
            "plain": _apart(steps["plain"], nesterov, smallest),
            "plain_optax": _apart(steps["plain Optax"], nesterov, smallest),
            "control": _apart(steps["Adam"], formula, bound),
        }
        return Result(
            **differences,
            nadam=keep("nadam", race(learn.nadam)),
            adam=keep("adam", race(learn.adam)),
            steps=np.array(config.steps),
        )


def _apart(steps: Array, others: Array, bound: Any) -> Array:
    """Differences of steps over a bound on rounding."""
    return np.abs(steps - others) / bound


def findings(result: Result) -> tuple[record.Assertion, ...]:
    """A definition, and a race on one problem beside it."""
    return (*_definition(result), _race(result))


def _definition(result: Result) -> tuple[record.Assertion, ...]:
    """The formula and Nesterov's momentum, of two libraries each, and controls."""
    follows = "Nadam's step is Adam's with m̂ = β₁m/(1 - β₁ᵗ⁺¹) + (1 - β₁)g/(1 - β₁ᵗ)"
    looks_ahead = (
        "With a constant divisor, and once its corrections have died out, Nadam's step "
        "is (1 - β₁) times that of Nesterov's momentum"
    )
    not_yet = (
        "Control: in its first 20 updates Nadam's step with a constant divisor is not "
        "that of Nesterov's momentum"
    )
    ours, theirs = (f"{name}, {_setting(result)}" for name in ("this library", "Optax"))
    return (
        _holds(follows, result.formula, ours),
        _holds(follows, result.optax, theirs),
        _holds(looks_ahead, result.plain[SETTLED:], ours),
        _holds(looks_ahead, result.plain_optax[SETTLED:], theirs),
        _differs(not_yet, result.plain[:EARLY], ours),
        _differs("Adam's step is not the one with Nadam's m̂", result.control, ours),
    )


def _setting(result: Result) -> str:
    updates, scales = result.formula.shape
    return (
        f"normal random gradients of {scales} scales from 1e-3 to 1e3, "
        f"β₁ = 0.9, β₂ = 0.999, {updates:,} updates"
    )


def _holds(statement: str, errors: Array, setting: str) -> record.Assertion:
    return record.deciding(
        "C122",
        f"{statement}: the error over a bound on rounding.",
        record.largest(errors),
        record.at_most(1.0),
        unit="ratio",
        setting=setting,
    )


def _differs(statement: str, errors: Array, setting: str) -> record.Assertion:
    return record.supporting(
        "C122",
        f"{statement}: the error over a bound on rounding, the smallest of the scales.",
        record.certain(np.asarray(errors).max(axis=0).min(), of=errors),
        record.above(1.0),
        unit="ratio",
        setting=setting,
    )


def _fewest(updates: Array) -> np.floating:
    """At the best rate, NEVER if it is close at none."""
    return np.where(updates > 0, updates, NEVER).min()


def _race(result: Result) -> record.Assertion:
    reason = "5 % of the updates is less than a step of the grid of rates"
    return record.supporting(
        "C122",
        "Adam needs more updates than Nadam.",
        record.certain(_fewest(result.adam.once) / _fewest(result.nadam.once)),
        record.above(1.0, margin=0.05, reason=reason),
        unit="ratio",
        setting=(
            "squared error of a line through ten Pokémon, κ = 3.13e5, updates until "
            f"within {CLOSE:g} of the least error once, each at its best of "
            f"{len(RATES)} rates, β₁ = 0.9, β₂ = 0.999, at most {result.steps:,} "
            "updates"
        ),
        figure="nadam",
    )


def figures(result: Result) -> dict:
    """Steps against the formula, and updates down the ravine by rate."""
    figure, (steps, race) = panels(1, 2, width=5.0)
    compared = {
        "Nadam": result.formula,
        "Optax's Nadam": result.optax,
        "Adam (the control)": result.control,
    }
    for (name, errors), style in zip(compared.items(), STYLES, strict=False):
        largest = np.maximum(errors.max(axis=0), FLOOR)
        steps.scatter(SCALES, largest, marker=style.marker, label=name)
    steps.axhline(1, color="0.4", linestyle=":", label="the bound")
    steps.set(xscale="log", yscale="log")
    title = "Distance from Nadam's formula"
    label(steps, title, "scale of the gradients", "largest error over its bound")
    raced = {
        "Nadam, once": result.nadam.once,
        "Adam, once": result.adam.once,
        "Nadam, for good": result.nadam.for_good,
        "Adam, for good": result.adam.for_good,
    }
    for name, updates in raced.items():
        seen = np.where(updates > 0, updates, np.nan)
        never = "" if np.any(updates > 0) else ": never"
        race.loglog(RATES, seen, markevery=1, label=name + never)
    shown = "updates to 100 above the least error"
    label(race, "β₁ = 0.9", "rate η, in units of the weights", shown)
    legend_below(steps)
    legend_below(race)
    return {"nadam": figure}
