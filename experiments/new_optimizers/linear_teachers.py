"""Does Adam's solution generalise worse than momentum's, whatever a linear teacher is?

Least squares on Gaussian features, more of them than examples, without noise, from 0.
All that is compared fits every example, yet the solutions differ: gradient descent with
momentum finds the one of least norm, adaptive methods one whose weights are more equal.
Judged is the error on held-out examples, which for such features is ‖w - w*‖²/‖w*‖²,
Adam's over momentum's, as a logarithm.

There are three kinds of teachers w*. If Adam generalised worse whatever is learned, it
would on all three. If it only prefers equal weights, a sparse teacher suffers most, and
one whose weights are all ±1, the control, does not. An error 5 % larger would change no
one's choice of an optimizer: that is the margin.

A unit is a pair of draws of features and teachers. Each method chooses, among as many
rates, of those that fit, by its error on the first draws, and is judged on the second;
pairs are resampled, so the interval has the tuning in it. A first version tuned on half
of the resampled draws, of which some could be among those that judged, at rates that
step by 3. A second had 24 pairs, whose interval on the control was as wide as the band
of no effect; 96 halve it.

Of the claim this is Wilson's half, what full-batch methods choose in a linear model. It
speaks of networks as well, of mini-batches, of speed and of steadiness, of which
nothing is seen here: nothing here decides.

Claims: C109.
Sources: Wilson et al. 2017, arXiv:1705.08292; Choi et al. 2019, arXiv:1910.05446.
Cost: 20 seconds on 2 cores once compiled.
Expect: worse for dense and sparse teachers; of weights ±1, perhaps not.
Run: jaxml run linear_teachers
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, parallel, randomness, record
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.record.finding import Assertion
from jaxml.types import Array, Keep

EPSILON = 1e-15  # Adam's ε
FITS = 1e-6  # a largest residual below it is a perfect fit
NEVER = 1e9  # stands for the error of a rate that does not fit
EXAMPLES, FEATURES = 40, 100
RELEVANT = 5  # features of a sparse teacher
TEACHERS = (
    "of normal weights",
    f"of {RELEVANT} normal weights and else zeros",
    "of weights ±1",
)


class Method(NamedTuple):
    """An optimizer, its schedule and the rates that it is tried at."""

    family: learn.ShapedFamily
    shape: Callable
    rates: np.ndarray


GRID = np.geomspace(1.0, 100.0, 13)  # steps by 1.47
METHODS = {  # the largest curvature is 1
    "momentum": Method(learn.momentum, learn.constant, 0.02 * GRID),
    "Adam": Method(learn.adam, learn.cosine, 0.001 * GRID),
    "Adagrad": Method(learn.adagrad, learn.constant, 0.01 * GRID),
    "RMSProp": Method(learn.rmsprop, learn.cosine, 1e-4 * GRID),
}
MOMENTUM, ADAM = 0, 1  # places in METHODS


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of a run, pairs of draws, and problems that advance together."""

    steps: int = 4000
    pairs: int = 96
    lanes: int = 12
    seed: int = 0


SMOKE = Config(steps=50, pairs=2)


class Problem(NamedTuple):
    """Least squares, or arrays of it; the largest curvature is 1."""

    design: Array
    targets: Array
    teacher: Array


class Outcome(NamedTuple):
    """What one run ends at.

    Attributes:
        error: the squared distance to the teacher over its squared norm.
        residual: the largest error on an example.
    """

    error: Array
    residual: Array


class Result(NamedTuple):
    """As in `Outcome`; the first half of the draws tunes, the second is judged."""

    error: Float[np.ndarray, "method draw teacher rate"]
    residual: Float[np.ndarray, "method draw teacher rate"]
    steps: np.ndarray


def _design(random: np.random.Generator) -> np.ndarray:
    """Gaussian features, scaled to a largest curvature of 1, which moves no
    solution.
    """
    design = random.normal(size=(EXAMPLES, FEATURES))
    scale = np.linalg.norm(design, ord=2)
    return design * EXAMPLES**0.5 / scale


def _teachers(random: np.random.Generator) -> np.ndarray:
    """Weights of norm 1, of each kind."""
    dense = random.normal(size=FEATURES)
    sparse = random.normal(size=FEATURES)
    sparse[RELEVANT:] = 0.0
    signs = random.choice([-1.0, 1.0], FEATURES)
    weights = np.stack([dense, sparse, signs])
    norms = np.linalg.norm(weights, axis=1, keepdims=True)
    return weights / norms


def _problems(config: Config) -> Problem:
    """Each draw's design with a teacher of each kind, in turn."""
    designs, teachers = [], []
    draws = 2 * config.pairs
    for seed in randomness.seeds(config.seed, draws):
        random = np.random.default_rng(seed)
        designs += [_design(random)] * len(TEACHERS)
        teachers.append(_teachers(random))
    design = np.stack(designs)
    teacher = np.concatenate(teachers)
    targets = np.einsum("pef,pf->pe", design, teacher)
    return Problem(design, targets, teacher)


