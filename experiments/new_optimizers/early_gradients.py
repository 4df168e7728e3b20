"""Does a large early gradient make AMSGrad's steps die out, as it does Adagrad's?

AMSGrad divides by the largest average of squares that there was. Optimizers are given
scripts of gradients at β₁ = 0, β₂ = 0.999, ε = 0 and a constant η: 1 for nine steps,
once 1e5, then 1 again. Steps are in η. Nothing is random but the sizes in ten scripts,
which are drawn over twelve decades. Regret and the losses of networks are other
studies.

If AMSGrad has Adagrad's disease, its last step is still small; if not, it has come
back. The controls are Adagrad, which must have the disease, and Adam, which forgets 1e5
in ln(1e5² (1 - β₂))/(1 - β₂) = 16,000 steps: a script has 20,000. Half a step is the
border. After one early gradient C AMSGrad keeps a step of 1/(C √(1 - β₂)), below a half
from C = 63 on, so that 10 must leave it whole and 100 must not. That AMSGrad's
effective rate, step by gradient, never rises is asked of all scripts, with Adam as the
control.

A first version asked for the disease where all gradients are 1, which cannot show it.

Claims: C112.
Source: Reddi, Kale and Kumar 2018, arXiv:1904.09237.
Cost: 3 seconds on 2 cores.
Expect: AMSGrad never forgets, so that after a large early gradient its steps die out.
Run: jaxml run early_gradients
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Keep

EPS = float(np.finfo(np.float64).eps)
BETA = 0.999  # β₂
SIZES = (1e0, 1e1, 1e2, 1e3, 1e4, 1e5)  # of the early gradient
LATER = 5000  # steps that count as soon after it
METHODS = {"adam": "Adam", "amsgrad": "AMSGrad", "adagrad": "Adagrad"}
HALF = record.below(0.5, margin=0.05, reason="5 % of a step is not felt")
CONSTANTS = "β₁ = 0, β₂ = 0.999, a constant η"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Gradients of 1 before the large one, gradients of a script, and drawn scripts."""

    early: int = 9
    steps: int = 20_000
    drawn: int = 10
    seed: int = 0


SMOKE = Config(early=3, steps=60, drawn=2)


class Scripts(NamedTuple):
    """Gradients.

    Attributes:
        sized: 1, but one of SIZES.
        drawn: between 1e-6 and 1e6.
    """

    sized: Float[np.ndarray, "size step"]
    drawn: Float[np.ndarray, "script step"]


class Result(NamedTuple):
    """Gradients, and how far each of METHODS moves, in η.

    Attributes:
        early: gradients of 1 before the large one.
        gradients: by script.
        sized: steps along `gradients.sized`.
        drawn: steps along `gradients.drawn`.
    """

    early: Int[np.ndarray, ""]
    gradients: Scripts
    sized: Float[np.ndarray, "method size step"]
    drawn: Float[np.ndarray, "method script step"]


def study(config: Config, keep: Keep) -> Result:
    """One program a method and kind of script."""
    scripts = _scripts(config)
    with jax.enable_x64(True):
        moved = [keep(name, partial(_steps, name, scripts)) for name in METHODS]
    return Result(
        early=np.array(config.early),
        gradients=scripts,
        sized=np.stack([each.sized for each in moved]),
        drawn=np.stack([each.drawn for each in moved]),
    )


def _scripts(config: Config) -> Scripts:
    return Scripts(
        sized=problem.one_large(config.steps, config.early, np.array(SIZES)),
        drawn=problem.over_decades(config.drawn, config.steps, seed=config.seed),
    )


def _steps(name: str, scripts: Scripts) -> Scripts:
    """How far a method moves along each script."""
    walk = jax.jit(jax.vmap(partial(_walk, name)))
    return jax.tree.map(walk, scripts)


