"""Does RMSProp need fewer updates in a curved valley than the mean of all gradients?

The course brings in RMSProp for a surface like a crescent, on which the slope along one
direction changes on the way, so that the divisor must forget. Such a valley is (1 - x)²
+ 100(y - x²)². From 40 starts, drawn over -2 to 2 in x and -1 to 3 in y, RMSProp with
three α and the lecture's rule before it, which divides by the root of the mean of all
squared gradients, run at 24 constant rates in steps of 1.5 from 1e-4. Each counts at
its best rate from a start, so that all are tuned alike and anew in each unit: updates
until the loss is below 0.01. A step of about η must be below 0.01 to stay there and
some 4 units are to be gone, so that 20,000 updates are many times what is needed.

The course is wrong if RMSProp with α = 0.9 needs as many updates as the mean of all, or
as RMSProp with α = 0.999: what forgets is also noisier, and can lose. Less than a tenth
of the updates is not noticed. The control is the valley with a straight floor along an
axis, (1 - x)² + 100y², on which nothing is gained by forgetting a bend; it shows how
much of a gain is the bend's.

A first version counted updates until the loss was first below 0.01, which steps of the
size of the valley reach by chance: the best rates stood at the upper edge.

Claims: C083.
Sources: Rosenbrock 1960; Tieleman and Hinton 2012.
Cost: 3 seconds on 2 cores, compilation included.
Expect: fewer than the mean of all; α matters little.
Run: jaxml run curved_valley
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, randomness, record
from jaxml.parallel import Program
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels
from jaxml.types import Array, Keep, Objective

RATES = 1e-4 * 1.5 ** np.arange(24)
LOW = 0.01  # loss that counts as arrived
TENTH = {"margin": np.log(1.1), "reason": "a tenth of the updates is not noticed"}


class Method(NamedTuple):
    """A rule of RULES, and α where it has one."""

    rule: str
    alpha: float = 0.0


RULES = {"moving": learn.rmsprop, "all": learn.mean_square_adagrad}
METHODS = {
    "RMSProp with α = 0.9": Method("moving", 0.9),
    "RMSProp with α = 0.99": Method("moving", 0.99),
    "RMSProp with α = 0.999": Method("moving", 0.999),
    "division by the mean of all": Method("all"),
}
FAST, MIDDLE, SLOW, ALL = METHODS


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of a run, starts, and lanes of starts."""

    steps: int = 20_000
    starts: int = 40
    lanes: int = 5
    seed: int = 0


SMOKE = Config(steps=100, starts=4, lanes=2)


class Result(NamedTuple):
    """By method of METHODS, updates until the loss stays low, the budget if never."""

    curved: Int[Array, "method start rate"]
    straight: Int[Array, "method start rate"]
    starts: Float[Array, "start 2"]
    steps: Int[Array, ""]


class Run(NamedTuple):
    """What the runs of one method share."""

    rates: Float[Array, " rate"]
    alpha: Float[Array, ""]


def study(config: Config, keep: Keep) -> Result:
    """A program for each rule and valley, in float64, starts on all cores."""
    (seed,) = randomness.seeds(config.seed, 1)
    draw = np.random.default_rng(seed)
    starts = draw.uniform([-2, -1], [2, 3], (config.starts, 2))
    with jax.enable_x64(True):
        return Result(
            curved=_arrivals(config, _crescent, starts, keep),
            straight=_arrivals(config, _trough, starts, keep),
            starts=starts,
            steps=np.array(config.steps),
        )


def _crescent(point: jax.Array, _: None) -> jax.Array:
    x, y = point
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def _trough(point: jax.Array, _: None) -> jax.Array:
    x, y = point
    return (1 - x) ** 2 + 100 * y**2


def _arrivals(
    config: Config, loss: Objective, starts: np.ndarray, keep: Keep
) -> Int[np.ndarray, "method start rate"]:
    programs = {rule: _program(config, loss, rule, starts) for rule in RULES}
    found = []
    for name, method in METHODS.items():
        run = Run(RATES, np.array(method.alpha))
        gather = partial(parallel.gathered, programs[method.rule], starts, run)
        found.append(keep(f"{name}, {loss.__name__}", gather))
    return np.stack(found)


