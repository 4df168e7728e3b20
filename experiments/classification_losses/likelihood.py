"""Where is a classification loss steep?

Softmax makes probabilities p of the logits, and r = p - e_y is their distance from the
label's corner e_y. By the logits, the gradient of the cross-entropy is r, as long as √S
where S = ‖r‖² is the squared error. The gradient of S is 2 (diag p - p pᵀ) r. S is near
2, its largest, only where p is near a wrong corner, and there that matrix vanishes:
‖∇S‖ <= 4√2 (2 - S). Both must hold to rounding, for random logits and for those of an
untrained classifier on digits; a longer gradient of S would refute the course. The
control swaps the losses: then neither may hold.

From the logits (-10, 10), where the label is the first class, gradient descent of rate
η on S takes some e²⁰/8η updates, on cross-entropy some 10/η; with 5,000 it must stay on
the first and leave on the second. Momentum and Adam stand beside it. All is in float64
but for what says float32. Training of networks is not tested.

Claims: C092.
Cost: 4 seconds on 2 cores, compilation included.
Expect: formulas to rounding; Adam leaves the flat region.
Run: jaxml run likelihood
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, legend_below, panels
from jaxml.types import Array, Keep

LOSSES = (problem.cross_entropy, problem.softmax_mse)
CE, SE = range(2)  # their indices
VALUE, NORM = range(2)  # of a loss, and of its gradient
NAMES = ("cross-entropy", "squared error")
COLOURS = ("black", "#994455")
MARKERS = "os"


class Entrant(NamedTuple):
    """An optimizer at one rate, and its name."""

    family: learn.Family
    rate: float
    name: str


ENTRANTS = (
    Entrant(learn.sgd, 1.0, "gradient descent of rate 1"),
    Entrant(learn.momentum, 1.0, "momentum of rate 1"),
    Entrant(learn.adam, 0.1, "Adam of rate 0.1"),
)
DESCENT, _, ADAM = range(3)  # their indices
CORNERS = ((-10.0, 10.0), (-5.0, 5.0), (0.0, 0.0))  # y₁ and y₂, beside y₃ = -1000
COMPUTED = np.array([1.17e-8, 2.6e-4, 0.707])  # in the ledger: ‖∇S‖ there


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many random logits and digits, and updates of a path."""

    vectors: int = 2000
    examples: int = 500
    steps: int = 5000
    seed: int = 0


SMOKE = Config(vectors=50, examples=20, steps=100)


class Result(NamedTuple):
    """Values of both losses and norms of their gradients by the logits, and paths.

    Attributes:
        corners: at CORNERS.
        random: at normal logits of standard deviation 10.
        single: the same in float32.
        digits: at an untrained classifier's logits.
        paths: the label's probability from (-10, 10) on, by update.
    """

    corners: Float[Array, "loss quantity point"]
    random: Float[Array, "loss quantity point"]
    single: Float[Array, "loss quantity point"]
    digits: Float[Array, "loss quantity point"]
    paths: Float[Array, "loss entrant update"]


def study(config: Config, keep: Keep) -> Result:
    """One program, in float64 but for what is called single."""
    with jax.enable_x64(True):
        return keep("measured", jax.jit(partial(_compute, config)))


def _compute(config: Config) -> Result:
    first, second = jax.random.split(randomness.key(config.seed))
    logits = 10 * jax.random.normal(first, (config.vectors, 10))
    labels = jnp.arange(config.vectors) % 10
    beside = ((0, 0), (0, 1))
    corners = jnp.pad(jnp.array(CORNERS), beside, constant_values=-1000)
    (key,) = jax.random.split(second, 1)
    digits = problem.untrained_logits(config.examples, key=key)
    return Result(
        corners=_measured(corners, jnp.zeros(3, int)),
        random=_measured(logits, labels),
        single=_measured(logits.astype(jnp.float32), labels),
        digits=_measured(*digits),
        paths=_paths(config, corners[0]),
    )


def _measured(logits: jax.Array, labels: jax.Array) -> jax.Array:
    rows = []
    for loss in LOSSES:
        value, back = jax.vjp(partial(loss, targets=labels), logits)
        (gradient,) = back(jnp.ones_like(value))
        norm = jnp.linalg.norm(gradient, axis=1)
        rows.append(jnp.stack([value, norm]))
    return jnp.stack(rows)


def _paths(config: Config, start: jax.Array) -> jax.Array:
    """Both losses at once: each has logits, and so optimizer states, of its own."""

    def objective(logits: jax.Array, labels: jax.Array) -> jax.Array:
        ours, theirs = (loss(logits, labels) for loss in LOSSES)
        return ours[CE] + theirs[SE]

    def probability(logits: jax.Array) -> jax.Array:
        return jax.nn.softmax(logits)[:, 0]

    starts, labels = jnp.stack([start, start]), jnp.zeros(2, int)
    paths = []
    for entrant in ENTRANTS:
        optimizer = entrant.family(learn.Hyper(lr=entrant.rate))
        path = learn.descend(
            objective,
            optimizer,
            starts,
            labels,
            steps=config.steps,
            observe=probability,
        )
        paths.append(path.observed.T)
    return jnp.stack(paths, axis=1)


