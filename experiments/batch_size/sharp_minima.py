"""Do large batches end in sharper minima, and small batches in flatter ones?

Of networks that Adam trained in batches of 2, of 50 and of all 500 examples until one
training loss (`stopped_networks`), the curvature is measured in float64 on the examples
that trained them: Keskar's sharpness, the Hessian's highest eigenvalue and trace, and
relative flatness of the last layer, which rescaling layers does not change.

The claim holds if the logarithm of the ratio, batches of 50 over batches of 2, each at
the rate whose held-out accuracy is highest, is above ln 1.25; it fails below -ln 1.25.
Less than a quarter would not matter, since the grid's rates lie further apart. Keskar's
sharpness and the eigenvalue decide; the others, and all 500 examples, support. Whether
sharpness is why networks generalise worse, asks `sharpness_and_gap`; further measures,
and what becomes of them where the same function is rescaled, `rescaled_minima`.

They are no minima, for training was stopped: where the gradient is not zero, Keskar's
box holds the rise along it too, the other measures do not.

Control: the first judging units over the others, in batches of 50, which must not
differ. Units draw their weights, examples and order anew; 20 tune, 20 judge, and the
tuning is resampled. Two networks of seed 71 placed the depth of Lanczos' iteration;
twelve units of seed 78, at six rates, were seen after the margins were fixed, and made
the grids of rates longer. Not tested: convolution, normalisation.

Claims: C069.
Sources: Keskar et al. 2017, arXiv:1609.04836; Petzka et al. 2021, arXiv:2001.00939.
Cost: a minute on 2 cores, after `stopped_networks`.
Expect: batches of 2, at the rates that are best for them, are no flatter.
Run: jaxml run sharp_minima
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxml import curvature, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Dataset, Keep, Objective, Params, Workload

NEEDS = ("stopped_networks",)
SMALL, TENTH, ALL = range(3)  # sizes of batches
COURSES = {
    "8x8 digits": problem.digits_workload,
    "clothing of 7x7 pixels": problem.small_clothing_workload,
}
NAMES = {
    "box": "Keskar's sharpness (ε = 0.001)",
    "eigenvalue": "the Hessian's highest eigenvalue",
    "half": "Keskar's sharpness (ε = 0.0005)",
    "trace": "the Hessian's trace",
    "relative": "relative flatness (high is sharp) of the last layer",
}
EPSILONS = {"box": 1e-3, "half": 5e-4}
DECIDING = ("box", "eigenvalue")
SHARPER = record.above(
    0.0, margin=0.223, reason="a quarter; rates of the grid lie further apart"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """How exactly curvature is measured."""

    depth: int = 25  # of Lanczos' iteration
    probes: int = 25  # of the trace
    seed: int = 0


SMOKE = Config(depth=3, probes=2)


class Result(NamedTuple):
    """Nan where the target was not reached. Units that tune come first.

    Attributes:
        measures: in the order of NAMES, of judging units.
        scores: by which rates are tuned, the lower the better.
        losses: from the lowest to the highest at which networks stopped.
        sizes: of batches.
        weights: of a network, by data set.
        tuning: how many of the units tune.
    """

    measures: Float[np.ndarray, "data measure size rate judging"]
    scores: Float[np.ndarray, "data size rate unit"]
    losses: Float[np.ndarray, "data end"]
    sizes: np.ndarray
    weights: np.ndarray
    tuning: np.ndarray


def study(config: Config, keep: Keep, stopped_networks: Any) -> Result:
    """Curvature of every network that judges, a stage a data set."""
    measured, ends = [], []
    found = (stopped_networks.digits, stopped_networks.clothing)
    found, tuning = found[: int(stopped_networks.data)], int(stopped_networks.tuning)
    for seen, (name, workload) in zip(found, COURSES.items(), strict=False):
        with jax.enable_x64(True):
            compute = partial(_measures, config, workload(), _double(seen))
            measured.append(keep(name, compute))
        ends.append([np.nanmin(seen.train), np.nanmax(seen.train)])
    there = np.stack([seen.train[:, :, tuning:] for seen in found]) > 0
    return Result(
        measures=np.where(there[:, None], np.stack(measured), np.nan),
        scores=np.stack([-seen.accuracy for seen in found]),
        losses=np.array(ends),
        sizes=stopped_networks.sizes,
        weights=np.array([_count(seen.weights) for seen in found]),
        tuning=stopped_networks.tuning,
    )


def _count(weights: Sequence[np.ndarray]) -> int:
    return sum(leaf[0, 0, 0].size for leaf in weights)


def _double(values: Any) -> Any:
    """In float64, where they are floating-point numbers."""

    def cast(leaf: np.ndarray) -> np.ndarray:
        return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf

    return jax.tree.map(cast, values)


def _measures(
    config: Config, work: Workload, seen: Any
) -> Float[np.ndarray, "measure size rate judging"]:
    """Of every network, in the order of NAMES."""
    axes, loss = seen.weights[0].shape[:3], work.measures["train"]
    structure = jax.tree.structure(jax.eval_shape(work.start, randomness.key(0))[0])
    leaves = [leaf.reshape(-1, *leaf.shape[3:]) for leaf in seen.weights]
    params = jax.tree.unflatten(structure, leaves)
    units = np.arange(np.prod(axes)) % axes[-1]

    def one(run: tuple[Params, Any], own: Dataset) -> dict[str, Any]:
        network, unit = run
        return _measured(config, loss, network, _row(own, unit))

    found = curvature.mapped(one, (), (params, units), seen.own)
    for name, epsilon in EPSILONS.items():
        box = partial(_box, config, loss, epsilon)
        found[name] = [
            box(_row(params, run), _row(seen.own, unit))
            for run, unit in enumerate(units)
        ]
    return np.array([found[name] for name in NAMES]).reshape(-1, *axes)


def _row(values: Any, index: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], values)


def _measured(
    config: Config, loss: Objective, params: Params, own: Dataset
) -> dict[str, Any]:
    """What needs no search on the host."""
    key, layer = randomness.key(config.seed), "layer_01/kernel"
    product = curvature.hessian_product(loss, params, own)
    ends = curvature.extremes(product, params, count=1, depth=config.depth, key=key)
    return {
        "eigenvalue": ends.values[-1],
        "trace": curvature.trace(product, params, key=key, probes=config.probes).value,
        "relative": curvature.relative_flatness(loss, params, own, layer=layer),
    }


def _box(
    config: Config, loss: Objective, epsilon: float, params: Params, own: Dataset
) -> float:
    key = randomness.key(config.seed)
    box = curvature.box_sharpness(loss, params, own, epsilon=epsilon, key=key)
    return box.sharpness


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: every measure, against a tenth and all; and the control."""
    found: list[Assertion] = []
    for data in range(len(result.measures)):
        for name in NAMES:
            role = record.deciding if name in DECIDING else record.supporting
            found.append(_sharper(result, data, name, TENTH, role))
            found.append(_sharper(result, data, name, ALL, record.supporting))
        found.append(_control(result, data))
    return tuple(found)


