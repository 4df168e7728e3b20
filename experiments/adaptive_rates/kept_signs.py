"""Do the momentum above and the root mean square below cancel?

An adaptive step is η m/σ, in which both m and σ are made of all gradients so far. The
course asks why they do not cancel, and answers that m keeps the signs of the gradients
while σ keeps only their sizes (C087). So the same sizes, of four scales, are given
three kinds of signs: all alike, alternating, and drawn anew. If m and σ cancelled, a
step would be as long whatever the signs. The claim is false if the median step of
alternating gradients is longer than nine tenths of that of signs that are all alike; if
σ changes with the signs; or if m does not change its sign when all gradients do.
Control: without memory, β₁ = β₂ = 0, they do cancel, and every step is η long.

One slide forms the sum below over i = 0 to t of (g_i^t)², where i is the number of the
parameter (X9). The rule as derived sums over the updates, for each parameter alone.
Both readings are compared with that rule on random gradients, of as many parameters as
updates, since at update t the printed sum needs t + 1 parameters, and of a scale of
their own each. Whatever comes out is mathematics; the statement is that both are the
same, to rounding.

Adam stands for all, with β₁ = 0.9, β₂ = 0.999, its biases corrected, and an ε of 0, so
that limits are exact. What m tends to under alternating gradients is not 0, as one may
hear, but (1 - β₁)/(1 + β₁) of their size, which stands beside it. So does what it tends
to under random signs, √((1 - β₁)/(1 + β₁)), as a root mean square.

Not tested: other β and other methods, gradients of changing size, those of a training.

Claims: C087, X9.
Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.
Cost: 5 seconds on 2 cores, compilation included.
Expect: they do not cancel, a step of alternating gradients is a nineteenth of η, and
    the printed sum is another rule.
Run: jaxml run kept_signs
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep

SCALES = np.array([1e-3, 1.0, 10.0, 1e3])  # of gradients
ALIKE, ALTERNATING, DRAWN = range(3)
SIGNS = ("all alike", "alternating", "drawn anew")  # of the first two one script each
FIRST, SECOND = 0.9, 0.999  # β₁ and β₂
NINETEENTH = (1 - FIRST) / (1 + FIRST)
SHORTER = record.below(0.9)  # less than a tenth would hardly be felt
EXACT = record.at_most(0.0)
ROUNDING = record.at_most(1e-12)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates, scripts of drawn signs, and parameters of the other comparison."""

    updates: int = 400
    scripts: int = 50
    parameters: int = 100
    seed: int = 0


SMOKE = Config(updates=200, scripts=4, parameters=6)


class Result(NamedTuple):
    """In units of the gradients' size, and steps of the rate.

    Attributes:
        momentum: m of the last updates, its bias corrected; scripts of signs that are
            all alike and alternating come first, those of drawn ones after them.
        root: σ of the same.
        steps: their length over η.
        forgetful: the length of all steps over η without memory.
        flipped: m of gradients of the other sign, plus m.
        by_updates: the divisor that sums over updates, over the rule's.
        by_parameters: the divisor that sums over parameters, over the rule's.
        updates: of a script.
    """

    momentum: Float[Array, "script scale update"]
    root: Float[Array, "script scale update"]
    steps: Float[Array, "script scale update"]
    forgetful: Float[Array, "script scale update"]
    flipped: Float[Array, "script scale update"]
    by_updates: Float[Array, "update parameter"]
    by_parameters: Float[Array, "update parameter"]
    updates: Array


