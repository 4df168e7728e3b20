"""What does momentum do that a larger rate would not: past small minima, and along a ravine?

Momentum with steps -ηm, m ← βm + g, is held against plain descent at η and at the effective rate η/(1-β): on
x sin x, on (x² - 1)² - τx, and on the ravine of a line through ten Pokémon. In small steps from rest it only
loses height, and on x sin x every deeper minimum lies behind a maximum above the start.

Claims: C073, C074, C075, C077.
Sources: Polyak 1964; Sutskever et al. 2013.
Cost: 15 seconds on 2 cores.
Expect: sums hold; momentum escapes more than descent at η, less clearly at η/(1-β); it leaves good minima.
Run: jaxml run momentum
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

EPS = float(np.finfo(float).eps)
PATH, LONG = 300, 9000  # updates on x sin x, and down a slope of 1
BETAS = np.array([0, 0.5, 0.8, 0.9, 0.95, 0.99])
SPEEDS = np.array([0.25, 0.5, 1, 1.5, 1.9, 3, 6])  # effective rates, in 1/curvature
STABLE = SPEEDS < 2
DEEPEST = 2  # the rank of the deepest basin


class Land(NamedTuple):
    """A function of one variable with several minima."""

    function: Callable
    tilt: float
    maxima: np.ndarray
    ranks: list[int]  # of the basins between maxima by depth, -1 beyond the outermost
    curvature: float  # at the deepest minimum
    starts: tuple[float, float]


def _double_well(x, tilt):
    return (x**2 - 1) ** 2 - tilt * x


def _well(tilt):
    """Its name, with the barrier between the shallow minimum and the maximum, and the Land."""
    shallow, maximum, deep = np.sort(np.roots([4, 0, -4, -tilt]))
    barrier = _double_well(maximum, tilt) - _double_well(shallow, tilt)
    curvature = 12 * deep**2 - 4
    return f"well, barrier {barrier:.2f}", Land(
        _double_well, tilt, np.array([maximum]), [1, DEEPEST], curvature, (-1.5, 1.5)
    )


EDGES = np.array([2.028757838, 7.978665712, 14.207436725])  # maxima of x sin x
WAVES = Land(
    problem.x_sin_x, 0.0, np.append(-EDGES[::-1], EDGES), [-1, DEEPEST, 1, 0, 1, DEEPEST, -1], 11.22, (0, 14)
)
LANDS = {"x sin x": WAVES, **dict(_well(tilt) for tilt in (0.1, 0.4, 1.0))}
DATA = problem.pokemon_cp(dtype=np.float64)
DESIGN, HEIGHTS = np.hstack([np.ones_like(DATA.inputs), DATA.inputs]), DATA.targets[:, 0]
BEST, (CURVES, AXES) = np.linalg.lstsq(DESIGN, HEIGHTS)[0], np.linalg.eigh(2 * DESIGN.T @ DESIGN)
START = np.array([-120.0, -4.0])  # b and w
RHO, FASTEST = 1 - 2 / (np.sqrt(CURVES[1] / CURVES[0]) + 1), 4 / np.sum(np.sqrt(CURVES)) ** 2  # Polyak's
RAVINE = np.array([0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, RHO**2, 0.995, 0.999])  # β
NONE, USUAL, POLYAKS = 0, 3, 7  # places in RAVINE of β = 0, 0.9 and ρ²
SHARES = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999])  # of 2(1 + β)/λ
PRINTED = 1e-6  # the rate at which the course counts the updates of β = 0.9
NEVER = 1e9  # stands for the updates of a method that never is close


@dataclass(frozen=True, kw_only=True)
class Config:
    """Lengths of descents in the landscapes and along the ravine, and starts in a landscape."""

    steps: int = 4000
    ravine_steps: int = 400_000
    starts: int = 300


SMOKE = Config(steps=100, ravine_steps=300)


class Result(NamedTuple):
    """A run moved if it left the deepest basin, or another basin for a deeper."""

    errors: Array  # [start, β > 0, equation], over bounds on rounding: steps and sums, two forms, final speed
    deepest: Array  # [landscape, start], whether it starts in the deepest basin
    momentum: Array  # [landscape, η/(1-β), β, start], whether it moved
    plain: Array  # [landscape, η/(1-β), β, start], descent's at that η; at η/(1-β) it is momentum's at β = 0
    arrivals: Array  # [β, rate], steps until the excess is below 100, 0 is never; at SHARES, 1e-6, Polyak's η
    law: Array  # [step], the error along the flat axis at Polyak's η and β
    steps: Array  # [], updates in a landscape
    ravine_steps: Array  # [], updates along the ravine


def _squares(params, _):
    return jnp.sum((HEIGHTS - DESIGN @ params) ** 2)


def _slope(x, _):
    return x


def _run(function, batch, steps, family, x, lr, beta):
    optimizer = family(learn.Hyper(lr=lr, momentum=beta))
    return learn.descend(function, optimizer, x, batch, steps=steps, observe=lambda x: x)


def _errors(x, beta):
    """Of three equations, on x sin x at η/(1-β) = 0.1 and on a slope of 1, over what rounding can do."""
    lr = 0.1 * (1 - beta)

    def sine(family, x, lr, beta):
        return _run(problem.x_sin_x, None, PATH, family, x, lr, beta).observed

    one = sine(learn.momentum, x, lr, beta)
    other = sine(learn.averaged_momentum, x, 0.1, beta)
    slopes = jax.vmap(jax.grad(problem.x_sin_x), (0, None))(one, None)
    ages = np.subtract.outer(np.arange(PATH - 1), np.arange(PATH))
    sums = jnp.where(ages >= 0, beta ** np.maximum(ages, 0.0), 0) @ slopes
    far, pull, memory = jnp.abs(one).max(), 0.1 * jnp.abs(slopes).max(), 1 / (1 - beta)
    grown = jnp.abs(jax.jacfwd(sine, 1)(learn.momentum, x, lr, beta)).max()  # how far neighbours part
    slide = _run(_slope, None, LONG, learn.momentum, jnp.zeros(()), 1 - beta, beta).observed
    off = (jnp.abs(jnp.diff(one) + lr * sums).max(), jnp.abs(one - other).max(), slide[-2] - slide[-1] - 1)
    bounds = (far + pull * (memory + PATH), PATH * (far + pull * memory) * (1 + grown), LONG + 2 * memory)
    return jnp.stack(off) / jnp.stack(bounds) / EPS


def _basins(config, land):
    """Which starts are in the deepest basin, and which runs moved: momentum's, and descent's at that η."""
    low, high = land.starts
    starts = low + (high - low) * (jnp.arange(config.starts, dtype=float) + 0.5) / config.starts

    def basin(x):
        rank = jnp.array(land.ranks)[jnp.searchsorted(land.maxima, x)]
        return jnp.where(jnp.isfinite(x), rank, -1)

    def end(x, lr, beta):
        return basin(_run(land.function, land.tilt, config.steps, learn.momentum, x, lr, beta).params)

    over_starts = jax.vmap(end, (0, None, None))
    over_betas = jax.vmap(over_starts, (None, 0, 0))
    over_speeds = jax.vmap(over_betas, (None, 0, None))
    rates = SPEEDS[:, None] / land.curvature * (1 - BETAS)
    start = basin(starts)

    def moved(betas):
        ends = over_speeds(starts, rates, betas)
        return jnp.where(start[None, None] == DEEPEST, ends != DEEPEST, ends > start[None, None])

    return start == DEEPEST, moved(BETAS), moved(0 * BETAS)


def _arrivals(steps):
    """Updates along the ravine until the excess is below 100, `[β, rate]`."""
    largest = 2 * (1 + RAVINE[:, None]) / CURVES[1]
    rates = np.hstack([SHARES * largest, np.tile([PRINTED, FASTEST], (len(RAVINE), 1))])

    def loss(lr, beta):
        return _run(_squares, None, steps, learn.momentum, jnp.array(START), lr, beta).loss

    def row(rates_and_beta):
        losses = jax.vmap(loss, (0, None))(*rates_and_beta)
        return jnp.argmax(losses < _squares(BEST, None) + 100, axis=1)

    return jax.lax.map(row, (rates, RAVINE))


def _law():
    """The error along the flat axis at Polyak's η and β."""
    run = _run(_squares, None, 3000, learn.momentum, jnp.array(START), FASTEST, RHO**2)
    return (run.observed - BEST[None]) @ AXES[:, 0]


