"""Are networks of large batches sharper as Keskar et al. measure it, or steeper?

Keskar's sharpness is how far the loss rises within a box around the weights, of half
widths ε(|θ| + 1) with ε = 0.001, in percent of 1 + L. Where the gradient is not zero a
part of it is of first order, 100 ε Σ|gᵢ|(|θᵢ| + 1) / (1 + L), and tells of the slope,
not of curvature. Of the networks of batches of 2, of 50 and of all 500 examples that
gradient descent brought to one training loss (`descended_networks`) this compares the
whole, and what is beyond that part, in float64 on the examples that trained them: the
logarithm of the ratio of means, batches of 50, and all 500, over batches of 2, each at
the rate whose held-out error is lowest. They support C069, which the Hessian's highest
eigenvalue decides (`sharp_minima`), with the same margin: ln 1.25, for the paper's
ratios are 5 to 500. What fraction is of first order, and whether gradients are as
long, is said too: above a half, the measure is mostly slope.

The search is L-BFGS-B of 10 iterations, as in the paper, so what is found is a lower
bound. Units, rates and edges of grids are those of `stopped_networks`: 12 tune, 28
judge, and the tuning is resampled. Where training stopped, in six units of seed 78, a
half to three quarters was of first order.

Claims: C069.
Sources: Keskar et al. 2017, arXiv:1609.04836, definition 2.1.
Cost: two minutes on 2 cores, after `descended_networks`.
Expect: mostly slope, and no ratio like the paper's.
Run: jaxml run keskar_sharpness
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, problem, randomness, record, tree
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Batch, Keep, Objective, Params, Workload

NEEDS = ("descended_networks",)
SMALL, TENTH, ALL = range(3)  # sizes of batches
COURSES = {
    "8x8 digits": problem.digits_workload,
    "clothing of 7x7 pixels": problem.small_clothing_workload,
}
EPSILON = 1e-3
WHOLE, FIRST_ORDER, GRADIENT, BEYOND = range(4)
NAMES = {
    WHOLE: f"Keskar's sharpness (ε = {EPSILON:g})",
    BEYOND: "Keskar's sharpness beyond its part of first order",
    GRADIENT: "the gradient's norm",
}
SHARPER = record.above(
    0.0, margin=float(np.log(1.25)), reason="a quarter; the paper's ratios are 5 to 500"
)
HALF = record.below(0.5, margin=0.1, reason="a tenth of what is measured")


@dataclass(frozen=True, kw_only=True)
class Config:
    """How far the search goes."""

    iterations: int = 10
    seed: int = 0


SMOKE = Config(iterations=1)


class Result(NamedTuple):
    """Nan where a target was missed. Units that tune come first.

    Attributes:
        measures: the whole, its part of first order, the gradient's norm, and what is
            beyond first order, of judging units.
        scores: by which rates are tuned, nan at those that may not be chosen.
        edges: the outermost rates that may.
        lower: the training loss.
        sizes: of batches.
        weights: of a network, by data set.
        tuning: how many of the units tune.
    """

    measures: Float[np.ndarray, "data measure size rate judging"]
    scores: Float[np.ndarray, "data size rate unit"]
    edges: np.ndarray
    lower: np.ndarray
    sizes: np.ndarray
    weights: np.ndarray
    tuning: np.ndarray


def study(config: Config, keep: Keep, descended_networks: Any) -> Result:
    """The box around every network that judges, a stage a data set."""
    descended = descended_networks
    found = (descended.digits, descended.clothing)[: int(descended.data)]
    measured = []
    for seen, (name, workload) in zip(found, COURSES.items(), strict=False):
        with jax.enable_x64(True):
            compute = partial(_measures, config, workload(), problem.in_float64(seen))
            values = keep(name, compute)
        measured.append(np.where(np.isfinite(seen.train), values, np.nan))
    return Result(
        measures=np.stack(measured),
        scores=descended.scores,
        edges=descended.edges,
        lower=descended.lower,
        sizes=descended.sizes,
        weights=descended.parameters,
        tuning=descended.tuning,
    )


def _measures(
    config: Config, work: Workload, seen: Any
) -> Float[np.ndarray, "measure size rate judging"]:
    """Of every network."""
    axes, loss = seen.weights[0].shape[:3], problem.mean_loss(work)
    params = problem.stored_networks(work, seen.weights, axes=len(axes))
    slope = jax.jit(partial(_slope, loss))
    found = []
    for run, unit in enumerate(np.arange(np.prod(axes)) % axes[-1]):
        network, own = _row(params, run), _row(seen.own, unit)
        box = curvature.box_sharpness(
            loss,
            network,
            own,
            epsilon=EPSILON,
            iterations=config.iterations,
            key=randomness.key(config.seed),
        )
        first_order, length = map(float, slope(network, own))
        whole = box.sharpness
        found.append([whole, first_order, length, whole - first_order])
    return np.moveaxis(np.array(found), 1, 0).reshape(-1, *axes)


def _row(values: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], values)


def _slope(loss: Objective, params: Params, own: Batch) -> tuple[Any, Any]:
    """The part of first order, and the gradient's norm."""
    value, gradient = jax.value_and_grad(loss)(params, own)
    rises = jax.tree.map(
        lambda partial, leaf: jnp.sum(jnp.abs(partial) * (jnp.abs(leaf) + 1)),
        gradient,
        params,
    )
    first_order = 100 * EPSILON * sum(jax.tree.leaves(rises)) / (1 + value)
    return first_order, tree.norm(gradient)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: ratios, and how much is of first order."""
    found: list[Assertion] = []
    for data in range(len(result.measures)):
        for size in (TENTH, ALL):
            found += [_sharper(result, data, measure, size) for measure in NAMES]
        found += [_mostly_curvature(result, data, size) for size in (SMALL, ALL)]
    return tuple(found)


def _setting(result: Result, data: int) -> str:
    """As `sharpness_and_gap` says it."""
    small, tenth, every = result.sizes
    return (
        f"{list(COURSES)[data]}, dense network of {result.weights[data]:,} weights, "
        f"{every} examples, Adam in batches of {small}, {tenth} and {every}, then "
        f"gradient descent until a training loss of {result.lower[data]:g} nats"
    )


def _arm(result: Result, data: int, measure: int, size: int) -> Arm:
    """Of units that tune it is nan."""
    scores = result.scores[data, size]
    values = np.full_like(scores, np.nan)
    values[:, int(result.tuning) :] = result.measures[data, measure, size]
    return Arm(values, scores, result.edges[data, size])


def _log(values: np.ndarray) -> np.ndarray:
    """Nan where there is none."""
    return np.log(np.where(values > 0, values, np.nan))


def _log_ratio(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Of means, so that no unit is left out for a negative value."""
    return float(_log(np.asarray(record.ratio_of_means(ours, theirs))))


