"""Which loss do the lecture's pictures of gradient descent show?

The ledger says: the squared error of a line b + wx through ten Pokémon, Σ(y - b - wx)²,
whose optimum, eigenvalues and condition it prints, and on which gradient descent with
rate 1e-7 from (b, w) = (-120, -4) ends after 100,000 updates where the lecture's panel
says. It is wrong where a number differs by more than half a unit of its last digit. The
panel for rate 1e-2 shows steps of about 3.5 in b; were it of this loss, the first
update would move b by about as much. It is read off a plot, so that a factor of two
either way is no difference. Nothing is random, and rounding is far below the digits
that are printed.

Claims: C078, A5, A10.
Cost: 2 seconds on 2 cores, compilation included.
Expect: every number but the panel for rate 1e-2.
Run: jaxml run pokemon_surface
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep

LINE = problem.pokemon_line()
SMALL = 1e-7  # the rate of the lecture's panel
PANEL = 3.5  # how far b moves at rate 1e-2 on the lecture's other panel
SURFACE = "squared error of a line through ten Pokémon"


@dataclass(frozen=True, kw_only=True)
class Config:
    """The lecture's updates."""

    steps: int = 100_000


SMOKE = Config(steps=300)


class Result(NamedTuple):
    """Gradient descent at rate SMALL.

    Attributes:
        path: b and w, at most a thousand times, and at the end.
        steps: updates.
    """

    path: Float[Array, "evaluation 2"]
    steps: Int[Array, ""]


def study(config: Config, keep: Keep) -> Result:
    """One run, in float64."""

    def path() -> jax.Array:
        sgd = learn.sgd(learn.Hyper(lr=SMALL))
        start = jnp.array(LINE.start)
        run = learn.descend(
            LINE.loss, sgd, start, None, steps=config.steps, observe=lambda x: x
        )
        some = run.observed[:: max(config.steps // 1000, 1)]
        return jnp.concatenate([some, run.params[None]])

    with jax.enable_x64(True):
        return Result(keep("path", jax.jit(path)), np.array(config.steps))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Numbers that are printed, and recomputed ones."""
    return (*_optimum(), *_curvature(), _end(result), _slide())


def _printed(
    claim: str,
    statement: str,
    errors: Array,
    role: Callable[..., Assertion] = record.deciding,
    setting: str = SURFACE,
) -> Assertion:
    """A finding that holds if all errors are at most half of the last digit."""
    return role(
        claim,
        f"{statement}, to half a unit of the last digit.",
        record.largest(errors),
        record.at_most(1.0),
        unit="error",
        setting=setting,
    )


def _optimum() -> tuple[Assertion, ...]:
    residuals = LINE.heights - LINE.design @ LINE.best
    sizes = np.array([LINE.least - 101936.7, np.abs(residuals).mean() - 89.34])
    return (
        _printed(
            "C078",
            "The squared error of a line through the ten Pokémon is smallest at b = "
            "-188.433, w = 2.66945",
            (LINE.best - np.array([-188.433, 2.66945])) / np.array([5e-4, 5e-6]),
        ),
        _printed(
            "C078",
            "At the optimum of a line through the ten Pokémon the squared error is "
            "101936.7 and the mean absolute error 89.34",
            sizes / np.array([0.05, 0.005]),
            record.supporting,
        ),
    )


def _curvature() -> tuple[Assertion, ...]:
    flat, steep = LINE.eigenvalues
    values = np.array([flat, steep, steep / flat])
    printed = np.array([5.573, 1.7468e6, 3.13e5])
    return (
        _printed(
            "A5",
            "The Hessian of the squared error of a line through the ten Pokémon has "
            "the eigenvalues 5.573 and 1.7468e6, and so the condition number 3.13e5",
            (values - printed) / [5e-4, 50, 500],
        ),
        _printed(
            "A5",
            "The largest stable rate on a line through the ten Pokémon is 1.145e-6",
            np.array([2 / steep - 1.145e-6]) / 5e-10,
            record.supporting,
        ),
    )


def _end(result: Result) -> Assertion:
    return _printed(
        "A5",
        "Gradient descent with rate 1e-7 ends at b = -123.7, w = 2.483, as the "
        "lecture's panel shows",
        (result.path[-1] - np.array([-123.7, 2.483])) / np.array([0.05, 5e-4]),
        setting=f"{SURFACE}, {result.steps:,} updates",
    )


def _slide() -> Assertion:
    gradient = (LINE.hessian @ (LINE.start - LINE.best))[
        0
    ]  # ∂/∂b of the summed squared error
    moves = 0.01 * np.abs(gradient) / np.array([1, 10])  # of the sum and of the mean
    return record.deciding(
        "A10",
        "The first update of plain gradient descent with rate 0.01 moves b more than "
        "twice as far as the 3.5 of the slide, for the summed and for the mean squared "
        "error.",
        record.certain(moves.min() / PANEL),
        record.above(
            1.0,
            margin=1.0,
            reason="a length read off a plot is right to a factor of two",
        ),
        unit="ratio",
        setting=f"{SURFACE}, from b = -120, w = -4",
    )


def figures(result: Result) -> dict[str, Figure]:
    """The path of gradient descent on the contours, over the lecture's axes."""
    figure, (axis,) = panels(width=6.0, height=4.6)
    b, w = np.meshgrid(np.linspace(-200, -100, 80), np.linspace(-5, 5, 80))
    offset = np.stack([b, w], axis=-1) - LINE.best
    suboptimality = 0.5 * np.einsum("...i,ij,...j", offset, LINE.hessian, offset)
    height = np.log10(suboptimality + 1)
    axis.contour(b, w, height, levels=12, colors="0.6", linewidths=0.7)
    path = "gradient descent, η = 1e-7, 100,000 updates"
    axis.plot(*result.path.T, marker="", linewidth=2.5, label=path)
    axis.scatter(*LINE.start, color="black", label="start (-120, -4)")
    axis.scatter(*LINE.best, marker="x", color="black", label="optimum, computed")
    slide = {"s": 120, "facecolors": "none", "edgecolors": "#994455", "zorder": 3}
    axis.scatter(-188.433, 2.66945, label="optimum (-188.43, 2.67), ledger", **slide)
    end = "end (-123.7, 2.483) on the slide"
    axis.scatter(-123.7, 2.483, marker="s", label=end, **slide)
    legend_below(axis)
    title = "The squared error of a line through ten Pokémon"
    label(axis, title, "b (combat power)", "w (without unit)")
    return {"surface": figure}
