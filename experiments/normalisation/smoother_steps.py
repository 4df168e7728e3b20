"""Do loss and gradient vary more smoothly along a step with normalisation?

Dense networks of six hidden layers of ReLUs, without normalisation, with batch
normalisation, with its ℓ₁ and ℓ∞ forms and with layer normalisation, descend by SGD
with momentum until the loss of their 500 training pictures is first at a level. From
there a step goes along the gradient of all of them, in training mode, and the loss and
its gradient are taken at four lengths of it.

The paper takes the same rates for all networks, and so do the first two numbers that
decide: the range of the loss at steps of 0.05 to 0.4 times the gradient, ½ to 4 times
its rate of 0.1; and the effective smoothness β, at most the change of the gradient over
the length of the step. But lengths of weights cannot be compared: a kernel in front of
a normalisation may be scaled at will, and gradients and curvature with it. So two
others decide beside them, with respect to weights in units of the root mean square of
their layer's, which no scale of a layer changes that leaves the function as it is (but
for the offsets where factor and kernel can be traded, without normalisation), at steps
that promise, to first order, 5, 10, 20 and 40 % of the loss: by how much at most the
loss misses the promise, in the loss; and β in the gradient's own ‖g‖² / loss, so that
it is the relative change of the gradient for each part of the loss that is promised.
The logarithm of each, with normalisation over without, is below -ln 1.25 if
the claim holds, and above ln 1.25 if the opposite does; the paper's differ by factors.
All decide at two losses, since which is taken may matter. Of the second kind of numbers
it is asked too whether other normalisers share the effect, and judged is that one of
the three whose mean is highest.

Supporting: the range of the gradient's change, which is the paper's third number; the
others by the paper's numbers; untrained networks. Negative control, which must not come
out as smoother: another network without normalisation, of other weights and order.

Held equal: loss, rate, momentum, batches, parameters and initial weights, at He's
scale. A unit draws weights, pictures, order and a rate between 0.01 and 0.04 anew, and
counts in a finding if its networks reached the loss; the digits' draws of 500 from
1,797 overlap. Two units of seed 100, judged nowhere, were seen before. There the two
kinds of numbers disagreed, in favour of the claim and against it, after which both were
made to decide, and at both losses in place of the lower. Not tested: that smoothness is
why normalisation helps, nor whether it was found by luck; convolution; the noise of
small batches.

Claims: C106.
Source: Santurkar et al. 2018, arXiv:1805.11604, sections 3.1 and 3.3.
Cost: two minutes on 2 cores, compilation included.
Expect: smoother by the paper's numbers, not where weights are in units of layers.
Run: jaxml run smoother_steps
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, problem, record, tree
from jaxml.problem import PairedStarts
from jaxml.record import Assertion
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Objective, Params, Scalar

DATA = {
    "8x8 digits": problem.digits,
    "clothing of 7x7 pixels": partial(problem.small_clothing, 60_000),
}
NETWORKS = (*problem.NORMS, "none, other weights")
NONE, BATCH, *OTHERS, AGAIN = range(len(NETWORKS))
NUMBERS = (*range(len(problem.NORMS)), 0)
DRAWS = (*[0] * len(problem.NORMS), 1)  # of weights and order, within a unit
RATES = (0.01, 0.04)
MISSED, SMOOTHNESS, LOSS_RANGE, CHANGE_RANGE, RAW_SMOOTHNESS = range(5)
BETA, BATCHED, EVERY, EXAMPLES = 0.9, 50, 5, 500
HE = float(np.sqrt(2))  # scale of the initial weights
PROMISES = np.array([0.05, 0.1, 0.2, 0.4])  # of the loss, to first order
LENGTHS = 0.1 * np.array([0.5, 1.0, 2.0, 4.0])  # in gradients
LEVELS = (np.inf, 0.5, 0.1)  # of the training loss
AT = ("untrained", "a training loss of 0.5 nats", "a training loss of 0.1 nats")
LOWER_LOSS = 2
LOWER = record.below(
    0.0, margin=float(np.log(1.25)), reason="a quarter; the paper's differ by factors"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, the first ones; hidden layers and width; updates; units."""

    data: int = len(DATA)
    layers: int = 6
    width: int = 32
    limit: int = 3000
    units: int = 20
    seed: int = 0


