"""Does a rare, informative gradient get through an optimizer that divides by its memory of gradients?

Scripted gradients with β₁ = 0 and β₂ = 0.999: 1 for some steps, once 1e5, then 1 again. The course says that
each of 999 small ones moves by η and the large one by 10√10 η only; whether it does depends on the past and
on the correction of the bias.

Claims: C111, C112.
Sources: Kingma and Ba 2015, arXiv:1412.6980, section 2.1; Reddi, Kale and Kumar 2018, arXiv:1904.09237.
Cost: 3 seconds on 2 cores.
Expect: 31.62 η holds for uncorrected averages or a long past; AMSGrad never forgets, so its steps die out.
Run: jaxml run rare_gradients
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, randomness, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

EPS = float(np.finfo(np.float64).eps)
BETA = 0.999  # β₂
ROUNDING = 4 * EPS / (1 - BETA)
METHODS: tuple[str, ...] = ("adam", "rmsprop", "amsgrad", "adagrad")
LARGE = 1e5
PUBLISHED = np.array([1000**0.5, 1e-7**0.5])  # steps at the large gradient and at the next, in η
ONES = 3  # the script in which every gradient is 1
LATER = 5000  # steps after an early large gradient
CONSTANTS = "β₁ = 0, β₂ = 0.999, a constant η"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Gradients before the large one in three scripts, and in a script altogether."""

    pasts: tuple[int, ...] = (9, 999, 10_000)
    steps: int = 20_000
    seed: int = 0


SMOKE = Config(pasts=(3, 20, 40), steps=60)


class Result(NamedTuple):
    """Scripts are those of the pasts, then 1 throughout, then four of sizes drawn over twelve decades."""

    pasts: Array  # [3]
    slopes: Array  # [script, step]
    steps: Array  # [method, script, step], how far each moved, in η


def _walk(name, slopes):
    """Steps along given slopes at η = 1; where the parameter stands does not matter, so it stays at 0."""
    hyper = learn.Hyper(lr=1.0, momentum=0.0, second_moment=BETA, epsilon=0.0)
    optimizer, zero = learn.OPTIMIZERS[name](hyper), jnp.zeros(())

    def one(state, slope):
        step, state = learn.update(optimizer, slope, state, zero)
        return state, -step

    return jax.lax.scan(one, optimizer.init(zero), slopes)[1]


def study(config, keep):
    """One program a method."""
    past = np.array([*config.pasts, config.steps])[:, None]
    random = np.random.default_rng(randomness.seeds(config.seed, 1)[0])
    drawn = 10 ** random.uniform(-6, 6, (4, config.steps))
    slopes = np.vstack([np.where(np.arange(config.steps) == past, LARGE, 1.0), drawn])
    with jax.enable_x64(True):
        steps = [keep(name, partial(jax.jit(jax.vmap(partial(_walk, name))), slopes)) for name in METHODS]
    return Result(np.array(config.pasts), slopes, np.stack(steps))


def findings(result):
    """Nothing is random but the sizes of four scripts; steps are in η."""
    return (*_against_small_ones(result), *_published(result), *_memory(result), *_constant(result))


def _against_small_ones(result):
    """Adam's small steps before the large one, all of them beside it, and the bound on every step."""
    steps, before = _by_method(result), result.pasts[1]
    adam = steps["adam"][1]
    sizes = np.abs([steps["adam"], steps["rmsprop"]])
    script = f"{before} gradients of 1, then one of 1e5; {CONSTANTS}"
    return (
        record.deciding(
            "C111",
            "Before the rare gradient, each gradient of 1 moves Adam by η.",
            record.largest(adam[:before] - 1),
            record.at_most(ROUNDING),
            unit="relative error",
            setting=script,
        ),
        record.deciding(
            "C111",
            "Many gradients of 1 together move Adam further than the one of 1e5 after them.",
            record.certain(adam[:before].sum() / adam[before]),
            record.above(1.0, margin=0.05, reason="5 % of a step is not felt"),
            unit="ratio",
            setting=script,
        ),
        record.deciding(
            "C111",
            "No step of Adam or RMSProp exceeds η/√(1 - β₂).",
            record.largest(np.maximum(sizes * (1 - BETA) ** 0.5 - 1, 0)),
            record.at_most(ROUNDING),
            unit="relative error",
            setting=f"all {len(result.slopes)} scripts of {len(result.slopes[0]):,} gradients; {CONSTANTS}",
        ),
        record.supporting(
            "C111",
            "Before the rare gradient, each gradient of 1 moves RMSProp by η, to a tenth.",
            record.largest(steps["rmsprop"][1, :before] - 1),
            record.at_most(0.1),
            unit="relative error",
            setting=script,
        ),
    )


