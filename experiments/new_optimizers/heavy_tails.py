"""Does Adam win on language because most words are rare?

A table of logits guesses the token that follows each token. Its loss is the exact
expectation, without any noise. Two tails are switched on and off apart: how often a
token is the context (frequency 1/rank, or the same for all), and how often it follows
(1/rank, or no tail). In every table each pair's probability is multiplied by odds drawn
anew, their logarithms uniform, so that without tails no next token is more than 8
times as likely as another.

Measured are updates until a thousandth of the first suboptimality is left: momentum's
over Adam's, which is Adam's lead. Each table is one unit: its odds are drawn anew, and
each method is tuned on it, over as many pairs of a rate and a momentum. Were the tail
the cause, the lead would be large with both tails and gone without them, which is the
control. Were it not, there would be as much of a lead without tails, or none with them.
A quarter of the updates is the margin: a grid of rates that steps by 1.5, and whole
updates, can hide as much.

The suboptimality falls at most as βᵗ, tail or not, so β is tuned too. The largest,
0.95, needs 135 updates by that law; 400 are made. The grid of β is coarse, by 2 to 2.5
in 1/(1 - β). A first version held β = 0.9, by which a hundredth takes 44 updates, tail
or not, left the next tokens a tail where the contexts had none, and compared 8 tables
at rates that step by 1.8. A second ended at a hundredth with β tuned: 3 updates without
tails, too few to count. It also had 128 tokens, and a bias that all contexts shared,
which alone is badly conditioned.

A bigram table is one small task of one of the kinds of which the claim speaks, and how
well its guesses serve elsewhere is not asked: nothing here decides.

Claims: C125.
Sources: Kunstner et al. 2024, arXiv:2402.19449; Kunstner et al. 2023, arXiv:2304.13960.
Cost: 15 seconds on 2 cores once compiled.
Expect: Adam far ahead with both tails, less with one of them, not at all without.
Run: jaxml run heavy_tails
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, randomness, record
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Axes, Figure, band, label, legend_below, panels
from jaxml.record.finding import Assertion
from jaxml.types import Array, Keep

LEFT = 0.001  # of the first suboptimality, where an update count ends
ODDS = 8.0  # of a pair: the largest over the smallest
EARLY = 0.1  # of the first suboptimality, where contexts are compared
BETAS = np.array([0.0, 0.5, 0.75, 0.9, 0.95])


TAILS = ("neither", "contexts", "next tokens", "both")
NEITHER, CONTEXTS, NEXT, BOTH = range(len(TAILS))
CONTEXT_TAIL = np.array([0.0, 1.0, 0.0, 1.0])
NEXT_TAIL = np.array([0.0, 0.0, 1.0, 1.0])


class Method(NamedTuple):
    """An optimizer and the rates that it is tried at."""

    family: learn.Family
    rates: np.ndarray


METHODS = {
    "momentum": Method(learn.momentum, np.geomspace(10, 10_000, 18)),
    "Adam": Method(learn.adam, np.geomspace(0.005, 5, 18)),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The bigram table, and how long it learns."""

    tokens: int = 64
    tables: int = 16
    steps: int = 400
    lanes: int = 16
    seed: int = 0


SMOKE = Config(tokens=8, tables=2, steps=5)


class Run(NamedTuple):
    """What one run is made of, or arrays of it; tails are exponents s of rank^-s."""

    context_tail: Array
    next_tail: Array
    momentum: Array
    lr: Array
    seed: Array


class Arrival(NamedTuple):
    """What one run leaves.

    Attributes:
        updates: until LEFT is left; one more than were made where more is left.
        left: of each token's first suboptimality as a context, once EARLY of all is
        left.
    """

    updates: Array
    left: Array


class Result(NamedTuple):
    """Updates of every run, and what is left of each context's suboptimality at the
    best.

    Attributes:
        updates: as in `Arrival`; runs are momenta times rates.
        left: as in `Arrival`, of the run that needs the fewest updates.
        steps: updates that a run makes.
    """

    updates: Int[np.ndarray, "method tails run table"]
    left: Float[np.ndarray, "method tails table token"]
    steps: np.ndarray


