"""Does Adam win on language because most words are rare?

A bigram model learns, from exact frequencies and so without noise, of tokens whose frequency falls as
rank^-s; a token's successors are drawn by frequency times the exponential of a normal number. Counted are
updates until 1% is left of the first excess loss, at the rate of a grid where they are fewest. The tail is
that of the contexts and of what follows them. A bigram model is one small task of one of the kinds of which
the claim speaks, how well its guesses serve elsewhere is not asked, and tables are few: nothing here decides.

Claims: C125.
Sources: Kunstner et al. 2024, arXiv:2402.19449; Kunstner et al. 2023, arXiv:2304.13960.
Cost: 45 seconds on 2 cores.
Expect: Adam far ahead by Zipf's law; less so where all contexts are as frequent, whose successors still have
    the tail that their spread gives them.
Run: jaxml run heavy_tails
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, randomness, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

TAILS = np.array([0.0, 0.5, 1.0])  # s
EVEN, ZIPF = 0, 2  # places in TAILS
RATES = {"momentum": np.geomspace(3, 3e3, 13), "adam": np.geomspace(1e-2, 10, 13)}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The bigram model, and how long it learns."""

    tokens: int = 128
    spread: float = 2.0  # standard deviation of those numbers
    tables: int = 8  # of successors, a seed each
    steps: int = 3000
    seed: int = 0


SMOKE = Config(tokens=8, tables=2, steps=5)


class Result(NamedTuple):
    """An excess is a loss above the entropy of the successors."""

    updates: (
        Array  # [method, tail, rate, table], until 1% is left; one more than were made where more is left
    )
    left: (
        Array  # [method, tail, table, token], by rank, the share of its first excess, early at the best rate
    )
    spread: Array  # [], standard deviation of the logarithms of what follows a token
    steps: Array  # [], most updates of a run


def _descents(config, method):
    """Updates `[tail, rate, table]`, and what is left of tokens' excess at the best rate, of one method."""

    def run(tail, lr, seed):
        frequency = jnp.arange(1, config.tokens + 1).astype(float) ** -tail
        frequency /= frequency.sum()
        affinity = config.spread * jax.random.normal(jax.random.key(seed), (config.tokens, config.tokens))
        following = jax.nn.log_softmax(jnp.log(frequency)[None, :] + affinity)

        def excess(params):
            guess = jax.nn.log_softmax(params["table"] + params["bias"][None, :])
            return jnp.sum(jnp.exp(following) * (following - guess), axis=1)

        def objective(params, _):
            return frequency @ excess(params)

        start = {"table": jnp.zeros((config.tokens, config.tokens)), "bias": jnp.zeros(config.tokens)}
        optimizer = learn.OPTIMIZERS[method](learn.Hyper(lr=lr))
        descent = learn.descend(objective, optimizer, start, None, steps=config.steps, observe=excess)
        there = descent.loss <= 0.01 * descent.loss[0]
        updates = jnp.where(jnp.any(there), jnp.argmax(there), config.steps + 1)
        early = jnp.argmax(descent.loss <= 0.1 * descent.loss[0])
        return updates, descent.observed[early] / descent.observed[0]

    seeds = jnp.array(randomness.seeds(config.seed, config.tables))
    tables = jax.vmap(run, (None, None, 0))

    def rates(tail):
        return jax.lax.map(lambda lr: tables(tail, lr, seeds), jnp.asarray(RATES[method], float))

    updates, left = jax.lax.map(rates, jnp.asarray(TAILS, float))
    best = jnp.argmin(updates, axis=1)[:, None, :, None]
    return updates, jnp.take_along_axis(left, best, axis=1)[:, 0]


def study(config, keep):
    """One program a method."""
    found = [keep(method, jax.jit(partial(_descents, config, method))) for method in RATES]
    updates, left = map(np.stack, zip(*found, strict=True))
    return Result(updates, left, np.array(config.spread), np.array(config.steps))


def findings(result):
    """The ratio is momentum's updates over Adam's, both at their best rate; tables are the units."""
    ratio = np.divide(*result.updates.min(axis=2))  # [tail, table]
    rise = np.array([record.correlation(TAILS, each) for each in ratio.T])
    margin = {"margin": 0.05, "reason": "5 % of the updates is less than a step of the grid of rates"}
    return (
        record.supporting(
            "C125",
            "On words by Zipf's law (s = 1) Adam needs fewer updates than momentum, without any noise.",
            record.bootstrap(np.mean, ratio[ZIPF]),
            record.above(1.0, **margin),
            unit="ratio",
            setting=_setting(result, "frequency of tokens falling as 1/rank"),
        ),
        record.supporting(
            "C125",
            "Where all contexts are equally frequent, though what follows them is not, momentum keeps up "
            "with Adam: its updates over Adam's.",
            record.bootstrap(np.mean, ratio[EVEN]),
            record.below(1.1),
            unit="ratio",
            setting=_setting(result, "tokens equally frequent"),
        ),
        record.supporting(
            "C125",
            "The longer the tail s of the contexts, the more updates momentum needs over Adam.",
            record.bootstrap(np.mean, rise),
            record.above(0.0),
            unit="correlation",
            setting=_setting(result, "frequency of tokens falling as rank^-s for s = 0, ½ and 1"),
        ),
        *_rare_tokens(result),
    )


def _rare_tokens(result):
    """Correlations of a token's rank with the share of its excess that is left, by Zipf's law."""
    momentum, adam = ([_rank_correlation(left) for left in lefts[ZIPF]] for lefts in result.left)
    setting = _setting(result, "frequency of tokens falling as 1/rank, where 10 % of all excess is left")
    return (
        record.supporting(
            "C125",
            "Momentum leaves rare words behind: the rarer a token, the more of its excess loss is left.",
            record.bootstrap(np.mean, np.array(momentum)),
            record.above(0.5),
            unit="correlation",
            setting=setting,
        ),
        record.supporting(
            "C125",
            "Adam leaves rare words less behind than momentum does: difference of correlations.",
            record.paired(np.array(adam), np.array(momentum)),
            record.below(0.0),
            unit="difference",
            setting=setting,
        ),
    )


def _rank_correlation(left):
    return record.correlation(np.arange(len(left)), left)


def _setting(result, tokens):
    return (
        f"bigram model of {result.left.shape[-1]} tokens, {tokens}, log-affinities of spread "
        f"{result.spread:g}, exact frequencies, full batch, at most {result.steps:,} updates at the best rate"
    )


def figures(result):
    """Updates by rate, what is left by rank, and the lead by tail."""
    figure, axes = panels(1, 3, width=5.0)
    for (method, rates), updates, left in zip(RATES.items(), result.updates, result.left, strict=True):
        for tail in (0, 2):
            curve = {"label": f"{method}, s = {TAILS[tail]:g}", "markevery": 1}
            axes[0].loglog(rates, np.median(updates[tail], axis=1), **curve)
        axes[1].loglog(1 + np.arange(left.shape[-1]), np.median(left[2], axis=0), label=method)
    for table in np.divide(*result.updates.min(axis=2)).T:
        axes[2].semilogy(TAILS, table, color="black", marker=".", linewidth=0.5)
    label(axes[0], "At every rate", "rate η", "median updates (the top: more)")
    label(axes[1], "Zipf's law, s = 1", "rank of the token", "share of its excess left, of all 10%")
    label(axes[2], "A line a table", "tail s", "momentum's updates over Adam's")
    axes[0].legend(fontsize=8)
    axes[1].legend(fontsize=8)
    return {"heavy_tails": figure}
