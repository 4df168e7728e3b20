"""Does a rare, informative gradient get through an optimizer that divides by its memory of gradients?

Scripted gradients with β₁ = 0 and β₂ = 0.999: 1 for some steps, once 1e5, then 1 again. The course says that
each of 999 small ones moves by η and the large one by 10√10 η only; whether it does depends on the past and
on the correction of the bias.

Claims: C111, C112.
Sources: Kingma and Ba 2015, arXiv:1412.6980, section 2.1; Reddi, Kale and Kumar 2018, arXiv:1904.09237.
Cost: 3 seconds on 2 cores.
Expect: 31.62 η holds for uncorrected averages or a long past; AMSGrad never forgets, Adam does.
Run: jaxml run rare_gradients
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

EPS, BETA = float(np.finfo(np.float64).eps), 0.999
METHODS = "adam", "rmsprop", "amsgrad", "adagrad"
LARGE = 1e5


@dataclass(frozen=True, kw_only=True)
class Config:
    """Gradients before the large one in three scripts, and in a script altogether."""

    pasts: tuple[int, ...] = (9, 999, 10_000)
    steps: int = 20_000
    dtype: str = "float64"


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
    drawn = 10 ** np.random.default_rng(0).uniform(-6, 6, (4, config.steps))
    slopes = np.vstack([np.where(np.arange(config.steps) == past, LARGE, 1.0), drawn])
    with jax.enable_x64(True):
        steps = [keep(name, partial(jax.jit(jax.vmap(partial(_walk, name))), slopes)) for name in METHODS]
    return Result(np.array(config.pasts), slopes, np.stack(steps))


def findings(result):
    """Nothing is random but the sizes of four scripts; steps are in η."""
    exact, above, below = (
        partial(rule, unit="1", dtype="float64") for rule in (record.exact, record.above, record.below)
    )
    steps, (early, middle, long) = dict(zip(METHODS, result.steps, strict=True)), result.pasts
    published = np.array([1000**0.5, 1e-7**0.5])  # of the large gradient, and of the next
    reached = lambda name, k, past: steps[name][k, past + np.arange(2)] / published - 1  # noqa: E731
    rounding, ones = 4 * EPS / (1 - BETA), len(METHODS) - 1  # the index of the script of ones
    size, rate = np.abs([steps["adam"], steps["rmsprop"]]), np.abs(steps["amsgrad"] / result.slopes)
    later = min(5000, result.slopes.shape[1] - early - 1)
    gone = {name: each[0, early + 1 : early + 1 + later] for name, each in steps.items()}
    certain = record.certain
    return (
        exact("C111", "Adam: each of 999 gradients of 1 moves η.", steps["adam"][1, :middle] - 1, rounding),
        exact("C111", "RMSProp: each does, to a tenth.", steps["rmsprop"][1, :middle] - 1, 0.1),
        exact("C111", "RMSProp, 999 of 1: then 1e5 moves 31.62 η, the next 10^-3.5 η, to 1 - β₂.",
              reached("rmsprop", 1, middle), 1 - BETA),
        exact("C111", "Adam, 999 of 1: then 1e5 moves 31.62 η, the next 10^-3.5 η, to 1 - β₂.",
              reached("adam", 1, middle), 1 - BETA),
        exact("C111", "Adam, 10,000 of 1: then 1e5 moves 31.62 η, the next 10^-3.5 η, to 1 - β₂.",
              reached("adam", 2, long), 1 - BETA),
        above("C111", "Adam: 999 gradients of 1 move further than one of 1e5: ratio.",
              certain(steps["adam"][1, :middle].sum() / steps["adam"][1, middle]), 1.0),
        exact("C111", "Adam and RMSProp: no step exceeds η/√(1 - β₂): excess over it.",
              np.maximum(size * (1 - BETA) ** 0.5 - 1, 0), rounding),
        exact("C112", "AMSGrad's rate never rises: its rise.",
              np.maximum(rate[:, 1:] / rate[:, :-1], 1) - 1, 8 * EPS),
        above("C112", f"Of an early gradient of 1e5 Adam recovers within {later} steps: its step then.",
              certain(gone["adam"][-1]), 0.5),
        above("C112", "It does by the end of the script: its step then.", certain(steps["adam"][0, -1]), 0.5),
        above("C112", f"In {later} steps after it Adam goes further than AMSGrad: ratio.",
              certain(gone["adam"].sum() / gone["amsgrad"].sum()), 1.0),
        below("C112", "Adagrad's disease: gradients of 1 alone bring its step below η/2: its last.",
              certain(steps["adagrad"][ones, -1]), 0.5),
        below("C112", "AMSGrad has it too: its last step.", certain(steps["amsgrad"][ones, -1]), 0.5),
    )  # fmt: skip


def figures(result):
    """Steps around an early large gradient, and around a later one."""
    figure, axes = panels(1, 2, width=5.0)
    for axis, k in zip(axes, (0, 1), strict=True):
        for name, steps in zip(METHODS, result.steps[:, k], strict=True):
            axis.loglog(np.arange(1, len(steps) + 1), np.maximum(steps, 1e-6), label=name)
        axis.legend(fontsize=8)
        label(axis, f"1e5 after {result.pasts[k]} gradients of 1", "step", "how far it moves (η)")
    return {"rare_gradients": figure}
