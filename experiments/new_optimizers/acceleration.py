"""How much faster than momentum and gradient descent does Nesterov's gradient converge?

The loss is the lecture's: the squared error of a line b + wx through ten Pokémon, from
(b, w) = (-120, -4), with curvatures μ and λ and κ = λ/μ = 3.13e5. Two things are
measured. First the error along the flat axis, where theory has a closed form for each
method at its asymptotic rate and β: Nesterov's at 1/λ falls as 1 - 1/√κ an update,
Polyak's as 1 - 2/√κ, gradient descent's as 1 - 1/κ. Then a race over one grid of rates
and β, which each method runs at its best: updates until the loss is within 100 of the
least, the course's tolerance, for good, which is through the last half of the run.

If Nesterov's gradient is the faster, the others need more updates; a ratio 5 % below 1
would refute it. Nothing is random. Rates step by 1.1 from 0.05/λ to 3.6/λ. 20,000
updates are 14 times √κ · ln(11), what Nesterov's needs to get from 68 to the 6 that are
allowed; gradient descent needs κ · ln(11)/2 at best, gets 450,000, and counts at its
first passage. A first version compared first passages of momentum and Nesterov's
gradient too. For both the best β is the nearest to 1 of any grid, where they swing
through the minimum undamped: that says nothing of convergence, so it is left to the
figure.

Claims: C121.
Sources: Nesterov 1983; Sutskever et al. 2013; Polyak 1964.
Cost: 10 seconds on 2 cores.
Expect: the closed forms hold; faster than gradient descent, in the end slower than
Polyak's.
Run: jaxml run acceleration
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, problem, record
from jaxml.record.comparisons import underlaid
from jaxml.record.figures import label, legend_below, panels
from jaxml.types import Array

EPS = float(np.finfo(float).eps)
LINE = problem.pokemon_line()
FLAT, STEEP = LINE.eigenvalues
FLAT_AXIS = LINE.eigenvectors[:, 0]
ROOT = np.sqrt(STEEP / FLAT)  # √κ
CLOSE = 100.0  # above the least squared error

BETA = 1 - 2 / (ROOT + 1)  # Nesterov's; Polyak's is its square
POLYAKS = 4 / (1 + 1 / ROOT) ** 2 / STEEP
NESTEROVS = 1 / STEEP
RATES = np.append(0.05 * 1.1 ** np.arange(46) / STEEP, [POLYAKS, NESTEROVS])
BETAS = np.sort(np.append(1 - np.logspace(-4, -0.7, 17), [BETA**2, BETA]))
NEVER = 1e9  # stands for the updates of a method that never is close

RAVINE = "squared error of a line through ten Pokémon, κ = 3.13e5"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of a run at most, of gradient descent, and of the errors; runs at
    once.
    """

    steps: int = 20_000
    gradient_descent_steps: int = 450_000
    law_steps: int = 3000
    lanes: int = 24


SMOKE = Config(steps=60, gradient_descent_steps=60, law_steps=60)


class Updates(NamedTuple):
    """Until the loss is close to the least; 0 if it never is."""

    once: Int[Array, "beta rate"]
    for_good: Int[Array, "beta rate"]  # through the last half of the run


class Errors(NamedTuple):
    """Along the flat axis, of each method at its asymptotic rate and β."""

    nesterov: Float[Array, " step"]
    polyak: Float[Array, " step"]
    gradient_descent: Float[Array, " step"]


class Result(NamedTuple):
    """Errors, and the races of the three methods; gradient descent has one β, 0."""

    errors: Errors
    nesterov: Updates
    momentum: Updates
    gradient_descent: Updates
    steps: Array  # [], updates of a run at most
    gradient_descent_steps: Array  # [], of gradient descent


class Pace(NamedTuple):
    """What each run of a race is given."""

    lr: Array
    beta: Array


def _squares(params, _):
    return jnp.sum((LINE.heights - LINE.design @ params) ** 2)


