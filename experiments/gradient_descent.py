"""Gradient descent by hand: how far it steps, where it ends, and when it walks off.

The lecture's own functions, f(x) = (x - 1)² + 1 and x sin x, and small ReLU networks for the claim that
local minima do not matter. The smallest study: copy it to begin your own.

Claims: C013, C015, C158, C159, C160, C161, X1.
Cost: two seconds on 2 cores.
Expect: the closed forms hold; x sin x has three minima on [0, 14], not two; networks end unequally well.
Run: jaxml run gradient_descent
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

EPS = float(np.finfo(np.float64).eps)
MAXIMA = (2.028757838, 7.978665712)  # of x sin x on (0, 14): tan x = -x


@dataclass(frozen=True, kw_only=True)
class Config:
    """Lengths, starts and rates."""

    steps: int = 1000
    starts: int = 1400  # in (0, 14], for x sin x
    rates: tuple[float, ...] = (0.05, 0.2, 0.5, 0.7, 0.95, 1.05, 1.5)
    networks: int = 40
    network_steps: int = 5000
    dtype: str = "float64"


SMOKE = Config(steps=400, starts=56, networks=4, network_steps=50)


class Result(NamedTuple):
    """Paths, ends, and networks."""

    path: Array  # [step + 1], x_t on the parabola from 6 at η = 0.05
    rates: Array  # [rate]
    swept: Array  # [rate, step + 1], the same at other rates
    starts: Array  # [start], x_0 on x sin x
    ends: Array  # [start]
    rises: Array  # [start], f after a small step along the derivative, minus f before
    turned: Array  # [point], angle between -∇ and the best of all directions, radians
    network_loss: Array  # [network], at the end
    network_gradient: Array  # [network], ‖∇L‖ at the end


def _path(objective, x, rate, steps):
    """x_0 ... x_steps of plain gradient descent."""
    sgd = learn.sgd(learn.Hyper(lr=rate))
    descent = learn.descend(objective, sgd, x, None, steps=steps, observe=lambda x: x)
    return jnp.append(descent.observed, descent.params)


def _turned(point):
    """The angle between -∇ of (1 - w₁w₂)² and the direction of the lowest directional derivative."""
    angles = jnp.linspace(-jnp.pi, jnp.pi, 3601)
    a, b = jax.grad(problem.bilinear)(point, None)
    off = angles[jnp.argmin(a * jnp.cos(angles) + b * jnp.sin(angles))] - jnp.arctan2(-b, -a)
    return jnp.abs(jnp.arctan2(jnp.sin(off), jnp.cos(off)))


def study(config, keep):
    """The closed forms in one program, the networks in another, both in float64."""

    def toys():
        six, rates = jnp.asarray(6.0), jnp.asarray(config.rates)
        starts = jnp.linspace(0, 14, config.starts + 1)[1:]
        points = jax.random.normal(jax.random.key(0), (20, 2))
        return {
            "path": _path(problem.parabola, six, 0.05, config.steps),
            "rates": rates,
            "swept": jax.vmap(lambda rate: _path(problem.parabola, six, rate, 60))(rates),
            "starts": starts,
            "ends": jax.vmap(lambda x: _path(problem.x_sin_x, x, 0.01, 4000)[-1])(starts),
            "rises": jax.vmap(lambda x: _path(problem.x_sin_x, x, -1e-3, 1))(starts) @ jnp.array([-1.0, 1.0]),
            "turned": jax.vmap(_turned)(points),
        }

    with jax.enable_x64(True):
        task = problem.relu_sinc(8)
        start, loss = problem.start(task.model, task.batch.inputs), problem.training_loss(*task[:3])
        training = learn.training(start, loss, learn.sgd, learn.full(task.batch), steps=config.network_steps)
        grid = learn.grid(learn.Hyper, lr=[0.1], seed=range(config.networks))
        trace = learn.sweep(training, grid, lanes=config.networks, keep=keep).trace
        closed = keep("toys", jax.jit(toys))
    return Result(**closed, network_loss=trace.loss[:, -1], network_gradient=trace.gradient_norm[:, -1])


def findings(result):
    """Closed forms to rounding; shares with exact intervals."""
    kinds = record.exact, record.above, record.below
    exact, above, below = (partial(kind, unit="1", dtype="float64") for kind in kinds)
    moves = np.abs(np.diff(result.path))
    closed = 1 + 5 * 0.9 ** np.arange(len(result.path))
    converges = np.abs(result.swept[:, -1] - 1) < 5
    minima = np.array([0.0, 4.913180439, 11.085538406])[np.searchsorted(MAXIMA, result.starts)]
    found = len(np.unique(np.round(result.ends, 4)))
    still = result.network_gradient <= 1e-8
    caught = still & (result.network_loss > 2 * result.network_loss.min())
    return (
        exact("C158", "From 6 at η = 0.05, x_t = 1 + 5 · 0.9ᵗ.", result.path - closed, 60 * EPS),
        above("C158", "Most of 1000 steps are idle: their share.", record.certain(np.mean(moves == 0)), 0.5),
        exact("C015", "At a constant rate steps shrink with the slope: |Δ_t+1| / |Δ_t| = 0.9.",
              moves[1:100] / moves[:99] - 0.9, 60 * EPS / moves[99]),
        exact("C160", "A step too large walks off: it converges iff 0 < η < 1 (mismatches).",
              (converges != (result.rates < 1)).astype(float), 0.0),
        exact("C159", "The start decides: descent ends in its basin's minimum.", result.ends - minima, 1e-6),
        exact("C159", "x sin x has two minima on [0, 14] (found beyond two).", np.array([found - 2.0]), 0.0),
        exact("C161", "-∇ is the direction of steepest descent.", result.turned, np.pi / 3600),
        above("X1", "Where f' > 0, increasing x lowers f: share of starts.",
              record.proportion(result.rises < 0), 0.5),
        above("C013", "Networks stop because the budget ends: share with ‖∇L‖ > 1e-8 at the end.",
              record.proportion(~still), 0.5),
        below("C013", "Poor critical points are no problem: share caught at one, above twice the best loss.",
              record.proportion(caught), 0.05),
    )  # fmt: skip


def figures(result):
    """The paths on the parabola by rate, and the basins of x sin x."""
    paths, (left, right) = panels(1, 2)
    for rate, path in zip(result.rates, result.swept, strict=True):
        left.plot(np.abs(path[:30] - 1), label=f"η = {rate:g}")
    left.set_yscale("log")
    left.legend(fontsize=7, ncols=2)
    label(left, "f = (x - 1)² + 1 from x = 6", "step", "distance to the minimum")
    right.scatter(result.network_gradient, result.network_loss, color="black")
    right.set_xscale("log")
    label(right, "8 ReLUs on SINC, one point a seed", "final ‖∇L‖", "final loss (mean squared error)")
    basins, (axis,) = panels(width=7.0)
    x = np.linspace(0, 14.5, 400)
    axis.plot(x, x * np.sin(x), color="0.6", marker="", label="x sin x")
    axis.scatter(result.starts, result.ends, s=4, color="black", label="where it ends")
    for maximum in MAXIMA:
        axis.axvline(maximum, color="0.3", linestyle=":")
    axis.legend(fontsize=8)
    label(axis, "Descent at η = 0.01", "start x₀", "f(x₀) = x₀ sin x₀, and the end x")
    return {"paths": paths, "basins": basins}
