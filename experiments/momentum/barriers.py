"""Does momentum carry over a barrier into a deeper minimum, as no larger rate does?

Each run starts at rest in a double well (x² - 1)² - τx, whose tilt τ sets the height of
the barrier between the shallow and the deep minimum. After 4,000 updates it has moved
if it is in a deeper basin than at the start, or started in the deepest and has left it.
Momentum, -ηm with m ← βm + g, is compared with gradient descent at the same effective
rate η/(1 - β), which is what the claim holds equal, and beside it at the same η.
Fractions of starts are means over five values of β and five stable effective rates.

If momentum carries, more starts lead to the deeper minimum; a fraction that is 2 points
lower would refute it. Nothing is random: starts are a grid and no sample, so what is
printed beside a difference is the error of the grid, from one half of it to the other,
and a difference that lies on both sides of the margin is undecided. A first version
judged the difference without that error, and took x sin x for evidence.

The negative control is x sin x on [0, 14]: from rest momentum in small steps only loses
height, and every deeper minimum lies behind a maximum above the start, so none may be
reached. 4,000 updates at the smallest rate are 1,000 e-folds at the deep minimum, and
40 times the time constant of β = 0.99. Plateaus and saddles are studied in `plateaus`.

Claims: C074.
Sources: Polyak 1964; Sutskever et al. 2013.
Cost: 3 seconds on 2 cores.
Expect: momentum gets over the lowest barrier from more starts, over others not.
Run: jaxml run barriers
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels, shared_legend
from jaxml.types import Array

BETAS = np.array([0, 0.5, 0.8, 0.9, 0.95, 0.99])
EFFECTIVE = np.array([0.25, 0.5, 1, 1.5, 1.9, 3, 6])  # η/(1 - β), in 1/curvature
STABLE = EFFECTIVE < 2  # where gradient descent is
DEEPEST = 2  # the rank of the deepest basin; a shallow one has 0 or 1
OUTSIDE = -1  # beyond the outermost maximum
MARGIN = 0.02
REASON = "1 start in 50 is less than a few runs can show"


class Landscape(NamedTuple):
    """A function of one variable with several minima."""

    name: str
    function: Callable
    tilt: float
    maxima: np.ndarray  # between basins, in order
    ranks: list[int]  # of the basins from left to right
    curvature: float  # at the deepest minimum
    lowest: float  # start
    highest: float  # start


def _double_well(x, tilt):
    return (x**2 - 1) ** 2 - tilt * x


def _well(tilt):
    """The double well, named by the barrier on the way out of its shallow minimum."""
    shallow, maximum, deep = np.sort(np.roots([4, 0, -4, -tilt]))
    barrier = _double_well(maximum, tilt) - _double_well(shallow, tilt)
    return Landscape(
        name=f"(x² - 1)² - τx, barrier {barrier:.2f}",
        function=_double_well,
        tilt=tilt,
        maxima=np.array([maximum]),
        ranks=[1, DEEPEST],
        curvature=12 * deep**2 - 4,
        lowest=-1.5,
        highest=1.5,
    )


HALF = np.array([2.028757838, 7.978665712, 14.207436725])  # maxima, where tan x = -x
CONTROL = Landscape(
    name="x sin x",
    function=problem.x_sin_x,
    tilt=0.0,
    maxima=np.append(-HALF[::-1], HALF),
    ranks=[OUTSIDE, DEEPEST, 1, 0, 1, DEEPEST, OUTSIDE],
    curvature=11.22,
    lowest=0,
    highest=14,
)
WELLS = [_well(tilt) for tilt in (0.1, 0.4, 1.0)]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of a run, and starts in a landscape."""

    steps: int = 4000
    starts: int = 300


SMOKE = Config(steps=100, starts=60)


class Moves(NamedTuple):
    """Which runs moved: into a deeper basin, or out of the deepest."""

    deepest: Bool[Array, " start"]  # whether it starts in the deepest basin
    momentum: Bool[Array, "effective beta start"]
    gradient_descent: Bool[Array, "effective beta start"]  # at momentum's η


class Result(NamedTuple):
    """Moves in each landscape; momentum of β = 0 is gradient descent at the effective
    rate.
    """

    control: Moves
    wells: Moves  # with a leading axis of WELLS
    steps: np.ndarray  # [], updates of a run


def _moves(config, land):
    """Runs of all starts, values of β and effective rates in one landscape."""
    cells = jnp.arange(config.starts, dtype=float) + 0.5
    width = land.highest - land.lowest
    starts = land.lowest + width * cells / config.starts

    def rank(x):
        of_basin = jnp.array(land.ranks)[jnp.searchsorted(land.maxima, x)]
        return jnp.where(jnp.isfinite(x), of_basin, OUTSIDE)

    def last(x, lr, beta):
        optimizer = learn.momentum(learn.Hyper(lr=lr, momentum=beta))
        run = learn.descend(land.function, optimizer, x, land.tilt, steps=config.steps)
        return rank(run.params)

    by_start = jax.vmap(last, (0, None, None))
    by_beta = jax.vmap(by_start, (None, 0, 0))
    by_rate = jax.vmap(by_beta, (None, 0, None))
    rates = EFFECTIVE[:, None] / land.curvature * (1 - BETAS)
    first = rank(starts)
    deepest = first == DEEPEST

    def moved(betas):
        ends = by_rate(starts, rates, betas)
        left = ends != DEEPEST
        rose = ends > first[None, None]
        return jnp.where(deepest[None, None], left, rose)

    return Moves(deepest, momentum=moved(BETAS), gradient_descent=moved(0 * BETAS))


