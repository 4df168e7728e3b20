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

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

EPS, PATH, LONG, START = float(np.finfo(float).eps), 300, 9000, np.array([-120.0, -4.0])  # lengths; b and w
BETAS, SPEEDS = np.array([0, 0.5, 0.8, 0.9, 0.95, 0.99]), np.array([0.25, 0.5, 1, 1.5, 1.9, 3, 6])
EDGES, RANKS = np.array([2.028757838, 7.978665712, 14.207436725]), [-1, 2, 1, 0, 1, 2, -1]  # x sin x
LANDS: dict[str, tuple] = {
    "x sin x": (problem.x_sin_x, 0.0, np.append(-EDGES[::-1], EDGES), RANKS, 11.22, (0, 14))
}
for _tilt in (0.1, 0.4, 1.0):  # f, τ, maxima, minima between by depth (2 deepest), curvature, starts
    _roots = np.sort(np.roots([4, 0, -4, -_tilt]))
    _well = (lambda x, tilt: (x**2 - 1) ** 2 - tilt * x), _tilt, _roots[1:2], [1, 2], 12 * _roots[2] ** 2 - 4
    LANDS[f"well, barrier {-np.diff(_well[0](_roots[1::-1], _tilt))[0]:.2f}"] = (*_well, (-1.5, 1.5))
DATA = problem.pokemon_cp(dtype=np.float64)
DESIGN, HEIGHTS = np.hstack([np.ones_like(DATA.inputs), DATA.inputs]), DATA.targets[:, 0]
BEST, (CURVES, AXES) = np.linalg.lstsq(DESIGN, HEIGHTS)[0], np.linalg.eigh(2 * DESIGN.T @ DESIGN)
RHO, FASTEST = 1 - 2 / (np.sqrt(CURVES[1] / CURVES[0]) + 1), 4 / np.sum(np.sqrt(CURVES)) ** 2  # Polyak's
SQUARES = lambda params, _: jnp.sum((HEIGHTS - DESIGN @ params) ** 2)  # noqa: E731
RAVINE = np.array([0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, RHO**2, 0.995, 0.999])  # β
SHARES = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999])  # of 2(1 + β)/λ


@dataclass(frozen=True, kw_only=True)
class Config:
    """Lengths of descents in the landscapes and along the ravine."""

    steps: int = 4000
    ravine_steps: int = 400_000
    dtype: str = "float64"


SMOKE = Config(steps=100, ravine_steps=300)


class Result(NamedTuple):
    """A run moved if it left the deepest basin, or another basin for a deeper."""

    errors: Array  # [start, β > 0, equation], over bounds on rounding: steps and sums, two forms, final speed
    deepest: Array  # [landscape, start], whether it starts in the deepest basin
    momentum: Array  # [landscape, η/(1-β), β, start], whether it moved
    plain: Array  # [landscape, η/(1-β), β, start], descent's at that η; at η/(1-β) it is momentum's at β = 0
    arrivals: Array  # [β, rate], steps until the excess is below 100, 0 is never; at SHARES, 1e-6, Polyak's η
    law: Array  # [step], the error along the flat axis at Polyak's η and β


def _run(function, batch, steps, family, x, lr, beta):
    optimizer = family(learn.Hyper(lr=lr, momentum=beta))
    return learn.descend(function, optimizer, x, batch, steps=steps, observe=lambda x: x)


def _errors(x, beta):
    """Of three equations, on x sin x at η/(1-β) = 0.1 and on a slope of 1, over what rounding can do."""
    sine, lr = lambda *given: _run(problem.x_sin_x, None, PATH, *given).observed, 0.1 * (1 - beta)
    one, other = sine(learn.momentum, x, lr, beta), sine(learn.averaged_momentum, x, 0.1, beta)
    slopes = jax.vmap(jax.grad(problem.x_sin_x), (0, None))(one, None)
    ages = np.subtract.outer(np.arange(PATH - 1), np.arange(PATH))
    sums = jnp.where(ages >= 0, beta ** np.maximum(ages, 0.0), 0) @ slopes
    far, pull, memory = jnp.abs(one).max(), 0.1 * jnp.abs(slopes).max(), 1 / (1 - beta)
    grown = jnp.abs(jax.jacfwd(sine, 1)(learn.momentum, x, lr, beta)).max()  # how far neighbours part
    slide = _run(lambda x, _: x, None, LONG, learn.momentum, jnp.zeros(()), 1 - beta, beta).observed
    off = jnp.abs(jnp.diff(one) + lr * sums).max(), jnp.abs(one - other).max(), slide[-2] - slide[-1] - 1
    bounds = far + pull * (memory + PATH), PATH * (far + pull * memory) * (1 + grown), LONG + 2 * memory
    return jnp.stack(off) / jnp.stack(bounds) / EPS