def _walk(family, steps, lr, beta):
    optimizer = family(learn.Hyper(lr=lr, momentum=beta))
    start = jnp.array(LINE.start)
    return learn.descend(
        _squares, optimizer, start, None, steps=steps, observe=lambda x: x
    )


def _errors(steps):
    """Errors along the flat axis, before each update."""
    walks = (
        _walk(learn.nag, steps, NESTEROVS, BETA),
        _walk(learn.momentum, steps, POLYAKS, BETA**2),
        _walk(learn.sgd, steps, NESTEROVS, 0.0),
    )
    observed = jnp.stack([walk.observed for walk in walks])
    return Errors._make(observed @ FLAT_AXIS - LINE.best @ FLAT_AXIS)


def _updates(family, steps, pace):
    """Updates of one run until the loss is close, once and for good."""
    losses = _walk(family, steps, pace.lr, pace.beta).loss
    close = losses < _squares(LINE.best, None) + CLOSE
    close_from_here = jnp.cumprod(close[::-1])[::-1]
    stays = jnp.argmax(close_from_here)
    for_good = jnp.where(2 * stays <= steps, stays, 0)
    return Updates(jnp.argmax(close), for_good)


def _race(family, steps, lanes, betas):
    """Updates of all rates and values of β, `[β, rate]`, on all cores."""
    beta, lr = np.meshgrid(betas, RATES, indexing="ij")
    paces = Pace(lr.ravel(), beta.ravel())

    def race(paces, _):
        return jax.vmap(partial(_updates, family, steps))(paces)

    def reshaped(column):
        return column.reshape(lr.shape)

    some = parallel.rows(paces, np.arange(lanes))
    program = parallel.compiled(race, some, None, chunks=-(-lr.size // lanes))
    return jax.tree.map(reshaped, parallel.gathered(program, paces, None))


def study(config: Config, keep: Callable) -> Result:
    """A program for the errors and one for each race, in float64."""
    errors = jax.jit(partial(_errors, config.law_steps))
    lanes = config.lanes

    def race(name, family, steps, betas):
        return keep(name, partial(_race, family, steps, lanes, betas))

    with jax.enable_x64(True):
        return Result(
            errors=keep("errors", errors),
            nesterov=race("nesterov", learn.nag, config.steps, BETAS),
            momentum=race("momentum", learn.momentum, config.steps, BETAS),
            gradient_descent=race(
                "gradient descent",
                learn.sgd,
                config.gradient_descent_steps,
                np.zeros(1),
            ),
            steps=np.array(config.steps),
            gradient_descent_steps=np.array(config.gradient_descent_steps),
        )


def findings(result: Result) -> tuple[record.Assertion, ...]:
    """Beside C121, which speaks of a path and not of its speed; nothing is random."""
    return (*_laws(result.errors), *_exponents(result.errors), *_races(result))


def _axis(errors: Errors) -> str:
    return f"{RAVINE}, {len(errors.nesterov):,} updates along the flat axis"


def _nesterovs_law(steps: int) -> np.ndarray:
    """(1 + kt)(1 - 1/√κ)ᵗ, the closed form of a double root."""
    t = np.arange(steps)
    rho = 1 - 1 / ROOT
    first = (1 - (1 + BETA) / ROOT**2) / rho - 1
    return (1 + first * t) * rho**t


def _relative(error: Array, law: np.ndarray) -> record.Interval:
    return record.largest(error / error[0] / law - 1)


def _laws(errors: Errors) -> tuple[record.Assertion, ...]:
    steps = len(errors.nesterov)
    gradient_descents_law = (1 - 1 / ROOT**2) ** np.arange(steps)
    return (
        record.supporting(
            "C121",
            "The error of Nesterov's gradient at η = 1/λ falls as (1 + kt)(1 - 1/√κ)ᵗ.",
            _relative(errors.nesterov, _nesterovs_law(steps)),
            record.at_most(steps * EPS**0.5),
            unit="relative error",
            setting=_axis(errors),
        ),
        record.supporting(
            "C121",
            "The error of gradient descent at η = 1/λ falls as (1 - 1/κ)ᵗ.",
            _relative(errors.gradient_descent, gradient_descents_law),
            record.at_most(4 * steps * EPS),
            unit="relative error",
            setting=_axis(errors),
        ),
    )


def _fall(error: Array) -> Array:
    """How many e-folds the error falls in the second half of a run."""
    half = len(error) // 2
    return np.log(np.abs(error[half] / error[-1]))


def _exponents(errors: Errors) -> tuple[record.Assertion, ...]:
    nesterov = _fall(errors.nesterov)
    reason = "5 % of a rate is not felt"
    return (
        record.supporting(
            "C121",
            "The error of Nesterov's gradient falls faster than that of gradient "
            "descent: ratio of exponents.",
            record.certain(nesterov / _fall(errors.gradient_descent)),
            record.above(1.0, margin=0.05, reason=reason),
            unit="ratio",
            setting=_axis(errors),
        ),
        record.supporting(
            "C121",
            "The error of Nesterov's gradient falls more slowly than that of Polyak's "
            "momentum: ratio of exponents.",
            record.certain(nesterov / _fall(errors.polyak)),
            record.below(1.0, margin=0.05, reason=reason),
            unit="ratio",
            setting=_axis(errors),
        ),
    )


def _fewest(updates: Array) -> np.ndarray:
    """Of each β at its best rate, NEVER if none is close."""
    return np.where(updates > 0, updates, NEVER).min(axis=1)


def _compared(slower: str, theirs: Array, result: Result) -> record.Assertion:
    ratio = _fewest(theirs).min() / _fewest(result.nesterov.for_good).min()
    reason = "5 % of the updates is less than a step of the grid of rates"
    setting = (
        f"{RAVINE}, updates until the loss stays within {CLOSE:g} of the least, of "
        "gradient descent until it first is, each at its best rate and β, "
        f"{result.steps:,} updates, of gradient descent "
        f"{result.gradient_descent_steps:,}"
    )
    return record.supporting(
        "C121",
        f"{slower} needs more updates than Nesterov's gradient.",
        record.certain(ratio),
        record.above(1.0, margin=0.05, reason=reason),
        unit="ratio",
        setting=setting,
    )


def _races(result: Result) -> tuple[record.Assertion, ...]:
    return (
        _compared("Gradient descent", result.gradient_descent.once, result),
        _compared("Momentum", result.momentum.for_good, result),
    )


def figures(result: Result) -> dict:
    """Errors along the flat axis beside their law, and updates by β."""
    figure, (errors, updates) = panels(1, 2, width=5.0)
    walked = {
        "Nesterov's gradient": result.errors.nesterov,
        "Polyak's momentum": result.errors.polyak,
        "gradient descent": result.errors.gradient_descent,
    }
    for name, error in walked.items():
        errors.semilogy(np.abs(error), label=name)
    first = np.abs(result.errors.nesterov[0])
    law = first * _nesterovs_law(len(result.errors.nesterov))
    underlaid(errors, np.arange(len(law)), law, "Nesterov's law")
    title = "Each at its asymptotic rate"
    label(errors, title, "update", "error along the flat axis")
    raced = {
        "Nesterov's, once": result.nesterov.once,
        "Nesterov's, for good": result.nesterov.for_good,
        "momentum, once": result.momentum.once,
        "momentum, for good": result.momentum.for_good,
    }
    for name, counts in raced.items():
        fewest = _fewest(counts)
        seen = np.where(fewest < NEVER, fewest, np.nan)
        updates.loglog(1 - BETAS, seen, markevery=1, label=name)
    title = "Each β at its best rate"
    label(updates, title, "1 - β", "updates to 100 above the least error")
    legend_below(errors)
    legend_below(updates)
    return {"acceleration": figure}
