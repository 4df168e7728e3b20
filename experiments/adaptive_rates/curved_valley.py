"""Does RMSProp need fewer updates in a curved valley than the mean of all gradients?

The course brings in RMSProp for a surface like a crescent, on which the gradient along
one direction changes on the path, so that the divisor must forget. Such a valley is
(1 - x)² + 100(y - x²)². From 40 starts, drawn over -2 to 2 in x and -1 to 3 in y,
RMSProp with three α and the lecture's rule before it, which divides by the root of the
mean of all squared gradients, run at 24 constant rates in steps of 1.5 from 1e-4. Each
counts at its best rate from a start, so that all are tuned alike and anew in each unit:
updates until the loss stays below 0.01. A step of about η must be below 0.01 to stay
there and a path is about 4 long, so that 20,000 updates are many times what is needed.

The course is wrong if RMSProp with α = 0.9 needs as many updates as the mean of all, or
as RMSProp with α = 0.999: a divisor that forgets is also noisier, and can lose. Less
than a tenth of the updates is not noticed. The control is the valley with a straight
floor along an axis, (1 - x)² + 100y², where no bend asks for forgetting; it shows how
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
from jaxml.record.figures import Figure, band, label, panels, shared_legend, strips
from jaxml.types import Array, Keep, Objective

RATES = 1e-4 * 1.5 ** np.arange(24)
LOW = 0.01  # loss that counts as arrived
BENT = "(1 - x)² + 100(y - x²)²"
STRAIGHT = "(1 - x)² + 100y²"
ALPHAS = (0.9, 0.99, 0.999)
FAST, MIDDLE, SLOW = (f"RMSProp with α = {alpha}" for alpha in ALPHAS)
ALL = "division by the mean of all"
METHODS = (FAST, MIDDLE, SLOW, ALL)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of a run, starts, and how many starts advance together."""

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
    low, high = [-2, -1], [2, 3]  # x and y
    starts = draw.uniform(low, high, (config.starts, 2))
    with jax.enable_x64(True):
        return Result(
            curved=_arrivals(config, _crescent, starts, keep),
            straight=_arrivals(config, _trough, starts, keep),
            starts=starts,
            steps=np.array(config.steps),
        )


def _crescent(point: jax.Array, _: None) -> jax.Array:
    x, y = point
    above = y - x**2
    return (1 - x) ** 2 + 100 * above**2


def _trough(point: jax.Array, _: None) -> jax.Array:
    x, y = point
    return (1 - x) ** 2 + 100 * y**2


def _arrivals(
    config: Config, loss: Objective, starts: np.ndarray, keep: Keep
) -> Int[np.ndarray, "method start rate"]:
    moving = _program(config, loss, learn.rmsprop, starts)
    of_all = _program(config, loss, learn.mean_square_adagrad, starts)
    programs = (moving, moving, moving, of_all)
    alphas = (*ALPHAS, 0.0)  # the mean of all reads none
    found = []
    for name, program, alpha in zip(METHODS, programs, alphas, strict=True):
        run = Run(RATES, np.array(alpha))
        gather = partial(parallel.gathered, program, starts, run)
        stage = f"{name}, {loss.__name__}"
        found.append(keep(stage, gather))
    return np.stack(found)


