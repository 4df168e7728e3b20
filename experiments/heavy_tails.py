"""Does Adam win on language because most words are rare?

A bigram model learns, from exact frequencies and so without noise, of tokens whose frequency falls as
rank^-s; a token's successors are drawn by frequency times the exponential of a normal number. Counted are
updates until 1% is left of the first excess loss, at the rate of a grid where they are fewest. The tail is
that of the contexts and of what follows them.

Claims: C125.
Sources: Kunstner et al. 2024, arXiv:2402.19449; Kunstner et al. 2023, arXiv:2304.13960.
Cost: 45 seconds on 2 cores.
Expect: equal where all tokens are as frequent; the longer the tail, the further Adam is ahead.
Run: jaxml run heavy_tails
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

TAILS = np.array([0.0, 0.5, 1.0])  # s
RATES = {"momentum": np.geomspace(3, 3e3, 13), "adam": np.geomspace(1e-2, 10, 13)}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The bigram model, and how long it learns."""

    tokens: int = 128
    spread: float = 2.0  # standard deviation of those numbers
    tables: int = 8  # of successors, a seed each
    steps: int = 3000
    dtype: str = "float32"


SMOKE = Config(tokens=8, tables=2, steps=5)


class Result(NamedTuple):
    """An excess is a loss above the entropy of the successors."""

    updates: (
        Array  # [method, tail, rate, table], until 1% is left; one more than were made where more is left
    )
    left: (
        Array  # [method, tail, table, token], by rank, the share of its first excess, early at the best rate
    )


def _descents(config, method):
    def lane(tail, lr, seed):
        frequency = jnp.arange(1, config.tokens + 1).astype(float) ** -tail
        frequency /= frequency.sum()
        affinity = config.spread * jax.random.normal(jax.random.key(seed), (config.tokens, config.tokens))
        following = jax.nn.log_softmax(jnp.log(frequency)[None, :] + affinity)

        def excess(params):
            guess = jax.nn.log_softmax(params["table"] + params["bias"][None, :])
            return jnp.sum(jnp.exp(following) * (following - guess), axis=1)

        start = {"table": jnp.zeros((config.tokens, config.tokens)), "bias": jnp.zeros(config.tokens)}
        objective = lambda params, _: frequency @ excess(params)  # noqa: E731
        optimizer, observe = learn.OPTIMIZERS[method](learn.Hyper(lr=lr)), {"observe": excess}
        run = learn.descend(objective, optimizer, start, None, steps=config.steps, **observe)
        there = run.loss <= 0.01 * run.loss[0]
        updates = jnp.where(jnp.any(there), jnp.argmax(there), config.steps + 1)
        return updates, run.observed[jnp.argmax(run.loss <= 0.1 * run.loss[0])] / run.observed[0]

    tables = jax.vmap(lane, (None, None, 0))
    seeds = jnp.arange(config.tables)
    grid = lambda tail: jax.lax.map(lambda lr: tables(tail, lr, seeds), jnp.asarray(RATES[method], float))  # noqa: E731
    updates, left = jax.lax.map(grid, jnp.asarray(TAILS, float))
    best = jnp.argmin(updates, axis=1)[:, None, :, None]
    return updates, jnp.take_along_axis(left, best, axis=1)[:, 0]


def study(config, keep):
    """One program a method."""
    found = [keep(method, jax.jit(partial(_descents, config, method))) for method in RATES]
    return Result(*map(np.stack, zip(*found, strict=True)))


def findings(result):
    """The ratio is momentum's updates over Adam's, both at their best rate; tables are the units."""
    above, below = (partial(rule, unit="1", dtype="float32") for rule in (record.above, record.below))
    mean = partial(record.bootstrap, np.mean)
    ratio = np.divide(*result.updates.min(axis=2))  # [tail, table]
    rise = np.array([record.correlation(TAILS, each) for each in ratio.T])
    rank = lambda left: record.correlation(np.arange(len(left)), left)  # noqa: E731
    rare = [np.array([rank(left) for left in lefts[2]]) for lefts in result.left]
    return (
        below("C125", "Tokens equally frequent: momentum keeps up with Adam: ratio of updates.",
              mean(ratio[0]), 1.1),
        above("C125", "By Zipf's law (s = 1) Adam is ahead, without any noise: ratio.", mean(ratio[2]), 1.1),
        above("C125", "Adam's lead grows with the tail: ρ(s, ratio).", mean(rise), 0.0),
        above("C125", "By Zipf's law momentum leaves rare tokens behind: ρ(rank, share of its excess left).",
              mean(rare[0]), 0.5),
        below("C125", "Adam does so less, where 10% of all is left: ρ less momentum's.",
              mean(rare[1] - rare[0]), 0.0),
    )  # fmt: skip


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
