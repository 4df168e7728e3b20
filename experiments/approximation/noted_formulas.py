"""Do y = b + w₁ and "two ReLUs are one sigmoid", as notes have them, say what is meant?

Some notes on the course write the linear model of one input as y = b + w₁, in which the
input does not stand, and add two ReLUs to one sigmoid (X3). Both are compared with what
they stand for, by their least error; errors below 1e-12 are rounding.

- y = b + w₁ is fitted by least squares to random lines, as y = b + w₁x is, the control.
  Errors are in standard deviations of the line over its inputs, so that the best
  constant has 1.
- A sigmoid is the soft one unless one says otherwise, so that one decides: the ramp is
  sought whose largest error is least, by slope and height; with a constant that the
  sentence does not mention, a pair of ReLUs that stays bounded is a ramp. A search over
  all ramps found none better than symmetric ones. No pair can be exact, for a sum of
  ReLUs is straight between its bends and a soft sigmoid nowhere. The hard sigmoid, for
  which the sentence is true (`relu_pairs`), stands beside it, with the weights of
  `problem.relus_of_hard_sigmoids`.

Slopes and places of the hard sigmoids and of the lines are drawn; nothing hangs on the
draws.

Not tested: whether a pair of ReLUs serves a network as well as a sigmoid.

Claims: X3.
Source: the notes themselves; the rest is arithmetic.
Cost: 4 seconds on 2 cores, compilation included.
Expect: the first is a constant; two ReLUs are a hard sigmoid, and miss a soft one by a
    twenty-fourth of its height.
Run: jaxml run noted_formulas
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import optimize, special

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Keep, Params

PLACES = np.linspace(-1.0, 1.0, 201)  # of inputs of a line, or of a hard sigmoid
FAR = np.linspace(-12.0, 12.0, 2401)  # of a soft one
ROUNDING = record.at_most(1e-12)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Lines and hard sigmoids."""

    draws: int = 100
    seed: int = 0


SMOKE = Config(draws=3)


class Result(NamedTuple):
    """Least errors.

    Attributes:
        constant: of b + w₁, in standard deviations of the line.
        linear: of b + w₁x, likewise.
        hard: of two ReLUs for a hard sigmoid, the largest over its height.
        soft: of two ReLUs for the soft sigmoid, the largest over its height.
        ramp: slope, and half of the height, of these.
    """

    constant: Float[np.ndarray, " draw"]
    linear: Float[np.ndarray, " draw"]
    hard: Float[np.ndarray, " draw"]
    soft: np.ndarray
    ramp: Float[np.ndarray, "2"]


def study(config: Config, keep: Keep) -> Result:
    """Fits in float64; nothing is trained."""
    first, second = randomness.seeds(config.seed, 2)
    drawn = np.random.default_rng(first).standard_normal((config.draws, 2))
    lines = drawn[:, :1] + drawn[:, 1:] * PLACES
    ones = np.ones_like(PLACES)
    constant = np.stack([ones, ones], axis=1)  # b, and w₁ beside it
    linear = np.stack([ones, PLACES], axis=1)
    sigmoids = _sigmoids(config.draws, np.random.default_rng(second))
    with jax.enable_x64(True):
        hard = keep("hard sigmoids", partial(_in_pairs, sigmoids))
    ramp, soft = _nearest_ramp()
    return Result(_missed(constant, lines), _missed(linear, lines), hard, soft, ramp)


def _missed(design: np.ndarray, lines: np.ndarray) -> Float[np.ndarray, " line"]:
    """Root mean squared errors of least squares, in deviations of each line."""
    weights = np.linalg.lstsq(design, lines.T, rcond=None)[0]
    rest = lines.T - design @ weights
    return np.sqrt(np.mean(rest**2, axis=0)) / lines.std(axis=1)


def _sigmoids(count: int, draws: np.random.Generator) -> Params:
    """Random hard sigmoids of height 1, each a network of one unit."""
    slopes, places = draws.uniform(1.0, 10.0, count), draws.uniform(-0.5, 0.5, count)
    return {
        "hidden": {
            "kernel": slopes[:, None, None],
            "bias": -(slopes * places)[:, None],
        },
        "output": {"kernel": np.ones((count, 1, 1)), "bias": np.zeros((count, 1))},
    }


def _in_pairs(sigmoids: Params) -> jax.Array:
    """The largest error of two ReLUs for each hard sigmoid."""

    def largest(one: Params) -> jax.Array:
        pair = problem.relus_of_hard_sigmoids(one)
        hard = problem.units(1, problem.hard_sigmoid)
        relus = problem.units(2, jax.nn.relu)
        outputs = [_outputs(hard, one), _outputs(relus, pair)]
        return jnp.max(jnp.abs(outputs[0] - outputs[1]))

    return jax.jit(jax.vmap(largest))(jax.tree.map(jnp.asarray, sigmoids))


def _outputs(model: Any, params: Params) -> jax.Array:
    inputs = jnp.asarray(PLACES[:, None])
    return model.apply(params, {}, inputs, train=False, key=None)[0]


def _ramp(slope: float, height: float) -> np.ndarray:
    """½ ± min(slope |z|, height), which two ReLUs and a constant are."""
    return 0.5 + np.clip(slope * FAR, -height, height)


def _nearest_ramp() -> tuple[np.ndarray, np.ndarray]:
    """Slope and height, and the largest error of that ramp for the soft sigmoid."""

    def largest(shape: np.ndarray) -> float:
        return float(np.abs(_ramp(*shape) - special.expit(FAR)).max())

    slopes = slice(0.1, 0.4, 0.01)
    heights = slice(0.3, 0.5, 0.01)
    best, error, *_ = optimize.brute(largest, (slopes, heights), full_output=True)
    return np.asarray(best), np.asarray(error)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Both formulas, and what they stand for."""
    lines = f"{len(result.linear)} random lines on 201 inputs from -1 to 1"
    told = {"rule": ROUNDING, "unit": "relative error"}
    return (
        record.deciding(
            "X3",
            "A linear model with one input reads y = b + w₁: its least error on a "
            "line, in standard deviations.",
            record.largest(result.constant),
            setting=lines,
            **told,
        ),
        record.deciding(
            "X3",
            "Two ReLUs add up to one sigmoid: the largest error over its height.",
            record.certain(result.soft),
            setting="the soft sigmoid, and the nearest of all ramps",
            **told,
        ),
        record.supporting(
            "X3",
            "Two ReLUs add up to one hard sigmoid: the largest error over its height.",
            record.largest(result.hard),
            setting=f"{len(result.hard)} random hard sigmoids",
            **told,
        ),
        record.supporting(
            "X3",
            "Control: a linear model with one input reads y = b + w₁x: its least error "
            "on a line, in standard deviations.",
            record.largest(result.linear),
            setting=lines,
            **told,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """A line with both models, and the soft sigmoid with the nearest two ReLUs."""
    figure, (line, sigmoid) = panels(1, 2, width=4.6, height=3.4)
    line.plot(PLACES, PLACES, label="a line")
    line.plot(PLACES, np.zeros_like(PLACES), label="y = b + w₁, nearest")
    legend_below(line)
    label(line, "A model without its input", "input x", "output y")
    sigmoid.plot(FAR, special.expit(FAR), label="soft sigmoid")
    sigmoid.plot(FAR, _ramp(*result.ramp), label="two ReLUs, nearest")
    legend_below(sigmoid)
    label(sigmoid, f"Nearest ramp, {float(result.soft):.3f} off", "z", "output")
    return {"formulas": figure}
