"""Do features on different scales make a valley, and does standardising round it?

The loss is the squared error of a linear model with an offset, a quadratic whose level
sets are as long as the condition number κ of its Hessian says. Gradient descent starts
at 0 with the best constant rate of that quadratic, 2 / (λ_min + λ_max), and goes on
until a millionth of the excess over the lowest loss is left, once with the features as
they are and once standardised: less their mean, over their deviation. The start is the
same function in both.

First on the course's line through ten Pokémon, of which the ledger prints κ = 3.1e5
before, and 1 after, exactly, since with one standardised feature XᵀX is n times the
identity. Then on drawn regressions: 500 examples of 4 independent normal features whose
deviations are drawn from 0.1 to 10 and whose means are a normal number of deviations.
If the claim holds, κ and the updates fall by more than a quarter, the least that would
matter to a user; it fails if they rise by as much. Negative control, which must show
no effect: drawn features of mean 0 and deviation 1 whose correlation is 0.9, a valley
that standardising cannot round. A run that is not there at the limit counts with the
limit, in disfavour of the claim.

A unit draws its examples, scales and weights anew. Rules and margins are as of the
first run. That had 50 examples and no correlation in the control, which then gained a
quarter: a ball's few updates are 4 or 5, and the means and deviations of a small sample
differ. Not tested: a neural network.

Claims: C097.
Cost: 5 seconds on 2 cores, compilation included.
Expect: κ of 3.1e5 and 1; drawn features hundreds of times as many updates.
Run: jaxml run feature_scale
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Keep

EPS = float(np.finfo(np.float64).eps)
LINE = problem.pokemon_line()
LEFT = 1e-6  # of the excess at the start
EXAMPLES, FEATURES = 500, 4
CORRELATION = 0.9  # of the control's features
RAW, STANDARDISED = range(2)
UNEQUAL, EQUAL = range(2)
MORE = record.above(
    0.0, margin=float(np.log(1.25)), reason="a quarter more updates is hardly noticed"
)
PRINTED, DIGIT = 3.1e5, 0.1e5  # κ, and its last digit
POKEMON = "squared error of a line through ten Pokémon"
DRAWN = f"{EXAMPLES} drawn examples of {FEATURES}"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates at most, and drawn regressions."""

    limit: int = 5_000_000
    units: int = 20
    seed: int = 0


SMOKE = Config(limit=1000, units=2)


class Result(NamedTuple):
    """Condition numbers, and updates until a millionth of the excess is left.

    Attributes:
        line_condition: of the Pokémon, by way.
        line_updates: likewise.
        condition: of drawn features, of unequal and of equal scales.
        updates: likewise.
    """

    line_condition: Float[Array, " way"]
    line_updates: Float[Array, " way"]
    condition: Float[Array, "scales unit way"]
    updates: Float[Array, "scales unit way"]


class Problem(NamedTuple):
    """A quadratic with its lowest point, by its Hessian's extremes."""

    hessian: Array
    best: Array
    rate: Array


def study(config: Config, keep: Keep) -> Result:
    """Two programs in float64."""
    seeds = randomness.seeds(config.seed, config.units)
    drawn = [[_drawn(seed, scales) for seed in seeds] for scales in (UNEQUAL, EQUAL)]
    lines = _both_ways(LINE.design[:, 1:], LINE.heights)
    with jax.enable_x64(True):
        run = jax.jit(jax.vmap(partial(_updates, config.limit)))
        flat = _stacked([each for kind in drawn for unit in kind for each in unit])
        line = keep("line", partial(run, _stacked(lines)))
        others = keep("drawn", partial(run, flat))
    conditions = np.array(
        [np.linalg.cond(hessian) for hessian in flat.hessian]
    ).reshape(2, config.units, 2)
    of_line = np.array([np.linalg.cond(each.hessian) for each in lines])
    return Result(of_line, line, conditions, np.reshape(others, conditions.shape))


def _drawn(seed: int, scales: int) -> list[Problem]:
    """A regression of one unit, both ways."""
    draw = np.random.default_rng(seed)
    features = draw.standard_normal((EXAMPLES, FEATURES))
    if scales == EQUAL:
        common = draw.standard_normal((EXAMPLES, 1))
        features = np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * features
    weights = draw.standard_normal(FEATURES)
    targets = features @ weights + 0.1 * draw.standard_normal(EXAMPLES)
    deviations = 10 ** draw.uniform(-1, 1, FEATURES)
    means = draw.standard_normal(FEATURES)
    if scales == UNEQUAL:
        features = deviations * (features + means)
    return _both_ways(features, targets)