def study(config, keep):
    """One program each for the equations, the landscapes and the ravine."""
    over_betas = jax.vmap(_errors, (None, 0))
    equations = jax.jit(jax.vmap(over_betas, (0, None)))
    with jax.enable_x64(True):
        lands = [keep(name, jax.jit(partial(_basins, config, land))) for name, land in LANDS.items()]
        deepest, momentum, plain = map(np.stack, zip(*lands, strict=True))
        return Result(
            errors=keep("errors", lambda: equations(jnp.linspace(0.1, 14, 40), BETAS[1:])),
            deepest=deepest,
            momentum=momentum,
            plain=plain,
            arrivals=keep("arrivals", partial(_arrivals, config.ravine_steps)),
            law=keep("law", _law),
            steps=np.array(config.steps),
            ravine_steps=np.array(config.ravine_steps),
        )


def findings(result):
    """Nothing here is random: errors of equations, fractions of a grid of starts, counts of updates."""
    return (*_equations(result), *_escapes(result), *_ravine(result))


def _equations(result):
    starts, betas, _ = result.errors.shape
    waves = f"x sin x, {starts} starts, {betas} values of β from 0.5 to 0.99"
    return (
        record.deciding(
            "C073",
            "The steps of momentum are the sums -η Σ βᵗ⁻ⁱ gᵢ over all earlier gradients: "
            "the error over a bound on rounding.",
            record.largest(result.errors[..., 0]),
            record.at_most(1.0),
            unit="ratio",
            setting=f"{waves}, {PATH} updates",
        ),
        record.supporting(
            "C073",
            "Under a constant gradient g the steps of momentum end at ηg/(1 - β): "
            "the error over a bound on rounding.",
            record.largest(result.errors[..., 2]),
            record.at_most(1.0),
            unit="ratio",
            setting=f"a slope of 1, {betas} values of β from 0.5 to 0.99, {LONG:,} updates",
        ),
        record.deciding(
            "C077",
            "Momentum as a velocity at η(1 - β) and as an average of gradients at η walk one path: "
            "the error over a bound on rounding.",
            record.largest(result.errors[..., 1]),
            record.at_most(1.0),
            unit="ratio",
            setting=f"{waves}, {PATH} updates",
        ),
    )


