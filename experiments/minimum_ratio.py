"""Does a low "minimum ratio" mean that no true minimum was reached? Its definitions, side by side.

At the certified points of `critical_points` exact inertia stands beside the share of eigenvalues computed
above 0 in two precisions, the share of neighbours that lie higher, and the layerwise Gauss-Newton share of
the course's homework, whose 1-128-1 network is one more family. Families are never pooled.

Claims: C053, C054, C055, C056, A1, A2.
Sources: the course's HW2-2 of 2021 and HW1-2 of 2018; Sylvester's law of inertia.
Cost: about 15 seconds on 2 cores, after critical_points.
Expect: minima are reached, and where most of their eigenvalues are 0 shares of computed ones are noise.
Run: jaxml run minimum_ratio
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import curvature, learn, problem, record, tree
from jaxml.curvature.ratio import layerwise_gauss_newton_ratio, positive_share, sampling_ratio
from jaxml.record.figures import STYLES, label, panels
from jaxml.types import Array

NEEDS = ("critical_points",)
TOLERANCES = (1e-6, 1e-8, 1e-10)  # of the largest |eigenvalue|
RADII = np.logspace(-5, 1, 7)  # of ‖θ‖
NEAR, FAR = 2, 5  # among them: 1e-3, as students of the course sampled, and 1
SINC = ("relu", "tanh", "followed_tanh", "trained_relu")


@dataclass(frozen=True, kw_only=True)
class Config:
    """How much is sampled; every certified point is measured."""

    pairs: int = 100  # of opposite directions
    random: int = 10  # random networks of each family, and homework networks that are fitted
    checked: int = 4  # points of each family whose signs LDLᵀ counts too
    examples: int = 500  # of the digits, as in critical_points
    minimise: int = 2000  # Adam steps of the homework networks
    dtype: str = "float64"


SMOKE = Config(pairs=10, random=3, checked=2, examples=60, minimise=200)


class Ratios(NamedTuple):
    """What is called minimum ratio, [network]."""

    share: Array  # of the eigenvalues of the Hessian, float32
    layerwise: Array  # of those of the layers' Gauss-Newton matrices, float32
    sampled: Array  # [network, radius]


class Family(NamedTuple):
    """Certified points, and random networks, where the gradient is not 0."""

    certificate: curvature.Certificate
    pivots: Array  # [checked, tolerance, sign], n₊, n₀, n₋ of the first points by LDLᵀ
    ratios: Ratios
    random: Ratios


class Result(NamedTuple):
    """Families, and the variance of SINC at 5,000 points."""

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
        smooth = partial(problem.tanh_sinc, decay=1e-3, scale=2.0)
        digits, wide = (problem.softmax_digits(w, decay=1e-3, examples=config.examples) for w in (4, 5))
        tasks = (relu, smooth(5), problem.tanh_sinc(10), relu, digits, wide, homework)
        fits = keep("fits", partial(_fits, config, homework))
        found = critical_points._asdict() | {"homework": fits}
        families = {
            name: keep(name, partial(_measure, config, task, found[name]))
            for name, task in zip(Result._fields, tasks, strict=False)
        }
        return Result(**families, variance=np.var(problem.sinc(5000, dtype=np.float64).targets))


def _fits(config, task):
    """Homework networks, descended by Adam, then to a perfect fit by Gauss-Newton."""
    adam = learn.minimiser(learn.adam(learn.Hyper(lr=1e-3)), steps=config.minimise)

    def interpolate(objective, params, batch):
        flat, fold = tree.ravel(params)
        error = lambda x: jnp.ravel(problem.outputs(task.model)(fold(x), batch) - batch.targets)  # noqa: E731  # of a vector
        step = lambda _, x: x - jnp.linalg.pinv(jax.jacfwd(error)(x)) @ error(x)  # noqa: E731  # of a loop
        return curvature.stay(objective, fold(jax.lax.fori_loop(0, 10, step, flat)), batch)

    starts, way = problem.networks(task, config.random), curvature.after(adam, interpolate)
    return curvature.search(way, problem.objective(*task[:3]), starts, task.batch)


def _measure(config, task, candidates):
    objective, outputs, fold = (
        problem.objective(*task[:3]),
        problem.outputs(task.model),
        problem.unravel(task),
    )
    hessian = lambda *point: curvature.dense(curvature.hessian_product(objective, *point), point[0])  # noqa: E731  # (params, batch)

    def ratios(params, batch):
        small = jax.tree.map(lambda x: x.astype(np.float32) if x.dtype == float else x, (params, batch))
        sampled = partial(sampling_ratio, objective, params, batch, pairs=config.pairs, key=jax.random.key(0))
        return Ratios(
            positive_share(jnp.linalg.eigvalsh(hessian(*small))),
            layerwise_gauss_newton_ratio(outputs, *small),
            jax.lax.map(lambda part: sampled(radius=part * tree.norm(params)), jnp.asarray(RADII)),
        )

    @jax.jit
    def everything(points, starts, batch):
        matrices = jax.lax.map(lambda point: hessian(fold(point), batch), points[: config.checked])
        return matrices, *(
            jax.lax.map(lambda params: ratios(params, batch), networks)
            for networks in (jax.vmap(fold)(points), starts)
        )

    sure = curvature.certified(candidates)
    matrices, *measured = everything(sure.params, problem.networks(task, config.random), task.batch)
    bounds = np.abs(sure.certificate.eigenvalues).max(axis=1)[:, None] * TOLERANCES
    pivots = [
        [curvature.inertia(matrix, tolerance=t) for t in row]
        for matrix, row in zip(matrices, bounds, strict=False)
    ]
    return Family(sure.certificate, np.array(pivots, int).reshape(-1, len(TOLERANCES), 3), *measured)


def _signs(family):
    """n₊, n₀, n₋, [point, tolerance, sign], from the eigenvalues."""
    criteria = [curvature.Criteria(zero=tolerance) for tolerance in TOLERANCES]
    return np.array([curvature.signs(family.certificate, each) for each in criteria]).transpose(2, 0, 1)


def _definitions(family):
    """The ratios of the certified points by definition."""
    return {
        "eigenvalues > 0": positive_share(family.certificate.eigenvalues),
        "the same, float32": family.ratios.share,
        "layers, float32": family.ratios.layerwise,
        "neighbours, 1e-3": family.ratios.sampled[:, NEAR],
        "neighbours, 1": family.ratios.sampled[:, FAR],
    }
