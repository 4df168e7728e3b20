"""Does division by the root mean square of all gradients burst out of the optimum?

The rule is the lecture's: the gradient over the root mean square of all gradients so
far. It runs on the squared error of a line b + wx through ten Pokémon from the course's
start, (b, w) = (-120, -4), and from 40 starts drawn over the lecture's axes, at six
rates from 0.1 to 10, for the lecture's 100,000 updates. It has arrived when the squared
error is within 100 of the least. A burst is a rise of |w - w*| beyond 1 after that.

The course says that a constant rate arrives and that w bursts out again, because many
tiny gradients have shrunk the divisor. It is wrong if no rate arrives, or if no burst
follows, from the course's start or from most others: a half of 40 can be told from all
of them. Before a burst the divisor should be less than half of its largest so far. The
control is Adagrad as published, whose divisor never shrinks: it may not burst. Rates
that decay run along, for the study that asks whether they remove the bursts; it sees
them a second way too, in the squared error's rises beyond 10,000 above the least.

A first version had one start, and counted bursts of runs that had not arrived.

Claims: C080.
Sources: Duchi, Hazan and Singer 2011.
Cost: 20 seconds on 2 cores, compilation included.
Expect: it arrives, then bursts, with the divisor at a tenth of its largest.
Run: jaxml run bursts
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import label, legend_below, panels
from jaxml.types import Array, Keep

LINE = problem.pokemon_line()
AXES = np.array([[-200.0, -5.0], [-100.0, 5.0]])  # the lecture's: lowest, highest
RATES = np.array([0.1, 0.3, 0.5, 1.0, 3.0, 10.0])
ONE = 3  # place of the rate 1
CLOSE = 100.0  # above the least squared error
HIGH = 1e4  # squared error above the least that counts as a burst
FAR = 1.0  # |w - w*| that counts as a burst
COUNTED = np.array([0, 14, 41, 62])  # the ledger's bursts at the first rates
WINDOWS = 250  # of the figure
NEVER = 10**9  # stands for the updates of a run that never arrives

SURFACE = "squared error of a line through ten Pokémon"
DIVISION = "division by the root mean square of all past gradients"


class Method(NamedTuple):
    """A rule and its schedule."""

    family: learn.ShapedFamily
    shape: Callable


RULE = learn.mean_square_adagrad
CONSTANT = "a constant rate"
ADAGRAD = "Adagrad as published"
DECAYS = {
    "1/√t": learn.inverse_sqrt,
    "an exponential to a tenth": partial(learn.exponential, final=0.1),
    "an exponential to a hundredth": partial(learn.exponential, final=0.01),
    "an exponential to a millionth": partial(learn.exponential, final=1e-6),
    "a cosine to zero": learn.cosine,
}
METHODS = {
    CONSTANT: Method(RULE, learn.constant),
    ADAGRAD: Method(learn.adagrad, learn.constant),
    **{name: Method(RULE, shape) for name, shape in DECAYS.items()},
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of each run, starts beside the course's, and lanes of starts."""

    steps: int = 100_000
    starts: int = 40
    lanes: int = 7
    seed: int = 0


SMOKE = Config(steps=500, starts=2, lanes=2)


class Runs(NamedTuple):
    """What became of a method.

    Attributes:
        arrival: updates until the squared error is close, -1 if never.
        excursions: rises of |w - w*| beyond FAR, before the arrival and after.
        bursts: those after it.
        rises: of the squared error beyond HIGH, after the arrival.
        divisor: w's before a burst in terms of its largest so far, the most of all
            bursts; 0 without a burst.
        envelope: the largest |w - w*| in each of WINDOWS.
    """

    arrival: Int[Array, "*method start rate"]
    excursions: Int[Array, "*method start rate"]
    bursts: Int[Array, "*method start rate"]
    rises: Int[Array, "*method start rate"]
    divisor: Float[Array, "*method start rate"]
    envelope: Float[Array, "*method start rate window"]


