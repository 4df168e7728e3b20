"""Is RAdam anything but Adam with a warm-up that is fixed in advance?

Both are given the same random gradients, of sizes from a thousandth to a thousand, and
their steps are compared coordinate by coordinate: the ratio is compared with the
paper's rectifier, which no gradient enters.

Claims: C118, C119.
Sources: Liu et al. 2020, arXiv:1908.03265, algorithm 2; Ma and Yarats 2021,
arXiv:1910.04209.
Cost: 3 seconds on 2 cores.
Expect: the ratio is the rectifier to rounding; the first steps are those of SGD with
momentum.
Run: jaxml run rectified_warmup
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, randomness, record
from jaxml.record.figures import label, panels, shared_legend
from jaxml.types import Array

BETAS = np.array([0.99, 0.999])  # β₂
EPS = float(np.finfo(np.float64).eps)
FALLBACK = 4  # up to this ρ_t RAdam is SGD with momentum
TABLE = {
    5: 0.0173,
    6: 0.0258,
    10: 0.049,
    100: 0.215,
    1000: 0.645,
    5000: 0.983,
}  # t and r as published, at β₂ = 0.999
METHODS = {
    # the paper's; its authors' code waits for ρ_t >= 5
    "radam": learn.radam_above_four,
    "adam": learn.adam,
    "momentum": learn.coupled(learn.by(learn.rules.unbiased_average)),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many gradients of how many coordinates."""

    steps: int = 4000
    coordinates: int = 8
    seed: int = 0


SMOKE = Config(steps=20, coordinates=2)


class Result(NamedTuple):
    """Of β₂ in BETAS; step t is at index t - 1."""

    over_adam: Array  # [β₂, step, coordinate], RAdam's step over Adam's
    over_momentum: (
        Array  # [β₂, step, coordinate], RAdam's step over SGD's with unbiased momentum
    )


def _steps(config, family, beta):
    """Steps of every update from random gradients, `[step, coordinate]`."""
    gradients = jax.random.normal(
        randomness.key(config.seed), (config.steps, config.coordinates)
    )
    gradients *= jnp.logspace(-3, 3, config.coordinates)[None]
    optimizer = family(learn.Hyper(lr=1.0, second_moment=beta, epsilon=0.0))
    origin = jnp.zeros(config.coordinates)

    def one(state, gradient):
        step, state = learn.update(optimizer, gradient, state, origin)
        return state, step

    return jax.lax.scan(one, optimizer.init(origin), gradients)[1]


def study(config, keep):
    """One program a method."""
    with jax.enable_x64(True):
        steps = {
            name: keep(
                name, partial(jax.jit(jax.vmap(partial(_steps, config, family))), BETAS)
            )
            for name, family in METHODS.items()
        }
    return Result(steps["radam"] / steps["adam"], steps["radam"] / steps["momentum"])


def _rectifier(steps):
    """ρ_t and r_t of the paper, and a bound on the relative rounding of r_t,
    `[β₂, step]` each.
    """
    t, beta = np.arange(1, steps + 1)[None, :], BETAS[:, None]
    limit, power = 2 / (1 - beta) - 1, beta**t
    gone = 2 * t * power / (1 - power)
    length = limit - gone
    product = (
        np.maximum(length - 4, 0)
        * (length - 2)
        * limit
        / ((limit - 4) * (limit - 2) * length)
    )
    # 1 - β^t loses 1/(1 - β^t) in relative terms, t/2 of it in the power; ρ - 4 then
    # cancels what is gone
    bound = EPS * (
        10 + (limit + gone * (2 + t) / (1 - power)) / np.maximum(length - 4, EPS)
    )
    return length, np.sqrt(product), bound


def findings(result):
    """Nothing here is random but the gradients; errors are counted in bounds on
    rounding.
    """
    _, steps, coordinates = result.over_adam.shape
    length, rectifier, bound = _rectifier(steps)
    rectified = length > FALLBACK
    setting = (
        f"normal random gradients, {coordinates} coordinates scaled from 1e-3 to 1e3, "
        f"β₂ = 0.99 and 0.999, {steps:,} updates"
    )
    return (
        record.deciding(
            "C118",
            "Once ρ_t is above 4, RAdam's step is Adam's times the rectifier r_t, "
            "whatever the gradients: the error over a bound on rounding.",
            record.largest(
                _errors_of_rectified(result.over_adam, rectifier, bound, rectified)
            ),
            record.at_most(1.0),
            unit="ratio",
            setting=setting,
        ),
        record.deciding(
            "C118",
            "While ρ_t is at most 4, RAdam's step is that of SGD with momentum.",
            record.largest(result.over_momentum[~rectified] - 1),
            record.at_most(10 * EPS),
            unit="relative error",
            setting=setting,
        ),
        record.deciding(
            "C118",
            "The formulas of ρ_t and r_t give ρ = 4.996 at t = 5 and r = 0.0173, "
            "0.0258, 0.049, 0.215, 0.645 and 0.983 at t = 5, 6, 10, 100, 1000 and "
            "5000.",
            record.largest(_errors_of_table()),
            record.at_most(6e-4),
            unit="error",
            setting="β₂ = 0.999",
        ),
        record.supporting(
            "C119",
            "RAdam begins with the step of SGD with momentum, with which SWATS ends.",
            record.largest(result.over_momentum[:, 0] - 1),
            record.at_most(10 * EPS),
            unit="relative error",
            setting=setting,
        ),
    )


def _errors_of_rectified(over_adam, rectifier, bound, rectified):
    """Relative errors of RAdam's step over Adam's against r_t, over bounds on
    rounding.
    """
    return (over_adam[rectified] / rectifier[rectified, None] - 1) / bound[
        rectified, None
    ]


def _errors_of_table():
    """What the formulas give at β₂ = 0.999, minus what is published."""
    length, rectifier, _ = _rectifier(max(TABLE))
    errors = [rectifier[1, t - 1] - published for t, published in TABLE.items()]
    return np.array([length[1, 4] - 4.996, *errors])


def figures(result):
    """The ratio of every coordinate, what is published of it, and linear warm-ups."""
    figure, axes = panels(1, 2, width=5.0)
    t = np.arange(1, 1 + result.over_adam.shape[1])
    for axis, beta, ratio in zip(axes, BETAS, result.over_adam, strict=True):
        seen = np.where(t[:, None] > 4, ratio, np.nan)
        axis.plot(t, seen.max(axis=1), label="RAdam over Adam, every coordinate")
        axis.fill_between(t, seen.min(axis=1), seen.max(axis=1), color="0.6")
        linear = np.minimum(1, t * (1 - beta) / 2)
        axis.plot(t, linear, label="linear over 2/(1 - β₂)")
        axis.set_xscale("log")
        label(axis, f"β₂ = {beta:g}", "update t", "step over Adam's")
    published = {"marker": "P", "s": 70, "color": "#003366", "zorder": 3}
    axes[1].scatter(
        list(TABLE), list(TABLE.values()), label="r_t as printed", **published
    )
    shared_legend(figure)
    return {"rectified_warmup": figure}
