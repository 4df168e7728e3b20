"""Where is a classification loss steep, and where does it start?

With p = softmax(z) and r = p - e_y the gradient of the cross-entropy by the logits is
r, and the squared error is S = ‖r‖²: cross-entropy is as steep as √S. The gradient of S
is 2 (diag p - p pᵀ) r. S near its most, 2, takes a p near a wrong corner, where that
matrix vanishes: ‖∇S‖ <= 4√2 (2 - S). The control swaps the losses. From (-10, 10)
descent of rate η on S takes some e²⁰/8η updates, on cross-entropy some 10/η.

Of equal logits the cross-entropy is ln K. The control of small kernels is large ones.
All is in float64 but for what says float32. Digits are drawn anew, with replacement,
and a linear classifier with them. Training of networks is not tested.

Claims: C092, C096.
Cost: 5 seconds on 2 cores, compilation included.
Expect: formulas to rounding, Adam leaves the flat region, ln K within 1 %.
Run: jaxml run likelihood
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, randomness, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

LOSSES = (problem.cross_entropy, problem.softmax_mse)
CE, SE = 0, 1
NAMES = ("cross-entropy", "squared error")
COLOURS = ("black", "#994455")
ENTRANTS = ((learn.sgd, 1.0), (learn.momentum, 1.0), (learn.adam, 0.1))
RULES = ("gradient descent of rate 1", "momentum of rate 1", "Adam of rate 0.1")
CLASSES = (2, 5, 10)
SCALES = (0.01, 1.0)  # standard deviations of the kernels
CORNERS = ((-10.0, 10.0), (-5.0, 5.0), (0.0, 0.0))  # y₁ and y₂, beside y₃ = -1000
COMPUTED = np.array([1.17e-8, 2.6e-4, 0.707])  # in the ledger: ‖∇S‖ there


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes."""

    vectors: int = 2000
    examples: int = 500
    seeds: int = 20
    steps: int = 5000
    seed: int = 0


SMOKE = Config(vectors=50, examples=20, seeds=2, steps=100)


class Result(NamedTuple):
    """Looks are [loss, (value, ‖gradient by the logits‖), point]."""

    corners: Array  # a look at CORNERS
    random: Array  # a look at normal logits of standard deviation 10
    single: Array  # the same in float32
    digits: Array  # a look at the logits of large kernels
    paths: Array  # [loss, optimizer, update], the label's probability from (-10, 10)
    start: Array  # [scale, classes, seed], first cross-entropy over ln K
    equal: Array  # [vector], of equal logits c: (loss - ln 10) / (|c| + ln 10)
    equal_single: Array  # the same in float32


def study(config, keep):
    """One program, in float64 but for what is called single."""
    with jax.enable_x64(True):
        return keep("looks", jax.jit(partial(_compute, config)))


def _compute(config):
    first, second = jax.random.split(randomness.key(config.seed))
    keys = jax.random.split(second, config.seeds)
    logits = 10 * jax.random.normal(first, (config.vectors, 10))
    labels = jnp.arange(config.vectors) % 10
    pairs = jnp.pad(jnp.array(CORNERS), ((0, 0), (0, 1)), constant_values=-1000)
    single = logits.astype(jnp.float32)
    draw = partial(_drawn, problem.digits(dtype=np.float64), config.examples)
    wrong, digits = jax.vmap(draw)(keys)
    starts = [_start(wrong, digits, classes) for classes in CLASSES]
    equal = _equal(logits[:, 0])
    return Result(
        corners=_look(pairs, jnp.zeros(3, int)),
        random=_look(logits, labels),
        single=_look(single, labels),
        digits=_look(wrong[0], digits[0]),
        paths=_paths(config, pairs[0]),
        start=jnp.stack(starts, axis=1),
        equal=equal,
        equal_single=_equal(single[:, 0]),
    )


def _look(logits, labels):
    rows = []
    for loss in LOSSES:
        value, back = jax.vjp(partial(loss, targets=labels), logits)
        (slope,) = back(jnp.ones_like(value))
        rows.append(jnp.stack([value, jnp.linalg.norm(slope, axis=1)]))
    return jnp.stack(rows)


def _paths(config, start):
    """Both losses at once: each has logits, and so optimizer states, of its own."""

    def objective(logits, targets):
        ours, theirs = (loss(logits, targets) for loss in LOSSES)
        return ours[CE] + theirs[SE]

    watched = partial(learn.descend, observe=lambda z: jax.nn.softmax(z)[:, 0])
    both = jnp.stack([start, start]), jnp.zeros(2, int)
    paths = [
        watched(objective, family(learn.Hyper(lr=rate)), *both, steps=config.steps)
        for family, rate in ENTRANTS
    ]
    return jnp.stack([path.observed.T for path in paths], axis=1)


def _drawn(data, examples, key):
    """Labels of digits drawn anew, and a new linear classifier's logits there."""
    chosen = jax.random.randint(key, (examples,), 0, len(data.targets))
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf)[chosen], data)
    model = problem.mlp((10,), jnp.tanh, scale=8.0)  # over √64 inputs: randn
    params, _ = problem.start(model, batch.inputs)(jax.random.fold_in(key, 1))
    return problem.outputs(model)(params, batch), batch.targets


def _start(logits, labels, classes):
    """[scale, seed]: the first columns are a classifier of fewer classes."""
    few = jnp.array(SCALES)[:, None, None, None] * logits[None, ..., :classes]
    own = jnp.broadcast_to((labels % classes)[None], few.shape[:3])
    losses = problem.cross_entropy(few.reshape(-1, classes), own.ravel())
    return losses.reshape(own.shape).mean(axis=2) / np.log(classes)