def _program(config: Config, loss: Objective, rule: str, starts: np.ndarray) -> Program:
    def arrival(start: Array, rate: Array, alpha: Array) -> jax.Array:
        hyper = learn.Hyper(lr=rate, second_moment=alpha)
        optimizer = RULES[rule](hyper, learn.constant)
        run = learn.descend(loss, optimizer, start, None, steps=config.steps)
        high = run.loss >= LOW
        last = config.steps - jnp.argmax(high[::-1])
        return jnp.where(jnp.any(high), last, 0)

    def chunk(starts: jax.Array, run: Run) -> jax.Array:
        at_rates = jax.vmap(arrival, (None, 0, None))
        at_starts = jax.vmap(at_rates, (0, None, None))
        return at_starts(starts, run.rates, run.alpha)

    first = parallel.rows(starts, np.arange(config.lanes))
    chunks = -(-len(starts) // config.lanes)
    return parallel.compiled(chunk, first, Run(RATES, np.array(0.0)), chunks=chunks)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Updates in pairs, from one start."""
    curved = _fewest(result.curved)
    straight = _fewest(result.straight)
    bent = _setting(result, "(1 - x)² + 100(y - x²)²")
    unbent = _setting(result, "control without a bend, (1 - x)² + 100y²")
    finding = partial(_compared, record.deciding)
    beside = partial(_compared, record.supporting)
    return (
        finding(curved, FAST, ALL, bent),
        finding(curved, FAST, SLOW, bent),
        beside(curved, MIDDLE, ALL, bent),
        beside(curved, MIDDLE, SLOW, bent),
        beside(straight, FAST, ALL, unbent),
        beside(straight, FAST, SLOW, unbent),
        _inside(result),
    )


def _setting(result: Result, valley: str) -> str:
    starts = f"{len(result.starts)} drawn starts"
    rates = f"each at the best of {len(RATES)} constant rates"
    return f"{valley}, {starts}, {rates}, {result.steps:,} updates"


def _fewest(arrivals: Array) -> Mapping[str, np.ndarray]:
    """Updates at the best rate from each start, at least one."""
    fewest = np.maximum(np.min(arrivals, axis=-1), 1)
    return dict(zip(METHODS, fewest, strict=True))


def _compared(
    role: Callable[..., Assertion],
    updates: Mapping[str, np.ndarray],
    ours: str,
    theirs: str,
    setting: str,
) -> Assertion:
    return role(
        "C083",
        f"In a valley {ours} needs fewer updates to stay below a loss of 0.01 than "
        f"{theirs}: the logarithm of the ratio of updates, its median.",
        record.bootstrap(np.median, np.log(updates[theirs] / updates[ours])),
        record.above(0.0, **TENTH),
        unit="log ratio",
        setting=setting,
    )


def _inside(result: Result) -> Assertion:
    """Best rates that stand on an edge of the grid, or arrive nowhere, are counted."""
    best = np.argmin(result.curved, axis=-1)
    on_edge = (best == 0) | (best == len(RATES) - 1)
    missed = np.min(result.curved, axis=-1) >= result.steps
    return record.supporting(
        "C083",
        "The best rates lie inside the grid and their runs arrive, from all but 1 in "
        "20 of the starts and methods.",
        record.certain(np.mean(on_edge | missed), of=result.starts),
        record.below(0.05),
        unit="fraction",
        setting=_setting(result, "(1 - x)² + 100(y - x²)²"),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Updates at the best rate by method, a point a start, and medians by rate."""
    figure, (best, rates) = panels(1, 2, width=4.8)
    curved = _fewest(result.curved)
    medians = np.median(result.curved, axis=1)
    for name, updates, median in zip(METHODS, curved.values(), medians, strict=True):
        short = name.replace("RMSProp with ", "").replace("division by the ", "")
        best.scatter(np.full(len(updates), short), updates, s=14, color="black")
        rates.loglog(RATES, median, markevery=1, label=short)
    best.set_yscale("log")
    rates.legend(fontsize=8)
    label(best, "At each start's best rate", "rule", "updates until below 0.01")
    label(rates, "Median of the starts", "rate η", "updates until below 0.01")
    return {"valley": figure}
