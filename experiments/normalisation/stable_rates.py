"""Does batch normalisation bear larger learning rates?

Networks of hidden ReLUs train by plain SGD on half of the digits at a constant rate,
once with batch normalisation before every ReLU and once with 0 and 1 in place of mean
and variance, so that both have the same parameters, factors γ and offsets β included;
initial weights and batches of a unit are the same in both. A rate is stable where the
run has not diverged and its loss over the last tenth of the updates is below that of
its first batch. The largest stable rate is the one up to which all are, on a grid from
0.01 to 1,000 that is refined twice around the first failure, to 3 percent.

What is judged is the logarithm of that rate with normalisation over that without: above
ln 1.25 if the claim holds, below -ln 1.25 if the opposite does. A quarter, because a
grid of rates is seldom finer. A normalised network without a bound counts with the
highest rate, in disfavour of the claim; one that not even the lowest rate serves counts
with that. Such a network can blow its weights up once and
then crawl along stably; so a second quantity decides beside it, the largest rate up to
which all rates bring the loss below half of the first within the same updates, so that
training at that rate is of use. For it the grid begins at 0.1. Negative control, which
must show no effect: a network without normalisation over another, of other weights and
batches on the same digits.

A unit draws its half of the digits, initial weights and batches anew. Not tested:
momentum, Adam, convolution, rates that a warm-up leads up to.

Claims: C104.
Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.3; Bjorck et al. 2018,
    arXiv:1806.02375.
Cost: one minute on 2 cores, compilation included.
Expect: several times as large with normalisation.
Run: jaxml run stable_rates
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, label, panels, shared_legend, strips
from jaxml.types import Array, Batch, Keep, Key, Model, Params

NORMALISED, PLAIN, OTHER = range(3)
NETWORKS = ("batch normalisation", "none", "none, other weights")
STABLE, USEFUL = range(2)
LOWEST, HIGHEST = (0.01, 0.1), 1000.0  # rates, by question
FRACTIONS = (1.0, 0.5)  # of the first loss, that must be left behind
BATCH, POINTS, ROUNDS = 50, 8, 3
LARGER = record.above(
    0.0, margin=float(np.log(1.25)), reason="a quarter; grids are seldom finer"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hidden layers, examples that train, updates, runs side by side, and units."""

    widths: tuple[int, ...] = (32, 32, 32)
    examples: int = 900
    updates: int = 300
    lanes: int = 6
    units: int = 20
    seed: int = 0


SMOKE = Config(widths=(4,), examples=100, updates=4, lanes=1, units=1)


class Result(NamedTuple):
    """The largest rates.

    Attributes:
        rates: up to which all rates that were tried are stable, or of use.
        widths: of the hidden layers.
        examples: that train.
        updates: of a run.
    """

    rates: Float[np.ndarray, "network question unit"]
    widths: Array
    examples: Array
    updates: Array


class Run(NamedTuple):
    """What is drawn anew for a unit, and whether its network is normalised."""

    examples: Array
    seed: Array
    through: Array


def study(config: Config, keep: Keep) -> Result:
    """One program; which networks are normalised is a number in their state."""
    data = problem.digits()
    first = randomness.seeds(config.seed, config.units)
    again = randomness.seeds(config.seed, config.units, skip=config.units)
    draws = [np.random.default_rng(seed) for seed in first]
    rows = np.stack([draw.permutation(len(data.weights)) for draw in draws])
    runs = Run(
        examples=np.tile(rows[:, : config.examples].astype(np.int32), (3, 1)),
        seed=np.array([*first, *first, *again], np.int32),
        through=np.repeat(np.array([1, 0, 0], np.float32), config.units),
    )
    model = problem.switched_normalised((*config.widths, 10), jax.nn.relu)
    rates = partial(_rates, model, config.updates)
    every = partial(learn.each_run, rates, runs, data, lanes=config.lanes)
    found = np.reshape(keep("rates", every), (len(NETWORKS), config.units, -1))
    setting = (config.widths, config.examples, config.updates)
    return Result(np.moveaxis(found, 2, 1), *map(np.array, setting))


def _rates(
    model: Model, updates: int, data: Batch, run: Run
) -> Float[Array, " question"]:
    """The largest rates of one run."""
    own = jax.tree.map(lambda field: jnp.asarray(field)[run.examples], data)
    loss = problem.training_loss(model, problem.cross_entropy)
    begin = problem.start(model, own.inputs)

    def start(key: Key) -> tuple[Params, Any]:
        params, state = begin(key)
        return params, state._replace(through=run.through)

    batches = learn.with_replacement(own, BATCH)
    training = learn.training(start, loss, learn.sgd, batches, steps=updates)
    hyper = learn.Hyper(lr=0.1)._replace(seed=run.seed)

    def of_question(lowest: jax.Array, fraction: jax.Array) -> jax.Array:
        condition = learn.ends_below_start(training, hyper, fraction=fraction)
        search = partial(learn.largest_stable_rate, points=POINTS, rounds=ROUNDS)
        rate = search(condition, low=lowest, high=HIGHEST).stable
        return jnp.where(jnp.isnan(rate), lowest, rate)

    return jax.vmap(of_question)(jnp.array(LOWEST), jnp.array(FRACTIONS))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Both questions, and each one's control."""
    statements = (
        "The largest rate at which training is stable is larger with batch "
        "normalisation than without it.",
        "The largest rate at which training halves the loss is larger with batch "
        "normalisation than without it.",
    )
    controls = (
        "Control, two networks without batch normalisation: the largest rate at which "
        "training is stable is larger in one than in the other.",
        "Control, two networks without batch normalisation: the largest rate at which "
        "training halves the loss is larger in one than in the other.",
    )
    deciding = [
        _compared(record.deciding, statement, result, question, (NORMALISED, PLAIN))
        for question, statement in enumerate(statements)
    ]
    supporting = [
        _compared(record.supporting, statement, result, question, (OTHER, PLAIN))
        for question, statement in enumerate(controls)
    ]
    return (*deciding, *supporting)


def _compared(
    role: Callable[..., Assertion],
    statement: str,
    result: Result,
    question: int,
    pair: tuple[int, int],
) -> Assertion:
    layers = ", ".join(map(str, result.widths))
    return role(
        "C104",
        statement,
        record.mean_log_ratio(*result.rates[list(pair), question]),
        LARGER,
        unit="log ratio",
        setting=f"8x8 digits, {result.examples} examples, dense network of ReLUs in "
        f"layers of {layers}, {result.updates} updates of SGD in batches of {BATCH}",
        figure="rates",
    )


def figures(result: Result) -> dict[str, Figure]:
    """The largest rates of every unit, and their ratios."""
    figure, panels_of = panels(2, 2, width=4.6, height=3.2)
    for question, name in enumerate(("stable", "halves the loss")):
        left, right = panels_of[2 * question : 2 * question + 2]
        of_networks = result.rates[:, question]
        strips(left, dict(zip(NETWORKS, of_networks, strict=True)))
        left.set_yscale("log")
        label(left, f"Largest rate: {name}", "network", "rate")
        logarithms = np.log(of_networks) - np.log(of_networks[PLAIN])
        rows = {"normalised": logarithms[NORMALISED], "control": logarithms[OTHER]}
        dots(right, rows)
        margins(right, LARGER)
        label(right, "Over that without", "logarithm of the ratio", "network")
    shared_legend(figure)
    return {"rates": figure}