class Result(NamedTuple):
    """Runs by method of METHODS; the first start is the course's."""

    runs: Runs
    starts: Float[Array, "start 2"]
    steps: Int[Array, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a method, in float64, chunks of starts on all cores."""
    starts = _starts(config)
    found = []
    with jax.enable_x64(True):
        for name, method in METHODS.items():
            found.append(keep(name, partial(_runs, config, method, starts)))
    stacked = jax.tree.map(lambda *methods: np.stack(methods), *found)
    return Result(stacked, starts, np.array(config.steps))


def _starts(config: Config) -> Float[np.ndarray, "start 2"]:
    (seed,) = randomness.seeds(config.seed, 1)
    lowest, highest = AXES
    drawn = np.random.default_rng(seed).uniform(lowest, highest, (config.starts, 2))
    return np.vstack([LINE.start, drawn])


def _runs(config: Config, method: Method, starts: np.ndarray) -> Runs:
    def chunk(starts: jax.Array, rates: jax.Array) -> Runs:
        at_rates = jax.vmap(partial(_run, config, method), (None, 0))
        return jax.vmap(at_rates, (0, None))(starts, rates)

    first = parallel.rows(starts, np.arange(config.lanes))
    chunks = -(-len(starts) // config.lanes)
    program = parallel.compiled(chunk, first, RATES, chunks=chunks)
    return parallel.gathered(program, starts, RATES)


def _run(config: Config, method: Method, start: jax.Array, rate: jax.Array) -> Runs:
    hyper = learn.Hyper(lr=rate, horizon=float(config.steps))
    optimizer = method.family(hyper, method.shape)
    run = learn.descend(
        LINE.loss, optimizer, start, None, steps=config.steps, observe=lambda x: x
    )
    suboptimality = run.loss - LINE.least
    close = suboptimality < CLOSE
    arrived = jnp.cumsum(close) > 0
    offset = run.observed - LINE.best[None]
    distance = jnp.abs(offset[:, 1])
    outward = _crossings(distance > FAR)
    bursts = outward & arrived[:-1]
    rises = _crossings(suboptimality > HIGH) & arrived[:-1]
    divisor = _divisor(offset @ LINE.hessian[:, 1])
    return Runs(
        arrival=jnp.where(arrived[-1], jnp.argmax(close), -1),
        excursions=jnp.sum(outward),
        bursts=jnp.sum(bursts),
        rises=jnp.sum(rises),
        divisor=jnp.max(divisor[:-1], initial=0.0, where=bursts),
        envelope=distance.reshape(WINDOWS, -1).max(axis=1),
    )


def _crossings(beyond: jax.Array) -> jax.Array:
    """Whether the update after each position leads beyond, from within."""
    return beyond[1:] & ~beyond[:-1]


def _divisor(gradients: jax.Array) -> jax.Array:
    """The root mean square of all gradients so far, over its largest so far."""
    counts = jnp.arange(1.0, len(gradients) + 1)
    divisor = jnp.sqrt(jnp.cumsum(gradients**2) / counts)
    return divisor / jax.lax.cummax(divisor)


def _of(result: Result, method: str) -> Runs:
    place = list(METHODS).index(method)
    return jax.tree.map(lambda field: field[place], result.runs)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Counts from the course's start, fractions of the other starts."""
    constant = _of(result, CONSTANT)
    setting = f"{SURFACE}, rates 0.1 to 10, {result.steps:,} updates"
    return (
        *_constant(setting, result.steps, constant),
        _control(setting, _of(result, ADAGRAD), constant.bursts > 0),
        _ledgers(result, constant),
    )


def _constant(setting: str, steps: Array, runs: Runs) -> tuple[Assertion, ...]:
    arrival = np.where(runs.arrival[0] < 0, NEVER, runs.arrival[0])
    bursting = np.any(runs.bursts[1:] > 0, axis=1)
    count = np.sum(runs.bursts[0])
    deciding = partial(record.deciding, "C080")
    return (
        deciding(
            f"With {DIVISION} the best constant rate comes within a squared error of "
            "100 of the least before the updates run out.",
            record.certain(arrival.min(), of=runs.divisor),
            record.below(float(steps)),
            unit="updates",
            setting=setting,
        ),
        deciding(
            f"With {DIVISION} w bursts out of its optimum again after it has arrived: "
            "rises of its distance beyond 1, at all constant rates together.",
            record.certain(count, of=runs.divisor),
            record.above(0.0),
            unit="count",
            setting=setting,
        ),
        deciding(
            f"With {DIVISION} w bursts out of its optimum again after it has arrived, "
            "from most starts.",
            record.proportion(bursting, of=runs.divisor),
            record.above(0.5),
            unit="fraction",
            setting=f"{setting}, {len(bursting)} starts drawn over the lecture's axes",
        ),
        record.supporting(
            "C080",
            "Before each burst the divisor of w has shrunk to less than half of its "
            "largest value so far.",
            record.certain(np.max(runs.divisor)),
            record.below(0.5),
            unit="ratio",
            setting=f"{setting}, {len(runs.divisor)} starts",
        ),
    )


def _control(setting: str, runs: Runs, bursting: Array) -> Assertion:
    burst = np.any((runs.bursts > 0) & bursting, axis=1)
    return record.supporting(
        "C080",
        "Control: Adagrad as published, whose divisor never shrinks, does not burst at "
        "the rates at which the lecture's rule does. Starts at which it bursts.",
        record.proportion(burst, of=runs.divisor),
        record.below(0.2),
        unit="fraction",
        setting=f"{setting}, {len(burst)} starts",
    )


def _ledgers(result: Result, runs: Runs) -> Assertion:
    """Rises of |w - w*| beyond 1, before the arrival and after."""
    counts = runs.excursions[0, : len(COUNTED)]
    return record.supporting(
        "C080",
        "At rates 0.1, 0.3, 0.5 and 1 the distance of w rises beyond 1 as often as the "
        "ledger counts: 0, 14, 41 and 62 times, to 3. The largest difference.",
        record.certain(np.abs(counts - COUNTED).max(), of=runs.divisor),
        record.near(
            0.0,
            margin=3.0,
            reason="rounding changes the counts of a chaotic path by a few",
        ),
        unit="count",
        setting=f"{SURFACE}, from (b, w) = (-120, -4), {result.steps:,} updates",
    )


def figures(result: Result) -> dict:
    """The distance of w from the course's start at rate 1, and bursts by start."""
    figure, (distance, counts) = panels(1, 2)
    edges = np.linspace(0, float(result.steps), WINDOWS + 1)
    for name, marker in ((CONSTANT, "o"), (ADAGRAD, "s")):
        runs = _of(result, name)
        distance.semilogy(edges[1:], runs.envelope[0, ONE], label=name, marker="")
        places = np.broadcast_to(RATES, runs.bursts.shape)
        counts.scatter(places, runs.bursts, marker=marker, label=name)
    distance.axhline(FAR, color="0.4", label="a burst: beyond 1")
    label(
        distance,
        "Rate 1, from the course's start",
        "update",
        "largest |w - w*| since the last",
    )
    ledger = 1.15 * RATES[: len(COUNTED)]
    counts.scatter(ledger, COUNTED, marker="x", label="ledger")
    counts.set_xscale("log")
    label(counts, "All starts, a point a start", "rate η", "bursts")
    legend_below(distance)
    legend_below(counts)
    return {"bursts": figure}