def _walk(name: str, gradients: Float[jax.Array, " step"]) -> Float[jax.Array, " step"]:
    """Steps at η = 1."""
    hyper = learn.Hyper(lr=1.0, momentum=0.0, second_moment=BETA, epsilon=0.0)
    optimizer = learn.OPTIMIZERS[name](hyper)
    return -learn.steps_along(optimizer, gradients)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Last steps in η, and rises of the effective rate."""
    return (
        *_disease(result),
        *_by_size(result),
        *_way_back(result),
        *_effective_rates(result),
    )


def _by_method(steps: np.ndarray) -> Mapping[str, np.ndarray]:
    return dict(zip(METHODS, steps, strict=True))


def _setting(result: Result, size: float) -> str:
    rest = result.gradients.sized.shape[1] - result.early - 1
    script = f"{result.early} gradients of 1, one of {size:g}, then {rest:,} of 1"
    return f"{script}; {CONSTANTS}"


def _disease(result: Result) -> tuple[Assertion, ...]:
    """The last steps after the largest early gradient."""
    setting = _setting(result, 1e5)
    decided = partial(record.deciding, "C112", unit="ratio", setting=setting)
    beside = partial(record.supporting, "C112", unit="ratio", setting=setting)
    return (
        decided(
            "As in Adagrad, a large early gradient makes the steps of AMSGrad die out: "
            "the last is below η/2.",
            record.certain(_last_steps(result, "amsgrad")[1e5]),
            HALF,
        ),
        beside(
            "Control: a large early gradient makes the steps of Adagrad die out: the "
            "last is below η/2.",
            record.certain(_last_steps(result, "adagrad")[1e5]),
            HALF,
        ),
        beside(
            "Control: a large early gradient makes the steps of Adam die out: the "
            "last is below η/2.",
            record.certain(_last_steps(result, "adam")[1e5]),
            HALF,
        ),
    )


def _by_size(result: Result) -> tuple[Assertion, ...]:
    """The last steps after smaller early gradients; after one of 1 only a sum grows."""
    finding = partial(record.supporting, "C112", unit="ratio")
    ones = f"{result.sized.shape[2]:,} gradients of 1; {CONSTANTS}"
    adagrad = _last_steps(result, "adagrad")
    amsgrad = _last_steps(result, "amsgrad")
    return (
        finding(
            "Where all gradients are 1, the last step of Adagrad is below η/2.",
            record.certain(adagrad[1]),
            HALF,
            setting=ones,
        ),
        finding(
            "Where all gradients are 1, the last step of AMSGrad is below η/2.",
            record.certain(amsgrad[1]),
            HALF,
            setting=ones,
        ),
        finding(
            "After an early gradient of 10, the last step of AMSGrad is below η/2.",
            record.certain(amsgrad[10]),
            HALF,
            setting=_setting(result, 10),
        ),
        finding(
            "After an early gradient of 100, the last step of AMSGrad is below η/2.",
            record.certain(amsgrad[100]),
            HALF,
            setting=_setting(result, 100),
        ),
    )


def _last_steps(result: Result, method: str) -> Mapping[float, np.floating]:
    """By size of the early gradient."""
    last = _by_method(result.sized)[method][:, -1]
    return dict(zip(SIZES, last, strict=True))


def _way_back(result: Result) -> tuple[Assertion, ...]:
    """What Adam, which forgets, gains over AMSGrad soon after the large gradient."""
    soon = result.sized[:, SIZES.index(1e5), result.early + 1 :][:, :LATER]
    steps = _by_method(soon)
    setting = f"{_setting(result, 1e5)}, {soon.shape[1]:,} steps after the large one"
    finding = partial(record.supporting, "C112", unit="ratio", setting=setting)
    return (
        finding(
            "Soon after a large early gradient Adam's step is below η/2 as well.",
            record.certain(steps["adam"][-1]),
            HALF,
        ),
        finding(
            "Soon after a large early gradient Adam has moved further than AMSGrad.",
            record.certain(steps["adam"].sum() / steps["amsgrad"].sum()),
            record.above(1.0, margin=0.05, reason="5 % of the way is not felt"),
        ),
    )


def _effective_rates(result: Result) -> tuple[Assertion, ...]:
    """The largest rises of the effective rate, by script."""
    drawn, steps = result.drawn.shape[1:]
    scripts = f"{len(SIZES)} scripts of 1 but for an early gradient, {drawn} drawn"
    setting = f"{scripts}, of {steps:,} gradients each; {CONSTANTS}"
    never = "effective learning rate never rises: its largest rise in one step."
    return (
        record.deciding(
            "C112",
            f"AMSGrad's {never}",
            record.largest(_rises(result, "amsgrad")),
            record.at_most(8 * EPS),
            unit="relative error",
            setting=setting,
        ),
        record.supporting(
            "C112",
            f"Control: Adam's {never}",
            record.largest(_rises(result, "adam")),
            record.at_most(8 * EPS),
            unit="relative error",
            setting=setting,
        ),
    )


def _rises(result: Result, method: str) -> Float[np.ndarray, " script"]:
    """By how much step over gradient grows in one step at most, by script."""
    sized = _by_method(result.sized)[method] / result.gradients.sized
    drawn = _by_method(result.drawn)[method] / result.gradients.drawn
    rates = np.concatenate([sized, drawn])
    growth = rates[:, 1:] / rates[:, :-1] - 1
    return np.maximum(growth, 0).max(axis=1)


def figures(result: Result) -> dict[str, Figure]:
    """Steps after an early gradient of 1e5, and the last step by its size."""
    figure, (time, sizes) = panels(1, 2, width=5.0)
    for name, steps in _by_method(result.sized).items():
        largest = steps[SIZES.index(1e5)]
        time.loglog(np.arange(1, len(largest) + 1), largest, label=METHODS[name])
        sizes.loglog(SIZES, steps[:, -1], label=METHODS[name])
    for axis in (time, sizes):
        axis.axhline(0.5, color="0.4", linestyle=":", label="η/2")
    title = f"1e5 after {result.early} gradients of 1"
    label(time, title, "step", "how far it moves (η)")
    label(sizes, "The last step", "size of the early gradient", "how far it moves (η)")
    shared_legend(figure, columns=4)
    return {"early_gradients": figure}
