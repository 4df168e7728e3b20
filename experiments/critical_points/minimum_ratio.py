"""Do networks end at critical points of a low "minimum ratio", never at a minimum?

The lecture shows networks by loss and minimum ratio, the fraction of the Hessian's
eigenvalues that are positive: no ratio above 0.56, lower ones at higher losses, hence
"never a true local minimum". Homework 1-2 of 2018, from which the picture comes, has
100 networks trained, then brought to a zero gradient by descending its norm. (Its
second ratio, of sampled neighbours, is in neighbour_ratio.)

Here the same is done with a ReLU network, 1-6-6-1, on both functions of that course. A
certified critical point is asked for its eigenvalues in float64: n₊ above 1e-8 of the
largest, n₋ below the negative of that, and n₀ between, whose computed signs are
rounding. It is a minimum where n₋ = 0 and the loss is constant, up to rounding, along
the n₀ directions; a saddle where n₋ > 0. Searches that end on a kink, about half, are
left out, since no Hessian describes the loss there, and so are those that do not
arrive.

Outcomes: the lecture is right where at most 0.56 of the eigenvalues are positive, the
ratio falls with the loss, and few points are minima. It is wrong about minima where
more than 1 point in 4 is one, wrong about the bound where more than 1 in 4 exceeds it.
The ratio says nothing where it does not follow the loss.

Units: distinct critical points, each from a network drawn anew, for images by symmetry
are one point. 600 networks on each function, six times the homework's, because many end
at images of one point; 20 distinct points or more let 1 in 4 be told from none. (A
first version had 300: 37 points on one function, and 18 on the other, which cannot
decide.) Margins: 0.1 of a rank correlation, which explains 1 % of the variance.
Control: points found from random weights, without training, which the same signs must
call saddles. (More than half of them: the first version asked for 3 in 4, which 12
points cannot decide. It also had the wave's inputs on the grid of the other function,
where they meet its jumps, and left points that are flat to second order out of A2.)
Budget: 3,200 updates of Adam at 0.05, 64 epochs of 50, as a student took; then 300
Levenberg-Marquardt steps at most, ten times what is usual. A first version had the
student's own network, 1-5-10-5-1, and 100 of them: its search took minutes, and it was
given up before any ratio was looked at.

Claims: C053, C054, A2.
Sources: the course's HW1-2 of 2018, and two students' solutions of it.
Cost: half a minute on 2 cores, after critical_points.
Expect: minima are common, and most eigenvalues are zero; where they are, the computed
ratio is noise.
Run: jaxml run minimum_ratio
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.curvature import Candidates, Certificate, positive_fraction
from jaxml.record import Assertion
from jaxml.record.figures import STYLES, Axes, Figure, label, panels, shared_legend
from jaxml.types import Keep

NEEDS = ("critical_points",)
BOUND = 0.56  # the highest ratio of the lecture's scatter
LEVELS = (0.0875, 0.006)  # losses of it at which points gather
PIXEL = 5e-4  # of it, in loss
GUESS = 0.1 * 0.9  # the mean variance of ten equally frequent one-hot labels


@dataclass(frozen=True, kw_only=True)
class Config:
    """Networks on each function, and how long each is trained and searched."""

    networks: int = 600
    steps: int = 3200
    iterations: int = 300
    seed: int = 0


SMOKE = Config(networks=3, steps=100, iterations=10)


class Result(NamedTuple):
    """Networks on two functions, and of critical_points one family that was trained and
    one that was not.
    """

    sinc: Candidates
    wave: Candidates
    wide: Certificate
    untrained: Certificate


SINC, WAVE = "sin(5πx)/(5πx) at 64 points", "sgn(sin 5πx) at 64 points"
NETWORK = "ReLU network 1-6-6-1 of 61 weights"
TRAINED = f"{NETWORK}, Adam, then descent on the gradient norm"
SETTINGS = {"sinc": f"{SINC}, {TRAINED}", "wave": f"{WAVE}, {TRAINED}"}


def study(config: Config, keep: Keep, critical_points: Any) -> Result:
    """One program searches on both functions."""
    with jax.enable_x64(True):
        task = problem.deep_relu(problem.sinc(64, dtype=np.float64))
        objective, starts = problem.objective(*task[:3]), _starts(config, task)
        adam = learn.minimiser(learn.adam(learn.Hyper(lr=0.05)), steps=config.steps)
        descent = partial(curvature.gradient_norm_descent, iterations=config.iterations)
        method = curvature.after(adam, descent)
        search = partial(curvature.search, method, objective, starts)
        return Result(
            sinc=keep("sinc", partial(search, task.batch)),
            wave=keep("wave", partial(search, problem.square_wave(64))),
            wide=critical_points.trained_relu.certificate,
            untrained=critical_points.tanh.certificate,
        )


def _starts(config: Config, task: problem.Task) -> Any:
    """He's initial kernels, and a deviation of 0.1 everywhere: zero biases put units on
    their kinks.
    """
    networks = problem.networks(task, randomness.seeds(config.seed, config.networks))
    noise = tree.random_like(networks, randomness.key(config.seed, config.networks))
    return jax.tree.map(lambda params, draw: params + 0.1 * draw, networks, noise)


class Points(NamedTuple):
    """Distinct critical points, one row each."""

    loss: Float[np.ndarray, " point"]
    computed: Float[
        np.ndarray, " point"
    ]  # the fraction of eigenvalues computed above 0
    positive: Float[np.ndarray, " point"]  # n₊ / p
    zero: Float[np.ndarray, " point"]  # n₀ / p
    minimum: np.ndarray  # bool
    saddle: np.ndarray  # bool


def _critical(certificate: Certificate) -> np.ndarray:
    """Which networks are at a critical point, whatever second order says of its
    kind.
    """
    kinds = (curvature.MINIMUM, curvature.SADDLE, curvature.FLAT)
    return np.flatnonzero(np.isin(curvature.outcome(certificate), kinds))


def _points(certificate: Certificate) -> Points:
    """The first network at each distinct critical point."""
    outcome, rows = curvature.outcome(certificate), _critical(certificate)
    signs = curvature.signs(certificate)
    loss, negative = np.asarray(certificate.loss), np.asarray(signs.negative)
    rows = rows[curvature.distinct(loss[rows], negative[rows])]
    values = np.asarray(certificate.eigenvalues)[rows]
    weights = values.shape[1]
    return Points(
        loss=loss[rows],
        computed=np.asarray(positive_fraction(values)),
        positive=np.asarray(signs.positive)[rows] / weights,
        zero=np.asarray(signs.zero)[rows] / weights,
        minimum=outcome[rows] == curvature.MINIMUM,
        saddle=outcome[rows] == curvature.SADDLE,
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """Each function by itself, then the control, and the losses of the scatter."""
    rows: list[Assertion] = []
    for name, setting in SETTINGS.items():
        points = _points(getattr(result, name).certificate)
        rows += _lecture(points, setting)
        rows.append(_homework(points, setting))
    return (*rows, _control(result), *_levels(result))


def _lecture(points: Points, setting: str) -> tuple[Assertion, ...]:
    """The three parts of what the lecture reads off its scatter, and how many
    eigenvalues are zero.
    """
    return (
        record.deciding(
            "C053",
            "At more than 3 of 4 distinct critical points to which training leads, at "
            "most 0.56 of the eigenvalues of the Hessian are positive.",
            record.proportion(points.positive <= BOUND, of=points.loss),
            record.above(0.75),
            unit="fraction",
            setting=setting,
        ),
        record.deciding(
            "C053",
            "Among distinct critical points to which training leads, the fraction of "
            "positive eigenvalues falls as the loss rises.",
            record.bootstrap(record.correlation, points.positive, points.loss),
            FALLS,
            unit="correlation",
            setting=setting,
        ),
        record.deciding(
            "C053",
            "Fewer than 1 in 4 distinct critical points to which training leads is a "
            "minimum, without negative eigenvalues and with a constant loss along "
            "those that are zero.",
            record.proportion(points.minimum, of=points.loss),
            record.below(0.25),
            unit="fraction",
            setting=setting,
        ),
        record.supporting(
            "C053",
            "At distinct critical points to which training leads, more than half of "
            "the eigenvalues are zero up to 1e-8 of the largest.",
            record.bootstrap(np.mean, points.zero),
            record.above(0.5),
            unit="fraction",
            setting=setting,
        ),
        record.supporting(
            "C053",
            "At more than 3 of 4 distinct critical points to which training leads, at "
            "most 0.56 of the eigenvalues are computed above zero, rounding included.",
            record.proportion(points.computed <= BOUND, of=points.loss),
            record.above(0.75),
            unit="fraction",
            setting=setting,
        ),
    )


FALLS = record.below(
    0.0, margin=0.1, reason="a rank correlation of 0.1 explains 1 % of the variance"
)


def _homework(points: Points, setting: str) -> Assertion:
    """The homework's first ratio; its second, by sampled neighbours, is a study of its
    own.
    """
    return record.deciding(
        "C054",
        "Among distinct critical points to which training leads, the fraction of "
        "eigenvalues computed above zero falls as the loss rises.",
        record.bootstrap(record.correlation, points.computed, points.loss),
        FALLS,
        unit="correlation",
        setting=setting,
    )


def _control(result: Result) -> Assertion:
    """Where nothing was trained, the same signs must find saddles."""
    points = _points(result.untrained)
    return record.supporting(
        "C053",
        "More than half of distinct critical points that are found from random "
        "weights, without training, are saddles.",
        record.proportion(points.saddle, of=points.loss),
        record.above(0.5),
        unit="fraction",
        setting=f"{SINC}, 5 tanh units, weight decay 0.001, "
        "descent on the gradient norm",
    )


def _levels(result: Result) -> tuple[Assertion, ...]:
    """The losses of the lecture's scatter, to a pixel; here every network counts, also
    copies.
    """
    targets = np.asarray(problem.sinc(5000, dtype=np.float64).targets)
    variance = np.var(targets, keepdims=True)
    loss = np.asarray(result.wide.loss)[_critical(result.wide)]
    plateau, gathering = LEVELS
    return (
        record.deciding(
            "A2",
            "The plateau at 0.0875 of the lecture's scatter is, to a pixel, the "
            "variance of sin(5πx)/(5πx), the loss of a constant network.",
            record.largest(variance - plateau),
            record.at_most(PIXEL),
            unit="error",
            setting="sin(5πx)/(5πx) at 5,000 points",
        ),
        record.deciding(
            "A2",
            "Most trained networks that reach a critical point end, to a pixel, at "
            "the loss 0.006, at which the points of the lecture's scatter gather.",
            record.proportion(np.abs(loss - gathering) < PIXEL, of=loss),
            record.above(0.5),
            unit="fraction",
            setting=f"{SINC}, 20 ReLUs, Adam, then descent on the gradient norm",
        ),
        record.supporting(
            "A2",
            "The plateau at 0.0875 of the lecture's scatter is, to a pixel, the loss "
            "of a constant guess on one-hot labels, as its label MNIST would have it.",
            record.largest(np.array([GUESS - plateau])),
            record.at_most(PIXEL),
            unit="error",
            setting="ten equally frequent classes",
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """The lecture's scatter, with its own bound and levels: as computed, and counted
    with a tolerance.
    """
    figure, axes = panels(2, 2)
    for row, (name, setting) in enumerate(SETTINGS.items()):
        points = _points(getattr(result, name).certificate)
        computed, exact = axes[2 * row : 2 * row + 2]
        _scatter(computed, points, points.computed)
        _scatter(exact, points, points.positive)
        title = setting.split(",")[0]
        label(computed, f"{title}, as computed", "fraction of eigenvalues > 0", LOSS)
        label(exact, f"{title}, with a tolerance", "n₊ / p, zero up to 1e-8 ‖H‖", LOSS)
    for axis in axes[:2]:
        for level in LEVELS:
            axis.axhline(level, color="#994455", linestyle=":", label=PLATEAUS)
    shared_legend(figure)
    return {"scatter": figure}


LOSS = "loss (mean squared error)"
PLATEAUS = f"lecture's plateaus: {LEVELS[0]} and {LEVELS[1]}"


def _scatter(axes: Axes, points: Points, ratio: np.ndarray) -> None:
    """Loss against ratio, by kind of point."""
    other = ~(points.minimum | points.saddle)
    kinds = {
        "minimum": points.minimum,
        "saddle": points.saddle,
        "flat to second order": other,
    }
    for (kind, chosen), style in zip(kinds.items(), STYLES, strict=False):
        axes.scatter(
            ratio[chosen],
            points.loss[chosen],
            marker=style.marker,
            color=style.colour,
            alpha=0.8,
            s=20,
            linewidths=0,
            clip_on=False,
            label=kind,
        )
    axes.axvline(BOUND, color="black", linestyle="--", label="lecture: at most 0.56")
    axes.set_xlim(0, 1)
    if len(points.loss):
        axes.set_yscale("log")
