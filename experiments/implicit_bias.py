"""Does dividing by gradients choose solutions that generalise worse, where many fit perfectly?

Least squares with more features than examples, from 0. In Wilson's construction the label is a feature, two
features are constant, and each example has 1 (label +1) or 5 (label -1) features of its own; fresh examples
bring features that no weight has seen. Beside it, Gaussian features and three kinds of teachers, whose error
is ‖w - w*‖²/‖w*‖². Adaptive methods choose their rate by the error on the first half of the seeds.

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

from jaxml import learn, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

EPS, TINY, HUGE = float(np.finfo(np.float64).eps), 1e-15, 1e8  # the last two are Adam's ε
PROBLEMS = ("Wilson's", "dense teacher", "sparse teacher", "teacher of signs")
COMMON, EXAMPLES, FEATURES, RELEVANT = 0.75, 40, 100, 5  # the probability of +1; RELEVANT of a sparse teacher
SOFT, ADAPTIVE = (0.5, 0.75, 1.0, 1.25, 1.5), (0.001, 0.003, 0.01, 0.03, 0.1)
METHODS = {  # family, schedule, ε, rates: those of SOFT in 1/λ, the largest curvature
    "descent": (learn.sgd, learn.constant, TINY, SOFT),
    "Adam, huge ε": (learn.adam, learn.constant, HUGE, SOFT),
    "Adagrad": (learn.adagrad, learn.constant, TINY, ADAPTIVE),
    "RMSProp": (learn.rmsprop, learn.cosine, TINY, ADAPTIVE),
    "Adam": (learn.adam, learn.cosine, TINY, ADAPTIVE),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates, and seeds of the data."""

    steps: int = 4000
    seeds: int = 16
    dtype: str = "float64"


SMOKE = Config(steps=50, seeds=4)


class Result(NamedTuple):
    """Arrays [problem, seed, ...]; solutions also [method, rate] before these; all in 203 features."""

    teachers: Array  # [..., feature], 0 for Wilson's
    least: Array  # [..., feature], the solution of least norm
    signs: Array  # [..., feature], of Xᵀy
    condition: Array  # [...], λ over the least positive curvature
    solutions: Array  # [method, rate, ..., feature]
    residual: Array  # [method, rate, ...], the largest |Xw - y|


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
    loss = lambda w, batch: jnp.mean((batch[0] @ w - batch[1]) ** 2) / 2  # noqa: E731
    start, batch = jnp.zeros(design.shape[1]), (design, targets)
    w = learn.descend(loss, family(hyper, shape), start, batch, steps=config.steps).params
    return w, jnp.abs(design @ w - targets).max()


def study(config, keep):
    """One program a method; seeds, problems and rates are lanes."""
    columns = zip(*(_data(seed) for seed in range(config.seeds)), strict=True)
    designs, targets, teachers = (np.stack(column, axis=1) for column in columns)
    values = np.linalg.svd(designs, compute_uv=False) ** 2 / EXAMPLES
    least = (np.linalg.pinv(designs) @ targets[..., None])[..., 0]
    given = values[..., 0], designs, targets
    with jax.enable_x64(True):
        over = lambda solve: jax.vmap(jax.vmap(solve, (None, 0, 0, 0)), (None, 0, 0, 0))  # noqa: E731
        lanes = lambda method: jax.vmap(over(partial(_solve, config, method)), (0, None, None, None))  # noqa: E731
        programs = ((name, jax.jit(lanes(each)), np.array(each[3])) for name, each in METHODS.items())
        runs = [keep(name, partial(program, rates, *given)) for name, program, rates in programs]
    solutions, residual = map(np.stack, zip(*runs, strict=True))
    signs = np.sign(np.einsum("psef,pse->psf", designs, targets))
    return Result(teachers, least, signs, values[..., 0] / values[..., -1], solutions, residual)


def _errors(result):
    """Shares misclassified in Wilson's [method, rate, seed], and errors [method, rate, teacher, seed]."""
    label_weight, one, other = np.moveaxis(result.solutions[:, :, 0, :, :3], -1, 0)
    wrong = COMMON * (label_weight + one + other <= 0) + (1 - COMMON) * (one + other - label_weight >= 0)
    off = ((result.solutions - result.teachers)[..., 1:, :, :] ** 2).sum(axis=-1)
    return wrong, off / (result.teachers[1:] ** 2).sum(axis=-1)


def findings(result):
    """Wilson's at every rate; elsewhere adaptive methods at their best one that fits, seeds paired."""
    exact, above = (partial(kind, unit="1", dtype="float64") for kind in (record.exact, record.above))
    (wrong, errors), half, worst = _errors(result), result.residual.shape[-1] // 2, result.condition.max()
    tuning = np.where(result.residual[..., 1:, :] < 1e-6, errors, np.inf)[..., :half].mean(axis=-1)
    best = np.argmin(tuning, axis=1)  # [method, teacher]
    scaled = result.solutions[:, 0, 0] / np.abs(result.solutions[:, 0, 0]).max(axis=-1, keepdims=True)
    off, names = np.abs(result.solutions - result.least).max(axis=(1, 2, 3, 4)), list(METHODS)
    return (
        exact("C109", "Descent finds the solution of least norm: off by.", off[:1], 10 * EPS * worst),
        exact("C109", "So does Adam with ε = 1e8: off by.", off[1:2], 4 * worst / HUGE),
        exact("C109", "Wilson's: these two err on no fresh example: share.", wrong[:2], 0.0),
        exact("C109", "Wilson's: adaptive methods keep to the signs of Xᵀy, at their lowest rates: off by.",
              scaled[2:] - result.signs[0], EPS**0.5),
        exact("C109", "Wilson's: adaptive methods err on the rarer class, all of it: share less its.",
              wrong[2:] - (1 - COMMON), 0.0),
        *(above("C109", f"{PROBLEMS[1 + t]}: {names[k]} generalises worse than descent: log ratio.",
                record.bootstrap(np.mean, np.log(errors[k, best[k, t], t] / errors[0, 1, t])[half:]), 0.0)
          for t in range(3) for k in (2, 3, 4)),
    )  # fmt: skip


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
