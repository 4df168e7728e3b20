"""What do training and held-out losses look like on lines between and beyond minima?

Keskar et al. and the homework of 2018 draw both losses at (1 - α)θ₁ + αθ₂ for α in
[-1, 2], θ₁ of small batches and θ₂ of large ones, and read off that the valley of θ₂ is
the narrower. Here θ₁ and θ₂ are a unit's networks in batches of 2 and of 50, of equal
training loss (`stopped_networks`), each at the rate whose held-out accuracy is highest.

- C069: the training loss rises more from α = 1 to 1 ± 0.2 than from 0 to ± 0.2, in the
  mean of both sides, if large batches are sharper along this line: the logarithm of the
  ratio is above ln 1.25; it fails below -ln 1.25.
- C070: if the held-out loss were the training loss displaced a little, and along its
  sharpest direction that costs most, then on the line through θ₁ or θ₂ along the
  Hessian's first eigenvector the least held-out loss would be near the training loss.
  It must take back more than half of the gap between both, within a displacement of 1.

Both support: a line is one direction of two thousand. Control of the second: the
training loss on the same line, which training has already made low: what it gains from
displacement, as a fraction of the same gap, is below a half. Units draw weights,
examples and order anew. Six units of seed 78 were seen after the margins were fixed.

Claims: C069, C070.
Sources: Keskar et al. 2017, arXiv:1609.04836, figure 3; Goodfellow, Vinyals and Saxe
    2015, arXiv:1412.6544; Li et al. 2018, arXiv:1712.09913.
Cost: half a minute on 2 cores, after `stopped_networks`.
Expect: no narrower valley; hardly anything is taken back.
Run: jaxml run loss_lines
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.record import Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Dataset, Keep, Params, Workload

NEEDS = ("stopped_networks",)
COURSES = {
    "8x8 digits": problem.digits_workload,
    "clothing of 7x7 pixels": problem.small_clothing_workload,
}
QUANTITIES = ("train", "test", "accuracy")
TRAIN, TEST, ACCURACY = range(3)
ENDS = (2, 50)
ALPHAS = np.linspace(-1, 2, 31)
ASIDE = 2  # points of ALPHAS between α and α ± 0.2
STARTS = (10, 20)  # where α is 0 and 1
STEPS = np.linspace(-1, 1, 41)
SHARPER = record.above(0.0, margin=0.223, reason="a quarter")
HALF = record.above(0.5, margin=0.1, reason="a tenth of the gap")


@dataclass(frozen=True, kw_only=True)
class Config:
    """How exactly the eigenvector is found."""

    depth: int = 40  # of Lanczos' iteration
    seed: int = 0


SMOKE = Config(depth=3)


class Result(NamedTuple):
    """By data set: losses and accuracies between a unit's networks, and losses along
    the first eigenvector of both.
    """

    between: Float[np.ndarray, "data quantity unit alpha"]
    along: Float[np.ndarray, "data quantity end unit step"]


def study(config: Config, keep: Keep, stopped_networks: Any) -> Result:
    """One program a data set."""
    between, along = [], []
    tuning = int(stopped_networks.tuning)
    both = (stopped_networks.digits, stopped_networks.clothing)
    both = both[: int(stopped_networks.data)]
    for seen, (name, workload) in zip(both, COURSES.items(), strict=False):
        with jax.enable_x64(True):
            compute = partial(_lines, config, workload(), seen, tuning)
            found = keep(name, compute)
        between.append([found["between"][each] for each in QUANTITIES])
        ends = np.array([found["along"][each] for each in QUANTITIES[:ACCURACY]])
        along.append(np.moveaxis(ends, 2, 1))
    return Result(between=np.array(between), along=np.array(along))


def _lines(
    config: Config, work: Workload, seen: Any, tuning: int
) -> dict[str, dict[str, np.ndarray]]:
    """By name, of every unit."""

    def double(leaf: np.ndarray) -> np.ndarray:
        return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf

    def tuned(leaf: np.ndarray) -> np.ndarray:
        best = [learn.chosen(-each, tuning) for each in seen.accuracy]
        return np.stack([double(leaf[size, best[size]]) for size in range(2)], axis=1)

    def one(run: tuple[Params, Dataset], _: None) -> dict[str, Any]:
        return _of_unit(config, work, *run)

    structure = jax.tree.structure(jax.eval_shape(work.start, randomness.key(0))[0])
    params = jax.tree.unflatten(structure, [tuned(leaf) for leaf in seen.weights])
    return curvature.mapped(one, (), (params, jax.tree.map(double, seen.own)), None)


def _of_unit(
    config: Config, work: Workload, ends: Params, own: Dataset
) -> dict[str, Any]:
    measures = {name: work.measures[name] for name in QUANTITIES}
    first, second = (
        jax.tree.map(lambda leaf, end=end: leaf[end], ends) for end in range(2)
    )
    between = curvature.interpolation(measures, first, second, own, at=ALPHAS)

    def along(params: Params) -> dict[str, Any]:
        key, loss = randomness.key(config.seed), work.measures["train"]
        product = curvature.hessian_product(loss, params, own)
        found = curvature.extremes(
            product, params, count=1, depth=config.depth, key=key
        )
        vector = jax.tree.map(lambda leaf: leaf[-1], found.vectors)
        there = tree.axpy(1.0, vector, params)
        return curvature.interpolation(measures, params, there, own, at=STEPS)

    return {"between": between, "along": jax.lax.map(along, ends)}


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: around both ends, and along the eigenvectors."""
    found: list[Assertion] = []
    for data, name in enumerate(list(COURSES)[: len(result.between)]):
        setting = f"{name}, dense network of ReLUs, 500 examples, Adam"
        found.append(_narrower(result.between[data, TRAIN], setting))
        for end, batch in enumerate(ENDS):
            there = f"{setting}, batches of {batch}"
            found += _displaced(result.along[data, :, end], there)
    return tuple(found)


