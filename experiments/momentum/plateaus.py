"""Does momentum carry across plateaus and past saddles, as no larger rate does?

Two plateaus, the squared error of a saturated sigmoid unit from w = -7 and the loss
1 - exp(-x²/2) from x = 3.5, and two saddles, (1 - w₁w₂)² and x²/2 - y²/2 + y⁴/4, from
1e-4 off the line that leads into them. Momentum, -ηm with m ← βm + g and β = 0.9, and
gradient descent run from rest; what counts is the updates until half of the way down is
done. Gradient descent gets the same effective rate η/(1 - β), which is what the claim
holds equal, and beside it the same η.

If momentum carries, gradient descent needs more updates: the ratio is above 1, and one
10 % below would refute it. In small steps both follow the gradient flow at η/(1 - β),
momentum late by its time constant of 1/(1 - β) updates, so that the ratio should be
near 1 at one effective rate and near 1/(1 - β) at one η, where the instrument must see
it. For saddles there is a second instrument without any run: the distance grows by the
largest root of z² - (1 + β - ηλ)z + β at the eigenvalue λ < 0. Nothing is random:
beside the median ratio stand the least and the largest of five effective rates, and
rates that disagree leave the claim undecided. The longest run takes e⁷/2 of flow at
0.05, 11,000 updates, ten times as many at one η.

Claims: C074.
Sources: Polyak 1964; Sutskever et al. 2013.
Cost: 5 seconds on 2 cores.
Expect: nothing gained at the same effective rate; ten times fewer at the same η.
Run: jaxml run plateaus
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels, shared_legend
from jaxml.types import Array

BETA = 0.9
EFFECTIVE = np.array([0.05, 0.1, 0.2, 0.3, 0.4])  # η/(1 - β)
OFF = 1e-4  # of the line that leads into a saddle
LOWEST = {"bilinear": -2.0, "fork": -1.0}  # eigenvalues at the saddles
NEVER = 1e9  # stands for the updates of a run that does not get down


class Landscape(NamedTuple):
    """A function, where its runs start, and the value half of the way down."""

    name: str
    function: Callable
    start: np.ndarray
    half: float


def _saturated(w, _):
    return (jax.nn.sigmoid(w) - 1) ** 2


def _well(x, _):
    return 1 - jnp.exp(-(x**2) / 2)


def _fork(point, _):
    x, y = point
    return x**2 / 2 - y**2 / 2 + y**4 / 4


BESIDE_BILINEAR = np.array([0.1 + OFF, OFF - 0.1])
BESIDE_FORK = np.array([0.1, OFF])
UNIT = "plateau of the squared error of a sigmoid unit, w = -7"
PLATEAUS = {
    "sigmoid": Landscape(UNIT, _saturated, np.array(-7.0), half=0.5),
    "well": Landscape("plateau of 1 - exp(-x²/2), x = 3.5", _well, np.array(3.5), 0.5),
}
BILINEAR = "saddle of (1 - w₁w₂)²"
FORK = "saddle of x²/2 - y²/2 + y⁴/4"
SADDLES = {
    "bilinear": Landscape(BILINEAR, problem.bilinear, BESIDE_BILINEAR, half=0.5),
    "fork": Landscape(FORK, _fork, BESIDE_FORK, half=-0.125),
}
LANDSCAPES = PLATEAUS | SADDLES


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of a run at most."""

    steps: int = 150_000


SMOKE = Config(steps=200)


class Updates(NamedTuple):
    """Until half of the way down is done; 0 if it never is."""

    momentum: Int[Array, " rate"]
    matched: Int[Array, " rate"]  # gradient descent at the same effective rate
    same: Int[Array, " rate"]  # gradient descent at the same η


class Result(NamedTuple):
    """Updates in each landscape, at each effective rate."""

    sigmoid: Updates
    well: Updates
    bilinear: Updates
    fork: Updates
    steps: Array  # [], updates of a run at most


def _updates(land, steps):
    """Runs of the three methods at all rates in one landscape."""

    def arrival(lr, beta):
        optimizer = learn.momentum(learn.Hyper(lr=lr, momentum=beta))
        start = jnp.asarray(land.start)
        losses = learn.descend(land.function, optimizer, start, None, steps=steps).loss
        return jnp.argmax(losses < land.half)

    by_rate = jax.vmap(arrival, (0, None))
    rates = EFFECTIVE * (1 - BETA)
    momentum = by_rate(rates, BETA)
    matched = by_rate(EFFECTIVE, 0.0)
    same = by_rate(rates, 0.0)
    return Updates(momentum, matched, same)


