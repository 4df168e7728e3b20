"""Does the fraction of higher neighbours fall with the loss, or with the distance?

Homework 1-2 of 2018 allows a second "minimum ratio": sample weights around a critical
point, and count those with a higher loss. Students took neighbours in two ways: each
weight times 1 ± 0.0005 at most, or one number within ±1 added to each tensor; one of
them got ratios of 0.115 to 0.84, which fall with the loss.

Both ways are taken here at the critical points of minimum_ratio. Beside them neighbours
lie on spheres of many radii, around these points and around random weights, whose
gradient is not zero.

Outcomes: a ratio that falls with the loss has a negative rank correlation, one that
does not none. If the radius does not matter, the ratio is the same on all spheres; by
theory it is one half on small ones where the gradient is not zero, and one on large
ones.

Units: distinct critical points, as in minimum_ratio; random networks, each drawn anew.
Margins: 0.1 of a rank correlation, which explains 1 % of the variance. The comparison
with a student's range was added after first ratios had been seen, and only supports.
Control: at minima the ratio must not tend to one half as the radius falls. Budget:
1,000 neighbours a point, whose fraction has a standard error of at most 0.016.

Claims: C054, C056.
Sources: the course's HW1-2 of 2018, and two students' solutions of it.
Cost: a few seconds on 2 cores, after minimum_ratio.
Expect: near minima every neighbour is higher, whatever the loss; one half near random
weights.
Run: jaxml run neighbour_ratio
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, problem, randomness, record, tree
from jaxml.curvature import Candidates, sampling_ratio
from jaxml.record import Assertion
from jaxml.record.figures import (
    Axes,
    Figure,
    band,
    label,
    panels,
    shared_legend,
)
from jaxml.types import Array, Batch, Keep, Key

NEEDS = ("minimum_ratio",)
RADII = np.logspace(-5, 1, 7)  # of ‖θ‖
NEAR, FAR = 0, -1
CLOSE = 2  # 1e-3 of ‖θ‖
PRINTED = (0.115, 0.84)  # the range of one student's ratios


@dataclass(frozen=True, kw_only=True)
class Config:
    """Neighbours of each point, and random networks on each function."""

    neighbours: int = 1000  # of the students' two kinds
    pairs: int = 100  # of opposite neighbours at each radius
    networks: int = 100
    seed: int = 0


SMOKE = Config(neighbours=20, pairs=10, networks=3)


class Neighbours(NamedTuple):
    """The fraction of neighbours with a higher loss."""

    spheres: Float[Array, "point radius"]
    scaled: Float[Array, " point"]  # each weight times 1 ± at most 0.0005
    shifted: Float[Array, " point"]  # each tensor plus one number within ±1


class Sampled(NamedTuple):
    """Critical points of one function, of which the distinct ones are chosen, and
    random networks.
    """

    loss: Float[Array, " point"]
    minimum: Array  # [point], bool
    around: Neighbours
    random: Neighbours


class Result(NamedTuple):
    """Both functions."""

    sinc: Sampled
    wave: Sampled


NETWORK = "ReLU network 1-6-6-1 of 61 weights"
SETTINGS = {
    "sinc": f"sin(5πx)/(5πx) at 64 points, {NETWORK}",
    "wave": f"sgn(sin 5πx) at 64 points, {NETWORK}",
}
TRAINED = "Adam, then descent on the gradient norm"


def study(config: Config, keep: Keep, minimum_ratio: Any) -> Result:
    """One program a set of points."""
    with jax.enable_x64(True):
        task = problem.deep_relu(problem.sinc(64, dtype=np.float64))
        objective, unravel = problem.objective(*task[:3]), problem.unravel(task)
        sample = jax.jit(partial(_sampled, config, objective, unravel))
        random = _random(config, task)

        def sampled(name: str, batch: Batch, candidates: Candidates) -> Sampled:
            rows = _distinct(candidates)
            outcome = curvature.outcome(candidates.certificate)
            points = candidates.params[rows]
            return Sampled(
                loss=candidates.certificate.loss[rows],
                minimum=outcome[rows] == curvature.MINIMUM,
                around=keep(f"{name} around", partial(sample, points, batch)),
                random=keep(f"{name} random", partial(sample, random, batch)),
            )

        return Result(
            sinc=sampled("sinc", task.batch, minimum_ratio.sinc),
            wave=sampled("wave", problem.square_wave(64), minimum_ratio.wave),
        )


def _distinct(candidates: Candidates) -> np.ndarray:
    """The first network at each distinct critical point."""
    kinds = (curvature.MINIMUM, curvature.SADDLE, curvature.FLAT)
    certificate = candidates.certificate
    rows = np.flatnonzero(np.isin(curvature.outcome(certificate), kinds))
    negative = np.asarray(curvature.signs(certificate).negative)
    return rows[curvature.distinct(certificate.loss[rows], negative[rows])]


def _random(config: Config, task: problem.Task) -> jax.Array:
    """He's initial kernels, and a deviation of 0.1 everywhere: zero biases put units on
    their kinks.
    """
    networks = problem.networks(task, randomness.seeds(config.seed, config.networks))
    flat = jax.vmap(lambda params: tree.ravel(params)[0])(networks)
    noise = tree.random_like(flat, randomness.key(config.seed, config.networks))
    return flat + 0.1 * noise


def _sampled(
    config: Config,
    objective: Callable[..., jax.Array],
    unravel: Callable[[jax.Array], Any],
    points: Array,
    batch: Batch,
) -> Neighbours:
    """All kinds of neighbours of every point, each in directions of its own."""
    keys = jax.random.split(
        randomness.key(config.seed, config.networks + 1), len(points)
    )

    def one(operands: tuple[jax.Array, Key]) -> Neighbours:
        point, key = operands
        params = unravel(point)
        here = objective(params, batch)
        sphere = partial(
            sampling_ratio, objective, params, batch, pairs=config.pairs, key=key
        )

        def higher(moved: Callable[[Any, Key], Any], stream: int) -> jax.Array:
            draws = jax.random.split(jax.random.fold_in(key, stream), config.neighbours)
            losses = jax.vmap(lambda draw: objective(moved(params, draw), batch))(draws)
            return jnp.mean(losses > here)

        radii = jnp.asarray(RADII) * tree.norm(params)
        return Neighbours(
            spheres=jax.lax.map(lambda radius: sphere(radius=radius), radii),
            scaled=higher(_scaled, 1),
            shifted=higher(_shifted, 2),
        )

    return jax.lax.map(one, (jnp.asarray(points), keys))


def _scaled(params: Any, key: Key) -> Any:
    """θ (1 + 0.001 u), u uniform on ±1/2 for each weight: one student's neighbours."""
    flat, unravel = tree.ravel(params)
    draw = jax.random.uniform(key, flat.shape, flat.dtype, minval=-0.5, maxval=0.5)
    return unravel(flat * (1 + 1e-3 * draw))


