"""Is decaying the weights the same as penalising their squares?

For gradient descent at a constant rate the two are one method. Momentum and Adam's
moments carry the penalty's gradient along, and Adam divides it by the size of the
loss's: so under a penalty the weights depend on the scale of the loss, and where the
loss is constant they do not shrink at the rate that was asked for. Under decay (SGDW,
AdamW) they do.

Everything is deterministic, on a quadratic in float64 that is multiplied by 0, 0.01, 1
and 100; Adam's ε is 0 but where the loss is constant. A penalty that were decay would
show the same path, no change with the scale, and the factor 1 - ηγ an update. Which of
the two generalises better, and how rate and decay are coupled, is asked by the study
weight_decay.

Claims: C123.
Sources: Loshchilov and Hutter 2019, arXiv:1711.05101, section 2.
Cost: 1 second on 2 cores, compilation included.
Expect: equal for SGD, unequal for SGD with momentum and Adam.
Run: jaxml run decay_or_penalty
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, record
from jaxml.record.comparisons import underlaid
from jaxml.record.figures import label, legend_below, panels
from jaxml.types import Keep

SCALES = np.array([0.0, 0.01, 1.0, 100.0])  # of the loss
EPSILONS = np.array([1e-8, 0.0, 0.0, 0.0])  # Adam's, which a constant loss needs
METHODS = {
    "sgd": learn.sgd,
    "sgd_decoupled": learn.decoupled(learn.by()),
    "momentum": learn.momentum,
    "sgdw": learn.sgdw,
    "adam": learn.adam,
    "adamw": learn.adamw,
}
NAMES = {
    "momentum": "momentum, ℓ₂ penalty",
    "sgdw": "SGDW",
    "adam": "Adam, ℓ₂ penalty",
    "adamw": "AdamW",
}
COUPLED = "momentum", "adam"
DECOUPLED = "sgdw", "adamw"
RATE, DECAY = 0.01, 0.1

QUADRATIC = (
    "quadratic of 6 weights and condition 100, rate 0.01, decay 0.1, 200 full-batch "
    "updates"
)
SCALED = f"{QUADRATIC}, loss times 0.01, 1 and 100"
FLAT = "6 weights, a constant loss, rate 0.01, decay 0.1, 200 updates"


@dataclass(frozen=True, kw_only=True)
class Config:
    """How far; nothing is random."""

    updates: int = 200


SMOKE = Config()


class Result(NamedTuple):
    """Where the weights stood before each update, in float64."""

    paths: Float[np.ndarray, "method scale update weight"]


def study(config: Config, keep: Keep) -> Result:
    """One program a method."""
    with jax.enable_x64(True):
        return Result(keep("paths", partial(_paths, config.updates)))


def _paths(updates: int) -> np.ndarray:
    """Each method on scale times an ill-conditioned quadratic."""
    curvature, best = jnp.logspace(-2, 0, 6), jnp.linspace(-2, 2, 6)

    def path(family, scale, epsilon):
        def objective(x, _):
            return 0.5 * scale * jnp.sum(curvature * (x - best) ** 2)

        hyper = learn.Hyper(lr=RATE, weight_decay=DECAY, epsilon=epsilon)
        watch = {"steps": updates, "observe": lambda params: params}
        start = jnp.ones(6)
        return learn.descend(objective, family(hyper), start, None, **watch).observed

    paths = []
    for family in METHODS.values():
        by_scale = jax.jit(jax.vmap(partial(path, family)))
        paths.append(by_scale(SCALES, EPSILONS))
    return np.stack(paths)


def findings(result: Result) -> tuple[record.Assertion, ...]:
    """The paths at one scale, between scales, and where the loss is constant."""
    return (*_same_path(result), *_scale(result), *_shrinking(result))


def _path(result: Result, name: str, scale: float) -> np.ndarray:
    """A method's path, `[update, weight]`."""
    return result.paths[list(METHODS).index(name), list(SCALES).index(scale)]


