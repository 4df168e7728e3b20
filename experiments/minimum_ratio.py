"""Does a low "minimum ratio" mean that no true minimum was reached? Definitions, side by side.

Claims: C053, C054, C055, C056, A1, A2.
Sources: the course's HW1-2 of 2018 and HW2-2 of 2021; Sylvester's law of inertia.
Cost: 25 seconds on 2 cores, most of it compilation, after critical_points.
Expect: minima are reached, and where most of their eigenvalues are 0 the shares of computed ones are noise.
Run: jaxml run minimum_ratio
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import curvature, learn, problem, record, tree
from jaxml.curvature.ratio import minimum_ratios, positive_share
from jaxml.record.figures import label, panels

NEEDS = ("critical_points",)
RADII = np.logspace(-5, 1, 7)  # of ‖θ‖; "near" is 1e-3, as students of the course sampled, and "far" is 1
LABELS = ("exact", "double", "single", "layers", "near", "far")


@dataclass(frozen=True, kw_only=True)
class Config:
    """How much is measured beside the certified points."""

    random: int = 10  # random networks of each family, and homework networks
    examples: int = 500  # of the digits, as in critical_points
    dtype: str = "float64"


SMOKE = Config(random=3, examples=60)


class Family(NamedTuple):
    """A family's certified points [n], and random networks [m], whose gradient is not 0."""

    certificate: curvature.Certificate
    mismatches: np.ndarray  # of 12 counts of n₊, n₀, n₋ by LDLᵀ, how many differ from the eigenvalues'
    ratios: np.ndarray  # [n, 2 + radius]: eigenvalues and layers, both float32, then neighbours
    random: np.ndarray  # [m, 2 + radius]


class Result(NamedTuple):
    """Searches of the first four prescribed no index; homework is the course's network at perfect fits."""

    tanh: Family
    narrow_tanh: Family
    trained_relu: Family
    digits: Family
    followed_tanh: Family
    embedded_digits: Family
    homework: Family


def study(config, keep, critical_points):
    """Each family is mapped over by one program."""
    with jax.enable_x64(True):
        relu, homework = problem.relu_sinc(20), problem.relu_sinc(128, points=6)
        tanh, narrow = (problem.tanh_sinc(width, decay=1e-3, scale=2.0) for width in (5, 2))
        digits = partial(problem.softmax_digits, examples=config.examples)
        tasks = tanh, narrow, relu, digits(4), problem.tanh_sinc(10), digits(5), homework
        newton = partial(curvature.eigenvector_following, index=0, iterations=20)
        fit = curvature.after(learn.minimiser(learn.adam(learn.Hyper(lr=3e-3)), steps=4000), newton)
        points = problem.objective(*homework[:3]), problem.networks(homework, config.random), homework.batch
        fits = keep("fits", partial(curvature.search, fit, *points))
        found, families = critical_points._asdict() | {"homework": fits}, {}
        for name, task in zip(Result._fields, tasks, strict=True):
            families[name] = keep(name, partial(_measure, config, task, curvature.certified(found[name])))
        return Result(**families)


def _measure(config, task, sure):
    objective, fold = problem.objective(*task[:3]), problem.unravel(task)
    hessian = jax.jit(jax.hessian(lambda x: objective(fold(x), task.batch)))
    ratios = partial(minimum_ratios, objective, problem.outputs(task.model), radii=RADII, pairs=100)
    one = lambda x: tree.ravel(ratios(fold(x), task.batch, key=jax.random.key(0)))[0]  # noqa: E731  # [2 + radius]
    random = jax.vmap(lambda params: tree.ravel(params)[0])(problem.networks(task, config.random))
    table = jax.jit(partial(jax.lax.map, one))(np.concatenate([sure.params, random]))
    mismatches = [
        curvature.inertia(matrix, tolerance=t) != curvature.inertia_from_eigenvalues(v, tolerance=t)
        for matrix, v in zip(map(hessian, sure.params[:4]), sure.certificate.eigenvalues, strict=False)
        for t in np.abs(v).max() * np.array([1e-6, 1e-8, 1e-10])
    ]
    return Family(sure.certificate, np.sum(mismatches, dtype=int), *np.split(table, [len(sure.params)]))


def _labels(family):
    """Ratios by definition, the exact one being 1 - n₋/p, and which points each calls a minimum."""
    values = family.certificate.eigenvalues
    exact = 1 - np.asarray(curvature.signs(family.certificate).negative) / values.shape[1]
    ratios = np.vstack([exact, positive_share(values), family.ratios.T[[0, 1, 4, 7]]])
    return ratios, np.vstack([exact == 1, ratios[1:] > 0.5])