def study(config: Config, keep: Keep) -> Result:
    """Optimizers are given scripts of gradients, in float64; nothing is trained."""
    first, second = randomness.seeds(config.seed, 2)
    signs = _signs(config, np.random.default_rng(first))
    sizes = SCALES[:, None]
    gradients = signs[:, None] * sizes
    own = np.logspace(-3, 3, config.parameters)  # scale of each parameter
    normal = np.random.default_rng(second).standard_normal((len(own), len(own))) * own
    with jax.enable_x64(True):
        parts = keep("signs", partial(_parts, gradients))
        rule = keep("sums", partial(_divisors, normal))
    last = np.s_[..., config.updates // 2 :]
    momentum, flipped, root, steps, forgetful = parts
    numbers = np.arange(1, config.parameters + 1)[:, None]
    over_updates = np.sqrt(np.cumsum(normal**2, axis=0) / numbers)
    over_parameters = np.sqrt(np.cumsum(normal**2, axis=1) / numbers.T)
    printed = np.diagonal(over_parameters)[:, None]
    return Result(
        momentum=(momentum / sizes)[last],
        root=(root / sizes)[last],
        steps=np.abs(steps)[last],
        forgetful=np.abs(forgetful),
        flipped=(flipped + momentum) / sizes,
        by_updates=over_updates / rule,
        by_parameters=printed / rule,
        updates=np.array(config.updates),
    )


def _signs(
    config: Config, draws: np.random.Generator
) -> Float[np.ndarray, "script update"]:
    """All alike, alternating, and as many scripts of drawn ones as there are to be."""
    alike = np.ones((1, config.updates))
    alternating = alike * np.where(np.arange(config.updates) % 2, -1.0, 1.0)
    drawn = draws.choice([-1.0, 1.0], (config.scripts, config.updates))
    return np.concatenate([alike, alternating, drawn])


def _hyper(first: float, second: float) -> learn.Hyper:
    return learn.Hyper(lr=1.0, momentum=first, second_moment=second, epsilon=0.0)


def _parts(gradients: np.ndarray) -> tuple[jax.Array, ...]:
    """m, m of the gradients' negatives, σ, and steps of Adam with and without memory.

    The step of an average alone is m; of Adam without its average, it is g/σ.
    """

    @jax.jit
    def along(script: jax.Array) -> tuple[jax.Array, ...]:
        average = learn.by(learn.rules.unbiased_average)(_hyper(FIRST, SECOND))
        adam = learn.adam(_hyper(FIRST, SECOND))
        divided = learn.adam(_hyper(0.0, SECOND))
        return (
            learn.steps_along(average, script),
            learn.steps_along(average, -script),
            -script / learn.steps_along(divided, script),
            learn.steps_along(adam, script),
            learn.steps_along(learn.adam(_hyper(0.0, 0.0)), script),
        )

    by_update = np.moveaxis(gradients, -1, 0)
    return tuple(np.moveaxis(each, 0, -1) for each in along(by_update))


def _divisors(gradients: np.ndarray) -> jax.Array:
    """What the course's Adagrad divides by, `[update, parameter]`."""
    optimizer = learn.mean_square_adagrad(_hyper(FIRST, SECOND))
    script = jnp.asarray(gradients)
    return -script / jax.jit(partial(learn.steps_along, optimizer))(script)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Signs and sizes; then the sum of one slide."""
    return (*_cancelling(result), *_limits(result), *_sums(result))


def _setting(result: Result) -> str:
    return (
        f"Adam, β₁ = 0.9, β₂ = 0.999, ε = 0, gradients of sizes 1e-3 to 1e3, the last "
        f"half of {result.updates} updates"
    )


def _cancelling(result: Result) -> tuple[Assertion, ...]:
    told = {"claim": "C087", "setting": _setting(result)}
    alike, alternating = np.median(result.steps[:DRAWN], axis=(1, 2))
    turned = np.asarray(result.root[1:]) - result.root[ALIKE]
    return (
        record.deciding(
            statement="Momentum and root mean square do not cancel: gradients of one "
            "size make shorter steps where their signs alternate than where they are "
            "all alike, the one over the other.",
            measured=record.certain(alternating / alike, of=result.steps),
            rule=SHORTER,
            unit="ratio",
            **told,
        ),
        record.deciding(
            statement="The root mean square keeps only sizes: it is the same "
            "whatever the signs of the gradients, its largest change.",
            measured=record.largest(turned),
            rule=ROUNDING,
            unit="relative error",
            **told,
        ),
        record.deciding(
            statement="The momentum keeps signs: of gradients of the other sign it "
            "has the other sign, the largest error.",
            measured=record.largest(result.flipped),
            rule=EXACT,
            unit="relative error",
            **told,
        ),
        record.supporting(
            statement="Control: without memory, β₁ = β₂ = 0, they cancel, and every "
            "step is as long as the rate, whatever the signs and sizes.",
            measured=record.largest(result.forgetful - 1),
            rule=ROUNDING,
            unit="relative error",
            claim="C087",
            setting="Adam, β₁ = β₂ = 0, ε = 0, gradients of sizes 1e-3 to 1e3",
        ),
    )


def _limits(result: Result) -> tuple[Assertion, ...]:
    """What m and the step tend to."""
    told = {"claim": "C087", "setting": _setting(result)}
    sizes = np.abs(result.momentum)
    squares = np.mean(sizes[DRAWN:] ** 2, axis=(1, 2))
    return (
        record.supporting(
            statement="Where all gradients are alike a step is as long as the rate: "
            "the largest error.",
            measured=record.largest(result.steps[ALIKE] - 1),
            rule=ROUNDING,
            unit="relative error",
            **told,
        ),
        record.supporting(
            statement="Where signs alternate the momentum tends to (1 - β₁)/(1 + β₁) = "
            "1/19 of the gradients' size, not to 0: the largest error.",
            measured=record.largest(sizes[ALTERNATING] - NINETEENTH),
            rule=record.at_most(1e-6),
            unit="relative error",
            **told,
        ),
        record.supporting(
            statement="Where signs are drawn anew the root mean square of the momentum "
            "is √((1 - β₁)/(1 + β₁)) = 0.229 of the gradients' size.",
            measured=record.bootstrap(_root_of_mean, squares),
            rule=record.near(
                NINETEENTH**0.5, margin=0.02, reason="a fiftieth of a step is not felt"
            ),
            unit="ratio",
            **told,
        ),
    )


def _root_of_mean(squares: np.ndarray) -> float:
    return float(np.sqrt(np.mean(squares)))


def _sums(result: Result) -> tuple[Assertion, ...]:
    updates, parameters = result.by_parameters.shape
    setting = (
        f"{updates} updates of {parameters} parameters on normal random gradients "
        "of scales from 0.001 to 1,000, each divisor the root of a mean of squares"
    )
    told = {"claim": "X9", "setting": setting, "unit": "relative error"}
    return (
        record.deciding(
            statement="The divisor of a parameter is made of a sum over the "
            "parameters, i = 0 to t: the largest error against the rule as derived.",
            measured=record.largest(result.by_parameters - 1),
            rule=ROUNDING,
            **told,
        ),
        record.supporting(
            statement="The divisor of a parameter is made of a sum over its own "
            "gradients, of updates 0 to t: the largest error against the rule.",
            measured=record.largest(result.by_updates - 1),
            rule=ROUNDING,
            **told,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Steps by signs, and the divisors of both readings."""
    figure, (steps, sums) = panels(1, 2, width=5.2, height=3.4)
    kinds = (result.steps[:1], result.steps[1:DRAWN], result.steps[DRAWN:])
    for name, seen in zip(SIGNS, kinds, strict=True):
        lengths = np.ravel(seen)
        ordered = np.sort(lengths)
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        steps.plot(np.append(0.0, ordered), np.append(0.0, share), label=name)
    legend_below(steps)
    label(steps, "Gradients of one size, by their signs", "step / η", "share of steps")
    readings = {
        "over parameters, as printed": result.by_parameters,
        "over updates, as derived": result.by_updates,
    }
    numbers = np.arange(1, len(result.by_updates) + 1)
    for (name, ratios), marker in zip(readings.items(), "os", strict=True):
        sums.scatter(numbers, ratios[:, 0], s=12, marker=marker, label=name)
    sums.set_yscale("log")
    legend_below(sums)
    label(sums, "Divisor of the first parameter", "update", "divisor / the rule's")
    return {"steps": figure}
