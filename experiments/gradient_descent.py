"""Gradient descent by hand: how far it steps, where it ends, and when it walks off.

The lecture's own functions, f(x) = (x - 1)² + 1 and x sin x, and small ReLU networks for the claim that
local minima do not matter. The smallest study: copy it to begin your own.

Claims: C013, C015, C158, C159, C160, C161, X1.
Cost: two seconds on 2 cores.
Expect: the closed forms hold; x sin x has three minima on [0, 14], not two; networks end unequally well.
Run: jaxml run gradient_descent
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, randomness, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

EPS = float(np.finfo(np.float64).eps)
MAXIMA = (2.028757838, 7.978665712)  # of x sin x on (0, 14): tan x = -x
MINIMA = np.array([0.0, 4.913180439, 11.085538406])  # of x sin x on [0, 14]
ARRIVED = 1e-12  # of the minimum, where rounding stops the approach
STATIONARY = 1e-8  # a gradient norm below it counts as zero

PARABOLA = "f(x) = (x - 1)² + 1 from x = 6"
WAVES = "f(x) = x sin x on [0, 14]"
BILINEAR = "f(w) = (1 - w₁w₂)² at 20 normal points"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Lengths, starts and rates."""

    steps: int = 1000
    starts: int = 1400  # in (0, 14], for x sin x
    rates: tuple[float, ...] = (0.05, 0.2, 0.5, 0.7, 0.95, 1.05, 1.5)
    networks: int = 100
    network_steps: int = 5000
    lanes: int = 100
    seed: int = 0


SMOKE = Config(steps=400, starts=56, networks=4, network_steps=50, lanes=4)


class Result(NamedTuple):
    """Paths, ends, and networks."""

    path: Array  # [step + 1], x_t on the parabola from 6 at η = 0.05
    rates: Array  # [rate]
    swept: Array  # [rate, step + 1], the same at other rates
    starts: Array  # [start], x_0 on x sin x
    ends: Array  # [start]
    slopes: Array  # [start], f' of x sin x
    rises: Array  # [start], f after x has grown by 1e-6, minus f before
    turned: Array  # [point], angle between -∇ and the best of all directions, radians
    network_loss: Array  # [network], at the end
    network_gradient: Array  # [network], ‖∇L‖ at the end
    network_steps: Array  # [], updates of each


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
        points = jax.random.normal(randomness.key(config.seed), (20, 2))
        height = jax.vmap(lambda x: problem.x_sin_x(x, None))
        return {
            "path": _path(problem.parabola, six, 0.05, config.steps),
            "rates": rates,
            "swept": jax.vmap(lambda rate: _path(problem.parabola, six, rate, 60))(rates),
            "starts": starts,
            "ends": jax.vmap(lambda x: _path(problem.x_sin_x, x, 0.01, 4000)[-1])(starts),
            "slopes": jax.vmap(jax.grad(problem.x_sin_x), (0, None))(starts, None),
            "rises": height(starts + 1e-6) - height(starts),
            "turned": jax.vmap(_turned)(points),
        }

    with jax.enable_x64(True):
        task = problem.relu_sinc(8)
        start, loss = problem.start(task.model, task.batch.inputs), problem.training_loss(*task[:3])
        training = learn.training(start, loss, learn.sgd, learn.full(task.batch), steps=config.network_steps)
        grid = learn.grid(learn.Hyper, lr=[0.1], seed=randomness.seeds(config.seed, config.networks))
        trace = learn.sweep(training, grid, lanes=config.lanes, keep=keep).trace
        closed = keep("toys", jax.jit(toys))
    return Result(
        **closed,
        network_loss=trace.loss[:, -1],
        network_gradient=trace.gradient_norm[:, -1],
        network_steps=np.array(config.network_steps),
    )


def findings(result):
    """Closed forms to rounding; the ends of networks with exact intervals."""
    return (*_parabola(result), *_waves(result), *_networks(result))