def _basins(config, land):
    """Which starts are in the deepest basin, and which runs moved: momentum's, and descent's at that η."""
    function, tilt, maxima, ranks, curvature, (low, high) = land
    starts = jax.random.uniform(jax.random.key(0), (300,), float, low, high)
    basin = lambda x: jnp.where(jnp.isfinite(x), jnp.array(ranks)[jnp.searchsorted(maxima, x)], -1)  # noqa: E731
    run = lambda *given: basin(_run(function, tilt, config.steps, learn.momentum, *given).params)  # noqa: E731
    lanes = jax.vmap(jax.vmap(jax.vmap(run, (0, None, None)), (None, 0, 0)), (None, 0, 0))
    rates, start = SPEEDS[:, None] / curvature * (1 - BETAS), basin(starts)[None, None]
    ends = (lanes(starts, rates, betas + 0 * rates) for betas in (BETAS, 0))
    return (start == 2)[0, 0], *(jnp.where(start == 2, end != 2, end > start) for end in ends)


def study(config, keep):
    """One program each for the equations, the landscapes and the ravine."""
    with jax.enable_x64(True):
        equations = jax.jit(jax.vmap(jax.vmap(_errors, (None, 0)), (0, None)))
        lands = [keep(name, jax.jit(partial(_basins, config, land))) for name, land in LANDS.items()]
        rates = np.hstack([SHARES * 2 * (1 + RAVINE[:, None]) / CURVES[1], np.tile([1e-6, FASTEST], (10, 1))])
        slide = lambda steps, *rate: _run(SQUARES, None, steps, learn.momentum, jnp.array(START), *rate)  # noqa: E731
        loss = jax.vmap(lambda lr, beta: slide(config.ravine_steps, lr, beta).loss, (0, None))
        row = lambda lane: jnp.argmax(loss(*lane) < SQUARES(BEST, None) + 100, axis=1)  # noqa: E731
        arrivals = keep("arrivals", lambda: jax.lax.map(row, (rates, RAVINE)))
        errors = keep("errors", lambda: equations(jnp.linspace(0.1, 14, 40), BETAS[1:]))
        law = keep("law", lambda: (slide(3000, FASTEST, RHO**2).observed - BEST[None]) @ AXES[:, 0])
        return Result(*[errors, *map(np.stack, zip(*lands, strict=True)), arrivals, law])


def findings(result):
    """In landscapes, means over β > 0 and effective rates stable at the deepest minimum; starts are units."""
    exact, above = (partial(kind, unit="1", dtype="float64") for kind in (record.exact, record.above))
    t, steps = np.arange(len(result.law)), np.where(result.arrivals, result.arrivals, 1e9)
    best, others = steps.min(axis=1), np.delete(steps, 7, axis=0).min()  # RAVINE[7] is Polyak's β
    ratios = record.certain(best[0] / best[3]), record.certain(others / best[7])
    law = result.law / ((1 + ((1 - FASTEST * CURVES[0]) / RHO - 1) * t) * RHO**t * result.law[0]) - 1
    methods = result.momentum[:, :, 1:], result.plain[:, :, 1:], result.momentum[:, :, :1]
    shares = [moved[:, SPEEDS < 2].mean(axis=(1, 2)) for moved in methods]
    return (
        exact("C073", "Steps are -η Σ βᵗ⁻ⁱ gᵢ: errors in bounds on rounding.", result.errors[..., 0], 1.0),
        exact("C073", "The terminal speed is η g/(1-β): errors in bounds.", result.errors[..., 2], 1.0),
        exact("C077", "Velocity at η(1-β), average at η: one path: errors.", result.errors[..., 1], 1.0),
        *(above("C074", f"{land}: momentum {what} more than descent at its {rate}: difference of shares.",
                record.bootstrap(record.mean_difference, shares[0][k][of], shares[slow][k][of]), 0.0)
          for k, (land, deep) in enumerate(zip(LANDS, result.deepest, strict=True))
          for of, what in ((~deep, "gets to a deeper minimum"), (deep, "leaves the deepest minimum"))
          for slow, rate in ((1, "η"), (2, "η/(1-β)"))),
        exact("C075", "β = 0.9 at η = 1e-6 takes 43,700 steps.", steps[3, -2:-1] - 43700, 50.0, unit="steps"),
        above("C075", "Each at its best rate, descent takes more steps than β = 0.9: ratio.", ratios[0], 1.0),
        above("C075", "Polyak's β = ρ² takes the fewest steps: another's fewest over its.", ratios[1], 1.0),
        exact("C075", "At Polyak's η and β the flat error falls as (1 + kt)ρᵗ.", law, len(t) * EPS**0.5),
    )  # fmt: skip


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
