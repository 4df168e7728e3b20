"""Do w, b and c set the slope, the position and the height of a sigmoid?

The course says so of c·σ(b + wx), and writes sums of such sigmoids over several inputs
as y = b + cᵀσ(b' + Wx). Both are mathematics. Here they are read off networks of
`problem.units`: the derivative at the midpoint by automatic differentiation, which must
be cw/4, the place of half the height by bisection, which must be -b/w, and the values
on either side where the exponent is 100, which must be 0 and c. The vector form is
compared with explicit loops over units and inputs, in NumPy.

The formulas also say what the sentence does not: c sets the slope as well, and w the
position. So two supporting findings double a weight that should not matter; were the
sentence true of each weight alone, nothing would change.

An error below 1e-12 is rounding in float64, as for the curves of `kink_curves`: with
weights between 1/e and e in size a few operations leave some 1e-15. Nothing in the
formulas hangs on the draws, so the largest error of all draws decides.

Claims: C019, C021.
Cost: 3 seconds on 2 cores, compilation included.
Expect: all formulas hold; neither w nor c has one effect alone.
Run: jaxml run sigmoid_weights
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels, strips
from jaxml.types import Keep

ROUNDING = record.at_most(1e-12)
INPUTS, UNITS = 5, 8  # of the vector form
VARIED = (
    ((1, 1, 1), (2, 1, 1), (4, 1, 1)),
    ((1, -2, 1), (1, 0, 1), (1, 2, 1)),
    ((1, 1, 1), (1, 1, 2), (1, 1, -1)),
)
"""w, b and c of the figure: one of them differs in each panel."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws of weights."""

    draws: int = 20
    seed: int = 0


SMOKE = Config(draws=2)


class Result(NamedTuple):
    """Of the network with one sigmoid, and of the vector form.

    Attributes:
        errors: relative, of slope, position, and both limits.
        moved: the slope as c doubles, the position as w doubles, over what they were.
        loops: of the network against loops, relative.
    """

    errors: Float[np.ndarray, "role draw"]
    moved: Float[np.ndarray, "cross draw"]
    loops: Float[np.ndarray, " draw"]


def study(config: Config, keep: Keep) -> Result:
    """Float64 throughout; networks are evaluated, none is trained."""
    (seed,) = randomness.seeds(config.seed, 1)
    draws = np.random.default_rng(seed)
    with jax.enable_x64(True):
        return keep("weights", partial(_roles, config.draws, draws))


def _roles(count: int, draws: np.random.Generator) -> Result:
    """Slopes by automatic differentiation, positions by bisection."""
    sizes = np.exp(draws.uniform(-1, 1, (3, count)))
    w, b, c = sizes * draws.choice([-1, 1], (3, count))
    output = jax.jit(jax.vmap(_network))
    slope = jax.jit(jax.vmap(jax.grad(_network, argnums=3)))
    at_middle, doubled = slope(w, b, c, -b / w), slope(w, b, 2 * c, -b / w)
    middle, moved = _middle(output, w, b, c), _middle(output, 2 * w, b, c)
    beyond = 100 / w
    low, high = output(w, b, c, -b / w - beyond), output(w, b, c, -b / w + beyond)
    errors = [at_middle / (c * w / 4) - 1, middle / (-b / w) - 1, low / c, high / c - 1]
    moves = np.stack([doubled / at_middle, moved / middle])
    loops = [_loops(draws) for _ in range(count)]
    return Result(np.array(errors), moves, np.array(loops))


def _network(w: jax.Array, b: jax.Array, c: jax.Array, x: jax.Array) -> jax.Array:
    """c σ(b + w x), by `problem.units` of one unit."""
    params = {
        "hidden": {"kernel": w[None, None], "bias": b[None]},
        "output": {"kernel": c[None, None], "bias": jnp.zeros(1)},
    }
    model = problem.units(1, jax.nn.sigmoid)
    return model.apply(params, {}, x[None, None], train=False, key=None)[0][0, 0]