SMOKE = Config(data=1, layers=1, width=4, limit=10, units=2)


class Result(NamedTuple):
    """Logarithms along a step; nan where a loss was not reached.

    Attributes:
        seen: what the loss missed of what was promised, over the loss, and β in units
            of ‖g‖² / loss, both of weights in units of their layers'; then the ranges
            of the loss and of the gradient's change, and β, of weights as they are.
        layers: hidden ones.
        width: of each.
    """

    seen: Float[np.ndarray, "data network unit level measure"]
    layers: Int[np.ndarray, ""]
    width: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set."""
    found = [
        keep(name, partial(_of_data, config, data()))
        for name, data in list(DATA.items())[: config.data]
    ]
    return Result(np.stack(found), np.array(config.layers), np.array(config.width))


def _of_data(config: Config, data: Batch) -> np.ndarray:
    """`[network, unit, level, measure]`; all networks but the last start alike."""
    runs = problem.paired_starts(
        data,
        NUMBERS,
        draws=DRAWS,
        units=config.units,
        train=EXAMPLES,
        rates=RATES,
        seed=config.seed,
    )
    found = np.asarray(curvature.mapped(partial(_run, config), (), runs, None))
    return found.reshape(len(NUMBERS), config.units, *found.shape[1:])


def _run(config: Config, run: PairedStarts, _: None) -> Array:
    """`[level, measure]` wherever the loss is first at a level."""
    norm = problem.indexed_norm(run.which)
    widths = [config.width] * config.layers
    model = problem.normalised_dense(norm, widths, outputs=10, scale=HE)
    loss = problem.objective(model, problem.cross_entropy)
    params, _ = problem.start(model, run.own.inputs)(run.key)
    momentum = learn.momentum(learn.Hyper(lr=run.rate, momentum=BETA))
    return learn.at_levels(
        learn.stochastic(loss, momentum, run.own, batch=BATCHED, key=run.key),
        lambda state: loss(state[0], run.own),
        lambda state: _along(loss, state[0], run.own),
        (params, learn.begin(momentum, params)),
        levels=LEVELS,
        every=EVERY,
        limit=config.limit,
    )


def _along(loss: Objective, params: Params, own: Batch) -> Array:
    """`[measure]`: along a step in units of layers, and along one as it is."""
    units = _units_of(params)

    def in_units(scaled: Params, batch: Batch) -> Scalar:
        return loss(jax.tree.map(jnp.multiply, units, scaled), batch)

    at = jax.tree.map(jnp.divide, params, units)
    value, gradient = jax.value_and_grad(in_units)(at, own)
    own_scale = jnp.square(tree.norm(gradient)) / value
    promises = jnp.asarray(PROMISES, value.dtype)
    seen = curvature.along_step(in_units, at, own, lengths=promises / own_scale)
    missed = jnp.max(jnp.abs(seen.loss / value - (1 - promises)))
    raw = curvature.along_step(loss, params, own, lengths=LENGTHS)
    measures = (
        missed,
        seen.beta / own_scale,
        raw.loss_range,
        raw.change_range,
        raw.beta,
    )
    return jnp.log(jnp.stack(measures))


def _units_of(params: Params) -> Params:
    """Of a kernel and a factor their root mean square, of biases that of what stands in
    front of them; the last bias, which no scale of a layer moves, is as it is.
    """
    units = {}
    for name, layer in params.items():
        *_, main = jax.tree.leaves(layer)  # "bias" comes before the other's name
        size = jnp.sqrt(jnp.mean(jnp.square(main)))
        units[name] = jax.tree.map(partial(jnp.full_like, fill_value=size), layer)
    last = units[max(units)]["layer_00"]
    last["bias"] = jnp.ones_like(last["bias"])
    return units


RAW = "weights as they are, steps of 0.05 to 0.4 times the gradient"
IN_UNITS = (
    "weights in units of their layer's root mean square, steps that promise 5 to 40 % "
    "of the loss"
)


class Measure(NamedTuple):
    """What is said to be smaller, of which steps, and whether it decides."""

    quantity: str
    steps: str
    deciding: bool = True


MEASURES = (
    Measure("What the loss misses of what the gradient promises", IN_UNITS),
    Measure("The change of the gradient, relative to its promise,", IN_UNITS),
    Measure("The range of the loss along the gradient", RAW),
    Measure("The range of the gradient's change along it", RAW, deciding=False),
    Measure("The change of the gradient over the length of the step", RAW),
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, at each level: batch normalisation, the others, the control."""
    found = []
    for data in range(len(result.seen)):
        for level in range(len(LEVELS)):
            for place in range(len(MEASURES)):
                found += _of_measure(result, data, level, place)
    return tuple(found)


