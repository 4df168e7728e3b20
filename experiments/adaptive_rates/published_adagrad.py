"""Is the lecture's Adagrad the published one, and does that one reach the optimum?

The lecture divides the gradient by the root mean square of all gradients so far,
Adagrad as published by the root of their sum. The loss is the squared error of a line b
+ wx through ten Pokémon, from the course's start, (b, w) = (-120, -4), and the 40 drawn
ones of the study `bursts`, at six rates from 0.1 to 10, for the lecture's 100,000
updates. A run has arrived when the squared error is within 100 of the least; a burst is
a rise of |w - w*| beyond 1 after that.

The ledger says that the two differ by 1/√t and that Adagrad never bursts: with rates
that fall as 1/√t the lecture's rule must end where Adagrad does, to rounding, and
Adagrad may not burst where the lecture's rule does. The course says that Adagrad
arrives without bursts, though very large early gradients would leave too small a rate.
It is wrong if no rate arrives, if any burst is seen, or if a first gradient a thousand
times as large does not lengthen the way, at the rate that is best without; less than
twice the updates is no harm. Control: a first gradient a thousandth as large, which may
not lengthen it by 5 %. A fifth of the starts can be told from none of 40.

Claims: C081, A4.
Sources: Duchi, Hazan and Singer 2011.
Cost: 7 seconds on 2 cores, compilation included, after `bursts`.
Expect: all holds.
Run: jaxml run published_adagrad
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxml import learn, parallel, problem, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels, strips
from jaxml.types import Array, Keep

NEEDS = ("bursts",)
LINE = problem.pokemon_line()
RATES = np.array([0.1, 0.3, 0.5, 1.0, 3.0, 10.0])  # those of `bursts`
ONE, TEN = 3, 5  # places of rates
LECTURES, ADAGRADS = 0, 1  # places in `bursts`
CLOSE = 100.0  # above the least squared error
HUGE = 1000.0  # factor of the first gradient

SURFACE = "squared error of a line through ten Pokémon"
AXES = "starts drawn over the lecture's axes"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of each run, and lanes of starts; the starts are those of `bursts`."""

    steps: int = 100_000
    lanes: int = 7
    seed: int = 0


SMOKE = Config(steps=500, lanes=2)


class Runs(NamedTuple):
    """Of one method.

    Attributes:
        arrival: updates until the squared error is close, -1 if never.
        end: b and w.
    """

    arrival: Int[Array, "start rate"]
    end: Float[Array, "start rate 2"]


class Result(NamedTuple):
    """Runs from the starts of `bursts`, the first of which is the course's.

    Attributes:
        adagrad: as published.
        falling: the lecture's rule at rates that fall as 1/√t.
        huge: Adagrad with a first gradient HUGE times as large.
        tiny: Adagrad with a first gradient as many times smaller.
        bursts: of Adagrad.
        lectures: whether the lecture's rule bursts at a constant rate.
        steps: updates.
        seed: of the starts.
    """

    adagrad: Runs
    falling: Runs
    huge: Runs
    tiny: Runs
    bursts: Int[Array, "start rate"]
    lectures: Bool[Array, "start rate"]
    steps: Int[Array, ""]
    seed: Int[Array, ""]


class Method(NamedTuple):
    """A rule, its schedule, and the factor of its first gradient."""

    family: learn.ShapedFamily
    shape: Callable
    first: float = 1.0


METHODS = {
    "adagrad": Method(learn.adagrad, learn.constant),
    "falling": Method(learn.mean_square_adagrad, learn.inverse_sqrt),
    "huge": Method(learn.adagrad, learn.constant, first=HUGE),
    "tiny": Method(learn.adagrad, learn.constant, first=1 / HUGE),
}


