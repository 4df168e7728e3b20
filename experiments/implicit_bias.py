"""Does dividing by gradients choose solutions that generalise worse, where many fit perfectly?

Least squares with more features than examples, from 0. In Wilson's construction the label is a feature, two
features are constant, and each example has 1 (label +1) or 5 (label -1) features of its own; fresh examples
bring features that no weight has seen. Beside it, Gaussian features and three kinds of teachers, whose error
is ‖w - w*‖²/‖w*‖². Adaptive methods choose their rate, among those that fit, by the error on half of the
seeds and are judged on the other half; the bootstrap draws both anew. The claim speaks of networks, of SGD
with momentum, of speed and of steadiness, of which linear models say nothing: nothing here decides.

Claims: C109.
Sources: Wilson et al. 2017, arXiv:1705.08292, section 3; Choi et al. 2019, arXiv:1910.05446.
Cost: 20 seconds on 2 cores.
Expect: signs and errors on the rarer class; worse for dense and sparse teachers; of signs, perhaps not.
Run: jaxml run implicit_bias
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, randomness, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

EPS = float(np.finfo(np.float64).eps)
TINY, HUGE = 1e-15, 1e8  # Adam's ε
FITS = 1e-6  # a largest residual below it counts as a perfect fit
PROBLEMS = ("Wilson's", "dense teacher", "sparse teacher", "teacher of signs")
COMMON, EXAMPLES, FEATURES, RELEVANT = 0.75, 40, 100, 5  # the probability of +1; RELEVANT of a sparse teacher
TEACHERS = ("normal weights", f"{RELEVANT} normal weights and else zeros", "weights ±1")
SOFT, ADAPTIVE = (0.5, 0.75, 1.0, 1.25, 1.5), (0.001, 0.003, 0.01, 0.03, 0.1)
METHODS = {  # family, schedule, ε, rates: those of SOFT in 1/λ, the largest curvature
    "descent": (learn.sgd, learn.constant, TINY, SOFT),
    "Adam, huge ε": (learn.adam, learn.constant, HUGE, SOFT),
    "Adagrad": (learn.adagrad, learn.constant, TINY, ADAPTIVE),
    "RMSProp": (learn.rmsprop, learn.cosine, TINY, ADAPTIVE),
    "Adam": (learn.adam, learn.cosine, TINY, ADAPTIVE),
}
DESCENT, HUGE_EPSILON, ADAGRAD, RMSPROP, ADAM = range(len(METHODS))
UNIT_RATE = 1  # SOFT[UNIT_RATE] is descent's, whose solution does not depend on the rate


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates, and seeds of the data."""

    steps: int = 4000
    seeds: int = 16
    seed: int = 0


SMOKE = Config(steps=50, seeds=4)


class Result(NamedTuple):
    """Arrays [problem, seed, ...]; solutions also [method, rate] before these; all in 203 features."""

    teachers: Array  # [..., feature], 0 for Wilson's
    least: Array  # [..., feature], the solution of least norm
    signs: Array  # [..., feature], of Xᵀy
    condition: Array  # [...], λ over the least positive curvature
    solutions: Array  # [method, rate, ..., feature]
    residual: Array  # [method, rate, ...], the largest |Xw - y|
    steps: Array  # [], updates of each


def _data(seed):
    """Designs, targets and teachers of the PROBLEMS."""
    random = np.random.default_rng(seed)
    labels = np.where(random.random(EXAMPLES) < COMMON, 1.0, -1.0)
    own = np.eye(EXAMPLES)[:, :, None] * np.where(labels[:, None, None] > 0, np.eye(5)[0], 1.0)
    design = np.hstack([labels[:, None], np.ones((EXAMPLES, 2)), own.reshape(EXAMPLES, -1)])
    gauss, teachers = np.zeros_like(design), np.zeros((4, design.shape[1]))
    gauss[:, :FEATURES] = random.normal(size=(EXAMPLES, FEATURES))
    teachers[1, :FEATURES] = random.normal(size=FEATURES)
    teachers[2, :RELEVANT] = random.normal(size=RELEVANT) * (FEATURES / RELEVANT) ** 0.5
    teachers[3, :FEATURES] = random.choice([-1.0, 1.0], FEATURES)
    teachers /= FEATURES**0.5
    return np.stack([design, gauss, gauss, gauss]), np.stack([labels, *(teachers[1:] @ gauss.T)]), teachers


