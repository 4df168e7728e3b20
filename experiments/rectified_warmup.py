"""Is RAdam anything but Adam with a warm-up that is fixed in advance?

Both are given the same random gradients, of sizes from a thousandth to a thousand, and their steps are
compared coordinate by coordinate: the ratio is held against the paper's rectifier, which no gradient enters.

Claims: C118, C119.
Sources: Liu et al. 2020, arXiv:1908.03265, algorithm 2; Ma and Yarats 2021, arXiv:1910.04209.
Cost: 3 seconds on 2 cores.
Expect: the ratio is the rectifier to rounding; the first five steps are those of SGD with momentum.
Run: jaxml run rectified_warmup
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

BETAS = np.array([0.99, 0.999])  # β₂
EPS = float(np.finfo(np.float64).eps)
TABLE = ((6, 0.0258), (10, 0.049), (100, 0.215), (1000, 0.645))  # t and r as published, at β₂ = 0.999
METHODS = {
    "radam": learn.radam,
    "adam": learn.adam,
    "momentum": learn.coupled(learn.by(learn.rules.unbiased_average)),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many gradients of how many coordinates."""

    steps: int = 4000
    coordinates: int = 8
    dtype: str = "float64"


SMOKE = Config(steps=20, coordinates=2)


class Result(NamedTuple):
    """Of β₂ in BETAS; step t is at index t - 1."""

    over_adam: Array  # [β₂, step, coordinate], RAdam's step over Adam's
    over_momentum: Array  # [β₂, step, coordinate], RAdam's step over SGD's with unbiased momentum


def _steps(config, family, beta):
    gradients = jax.random.normal(jax.random.key(0), (config.steps, config.coordinates))
    gradients *= jnp.logspace(-3, 3, config.coordinates)[None]
    optimizer, origin = (
        family(learn.Hyper(lr=1.0, second_moment=beta, epsilon=0.0)),
        jnp.zeros(config.coordinates),
    )

    def one(state, gradient):
        step, state = learn.update(optimizer, gradient, state, origin)
        return state, step

    return jax.lax.scan(one, optimizer.init(origin), gradients)[1]


def study(config, keep):
    """One program a method."""
    with jax.enable_x64(True):
        run = lambda family: jax.jit(jax.vmap(partial(_steps, config, family)))(BETAS)  # noqa: E731
        radam, adam, momentum = (keep(name, partial(run, family)) for name, family in METHODS.items())
    return Result(radam / adam, radam / momentum)


def _rectifier(steps):
    """ρ_t and r_t of the paper, and a bound on the relative rounding of r_t, `[β₂, step]` each."""
    t, beta = np.arange(1, steps + 1)[None, :], BETAS[:, None]
    limit, power = 2 / (1 - beta) - 1, beta**t
    gone = 2 * t * power / (1 - power)
    length = limit - gone
    product = np.maximum(length - 4, 0) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
    # 1 - β^t loses 1/(1 - β^t) in relative terms, t/2 of it in the power; ρ - 4 then cancels what is gone
    bound = EPS * (10 + (limit + gone * (2 + t) / (1 - power)) / np.maximum(length - 4, EPS))
    return length, np.sqrt(product), bound


def findings(result):
    """Nothing here is random but the gradients; errors are counted in bounds on rounding."""
    exact = partial(record.exact, unit="1", dtype="float64")
    length, rectifier, bound = _rectifier(result.over_adam.shape[1])
    late = length >= 5
    errors = [(ratio[at] / r[at, None] - 1) / b[at, None]
              for ratio, r, b, at in zip(result.over_adam, rectifier, bound, late, strict=True)]  # fmt: skip
    early = [ratio[~at] - 1 for ratio, at in zip(result.over_momentum, late, strict=True)]
    shown = [rectifier[1, t - 1] - r for t, r in TABLE if t <= len(late[1])]
    return (
        exact("C118", "Where ρ >= 5 RAdam's step is Adam's times r, whatever the gradients: errors.",
              np.concatenate(errors), 1.0),
        exact("C118", "At β₂ = 0.999 ρ is 4.996 at t = 5, and r is 0.0258 at 6, 0.215 at 100.",
              np.append(length[1, 4] - 4.996, shown), 6e-4),
        exact("C119", "RAdam begins, at ρ < 5, as SGD with momentum, where SWATS ends: ratio less 1.",
              np.concatenate(early), 10 * EPS),
    )  # fmt: skip


def figures(result):
    """The ratio by coordinate, and linear warm-ups for comparison."""
    figure, axes = panels(1, 2)
    t = np.arange(1, 1 + result.over_adam.shape[1])
    for axis, beta, ratio in zip(axes, BETAS, result.over_adam, strict=True):
        for coordinate in ratio.T[::4]:
            axis.semilogx(t, np.where(t > 5, coordinate, np.nan), color="black", label="RAdam over Adam")
        axis.semilogx(t, np.minimum(1, t * (1 - beta) / 2), label="linear over 2/(1 - β₂)")
        axis.legend(fontsize=8)
        label(axis, f"β₂ = {beta:g}", "update t", "step over Adam's")
    return {"rectified_warmup": figure}
