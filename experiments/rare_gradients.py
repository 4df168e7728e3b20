"""Does a rare, informative gradient get through an optimizer that divides by its memory of gradients?

First scripted gradients: 1, once 1e5, then 1 again, with β₁ = 0 and β₂ = 0.999. Then games on [-1, 1], each
update projected back: slopes are positive on average, so -1 is the best place and 1 the worst.

Claims: C111, C112.
Sources: Reddi, Kale and Kumar 2018, arXiv:1904.09237; Zhang et al. 2022, arXiv:2208.09632.
Cost: 25 seconds on 2 cores.
Expect: 31.62 η holds for uncorrected averages or a long past; averages lose the games, AMSGrad and sums win.
Run: jaxml run rare_gradients
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

EPS, BETA = float(np.finfo(np.float64).eps), 0.999
METHODS = ("rmsprop", "adam", "radam", "amsgrad", "adabound", "adagrad", "sgd")  # three averages, then others
STRETCHES = (2.5, 3.0, 5.0, 10.0)  # C of the game of C, -1, -1
RATES, MEMORIES = (0.1, 0.3, 1.0, 3.0), np.logspace(-5, -1, 13)  # of the game of 1010 and -10; 1 - β₂
FIRST_ORDER, TUNING = 2 * 0.2 * 10300 / 10302020, 2  # 2E[g]E[g²]/E[g³]; seeds that choose a rate


@dataclass(frozen=True, kw_only=True)
class Config:
    """Steps before the large gradient in three scripts, of a script, and of a 100th of a game; seeds."""

    pasts: tuple[int, ...] = (9, 999, 10_000)
    steps: int = 20_000
    look: int = 10_000
    seeds: int = 12
    dtype: str = "float64"


SMOKE = Config(pasts=(3, 20, 40), steps=60, look=1, seeds=4)


class Result(NamedTuple):
    """Methods as in METHODS; games are the periodic one, then those of the seeds; places are mean ones."""

    pasts: Array  # [3]
    slopes: Array  # [script, step]: by past, then 1 throughout, then 4 of random sizes
    steps: Array  # [method, script, step], in η
    stretched: Array  # [method, C], place in the games of C, -1, -1
    played: Array  # [method, rate, game], place in the game of 1010 and -10 at β₂ = 0.99
    memories: Array  # [1 - β₂, game], Adam's there at a rate of 1


def _script(name, _, slopes):
    """Steps along given slopes at η = 1; where the parameter stands does not matter, so it stays at 0."""
    hyper = learn.Hyper(lr=1.0, momentum=0.0, second_moment=BETA, epsilon=0.0, final_lr=0.1)
    zero, optimizer = jnp.zeros(()), learn.OPTIMIZERS[name](hyper)
    one = lambda state, slope: learn.update(optimizer, slope, state, zero)[::-1]  # noqa: E731
    return -jax.lax.scan(one, optimizer.init(zero), slopes)[1]


def _play(name, config, lane):
    """The mean place in the last 100th, from 0: slope `big` in turn, or with chance 1/100 from seed 0."""
    rate, momentum, memory, big, small, period, seed = lane
    plain = rate / jnp.sqrt((big**2 + (period - 1) * small**2) / period)  # where nothing divides by gradients
    hyper = learn.Hyper(plain if name == "sgd" else rate, momentum, memory, epsilon=0.0, final_lr=plain)
    optimizer = learn.OPTIMIZERS[name](hyper, learn.constant if name == "adagrad" else learn.inverse_sqrt)

    def one(carry, hit):
        x, state = learn.update(optimizer, jnp.where(hit, big, -small), carry[1], carry[0])
        return (x.clip(-1, 1), state), x.clip(-1, 1)

    def look(carry, k):
        draws = jax.random.bernoulli(jax.random.fold_in(key, k), 0.01, (config.look,))
        turns = (k * config.look + jnp.arange(config.look)) % period.astype(int) == 0
        carry, places = jax.lax.scan(one, carry, jnp.where(seed < 0, turns, draws))
        return carry, jnp.mean(places)

    start, key = (jnp.zeros(()), optimizer.init(jnp.zeros(()))), jax.random.key(seed.astype(int))
    return jax.lax.scan(look, start, jnp.arange(100))[1][-1]


def study(config, keep):
    """One program for the scripts, one for the games, and one for Adam by its memory."""
    seeds, large = range(-1, config.seeds), np.arange(config.steps) == np.array([*config.pasts, -1])[:, None]
    slopes = np.vstack([1e5**large, 10 ** np.random.default_rng(0).uniform(-6, 6, (4, config.steps))])
    lanes = lambda rates, betas: [(r, 0.9, b, 1010, 10, 101, s) for r in rates for b in betas for s in seeds]  # noqa: E731
    games = np.array([(0.5, 0, 1 / (1 + c**2), c, 1, 3, -1) for c in STRETCHES] + lanes(RATES, [0.99]))
    with jax.enable_x64(True):
        each = lambda way, x: jnp.stack([jax.vmap(partial(way, name, config))(x) for name in METHODS])  # noqa: E731
        steps = keep("steps", partial(jax.jit(partial(each, _script)), slopes))
        places = keep("games", partial(jax.jit(partial(each, _play)), games))
        adam = jax.jit(jax.vmap(partial(_play, "adam", config)))
        memories = keep("memories", partial(adam, np.array(lanes([1.0], 1 - MEMORIES))))
    played, memories = places[:, 4:].reshape(-1, len(RATES), len(seeds)), memories.reshape(-1, len(seeds))
    return Result(np.array(config.pasts), slopes, steps, places[:, :4], played, memories)


def findings(result):
    """Steps are in η. In the random game each method plays at the rate that is best on the tuning seeds."""
    certain, mean, most = record.certain, partial(record.bootstrap, np.mean), 4 * EPS / (1 - BETA)
    kinds = record.exact, record.above, record.below
    exact, above, below = (partial(kind, unit="1", dtype="float64") for kind in kinds)
    (rms, adam, _, amsgrad, *_), places, (early, middle, _) = result.steps, result.memories, result.pasts
    after, best = adam.shape[1] // 4, result.played[:, :, 1 : 1 + TUNING].mean(axis=2).argmin(axis=1)
    rate = np.abs(amsgrad / result.slopes)
    fails = np.min(MEMORIES[places[:, 1:].mean(axis=1) > 0], initial=1.0)
    sides = [(above, "worst", np.min)] * 3 + [(below, "best", np.max)] * 4
    return (
        exact("C111", "Adam: each of 999 gradients of 1 moves η.", adam[1, :middle] - 1, most),
        exact("C111", "RMSProp: each does, to a tenth.", rms[1, :middle] - 1, 0.1),
        *(exact("C111", f"{name} of 1, then 1e5 moves 31.62 η, the next 10^-3.5 η, to 1 - β₂.",
                each[k, result.pasts[k] + np.arange(2)] / [1000**0.5, 1e-7**0.5] - 1, 1 - BETA)
          for name, each, k in (("Adam: 999", adam, 1), ("RMSProp: 999", rms, 1), ("Adam: 10,000", adam, 2))),
        exact("C111", "Adam and RMSProp: no step exceeds η/√(1-β₂): excess in it.",
              np.maximum(np.abs([adam, rms]) * (1 - BETA) ** 0.5 - 1, 0), most),
        exact("C112", "AMSGrad's rate never rises.", np.maximum(rate[:, 1:] / rate[:, :-1], 1) - 1, 8 * EPS),
        *(above("C112", f"Adam's step recovers to η/2 within {n} steps.", certain(adam[0, early + n]), 0.5)
          for n in (after, adam.shape[1] - early - 1)),
        above("C112", f"In {after} steps Adam outruns AMSGrad: ratio.",
              certain(np.divide(*result.steps[[1, 3], 0, early + 1 :][:, :after].sum(axis=1))), 1.0),
        *(below("C112", f"Adagrad's disease: gradients of 1 bring {METHODS[k]} below η/2.",
                certain(result.steps[k, 3, -1]), 0.5) for k in (5, 3)),
        *(rule("C111", f"C, -1, -1: {name} ends nearer the {side} place.", certain(pick(x)), 0.0)
          for name, (rule, side, pick), x in zip(METHODS, sides, result.stretched, strict=True)),
        *(rule("C111", f"1010 or -10 at random: {name} ends nearer {side}.", mean(x[k, 1 + TUNING :]), 0.0)
          for name, (rule, side, _), x, k in zip(METHODS, sides, result.played, best, strict=True)),
        above("C111", "At random: Adam fails at β₂ = 0.999: its place.", mean(places[6, 1:]), 0.0),
        below("C111", "At random: it succeeds at β₂ = 0.9999: its place.", mean(places[3, 1:]), 0.0),
        exact("C111", "It fails from 1 - β₂ = 2E[g]E[g²]/E[g³] on, to a step of the grid: decades off.",
              np.log10([fails / FIRST_ORDER]), 1 / 3),
    )  # fmt: skip


def figures(result):
    """Steps around an early large gradient, places in the random game by rate, and Adam's by its memory."""
    figure, axes = panels(1, 3)
    axes[0].loglog(result.steps[:, 0].T)
    axes[1].semilogx(RATES, result.played[:, :, 1:].mean(axis=2).T, label=METHODS, markevery=1)
    means = np.stack([result.memories[:, 0], result.memories[:, 1:].mean(axis=1)], axis=1)
    axes[2].semilogx(MEMORIES, means, label=["in turn", "at random, mean"], markevery=1)
    axes[2].axvline(FIRST_ORDER, color="0.4", linestyle=":", label="2E[g]E[g²]/E[g³]")
    label(axes[0], f"Gradients of 1, one of 1e5 after {result.pasts[0]}", "step", "step length (η)")
    label(axes[1], "1010 or -10 at random, mean", "rate α (undivided: 1/rms gradient)", "place (best -1)")
    label(axes[2], "Adam in that game", "1 - β₂", "place (best -1, worst 1)")
    _ = [axis.legend(fontsize=7) for axis in axes[1:]]
    return {"rare_gradients": figure}
