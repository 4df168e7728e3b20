"""Does a rare gradient get through an optimizer that divides by its state?

Optimizers are given scripts of gradients at β₁ = 0, β₂ = 0.999, ε = 0 and a constant η:
1 for some steps, once 1e5, then 1 again. Steps are in η. Nothing is random but the
sizes in ten scripts, which are drawn over twelve decades. The convex game in which this
makes Adam lose is another study.

The course says that each of 999 gradients of 1 moves by η, and the one of 1e5 by 10√10
η = 31.62 η only. It holds if the many small ones move Adam further than the one; SGD is
the control, which the one must move further. At the large gradient RMSProp's average of
squares is 1e5² (1 - β₂), whatever the past, as the printed numbers want it. Adam
corrects that average by 1/(1 - 0.999¹⁰⁰⁰) = 1/0.63, so that its step must be √0.63 of
the printed one, and agree with the course only after 10,000 gradients of 1.

Claims: C111.
Sources: Kingma and Ba 2015, arXiv:1412.6980, section 2.1; Reddi, Kale and Kumar 2018,
    arXiv:1904.09237.
Cost: 3 seconds on 2 cores.
Expect: small gradients outweigh the rare one; 31.62 η holds for an average without a
bias.
Run: jaxml run rare_gradients
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
from jaxml.record.figures import Axes, Figure, label, panels, shared_legend
from jaxml.types import Keep

EPS = float(np.finfo(np.float64).eps)
BETA = 0.999  # β₂
ROUNDING = 4 * EPS / (1 - BETA)
LARGE = 1e5
PRINTED = np.array([1000**0.5, 10**-3.5])  # the steps at LARGE and at the next gradient
METHODS = {"adam": "Adam", "rmsprop": "RMSProp", "sgd": "SGD"}
CONSTANTS = "β₁ = 0, β₂ = 0.999, a constant η"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Gradients of 1 before the large one, gradients of a script, and drawn scripts."""

    usual: int = 999
    late: int = 10_000
    steps: int = 20_000
    drawn: int = 10
    seed: int = 0


SMOKE = Config(usual=20, late=40, steps=60, drawn=2)


class Scripts(NamedTuple):
    """Gradients, or how far they move a method, in η.

    Attributes:
        usual: 1, but once LARGE after `usual` gradients of 1.
        late: 1, but once LARGE after `late` gradients of 1.
        drawn: gradients between 1e-6 and 1e6.
    """

    usual: Float[np.ndarray, "*method step"]
    late: Float[np.ndarray, "*method step"]
    drawn: Float[np.ndarray, "*method script step"]


class Result(NamedTuple):
    """Scripts, and how far each of METHODS moves along them.

    Attributes:
        usual: gradients of 1 before the large one in `moved.usual`.
        late: gradients of 1 before the large one in `moved.late`.
        moved: in η.
    """

    usual: Int[np.ndarray, ""]
    late: Int[np.ndarray, ""]
    moved: Scripts


def study(config: Config, keep: Keep) -> Result:
    """One program a method and kind of script."""
    scripts = _scripts(config)
    with jax.enable_x64(True):
        moved = [keep(name, partial(_steps, name, scripts)) for name in METHODS]
    stacked = jax.tree.map(lambda *methods: np.stack(methods), *moved)
    return Result(np.array(config.usual), np.array(config.late), stacked)


def _scripts(config: Config) -> Scripts:
    steps = config.steps
    return Scripts(
        usual=problem.one_large(steps, config.usual, LARGE),
        late=problem.one_large(steps, config.late, LARGE),
        drawn=problem.over_decades(config.drawn, steps, seed=config.seed),
    )


def _steps(name: str, scripts: Scripts) -> Scripts:
    """How far a method moves along each script."""
    walk = jax.jit(partial(_walk, name))
    usual = walk(scripts.usual)
    late = walk(scripts.late)
    drawn = jax.jit(jax.vmap(walk))(scripts.drawn)
    return Scripts(usual, late, drawn)


