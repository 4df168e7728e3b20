"""Do large batches end in sharper minima, and small batches in flatter ones?

Of networks that Adam trained in batches of 2, of 50 and of all 500 examples to one
training loss, and that gradient descent then brought to one lower loss, so that they
are comparable points (`descended_networks`), the curvature is measured in float64 on
the examples that trained them. The Hessian's highest eigenvalue λ at equal rates
decides: the paper, and homework 1-3, train both sizes by one rate. Its trace, and
relative flatness of the last layer, which rescaling layers does not change, support; so
do all three with each size at a rate of its own, and all 500 examples.
`keskar_sharpness` measures the paper's quantity, which rises with the gradient too.
Losses do not stop falling, so no network is a minimum.

The claim holds if the mean logarithm of the ratio, batches of 50 over batches of 2, the
mean over all rates at which every unit of both reaches the loss, is above ln 1.25; it
fails below -ln 1.25. The paper's ratios are 5 to 500, so less than a quarter is none of
its effect. Until seed 0 had run, λ at the rates of lowest held-out error decided. It
decided nothing, since held-out errors at equal loss hardly depend on the rate, so that
the best one stands on the edge of what the budget reaches (`generalisation_gap`).
Deciding verdicts therefore rest on seeds drawn after that change, as replicates.
Whether sharper networks generalise worse, as the claim goes on,
asks `sharpness_and_gap` in the same setting, so that both halves are judged as one; and
whether there is a gap to be explained at all, `generalisation_gap`.

Negative control: the first judging units over the others, in batches of 50, which must
not differ. Positive control: batches of 2 at their lowest rate over their highest. (All
500 examples were meant for it; in the pilot their rates hardly differ.) Units draw
their weights, examples and order anew; 12 tune, 28 judge, and where a rate is tuned the
tuning is resampled.
Two networks of seed 71 placed the depth of Lanczos' iteration; units of seed 78 were
seen after the margins were fixed. A first version judged Keskar's sharpness where
training stopped; more than half of it was gradient there. Not tested: convolution,
normalisation.

Claims: C069.
Sources: Keskar et al. 2017, arXiv:1609.04836; Petzka et al. 2021, arXiv:2001.00939.
Cost: a minute and a half on 2 cores, after `descended_networks`.
Expect: batches of 2 are a little flatter on digits, and far flatter on clothing.
Run: jaxml run sharp_minima
"""

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxml import curvature, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Batch, Keep, Objective, Params, Workload

