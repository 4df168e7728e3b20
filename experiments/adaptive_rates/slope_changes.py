"""Does RMSProp adapt its step quickly to a new gradient, and faster for a small α?

RMSProp divides by the root of σ² ← ασ² + (1 - α)g², which forgets old gradients; the
lecture's rule before it divides by the root of their mean, which does not. Both are
given scripts of gradients: one gradient for 3,000 to 10,000 updates, then another, r
times as large, where r or 1/r is 3 to 30. A step has adapted when it is within a tenth
of η, which is the step under any constant gradient; 50,000 updates are given. By its
equation RMSProp needs about ln(r²/0.2)/(1 - α) of them, and the mean of all 4 to 4,000
times the past.

The course is wrong if RMSProp with α = 0.9 needs as many updates as the mean of all, or
as RMSProp with α = 0.999. Forty scripts are drawn and compared in pairs; less than a
tenth of the updates is not noticed. Control: where the gradient does not change, no
update may be needed. Beside it stands the ledger's cycle on the line through ten
Pokémon: at a constant rate RMSProp cannot settle, with a cosine it does. Whether quick
steps are worth something in a curved valley is asked by the study `curved_valley`.

Claims: C083.
Sources: Tieleman and Hinton 2012.
Cost: 3 seconds on 2 cores, compilation included.
Expect: faster by orders of magnitude.
Run: jaxml run slope_changes
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep

LINE = problem.pokemon_line()
ADAPTED = 0.1  # distance of a step from η, in η
CLOSE = 100.0  # squared error above the least that counts as settled

PAST = "one gradient for 3,000 to 10,000 updates"
SCRIPTS = f"{PAST}, then one 3 to 30 times as large or as small"
ALPHAS = (0.9, 0.99, 0.999)
FAST, MIDDLE, SLOW = (f"RMSProp with α = {alpha}" for alpha in ALPHAS)
ALL = "division by the mean of all"
METHODS = (FAST, MIDDLE, SLOW, ALL)
FAMILIES = (learn.rmsprop,) * len(ALPHAS) + (learn.mean_square_adagrad,)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of a script after the change, and of the cycle; scripts."""

    script_steps: int = 50_000
    cycle_steps: int = 100_000
    scripts: int = 40
    seed: int = 0


SMOKE = Config(script_steps=100, cycle_steps=100, scripts=4)


class Scripts(NamedTuple):
    """One gradient, then another.

    Attributes:
        past: updates with the first one.
        ratio: of the second to the first.
    """

    past: Int[np.ndarray, " script"]
    ratio: Float[np.ndarray, " script"]


class Cycle(NamedTuple):
    """RMSProp on the line's squared error, at a constant rate of 0.1 or with a cosine.

    Attributes:
        suboptimality: squared error above the least at the end.
        move: of w in the last update.
    """

    suboptimality: Float[Array, ""]
    move: Float[Array, ""]


class Result(NamedTuple):
    """By method of METHODS, updates until the step has adapted, the budget if never.

    Attributes:
        adapting: to a script's second gradient.
        unchanged: likewise where the second gradient is the first.
        constant: RMSProp with α = 0.9 at a constant rate.
        cosine: RMSProp with α = 0.99 and a rate that falls along a cosine.
        ratio: of the second gradient to the first.
        script_steps: the budget after the change.
        cycle_steps: updates on the line's squared error.
    """

    adapting: Int[Array, "method script"]
    unchanged: Int[Array, "method script"]
    constant: Cycle
    cosine: Cycle
    ratio: Float[Array, " script"]
    script_steps: Int[Array, ""]
    cycle_steps: Int[Array, ""]


def study(config: Config, keep: Keep) -> Result:
    """A program for each rule, in float64."""
    scripts = _drawn(config)
    same = scripts._replace(ratio=np.ones_like(scripts.ratio))
    constant = partial(_cycle, config, learn.constant, 0.9)
    cosine = partial(_cycle, config, learn.cosine, 0.99)
    program = jax.jit(partial(_every_script, config), static_argnums=0)
    alphas = (*ALPHAS, 0.0)  # the mean of all reads none
    adapting, unchanged = [], []
    with jax.enable_x64(True):
        for name, family, alpha in zip(METHODS, FAMILIES, alphas, strict=True):
            adapt = partial(program, family, alpha)
            adapting.append(keep(name, partial(adapt, scripts)))
            unchanged.append(keep(f"{name}, control", partial(adapt, same)))
        return Result(
            adapting=np.stack(adapting),
            unchanged=np.stack(unchanged),
            constant=keep("constant", jax.jit(constant)),
            cosine=keep("cosine", jax.jit(cosine)),
            ratio=scripts.ratio,
            script_steps=np.array(config.script_steps),
            cycle_steps=np.array(config.cycle_steps),
        )


def _drawn(config: Config) -> Scripts:
    """Every other script's gradient grows, the others' shrink."""
    (seed,) = randomness.seeds(config.seed, 1)
    draw = np.random.default_rng(seed)
    past = draw.integers(3000, 10_000, config.scripts)
    factor = np.exp(draw.uniform(np.log(3), np.log(30), config.scripts))
    grows = np.arange(config.scripts) % 2 == 1
    ratio = np.where(grows, factor, 1 / factor)
    return Scripts(past, ratio)


