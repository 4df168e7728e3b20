"""Why is there one loss of the logits, and no softmax layer below it?

The course remarks that PyTorch joins softmax and cross-entropy. What is joined is
log Σⱼ exp(zⱼ) - z_y, with the largest logit taken out of the sum. In two steps the
softmax is rounded first, and its logarithm is taken of a probability that may have
become 0. Both are computed in float32, for labels that have the largest logit and for
labels that have the smallest, with logits up to 10,000, and held against float64. The
joint loss must be right to rounding, with finite gradients, everywhere; it would be
wrong if it were not finite, or off, anywhere. The two steps are the control: they must
fail on some logits, or there would be no reason to join them.

That a classifier needs no softmax of its own is the second half. With one,
probabilities are taken for logits, and since these differ by 1 at most, the loss of K
classes cannot fall below log(1 + (K - 1)/e), 1.46 nats of ten, however sure and right
the classifier is. Logits that are sure and right must have a loss of almost 0 without
the layer, and of no less than that with it. Whether PyTorch does what the course says
is not tested here, and neither is training.

Claims: C093.
Cost: 4 seconds on 2 cores, compilation included.
Expect: as the course says; two steps fail from differences of about 100 on.
Run: jaxml run joint_loss
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
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Keep

CLASSES = 10
SCALES = tuple(10.0 ** np.arange(-1, 5))  # largest differences of the logits
LABELS = ("largest", "smallest")  # logit of the label
WRONG = 1  # its index
FLOOR = np.log(1 + (CLASSES - 1) / np.e)  # of the loss of probabilities
NEGLIGIBLE = 0.01  # nats


@dataclass(frozen=True, kw_only=True)
class Config:
    """Random vectors of logits at each scale."""

    vectors: int = 500
    seed: int = 0


SMOKE = Config(vectors=20)


class Result(NamedTuple):
    """Losses in float32 by log-sum-exp and in two steps.

    Attributes:
        exact: the loss in float64.
        joint: the loss by log-sum-exp.
        joint_slope: largest entry of its gradient; not finite where one is not.
        steps: the loss of the logarithm of softmax.
        steps_slope: as `joint_slope`.
        below_layer: the joint loss of logits that are sure and right.
        with_layer: the joint loss of their softmax.
    """

    exact: Float[Array, "label scale vector"]
    joint: Float[Array, "label scale vector"]
    joint_slope: Float[Array, "label scale vector"]
    steps: Float[Array, "label scale vector"]
    steps_slope: Float[Array, "label scale vector"]
    below_layer: Float[Array, " vector"]
    with_layer: Float[Array, " vector"]


def study(config: Config, keep: Keep) -> Result:
    """One program, in float32 but for what is called exact."""
    with jax.enable_x64(True):
        return keep("measured", partial(jax.jit(_compute), _drawn(config)))


def _drawn(config: Config) -> Float[np.ndarray, "vector ten"]:
    """Random numbers from 0 to 1, both of which are reached in each vector."""
    (seed,) = randomness.seeds(config.seed, 1)
    uniform = np.random.default_rng(seed).uniform(size=(config.vectors, CLASSES))
    low, high = np.min(uniform, axis=1), np.max(uniform, axis=1)
    whole = (uniform - low[:, None]) / (high - low)[:, None]
    return whole.astype(np.float32)


def _compute(whole: Float[jax.Array, "vector ten"]) -> Result:
    """Logits from 0 to their scale."""
    scales = jnp.array(SCALES, jnp.float32)[:, None, None]
    scaled = (scales * whole[None]).reshape(-1, CLASSES)
    logits = jnp.concatenate([scaled, scaled])
    labels = jnp.concatenate([jnp.argmax(scaled, axis=1), jnp.argmin(scaled, axis=1)])
    joint, joint_slope = _measured(problem.cross_entropy, logits, labels)
    steps, steps_slope = _measured(_in_two_steps, logits, labels)
    exact = problem.cross_entropy(logits.astype(jnp.float64), labels)
    axes = (len(LABELS), len(SCALES), len(whole))
    sure, right = 100 * whole, jnp.argmax(whole, axis=1)
    return Result(
        exact=exact.reshape(axes),
        joint=joint.reshape(axes),
        joint_slope=joint_slope.reshape(axes),
        steps=steps.reshape(axes),
        steps_slope=steps_slope.reshape(axes),
        below_layer=problem.cross_entropy(sure, right),
        with_layer=problem.cross_entropy(jax.nn.softmax(sure), right),
    )


def _in_two_steps(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Softmax, which takes the largest logit out as well, and its logarithm."""
    probabilities = jax.nn.softmax(logits)
    indicator = jax.nn.one_hot(targets, CLASSES, dtype=logits.dtype)
    return -jnp.log(jnp.sum(indicator * probabilities, axis=1))


