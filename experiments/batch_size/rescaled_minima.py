"""How sharp is a network whose layers are rescaled, though it is the same function?

Dinh et al. object to flat minima as an explanation: of a network of ReLUs, (W₁, b₁, W₂)
and (aW₁, ab₁, W₂/a) give the same output for every input, and so generalise alike, yet
their Hessians differ. The networks that batches of 2 trained to one training loss
(`stopped_networks`), each at the rate whose held-out accuracy is highest, are rescaled
by a = 3. In float64 no held-out loss may change by more than rounding, 1e-12, nor
relative flatness of the last layer by more than a part in 1e-8; these are theorems, and
tests of the measures. Keskar's sharpness, the highest eigenvalue, the trace and the
rise within a ball are said to change: the logarithm of the ratio lies above ln 1.25 if
they rise, and fails below. The rise within a ball whose axes are scaled by the weights
is invariant too, if its search finds the maximum.

Then a measure that changes can be no reason for what does not, and networks of small
batches can be made sharper than those of large ones: the rescaled ones over those that
batches of 50 trained. All of it supports and decides nothing. Six units of seed 78 were
seen after the margins were fixed.

Claims: C069.
Sources: Dinh et al. 2017, arXiv:1703.04933; Petzka et al. 2021, arXiv:2001.00939; Kwon
    et al. 2021, arXiv:2102.11600.
Cost: half a minute on 2 cores, after `stopped_networks`.
Expect: all but two measures change.
Run: jaxml run rescaled_minima
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Dataset, Keep, Params, Workload

NEEDS = ("stopped_networks",)
COURSES = {
    "8x8 digits": problem.digits_workload,
    "clothing of 7x7 pixels": problem.small_clothing_workload,
}
SMALL, RESCALED, TENTH = range(3)
SCALE = 3.0  # a
NAMES = {
    "box": "Keskar's sharpness (ε = 0.001)",
    "eigenvalue": "the Hessian's highest eigenvalue",
    "trace": "the Hessian's trace",
    "ball": "the rise of the loss within a ball of radius 0.05",
    "scaled": "the rise of the loss within a ball of 0.5 scaled by the weights",
}
RISES = record.above(0.0, margin=0.223, reason="a quarter")
LAYER = "layer_01/kernel"


@dataclass(frozen=True, kw_only=True)
class Config:
    """How exactly curvature is measured."""

    depth: int = 25  # of Lanczos' iteration
    probes: int = 25  # of the trace
    steps: int = 30  # of ascents
    seed: int = 0


SMOKE = Config(depth=3, probes=2, steps=2)


class Result(NamedTuple):
    """Networks of batches of 2, the same rescaled, and those of batches of 50.

    Attributes:
        logs: of measures, in the order of NAMES.
        change: of held-out losses by rescaling.
        relative: flatness, its relative change by rescaling.
        sizes: of batches.
    """

    logs: Float[np.ndarray, "data measure kind unit"]
    change: Float[np.ndarray, "data unit"]
    relative: Float[np.ndarray, "data unit"]
    sizes: np.ndarray


def study(config: Config, keep: Keep, stopped_networks: Any) -> Result:
    """One program a data set."""
    logs, change, relative = [], [], []
    tuning = int(stopped_networks.tuning)
    both = (stopped_networks.digits, stopped_networks.clothing)
    both = both[: int(stopped_networks.data)]
    for seen, (name, workload) in zip(both, COURSES.items(), strict=False):
        with jax.enable_x64(True):
            compute = partial(_measures, config, workload(), seen, tuning)
            found = keep(name, compute)
        logs.append(np.log([found[each] for each in NAMES]))
        losses, flatness = found["test"], found["relative"]
        change.append(losses[RESCALED] - losses[SMALL])
        relative.append(flatness[RESCALED] / flatness[SMALL] - 1)
    return Result(
        logs=np.stack(logs),
        change=np.stack(change),
        relative=np.stack(relative),
        sizes=stopped_networks.sizes,
    )


def _measures(
    config: Config, work: Workload, seen: Any, tuning: int
) -> dict[str, np.ndarray]:
    """By name `[kind, unit]`."""
    best = [learn.chosen(-each, tuning) for each in seen.accuracy[:2]]

    def double(leaf: np.ndarray) -> np.ndarray:
        return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf

    structure = jax.tree.structure(jax.eval_shape(work.start, randomness.key(0))[0])
    small, tenth = (
        jax.tree.unflatten(structure, [double(leaf[place]) for leaf in seen.weights])
        for place in enumerate(best)
    )
    kinds = (small, _rescaled(small), tenth)
    networks = jax.tree.map(lambda *leaves: np.concatenate(leaves), *kinds)
    own = jax.tree.map(lambda leaf: np.concatenate([double(leaf)] * 3), seen.own)

    def one(run: tuple[Params, Dataset], _: None) -> dict[str, Any]:
        return _measured(config, work, *run)

    found = curvature.mapped(one, (), (networks, own), None)
    boxes = []
    for run in range(len(own.train.weights)):
        single = jax.tree.map(lambda leaf, at=run: leaf[at], (networks, own))
        boxes.append(_box(config, work, *single))
    found["box"] = np.array(boxes)
    return {name: np.reshape(values, (3, -1)) for name, values in found.items()}


def _rescaled(params: Params) -> Params:
    """(aW₁, ab₁, W₂/a)."""
    first, second = params["layer_00"], params["layer_01"]
    return {
        "layer_00": {name: leaf * SCALE for name, leaf in first.items()},
        "layer_01": {**second, "kernel": second["kernel"] / SCALE},
    }


def _measured(
    config: Config, work: Workload, params: Params, own: Dataset
) -> dict[str, Any]:
    """What needs no search on the host."""
    loss, key = work.measures["train"], randomness.key(config.seed)
    product = curvature.hessian_product(loss, params, own)
    ends = curvature.extremes(product, params, count=1, depth=config.depth, key=key)
    ascent = partial(
        curvature.ascent_sharpness, loss, params, own, steps=config.steps, key=key
    )
    sizes = jax.tree.map(jnp.abs, params)
    return {
        "test": work.measures["test"](params, own),
        "eigenvalue": ends.values[-1],
        "trace": curvature.trace(product, params, key=key, probes=config.probes).value,
        "relative": curvature.relative_flatness(loss, params, own, layer=LAYER),
        "ball": ascent(radius=0.05).rise,
        "scaled": ascent(radius=0.5, scale=sizes).rise,
    }


def _box(config: Config, work: Workload, params: Params, own: Dataset) -> float:
    loss, key = work.measures["train"], randomness.key(config.seed)
    return curvature.box_sharpness(loss, params, own, epsilon=1e-3, key=key).sharpness


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: what does not change, what does, and against batches of 50."""
    found: list[Assertion] = []
    for data, name in enumerate(list(COURSES)[: len(result.logs)]):
        setting = (
            f"{name}, dense network of ReLUs, Adam, batches of {result.sizes[0]}, "
            f"layers rescaled by a = {SCALE:g}"
        )
        add = partial(record.supporting, "C069", setting=setting)
        found += _unchanged(result, data, add)
        for measure in range(len(NAMES)):
            found += _changed(result, data, measure, add)
    return tuple(found)