def _of_measure(
    result: Result, data: int, level: int, place: int
) -> tuple[Assertion, ...]:
    quantity, steps, deciding = MEASURES[place]
    logs = _logs(result, data, level, place)
    setting = f"{_setting(result, data)}, {AT[level]}; {steps}"

    def judged(decides: bool, networks: list[int], statement: str) -> Assertion:
        own = logs[networks].T
        role = record.deciding if decides and level else record.supporting
        return role(
            "C106",
            statement,
            record.bootstrap(_highest_mean, own[np.all(np.isfinite(own), axis=1)]),
            LOWER,
            unit="log ratio",
            setting=setting,
            figure="smoothness",
        )

    return (
        judged(
            deciding,
            [BATCH],
            f"{quantity} is smaller with batch normalisation than without it.",
        ),
        judged(
            place in (MISSED, SMOOTHNESS),
            OTHERS,
            f"{quantity} is smaller with each of three other normalisers, batch "
            "normalisation by ℓ₁ and by ℓ∞ and layer normalisation, than without.",
        ),
        judged(
            False,
            [AGAIN],
            f"Control, other weights: {quantity[0].lower()}{quantity[1:]} is smaller "
            "in one network without normalisation than in another.",
        ),
    )


def _setting(result: Result, data: int) -> str:
    return (
        f"{list(DATA)[data]} ({EXAMPLES} for training), dense network of "
        f"{result.layers} hidden layers of {result.width} ReLUs, SGD with momentum "
        f"{BETA:g} at equal rates"
    )


def _highest_mean(logs: np.ndarray) -> float:
    """Of `[unit, network]`."""
    return float(np.max(np.mean(logs, axis=0)))


def _logs(result: Result, data: int, level: int, measure: int) -> np.ndarray:
    """`[network, unit]`, minus those without normalisation."""
    seen = result.seen[data, :, :, level, measure].astype(np.float64)
    return seen - seen[NONE]


def figures(result: Result) -> dict[str, Figure]:
    """The deciding measures of every network at the lower loss, unit by unit."""
    count = len(result.seen)
    names = {
        RAW_SMOOTHNESS: "change of the gradient,\nweights as they are",
        SMOOTHNESS: "change of the gradient,\nin units of layers",
        LOSS_RANGE: "range of the loss,\nweights as they are",
        MISSED: "what the loss misses,\nin units of layers",
    }
    figure, axes = panels(2 * count, 2, width=5.4, height=3.4)
    cells = [(data, measure) for data in range(count) for measure in names]
    for axis, (data, measure) in zip(axes, cells, strict=True):
        logs = _logs(result, data, LOWER_LOSS, measure)
        dots(axis, {NETWORKS[place]: logs[place] for place in range(1, len(logs))})
        margins(axis, LOWER)
        title = f"{list(DATA)[data]}: {names[measure]}"
        label(axis, title, "log of the ratio to no normalisation", "normalisation")
    shared_legend(figure)
    return {"smoothness": figure}