def _both_ways(features: Array, targets: Array) -> list[Problem]:
    """Raw and standardised."""
    centred = features - features.mean(axis=0)
    ways = (features, centred / features.std(axis=0))
    return [_problem(way, targets) for way in ways]


def _problem(features: Array, targets: Array) -> Problem:
    design = np.hstack([np.ones((len(features), 1)), features])
    hessian = 2 * design.T @ design
    best = np.linalg.lstsq(design, targets)[0]
    lowest, *_, highest = np.linalg.eigvalsh(hessian)
    return Problem(hessian, best, np.array(2 / (lowest + highest)))


def _stacked(problems: list[Problem]) -> Problem:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *problems)


def _updates(limit: int, of: Problem) -> jax.Array:
    """Updates of gradient descent from 0 until a millionth is left, or the limit."""

    def excess(offset: jax.Array) -> jax.Array:
        return offset @ of.hessian @ offset / 2

    def goes_on(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
        offset, count = carry
        return (excess(offset) > LEFT * first) & (count < limit)

    def once(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        offset, count = carry
        return offset - of.rate * (of.hessian @ offset), count + 1

    start = -jnp.asarray(of.best)
    first = excess(start)
    _, count = jax.lax.while_loop(goes_on, once, (start, jnp.zeros(())))
    return count


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of the line, what is printed, and of both, how much is gained."""
    return (*_line(result), *_of_drawn(result))


def _line(result: Result) -> tuple[Assertion, ...]:
    deciding = partial(record.deciding, "C097", setting=POKEMON)
    raw, standardised = result.line_condition
    gained = np.log(result.line_updates[RAW] / result.line_updates[STANDARDISED])
    return (
        deciding(
            "The condition number of a line through the ten Pokémon is 3.1e5, to half "
            "a unit of the last digit.",
            record.largest(np.array([(raw - PRINTED) / DIGIT])),
            record.at_most(0.5),
            unit="error",
        ),
        deciding(
            "With combat power standardised the condition number of a line through the "
            "ten Pokémon is 1.",
            record.largest(np.array([standardised - 1])),
            record.at_most(100 * EPS),
            unit="error",
        ),
        deciding(
            "On a line through the ten Pokémon gradient descent at the best constant "
            "rate needs more updates before combat power is standardised than after.",
            record.certain(gained, of=result.line_updates),
            MORE,
            unit="log ratio",
        ),
    )


def _of_drawn(result: Result) -> tuple[Assertion, ...]:
    unequal = f"{DRAWN} independent normal features with deviations from 0.1 to 10"
    equal = f"{DRAWN} normal features of mean 0, deviation 1 and correlation 0.9"
    return (
        record.deciding(
            "C097",
            "The condition number of a linear model of features on different scales is "
            "larger before they are standardised than after.",
            _gained(result.condition[UNEQUAL]),
            MORE,
            unit="log ratio",
            setting=unequal,
        ),
        record.deciding(
            "C097",
            "On features of different scales gradient descent at the best constant "
            "rate needs more updates before they are standardised than after.",
            _gained(result.updates[UNEQUAL]),
            MORE,
            unit="log ratio",
            setting=unequal,
            figure="updates",
        ),
        record.supporting(
            "C097",
            "Control, features of equal scales: gradient descent at the best constant "
            "rate needs more updates before they are standardised than after.",
            _gained(result.updates[EQUAL]),
            MORE,
            unit="log ratio",
            setting=equal,
            figure="updates",
        ),
    )


def _gained(values: Float[Array, "unit way"]) -> record.Interval:
    """The logarithm of raw over standardised, a mean over units."""
    return record.mean_log_ratio(values[:, RAW], values[:, STANDARDISED])


def figures(result: Result) -> dict[str, Figure]:
    """Updates before over after, of every unit, and against condition numbers."""
    figure, (left, right) = panels(1, 2, width=4.6, height=3.6)
    gains = np.log(result.updates[..., RAW] / result.updates[..., STANDARDISED])
    rows = {"different scales": gains[UNEQUAL], "equal scales (control)": gains[EQUAL]}
    dots(left, rows, unit="a regression")
    margins(left, MORE)
    label(left, "Updates, raw over standardised", "logarithm of the ratio", "features")
    names = ("as they are", "standardised")
    for way, (name, marker) in enumerate(zip(names, "os", strict=True)):
        condition = np.append(result.condition[..., way], result.line_condition[way])
        updates = np.append(result.updates[..., way], result.line_updates[way])
        right.scatter(condition, updates, marker=marker, label=name, alpha=0.6)
    right.set_xscale("log")
    right.set_yscale("log")
    label(right, "Drawn features and the line", "condition number κ", "updates")
    shared_legend(figure)
    return {"updates": figure}
