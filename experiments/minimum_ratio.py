"""Does a low "minimum ratio" mean that no true minimum was reached? Its definitions, side by side.

At the certified points of `critical_points` exact inertia stands beside the share of eigenvalues computed
above 0, the share of neighbours that lie higher, and the layerwise Gauss-Newton share of the course's
homework, whose 1-128-1 network at a perfect fit is one more family. Families are never pooled.

Claims: C053, C054, C055, C056, A1, A2.
Sources: the course's HW1-2 of 2018 and HW2-2 of 2021; Sylvester's law of inertia.
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
from jaxml.curvature.ratio import Ratios, minimum_ratios
from jaxml.record.figures import label, panels, stacked_shares
from jaxml.types import Array

NEEDS = ("critical_points",)
TOLERANCES = (1e-6, 1e-8, 1e-10)  # of the largest |eigenvalue|
RADII = np.logspace(-5, 1, 7)  # of ‖θ‖
FREE, SINC = ("relu", "tanh", "trained_relu", "digits"), ("relu", "tanh", "followed_tanh", "trained_relu")


@dataclass(frozen=True, kw_only=True)
class Config:
    """How much is sampled; every certified point is measured."""

    pairs: int = 100  # of opposite neighbours at each radius
    random: int = 10  # random networks of each family, and homework networks that are fitted
    checked: int = 4  # points of each family whose signs LDLᵀ counts too
    examples: int = 500  # of the digits, as in critical_points
    dtype: str = "float64"


SMOKE = Config(pairs=10, random=3, checked=2, examples=60)


class Family(NamedTuple):
    """Certified points [n], and random networks, whose gradient is not 0."""

    certificate: curvature.Certificate
    mismatches: Array  # [checked, tolerance], whether LDLᵀ counts other signs than the eigenvalues have
    double: Ratios  # [n]
    single: Ratios  # [n], everything in float32
    random: Ratios


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
        tasks = dict(zip(Result._fields, (relu, tanh, climbed, relu, *digits, homework), strict=False))
        fits = keep("fits", partial(_fits, config, homework))
        points = critical_points._asdict() | {"homework": fits}
        measure = {name: partial(_measure, config, task, points[name]) for name, task in tasks.items()}
        variance = np.var(problem.sinc(5000, dtype=np.float64).targets)
        return Result(**{name: keep(name, compute) for name, compute in measure.items()}, variance=variance)


def _fits(config, task):
    """Homework networks, trained by Adam and then to a perfect fit by Gauss-Newton."""
    outputs, fold = problem.outputs(task.model), problem.unravel(task)

    def interpolate(objective, params, batch):
        def step(_, x):
            error = lambda x: (outputs(fold(x), batch) - batch.targets)[:, 0]  # noqa: E731  # short
            return x - jnp.linalg.pinv(jax.jacfwd(error)(x)) @ error(x)

        x = jax.lax.fori_loop(0, 10, step, tree.ravel(params)[0])
        return curvature.stay(objective, fold(x), batch)

    way = curvature.after(learn.minimiser(learn.adam(learn.Hyper(lr=1e-3)), steps=2000), interpolate)
    return curvature.search(
        way, problem.objective(*task[:3]), problem.networks(task, config.random), task.batch
    )


def _measure(config, task, candidates):
    objective, fold = problem.objective(*task[:3]), jax.vmap(problem.unravel(task))
    sampling = {"radii": RADII, "pairs": config.pairs, "key": jax.random.key(0)}

    def ratios(networks, batch):
        one = partial(minimum_ratios, objective, problem.outputs(task.model), batch=batch, **sampling)
        return jax.lax.map(lambda params: one(params=params), networks)

    def hessian(params, batch):
        return curvature.dense(curvature.hessian_product(objective, params, batch), params)

    @jax.jit
    def everything(points, random, batch):
        matrices = jax.lax.map(partial(hessian, batch=batch), fold(points[: config.checked]))
        single = jax.tree.map(
            lambda x: x.astype(np.float32) if x.dtype == float else x, (fold(points), batch)
        )
        return matrices, ratios(fold(points), batch), ratios(*single), ratios(random, batch)

    sure = curvature.certified(candidates)
    matrices, *measured = everything(sure.params, problem.networks(task, config.random), task.batch)
    mismatches = [
        [
            curvature.inertia(matrix, tolerance=t) != curvature.inertia_from_eigenvalues(values, tolerance=t)
            for t in np.abs(values).max() * np.array(TOLERANCES)
        ]
        for matrix, values in zip(matrices, sure.certificate.eigenvalues, strict=False)
    ]
    return Family(sure.certificate, np.array(mismatches, bool).reshape(-1, len(TOLERANCES)), *measured)


def _signs(family, zero=1e-8):
    """n₊, n₀, n₋ as shares of all eigenvalues, [sign, n]."""
    counts = curvature.signs(family.certificate, curvature.Criteria(zero=zero))
    return np.stack(counts) / family.certificate.eigenvalues.shape[1]


def _labels(family):
    """What each definition calls a minimum, [definition, n]: no negative eigenvalue, or a ratio above ½."""
    double, single = family.double, family.single
    shares = (
        double.eigenvalues,
        single.eigenvalues,
        single.layerwise,
        double.sampled[:, 2],
        double.sampled[:, 5],
    )
    return np.array([_signs(family)[2] == 0, *(share > 0.5 for share in shares)])


def findings(result):
    """Thresholds on the claim's side: a quarter for "about half", ½ ± 0.1 for "near one half"."""
    families = result._asdict()
    above, below, exact = (
        partial(f, unit="1", dtype="float64") for f in (record.above, record.below, record.exact)
    )
    mean, rank = partial(record.bootstrap, np.mean), partial(record.bootstrap, record.correlation)
    share = lambda hits: record.proportion(int(np.sum(hits)), len(hits))  # noqa: E731  # of networks
    half = lambda ratio: mean(np.abs(ratio - 0.5))  # noqa: E731  # its distance
    found = []
    for name in FREE:
        up, flat, down = _signs(families[name])
        found += [
            above(
                "C053", f"{name}: about half of the eigenvalues are negative: mean n₋/p.", mean(down), 0.25
            ),
            below(
                "C053",
                f"{name}: true minima are never reached: share of points with n₋ = 0.",
                share(down == 0),
                0.05,
            ),
        ]
    for name in SINC:
        family, loss = families[name], families[name].certificate.loss
        found += [
            below(
                "C054",
                f"{name}: ρ(share of eigenvalues > 0, loss) is negative.",
                rank(family.double.eigenvalues, loss),
                0.0,
            ),
            below(
                "C054",
                f"{name}: ρ(share of higher neighbours at 1e-3 ‖θ‖, loss) is negative.",
                rank(family.double.sampled[:, 2], loss),
                0.0,
            ),
        ]
    return tuple(found)


def figures(result):
    return {}
