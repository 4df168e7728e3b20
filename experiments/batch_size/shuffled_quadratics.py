"""How far from the optimum does stochastic gradient descent stay, by the order?

Least squares with noise, one example an update, a constant rate γ, from the optimum on:
runs do not come to rest there, but at a distance that depends on the order of the
examples. Theory of strongly convex sums (Mishchenko et al.) bounds its square by a
multiple of γ where examples are drawn with replacement, and of γ² where they are
shuffled, anew in every epoch or once. What shuffling anew adds to shuffling once that
bound does not tell: one order that is repeated has a fixed point of its own, at a
distance of first order in γ, while the displacements of orders drawn anew cancel over
epochs.

- Supporting C063, all in the squared distance at the ends of epochs: shuffled anew,
  runs stay nearer than shuffled once, at the lowest rate, by a tenth or more; shuffled
  once, nearer than drawn with replacement; and where the rate is divided by 8, the
  distance falls by more than eightfold for both shuffled orders, and in proportion,
  within a quarter, with replacement. If order did not matter, all would be in
  proportion.
- Control: shuffled anew by another key, which must be no nearer.

The lecture speaks of networks; `shuffling` decides. A tenth of a logarithm matters. A
unit is a problem: features, noise and orders drawn anew; means are of the logarithm of
its squared distance, over the second half of the epochs.

Budget. At the lowest rate of 0.0025 an epoch of 100 examples contracts the flattest
direction by a fifth or so, so that half of 200 epochs forgets where it began and
averages a score of independent ends. Epochs and units were raised after a run of six
problems with seed 11, of 80 epochs, in which the control was less certain than its
margin.

Claims: C063.
Source: Mishchenko et al. 2020, arXiv:2006.05988.
Cost: 17 seconds on 2 cores.
Expect: anew nearest, once between, with replacement farthest.
Run: jaxml run shuffled_quadratics
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
from jaxml.record.figures import Figure, band, label, legend_below, panels
from jaxml.types import Array, Batch, Keep, Key

EXAMPLES, FEATURES = 100, 4
RATES = 0.02 / 2.0 ** np.arange(4)
ORDERS = (learn.shuffled, learn.shuffled_once, learn.with_replacement, learn.shuffled)
NAMES = (
    "shuffled anew",
    "shuffled once",
    "drawn with replacement",
    "shuffled anew by another key, the control",
)
ANEW, ONCE, REPLACED, CONTROL = range(len(ORDERS))
KEYS = (1, 1, 1, 2)
"""By order."""

NEARER = record.below(0.0, margin=0.1, reason="a tenth of the squared distance")
FALL = float(np.log(RATES[0] / RATES[-1]))
STEEPER = record.above(FALL, margin=0.25, reason="a quarter of the squared distance")
ALIKE = record.near(FALL, margin=0.25, reason="a quarter of the squared distance")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Epochs of a run, and problems."""

    epochs: int = 200
    units: int = 40
    seed: int = 0


SMOKE = Config(epochs=4, units=2)


class Result(NamedTuple):
    """The logarithm of the mean squared distance to the optimum, at the ends of the
    second half of the epochs.
    """

    distance: Float[np.ndarray, "order rate unit"]


def study(config: Config, keep: Keep) -> Result:
    """One program in float64."""
    with jax.enable_x64(True):
        keys = jax.random.split(randomness.key(config.seed), config.units)
        over = jax.jit(partial(jax.lax.map, partial(_unit, config.epochs)))
        distances = keep("distances", partial(over, keys))
    return Result(np.moveaxis(np.asarray(distances), 0, -1))


def _unit(epochs: int, key: Key) -> Float[Array, "order rate"]:
    """All orders and rates on one problem, measured from its optimum."""
    first, second = jax.random.split(key)
    x = jax.random.normal(first, (EXAMPLES, FEATURES))
    noise = jax.random.normal(second, (EXAMPLES,))
    residuals = noise - x @ jnp.linalg.lstsq(x, noise)[0]
    of_order = []
    for order, number in zip(ORDERS, KEYS, strict=True):
        data = Batch(x, residuals, jnp.ones(EXAMPLES))
        stream = order(data, 1)
        run = partial(_distance, stream, epochs, jax.random.fold_in(key, number))
        of_order.append(jax.vmap(run)(jnp.array(RATES)))
    return jnp.stack(of_order)


def _distance(stream: learn.Batches, epochs: int, key: Key, rate: Array) -> Array:
    """ln of the mean ‖w‖² over the second half of the epochs, from w = 0."""

    def update(w: Array, step: Array) -> tuple[Array, Array]:
        example = stream.draw(stream.data, key, step)
        error = example.inputs @ w - example.targets
        w = w - rate * error @ example.inputs
        return w, jnp.sum(w**2)

    steps = jnp.arange(epochs * EXAMPLES, dtype=jnp.int32)
    _, squares = jax.lax.scan(update, jnp.zeros(FEATURES), steps)
    ends = squares.reshape(epochs, EXAMPLES)[:, -1]
    return jnp.log(jnp.mean(ends[epochs // 2 :]))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Pairs at the lowest rate, and how fast distances fall with the rate."""
    lowest = result.distance[:, -1]
    fallen = result.distance[:, 0] - lowest
    setting = (
        f"least squares of {EXAMPLES} examples with {FEATURES} normal features and "
        "normal noise, one an update"
    )
    supporting = partial(record.supporting, "C063", unit="log ratio")
    at_lowest = f"{setting}, rate {RATES[-1]:g}"
    over_rates = f"{setting}, rates of {RATES[-1]:g} and {RATES[0]:g}"
    found = []
    for ours, theirs in ((ANEW, ONCE), (ONCE, REPLACED), (CONTROL, ANEW)):
        nearer = supporting(
            f"{NAMES[ours].capitalize()}, runs stay at a smaller squared distance "
            f"from the optimum than {NAMES[theirs]}.",
            record.paired(lowest[ours], lowest[theirs]),
            NEARER,
            setting=at_lowest,
        )
        found.append(nearer)
    for order in (ANEW, ONCE):
        steeper = supporting(
            f"{NAMES[order].capitalize()}, the squared distance from the optimum falls "
            "by more than eightfold where the rate is divided by 8.",
            record.bootstrap(_mean, fallen[order]),
            STEEPER,
            setting=over_rates,
        )
        found.append(steeper)
    alike = supporting(
        f"{NAMES[REPLACED].capitalize()}, the squared distance from the optimum is in "
        "proportion to the rate, within a quarter.",
        record.bootstrap(_mean, fallen[REPLACED]),
        ALIKE,
        setting=over_rates,
    )
    return (*found, alike)


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


def figures(result: Result) -> dict[str, Figure]:
    """Squared distance by rate: medians, and where four fifths of the problems lie."""
    figure, (axis,) = panels(1, 1, width=5.5)
    for values, name in zip(result.distance, NAMES, strict=True):
        band(axis, RATES, np.exp(values), name).set_markevery(1)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    label(axis, "noisy least squares", "rate", "squared distance to the optimum")
    legend_below(axis)
    return {"distance": figure}