def _solve(config, method, rate, scale, design, targets):
    """The last weights from 0, and their largest residual."""
    family, shape, epsilon, rates = method
    lr = rate / scale * max(epsilon, 1.0) if rates is SOFT else rate
    hyper = learn.Hyper(lr, 0.9, 0.999, epsilon, horizon=float(config.steps))

    def loss(w, batch):
        return jnp.mean((batch[0] @ w - batch[1]) ** 2) / 2

    start, batch = jnp.zeros(design.shape[1]), (design, targets)
    w = learn.descend(loss, family(hyper, shape), start, batch, steps=config.steps).params
    return w, jnp.abs(design @ w - targets).max()


def _program(config, method):
    """Weights and residuals `[rate, problem, seed]` of one method."""
    seeds = jax.vmap(partial(_solve, config, method), (None, 0, 0, 0))
    problems = jax.vmap(seeds, (None, 0, 0, 0))
    return jax.jit(jax.vmap(problems, (0, None, None, None)))


def study(config, keep):
    """One program a method; seeds, problems and rates are lanes."""
    draws = [_data(seed) for seed in randomness.seeds(config.seed, config.seeds)]
    designs, targets, teachers = (np.stack(each, axis=1) for each in zip(*draws, strict=True))
    values = np.linalg.svd(designs, compute_uv=False) ** 2 / EXAMPLES
    least = (np.linalg.pinv(designs) @ targets[..., None])[..., 0]
    given = values[..., 0], designs, targets
    with jax.enable_x64(True):
        runs = [
            keep(name, partial(_program(config, method), np.array(method[3]), *given))
            for name, method in METHODS.items()
        ]
    solutions, residual = map(np.stack, zip(*runs, strict=True))
    signs = np.sign(np.einsum("psef,pse->psf", designs, targets))
    condition = values[..., 0] / values[..., -1]
    return Result(teachers, least, signs, condition, solutions, residual, np.array(config.steps))


def _errors(result):
    """Shares misclassified in Wilson's [method, rate, seed], and errors [method, rate, teacher, seed]."""
    label_weight, one, other = np.moveaxis(result.solutions[:, :, 0, :, :3], -1, 0)
    wrong = COMMON * (label_weight + one + other <= 0) + (1 - COMMON) * (one + other - label_weight >= 0)
    off = ((result.solutions - result.teachers)[..., 1:, :, :] ** 2).sum(axis=-1)
    return wrong, off / (result.teachers[1:] ** 2).sum(axis=-1)


def findings(result):
    """Wilson's at every rate; elsewhere adaptive methods at their best one that fits, seeds paired."""
    return (*_least_norm(result), *_wilson(result), *_teachers(result))


def _least_norm(result):
    """Descent, and Adam with a huge ε, against the solution of least norm."""
    worst = result.condition.max()
    off = np.abs(result.solutions - result.least).max(axis=(1, 2, 3, 4))
    setting = (
        f"least squares of {EXAMPLES} examples with more features than examples, Wilson's construction and "
        f"three teachers, {result.steps:,} full-batch updates from 0"
    )
    return (
        record.supporting(
            "C109",
            "Gradient descent finds the solution of least norm.",
            record.largest(off[DESCENT, None]),
            record.at_most(10 * EPS * worst),
            unit="error",
            setting=setting,
        ),
        record.supporting(
            "C109",
            "With ε = 1e8 Adam finds the solution of least norm too.",
            record.largest(off[HUGE_EPSILON, None]),
            record.at_most(4 * worst / HUGE),
            unit="error",
            setting=setting,
        ),
    )


