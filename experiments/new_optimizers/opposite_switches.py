"""Are RAdam and SWATS opposite schemes: from SGD with momentum to Adam, and back?

The notes compare them in a table (C119): RAdam begins with SGD with momentum and goes
on to a rectified Adam, SWATS begins with Adam and goes on to SGD with momentum. Both
are given random gradients of 50 parameters, with a mean of their own each, and their
steps before and after the change are compared with those of the rules named:

- *RAdam begins*: its steps are -η(1 - β₁)/(1 - β₁ᵗ) times v ← β₁v + g: SGD with
  momentum at a rate that falls to η(1 - β₁).
- *RAdam goes on*: its steps are Adam's, times one factor for all parameters, which is
  r_t as its paper has it.
- *SWATS begins*: its steps are Adam's.
- *SWATS goes on*: its steps are v ← β₁v + g times (1 - β₁) of the rate that it found.

If a step differs by more than rounding, the sentence is wrong. Optax's RAdam is asked
as well. Controls, which must differ: RAdam's first steps from Adam's, its later ones
from Adam's without the factor, and the last steps of SWATS from Adam's. That the two
have different motives is a matter of their papers, and is not tested.

Where the change comes is computed from the papers and not seen from the steps: RAdam's
once ρ_t is above 4, after four updates (its authors' code waits for 5, one update
more); that of SWATS after the update at which the rate pᵀp / (-pᵀg) of Adam's step p
lies within the tolerance of its own average. A tolerance of 1e-3 lets it come within
1,000 updates, for with the printed 1e-9 it hardly comes at all (`swats`).

Errors are relative to the largest component of each step. 1e-9 is a hundred times what
rounding makes of r_t, where ρ_t cancels. ε is 0, which SWATS adds before it corrects
the bias and Adam after.

Claims: C119.
Sources: Liu et al. 2020, arXiv:1908.03265; Keskar and Socher 2017, arXiv:1712.07628.
Cost: 5 seconds on 2 cores, compilation included.
Expect: they are; RAdam is SGD with momentum for four updates.
Run: jaxml run opposite_switches
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Float, Int

from jaxml import learn, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Keep

FIRST, SECOND = 0.9, 0.999  # β₁ and β₂
TOLERANCE = 1e-3  # of the rate that SWATS waits for
NOISE = 0.3  # of gradients, whose means are of about 1
LIMIT = 2 / (1 - SECOND) - 1  # ρ of infinitely many updates
SHORTEST = 4.0  # ρ up to which RAdam waits
ROUNDING = record.at_most(1e-9)
BEGIN, GO_ON = range(2)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates, parameters, and scripts of gradients."""

    updates: int = 1000
    parameters: int = 50
    scripts: int = 20
    seed: int = 0


SMOKE = Config(updates=300, parameters=10, scripts=2)


class Errors(NamedTuple):
    """Of one script, the largest errors before the change and after it; nan where
    nothing comes after it.

    Attributes:
        radam: of RAdam's steps from those of the rules named.
        optax: of the steps of Optax's RAdam, likewise.
        swats: of the steps of SWATS, likewise.
        radam_and_adam: of RAdam's steps from Adam's.
        swats_and_adam: of the steps of SWATS from Adam's.
        changes: the updates before the change, of both.
        distance: of each step from Adam's, of both.
    """

    radam: Float[np.ndarray, "*script part"]
    optax: Float[np.ndarray, "*script part"]
    swats: Float[np.ndarray, "*script part"]
    radam_and_adam: Float[np.ndarray, "*script part"]
    swats_and_adam: Float[np.ndarray, "*script part"]
    changes: Int[np.ndarray, "*script method"]
    distance: Float[np.ndarray, "*script method update"]


class Result(NamedTuple):
    """Errors of all scripts, `[script, ...]`."""

    errors: Errors