def _named(result: Result, size: int) -> str:
    batch = result.sizes[size]
    return f"all {batch} examples" if size == ALL else f"batches of {batch}"


def _sharper(result: Result, data: int, measure: int, size: int) -> Assertion:
    ours, theirs = (_arm(result, data, measure, each) for each in (size, SMALL))
    return record.supporting(
        "C069",
        f"At equal training loss {NAMES[measure]} is higher in networks trained by "
        f"{_named(result, size)} than by {_named(result, SMALL)}, each at its best "
        "rate.",
        record.tuned(_log_ratio, ours, theirs, tuning=int(result.tuning)),
        SHARPER,
        unit="log ratio",
        setting=_setting(result, data),
    )


def _mostly_curvature(result: Result, data: int, size: int) -> Assertion:
    """How much is of first order."""
    tuning = int(result.tuning)
    first, whole = (_arm(result, data, each, size) for each in (FIRST_ORDER, WHOLE))
    return record.supporting(
        "C069",
        f"Of Keskar's sharpness of networks trained by {_named(result, size)} less "
        "than half is of first order.",
        record.tuned(record.ratio_of_means, first, whole, tuning=tuning),
        HALF,
        unit="ratio",
        setting=_setting(result, data),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Ratios unit by unit."""
    count = len(result.measures)
    figure, axes = panels(count, 1, width=7.0, height=2.8)
    for data, axis in enumerate(axes):
        pairs = {}
        for size in (TENTH, ALL):
            for measure, words in (WHOLE, "whole"), (BEYOND, "beyond first order"):
                row = f"{_named(result, size)} over {_named(result, SMALL)}:\n{words}"
                pairs[row] = tuple(
                    _logs(_arm(result, data, measure, each)) for each in (size, SMALL)
                )
        compared(axis, pairs, SHARPER, tuning=int(result.tuning))
        label(axis, list(COURSES)[data], "logarithm of the ratio", "sharpness")
    shared_legend(figure)
    return {"sharpness": figure}


def _logs(arm: Arm) -> Arm:
    return arm._replace(values=_log(np.asarray(arm.values)))