def study(config: Config, keep: Callable) -> Result:
    """One program a landscape, in float64."""
    found = {}
    with jax.enable_x64(True):
        for name, land in LANDSCAPES.items():
            found[name] = keep(name, jax.jit(partial(_updates, land, config.steps)))
    return Result(
        sigmoid=found["sigmoid"],
        well=found["well"],
        bilinear=found["bilinear"],
        fork=found["fork"],
        steps=np.array(config.steps),
    )


def _by_landscape(result: Result) -> dict[str, Updates]:
    return {name: getattr(result, name) for name in LANDSCAPES}


def findings(result: Result) -> list[record.Assertion]:
    """Ratios of updates, of gradient descent to momentum."""
    rows = [_growth(saddle) for saddle in SADDLES]
    for name, updates in _by_landscape(result).items():
        setting = (
            f"{LANDSCAPES[name].name}, effective rates from {EFFECTIVE.min():g} to "
            f"{EFFECTIVE.max():g}, at most {result.steps:,} updates"
        )
        matched = _ratios(updates.matched, updates.momentum)
        same = _ratios(updates.same, updates.momentum)
        rate = "effective rate η/(1 - β)"
        rows.append(_compared(record.deciding, rate, matched, setting))
        rows.append(_compared(record.supporting, "rate η", same, setting))
    return rows


def _ratios(gradient_descent: Array, momentum: Array) -> np.ndarray:
    """Of updates, NEVER for runs that do not get down, `[rate]`."""
    theirs = np.where(gradient_descent > 0, gradient_descent, NEVER)
    ours = np.where(momentum > 0, momentum, NEVER)
    return theirs / ours


def _middle(ratios: np.ndarray) -> record.Interval:
    """The median, between the least and the largest."""
    median = record.certain(np.median(ratios))
    return median._replace(low=float(ratios.min()), high=float(ratios.max()))


def _above_one() -> record.Rule:
    return record.above(1.0, margin=0.1, reason="a tenth of the updates is hardly felt")


def _compared(
    role: Callable, rate: str, ratios: np.ndarray, setting: str
) -> record.Assertion:
    return role(
        "C074",
        f"Gradient descent at the same {rate} needs more updates than momentum, β = "
        "0.9.",
        _middle(ratios),
        _above_one(),
        unit="ratio",
        setting=setting,
        figure="plateaus",
    )


def _growth(saddle: str) -> record.Assertion:
    """The exponents of the distance from a saddle, by the roots of the recursion."""
    pull = -LOWEST[saddle] * EFFECTIVE
    middle = 1 + BETA + pull * (1 - BETA)
    root = (middle + np.sqrt(middle**2 - 4 * BETA)) / 2
    return record.supporting(
        "C074",
        "Off a saddle the distance grows by a larger exponent in momentum, β = 0.9, "
        "than in gradient descent at the same effective rate η/(1 - β).",
        _middle(np.log(root) / np.log(1 + pull)),
        _above_one(),
        unit="ratio",
        setting=(
            f"{SADDLES[saddle].name}, largest root of z² - (1 + β - ηλ)z + β, "
            f"effective rates from {EFFECTIVE.min():g} to {EFFECTIVE.max():g}"
        ),
    )


def figures(result: Result) -> dict:
    """Ratios of updates by effective rate."""
    figure, (matched, same) = panels(1, 2, height=3.8)
    for name, updates in _by_landscape(result).items():
        shown = LANDSCAPES[name].name.split(",")[0]
        at_one_effective_rate = _ratios(updates.matched, updates.momentum)
        at_one_rate = _ratios(updates.same, updates.momentum)
        matched.plot(EFFECTIVE, at_one_effective_rate, label=shown)
        same.plot(EFFECTIVE, at_one_rate)
    matched.axhspan(0.9, 1.1, color="0.88", zorder=0, label="as many, to a tenth")
    matched.set_ylim(0, 1.2)
    same.axhspan(0.9, 1.1, color="0.88", zorder=0)
    gain = "small steps: 1/(1 - β) times as many"
    same.axhline(1 / (1 - BETA), color="0.3", linestyle=":", label=gain)
    same.set_ylim(0, 11)
    ratio = "updates / those of momentum"
    label(
        matched,
        "Gradient descent, same effective rate",
        "effective rate η/(1 - β)",
        ratio,
    )
    label(same, "Gradient descent, same η", "effective rate η/(1 - β)", ratio)
    shared_legend(figure, columns=2)
    return {"plateaus": figure}