def _program(
    config: Config, loss: Objective, family: learn.ShapedFamily, starts: np.ndarray
) -> Program:
    """Runs from a few starts at once, at all rates."""

    def arrival(start: Array, rate: Array, alpha: Array) -> jax.Array:
        hyper = learn.Hyper(lr=rate, second_moment=alpha)
        optimizer = family(hyper, learn.constant)
        run = learn.descend(loss, optimizer, start, None, steps=config.steps)
        high = run.loss >= LOW
        backwards = high[::-1]
        arrived = config.steps - jnp.argmax(backwards)
        return jnp.where(jnp.any(high), arrived, 0)

    def chunk(starts: jax.Array, run: Run) -> jax.Array:
        at_rates = jax.vmap(arrival, (None, 0, None))
        at_starts = jax.vmap(at_rates, (0, None, None))
        return at_starts(starts, run.rates, run.alpha)

    first = parallel.rows(starts, np.arange(config.lanes))
    run = Run(RATES, np.array(0.0))
    chunks = -(-len(starts) // config.lanes)
    return parallel.compiled(chunk, first, run, chunks=chunks)


FEWER = record.above(
    0.0, margin=np.log(1.1), reason="a tenth of the updates is not noticed"
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Updates in pairs, from one start."""
    curved = _fewest(result.curved)
    straight = _fewest(result.straight)
    bent = _setting(result, BENT)
    unbent = _setting(result, f"control without a bend, {STRAIGHT}")
    decides = partial(_compared, record.deciding, curved, bent)
    beside = partial(_compared, record.supporting, curved, bent)
    control = partial(_compared, record.supporting, straight, unbent)
    return (
        decides(FAST, ALL),
        decides(FAST, SLOW),
        beside(MIDDLE, ALL),
        beside(MIDDLE, SLOW),
        control(FAST, ALL),
        control(FAST, SLOW),
        _inside(result),
    )


def _setting(result: Result, valley: str) -> str:
    starts = f"{len(result.starts)} drawn starts"
    rates = f"each at the best of {len(RATES)} constant rates"
    return f"{valley}, {starts}, {rates}, {result.steps:,} updates"


def _fewest(arrivals: Array) -> Mapping[str, np.ndarray]:
    """Updates at the best rate from each start, at least one."""
    fewest = np.min(arrivals, axis=-1)
    some = np.maximum(fewest, 1)
    return dict(zip(METHODS, some, strict=True))


def _compared(
    role: Callable[..., Assertion],
    updates: Mapping[str, np.ndarray],
    setting: str,
    ours: str,
    theirs: str,
) -> Assertion:
    ratio = updates[theirs] / updates[ours]
    return role(
        "C083",
        f"In a valley {ours} needs fewer updates to stay below a loss of 0.01 than "
        f"{theirs}: the logarithm of the ratio of updates, its median.",
        record.bootstrap(np.median, np.log(ratio)),
        FEWER,
        unit="log ratio",
        setting=setting,
    )


def _inside(result: Result) -> Assertion:
    """Best rates that stand on an edge of the grid, or arrive nowhere, are counted."""
    best = np.argmin(result.curved, axis=-1)
    last = len(RATES) - 1
    on_edge = np.isin(best, (0, last))
    fewest = np.min(result.curved, axis=-1)
    lost = on_edge | (fewest >= result.steps)
    return record.supporting(
        "C083",
        "The best rates lie inside the grid and their runs arrive, from all but 1 in "
        "20 of the starts and methods.",
        record.certain(np.mean(lost), of=result.starts),
        record.below(0.05),
        unit="fraction",
        setting=_setting(result, BENT),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Updates at the best rate by method, a point a start, and by rate the median and
    the quartiles of the starts.
    """
    figure, (best, rates) = panels(1, 2, width=4.8)
    names = [f"α = {alpha}" for alpha in ALPHAS] + ["mean of all"]
    fewest = _fewest(result.curved)
    strips(best, {n: fewest[method] for n, method in zip(names, METHODS, strict=True)})
    for name, curved in zip(names, result.curved, strict=True):
        band(rates, RATES, curved.T, name, within=0.5)
    rates.set_xscale("log")
    for axis in (best, rates):
        axis.set_yscale("log")
        axis.axhline(float(result.steps), color="0.4", linestyle=":", label="budget")
    label(best, "At each start's best rate", "rule", "updates until below 0.01")
    label(rates, "Half of the starts", "rate η", "updates until below 0.01")
    shared_legend(figure, columns=5)
    return {"valley": figure}
