"""Does a low "minimum ratio" mean that no true minimum was reached? Its definitions, side by side.

At the certified points of `critical_points` exact inertia stands beside the share of eigenvalues computed
above 0, the share of neighbours that lie higher, and the layerwise Gauss-Newton share of the course's
homework, whose 1-128-1 network at a perfect fit is one more family. Families are never pooled.

Claims: C053, C054, C055, C056, A1, A2.
Sources: the course's HW1-2 of 2018 and HW2-2 of 2021; Sylvester's law of inertia.
Cost: about 15 seconds on 2 cores, after critical_points.
Expect: minima are reached, and where most of their eigenvalues are 0 the shares of computed ones are noise.
Run: jaxml run minimum_ratio
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import curvature, learn, problem, record, tree
from jaxml.curvature.ratio import Ratios, minimum_ratios, positive_share
from jaxml.record.figures import label, panels
from jaxml.types import Array

NEEDS = ("critical_points",)
TOLERANCES = np.array([1e-6, 1e-8, 1e-10])  # of the largest |eigenvalue|
RADII = np.logspace(-5, 1, 7)  # of ‖θ‖
LABELS = ("n₋ = 0", "share > ½", "in float32", "of layers", "neighbours, 1e-3", "neighbours, 1")
FREE, SINC = ("relu", "tanh", "trained_relu", "digits"), ("relu", "tanh", "followed_tanh", "trained_relu")


@dataclass(frozen=True, kw_only=True)
class Config:
    """How much is sampled; every certified point is measured."""

    pairs: int = 100  # of opposite neighbours at each radius
    random: int = 10  # random networks of each family, and homework networks
    examples: int = 500  # of the digits, as in critical_points
    dtype: str = "float64"


SMOKE = Config(pairs=10, random=3, examples=60)


class Family(NamedTuple):
    """Certified points [n], and of four of them where LDLᵀ counts other signs than the eigenvalues have."""

    certificate: curvature.Certificate
    mismatches: Array  # [point, tolerance]
    ratios: Ratios  # [n + m], of the certified points, then of random networks, whose gradient is not 0


class Result(NamedTuple):
    """Families, and the variance of SINC."""

    relu: Family
    tanh: Family
    followed_tanh: Family
    trained_relu: Family
    digits: Family
    embedded_digits: Family
    homework: Family
    variance: Array


def study(config, keep, critical_points):
    """A family is one program."""
    with jax.enable_x64(True):
        relu, homework = problem.relu_sinc(20), problem.relu_sinc(128, points=6)
        tanh, climbed = problem.tanh_sinc(5, decay=1e-3, scale=2.0), problem.tanh_sinc(10)
        digits = [problem.softmax_digits(w, decay=1e-3, examples=config.examples) for w in (4, 5)]
        newton = partial(curvature.eigenvector_following, index=0, iterations=20)
        fit = curvature.after(learn.minimiser(learn.adam(learn.Hyper(lr=3e-3)), steps=4000), newton)
        networks = problem.networks(homework, config.random), homework.batch
        fits = keep("fits", lambda: curvature.search(fit, problem.objective(*homework[:3]), *networks))
        found, families = critical_points._asdict() | {"homework": fits}, {}
        for name, task in zip(Result._fields, (relu, tanh, climbed, relu, *digits, homework), strict=False):
            families[name] = keep(name, partial(_measure, config, task, curvature.certified(found[name])))
        return Result(**families, variance=np.var(problem.sinc(5000, dtype=np.float64).targets))


def _measure(config, task, sure):
    objective, outputs, fold = (
        problem.objective(*task[:3]),
        problem.outputs(task.model),
        problem.unravel(task),
    )
    sampling = {"radii": RADII, "pairs": config.pairs, "key": jax.random.key(0)}

    def hessian(params, batch):
        return curvature.dense(curvature.hessian_product(objective, params, batch), params)

    @jax.jit
    def everything(points, batch):
        ratios = jax.lax.map(lambda x: minimum_ratios(objective, outputs, fold(x), batch, **sampling), points)
        return ratios, jax.lax.map(lambda x: hessian(fold(x), batch), points[:4])

    random = jax.vmap(lambda params: tree.ravel(params)[0])(problem.networks(task, config.random))
    ratios, matrices = everything(np.concatenate([sure.params, random]), task.batch)
    mismatches = [_mismatches(*pair) for pair in zip(matrices, sure.certificate.eigenvalues, strict=False)]
    return Family(sure.certificate, np.array(mismatches, bool).reshape(-1, len(TOLERANCES)), ratios)


def _mismatches(matrix, values):
    bounds = np.abs(values).max() * TOLERANCES
    known = curvature.inertia_from_eigenvalues(np.tile(values, (len(bounds), 1)), tolerance=bounds)
    return [curvature.inertia(matrix, tolerance=t) != signs for t, *signs in zip(bounds, *known, strict=True)]


def _rows(family):
    """n₋/p and the ratios at the certified points, and what each calls a minimum; [label, n]."""
    values, (single, layers, sampled) = family.certificate.eigenvalues, family.ratios
    negative = np.asarray(curvature.signs(family.certificate).negative) / values.shape[1]
    ratios = np.stack(
        [positive_share(values), *(x[: len(values)] for x in (single, layers, *sampled.T[[2, 5]]))]
    )
    return negative, ratios, np.stack([negative == 0, *(ratios > 0.5)])


def findings(result):
    """Families whose search prescribes no index speak; a quarter is generous to "about half"."""
    above, below, exact = (
        partial(f, unit="1", dtype="float64") for f in (record.above, record.below, record.exact)
    )
    mean, rank = partial(record.bootstrap, np.mean), partial(record.bootstrap, record.correlation)
    part = lambda hits: record.proportion(int(np.sum(hits)), len(hits))  # noqa: E731  # an interval
    families, found = result._asdict(), []
    for name in FREE:
        loss, (negative, ratios, minimum) = families[name].certificate.loss, _rows(families[name])
        share, near, agree = ratios[0], ratios[3], minimum == minimum[0]
        found += [
            above(
                "C053",
                f"{name}: about half of the eigenvalues are negative: mean n₋/p.",
                mean(negative),
                0.25,
            ),
            below("C053", f"{name}: true minima are never reached: share of n₋ = 0.", part(minimum[0]), 0.05),
            below(
                "C054",
                f"{name}: the share of eigenvalues above 0 falls with loss: ρ.",
                rank(share, loss),
                0.0,
            ),
            below(
                "C054", f"{name}: the share of higher neighbours falls with loss: ρ.", rank(near, loss), 0.0
            ),
            above("C054", f"{name}: neighbours tell minima from saddles: agreement.", part(agree[4]), 0.75),
            above(
                "C055", f"{name}: the homework tells minima from saddles: agreement.", part(agree[3]), 0.75
            ),
        ]
    n, layers = len(result.homework.certificate.loss), result.homework.ratios.layerwise
    signs = np.stack(curvature.signs(result.homework.certificate))
    random = np.concatenate([family.ratios.sampled[len(family.certificate.loss) :] for family in result[:-1]])
    mismatches = np.concatenate([family.mismatches for family in result[:-1]])
    plateau = np.abs(result.trained_relu.certificate.loss - 0.00631)
    return (
        *found,
        above("C055", "The homework's label is right at its perfect fits, minima: share.", part(layers[:n] > 0.5), 0.75),
        below("A1", "The homework's ratio is near ½ at random weights: |ratio - ½|.", mean(np.abs(layers[n:] - 0.5)), 0.1),
        below("A1", "The homework's ratio is near ½ at a perfect fit: |ratio - ½|.", mean(np.abs(layers[:n] - 0.5)), 0.1),
        exact("A1", "At a perfect fit n₊, n₀, n₋ are 6, 379, 0.", signs.T - [6, 379, 0], 0),
        below("A1", "At trained ReLU minima the share of eigenvalues above 0 is near ½: |share - ½|.",
              mean(np.abs(_rows(result.trained_relu)[1][0] - 0.5)), 0.1),
        exact("A1", "LDLᵀ counts the signs that the eigenvalues have.", mismatches.astype(int), 0),
        exact("A2", "The highest plateau of the lecture's plot, 0.0875 to a pixel, is SINC's variance.", result.variance - 0.0875, 5e-4),
        above("A2", "Its plateau near 0.006 is where ReLU networks on SINC end: share at 0.0063.", part(plateau < 5e-4), 0.5),
        exact("C056", "Where the gradient is not 0, half of the neighbours lie higher as r → 0.", random[:, 0] - 0.5, 0.01),
        exact("C056", "As r → ∞ all do.", random[:, -1] - 1, 0.05),
    )  # fmt: skip


def figures(result):
    """For four families: ratio against loss, ratio against radius, and how far labels agree."""
    families = result._asdict()
    (losses, top), (radii, middle), (labels, low) = (panels(1, 4, width=3.6) for _ in range(3))
    for axis, other, last, name in zip(top, middle, low, SINC, strict=True):
        family, (_, ratios, minimum) = families[name], _rows(families[name])
        for kind, marker, words in ((minimum[0], "o", "n₋ = 0"), (~minimum[0], "x", "n₋ > 0")):
            axis.plot(family.certificate.loss[kind], ratios[0][kind], marker, label=words)
            other.plot(RADII, family.ratios.sampled[: len(kind)][kind].mean(axis=0), label=words)
        other.plot(RADII, family.ratios.sampled[len(kind) :].mean(axis=0), label="random network")
        axis.axhline(0.5, color="black", linestyle=":")
        other.set_xscale("log")
        agreement = (minimum[:, None] == minimum).mean(axis=-1)
        last.imshow(agreement, cmap="gray", vmin=-0.5, vmax=1)
        for (i, j), value in np.ndenumerate(agreement):
            last.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7)
        last.set_xticks(range(len(LABELS)), LABELS, rotation=90)
        last.set_yticks(range(len(LABELS)), LABELS)
        title = f"{name.replace('_', ' ')}, {len(minimum[0])} points"
        label(axis, title, "loss (mean squared error)", "share of eigenvalues > 0")
        label(other, title, "radius (‖θ‖)", "share of higher neighbours")
        label(last, title, "label of", "label of")
    for axis in (top[0], middle[0]):
        axis.legend()
    return {"ratio_against_loss": losses, "ratio_against_radius": radii, "label_disagreement": labels}