def study(config: Config, keep: Keep) -> Result:
    """Optimizers are given scripts of gradients, in float64; nothing is trained."""
    seeds = randomness.seeds(config.seed, config.scripts)
    gradients = np.stack([_script(config, seed) for seed in seeds])
    with jax.enable_x64(True):
        steps = keep("steps", partial(_steps, gradients))
    steps = [np.asarray(each) for each in steps]
    rows = [_compared(*each) for each in zip(gradients, *steps, strict=True)]
    return Result(Errors(*map(np.stack, zip(*rows, strict=True))))


def _script(config: Config, seed: int) -> Float[np.ndarray, "update parameter"]:
    """Normal gradients around means of their own."""
    draws = np.random.default_rng(seed)
    means = draws.standard_normal(config.parameters)
    shape = (config.updates, config.parameters)
    return means + NOISE * draws.standard_normal(shape)


def _steps(gradients: np.ndarray) -> tuple[jax.Array, ...]:
    """Of Adam, RAdam, Optax's and SWATS at η = 1, `[script, update, parameter]`."""
    hyper = learn.Hyper(
        lr=1.0,
        momentum=FIRST,
        second_moment=SECOND,
        epsilon=0.0,
        tolerance=TOLERANCE,
    )

    @jax.jit
    @jax.vmap
    def along(script: jax.Array) -> tuple[jax.Array, ...]:
        theirs = optax.radam(1.0, b1=FIRST, b2=SECOND, eps=0.0, threshold=SHORTEST)
        optimizers = (
            learn.adam(hyper),
            learn.radam_above_four(hyper),
            theirs,
            learn.swats(hyper),
        )
        return tuple(learn.steps_along(each, script) for each in optimizers)

    return along(gradients)


def _compared(
    gradients: np.ndarray,
    adam: np.ndarray,
    radam: np.ndarray,
    optax_radam: np.ndarray,
    swats: np.ndarray,
) -> Errors:
    """One script: where both change, and how far each part is from its rule."""
    rectified, rectifier = _rectifier(len(gradients))
    waited = int(np.argmax(rectified))
    turn, rate = _settled(gradients, adam)
    named = np.concatenate(
        [-_unbiased_mean(gradients)[:waited], (rectifier[:, None] * adam)[waited:]]
    )
    velocity = learn.decayed_sums(gradients[turn:], FIRST)
    switched = np.concatenate([adam[:turn], -(1 - FIRST) * rate * velocity])
    from_adam = np.stack([_apart(radam, adam), _apart(swats, adam)])
    return Errors(
        radam=_by_part(_apart(radam, named), waited),
        optax=_by_part(_apart(optax_radam, named), waited),
        swats=_by_part(_apart(swats, switched), turn),
        radam_and_adam=_by_part(from_adam[0], waited),
        swats_and_adam=_by_part(from_adam[1], turn),
        changes=np.array([waited, turn]),
        distance=from_adam,
    )


