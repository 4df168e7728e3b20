"""Must inputs be unrelated for weights to move by their own partial derivatives?

Some notes on the course say that x₁ and x₂ may be updated separately because they are
unrelated. The measure is the squared error of a linear model, whose inputs are drawn
with a given correlation, from 0 to 0.99: the partial derivatives then depend on one
another, for the Hessian has entries beside its diagonal. If the reason were the right
one, the update by partial derivatives, both weights at once, would fail on correlated
inputs, at the usual rate of 1/λ, λ the largest eigenvalue of the Hessian. The sentence
holds if the loss rises at some update in more than a twentieth of the draws, and is
false if in fewer.

Three things stand beside it, to show that a rise would be seen, and where a relation
does matter. Above 2/λ the update raises the loss, whatever the correlation. At the rate
that is right for unrelated inputs it raises the loss of related ones as well, for λ
grows with the correlation; so related inputs need a smaller rate, which is a matter of
λ, and not of which derivative moves which weight. And a step that minimises the loss
over each weight while the others rest, all at once, is right in one go only where the
Hessian is diagonal. Two inputs still descend by it at any correlation; eight rise once
they are correlated by more than a seventh.

Losses are relative to that of the start, and a rise is one beyond rounding, 1e-12.
Inputs and the start's distance from the best weights are drawn anew by the seed; the
fraction of draws that rise has an interval. With 200 draws and none that rises it lies
below 0.022.

Not tested: other losses, gradients of batches, momentum.

Claims: X7.
Source: Boyd and Vandenberghe 2004, Convex Optimization, section 9.3 (descent at 1/λ).
Cost: 5 seconds on 2 cores, compilation included.
Expect: it lowers the loss at any correlation, slower where the inputs are related.
Run: jaxml run correlated_inputs
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxml import randomness, record
from jaxml.record import Assertion, Rule
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Keep

CORRELATIONS = np.array([0.0, 0.5, 0.9, 0.99])
UNRELATED, RELATED, STRONG = 0, 2, 3
INPUTS = (2, 8)
FEW, MANY = range(2)
EXAMPLES = 200
UPDATES = 50
PARTIALS, TOO_FAR, UNCHANGED, EACH_ALONE = range(4)
WAYS = (
    "partial derivatives at 1/λ",
    "partial derivatives at 2.1/λ",
    "partial derivatives at 1/λ of unrelated inputs",
    "each alone",
)
FLOOR, CEILING = 1e-8, 1e8  # of what is drawn
BEYOND = 1e-12  # of the loss at the start: a rise that is no rounding
OFTEN, SELDOM = record.above(0.05), record.below(0.05)
MOSTLY = record.above(0.95)
"""Shares of draws that two hundred of them can tell from none, and from all."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws of inputs, targets and starts."""

    draws: int = 200
    seed: int = 0


SMOKE = Config(draws=4)


class Result(NamedTuple):
    """Of every draw.

    Attributes:
        losses: above the least, before each update and after the last, over those of
            the start.
        coupling: the size of the Hessian's entry beside the diagonal, over those on it.
    """

    losses: Float[Array, "inputs correlation draw way update"]
    coupling: Float[Array, "inputs correlation draw"]


def study(config: Config, keep: Keep) -> Result:
    """Descent on quadratics, in float64."""
    seeds = randomness.seeds(config.seed, config.draws)
    losses, coupling = [], []
    with jax.enable_x64(True):
        for count in INPUTS:
            one = partial(_of_inputs, count, seeds)
            seen, coupled = keep(f"{count} inputs", one)
            losses.append(seen)
            coupling.append(coupled)
    return Result(np.stack(losses), np.stack(coupling))


def _of_inputs(count: int, seeds: Sequence[int]) -> tuple[jax.Array, jax.Array]:
    """By correlation and draw."""
    problems = [_drawn(count, np.random.default_rng(seed)) for seed in seeds]
    hessians, offsets = map(np.stack, zip(*problems, strict=True))
    losses = jax.jit(jax.vmap(_of_draw))(hessians, offsets)
    sizes = np.sqrt(hessians[..., 0, 0] * hessians[..., 1, 1])
    coupling = np.abs(hessians[..., 0, 1]) / sizes
    return jnp.swapaxes(losses, 0, 1), jnp.asarray(coupling.T)


