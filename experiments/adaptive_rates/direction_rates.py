"""Do different directions need different rates, small where steep and large where flat?

The loss is the squared error of a line b + wx through ten Pokémon from the course's
start, (b, w) = (-120, -4); it is steep along w and flat along b. Gradient descent gets
a rate for b and one for w, from all pairs of a grid in steps of 1.5 below the largest
stable rates of each alone and of both together, and counts at the best pair: updates
until the squared error is within 100 of the least. Counts follow from the eigenvalues
of the preconditioned Hessian; a run at the best pair must take as many.

The course is wrong if the best pair is not faster than the best single rate, or if its
rate for w, which is steep, is not the smaller one. Controls: where both curvatures are
equal, the best pair is one rate and no faster; on the loss rotated by 45 degrees, where
both parameters are equally steep, a pair is no faster either: directions need rates of
their own, and parameters only if they are these directions. What Adagrad finds by
itself stands beside it, the ratio of its two divisors, to be compared with √κ, the
ratio of gradients of one size of loss.

Nothing is random. The margin of 5 % is less than a step of the grid. In a first version
the pairs left out the single rates, and the best pair of the rotated loss seemed worse.

Claims: C082.
Sources: Duchi, Hazan and Singer 2011.
Cost: 2 seconds on 2 cores, compilation included.
Expect: a hundred updates with a pair, 382,000 with one rate.
Run: jaxml run direction_rates
"""

import itertools
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, panels, shared_legend
from jaxml.types import Array, Keep