def _walk(name: str, gradients: Float[jax.Array, " step"]) -> Float[jax.Array, " step"]:
    """Steps at η = 1."""
    hyper = learn.Hyper(lr=1.0, momentum=0.0, second_moment=BETA, epsilon=0.0)
    optimizer = learn.OPTIMIZERS[name](hyper)
    return -learn.steps_along(optimizer, gradients)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Steps in η, compared with what the course prints and with each other."""
    return (*_many_small_ones(result), _bound(result), *_printed(result))


def _by_method(steps: np.ndarray) -> Mapping[str, np.ndarray]:
    return dict(zip(METHODS, steps, strict=True))


def _setting(past: int | np.ndarray) -> str:
    return f"{past:,} gradients of 1, then one of 1e5; {CONSTANTS}"


def _many_small_ones(result: Result) -> tuple[Assertion, ...]:
    """Steps before the large gradient, and all of them beside that one."""
    past = int(result.usual)
    steps = _by_method(result.moved.usual)
    decided = partial(record.deciding, "C111", setting=_setting(past))
    beside = partial(record.supporting, "C111", setting=_setting(past))
    further = record.above(1.0, margin=0.05, reason="5 % of the way is not felt")
    return (
        decided(
            "Before the rare gradient, each gradient of 1 moves Adam by η.",
            record.largest(steps["adam"][:past] - 1),
            record.at_most(ROUNDING),
            unit="relative error",
        ),
        decided(
            "Many gradients of 1 together move Adam further than the one of 1e5 after "
            "them.",
            record.certain(_together(steps["adam"], past)),
            further,
            unit="ratio",
        ),
        beside(
            "Control: many gradients of 1 together move SGD further than the one of "
            "1e5 after them.",
            record.certain(_together(steps["sgd"], past)),
            further,
            unit="ratio",
        ),
        beside(
            "Before the rare gradient, each gradient of 1 moves RMSProp by η, to a "
            "tenth.",
            record.largest(steps["rmsprop"][:past] - 1),
            record.at_most(0.1),
            unit="relative error",
        ),
    )


def _together(moved: np.ndarray, past: int) -> np.floating:
    """How far all steps before the large gradient lead, in terms of the step at it."""
    before = moved[:past].sum()
    return before / moved[past]


def _bound(result: Result) -> Assertion:
    """How far steps go beyond η/√(1 - β₂), in all scripts and by both methods."""
    largest = []
    for moved in result.moved:
        method = _by_method(moved)
        largest.append(np.abs(method["adam"]).max())
        largest.append(np.abs(method["rmsprop"]).max())
    bound = 1 / (1 - BETA) ** 0.5
    beyond = np.array(largest) / bound - 1
    drawn, steps = result.moved.drawn.shape[1:]
    others = "two of gradients of 1 but for one of 1e5"
    setting = f"{drawn} drawn scripts and {others}, of {steps:,} gradients; {CONSTANTS}"
    return record.deciding(
        "C111",
        "No step of Adam or RMSProp exceeds η/√(1 - β₂).",
        record.largest(np.maximum(beyond, 0)),
        record.at_most(ROUNDING),
        unit="relative error",
        setting=setting,
    )


def _printed(result: Result) -> tuple[Assertion, ...]:
    """The large step and the next beside those that the course prints, to 1 - β₂."""
    usual = int(result.usual)
    late = int(result.late)
    at_usual = _by_method(result.moved.usual)
    at_late = _by_method(result.moved.late)
    return (
        _two_steps("RMSProp", at_usual["rmsprop"], usual),
        _two_steps("Adam", at_usual["adam"], usual),
        _two_steps("Adam", at_late["adam"], late),
    )


def _two_steps(method: str, moved: np.ndarray, past: int) -> Assertion:
    two = moved[past : past + 2]
    return record.supporting(
        "C111",
        f"After gradients of 1, {method} moves by 31.62 η at one of 1e5 and by 10^-3.5 "
        "η at the next.",
        record.largest(two / PRINTED - 1),
        record.at_most(1 - BETA),
        unit="relative error",
        setting=_setting(past),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Steps before, at and after the large gradient, with those that the course
    prints.
    """
    figure, (usual, late) = panels(1, 2, width=5.0)
    _steps_in_time(usual, int(result.usual), result.moved.usual)
    _steps_in_time(late, int(result.late), result.moved.late)
    shared_legend(figure, columns=4)
    return {"rare_gradients": figure}


def _steps_in_time(axis: Axes, past: int, moved: np.ndarray) -> None:
    for name, steps in _by_method(moved).items():
        time = np.arange(1, len(steps) + 1)
        if name != "sgd":
            axis.loglog(time, steps, label=METHODS[name])
    for step, line in zip(PRINTED, (":", "--"), strict=True):
        axis.axhline(step, color="0.4", linestyle=line, label=f"printed: {step:.3g} η")
    title = f"1e5 after {past:,} gradients of 1"
    label(axis, title, "step", "how far it moves (η)")