def _narrower(line: np.ndarray, setting: str) -> Assertion:
    """Around α = 1 and around 0."""
    first, second = (
        (line[:, at - ASIDE] + line[:, at + ASIDE]) / 2 - line[:, at] for at in STARTS
    )
    rises = (first > 0) & (second > 0)
    return record.supporting(
        "C069",
        f"On the line between them the training loss rises more around a network of "
        f"batches of {ENDS[1]} than around one of batches of {ENDS[0]}.",
        record.bootstrap(np.mean, np.log(second[rises] / first[rises])),
        SHARPER,
        unit="log ratio",
        setting=setting,
        figure="between",
    )


def _displaced(lines: np.ndarray, setting: str) -> tuple[Assertion, ...]:
    """What displacement takes back of the gap, and the control."""
    middle = len(STEPS) // 2
    gap = lines[TEST, :, middle] - lines[TRAIN, :, middle]
    gained = (lines[:, :, middle] - np.min(lines, axis=-1)) / gap
    statements = {
        TEST: "The held-out loss, displaced along the first eigenvector by at most 1, "
        "takes back more than half of its gap to the training loss.",
        TRAIN: "The training loss, displaced along the first eigenvector by at most 1, "
        "falls by more than half of the gap to the held-out loss, the control.",
    }
    return tuple(
        record.supporting(
            "C070",
            statement,
            record.bootstrap(np.mean, gained[quantity]),
            HALF,
            unit="ratio",
            setting=setting,
            figure="along",
        )
        for quantity, statement in statements.items()
    )


def figures(result: Result) -> dict[str, Figure]:
    """Bands over units."""
    return {"between": _between(result), "along": _along(result)}


def _between(result: Result) -> Figure:
    figure, axes = panels(len(result.between), 2)
    for data, (losses, accuracies) in enumerate(
        zip(axes[::2], axes[1::2], strict=True)
    ):
        lines, name = result.between[data], list(COURSES)[data]
        band(losses, ALPHAS, lines[TRAIN].T, "training loss")
        band(losses, ALPHAS, lines[TEST].T, "held-out loss")
        band(accuracies, ALPHAS, lines[ACCURACY].T, "held-out accuracy")
        losses.set_yscale("log")
        alpha = f"α (0: batches of {ENDS[0]}, 1: batches of {ENDS[1]})"
        label(losses, name, alpha, "loss (nats)")
        label(accuracies, name, alpha, "accuracy")
    shared_legend(figure)
    return figure


def _along(result: Result) -> Figure:
    figure, axes = panels(len(result.along), len(ENDS))
    for place, axis in enumerate(axes):
        data, end = divmod(place, len(ENDS))
        lines = result.along[data, :, end]
        band(axis, STEPS, lines[TRAIN].T, "training loss")
        band(axis, STEPS, lines[TEST].T, "held-out loss")
        axis.set_yscale("log")
        title = f"{list(COURSES)[data]}, batches of {ENDS[end]}"
        label(axis, title, "displacement along the first eigenvector", "loss (nats)")
    shared_legend(figure)
    return figure