NORMAL = "normal logits of ten classes, standard deviation 10"
DIGITS = "8x8 digits, linear classifier of random kernels 1.0·randn"


def findings(result: Result) -> tuple[Assertion, ...]:
    """Equations and bounds to rounding, and controls on which they must fail."""
    random, digits = result.random, result.digits
    return (
        *_gradients(record.deciding, SE, random, NORMAL),
        *_gradients(record.deciding, SE, digits, DIGITS),
        *_gradients(record.supporting, SE, result.single, f"{NORMAL}, float32"),
        *_gradients(record.supporting, CE, random, NORMAL),
        *_gradients(record.supporting, CE, digits, DIGITS),
        _corners(result.corners[SE, NORM]),
        *_stuck(result.paths),
    )


def _gradients(
    role: Callable[..., Assertion], flat: int, measured: Array, setting: str
) -> tuple[Assertion, ...]:
    """Of the loss `flat` the bound, of the other the equation."""
    # ten terms err by some eps each, the exponential of a logit x below the largest by
    # x·eps·e⁻ˣ < eps; the bound multiplies by 4√2
    rule = record.at_most(80 * float(np.finfo(measured.dtype).eps))
    finding = partial(role, "C092", unit="error", setting=setting)
    control = "" if flat == SE else "Control, the losses swapped: "
    steep = 1 - flat
    root = np.sqrt(measured[SE, VALUE])
    below = np.maximum(2 - measured[flat, VALUE], 0)
    beyond = measured[flat, NORM] - 32**0.5 * below
    return (
        finding(
            f"{control}The gradient of the {NAMES[steep]} by the logits is as long "
            "as the root of the squared error.",
            record.largest(measured[steep, NORM] - root),
            rule,
        ),
        finding(
            f"{control}The gradient of the {NAMES[flat]} by the logits is at most 4√2 "
            "times as long as this loss lies below 2.",
            record.largest(np.maximum(beyond, 0)),
            rule,
        ),
    )


def _corners(norms: Array) -> Assertion:
    return record.supporting(
        "C092",
        "Gradients of squared error at (-10, 10), (-5, 5) and (0, 0) are as long as in "
        "the ledger.",
        record.largest(norms / COMPUTED - 1),
        record.at_most(0.02),  # half a unit of the second digit of 2.6e-4
        unit="relative error",
        setting="logits y₁, y₂ and -1000, label 1",
    )


def _stuck(paths: Array) -> list[Assertion]:
    found = []
    updates = paths.shape[2] - 1
    for loss, entrant in np.ndindex(2, len(ENTRANTS)):
        decides = (loss, entrant) == (SE, DESCENT)
        role = record.deciding if decides else record.supporting
        finding = role(
            "C092",
            f"On the {NAMES[loss]} {ENTRANTS[entrant].name} leaves the probability of "
            "the label below 0.9.",
            record.certain(paths[loss, entrant, -1]),
            record.below(0.9),
            unit="fraction",
            setting=f"logits (-10, 10, -1000), label 1, {updates:,} updates",
        )
        found.append(finding)
    return found


def figures(result: Result) -> dict[str, Figure]:
    """Gradients, and how the paths leave the corner."""
    figure, (gradients, paths) = panels(1, 2, height=3.9)
    for loss in (CE, SE):
        _draw_gradients(gradients, loss, result.random)
        _draw_paths(paths, loss, result.paths)
    corners = result.corners[SE, VALUE]
    ledger = {"marker": "x", "s": 80, "color": "#003366", "label": "ledger, at corners"}
    gradients.scatter(corners, COMPUTED, **ledger)
    gradients.set_yscale("log")
    y = "‖gradient by the logits‖"
    label(gradients, "Random logits, a point a draw", "squared error", y)
    paths.axhline(0.9, color="0.4", linestyle="--", label="learned: 0.9")
    label(paths, "From logits (-10, 10)", "update", "probability of the label")
    legend_below(gradients)
    legend_below(paths)
    return {"likelihood": figure}


def _draw_gradients(axes: Axes, loss: int, measured: Array) -> None:
    axes.scatter(
        measured[SE, VALUE],
        measured[loss, NORM],
        label=NAMES[loss],
        s=8,
        color=COLOURS[loss],
        marker=MARKERS[loss],
    )


def _draw_paths(axes: Axes, loss: int, paths: Array) -> None:
    updates = 1 + np.arange(paths.shape[2])
    lines = ((DESCENT, "-", "gradient descent"), (ADAM, ":", "Adam"))
    for entrant, line, name in lines:
        axes.semilogx(
            updates,
            paths[loss, entrant],
            line,
            color=COLOURS[loss],
            label=f"{NAMES[loss]}, {name}",
        )
