"""Does a classifier of small random weights start at a cross-entropy of ln K?

Of K equal logits the cross-entropy is ln K, and small kernels make logits nearly equal.
A linear classifier is drawn anew, and with it 500 of the 8x8 digits, with replacement:
its kernels have a standard deviation of 0.01, it has K = 2, 5 or 10 classes, and labels
are digits modulo K. The course is right where the mean distance of the
cross-entropy from ln K is below 1 % of ln K, 0.02 nats of ten classes, and wrong where
it is above. Control: kernels of standard deviation 1, which must start farther off.

Beside it the loss itself: of ten equal logits it must be ln 10 to rounding, however
large they are, in float64 and in float32. Networks and trained weights are not tested.

Claims: C096.
Cost: 3 seconds on 2 cores, compilation included.
Expect: ln K within 1 %.
Run: jaxml run initial_cross_entropy
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, shared_legend, strips
from jaxml.types import Array, Keep

CLASSES = (2, 5, 10)
SCALES = (0.01, 1.0)  # standard deviations of the kernels
COLOURS = ("black", "#994455")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Classifiers, digits that each sees, and vectors of equal logits."""

    seeds: int = 20
    examples: int = 500
    vectors: int = 2000
    seed: int = 0


SMOKE = Config(seeds=2, examples=20, vectors=50)


class Result(NamedTuple):
    """First cross-entropies of classifiers, and those of equal logits.

    Attributes:
        start: cross-entropy over ln K.
        equal: of ten logits c, (cross-entropy - ln 10) / (|c| + ln 10).
        equal_single: the same in float32.
    """

    start: Float[Array, "scale classes seed"]
    equal: Float[Array, " vector"]
    equal_single: Float[Array, " vector"]


def study(config: Config, keep: Keep) -> Result:
    """One program, in float64 but for what is called single."""
    with jax.enable_x64(True):
        return keep("measured", jax.jit(partial(_compute, config)))


def _compute(config: Config) -> Result:
    key = randomness.key(config.seed)
    first, second = jax.random.split(key)
    normal = 10 * jax.random.normal(first, (config.vectors, 10))
    common = normal[:, 0]  # a logit that all ten classes are given
    keys = jax.random.split(second, config.seeds)
    classifier = partial(_classifier, config.examples)
    logits, labels = jax.lax.map(classifier, keys)
    starts = [_start(logits, labels, classes) for classes in CLASSES]
    return Result(
        start=jnp.stack(starts, axis=1),
        equal=_equal(common),
        equal_single=_equal(common.astype(jnp.float32)),
    )


def _classifier(examples: int, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return problem.untrained_logits(examples, key=key)


def _start(
    logits: Float[jax.Array, "seed example ten"], labels: jax.Array, classes: int
) -> Float[jax.Array, "scale seed"]:
    """The first columns are a classifier of fewer classes."""
    few = logits[..., :classes]
    scales = jnp.array(SCALES)[:, None, None, None]
    scaled = scales * few[None]
    own = labels % classes
    both = jnp.broadcast_to(own[None], scaled.shape[:3])
    flat = scaled.reshape(-1, classes)
    losses = problem.cross_entropy(flat, both.ravel())
    means = losses.reshape(both.shape).mean(axis=2)
    return means / np.log(classes)


def _equal(common: Float[jax.Array, " vector"]) -> Float[jax.Array, " vector"]:
    logits = jnp.tile(common[:, None], 10)
    ten = jnp.asarray(10, common.dtype)
    entropy = jnp.log(ten)
    labels = jnp.zeros(len(common), int)
    losses = problem.cross_entropy(logits, labels)
    size = jnp.abs(common) + entropy
    return (losses - entropy) / size


def findings(result: Result) -> tuple[Assertion, ...]:
    """Small kernels decide; large ones are the control."""
    small, large = result.start
    return (
        *_starts(record.deciding, "Small kernels, 0.01·randn,", small),
        *_starts(record.supporting, "Control, large kernels, 1.0·randn,", large),
        _equals(result.equal),
        _equals(result.equal_single),
    )


def _starts(
    role: Callable[..., Assertion], kernels: str, starts: Array
) -> list[Assertion]:
    found = []
    for classes, ratios in zip(CLASSES, starts, strict=True):
        distance = np.abs(ratios - 1)
        finding = role(
            "C096",
            f"{kernels} start classifiers at a cross-entropy of ln K: mean distance.",
            record.bootstrap(np.mean, distance),
            record.below(0.01),  # 0.02 nats of 2.3: any more counts
            unit="relative error",
            setting=f"8x8 digits drawn anew, linear classifier, K = {classes}",
        )
        found.append(finding)
    return found


def _equals(errors: Array) -> Assertion:
    return record.supporting(
        "C096",
        "The cross-entropy of ten equal logits is ln 10, relative to their size.",
        record.largest(errors),
        # one rounding each of the logarithm, of adding the shift, of taking it off
        record.at_most(3 * float(np.finfo(errors.dtype).eps)),
        unit="relative error",
        setting=f"normal common logits, standard deviation 10, {errors.dtype}",
    )


def figures(result: Result) -> dict[str, Figure]:
    """A point a classifier."""
    figure, (axis,) = panels(width=6.5, height=3.6)
    samples = {}
    for scale, starts in zip(SCALES, result.start, strict=True):
        for classes, values in zip(CLASSES, starts, strict=True):
            samples[f"K = {classes}, {scale}·randn"] = values
    strips(axis, samples)
    equal = "ln K, which is 2.303 for K = 10"
    axis.axhline(1, color="0.4", linestyle=":", label=equal)
    axis.set_yscale("log")
    title = "New classifiers, a point each"
    label(axis, title, "classes and kernels", "cross-entropy / ln K")
    shared_legend(figure)
    return {"initial_cross_entropy": figure}
