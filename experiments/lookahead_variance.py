"""Is Lookahead calmer than descent at a lower rate?

On a parabola with noisy gradients the variance that a method settles at has a closed form. Lookahead's, k =
5 and α = 1/2, is held against descent's at the same rate, and at the rate at which descent comes near as
fast.

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

from jaxml import learn, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

SPEEDS = np.array([0.01, 0.03, 0.1, 0.3, 1.0])  # η times the curvature, which is 1
KINDS = "Lookahead", "descent", "descent, as fast"
K, ALPHA = 5, 0.5


@dataclass(frozen=True, kw_only=True)
class Config:
    """How far and how many walk."""

    updates: int = 3000  # a multiple of k
    walkers: int = 4000
    dtype: str = "float32"


SMOKE = Config(updates=10, walkers=10)


class Result(NamedTuple):
    """Walkers' last squares."""

    squares: Array  # [speed, kind, walker], of KINDS


def _as_fast(speed):
    """The speed at which k steps of descent bring as near as one round of Lookahead."""
    return 1 - (1 - ALPHA + ALPHA * (1 - speed) ** K) ** (1 / K)


def _variances(speed):
    """Where they settle, proposition 2: gradients are x plus noise of variance 1, the curvature is 1."""
    descent = lambda s: s**2 / (1 - (1 - s) ** 2)  # noqa: E731
    kept = (1 - speed) ** K
    calm = ALPHA**2 * (1 - kept**2)
    ratio = calm / (calm + 2 * ALPHA * (1 - ALPHA) * (1 - kept))
    return np.stack([ratio * descent(speed), descent(speed), descent(_as_fast(speed))], axis=-1)


def _walks(config):
    """Many walkers on x²/2 from its minimum; SGD and Lookahead are the library's."""

    def walk(family, speed, key):
        optimizer = family(learn.Hyper(lr=speed, period=K, pull=ALPHA))

        def one(carry, key):
            x, state = carry
            gradient = x + jax.random.normal(key, (config.walkers,))
            return learn.update(optimizer, gradient, state, x), ()

        x = jnp.zeros(config.walkers)
        (x, state), _ = jax.lax.scan(one, (x, optimizer.init(x)), jax.random.split(key, config.updates))
        return learn.evaluation_params(state, x) ** 2

    lanes = lambda family, speeds, key: jax.vmap(partial(walk, family, key=key))(speeds)  # noqa: E731
    keys, speeds = jax.random.split(jax.random.key(0), 3), jnp.asarray(SPEEDS, float)
    slow = lanes(learn.lookahead(learn.sgd), speeds, keys[0])
    return jnp.stack(
        [slow, lanes(learn.sgd, speeds, keys[1]), lanes(learn.sgd, _as_fast(speeds), keys[2])], 1
    )


def study(config, keep):
    """One program."""
    return Result(keep("walks", jax.jit(partial(_walks, config))))


def findings(result):
    """The forms are held against the walkers, and then compared: they have no error but rounding."""
    below = partial(record.below, unit="1", dtype="float32")
    ahead, plain, as_fast = _variances(SPEEDS).T
    error = result.squares.mean(axis=-1) / _variances(SPEEDS) - 1
    bound = 4 * np.sqrt(2 / result.squares.shape[-1])  # four standard errors of a mean of normal squares
    return (
        record.exact("C120", "Walkers on a parabola settle at the closed form's variances: relative errors.",
                     error, bound, unit="1", dtype="float32"),
        below("C120", "At one rate Lookahead's variance is smaller: largest ratio to descent's.",
              record.certain(np.max(ahead / plain)), 1.0),
        below("C120", "So it is at one speed: least ratio to descent's that is as fast.",
              record.certain(np.min(ahead / as_fast)), 1.0),
    )  # fmt: skip


def figures(result):
    """Variances by rate, and by speed."""
    figure, axes = panels(1, 2)
    times = SPEEDS, SPEEDS, _as_fast(SPEEDS)
    nearer = _as_fast(SPEEDS), SPEEDS, _as_fast(SPEEDS)  # what an update brings
    rows = zip(KINDS, times, nearer, result.squares.mean(axis=-1).T, _variances(SPEEDS).T, strict=True)
    for kind, rate, speed, squares, form in rows:
        for axis, x in zip(axes, (rate, speed), strict=True):
            axis.loglog(x, squares, label=kind, markevery=1)
            axis.loglog(x, form, color="black", marker="", linewidth=0.5, linestyle="-")
    label(axes[0], "By rate (thin: the closed form)", "rate η (1/curvature)", "variance")
    label(axes[1], "By speed", "share by which an update comes nearer", "variance")
    for axis in axes:
        axis.legend(fontsize=8)
    return {"lookahead_variance": figure}