def _unchanged(
    result: Result, data: int, add: Callable[..., Assertion]
) -> tuple[Assertion, ...]:
    """Equations, in float64."""
    return (
        add(
            "Rescaling the layers of a network of ReLUs changes no held-out loss.",
            record.largest(result.change[data]),
            record.at_most(1e-12),
            unit="error",
        ),
        add(
            "Rescaling the layers of a network of ReLUs does not change the relative "
            "flatness of the last.",
            record.largest(result.relative[data]),
            record.at_most(1e-8),
            unit="relative error",
        ),
    )


def _changed(
    result: Result, data: int, measure: int, add: Callable[..., Assertion]
) -> tuple[Assertion, ...]:
    """Rescaled over not rescaled, and over batches of 50."""
    logs, name = result.logs[data, measure], list(NAMES.values())[measure]
    return (
        add(
            f"Rescaling the layers of a network of ReLUs raises {name}.",
            record.paired(logs[RESCALED], logs[SMALL]),
            RISES,
            unit="log ratio",
        ),
        add(
            f"A network that batches of {result.sizes[0]} trained is higher in {name} "
            f"when it is rescaled than one that batches of {result.sizes[1]} trained.",
            record.paired(logs[RESCALED], logs[TENTH]),
            RISES,
            unit="log ratio",
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Ratios by rescaling, unit by unit."""
    figure, axes = panels(len(result.logs), 1, width=7.0, height=3.2)
    for data, axis in enumerate(axes):
        ratios = result.logs[data, :, RESCALED] - result.logs[data, :, SMALL]
        dots(axis, dict(zip(NAMES.values(), ratios, strict=True)))
        margins(axis, RISES)
        ratio = "logarithm of the ratio, rescaled over not"
        label(axis, list(COURSES)[data], ratio, "measure")
    shared_legend(figure)
    return {"rescaled": figure}