def _drawn(count: int, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The Hessian at each correlation, and the start's distance from the best
    weights.
    """
    own = draws.standard_normal((EXAMPLES, count))
    shared = draws.standard_normal((EXAMPLES, 1))
    hessians = []
    for correlation in CORRELATIONS:
        related = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
        hessians.append(2 * related.T @ related / EXAMPLES)
    return np.stack(hessians), draws.standard_normal(count)


def _of_draw(hessians: jax.Array, offset: jax.Array) -> jax.Array:
    """Losses by correlation, way and update."""
    usual = 1 / jnp.linalg.norm(hessians[UNRELATED], 2)
    return jax.vmap(partial(_descended, offset, usual))(hessians)


def _descended(offset: jax.Array, usual: jax.Array, hessian: jax.Array) -> jax.Array:
    """Losses above the least by way and update, over the start's; `usual` is the rate
    for unrelated inputs.
    """
    everyone = jnp.eye(len(hessian))
    at_once = everyone / jnp.linalg.norm(hessian, 2)
    alone = jnp.diag(1 / jnp.diag(hessian))
    ways = jnp.stack([at_once, 2.1 * at_once, usual * everyone, alone])

    def above(weights: jax.Array) -> jax.Array:
        return weights @ hessian @ weights / 2

    def along(rates: jax.Array) -> jax.Array:
        def one(weights: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            return weights - rates @ (hessian @ weights), above(weights)

        return jax.lax.scan(one, offset, length=UPDATES + 1)[1]

    return jax.vmap(along)(ways) / above(offset)


def _rises(result: Result, way: int) -> Bool[np.ndarray, "inputs correlation draw"]:
    """Whether any update raises the loss."""
    changes = np.diff(result.losses[:, :, :, way], axis=-1)
    return np.any(changes > BEYOND, axis=-1)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Related inputs decide; beside them is where a relation matters."""
    rises = [_rises(result, way) for way in range(len(WAYS))]
    decides = partial(_share, result, record.deciding, OFTEN)
    often = partial(_share, result, record.supporting, OFTEN)
    mostly = partial(_share, result, record.supporting, MOSTLY)
    seldom = partial(_share, result, record.supporting, SELDOM)
    needed = (
        "Weights may move by their own partial derivatives, all at once, only if "
        "their inputs are unrelated: with related ones that raises the loss at a rate "
        "of 1/λ"
    )
    too_far = (
        "Control: moving weights by their own partial derivatives, all at once, "
        "raises the loss at a rate of 2.1/λ"
    )
    usual = (
        "Moving weights by their own partial derivatives, all at once, raises the loss "
        "at the rate of 1/λ of unrelated inputs"
    )
    alone = "Moving each weight to its best value, as if the others rested, raises the"
    return (
        decides(needed, rises[PARTIALS], (FEW, STRONG)),
        decides(needed, rises[PARTIALS], (MANY, STRONG)),
        seldom(
            "With unrelated inputs, too, moving weights by their own partial "
            "derivatives, all at once, raises the loss at a rate of 1/λ",
            rises[PARTIALS],
            (FEW, UNRELATED),
        ),
        mostly(too_far, rises[TOO_FAR], (FEW, UNRELATED)),
        mostly(too_far, rises[TOO_FAR], (FEW, STRONG)),
        often(usual, rises[UNCHANGED], (FEW, STRONG)),
        often(usual, rises[UNCHANGED], (MANY, STRONG)),
        seldom(f"{alone} loss", rises[EACH_ALONE], (FEW, STRONG)),
        mostly(f"{alone} loss", rises[EACH_ALONE], (MANY, RELATED)),
        seldom(f"{alone} loss", rises[EACH_ALONE], (MANY, UNRELATED)),
        record.supporting(
            "X7",
            "With related inputs each partial derivative depends on the other weight: "
            "the Hessian's entry beside the diagonal over those on it.",
            record.bootstrap(np.mean, result.coupling[FEW, STRONG]),
            record.above(0.5),
            unit="ratio",
            setting=_setting(FEW, STRONG),
        ),
    )


def _share(
    result: Result,
    role: Callable[..., Assertion],
    rule: Rule,
    statement: str,
    rises: Bool[np.ndarray, "inputs correlation draw"],
    place: tuple[int, int],
) -> Assertion:
    """The fraction of draws in which the loss rises at some update."""
    return role(
        "X7",
        f"{statement}: the fraction of draws in which it does.",
        record.proportion(rises[place], of=result.losses),
        rule,
        unit="fraction",
        setting=_setting(*place),
    )


def _setting(inputs: int, correlation: int) -> str:
    return (
        f"squared error of a linear model of {INPUTS[inputs]} inputs, correlated by "
        f"{CORRELATIONS[correlation]:g}, on {EXAMPLES} examples, {UPDATES} updates "
        "from random starts"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Losses by update, a band of draws for each correlation."""
    figure, axes = panels(1, 2, width=4.6, height=3.6)
    numbers = np.arange(UPDATES + 1)
    shown = (
        (FEW, PARTIALS, "Two inputs, by partial derivatives at 1/λ"),
        (MANY, EACH_ALONE, "Eight inputs, each to its own best value"),
    )
    for axis, (inputs, way, title) in zip(axes, shown, strict=True):
        for place, correlation in enumerate(CORRELATIONS):
            seen = np.asarray(result.losses[inputs, place, :, way]).T
            band(axis, numbers, seen, f"correlation {correlation:g}")
        axis.set_yscale("log")
        axis.set_ylim(FLOOR, CEILING)
        label(axis, title, "updates", "loss above the least / at the start")
    shared_legend(figure)
    return {"losses": figure}
