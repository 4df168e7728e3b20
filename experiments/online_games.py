"""Do optimizers that average squares end at the worst point of a convex game, where rare slopes matter most?

A player stands on [-1, 1] and is given slopes, each update projected back. Slopes are positive on average,
so -1 is the best place and 1 the worst. In Reddi's game C follows on two of -1; in his experiment 1010 comes
once in 101 steps, in turn or at random, and -10 otherwise. At random each method plays at the rate that is
best on two seeds.

Claims: C111, C112.
Sources: Reddi, Kale and Kumar 2018, arXiv:1904.09237; Zhang et al. 2022, arXiv:2208.09632.
Cost: 25 seconds on 2 cores.
Expect: averages lose the games, AMSGrad and sums win; with a memory that is long enough Adam wins too.
Run: jaxml run online_games
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

AVERAGES = "rmsprop", "adam", "radam"
METHODS = (*AVERAGES, "amsgrad", "adabound", "adagrad", "sgd")
STRETCHES, MEMORIES = (2.5, 3.0, 5.0, 10.0), np.logspace(-5, -1, 13)  # C, and 1 - β₂
RATES, TUNING = (0.1, 0.3, 1.0, 3.0), 2  # and how many seeds choose among them
CRITICAL = 2 * 0.2 * 10300 / 10302020  # 2E[g]E[g²]/E[g³], where Adam's first-order drift changes sign


@dataclass(frozen=True, kw_only=True)
class Config:
    """Length of a hundredth of a game, and how many are played at random."""

    look: int = 10_000
    seeds: int = 12
    dtype: str = "float64"


SMOKE = Config(look=1, seeds=4)


class Result(NamedTuple):
    """Mean places in the last hundredth; games are the one in turn, then those at random."""

    stretched: Array  # [method, C]
    played: Array  # [method, rate, game], of 1010 and -10 at β₂ = 0.99
    memories: Array  # [1 - β₂, game], Adam's there at a rate of 1


class Game(NamedTuple):
    """A lane; a seed of -1 plays in turn."""

    rate: Array
    momentum: Array
    memory: Array
    large: Array
    small: Array
    period: Array
    seed: Array


def _play(name, config, game):
    """From 0; rates fall as 1/√t, but for Adagrad, which sees to that itself."""
    root_mean = jnp.sqrt((game.large**2 + (game.period - 1) * game.small**2) / game.period)
    plain = game.rate / root_mean  # where nothing divides by gradients
    hyper = learn.Hyper(
        plain if name == "sgd" else game.rate, game.momentum, game.memory, epsilon=0.0, final_lr=plain
    )
    optimizer = learn.OPTIMIZERS[name](hyper, learn.constant if name == "adagrad" else learn.inverse_sqrt)
    key = jax.random.key(jnp.maximum(game.seed, 0).astype(int))

    def one(carry, large):
        x, state = learn.update(optimizer, jnp.where(large, game.large, -game.small), carry[1], carry[0])
        x = jnp.clip(x, -1, 1)
        return (x, state), x

    def look(carry, k):
        drawn = jax.random.bernoulli(jax.random.fold_in(key, k), 0.01, (config.look,))
        turns = (k * config.look + jnp.arange(config.look)) % game.period.astype(int) == 0
        carry, places = jax.lax.scan(one, carry, jnp.where(game.seed < 0, turns, drawn))
        return carry, jnp.mean(places)

    start = jnp.zeros(()), optimizer.init(jnp.zeros(()))
    return jax.lax.scan(look, start, jnp.arange(100))[1][-1]


def study(config, keep):
    """One program a method, and one for Adam by its memory."""
    seeds = np.arange(-1, config.seeds)
    lanes = lambda *games: Game(*np.array(games, float).T)  # noqa: E731
    stretched = [(0.5, 0.0, 1 / (1 + c**2), c, 1.0, 3, -1) for c in STRETCHES]
    played = [(rate, 0.9, 0.99, 1010, 10, 101, seed) for rate in RATES for seed in seeds]
    games = lanes(*stretched, *played)
    memories = lanes(*((1.0, 0.9, 1 - short, 1010, 10, 101, seed) for short in MEMORIES for seed in seeds))
    with jax.enable_x64(True):
        play = lambda name, games: jax.jit(jax.vmap(partial(_play, name, config)))(games)  # noqa: E731
        places = np.stack([keep(name, partial(play, name, games)) for name in METHODS])
        remembered = keep("memories", partial(play, "adam", memories))
    played = places[:, 4:].reshape(-1, len(RATES), len(seeds))
    return Result(places[:, :4], played, remembered.reshape(-1, len(seeds)))


def findings(result):
    """Games at random are the units; those in turn have nothing random."""
    kinds = record.exact, record.above, record.below
    exact, above, below = (partial(kind, unit="1", dtype="float64") for kind in kinds)
    mean, certain = partial(record.bootstrap, np.mean), record.certain
    best = result.played[:, :, 1 : 1 + TUNING].mean(axis=2).argmin(axis=1)
    fresh = dict(
        zip(METHODS, (x[k, 1 + TUNING :] for x, k in zip(result.played, best, strict=True)), strict=True)
    )
    stretched, random = dict(zip(METHODS, result.stretched, strict=True)), result.memories[:, 1:]
    failing = np.min(MEMORIES[random.mean(axis=1) > 0], initial=1.0)
    return (
        *(above("C111", f"C, -1, -1: {name} ends nearer the worst place: its best of four.",
                certain(stretched[name].min()), 0.0) for name in AVERAGES),
        *(below("C112", f"C, -1, -1: {name} ends nearer the best place: its worst of four.",
                certain(stretched[name].max()), 0.0) for name in METHODS[3:]),
        *(above("C111", f"1010, -10 at random: {name} ends nearer the worst place.", mean(fresh[name]), 0.0)
          for name in AVERAGES),
        *(below("C112", f"1010, -10 at random: {name} ends nearer the best place.", mean(fresh[name]), 0.0)
          for name in METHODS[3:]),
        above("C111", "At random, Adam fails at β₂ = 0.999 too: its place.", mean(random[6]), 0.0),
        below("C111", "At random, it succeeds at β₂ = 0.9999: its place.", mean(random[3]), 0.0),
        exact("C111", "It fails from 1 - β₂ = 2E[g]E[g²]/E[g³] on, to a step of the grid: decades off.",
              np.log10([failing / CRITICAL]), 1 / 3),
    )  # fmt: skip


def figures(result):
    """Places in the random game by rate, and Adam's by its memory."""
    figure, axes = panels(1, 2, width=5.0)
    for name, places in zip(METHODS, result.played[:, :, 1:].mean(axis=2), strict=True):
        axes[0].semilogx(RATES, places, label=name, markevery=1)
    for places, kind in (
        (result.memories[:, 0], "in turn"),
        (result.memories[:, 1:].mean(axis=1), "at random"),
    ):
        axes[1].semilogx(MEMORIES, places, label=kind, markevery=1)
    axes[1].axvline(CRITICAL, color="0.4", linestyle=":", label="2E[g]E[g²]/E[g³]")
    label(
        axes[0], "1010 or -10 at random", "rate (of SGD in 1/rms gradient)", "mean place (best -1, worst 1)"
    )
    label(axes[1], "Adam in that game", "1 - β₂", "mean place (best -1, worst 1)")
    figure.legend(loc="outside lower center", ncols=5, fontsize=8)
    return {"online_games": figure}