def _middle(
    output: Callable, w: np.ndarray, b: np.ndarray, c: np.ndarray
) -> np.ndarray:
    """Where a network is at half of its height, by bisection of [-50, 50]."""
    low, high = np.full_like(w, -50.0), np.full_like(w, 50.0)
    for _ in range(60):
        half = (low + high) / 2
        before = np.sign(w) * (output(w, b, c, half) / c - 0.5) < 0
        low, high = np.where(before, half, low), np.where(before, high, half)
    return (low + high) / 2


def _loops(draws: np.random.Generator) -> float:
    """The network's error against the double sum, over the sum of the terms' sizes."""
    kernel = draws.normal(size=(INPUTS, UNITS))
    shift, height = draws.normal(size=(2, UNITS))
    x, constant = draws.normal(size=INPUTS), draws.normal()
    total, sizes = constant, abs(constant)
    for unit in range(UNITS):
        inner = shift[unit]
        for place in range(INPUTS):
            inner += kernel[place, unit] * x[place]
        term = height[unit] / (1 + np.exp(-inner))
        total += term
        sizes += abs(term)
    params = {
        "hidden": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(shift)},
        "output": {
            "kernel": jnp.asarray(height[:, None]),
            "bias": jnp.asarray([constant]),
        },
    }
    model = problem.units(UNITS, jax.nn.sigmoid)
    output, _ = model.apply(params, {}, x[None], train=False, key=None)
    return (float(output[0, 0]) - total) / sizes


def findings(result: Result) -> tuple[Assertion, ...]:
    """C019 and C021; doubling a weight that does not matter would move nothing."""
    draws = len(result.loops)
    setting = (
        f"one sigmoid of one input, {draws} draws of w, b and c of either sign and "
        "between 1/e and e in size, float64"
    )
    names = (
        "The slope of c·σ(b + wx) at its midpoint is cw/4: relative error.",
        "The midpoint of c·σ(b + wx) lies at -b/w: relative error.",
        "c·σ(b + wx) is 0 at its lower end, where b + wx = -100: error over c.",
        "c·σ(b + wx) is c at its upper end, where b + wx = 100: error over c.",
    )
    deciding = partial(record.deciding, unit="relative error")
    found = [
        deciding("C019", name, record.largest(errors), ROUNDING, setting=setting)
        for name, errors in zip(names, result.errors, strict=True)
    ]
    others = (
        "The height c leaves the slope at the midpoint where it was: change as c "
        "doubles.",
        "The weight w leaves the midpoint where it was: change as w doubles.",
    )
    for name, moved in zip(others, result.moved, strict=True):
        change = record.largest(moved - 1)
        supporting = partial(record.supporting, "C019", unit="relative error")
        found.append(supporting(name, change, ROUNDING, setting=setting))
    form = deciding(
        "C021",
        "The vector form b + cᵀσ(b' + Wx) equals the double sum over units and inputs: "
        "error over the sum of the terms' sizes.",
        record.largest(result.loops),
        ROUNDING,
        setting=f"{UNITS} sigmoids of {INPUTS} inputs, {draws} random draws, float64",
    )
    return (*found, form)


def figures(result: Result) -> dict[str, Figure]:
    """What each weight does, and the error of every draw."""
    figure, axes = panels(1, 4, width=3.9, height=3.4)
    x = np.linspace(-6, 6, 241)
    for axis, name, weights in zip(axes, ("w", "b", "c"), VARIED, strict=False):
        for w, b, c in weights:
            told = f"w = {w:g}, b = {b:g}, c = {c:g}"
            axis.plot(x, c / (1 + np.exp(-b - w * x)), marker="", label=told)
        label(axis, f"Another {name}", "x", "c·σ(b + wx)")
        legend_below(axis, columns=1)
    names = ("slope", "midpoint", "lower limit", "upper limit", "vector form")
    errors = np.abs([*result.errors, result.loops])
    seen = np.maximum(errors, 1e-17)
    strips(axes[-1], dict(zip(names, seen, strict=True)))
    axes[-1].axhline(ROUNDING.threshold, color="0.4", linestyle=":", label="rounding")
    axes[-1].set_yscale("log")
    label(axes[-1], "Error of every draw", "formula", "relative error")
    legend_below(axes[-1])
    return {"weights": figure}