def _setting(result: Result, data: int) -> str:
    low, high = result.losses[data]
    return (
        f"{list(COURSES)[data]}, dense network of {result.weights[data]:,} weights, "
        f"{result.sizes[ALL]} examples, Adam, constant rate tuned for each, training "
        f"loss {low:.2g} to {high:.2g} nats"
    )


def _arm(result: Result, data: int, name: str, size: int) -> Arm:
    """Logarithms of a measure; of units that tune they are nan."""
    scores = result.scores[data, size]
    values = result.measures[data, list(NAMES).index(name), size]
    logs = np.full_like(scores, np.nan)
    logs[:, int(result.tuning) :] = np.log(values)
    return Arm(logs, scores)


def _sharper(
    result: Result, data: int, name: str, size: int, role: Callable[..., Assertion]
) -> Assertion:
    large, small = result.sizes[[size, SMALL]]
    return role(
        "C069",
        f"At equal training loss {NAMES[name]} is higher in networks trained by "
        f"batches of {large} than by batches of {small}.",
        record.tuned(
            record.mean_difference,
            _arm(result, data, name, size),
            _arm(result, data, name, SMALL),
            tuning=int(result.tuning),
        ),
        SHARPER,
        unit="log ratio",
        setting=_setting(result, data),
    )


def _control(result: Result, data: int) -> Assertion:
    """The first judging units over the others."""
    name = DECIDING[0]
    values = at_tuned(_arm(result, data, name, TENTH), int(result.tuning))
    values = values[np.isfinite(values)]
    first, others = np.array_split(values[: len(values) // 2 * 2], 2)
    return record.supporting(
        "C069",
        f"At equal training loss {NAMES[name]} is higher in the first judging units "
        f"than in the others, all by batches of {result.sizes[TENTH]}, the control.",
        record.bootstrap(record.mean_difference, first, others),
        SHARPER,
        unit="log ratio",
        setting=_setting(result, data),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Ratios of every measure, unit by unit."""
    count = len(result.measures)
    figure, axes = panels(count * 2, 1, width=7.0, height=3.2)
    places = [(data, size) for data in range(count) for size in (TENTH, ALL)]
    for axis, (data, size) in zip(axes, places, strict=True):
        pairs = {
            words.replace(" (", "\n("): (
                _arm(result, data, name, size),
                _arm(result, data, name, SMALL),
            )
            for name, words in NAMES.items()
        }
        compared(axis, pairs, SHARPER, tuning=int(result.tuning))
        large, small = result.sizes[[size, SMALL]]
        ratio = f"logarithm of the ratio, batches of {large} over {small}"
        label(axis, list(COURSES)[data], ratio, "measure")
    shared_legend(figure)
    return {"sharpness": figure}