def _shifted(params: Any, key: Key) -> Any:
    """θ + u, one u uniform on ±1 for each tensor: another student's neighbours."""
    leaves, structure = jax.tree.flatten(params)
    draws = jax.random.uniform(
        key, (len(leaves),), leaves[0].dtype, minval=-1, maxval=1
    )
    moved = [leaf + draw for leaf, draw in zip(leaves, draws, strict=True)]
    return jax.tree.unflatten(structure, moved)


FALLS = record.below(
    0.0, margin=0.1, reason="a rank correlation of 0.1 explains 1 % of the variance"
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Each function by itself."""
    rows: list[Assertion] = []
    for name, setting in SETTINGS.items():
        sampled = getattr(result, name)
        rows += _homework(sampled, f"{setting}, {TRAINED}")
        rows += _radius(sampled, setting)
    return tuple(rows)


def _homework(sampled: Sampled, setting: str) -> tuple[Assertion, ...]:
    """The homework's second ratio, by the neighbours of two students; the nearer ones
    see minima alone.
    """
    shifted = np.asarray(sampled.around.shifted)
    return (
        record.deciding(
            "C054",
            "Among distinct critical points to which training leads, the fraction of "
            "higher neighbours falls as the loss rises, where a neighbour has one "
            "number within ±1 added to each tensor.",
            record.bootstrap(record.correlation, shifted, sampled.loss),
            FALLS,
            unit="correlation",
            setting=setting,
        ),
        record.supporting(
            "C054",
            "Among distinct critical points to which training leads, the fraction of "
            "higher neighbours falls as the loss rises, where a neighbour has each "
            "weight changed by at most 0.05 %.",
            record.bootstrap(record.correlation, sampled.around.scaled, sampled.loss),
            FALLS,
            unit="correlation",
            setting=setting,
        ),
        record.supporting(
            "C054",
            "At more than half of distinct critical points to which training leads, "
            "at most 0.84 of the neighbours are higher, as one student found, where a "
            "neighbour has one number within ±1 added to each tensor.",
            record.proportion(shifted <= max(PRINTED), of=shifted),
            record.above(0.5),
            unit="fraction",
            setting=setting,
        ),
    )


def _radius(sampled: Sampled, setting: str) -> tuple[Assertion, ...]:
    """Near and far from random weights; at minima the ratio does not tend to one
    half.
    """
    random = np.asarray(sampled.random.spheres)
    minima = np.asarray(sampled.around.spheres)[sampled.minimum]
    return (
        record.deciding(
            "C056",
            "Where the gradient is not zero, half the neighbours at a distance of "
            "1e-5 of the weights' norm have a higher loss.",
            record.largest(random[:, NEAR] - 0.5),
            record.at_most(0.01),
            unit="error",
            setting=f"{setting}, random weights",
        ),
        record.deciding(
            "C056",
            "More than 19 of 20 neighbours at a distance of ten times the weights' "
            "norm have a higher loss.",
            record.bootstrap(np.mean, random[:, FAR]),
            record.above(0.95),
            unit="fraction",
            setting=f"{setting}, random weights",
        ),
        record.supporting(
            "C056",
            "At distinct minima more than 19 of 20 neighbours at a distance of 1e-3 "
            "of the weights' norm have a higher loss.",
            record.bootstrap(np.mean, minima[:, CLOSE]),
            record.above(0.95),
            unit="fraction",
            setting=f"{setting}, {TRAINED}",
        ),
    )


LOSS, HIGHER = "loss (mean squared error)", "fraction of higher neighbours"


def figures(result: Result) -> dict[str, Figure]:
    """Both students' ratios against the loss, and the ratio against the radius."""
    against_loss, losses = panels(1, 2)
    against_radius, radii = panels(1, 2)
    for column, (name, setting) in enumerate(SETTINGS.items()):
        sampled, title = getattr(result, name), setting.split(",")[0]
        _against_loss(losses[column], sampled)
        label(losses[column], f"{title}, distinct points", HIGHER, LOSS)
        _against_radius(radii[column], sampled)
        label(radii[column], title, "radius (‖θ‖)", HIGHER)
    shared_legend(against_loss)
    shared_legend(against_radius, columns=4)
    return {"neighbours": against_loss, "radius": against_radius}


def _against_loss(axes: Axes, sampled: Sampled) -> None:
    """One point a critical point and kind of neighbour, and the range that one student
    found.
    """
    around, loss = sampled.around, sampled.loss
    axes.axvspan(*PRINTED, color="#dddddd", label="a student's range, by shifts")
    axes.scatter(around.shifted, loss, s=16, label="one shift a tensor")
    axes.scatter(around.scaled, loss, marker="|", s=90, label="each weight by 0.05 %")
    axes.set_xlim(0, 1.05)
    if len(loss):
        axes.set_yscale("log")


def _against_radius(axes: Axes, sampled: Sampled) -> None:
    """Medians, and where 8 of 10 networks lie, around random weights and around
    distinct minima.
    """
    minima = np.asarray(sampled.around.spheres)[sampled.minimum]
    around = {"random weights": np.asarray(sampled.random.spheres), "minima": minima}
    for name, fractions in around.items():
        if len(fractions):
            band(axes, RADII, fractions.T, name)
    axes.axhline(0.5, color="0.4", linestyle=":", label="one half")
    axes.axhline(0.95, color="0.4", linestyle="-.", label="19 of 20")
    axes.set_xscale("log")