def _published(result):
    """The large step and the next against 31.62 η and 10^-3.5 η, to 1 - β₂."""
    steps, rows = _by_method(result), []
    for method, name, script in (("rmsprop", "RMSProp", 1), ("adam", "Adam", 1), ("adam", "Adam", 2)):
        past = result.pasts[script]
        moved = steps[method][script, past : past + 2]
        rows.append(
            record.supporting(
                "C111",
                f"After gradients of 1, {name} moves by 31.62 η at one of 1e5 and by 10^-3.5 η at the next.",
                record.largest(moved / PUBLISHED - 1),
                record.at_most(1 - BETA),
                unit="relative error",
                setting=f"{past:,} gradients of 1, then one of 1e5; {CONSTANTS}",
            )
        )
    return rows


def _memory(result):
    """What is left of the steps long after an early gradient of 1e5."""
    steps, early = _by_method(result), result.pasts[0]
    rate = np.abs(steps["amsgrad"] / result.slopes)
    rest = result.slopes.shape[1] - early - 1
    script = f"{early} gradients of 1, one of 1e5, then {rest:,} of 1; {CONSTANTS}"
    later = min(LATER, rest)
    after = {name: moved[0, early + 1 : early + 1 + later] for name, moved in steps.items()}
    return (
        record.deciding(
            "C112",
            "As in Adagrad, a large early gradient makes AMSGrad's steps die out: its last is below η/2.",
            record.certain(steps["amsgrad"][0, -1]),
            record.below(0.5, margin=0.05, reason="5 % of a step is not felt"),
            unit="ratio",
            setting=script,
        ),
        record.supporting(
            "C112",
            "Long after a large early gradient Adam's step is above η/2 again.",
            record.certain(steps["adam"][0, -1]),
            record.above(0.5),
            unit="ratio",
            setting=script,
        ),
        record.supporting(
            "C112",
            "Soon after a large early gradient Adam's step is above η/2 again.",
            record.certain(after["adam"][-1]),
            record.above(0.5),
            unit="ratio",
            setting=f"{script}, {later} steps after the large one",
        ),
        record.supporting(
            "C112",
            "After a large early gradient Adam moves further than AMSGrad.",
            record.certain(after["adam"].sum() / after["amsgrad"].sum()),
            record.above(1.0, margin=0.05, reason="5 % of a step is not felt"),
            unit="ratio",
            setting=f"{script}, {later} steps after the large one",
        ),
        record.deciding(
            "C112",
            "AMSGrad's effective learning rate never rises.",
            record.largest(np.maximum(rate[:, 1:] / rate[:, :-1], 1) - 1),
            record.at_most(8 * EPS),
            unit="relative error",
            setting=f"all {len(rate)} scripts of {rate.shape[1]:,} gradients; {CONSTANTS}",
        ),
    )


def _constant(result):
    """The last steps where every gradient is 1: only a sum of squares grows."""
    steps, rows = _by_method(result), []
    for method, name in (("adagrad", "Adagrad"), ("amsgrad", "AMSGrad")):
        rows.append(
            record.supporting(
                "C112",
                f"Gradients of 1 alone bring the steps of {name} below η/2.",
                record.certain(steps[method][ONES, -1]),
                record.below(0.5),
                unit="ratio",
                setting=f"{result.slopes.shape[1]:,} gradients of 1; {CONSTANTS}",
            )
        )
    return rows


def _by_method(result):
    return dict(zip(METHODS, result.steps, strict=True))


def figures(result):
    """Steps around an early large gradient, and around a later one."""
    figure, axes = panels(1, 2, width=5.0)
    for axis, k in zip(axes, (0, 1), strict=True):
        for name, steps in zip(METHODS, result.steps[:, k], strict=True):
            axis.loglog(np.arange(1, len(steps) + 1), np.maximum(steps, 1e-6), label=name)
        axis.legend(fontsize=8)
        label(axis, f"1e5 after {result.pasts[k]} gradients of 1", "step", "how far it moves (η)")
    return {"rare_gradients": figure}