def _arrival(config: Config, family: learn.Family, run: Run) -> Arrival:
    """One run, from guesses that are all the same."""
    table = jnp.zeros((config.tokens, config.tokens))
    log_rank = jnp.log(jnp.arange(1.0, config.tokens + 1))
    frequency = jax.nn.softmax(-run.context_tail * log_rank)
    log_odds = jnp.log(ODDS) * jax.random.uniform(jax.random.key(run.seed), table.shape)
    usual = -run.next_tail * log_rank
    following = jax.nn.log_softmax(usual[None, :] + log_odds)

    def suboptimality(table: jax.Array) -> jax.Array:
        """The loss of each context above the entropy of its next tokens."""
        behind = following - jax.nn.log_softmax(table)
        return jnp.sum(jnp.exp(following) * behind, axis=1)

    def objective(table: jax.Array, batch: None) -> jax.Array:
        del batch
        return frequency @ suboptimality(table)

    optimizer = family(learn.Hyper(run.lr, run.momentum))
    steps = config.steps
    path = learn.descend(
        objective, optimizer, table, None, steps=steps, observe=suboptimality
    )
    fraction = path.loss / path.loss[0]
    arrived = fraction <= LEFT
    updates = jnp.where(arrived.any(), arrived.argmax(), steps + 1)
    early = jnp.argmax(fraction <= EARLY)
    return Arrival(updates, path.observed[early] / path.observed[0])


def _grid(config: Config, rates: np.ndarray) -> Run:
    """Every pair of tails, momentum, rate and table, in this order."""
    tails = range(len(TAILS))
    seeds = randomness.seeds(config.seed, config.tables)
    axes = np.meshgrid(tails, BETAS, rates, seeds, indexing="ij")
    tail, momentum, lr, seed = (axis.ravel() for axis in axes)
    return Run(CONTEXT_TAIL[tail], NEXT_TAIL[tail], momentum, lr, seed)


def _arrivals(config: Config, method: Method) -> Arrival:
    """All runs of one method."""
    runs = _grid(config, method.rates)
    one = partial(_arrival, config, method.family)

    def of_chunk(chunk: Run, shared: tuple[()]) -> Arrival:
        del shared
        return jax.vmap(one)(chunk)

    first = parallel.rows(runs, np.arange(config.lanes))
    chunks = len(runs.lr) // config.lanes
    program = parallel.compiled(of_chunk, first, (), chunks=chunks)
    return parallel.gathered(program, runs, ())