def _outcome(steps: int, method: Method, rate: Array, problem: Problem) -> Outcome:
    """One run from 0, to a teacher of norm 1."""
    horizon = float(steps)
    hyper = learn.Hyper(rate, epsilon=EPSILON, horizon=horizon)

    def residual(w: Array) -> Array:
        return problem.design @ w - problem.targets

    def loss(w: jax.Array, batch: None) -> jax.Array:
        del batch
        squares = residual(w) ** 2
        return jnp.mean(squares) / 2

    optimizer = method.family(hyper, method.shape)
    start = jnp.zeros_like(problem.teacher)
    descent = learn.descend(loss, optimizer, start, None, steps=steps)
    w = descent.params
    off = w - problem.teacher
    error = jnp.sum(off**2)
    largest = jnp.abs(residual(w)).max()
    return Outcome(error, largest)


def _outcomes(config: Config, method: Method) -> Outcome:
    """Of one method, `[problem, rate]`; problems are spread over the cores."""
    problems = _problems(config)
    one = partial(_outcome, config.steps, method)
    at_rates = jax.vmap(one, (0, None))

    def of_chunk(chunk: Problem, rates: Array) -> Outcome:
        at_problems = jax.vmap(at_rates, (None, 0))
        return at_problems(rates, chunk)

    lanes = np.arange(config.lanes)
    first = parallel.rows(problems, lanes)
    chunks = len(problems.targets) // config.lanes
    program = parallel.compiled(of_chunk, first, method.rates, chunks=chunks)
    return parallel.gathered(program, problems, method.rates)


def study(config: Config, keep: Keep) -> Result:
    """One program a method."""
    outcomes = []
    with jax.enable_x64(True):
        for name, method in METHODS.items():
            compute = partial(_outcomes, config, method)
            outcomes.append(keep(name, compute))
    draws = 2 * config.pairs
    shape = (len(METHODS), draws, len(TEACHERS), -1)
    errors = np.stack([outcome.error for outcome in outcomes])
    residuals = np.stack([outcome.residual for outcome in outcomes])
    return Result(
        error=errors.reshape(shape),
        residual=residuals.reshape(shape),
        steps=np.array(config.steps),
    )


def _log_ratio(
    tuning: Float[np.ndarray, "pair method rate"],
    judged: Float[np.ndarray, "pair method rate"],
) -> float:
    """Of Adam's errors to momentum's, each at the rate that is best on the tuning
    draws.
    """
    errors = tuning.mean(axis=0)
    momentum_rate = errors[MOMENTUM].argmin()
    adam_rate = errors[ADAM].argmin()
    momentum = np.log(judged[:, MOMENTUM, momentum_rate])
    adam = np.log(judged[:, ADAM, adam_rate])
    return float(np.mean(adam - momentum))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Adam against momentum on each kind of teacher; pairs of draws are the units."""
    reason = "5 % of an error changes no choice"
    rule = record.above(0.0, margin=0.05, reason=reason)
    rates = result.error.shape[-1]
    setting = (
        f"least squares of {EXAMPLES} examples with {FEATURES} Gaussian features, no "
        f"noise, {rates} rates each, {result.steps:,} full-batch updates from 0, "
        "float64"
    )
    errors = np.moveaxis(result.error, 0, 1)
    fits = np.moveaxis(result.residual < FITS, 0, 1)
    choosable = np.where(fits, errors, NEVER)
    pairs = len(errors) // 2
    rows = []
    for teacher, words in enumerate(TEACHERS):
        tuning = choosable[:pairs, :, teacher]
        judged = errors[pairs:, :, teacher]
        row = record.supporting(
            "C109",
            f"In a linear model with a teacher {words}, Adam, at its best rate, "
            "generalises worse than gradient descent with momentum.",
            record.bootstrap(_log_ratio, tuning, judged),
            rule,
            unit="log ratio",
            setting=setting,
        )
        rows.append(row)
    return tuple(rows)


def figures(result: Result) -> dict[str, Figure]:
    """Errors by rate over momentum's, where every draw is fitted: medians over draws,
    and a band that holds nine in ten.
    """
    figure, axes = panels(1, len(TEACHERS), width=4.8)
    momentum = result.error[MOMENTUM]
    ratios = result.error / momentum.min(axis=-1, keepdims=True)
    for teacher, panel in enumerate(axes):
        panel.set(xscale="log", yscale="log")
        for index, name in enumerate(METHODS):
            fitted = np.all(result.residual[index, :, teacher] < FITS, axis=0)
            of_draws = ratios[index, :, teacher, fitted]
            band(panel, METHODS[name].rates[fitted], of_draws, name, within=0.9)
        panel.axhspan(1 / 1.05, 1.05, color="0.8", label="too small to matter")
        title = f"A teacher {TEACHERS[teacher]}"
        label(panel, title, "rate η (1)", "error over momentum's least")
    shared_legend(figure, columns=5)
    return {"errors": figure}