def _rectifier(total: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether ρ_t is above 4, and r_t there; 1 before."""
    t = np.arange(1, total + 1)
    length = LIMIT - 2 * t * SECOND**t / (1 - SECOND**t)
    rectified = length > SHORTEST
    safe = np.where(rectified, length, LIMIT)
    above = (safe - 4) * (safe - 2) * LIMIT
    below = (LIMIT - 4) * (LIMIT - 2) * safe
    return rectified, np.sqrt(above / below)


def _unbiased_mean(gradients: np.ndarray) -> np.ndarray:
    """m̂ of each update."""
    t = np.arange(1, len(gradients) + 1)[:, None]
    return (1 - FIRST) * learn.decayed_sums(gradients, FIRST) / (1 - FIRST**t)


def _apart(steps: np.ndarray, others: np.ndarray) -> Float[np.ndarray, " update"]:
    """The largest difference over the largest component, of each step."""
    return np.abs(steps - others).max(axis=1) / np.abs(others).max(axis=1)


def _by_part(errors: np.ndarray, turn: int) -> Float[np.ndarray, "2"]:
    """The largest errors before the change and after it, nan where there is none."""
    after = errors[turn:].max() if turn < len(errors) else np.nan
    return np.array([errors[:turn].max(), after])


def _settled(gradients: np.ndarray, adam: np.ndarray) -> tuple[int, float]:
    """The updates before SWATS changes, all if it never does, and the rate that it has
    found by then.
    """
    squares, slopes = np.sum(adam**2, axis=1), np.sum(adam * gradients, axis=1)
    rates = squares / -slopes
    t = np.arange(1, len(rates) + 1)
    means = (1 - SECOND) * learn.decayed_sums(rates, SECOND)
    averages = means / (1 - SECOND**t)
    settled = (np.abs(averages - rates) < TOLERANCE) & (t > 1)
    last = int(np.argmax(settled)) if np.any(settled) else len(t) - 1
    return last + 1, float(averages[last])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Four parts of the table decide, RAdam's twice; three others must differ."""
    errors = result.errors
    scripts, _, updates = errors.distance.shape
    setting = (
        f"{scripts} scripts of {updates} random gradients, β₁ = {FIRST:g}, "
        f"β₂ = {SECOND:g}"
    )
    ours, theirs = f"this library, {setting}", f"Optax, {setting}"
    begins = "RAdam begins with SGD with momentum"
    goes_on = "RAdam goes on to a rectified Adam"
    changed = errors.swats[~np.isnan(errors.swats[:, GO_ON])]
    return (
        _holds(begins, errors.radam[:, BEGIN], ours),
        _holds(goes_on, errors.radam[:, GO_ON], ours),
        _holds(begins, errors.optax[:, BEGIN], theirs),
        _holds(goes_on, errors.optax[:, GO_ON], theirs),
        _holds("SWATS begins with Adam", errors.swats[:, BEGIN], ours),
        _holds("SWATS goes on to SGD with momentum", changed[:, GO_ON], ours),
        _differs("RAdam begins with Adam", errors.radam_and_adam[:, BEGIN], ours),
        _differs("RAdam goes on to Adam", errors.radam_and_adam[:, GO_ON], ours),
        _differs("SWATS goes on to Adam", errors.swats_and_adam[:, GO_ON], ours),
    )


def _holds(part: str, errors: np.ndarray, setting: str) -> Assertion:
    return record.deciding(
        "C119",
        f"{part}: the largest error of its steps.",
        record.largest(errors),
        ROUNDING,
        unit="relative error",
        setting=setting,
    )


def _differs(part: str, errors: np.ndarray, setting: str) -> Assertion:
    """Of the scripts in which there is such a part."""
    seen = errors[~np.isnan(errors)]
    return record.supporting(
        "C119",
        f"Control: it is not so that {part}: the smallest over scripts of the largest "
        "error of its steps.",
        record.certain(seen.min(), of=seen),
        record.above(ROUNDING.threshold),
        unit="relative error",
        setting=setting,
    )


def figures(result: Result) -> dict[str, Figure]:
    """How far each step is from Adam's, a band of scripts, and where changes come."""
    figure, axes = panels(1, 2, width=4.6, height=3.4)
    floor = 1e-17  # what is 0 is drawn there
    errors = result.errors
    for method, (axis, name) in enumerate(zip(axes, ("RAdam", "SWATS"), strict=True)):
        distance = np.maximum(errors.distance[:, method], floor)
        numbers = np.arange(1, distance.shape[1] + 1)
        band(axis, numbers, distance.T, "step against Adam's")
        change = np.median(errors.changes[:, method]) + 0.5
        axis.axvline(change, color="0.4", linestyle=":", label="change, median")
        axis.set_xscale("log")
        axis.set_yscale("log")
        label(axis, name, "update", "largest difference / largest component")
    shared_legend(figure)
    return {"switches": figure}