def _equal(common):
    logits = jnp.tile(common[:, None], 10)
    entropy = jnp.log(jnp.asarray(10, common.dtype))
    losses = problem.cross_entropy(logits, jnp.zeros(len(common), int))
    return (losses - entropy) / (jnp.abs(common) + entropy)


def findings(result):
    """Equations and bounds to rounding, and controls on which they must fail."""
    normal = "normal logits of ten classes, standard deviation 10"
    digits = "8x8 digits, linear classifier of random kernels 1.0·randn"
    return (
        *_slopes(record.deciding, 1, result.random, normal),
        *_slopes(record.deciding, 1, result.digits, digits),
        *_slopes(record.supporting, 1, result.single, f"{normal}, float32"),
        *_slopes(record.supporting, 0, result.random, normal),
        *_slopes(record.supporting, 0, result.digits, digits),
        record.supporting(
            "C092",
            "Gradients of squared error at (-10, 10), (-5, 5) and (0, 0) are as long "
            "as in the ledger.",
            record.largest(result.corners[1, 1] / COMPUTED - 1),
            record.at_most(0.02),  # half a unit of the second digit of 2.6e-4
            unit="relative error",
            setting="logits y₁, y₂ and -1000, label 1",
        ),
        *_stuck(result.paths),
        *_starts(result.start),
        _equals(result.equal),
        _equals(result.equal_single),
    )


def _slopes(role, flat, look, setting):
    """Of the loss `flat` the bound, of the other the equation."""
    # ten terms err by some eps each, the exponential of a logit x below the largest by
    # x·eps·e⁻ˣ < eps; the bound multiplies by 4√2
    rule = record.at_most(80 * float(np.finfo(look.dtype).eps))
    bound = 32**0.5 * np.maximum(2 - look[flat, 0], 0)
    finding = partial(role, "C092", unit="error", setting=setting)
    control = "" if flat else "Control, the losses swapped: "
    return (
        finding(
            f"{control}The gradient of the {NAMES[1 - flat]} by the logits is as long "
            "as the root of the squared error.",
            record.largest(look[1 - flat, 1] - np.sqrt(look[1, 0])),
            rule,
        ),
        finding(
            f"{control}The gradient of the {NAMES[flat]} by the logits is at most 4√2 "
            "times as long as this loss lies below 2.",
            record.largest(np.maximum(look[flat, 1] - bound, 0)),
            rule,
        ),
    )


def _stuck(paths):
    found = []
    setting = f"logits (-10, 10, -1000), label 1, {paths.shape[2] - 1:,} updates"
    for loss, entrant in np.ndindex(2, 3):
        decides = (loss, entrant) == (SE, 0)
        role = record.deciding if decides else record.supporting
        statement = (
            f"On the {NAMES[loss]} {RULES[entrant]} leaves the probability of the "
            "label below 0.9."
        )
        last = record.certain(paths[loss, entrant, -1])
        rule = record.below(0.9)
        found.append(
            role("C092", statement, last, rule, unit="fraction", setting=setting)
        )
    return found


def _starts(start):
    small = "Small kernels, 0.01·randn,", record.deciding
    large = "Control, large kernels, 1.0·randn,", record.supporting
    rule = record.below(0.01)  # 0.02 nats of 2.3: any excess counts
    found = []
    for (subject, role), losses in zip((small, large), start, strict=True):
        for classes, ratios in zip(CLASSES, losses, strict=True):
            distance = record.bootstrap(np.mean, np.abs(ratios - 1))
            finding = role(
                "C096",
                f"{subject} start classifiers at a cross-entropy of ln K: mean "
                "distance.",
                distance,
                rule,
                unit="relative error",
                setting=f"8x8 digits drawn anew, linear classifier, K = {classes}",
            )
            found.append(finding)
    return found


def _equals(errors):
    return record.supporting(
        "C096",
        "The cross-entropy of ten equal logits is ln 10, relative to their size.",
        record.largest(errors),
        # one rounding each of the logarithm, of adding the shift, of taking it off
        record.at_most(3 * float(np.finfo(errors.dtype).eps)),
        unit="relative error",
        setting=f"normal common logits, standard deviation 10, {errors.dtype}",
    )


def figures(result):
    """Slopes, the ways out, and first cross-entropies."""
    figure, (slope, path, start) = panels(1, 3)
    for row, (name, colour) in enumerate(zip(NAMES, COLOURS, strict=True)):
        look = {"s": 8, "color": colour, "marker": "os"[row]}
        slope.scatter(result.random[1, 0], result.random[row, 1], label=name, **look)
        for entrant, line in ((0, "-"), (2, ":")):
            path.semilogx(
                1 + np.arange(result.paths.shape[2]),
                result.paths[row, entrant],
                line,
                color=colour,
                label=f"{name}, {('descent', '', 'Adam')[entrant]}",
            )
        points = np.repeat(CLASSES, result.start.shape[2])
        kernels = ("0.01", "1.0")[row] + "·randn"
        start.scatter(points, result.start[row], label=kernels, **look)
    slope.set_yscale("log")
    start.set_yscale("log")
    start.axhline(1, color="0.4", linestyle=":", label="ln K")
    label(slope, "Random logits", "squared error", "‖gradient by the logits‖")
    label(path, "From logits (-10, 10)", "update", "probability of the label")
    label(start, "New classifiers", "classes K", "cross-entropy / ln K")
    for axes in (slope, path, start):
        axes.legend(fontsize=8)
    return {"likelihood": figure}