LINE = problem.pokemon_line()
FLAT, STEEP = LINE.eigenvalues
OFFSET = LINE.start - LINE.best  # of the start, in b and w
CLOSE = 100.0  # above the least squared error
STEPS = 20  # of 1.5 below the largest stable rate
FRACTIONS = 0.999 / 1.5 ** np.arange(STEPS)
LONGEST = 10**6  # updates that are told from never
QUARTER = np.sqrt([[0.5, 0.5], [0.5, 0.5]]) * [[1, -1], [1, 1]]  # rotates by 45°
SURFACE = "squared error of a line through ten Pokémon"
FINER = "5 % of the updates is less than what a finer grid of rates changes"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of Adagrad, and of the run at the best pair at most."""

    adagrad: int = 100_000
    steps: int = 1000


SMOKE = Config(adagrad=300, steps=100)


class Bowl(NamedTuple):
    """A quadratic loss, and where gradient descent starts."""

    hessian: Float[Array, "2 2"]
    offset: Float[Array, "2"]  # from the minimum


class Counts(NamedTuple):
    """Updates of gradient descent on one loss, LONGEST if more.

    Attributes:
        pairs: by the rates of b and of w.
        rates: the rates of b, and those of w.
        single: with the best single rate.
    """

    pairs: Int[Array, "b w"]
    rates: Float[Array, "parameter rate"]
    single: Int[Array, ""]


class Result(NamedTuple):
    """Counts on the loss, with equal curvatures, and rotated; the run; and Adagrad.

    Attributes:
        run: updates at the best pair.
        divisors: Adagrad's of b and w at rate 1.
        rotated_divisors: likewise on the loss rotated by 45 degrees.
        adagrad_updates: how many it makes.
    """

    straight: Counts
    equal: Counts
    rotated: Counts
    run: Int[Array, ""]
    divisors: Float[Array, "2"]
    rotated_divisors: Float[Array, "2"]
    adagrad_updates: Int[Array, ""]


STRAIGHT = Bowl(LINE.hessian, OFFSET)
EQUAL = Bowl(STEEP * np.eye(2), OFFSET)
ROTATED = Bowl(QUARTER @ LINE.hessian @ QUARTER.T, QUARTER @ OFFSET)


def study(config: Config, keep: Keep) -> Result:
    """Counts by NumPy, runs in float64."""
    straight = _counts(STRAIGHT)
    divisors = partial(_divisors, config)
    run = partial(_run, config, _best_pair(straight))
    with jax.enable_x64(True):
        return Result(
            straight=straight,
            equal=_counts(EQUAL),
            rotated=_counts(ROTATED),
            run=keep("run", jax.jit(run)),
            divisors=keep("divisors", partial(divisors, STRAIGHT)),
            rotated_divisors=keep("rotated divisors", partial(divisors, ROTATED)),
            adagrad_updates=np.array(config.adagrad),
        )


def _counts(bowl: Bowl) -> Counts:
    together = 2 / np.linalg.eigvalsh(bowl.hessian)[-1] * FRACTIONS
    alone = 2 / np.diag(bowl.hessian)[:, None] * FRACTIONS
    rates = np.sort(np.hstack([alone, np.stack([together, together])]))
    pairs = [_updates(bowl, b, w) for b, w in itertools.product(*rates)]
    single = min(_updates(bowl, rate, rate) for rate in together)
    square = np.reshape(pairs, (len(together) * 2, -1))
    return Counts(square, rates, np.array(single))


def _updates(bowl: Bowl, b: np.floating, w: np.floating) -> int:
    """Until close with these rates, by the eigenvalues of the preconditioned Hessian.

    With D = diag(b, w) the errors are D^½ V (1 - Λ)ᵗ c, where D^½ H D^½ = V Λ Vᵀ, so
    that the suboptimality ½ Σ Λ (1 - Λ)²ᵗ c² falls in each update.
    """
    roots = np.sqrt([b, w])
    eigenvalues, axes = np.linalg.eigh(roots[:, None] * bowl.hessian * roots)
    weights = eigenvalues * (axes.T @ (bowl.offset / roots)) ** 2 / 2
    factors = (1 - eigenvalues) ** 2
    if np.max(factors) >= 1:
        return LONGEST
    low, high = 0, LONGEST  # close at the higher one, but not at the lower
    while high - low > 1:
        middle = (low + high) // 2
        is_close = weights @ factors**middle < CLOSE
        low, high = (low, middle) if is_close else (middle, high)
    return high


def _best_pair(counts: Counts) -> Float[np.ndarray, "2"]:
    b, w = np.unravel_index(np.argmin(counts.pairs), counts.pairs.shape)
    return np.array([counts.rates[0, b], counts.rates[1, w]])


def _run(config: Config, pair: np.ndarray) -> jax.Array:
    """Updates of gradient descent on the data's squared error with that pair."""

    def one(params: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        loss, gradient = jax.value_and_grad(LINE.loss)(params, None)
        return params - pair * gradient, loss

    start = jnp.array(LINE.best + OFFSET)
    _, losses = jax.lax.scan(one, start, length=config.steps)
    return jnp.argmax(losses < LINE.least + CLOSE)


def _divisors(config: Config, bowl: Bowl) -> jax.Array:
    """The roots of the sums of squared gradients that Adagrad has seen at rate 1."""

    def loss(offset: jax.Array, _: None) -> jax.Array:
        return offset @ bowl.hessian @ offset / 2

    def squares() -> jax.Array:
        adagrad = learn.adagrad(learn.Hyper(lr=1.0))
        start = jnp.array(bowl.offset)
        run = learn.descend(
            loss, adagrad, start, None, steps=config.adagrad, observe=lambda x: x
        )
        gradients = run.observed @ bowl.hessian
        return jnp.sqrt(jnp.sum(gradients**2, axis=0))

    return jax.jit(squares)()


def findings(result: Result) -> tuple[Assertion, ...]:
    """Nothing is random."""
    return (*_need(result), *_controls(result), *_adagrad(result))


def _gain(counts: Counts) -> np.floating:
    """Updates with the best single rate over those with the best pair."""
    return counts.single / np.min(counts.pairs)


def _need(result: Result) -> tuple[Assertion, ...]:
    b, w = _best_pair(result.straight)
    difference = result.run - np.min(result.straight.pairs)
    rates = f"{2 * STEPS} rates of each in steps of 1.5"
    setting = f"{SURFACE}, {rates}, updates to within 100 of the least"
    finding = partial(record.deciding, "C082", unit="ratio", setting=setting)
    return (
        finding(
            "Gradient descent with a rate for b and another for w needs fewer updates "
            "than with one rate: those of the best single rate over the best pair's.",
            record.certain(_gain(result.straight)),
            record.above(1.0, margin=0.05, reason=FINER),
        ),
        finding(
            "The best rate of b, along which the loss is flat, is larger than that of "
            "w, along which it is steep: their ratio.",
            record.certain(b / w),
            record.above(1.0, margin=0.5, reason="half is a step of the grid"),
        ),
        record.supporting(
            "C082",
            "A run at the best pair of rates takes the updates that follow from the "
            "eigenvalues: the difference.",
            record.certain(difference, of=result.divisors),
            record.near(0.0, margin=1.0, reason="rounding may cost an update"),
            unit="updates",
            setting=setting,
        ),
    )


def _controls(result: Result) -> tuple[Assertion, ...]:
    finding = partial(record.supporting, "C082", unit="ratio")
    equally = record.near(1.0, margin=0.05, reason=FINER)
    return (
        finding(
            "Control: where both curvatures are equal, the best pair of rates needs as "
            "many updates as the best single rate.",
            record.certain(_gain(result.equal)),
            equally,
            setting="squared error with the steep curvature along both axes",
        ),
        finding(
            "Control: on the surface rotated by 45 degrees the best pair of rates for "
            "its two parameters needs as many updates as the best single rate.",
            record.certain(_gain(result.rotated)),
            equally,
            setting=f"{SURFACE}, rotated by 45 degrees",
        ),
    )


def _adagrad(result: Result) -> tuple[Assertion, ...]:
    finding = partial(record.supporting, "C082", unit="log ratio")
    twice = {"margin": np.log(2), "reason": "a rate is right to a factor of two"}
    updates = f"rate 1, {result.adagrad_updates:,} updates"
    b, w = result.divisors
    rotated_b, rotated_w = result.rotated_divisors
    return (
        finding(
            "Adagrad's divisor of w, along which the loss is steep, is √κ times that "
            "of b, to a factor of two: the logarithm of their ratio over it.",
            record.certain(np.log(w / b) - np.log(STEEP / FLAT) / 2),
            record.near(0.0, **twice),
            setting=f"{SURFACE}, {updates}",
        ),
        finding(
            "Control: on the surface rotated by 45 degrees Adagrad's two divisors are "
            "equal, to a factor of two: the logarithm of their ratio.",
            record.certain(np.log(rotated_w / rotated_b)),
            record.near(0.0, **twice),
            setting=f"{SURFACE}, rotated by 45 degrees, {updates}",
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Updates by pair of rates, on the loss and rotated."""
    figure, axes = panels(1, 2, width=4.8)
    straight, rotated = axes
    _draw(straight, "The lecture's surface", result.straight)
    mesh = _draw(rotated, "Rotated by 45 degrees", result.rotated)
    name = "log₁₀ of updates until close"
    figure.colorbar(mesh, ax=axes, label=f"{name}\n(white: more than {LONGEST:,})")
    shared_legend(figure)
    return {"pairs": figure}


def _draw(axis: Axes, title: str, counts: Counts) -> Any:
    b, w = counts.rates
    updates = np.where(counts.pairs < LONGEST, np.log10(counts.pairs), np.nan).T
    mesh = axis.pcolormesh(b, w, updates, cmap="Greys", vmin=-1, vmax=9)
    axis.plot(w, w, "--", marker="", color="#994455", label="one rate for both")
    axis.scatter(*_best_pair(counts), marker="x", color="#994455", label="best pair")
    axis.set_xscale("log")
    axis.set_yscale("log")
    label(axis, title, "rate of the first parameter", "rate of the second")
    return mesh
