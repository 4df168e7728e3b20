"""Do optimizers that average squares end at the worst point of a convex game?

A player stands on [-1, 1] and is given gradients, each update projected back. Gradients
are positive on average, so -1 is the best place and 1 the worst. In Reddi's game C
follows on two of -1; in his experiment 1010 comes once in 101 steps in turn, or with
probability 0.01 at random, and -10 otherwise. At random each method plays at the rate
that is best in two games, which the bootstrap draws anew; of 40 games, for with 12 the
interval of AMSGrad's end reached the margin from one of two fresh seeds.

Claims: C111, C112.
Sources: Reddi, Kale and Kumar 2018, arXiv:1904.09237; Zhang et al. 2022,
arXiv:2208.09632.
Cost: 25 seconds on 2 cores.
Expect: averages lose the games, AMSGrad and sums win; with β₂ near enough to 1 Adam
wins too.
Run: jaxml run online_games
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, randomness, record
from jaxml.record.comparisons import at_tuned, dots, margins
from jaxml.record.figures import band, label, panels, shared_legend
from jaxml.types import Array

NAMES = {
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "radam": "RAdam",
    "amsgrad": "AMSGrad",
    "adabound": "AdaBound",
    "adagrad": "Adagrad",
    "sgd": "SGD",
}
METHODS, AVERAGES = tuple(NAMES), ("rmsprop", "adam", "radam")
STRETCHES, FORGETTING = (2.5, 3.0, 5.0, 10.0), np.logspace(-5, -1, 13)  # C, and 1 - β₂
RATES, TUNING = (0.1, 0.3, 1.0, 3.0), 2  # and how many games choose among them
LONG, LONGER = 6, 3  # FORGETTING[LONG] is 0.001, FORGETTING[LONGER] 0.0001
RANDOM = "gradients 1010 with probability 0.01, else -10"
PLACES = "a convex game on [-1, 1] whose best point is -1"
SIDE, WHY = 0.1, "a twentieth of the interval from -1 to 1"  # of places
CRITICAL = (
    2 * 0.2 * 10300 / 10302020
)  # 2E[g]E[g²]/E[g³], where Adam's first-order drift changes sign


@dataclass(frozen=True, kw_only=True)
class Config:
    """Length of a hundredth of a game, and how many are played at random."""

    every: int = 10_000
    seeds: int = 40
    seed: int = 0


SMOKE = Config(every=1, seeds=4)


class Result(NamedTuple):
    """Mean places in the last hundredth; games are the one in turn, then those at
    random.
    """

    stretched: Array  # [method, C]
    played: Array  # [method, rate, game], of 1010 and -10 at β₂ = 0.99
    by_second_moment: Array  # [1 - β₂, game], Adam's there at a rate of 1
    updates: Array  # [], of a game


class Game(NamedTuple):
    """A run; a seed of -1 plays in turn."""

    rate: Array
    momentum: Array
    second_moment: Array
    large: Array
    small: Array
    period: Array
    seed: Array


def _play(name, config, game):
    """From 0; rates fall as 1/√t, which Adagrad and AdaBound see to themselves."""
    root_mean = jnp.sqrt(
        (game.large**2 + (game.period - 1) * game.small**2) / game.period
    )
    plain = game.rate / root_mean  # where nothing divides by gradients
    hyper = learn.Hyper(
        plain if name == "sgd" else game.rate,
        game.momentum,
        game.second_moment,
        epsilon=0.0,
        final_lr=plain,
    )
    shape = learn.constant if name in ("adagrad", "adabound") else learn.inverse_sqrt
    optimizer = learn.OPTIMIZERS[name](hyper, shape)
    key = jax.random.key(jnp.maximum(game.seed, 0).astype(int))

    def one(carry, large):
        x, state = learn.update(
            optimizer, jnp.where(large, game.large, -game.small), carry[1], carry[0]
        )
        x = jnp.clip(x, -1, 1)
        return (x, state), x

    def evaluate(carry, k):
        drawn = jax.random.bernoulli(jax.random.fold_in(key, k), 0.01, (config.every,))
        turns = (k * config.every + jnp.arange(config.every)) % game.period.astype(
            int
        ) == 0
        carry, places = jax.lax.scan(one, carry, jnp.where(game.seed < 0, turns, drawn))
        return carry, jnp.mean(places)

    start = jnp.zeros(()), optimizer.init(jnp.zeros(()))
    return jax.lax.scan(evaluate, start, jnp.arange(100))[1][-1]


def _games(rows):
    """One Game of arrays."""
    return Game(*np.array(rows, float).T)


def study(config, keep):
    """One program a method, and one for Adam by its β₂."""
    seeds = [-1, *randomness.seeds(config.seed, config.seeds)]
    stretched = [(0.5, 0.0, 1 / (1 + c**2), c, 1.0, 3, -1) for c in STRETCHES]
    played = [
        (rate, 0.9, 0.99, 1010, 10, 101, seed) for rate in RATES for seed in seeds
    ]
    remembered = [
        (1.0, 0.9, 1 - short, 1010, 10, 101, seed)
        for short in FORGETTING
        for seed in seeds
    ]

    def play(name, games):
        return jax.jit(jax.vmap(partial(_play, name, config)))(games)

    with jax.enable_x64(True):
        games = _games(stretched + played)
        places = np.stack([keep(name, partial(play, name, games)) for name in METHODS])
        by_second_moment = keep(
            "by_second_moment", partial(play, "adam", _games(remembered))
        )
    return Result(
        places[:, : len(STRETCHES)],
        places[:, len(STRETCHES) :].reshape(-1, len(RATES), len(seeds)),
        by_second_moment.reshape(-1, len(seeds)),
        np.array(100 * config.every),
    )


def findings(result):
    """Games at random are the units; those in turn have nothing random."""
    return (*_in_turn(result), *_at_random(result), *_remembered(result))


def _in_turn(result):
    """Reddi's game: the best of four ends where a loss is claimed, the worst of four
    where a win is.
    """
    setting = (
        f"{PLACES}, gradients C, -1, -1 in turn for C = 2.5, 3, 5 and 10, β₁ = 0, β₂ = "
        f"1/(1 + C²), rates falling as 1/√t, {result.updates:,} updates"
    )
    loss, win = (
        record.above(0.0, margin=SIDE, reason=WHY),
        record.below(0.0, margin=SIDE, reason=WHY),
    )
    stretched, rows = dict(zip(METHODS, result.stretched, strict=True)), []
    for method in ("adam", "rmsprop"):
        role = record.deciding if method == "adam" else record.supporting
        rows.append(
            role(
                "C111",
                f"As small gradients outweigh the rare one, {NAMES[method]} ends "
                "nearer the worst point than the best.",
                record.certain(stretched[method].min()),
                loss,
                unit="weight",
                setting=setting,
            )
        )
    rows.append(
        record.supporting(
            "C111",
            "RAdam, which never rectifies at so small a β₂ and so is SGD, ends "
            "nearer the best point.",
            record.certain(stretched["radam"].max()),
            win,
            unit="weight",
            setting=setting,
        )
    )
    for method in ("amsgrad", "adabound", "adagrad", "sgd"):
        role = record.deciding if method == "amsgrad" else record.supporting
        rows.append(
            role(
                "C112",
                f"Where Adam ends nearer the worst point, {NAMES[method]} ends nearer "
                "the best.",
                record.certain(stretched[method].max()),
                win,
                unit="weight",
                setting=setting,
            )
        )
    return rows


def _at_random(result):
    """Mean places at tuned rates; in the bootstrap two games of each draw tune, and the
    others judge.

    Beside C111, which has β₁ = 0.
    """
    setting = (
        f"{PLACES}, {RANDOM}, β₁ = 0.9, β₂ = 0.99, tuned rate, {result.updates:,} "
        "updates"
    )
    loss, win = (
        record.above(0.0, margin=SIDE, reason=WHY),
        record.below(0.0, margin=SIDE, reason=WHY),
    )
    rows = []
    for method, played in zip(METHODS, result.played, strict=True):
        loses = method in AVERAGES
        role = record.deciding if method == "amsgrad" else record.supporting
        end = (
            "the worst point than the best"
            if loses
            else "the best point than the worst"
        )
        rows.append(
            role(
                "C111" if loses else "C112",
                f"Where large gradients are rare and random, {NAMES[method]} ends "
                f"nearer {end}.",
                record.bootstrap(_tuned_place, played[:, 1:].T),
                loss if loses else win,
                unit="weight",
                setting=setting,
            )
        )
    return rows


def _remembered(result):
    """Adam at a rate of 1 by its β₂; beside C111, which has β₁ = 0."""
    random = result.by_second_moment[:, 1:]
    setting = f"{PLACES}, {RANDOM}, β₁ = 0.9, η = 1/√t, {result.updates:,} updates"
    return (
        record.supporting(
            "C111",
            "With β₂ = 0.999 Adam ends nearer the worst point than the best.",
            record.bootstrap(np.mean, random[LONG]),
            record.above(0.0, margin=SIDE, reason=WHY),
            unit="weight",
            setting=setting,
        ),
        record.supporting(
            "C111",
            "With β₂ = 0.9999 Adam ends nearer the best point than the worst.",
            record.bootstrap(np.mean, random[LONGER]),
            record.below(0.0, margin=SIDE, reason=WHY),
            unit="weight",
            setting=setting,
        ),
        record.supporting(
            "C111",
            "Adam fails from 1 - β₂ = 2E[g]E[g²]/E[g³] on: the failing 1 - β₂ over "
            "the predicted.",
            record.bootstrap(_failing, random.T),
            record.near(
                0.0,
                margin=float(np.log(10) / 3),
                reason="one step of the grid of 1 - β₂",
            ),
            unit="log ratio",
            setting=setting,
        ),
    )


def _tuned_place(places):
    """The mean place in the later games `[game, rate]`, at the rate that was best in
    the first.
    """
    best = np.argmin(places[:TUNING].mean(axis=0))
    return places[TUNING:, best].mean()


def _failing(places):
    """The log of the least 1 - β₂ at which the mean of places `[game, 1 - β₂]` is above
    0, over CRITICAL.
    """
    failing = np.min(FORGETTING[places.mean(axis=0) > 0], initial=1.0)
    return np.log(failing / CRITICAL)


def figures(result):
    """Places in the games in turn and at random, and Adam's by its β₂."""
    figure, (turn, random, memory) = panels(1, 3, width=4.8, height=3.8)
    names = NAMES.values()
    dots(turn, dict(zip(names, result.stretched, strict=True)), "a game")
    places = [at_tuned(record.Arm(played[:, 1:]), TUNING) for played in result.played]
    dots(random, dict(zip(names, places, strict=True)), "a game")
    where = "mean place (best -1, worst 1)"
    label(turn, "C, -1, -1 in turn: four C", where, "method")
    label(random, "1010 or -10 at random, tuned rates", where, "method")
    for axis in (turn, random):
        margins(axis, record.above(0.0, margin=SIDE, reason=WHY))
    alone = result.by_second_moment[:, :1]
    band(memory, FORGETTING, alone, "Adam, 1010 and -10 in turn")
    band(memory, FORGETTING, result.by_second_moment[:, 1:], "Adam, at random")
    memory.axvline(CRITICAL, color="0.4", linestyle="--", label="2E[g]E[g²]/E[g³]")
    memory.set_xscale("log")
    label(memory, "Adam at a rate of 1", "1 - β₂", where)
    shared_legend(figure, columns=4)
    return {"online_games": figure}