def findings(result):
    """A quarter is generous to "about half"; "near ½" is closer than 0.1; a pixel of the plot is 5e-4."""
    rules, found, share = (record.above, record.below, record.exact), [], record.proportion
    above, below, exact = (partial(rule, unit="1", dtype="float64") for rule in rules)
    mean, rank = (partial(record.bootstrap, f) for f in (np.mean, record.correlation))
    half = lambda ratio: mean(np.abs(ratio - 0.5))  # noqa: E731  # how far from one half
    for name, family in list(result._asdict().items())[:4]:
        loss, (ratio, minimum) = family.certificate.loss, _labels(family)
        right = minimum == minimum[0]
        found += [
            below("C053", f"{name}: about half the eigenvalues are below 0: 1 - n₋/p.", mean(ratio[0]), 0.75),
            below("C053", f"{name}: true minima are never reached: share.", share(minimum[0]), 0.05),
            below("C054", f"{name}: the eigenvalues' ratio falls with loss: ρ.", rank(ratio[1], loss), 0.0),
            below("C054", f"{name}: the neighbours' ratio falls with loss: ρ.", rank(ratio[4], loss), 0.0),
            above("C054", f"{name}: neighbours tell minima from saddles: share.", share(right[4]), 0.75),
            above("C055", f"{name}: the homework tells minima from saddles: share.", share(right[3]), 0.75),
        ]  # fmt: skip
    fits, relu, single = result.homework, result.trained_relu.certificate, partial(below, dtype="float32")
    signs, random = np.stack([*curvature.signs(fits.certificate)], -1), np.vstack([f.random for f in result])
    variance = np.var(problem.sinc(5000, dtype=float).targets, keepdims=True)
    return (
        *found,
        above("C055", "The homework calls its perfect fits minima.", share(fits.ratios[:, 1] > 0.5), 0.75),
        single("A1", "The homework's ratio is near ½ at perfect fits.", half(fits.ratios[:, 1]), 0.1),
        single("A1", "The homework's ratio is near ½ at random weights.", half(fits.random[:, 1]), 0.1),
        exact("A1", "At perfect fits n₊, n₀, n₋ are 6, 379, 0.", signs - [6, 379, 0], 0.0),
        below("A1", "trained_relu: eigenvalues' ratio is ≈ ½.", half(positive_share(relu.eigenvalues)), 0.1),
        exact("A1", "LDLᵀ counts the same signs: mismatches.", np.array([f.mismatches for f in result]), 0.0),
        exact("A2", "The plot's plateau at 0.0875 is SINC's variance.", variance - 0.0875, 5e-4),
        above("A2", "trained_relu: most end at loss 0.0063.", share(np.abs(relu.loss - 0.0063) < 5e-4), 0.5),
        exact("C056", "Where ∇L ≠ 0 half the neighbours are higher as r → 0.", random[:, 2] - 0.5, 0.01),
        exact("C056", "Where ∇L ≠ 0 all neighbours are higher as r → ∞.", random[:, -1] - 1, 0.05),
    )  # fmt: skip


def figures(result):
    """By family: ratio against loss, ratio against radius, and how often two definitions agree."""
    figure, axes = panels(3, 4, width=4.2)
    for column, name in enumerate(("narrow_tanh", "trained_relu", "tanh", "followed_tanh")):
        family, (top, middle, low) = getattr(result, name), axes[column::4]
        loss, (ratios, minimum) = family.certificate.loss, _labels(family)
        top.scatter(loss, ratios[1], c=minimum[0], cmap="gray", vmin=0, vmax=1, edgecolors="black")
        middle.semilogx(RADII, family.ratios.T[2:], "k-", RADII, family.random.T[2:], "k:", alpha=0.4)
        equal = (minimum[:, None] == minimum).sum(axis=-1) / max(len(loss), 1)
        low.imshow(equal, cmap="gray", vmin=-0.5, vmax=1, zorder=2)
        for (i, j), value in np.ndenumerate(equal):
            low.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8)
        low.set(xticks=range(6), xticklabels=LABELS, yticks=range(6), yticklabels=LABELS)
        label(top, f"{name} (white: n₋ = 0)", "loss (mean squared error)", "share of eigenvalues > 0")
        label(middle, "certified (lines), random (dots)", "radius (‖θ‖)", "share of higher neighbours")
        label(low, "share of points with equal labels", "definition", "definition")
    return {"label_disagreement": figure}