def _escapes(result):
    """Fractions of the starts that moved, momentum's minus descent's; x sin x has no minimum to roll over."""
    rows = []
    for place, land in enumerate(LANDS):
        for reaches in (True, False):
            for matched in (True, False):
                rows.append(_escape(result, place, land, reaches, matched))
    return rows


def _escape(result, place, land, reaches, matched):
    """The claim is that momentum reaches deeper minima; what it holds equal is the effective rate."""
    starts = result.deepest[place] != reaches
    momentum = result.momentum[place, STABLE, 1:][..., starts]
    rivals = result.momentum[place, STABLE, :1] if matched else result.plain[place, STABLE, 1:]
    moved = "reaches a deeper minimum" if reaches else "leaves the deepest minimum"
    rate = "effective rate η/(1 - β)" if matched else "rate η"
    decides = reaches and matched and land != "x sin x"
    role = record.deciding if decides else record.supporting
    return role(
        "C074",
        f"Momentum {moved} from more starts than gradient descent at the same {rate}.",
        record.certain(np.mean(momentum) - np.mean(rivals[..., starts])),
        record.above(0.0, margin=0.02, reason="1 start in 50 is less than a few runs can show"),
        unit="fraction difference",
        setting=_landscape(result, land, starts),
    )


def _landscape(result, land, starts):
    function = land if land == "x sin x" else f"(x² - 1)² - τx, {land.removeprefix('well, ')}"
    low, high = LANDS[land].starts
    return (
        f"{function}, {np.sum(starts)} of {len(starts)} starts on a grid over [{low:g}, {high:g}], "
        f"{len(BETAS) - 1} values of β, {np.sum(STABLE)} stable effective rates, {result.steps:,} updates"
    )


def _ravine(result):
    t = np.arange(len(result.law))
    closed_form = (1 + ((1 - FASTEST * CURVES[0]) / RHO - 1) * t) * RHO**t
    steps = np.where(result.arrivals, result.arrivals, NEVER)
    best, others = steps.min(axis=1), np.delete(steps, POLYAKS, axis=0).min()
    margin = {"margin": 0.05, "reason": "5 % of the updates is less than a step of the grid of rates"}
    data = "squared error of a line through ten Pokémon, κ = 3.13e5"
    raced = (
        f"{data}, updates to within 100 of the least error, each at its best rate, {result.ravine_steps:,}"
    )
    return (
        record.deciding(
            "C075",
            "Gradient descent needs more updates than momentum with β = 0.9.",
            record.certain(best[NONE] / best[USUAL]),
            record.above(1.0, **margin),
            unit="ratio",
            setting=f"{raced} at most",
            figure="momentum",
        ),
        record.supporting(
            "C075",
            "Polyak's β needs the fewest updates: those of the best other β over its.",
            record.certain(others / best[POLYAKS]),
            record.above(1.0, **margin),
            unit="ratio",
            setting=f"{raced} at most",
            figure="momentum",
        ),
        record.supporting(
            "C075",
            "Momentum with β = 0.9 at η = 1e-6 needs 43,700 updates: difference from it.",
            record.largest(steps[USUAL, len(SHARES), None] - 43700),
            record.at_most(50.0),
            unit="updates",
            setting=f"{data}, updates to within 100 of the least error",
        ),
        record.supporting(
            "C075",
            "At Polyak's η and β the error along the flat axis falls as (1 + kt)ρᵗ.",
            record.largest(result.law / (closed_form * result.law[0]) - 1),
            record.at_most(len(t) * EPS**0.5),
            unit="relative error",
            setting=f"{data}, {len(t):,} updates",
        ),
    )


def figures(result):
    """Shares that moved in two wells, by β, and steps along the ravine."""
    figure, axes = panels(1, 3)
    for axis, k, deep, what in zip(axes, (3, 1), (0, 1), ("to the deeper", "off the deeper"), strict=False):
        moved = result.momentum[k][..., result.deepest[k] == deep].mean(axis=2)
        axis.plot(SPEEDS, moved, label=[f"{beta:g}" for beta in BETAS], markevery=1)
        label(axis, f"{list(LANDS)[k]}: {what}", "effective rate η/(1-β), in 1/curvature", "share of starts")
    axes[0].legend(title="β", fontsize=7)
    axes[2].loglog(1 - RAVINE, np.where(result.arrivals, result.arrivals, np.inf).min(axis=1), markevery=1)
    label(axes[2], "Ravine, each β at its best rate", "1 - β", "steps to 100 above the least error")
    return {"momentum": figure}