def _wilson(result):
    """Shares of fresh examples that are misclassified, exactly, and the adaptive methods' solution."""
    wrong, _ = _errors(result)
    solutions = result.solutions[:, 0, 0]  # at the lowest rates
    scaled = solutions / np.abs(solutions).max(axis=-1, keepdims=True)
    setting = (
        f"Wilson's construction, {EXAMPLES} examples, {100 * COMMON:.0f} % of them +1, fresh examples, "
        f"{result.steps:,} full-batch updates from 0"
    )
    return (
        record.supporting(
            "C109",
            "Adam, at the best of five rates, misclassifies more fresh examples than gradient descent.",
            record.paired(wrong[ADAM].min(axis=0), wrong[DESCENT].max(axis=0)),
            record.above(0.0, margin=0.005, reason="half a point is less than what seeds move"),
            unit="fraction difference",
            setting=setting,
        ),
        record.supporting(
            "C109",
            "Gradient descent, and Adam with ε = 1e8, misclassify no fresh example at any rate.",
            record.largest(wrong[[DESCENT, HUGE_EPSILON]]),
            record.at_most(0.0),
            unit="fraction",
            setting=setting,
        ),
        record.supporting(
            "C109",
            "Adagrad, RMSProp and Adam misclassify the rarer class, and all of it, at every rate: "
            "the misclassified fraction minus the class's.",
            record.largest(wrong[ADAGRAD:] - (1 - COMMON)),
            record.at_most(0.0),
            unit="error",
            setting=setting,
        ),
        record.supporting(
            "C109",
            "Adagrad, RMSProp and Adam, at their lowest rates, keep to the signs of Xᵀy.",
            record.largest(scaled[ADAGRAD:] - result.signs[0]),
            record.at_most(EPS**0.5),
            unit="error",
            setting=setting,
        ),
    )


def _teachers(result):
    """Log ratios of errors to descent's on Gaussian features."""
    _, errors = _errors(result)
    names, rows = list(METHODS), []
    for teacher, weights in enumerate(TEACHERS):
        for method in (ADAM, ADAGRAD, RMSPROP):
            residual = result.residual[method, :, 1 + teacher].T
            ratio = np.log(errors[method, :, teacher] / errors[DESCENT, UNIT_RATE, teacher]).T
            rows.append(
                record.supporting(
                    "C109",
                    f"{names[method]}, at its best rate, generalises worse than gradient descent.",
                    record.bootstrap(_tuned_log_ratio, errors[method, :, teacher].T, residual, ratio),
                    record.above(0.0, margin=0.05, reason="5 % of an error is less than what seeds move"),
                    unit="log ratio",
                    setting=(
                        f"least squares of {EXAMPLES} examples with {FEATURES} Gaussian features, "
                        f"a teacher of {weights}, no noise, {result.steps:,} full-batch updates from 0"
                    ),
                )
            )
    return rows


def _tuned_log_ratio(errors, residual, ratio):
    """The mean ratio in the later half of the seeds `[seed, rate]`, at the rate that is best in the first."""
    half = len(errors) // 2
    fitting = np.where(residual < FITS, errors, np.inf)
    best = np.argmin(fitting[:half].mean(axis=0))
    return ratio[half:, best].mean()


def figures(result):
    """Errors by rate, over descent's, and solutions of one draw of Wilson's."""
    figure, axes = panels(1, 4, width=4.0)
    ratio = np.exp(np.log(_errors(result)[1] / _errors(result)[1][0, 1]).mean(axis=-1))
    for t, axis in enumerate(axes[:3]):
        axis.loglog(ADAPTIVE, ratio[2:, :, t].T, label=list(METHODS)[2:], markevery=1)
        axis.axhline(1, color="0.4", linestyle=":", label="descent")
        label(axis, PROBLEMS[1 + t], "rate η (1)", "error / descent's, mean (1)")
    axes[3].plot(result.solutions[:, 0, 0, 0, :16].T, label=list(METHODS), markevery=1)
    label(axes[3], "Wilson's, lowest rate, seed 0", "feature (0 is the label)", "weight (1)")
    for axis in axes[2:]:
        axis.legend(fontsize=7)
    return {"errors": figure}