def _measured(
    loss: Callable[..., jax.Array], logits: jax.Array, labels: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The loss, and the largest entry of its gradient."""
    value, back = jax.vjp(partial(loss, targets=labels), logits)
    (gradient,) = back(jnp.ones_like(value))
    return value, jnp.max(jnp.abs(gradient), axis=1)


def findings(result: Result) -> tuple[Assertion, ...]:
    """The joint loss and the layer decide; two steps are the control."""
    setting = f"{CLASSES} logits up to {SCALES[-1]:,.0f} apart, float32"
    joint = _errors(result, result.joint)
    both = (
        (record.deciding, "The joint loss", joint, result.joint_slope),
        (
            record.supporting,
            "Control, softmax and then its logarithm: the loss",
            _errors(result, result.steps),
            result.steps_slope,
        ),
    )
    found = []
    for role, who, errors, slopes in both:
        finding = partial(role, "C093", setting=setting)
        infinite = np.isnan(slopes) | np.isinf(slopes)
        found += [
            finding(
                f"{who} in float32 is that in float64 up to rounding of the logits.",
                record.largest(errors),
                # two logits, the sum, its logarithm and the difference are rounded
                record.at_most(8 * float(np.finfo(np.float32).eps)),
                unit="relative error",
            ),
            finding(
                f"{who} has a finite gradient everywhere: gradients that are not.",
                record.certain(np.sum(infinite), of=slopes),
                record.at_most(0.0),
                unit="count",
            ),
        ]
    return (*found, *_layers(result))


def _errors(result: Result, losses: Array) -> Array:
    """Relative to 1 plus the largest logit; 1 where the loss is not finite."""
    scales = np.array(SCALES)[None, :, None]
    errors = np.abs(losses - result.exact) / (1 + scales)
    whole = np.where(np.isfinite(losses), errors, 1.0)
    return whole.astype(losses.dtype)


def _layers(result: Result) -> tuple[Assertion, ...]:
    setting = f"{CLASSES} logits 100 apart, the label's the largest, float32"
    smallest = np.min(result.with_layer)
    return (
        record.deciding(
            "C093",
            "With a softmax layer below the joint loss, classifiers that are right and "
            "sure keep a loss of log(1 + (K - 1)/e) or more: the smallest.",
            record.certain(smallest),
            record.above(FLOOR - NEGLIGIBLE),
            unit="nats",
            setting=setting,
        ),
        record.supporting(
            "C093",
            "Control, no softmax layer: the same classifiers keep that loss: the "
            "median.",
            record.certain(np.median(result.below_layer)),
            record.above(FLOOR - NEGLIGIBLE),
            unit="nats",
            setting=setting,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Errors of both by scale, and where the two steps are not finite."""
    figure, (errors, failures) = panels(1, 2, width=4.6, height=3.4)
    rows = (
        ("joint", result.joint, result.joint_slope, "black", "o"),
        ("two steps", result.steps, result.steps_slope, "#994455", "s"),
    )
    for name, losses, slopes, colour, marker in rows:
        wrong = _errors(result, losses)[WRONG]
        shown = np.broadcast_to(np.array(SCALES)[:, None], wrong.shape)
        points = {"s": 6, "color": colour, "marker": marker, "label": name}
        errors.scatter(shown, np.maximum(wrong, 1e-10), **points)
        lost = ~(np.isfinite(slopes) & np.isfinite(losses))
        part = np.mean(lost[WRONG], axis=1)
        failures.plot(SCALES, part, marker=marker, color=colour, label=name)
    for axis in (errors, failures):
        axis.set_xscale("log")
    errors.set_yscale("log")
    x = "largest difference of the logits"
    label(
        errors, "The label's logit the smallest; 1 is not finite", x, "relative error"
    )
    y = "loss or gradient not finite (fraction)"
    label(failures, "Not finite", x, y)
    shared_legend(figure)
    return {"joint_loss": figure}