def study(config: Config, keep: Callable) -> Result:
    """One program a landscape, in float64."""

    def moves(land):
        return keep(land.name, jax.jit(partial(_moves, config, land)))

    def stacked(*columns):
        return np.stack(columns)

    with jax.enable_x64(True):
        control = moves(CONTROL)
        each = [moves(well) for well in WELLS]
    wells = jax.tree.map(stacked, *each)
    return Result(control=control, wells=wells, steps=np.array(config.steps))


class Question(NamedTuple):
    """What is asked of the runs in a landscape."""

    deeper: bool  # of starts outside the deepest basin, else of those inside
    matched: bool  # at the same effective rate, else at the same η


CLAIMED = Question(deeper=True, matched=True)
BESIDE = (
    Question(deeper=True, matched=False),
    Question(deeper=False, matched=True),
    Question(deeper=False, matched=False),
)


def findings(result: Result) -> list[record.Assertion]:
    """Differences of fractions of starts, to the error of their grid."""
    rows = [_control(result)]
    for place, well in enumerate(WELLS):
        moves = _of_well(result, place)
        rows.append(_compared(record.deciding, result, well, moves, CLAIMED))
        for question in BESIDE:
            rows.append(_compared(record.supporting, result, well, moves, question))
    return rows


def _of_well(result: Result, place: int) -> Moves:
    return Moves._make(column[place] for column in result.wells)


def _difference(moves: Moves, question: Question) -> record.Interval:
    """The fraction of starts that momentum moves, minus that of gradient descent.

    Its interval is from one half of the grid to the other, which lies between it.
    """
    asked = np.flatnonzero(moves.deepest != question.deeper)
    momentum = moves.momentum[STABLE, 1:]
    matched = moves.momentum[STABLE, :1]
    other = matched if question.matched else moves.gradient_descent[STABLE, 1:]

    def of_starts(starts):
        ours = momentum[..., starts].mean()
        theirs = other[..., starts].mean()
        return ours - theirs

    even = of_starts(asked[::2])
    odd = of_starts(asked[1::2])
    whole = record.certain(of_starts(asked))
    return whole._replace(low=float(min(even, odd)), high=float(max(even, odd)))


def _setting(result: Result, land: Landscape, starts: Array) -> str:
    return (
        f"{land.name}, {starts.sum()} of {len(starts)} starts on a grid over "
        f"[{land.lowest:g}, {land.highest:g}], {len(BETAS) - 1} values of β from 0.5 "
        f"to 0.99, {STABLE.sum()} stable effective rates, {result.steps:,} updates"
    )


def _compared(
    role: Callable, result: Result, land: Landscape, moves: Moves, question: Question
) -> record.Assertion:
    starts = moves.deepest != question.deeper
    moved = (
        "reaches a deeper minimum" if question.deeper else "leaves the deepest minimum"
    )
    rate = "effective rate η/(1 - β)" if question.matched else "rate η"
    return role(
        "C074",
        f"Momentum {moved} from more starts than gradient descent at the same {rate}.",
        _difference(moves, question),
        record.above(0.0, margin=MARGIN, reason=REASON),
        unit="fraction difference",
        setting=_setting(result, land, starts),
        figure="barriers",
    )


def _control(result: Result) -> record.Assertion:
    starts = ~result.control.deepest
    return record.supporting(
        "C074",
        "Where every deeper minimum lies behind a maximum above the start, momentum "
        "reaches one from as many starts as gradient descent at the same effective "
        "rate η/(1 - β).",
        _difference(result.control, CLAIMED),
        record.near(0.0, margin=MARGIN, reason=REASON),
        unit="fraction difference",
        setting=_setting(result, CONTROL, starts),
    )


def figures(result: Result) -> dict:
    """Fractions of the starts in the shallow basin that reach the deep one."""
    figure, axes = panels(1, len(WELLS))
    names = [f"β = {beta:g}" for beta in BETAS]
    for place, axis in enumerate(axes):
        well = WELLS[place]
        moves = _of_well(result, place)
        shallow = np.flatnonzero(~moves.deepest)
        reached = moves.momentum[..., shallow].mean(axis=2)
        axis.plot(EFFECTIVE, reached, label=names, markevery=1)
        plain = reached[STABLE, 0]
        alike = "gradient descent ± 0.02"
        low, high = plain - MARGIN, plain + MARGIN
        axis.fill_between(EFFECTIVE[STABLE], low, high, color="0.75", label=alike)
        axis.axvspan(2, EFFECTIVE[-1], color="0.93", label="gradient descent unstable")
        label(
            axis,
            well.name,
            "effective rate η/(1 - β), in 1/curvature",
            "starts that get deeper (fraction)",
        )
    shared_legend(figure, columns=4)
    return {"barriers": figure}