def study(config: Config, keep: Keep, bursts: Any) -> Result:
    """One program a method, in float64, chunks of starts on all cores."""
    with jax.enable_x64(True):
        found = []
        for name, method in METHODS.items():
            found.append(keep(name, partial(_runs, config, bursts.starts, method)))
        return Result(
            *found,
            bursts=bursts.runs.bursts[ADAGRADS],
            lectures=bursts.runs.bursts[LECTURES] > 0,
            steps=np.array(config.steps),
            seed=np.array(config.seed),
        )


def _runs(config: Config, starts: np.ndarray, method: Method) -> Runs:
    def chunk(starts: jax.Array, rates: jax.Array) -> Runs:
        at_rates = jax.vmap(partial(_run, config, method), (None, 0))
        return jax.vmap(at_rates, (0, None))(starts, rates)

    first = parallel.rows(starts, np.arange(config.lanes))
    chunks = -(-len(starts) // config.lanes)
    program = parallel.compiled(chunk, first, RATES, chunks=chunks)
    return parallel.gathered(program, starts, RATES)


def _run(config: Config, method: Method, start: jax.Array, rate: jax.Array) -> Runs:
    optimizer = method.family(learn.Hyper(lr=rate), method.shape)

    def one(carry: Any, step: jax.Array) -> tuple[Any, jax.Array]:
        params, state = carry
        value, gradient = jax.value_and_grad(LINE.loss)(params, None)
        factor = jnp.where(step == 0, method.first, 1.0)
        return learn.update(optimizer, factor * gradient, state, params), value

    steps = jnp.arange(config.steps)
    (end, _), losses = jax.lax.scan(one, (start, optimizer.init(start)), steps)
    close = losses < LINE.least + CLOSE
    return Runs(jnp.where(jnp.any(close), jnp.argmax(close), -1), end)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Exact from the course's start, medians and fractions of the drawn starts."""
    setting = f"{SURFACE}, rates 0.1 to 10, {result.steps:,} updates"
    return (
        *_arrival(result, setting),
        *_first_gradient(result, setting),
        *_same_rule(result, setting),
        *_ledgers(result),
    )


def _updates(result: Result, runs: Runs) -> Float[np.ndarray, "start rate"]:
    """Updates until close, the budget if never."""
    arrived = runs.arrival >= 0
    return np.where(arrived, np.maximum(runs.arrival, 1.0), float(result.steps))


def _arrival(result: Result, setting: str) -> tuple[Assertion, ...]:
    fewest = _updates(result, result.adagrad)[0].min()
    bursting = np.any(result.bursts[1:] > 0, axis=1)
    finding = partial(record.deciding, "C081")
    return (
        finding(
            "Adagrad as published, at its best rate, comes within a squared error of "
            "100 of the least before the updates run out.",
            record.certain(fewest),
            record.below(float(result.steps)),
            unit="updates",
            setting=f"{setting}, from (b, w) = (-120, -4)",
        ),
        finding(
            "Adagrad as published does not burst out of the optimum at any rate.",
            record.certain(result.bursts[0].sum(), of=result.adagrad.end),
            record.at_most(0.0),
            unit="count",
            setting=f"{setting}, from (b, w) = (-120, -4)",
        ),
        finding(
            "Adagrad as published bursts out of the optimum, at some rate, from fewer "
            "than 1 start in 5.",
            record.proportion(bursting, of=result.adagrad.end),
            record.below(0.2),
            unit="fraction",
            setting=f"{setting}, {len(bursting)} {AXES}",
        ),
    )


def _longer(result: Result, runs: Runs) -> Float[np.ndarray, " start"]:
    """Updates of those runs in Adagrad's, at Adagrad's best rate, by drawn start."""
    usual = _updates(result, result.adagrad)[1:]
    other = _updates(result, runs)[1:]
    best = usual.argmin(axis=1)[:, None]
    ratio = np.take_along_axis(other / usual, best, axis=1)
    return ratio[:, 0]


def _first_gradient(result: Result, setting: str) -> tuple[Assertion, ...]:
    huge, tiny = _longer(result, result.huge), _longer(result, result.tiny)
    drawn = f"{setting}, median of {len(huge)} {AXES}, at each one's best rate"
    return (
        record.deciding(
            "C081",
            "Adagrad needs more than twice the updates if its first gradient is 1,000 "
            "times as large: updates with it over updates without.",
            record.bootstrap(np.median, huge),
            record.above(1.0, margin=1.0, reason="less than twice is no harm"),
            unit="ratio",
            setting=drawn,
        ),
        record.supporting(
            "C081",
            "Control: Adagrad needs as many updates if its first gradient is 1,000 "
            "times smaller: updates with it over updates without.",
            record.bootstrap(np.median, tiny),
            record.near(1.0, margin=0.05, reason="5 % of the updates are not felt"),
            unit="ratio",
            setting=drawn,
        ),
    )


def _same_rule(result: Result, setting: str) -> tuple[Assertion, ...]:
    bursts = np.where(result.lectures, result.bursts, 0)
    return (
        record.deciding(
            "A4",
            "With rates that fall as 1/√t the lecture's rule ends where the published "
            "Adagrad does.",
            record.largest(result.falling.end - result.adagrad.end),
            record.at_most(1e-6),
            unit="distance",
            setting=f"{setting}, {len(bursts)} starts",
        ),
        record.deciding(
            "A4",
            "The published Adagrad has no burst at the rates at which the lecture's "
            "rule bursts.",
            record.certain(bursts[0].sum(), of=result.adagrad.end),
            record.at_most(0.0),
            unit="count",
            setting=f"{setting}, from (b, w) = (-120, -4)",
        ),
    )


def _ledgers(result: Result) -> tuple[Assertion, ...]:
    finding = partial(record.supporting, "C081")
    errors = result.adagrad.end[0, ONE] - np.array([-188.367, 2.6693])
    setting = f"{SURFACE}, from (b, w) = (-120, -4), {result.steps:,} updates"
    arrival = result.adagrad.arrival[0, TEN]
    return (
        finding(
            "Adagrad as published with rate 1 ends at b = -188.367, w = 2.6693, to "
            "half a unit of the last digit.",
            record.largest(errors / np.array([5e-4, 5e-5])),
            record.at_most(1.0),
            unit="error",
            setting=setting,
        ),
        finding(
            "Adagrad as published with rate 10 is within a squared error of 100 of the "
            "least after 1,734 updates.",
            record.certain(arrival, of=result.adagrad.end),
            record.near(1734.0, margin=0.5, reason="half of an update"),
            unit="updates",
            setting=setting,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Updates until close by rate, and how much longer the way becomes."""
    figure, (updates, longer) = panels(1, 2, height=3.7)
    kinds = {"as it is": result.adagrad, "first gradient × 1000": result.huge}
    for (name, runs), aside in zip(kinds.items(), (0.9, 1.1), strict=True):
        seen = np.where(runs.arrival >= 0, runs.arrival, np.nan)
        rates = np.broadcast_to(aside * RATES, seen.shape)
        marker = "o" if runs is result.adagrad else "s"
        updates.scatter(rates, seen, marker=marker, s=12, label=name)
    ledger = "ledger, course's start: 1,734"
    updates.scatter(RATES[TEN], 1734, marker="x", s=70, color="black", label=ledger)
    updates.set_xscale("log")
    updates.set_yscale("log")
    legend_below(updates)
    title = "Adagrad, a point a start that arrives"
    label(updates, title, "rate η", "updates until close")
    strips(
        longer,
        {
            "× 1000": _longer(result, result.huge),
            "/ 1000": _longer(result, result.tiny),
        },
    )
    longer.axhline(1, color="0.4", linestyle=":", label="as long as without")
    longer.set_yscale("log")
    legend_below(longer)
    title = "At each start's best rate"
    label(longer, title, "first gradient", "updates over those without")
    return {"adagrad": figure}