def _every_script(
    config: Config, family: learn.ShapedFamily, alpha: float, scripts: Scripts
) -> jax.Array:
    """Updates until the step has adapted, `[script]`."""
    return jax.vmap(partial(_adapting, config, family, alpha))(scripts)


def _adapting(
    config: Config, family: learn.ShapedFamily, alpha: float, script: Scripts
) -> jax.Array:
    """Updates after the change of the gradient until the step has adapted."""
    hyper = learn.Hyper(lr=1.0, second_moment=alpha, epsilon=0.0)
    optimizer = family(hyper, learn.constant)
    updates = jnp.arange(10_000 + config.script_steps)
    gradients = jnp.where(updates < script.past, 1.0, script.ratio)
    steps = -learn.steps_along(optimizer, gradients)
    adapted = (jnp.abs(steps - 1) <= ADAPTED) & (updates >= script.past)
    first = jnp.argmax(adapted) - script.past
    return jnp.where(jnp.any(adapted), first, config.script_steps)


def _cycle(config: Config, shape: Callable, alpha: float) -> Cycle:
    horizon = float(config.cycle_steps)
    hyper = learn.Hyper(lr=0.1, second_moment=alpha, horizon=horizon)
    start = jnp.array(LINE.start)
    run = learn.descend(
        LINE.loss,
        learn.rmsprop(hyper, shape),
        start,
        None,
        steps=config.cycle_steps,
        observe=lambda x: x,
    )
    suboptimality = LINE.loss(run.params, None) - LINE.least
    _, last = run.params - run.observed[-1]
    return Cycle(suboptimality, last)


FEWER = record.above(
    0.0, margin=np.log(1.1), reason="a tenth of the updates is not noticed"
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Updates in pairs, of one script."""
    return (*_compared(result), _unchanged(result), *_cycles(result))


def _by_method(updates: Array) -> Mapping[str, np.ndarray]:
    """Updates, at least one."""
    return dict(zip(METHODS, np.maximum(updates, 1), strict=True))


def _compared(result: Result) -> tuple[Assertion, ...]:
    updates = _by_method(result.adapting)
    deciding = ((FAST, ALL, record.deciding), (FAST, SLOW, record.deciding))
    found = []
    for ours, theirs, role in (*deciding, (MIDDLE, SLOW, record.supporting)):
        ratio = np.log(updates[theirs] / updates[ours])
        found.append(
            role(
                "C083",
                f"{ours} needs fewer updates to adapt its step to another gradient "
                f"than {theirs}: the logarithm of the ratio of updates, its median.",
                record.bootstrap(np.median, ratio),
                FEWER,
                unit="log ratio",
                setting=f"{len(ratio)} drawn scripts of gradients, {SCRIPTS}, "
                f"{result.script_steps:,} updates",
            )
        )
    return tuple(found)


def _unchanged(result: Result) -> Assertion:
    return record.supporting(
        "C083",
        "Control: where the gradient does not change, no method needs an update to "
        "adapt its step. The most updates of all.",
        record.certain(result.unchanged.max(), of=result.ratio),
        record.at_most(0.0),
        unit="count",
        setting=f"{PAST} and more",
    )


def _cycles(result: Result) -> tuple[Assertion, ...]:
    finding = partial(record.supporting, "C083")
    surface = "squared error of a line through ten Pokémon, rate 0.1"
    setting = f"{surface}, {result.cycle_steps:,} updates"
    last_digit = "half a unit of the last digit"
    return (
        finding(
            "RMSProp with α = 0.9 and a constant rate does not settle: it ends 2.2e3 "
            "above the least squared error.",
            record.certain(result.constant.suboptimality),
            record.near(2200.0, margin=50.0, reason=last_digit),
            unit="squared error",
            setting=setting,
        ),
        finding(
            "RMSProp with α = 0.9 and a constant rate goes to and fro between two "
            "points that are η apart in w: the size of the last step in η.",
            record.certain(np.abs(result.constant.move) / 0.1),
            record.near(1.0, margin=0.01, reason="a hundredth of a step"),
            unit="ratio",
            setting=setting,
        ),
        finding(
            "RMSProp with α = 0.99 and a rate that falls along a cosine settles within "
            "100 of the least squared error.",
            record.certain(result.cosine.suboptimality),
            record.below(CLOSE),
            unit="squared error",
            setting=setting,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Updates to adapt by the change of the gradient."""
    figure, (axis,) = panels(width=6.0, height=4.4)
    updates = _by_method(result.adapting)
    for name, marker in zip(METHODS, ("o", "s", "^", "x"), strict=True):
        axis.scatter(result.ratio, updates[name], marker=marker, s=16, label=name)
    budget = float(result.script_steps)
    axis.axhline(budget, color="0.4", linestyle=":", label="budget")
    axis.set_xscale("log")
    axis.set_yscale("log")
    title = "After a change of the gradient, a point a script"
    label(axis, title, "second gradient over the first", "updates to adapt the step")
    legend_below(axis)
    return {"slope_changes": figure}