NEEDS = ("descended_networks",)
SMALL, TENTH, ALL = range(3)  # sizes of batches
DECIDING = "eigenvalue"
COURSES = {
    "8x8 digits": problem.digits_workload,
    "clothing of 7x7 pixels": problem.small_clothing_workload,
}
NAMES = {
    "eigenvalue": "the Hessian's highest eigenvalue",
    "trace": "the Hessian's trace",
    "relative": "relative flatness κ (high is sharp) of the last layer",
}
SHARPER = record.above(
    0.0, margin=float(np.log(1.25)), reason="a quarter; the paper's ratios are 5 to 500"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """How exactly curvature is measured."""

    depth: int = 25  # of Lanczos' iteration
    probes: int = 25  # of the trace
    seed: int = 0


SMOKE = Config(depth=3, probes=2)


class Result(NamedTuple):
    """Nan where a target was missed. Units that tune come first.

    Attributes:
        measures: in the order of NAMES, of judging units.
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
    """Curvature of every network that judges, a stage a data set."""
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
    """Of every network, in the order of NAMES."""
    axes, loss = seen.weights[0].shape[:3], problem.mean_loss(work)
    params = problem.stored_networks(work, seen.weights, axes=len(axes))
    units = np.arange(np.prod(axes)) % axes[-1]

    def one(run: tuple[Params, Any], own: Batch) -> dict[str, Any]:
        network, unit = run
        return _measured(config, loss, network, _row(own, unit))

    found = curvature.mapped(one, (), (params, units), seen.own)
    return np.array([found[name] for name in NAMES]).reshape(-1, *axes)


def _row(values: Any, index: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], values)


def _measured(
    config: Config, loss: Objective, params: Params, own: Batch
) -> dict[str, Any]:
    """Of one network, by name."""
    key, layer = randomness.key(config.seed), "layer_01/kernel"
    product = curvature.hessian_product(loss, params, own)
    ends = curvature.extremes(product, params, count=1, depth=config.depth, key=key)
    return {
        "eigenvalue": ends.values[-1],
        "trace": curvature.trace(product, params, key=key, probes=config.probes).value,
        "relative": curvature.relative_flatness(loss, params, own, layer=layer),
    }


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: every measure, against a tenth and all; and the controls."""
    found = []
    for data in range(len(result.lower)):
        for name in NAMES:
            found.append(_sharper(result, data, name, TENTH))
            found.append(_sharper(result, data, name, ALL))
        found += [_at_equal_rates(result, data), *_controls(result, data)]
    return tuple(found)


def _setting(result: Result, data: int) -> str:
    """As `sharpness_and_gap` says it."""
    small, tenth, every = result.sizes
    return (
        f"{list(COURSES)[data]}, dense network of {result.weights[data]:,} weights, "
        f"{every} examples, Adam in batches of {small}, {tenth} and {every}, then "
        f"gradient descent until a training loss of {result.lower[data]:g} nats"
    )


def _arm(result: Result, data: int, name: str, size: int) -> Arm:
    """Logarithms of a measure; of units that tune they are nan."""
    scores = result.scores[data, size]
    logs = np.full_like(scores, np.nan)
    logs[:, int(result.tuning) :] = _logs(result, data, name)[size]
    return Arm(logs, scores, result.edges[data, size])


def _logs(result: Result, data: int, name: str) -> np.ndarray:
    """Nan where a measure is not positive: the findings' n leaves such units out."""
    values = result.measures[data, list(NAMES).index(name)]
    return np.log(np.where(values > 0, values, np.nan))


def _named(result: Result, size: int) -> str:
    batch = result.sizes[size]
    return f"all {batch} examples" if size == ALL else f"batches of {batch}"


def _sharper(result: Result, data: int, name: str, size: int) -> Assertion:
    return record.supporting(
        "C069",
        f"At equal training loss {NAMES[name]} is higher in networks trained by "
        f"{_named(result, size)} than by {_named(result, SMALL)}, each at its best "
        "rate.",
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


def _whole(result: Result, data: int, sizes: list[int]) -> np.ndarray:
    """Rates at which no unit of these sizes missed a target."""
    return np.all(np.isfinite(result.scores[data, sizes]), axis=(0, 2))


def _at_equal_rates(result: Result, data: int) -> Assertion:
    """Geometric means over rates."""
    both = _whole(result, data, [SMALL, TENTH])
    logs = _logs(result, data, DECIDING)[:, both]
    small, tenth = np.nanmean(logs[[SMALL, TENTH]], axis=1)
    return record.deciding(
        "C069",
        f"At equal training loss and equal rates {NAMES[DECIDING]} is higher in "
        f"networks trained by {_named(result, TENTH)} than by "
        f"{_named(result, SMALL)}, the mean over rates.",
        record.paired(tenth, small),
        SHARPER,
        unit="log ratio",
        setting=_setting(result, data),
    )


def _controls(result: Result, data: int) -> tuple[Assertion, ...]:
    """The first judging units over the others; the lowest rate over the highest."""
    values = at_tuned(_arm(result, data, DECIDING, TENTH), int(result.tuning))
    values = values[np.isfinite(values)]
    first, others = np.array_split(values[: len(values) // 2 * 2], 2)
    rates = np.flatnonzero(_whole(result, data, [SMALL]))
    lowest, highest = _logs(result, data, DECIDING)[SMALL, rates[[0, -1]]]
    higher = f"At equal training loss {NAMES[DECIDING]} is higher in"
    supporting = partial(
        record.supporting,
        "C069",
        rule=SHARPER,
        unit="log ratio",
        setting=_setting(result, data),
    )
    return (
        supporting(
            f"{higher} the first judging units than in the others, all by "
            f"{_named(result, TENTH)}, the negative control.",
            record.bootstrap(record.mean_difference, first, others),
        ),
        supporting(
            f"{higher} networks trained by {_named(result, SMALL)} at their lowest "
            "rate than at their highest, the positive control.",
            record.paired(lowest, highest),
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Ratios of every measure, unit by unit."""
    places = list(product(range(len(result.lower)), (TENTH, ALL)))
    figure, axes = panels(len(places), 1, width=7.0, height=3.2)
    for axis, (data, size) in zip(axes, places, strict=True):
        pairs = {
            words: (
                _arm(result, data, name, size),
                _arm(result, data, name, SMALL),
            )
            for name, words in NAMES.items()
        }
        compared(axis, pairs, SHARPER, tuning=int(result.tuning))
        over = f"{_named(result, size)} over {_named(result, SMALL)}"
        title = f"{list(COURSES)[data]}: {over}"
        label(axis, title, "logarithm of the ratio", "measure")
    shared_legend(figure)
    return {"sharpness": figure}