def _same_path(result: Result):
    between_sgd = _path(result, "sgd", 1.0) - _path(result, "sgd_decoupled", 1.0)
    between_adam = _path(result, "adam", 1.0) - _path(result, "adamw", 1.0)
    far = record.above(0.0, margin=0.1, reason="a tenth of what each weight starts at")
    return (
        record.deciding(
            "C123",
            "For SGD at a constant rate an ℓ₂ penalty and weight decay take the same "
            "path.",
            record.largest(between_sgd),
            record.at_most(1e-14),
            unit="distance",
            setting=QUADRATIC,
        ),
        record.deciding(
            "C123",
            "For Adam an ℓ₂ penalty and weight decay (AdamW) take different paths.",
            record.certain(np.abs(between_adam).max()),
            far,
            unit="distance",
            setting=QUADRATIC,
        ),
    )


def _spread(result: Result, name: str) -> np.floating:
    """The largest change of a path with the scale of the loss, over its largest
    weight.
    """
    plain = _path(result, name, 1.0)
    scaled = np.stack([_path(result, name, scale) for scale in (0.01, 100.0)])
    return np.abs(scaled - plain).max() / np.abs(plain).max()


def _scale(result: Result):
    return (
        record.deciding(
            "C123",
            "The path of Adam with an ℓ₂ penalty, which passes through the moments, "
            "changes with the scale of the loss.",
            record.certain(_spread(result, "adam")),
            record.above(0.0, margin=0.05, reason="5 % of the largest weight"),
            unit="ratio",
            setting=SCALED,
        ),
        record.deciding(
            "C123",
            "The path of AdamW, which shrinks the weights outside the moments, does "
            "not change with the scale of the loss.",
            record.certain(_spread(result, "adamw")),
            record.at_most(1e-9),
            unit="relative error",
            setting=SCALED,
        ),
    )


def _off(result: Result, name: str) -> np.ndarray:
    """How far a path on a constant loss is from shrinking by 1 - ηγ an update;
    it starts at 1.
    """
    path = _path(result, name, 0.0)
    shrinks = (1 - RATE * DECAY) ** np.arange(len(path))
    return path - shrinks[:, None]


def _shrinking(result: Result):
    errors = np.stack([_off(result, name) for name in DECOUPLED])
    misses = [np.abs(_off(result, name)).max() for name in COUPLED]
    return (
        record.deciding(
            "C123",
            "Where the loss is constant SGDW and AdamW, which decay outside the "
            "moments, multiply every weight by 1 - ηγ an update.",
            record.largest(errors),
            record.at_most(1e-13),  # 200 updates of two roundings: 4.4e-14
            unit="relative error",
            setting=FLAT,
        ),
        record.deciding(
            "C123",
            "Where the loss is constant neither SGD with momentum nor Adam multiplies "
            "every weight by 1 - ηγ an update under an ℓ₂ penalty.",
            record.certain(np.min(misses)),
            record.above(0.0, margin=0.05, reason="5 % of a weight at first"),
            unit="ratio",
            setting=FLAT,
        ),
    )


def figures(result: Result):
    """Adam's paths by the scale of the loss; weights on a constant loss."""
    figure, axes = panels(1, 3)
    for axis, name in zip(axes, ("adam", "adamw"), strict=False):
        for scale in SCALES[1:]:
            path = _path(result, name, scale)
            axis.plot(path[:, -1], label=f"loss × {scale:g}")
        label(axis, NAMES[name], "update", "weight of the steepest coordinate")
    constant = axes[-1]
    updates = np.arange(result.paths.shape[2])
    law = (1 - RATE * DECAY) ** updates
    for name, shown in NAMES.items():
        constant.plot(_path(result, name, 0.0)[:, 0], label=shown)
    underlaid(constant, updates, law, "(1 - ηγ)ᵗ")
    label(constant, "On a constant loss", "update", "weight")
    for axis in axes:
        legend_below(axis)
    return {"decay_or_penalty": figure}