def _parabola(result):
    moves = np.abs(np.diff(result.path))
    closed_form = 1 + 5 * 0.9 ** np.arange(len(result.path))
    distance = np.abs(result.swept - 1)
    nearer = (np.diff(distance) < 0) | (distance[:, 1:] < ARRIVED)
    grows, falls = np.all(np.diff(distance) > 0, axis=1), np.all(nearer, axis=1)
    otherwise = np.where(result.rates > 1, ~grows, ~falls)
    idle = np.mean(moves == 0)
    return (
        record.deciding(
            "C158",
            "Gradient descent with rate 0.05 visits x_t = 1 + 5 · 0.9ᵗ.",
            record.largest(result.path - closed_form),
            record.at_most(60 * EPS),
            unit="error",
            setting=PARABOLA,
            figure="paths",
        ),
        record.supporting(
            "C158",
            "More than half of the updates of gradient descent no longer change x.",
            record.certain(idle),
            record.above(0.5),
            unit="fraction",
            setting=f"{PARABOLA}, rate 0.05, {len(moves)} updates",
            figure="paths",
        ),
        record.deciding(
            "C015",
            "At a constant rate the step of gradient descent shrinks with the gradient, by 0.9 an update.",
            record.largest(moves[1:100] / moves[:99] - 0.9),
            record.at_most(60 * EPS / 0.9**99),  # rounding of x, in terms of the last of these steps
            unit="relative error",
            setting=PARABOLA,
            figure="paths",
        ),
        record.deciding(
            "C160",
            "With a rate above 1 every update of gradient descent ends further from the minimum, with a rate "
            "below 1 nearer.",
            record.largest(otherwise.astype(result.rates.dtype)),
            record.at_most(0.0),
            unit="mismatches",
            setting=f"{PARABOLA}, rates {result.rates.min():g} to {result.rates.max():g}",
            figure="paths",
        ),
        record.deciding(
            "C161",
            "The negative gradient is the direction in which the function falls fastest.",
            record.largest(result.turned),
            record.at_most(np.pi / 3600),
            unit="radians",
            setting=BILINEAR,
        ),
        record.deciding(
            "C161",
            "The coordinates have nothing to do with each other: the partial derivative in w₁ is the same "
            "whatever w₂ is.",
            record.largest(_change_of_partial()[None]),
            record.at_most(0.0),
            unit="error",
            setting="f(w) = (1 - w₁w₂)² at w₁ = 0, w₂ = 0 and 1",
        ),
    )


def _change_of_partial():
    """How much ∂/∂w₁ of (1 - w₁w₂)² at w₁ = 0 changes where w₂ goes from 0 to 1."""
    slopes = jax.vmap(jax.grad(problem.bilinear), (0, None))(jnp.array([[0.0, 0.0], [0.0, 1.0]]), None)
    return np.asarray(slopes[1, 0] - slopes[0, 0])


def _waves(result):
    basin = np.searchsorted(MAXIMA, result.starts)
    found = np.unique(np.round(result.ends, 4))
    rising = result.slopes > 0
    lowered = np.mean(result.rises[rising] < 0, dtype=result.rises.dtype)
    shown, setting = MINIMA[1:], f"{WAVES}, rate 0.01, {len(result.starts)} starts"
    off = np.abs(result.ends[:, None] - shown[None]).min(axis=1)
    lucky = np.abs(result.ends - MINIMA[2]) < 1e-3
    return (
        record.deciding(
            "C159",
            "Only the start decides in which minimum gradient descent ends: in that of the basin in which it "
            "starts.",
            record.largest(result.ends - MINIMA[basin]),
            record.at_most(1e-6),
            unit="distance",
            setting=setting,
            figure="basins",
        ),
        record.deciding(
            "C159",
            "Gradient descent ends in one of the two minima at x = 4.913 and x = 11.086, wherever it starts.",
            record.largest(off),
            record.at_most(1e-6),
            unit="distance",
            setting=setting,
            figure="basins",
        ),
        record.supporting(
            "C159",
            "Fewer than half of the starts lead to the lowest minimum, at x = 11.086.",
            record.certain(np.mean(lucky, dtype=result.ends.dtype)),
            record.below(0.5),
            unit="fraction",
            setting=setting,
            figure="basins",
        ),
        record.supporting(
            "C159",
            "Gradient descent reaches no more than two distinct minima.",
            record.certain(len(found) - 2.0, of=result.ends),
            record.at_most(0.0),
            unit="count",
            setting=f"{setting}; 0 is a third minimum",
            figure="basins",
        ),
        record.deciding(
            "X1",
            "Where the derivative is positive, increasing x lowers the function.",
            record.certain(lowered),
            record.above(0.5),
            unit="fraction",
            setting=f"{WAVES}, the {rising.sum()} of {len(rising)} grid points with positive derivative",
            figure="basins",
        ),
    )


def _networks(result):
    stationary = result.network_gradient <= STATIONARY
    caught = stationary & (result.network_loss > 2 * result.network_loss.min())
    setting = (
        f"sin(5πx)/(5πx) at 64 points, {len(result.network_loss)} networks of 8 ReLUs, "
        f"{result.network_steps:,} full-batch updates of rate 0.1"
    )
    return (
        record.deciding(
            "C013",
            "Most trainings stop because the budget of updates ends, with a gradient norm above 1e-8.",
            record.proportion(~stationary, of=result.network_gradient),
            record.above(0.5),
            unit="fraction",
            setting=setting,
            figure="paths",
        ),
        record.deciding(
            "C013",
            "Critical points are no obstacle: fewer than 1 training in 20 ends at one, with a gradient norm "
            "of at most 1e-8, whose loss is more than twice that of the best training.",
            record.proportion(caught, of=result.network_loss),
            record.below(0.05),
            unit="fraction",
            setting=setting,
            figure="paths",
        ),
    )


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