def _left_at_the_best(updates: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Of runs `[tails, run, table]`, what is left where updates are fewest."""
    best = updates.argmin(axis=1)[:, None, :, None]
    return np.take_along_axis(left, best, axis=1)[:, 0]


def study(config: Config, keep: Keep) -> Result:
    """One program a method; every run of its grid is independent."""
    updates, left = [], []
    for name, method in METHODS.items():
        arrivals = keep(name, partial(_arrivals, config, method))
        counts = arrivals.updates.reshape(len(TAILS), -1, config.tables)
        of_tokens = arrivals.left.reshape(*counts.shape, config.tokens)
        updates.append(counts)
        left.append(_left_at_the_best(counts, of_tokens))
    return Result(np.stack(updates), np.stack(left), np.array(config.steps))


def _leads(result: Result) -> np.ndarray:
    """Momentum's fewest updates over Adam's, `[tails, table]`."""
    momentum, adam = result.updates.min(axis=2)
    return momentum / adam


def findings(result: Result) -> tuple[Assertion, ...]:
    """Tables are the units, and each method is tuned on each."""
    return tuple(_findings_on_leads(result) + _findings_on_contexts(result))


def _findings_on_leads(result: Result) -> list[Assertion]:
    leads = _leads(result)
    multiplied = leads / leads[NEITHER]
    setting = _setting(result)
    reason = "a step of the grid and whole updates can hide as much"
    more = record.above(1.0, margin=0.25, reason=reason)

    def ratio(statement: str, ratios: np.ndarray, rule: record.Rule) -> Assertion:
        mean = record.bootstrap(np.mean, ratios)
        return record.supporting(
            "C125", statement, mean, rule, unit="ratio", setting=setting
        )

    return [
        ratio(
            "On a bigram table whose contexts and next tokens follow Zipf's law, Adam "
            "needs fewer updates than gradient descent with momentum, without any "
            "noise: momentum's over Adam's.",
            leads[BOTH],
            more,
        ),
        ratio(
            "On a bigram table without tails, gradient descent with momentum keeps up "
            "with Adam: momentum's updates over Adam's are below 5 to 4.",
            leads[NEITHER],
            record.below(1.25),
        ),
        ratio(
            "On a bigram table, Zipf's law of contexts and next tokens multiplies "
            "Adam's lead over gradient descent with momentum: over the lead without "
            "tails.",
            multiplied[BOTH],
            more,
        ),
        ratio(
            "On a bigram table, Zipf's law of the contexts alone multiplies Adam's "
            "lead over gradient descent with momentum: over the lead without tails.",
            multiplied[CONTEXTS],
            more,
        ),
        ratio(
            "On a bigram table, Zipf's law of the next tokens alone multiplies Adam's "
            "lead over gradient descent with momentum: over the lead without tails.",
            multiplied[NEXT],
            more,
        ),
    ]


def _findings_on_contexts(result: Result) -> list[Assertion]:
    """Correlations of a context's rank with the suboptimality that is left."""
    momentum, adam = map(_rank_correlations, result.left[:, BOTH])
    reason = "a correlation of 0.1 explains 1 % of the variance of ranks"
    setting = f"{_setting(result)}; seen when {EARLY:.0%} is left"
    return [
        record.supporting(
            "C125",
            "On a bigram table by Zipf's law, gradient descent with momentum leaves "
            "rare contexts behind: the rarer a context, the more of its suboptimality "
            "is left.",
            record.bootstrap(np.mean, momentum),
            record.above(0.0, margin=0.1, reason=reason),
            unit="correlation",
            setting=setting,
        ),
        record.supporting(
            "C125",
            "On a bigram table by Zipf's law, Adam leaves rare contexts less behind "
            "than gradient descent with momentum does: difference of correlations.",
            record.paired(adam, momentum),
            record.below(0.0, margin=0.1, reason=reason),
            unit="difference",
            setting=setting,
        ),
    ]


def _rank_correlations(left: np.ndarray) -> np.ndarray:
    ranks = np.arange(left.shape[-1])
    return np.array([record.correlation(ranks, of_table) for of_table in left])


def _setting(result: Result) -> str:
    tokens = result.left.shape[-1]
    runs = result.updates.shape[2]
    return (
        f"bigram table of {tokens} tokens, odds within {ODDS:g} to 1, exact "
        f"expectations, full batch, updates until {LEFT:.1%} of the first "
        f"suboptimality is left, at most {result.steps:,}, for each table and method "
        f"the best of {runs} rates and momenta"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Updates by rate, the lead by tails, and what is left by rank."""
    figure, axes = panels(2, 2, width=5.0)
    *by_rate, by_tails, by_rank = axes
    for panel, name, updates in zip(by_rate, METHODS, result.updates, strict=True):
        _draw_rates(panel, updates, name)
    dots(by_tails, dict(zip(TAILS, _leads(result), strict=True)), "a table")
    margins(by_tails, record.above(1.0, margin=0.25, reason="a step of the grid"))
    label(by_tails, "Adam's lead", "momentum's updates over Adam's", "tails")
    ranks = 1 + np.arange(result.left.shape[-1])
    for name, left in zip(METHODS, result.left[:, BOTH], strict=True):
        band(by_rank, ranks, left.T, name, within=1.0)
    by_rank.set(xscale="log", yscale="log")
    title = "Both tails, 10 % of all left"
    label(by_rank, title, "rank of the context", "fraction of its suboptimality left")
    for panel in axes:
        legend_below(panel)
    return {"heavy_tails": figure}


def _draw_rates(axes: Axes, updates: np.ndarray, name: str) -> None:
    """Over tables: medians and their range."""
    by_momentum = updates.reshape(len(TAILS), len(BETAS), -1, updates.shape[-1])
    for tails, fewest in zip(TAILS, by_momentum.min(axis=1), strict=True):
        band(axes, METHODS[name].rates, fewest, f"tails: {tails}", within=1.0)
    axes.set(xscale="log", yscale="log")
    label(axes, name, "rate η (1)", "updates at the best β")
