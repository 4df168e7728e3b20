"""Is Lookahead calmer than gradient descent at a lower rate?

On a parabola with noisy gradients the variance that a method settles at has a closed
form. Lookahead's, k = 5 and α = 1/2, is compared with gradient descent's at the same
rate, and at the rate at which gradient descent comes near as fast.

Claims: C120.
Sources: Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610, propositions 1 and 2.
Cost: 3 seconds on 2 cores.
Expect: less variance at one rate; at one speed, no less.
Run: jaxml run lookahead_variance
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, randomness, record
from jaxml.record.comparisons import underlaid
from jaxml.record.figures import band, label, legend_below, panels
from jaxml.types import Array

SPEEDS = np.array([0.01, 0.03, 0.1, 0.3, 1.0])  # η times the curvature, which is 1
KINDS = "Lookahead", "gradient descent", "gradient descent, as fast"
K, ALPHA = 5, 0.5

PARABOLA = "parabola with noisy gradients, rates of 0.01 to 1 over the curvature"
SMALLER = record.below(
    1.0, margin=0.05, reason="5 % of a variance is 2.5 % of a distance"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """How far and how many walk."""

    updates: int = 3000  # a multiple of k
    walkers: int = 4000
    seed: int = 0


SMOKE = Config(updates=10, walkers=10)


class Result(NamedTuple):
    """Walkers' last squares."""

    squares: Array  # [speed, kind, walker], of KINDS


def _as_fast(speed):
    """The speed at which k steps of gradient descent bring as near as one round of
    Lookahead.
    """
    return 1 - (1 - ALPHA + ALPHA * (1 - speed) ** K) ** (1 / K)


def _gradient_descent(speed):
    """Where gradient descent settles: gradients are x plus noise of variance 1, the
    curvature is 1.
    """
    return speed**2 / (1 - (1 - speed) ** 2)


def _variances(speed):
    """Where each of KINDS settles, proposition 2, `[speed, kind]`."""
    kept = (1 - speed) ** K
    calm = ALPHA**2 * (1 - kept**2)
    ratio = calm / (calm + 2 * ALPHA * (1 - ALPHA) * (1 - kept))
    return np.stack(
        [
            ratio * _gradient_descent(speed),
            _gradient_descent(speed),
            _gradient_descent(_as_fast(speed)),
        ],
        axis=-1,
    )


def _walks(config):
    """Many walkers on x²/2 from its minimum; SGD and Lookahead are the library's."""

    def walk(family, speed, key):
        optimizer = family(learn.Hyper(lr=speed, period=K, pull=ALPHA))

        def one(carry, key):
            x, state = carry
            gradient = x + jax.random.normal(key, (config.walkers,))
            return learn.update(optimizer, gradient, state, x), ()

        x = jnp.zeros(config.walkers)
        (x, state), _ = jax.lax.scan(
            one, (x, optimizer.init(x)), jax.random.split(key, config.updates)
        )
        return learn.evaluation_params(state, x) ** 2

    speeds = jnp.asarray(SPEEDS, float)
    ahead, plain, as_fast = jax.random.split(randomness.key(config.seed), 3)
    squares = [
        jax.vmap(partial(walk, learn.lookahead(learn.sgd), key=ahead))(speeds),
        jax.vmap(partial(walk, learn.sgd, key=plain))(speeds),
        jax.vmap(partial(walk, learn.sgd, key=as_fast))(_as_fast(speeds)),
    ]
    return jnp.stack(squares, axis=1)


def study(config, keep):
    """One program."""
    return Result(keep("walks", jax.jit(partial(_walks, config))))


def findings(result):
    """Walkers are the units; the closed forms say that their variances are right."""
    by_walker = np.moveaxis(result.squares, 2, 0)  # [walker, speed, kind]
    form = _variances(SPEEDS)
    error = result.squares.mean(axis=-1) / form - 1
    walkers = result.squares.shape[-1]
    bound = 4 * np.sqrt(2 / walkers)  # four standard errors of a mean of normal squares
    walked = f"{PARABOLA}, {walkers:,} walkers"
    same = f"{walked}, the same rate in Lookahead and in gradient descent"
    fast = f"{walked}, gradient descent at the rate at which it approaches as fast"
    return (
        record.deciding(
            "C120",
            "At every rate Lookahead (k = 5, α = 1/2) settles at a smaller variance "
            "than gradient descent.",
            record.bootstrap(_largest_over_same_rate, by_walker),
            SMALLER,
            unit="ratio",
            setting=same,
        ),
        record.deciding(
            "C120",
            "At every speed of approach Lookahead (k = 5, α = 1/2) settles at a "
            "smaller variance than gradient descent.",
            record.bootstrap(_largest_over_as_fast, by_walker),
            SMALLER,
            unit="ratio",
            setting=fast,
        ),
        record.supporting(
            "C120",
            "By the closed form Lookahead (k = 5, α = 1/2) settles at a smaller "
            "variance than gradient descent at some speed of approach.",
            record.certain(np.min(form[:, 0] / form[:, 2])),
            SMALLER,
            unit="ratio",
            setting=fast,
        ),
        record.supporting(
            "C120",
            "Simulated gradient descent and Lookahead settle at the variances of the "
            "closed form.",
            record.largest(error),
            record.at_most(bound),
            unit="relative error",
            setting=walked,
        ),
    )


def _largest_over_same_rate(squares):
    """Lookahead's variance over gradient descent's at the same rate, at the rate
    where it is largest.
    """
    ahead, plain, _ = squares.mean(axis=0).T
    return np.max(ahead / plain)


def _largest_over_as_fast(squares):
    """Lookahead's variance over that of gradient descent that is as fast, at the speed
    where it is largest.
    """
    ahead, _, as_fast = squares.mean(axis=0).T
    return np.max(ahead / as_fast)


def figures(result):
    """Variances by rate, and Lookahead's over those of gradient descent; bands hold
    four in five of twenty groups of walkers.
    """
    figure, (variances, ratios) = panels(1, 2, width=5.0)
    groups = np.array_split(result.squares, min(20, result.squares.shape[-1]), axis=-1)
    by_group = np.stack([group.mean(axis=-1) for group in groups], axis=-1)
    ahead, plain, as_fast = np.moveaxis(by_group, 1, 0)
    ahead_form, plain_form, fast_form = _variances(SPEEDS).T
    band(variances, SPEEDS, ahead, KINDS[0])
    band(variances, SPEEDS, plain, KINDS[1])
    underlaid(variances, SPEEDS, ahead_form, "closed form")
    underlaid(variances, SPEEDS, plain_form)
    label(variances, "At the same rate", "rate η (1/curvature)", "variance")
    band(ratios, SPEEDS, ahead / plain, "over gradient descent at the same rate")
    band(ratios, SPEEDS, ahead / as_fast, "over gradient descent that is as fast")
    underlaid(ratios, SPEEDS, ahead_form / plain_form, "closed form")
    underlaid(ratios, SPEEDS, ahead_form / fast_form)
    ratios.axhspan(0.95, 1.05, color="0.8", label="too small to matter", zorder=0.5)
    title = "Lookahead's variance over that of gradient descent"
    label(ratios, title, "rate η of Lookahead (1/curvature)", "ratio of variances")
    for axis in (variances, ratios):
        axis.set(xscale="log", yscale="log")
        legend_below(axis)
    return {"lookahead_variance": figure}
