"""Does batch normalisation keep the Hessian's large eigenvalues near the others?

Ghorbani, Krishnan and Xiao saw that in training without batch normalisation a few
eigenvalues grow far beyond the others, and with it not, and took that for a reason why
it helps. Here dense networks of three hidden layers, with and without it, are trained
by SGD with momentum until their training loss, with statistics of all examples, is
first at a level. The 20 highest eigenvalues are taken there, in training mode: the
Hessian differentiates through mean and variance of all examples.

What is judged is λ₁ / λ₂₀, which neither the loss's scale nor that of all weights
changes: its logarithm, with normalisation minus without, at a training loss of 0.1
nats, the mean over the rates at which every network of both kinds reached it. If the
claim holds it is below -ln 1.25; it fails above ln 1.25. A quarter, because the paper's
figures differ by factors. Supporting: other levels, and untrained networks; evaluation
mode, where mean and variance are constants, since in the paper statistics of all the
data, held constant, do not keep the eigenvalues together; and λ₁ itself, which the
course's "smoother" (C106) would have lower. λ₁ decides nothing, for normalised networks
can be scaled at will.

Negative control: the first half of the units over the second, both without
normalisation, which must not differ. Held equal: loss, rates, optimizer, batches and
parameters, for the network without normalisation keeps γ and β, with 0 and 1 in place
of mean and variance. A unit draws initial weights, examples and order anew, which both
networks share; the digits' draws of 500 from 1,797 overlap. Level, margin and
quantities were fixed before any result of this study was seen; four units of seed 77
were seen then and changed nothing. Not tested: small batches' statistics, convolution,
deep networks, rates at which only one of the two trains.

Claims: spectrum-2, C106.
Sources: Ghorbani, Krishnan and Xiao 2019, arXiv:1901.10159; Santurkar et al. 2018,
    arXiv:1805.11604.
Cost: two minutes on 2 cores, compilation included.
Expect: smaller ratios with normalisation.
Run: jaxml run normalised_spectrum
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.curvature import Seen
from jaxml.record import Assertion
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Params, Scalar

DATA: dict[str, Callable[[], Batch]] = {
    "8x8 digits": problem.digits,
    "clothing of 7x7 pixels": partial(problem.small_clothing, 60_000),
}
MODEL = problem.switched_normalised((32, 32, 32, 10), jax.nn.relu)
LOSS = curvature.in_training(problem.training_loss(MODEL, problem.cross_entropy))
PLAIN, NORMALISED, CONSTANT = range(3)
NETWORKS = (
    "without normalisation",
    "normalised, training mode",
    "normalised, evaluation mode",
)
RATES = (0.01, 0.02, 0.04)
BETA, BATCH, EVERY = 0.9, 50, 10  # momentum; updates between two looks at the loss
LEVELS = (np.inf, 0.3, 0.1, 0.03)  # of the training loss
NAMES = ("untrained", "a loss of 0.3 nats", "a loss of 0.1", "a loss of 0.03")
DECIDING = 2
SEEN, EXAMPLES = 20, 500  # eigenvalues; that train
LOWER = record.below(
    0.0, margin=float(np.log(1.25)), reason="a quarter; the paper's differ by factors"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets and rates, the first ones; units."""

    data: int = len(DATA)
    rates: int = len(RATES)
    limit: int = 6000  # updates at most
    basis: int = 64  # of Lanczos' iteration
    products: int = 1000  # of it at most
    units: int = 12
    seed: int = 0


SMOKE = Config(data=1, rates=1, limit=100, basis=24, products=30, units=2)


class Result(NamedTuple):
    """The highest eigenvalues, descending; nan where a loss was not reached. Networks
    are in the order of NETWORKS.
    """

    eigenvalues: Float[np.ndarray, "data network rate unit level eigenvalue"]


class Run(NamedTuple):
    """What a run starts from, and whether its network is normalised."""

    own: Batch
    key: Key
    rate: Array
    normalised: Array


def study(config: Config, keep: Keep) -> Result:
    """One program a data set."""
    found = [
        keep(name, partial(_spectra, config, data()))
        for name, data in list(DATA.items())[: config.data]
    ]
    return Result(np.stack(found))


def _spectra(
    config: Config, batch: Batch
) -> Float[np.ndarray, "network rate unit level eigenvalue"]:
    """Of every rate and unit; networks of both kinds see the same units."""
    draw = np.random.default_rng(config.seed)
    order = draw.random((config.units, len(batch.targets))).argsort(axis=1)
    shape = (2, config.rates, config.units)
    normalised, rate, unit = np.indices(shape).reshape(3, -1)
    own = jax.tree.map(lambda leaf: np.asarray(leaf)[order[unit, :EXAMPLES]], batch)
    keys = jax.random.split(randomness.key(config.seed), config.units)
    rates = np.array(RATES, np.float32)[rate]
    runs = Run(own, keys[unit], rates, normalised.astype(np.float32))
    found = np.asarray(curvature.mapped(partial(_run, config), (), runs, None))
    modes = np.moveaxis(found.reshape(*shape, len(LEVELS), 2, SEEN), 4, 1)
    return np.stack([modes[PLAIN, 0], modes[NORMALISED, 0], modes[NORMALISED, 1]])


def _run(config: Config, run: Run, _: None) -> Float[jax.Array, "level mode highest"]:
    """The highest eigenvalues wherever the loss is first at a level."""
    params, first = problem.start(MODEL, run.own.inputs)(run.key)
    first = first._replace(through=run.normalised)
    flat, unravel = tree.ravel(params)
    start = unravel(jax.random.normal(run.key, flat.shape, flat.dtype))

    def loss(params: Params, batch: Batch) -> Scalar:
        return LOSS(params, Seen(batch, first, run.key))

    def spectra(state: tuple[Params, Any]) -> Array:
        params, _ = state
        inputs = run.own.inputs
        _, own = MODEL.apply(params, first, inputs, train=True, key=None)
        constant = own._replace(through=jnp.zeros_like(first.through))

        def highest(kept: problem.Switched) -> Array:
            ends = curvature.ends(
                curvature.hessian_product(LOSS, params, Seen(run.own, kept, run.key)),
                start,
                lowest=0,
                highest=SEEN,
                basis=config.basis,
                products=config.products,
                tolerance=1e-4,
            )
            return ends.values[::-1]

        modes = jax.tree.map(lambda *leaves: jnp.stack(leaves), first, constant)
        return jax.lax.map(highest, modes)

    momentum = learn.momentum(learn.Hyper(lr=run.rate, momentum=BETA))
    return learn.at_levels(
        learn.stochastic(loss, momentum, run.own, batch=BATCH, key=run.key),
        lambda state: loss(state[0], run.own),
        spectra,
        (params, learn.begin(momentum, params)),
        levels=LEVELS,
        every=EVERY,
        limit=config.limit,
    )


SETTING = (
    "500 examples, dense network of three hidden layers of 32 ReLUs with a factor and "
    "an offset each, SGD with momentum, the mean over equal rates"
)
THROUGH = (
    "The Hessian's largest eigenvalue over the 20th is smaller with batch "
    "normalisation than without it."
)
RATIO = "log λ₁/λ₂₀, with normalisation minus without"
HELD = f"Mean and variance held constant: {THROUGH}"
ITSELF = (
    "The Hessian's largest eigenvalue is smaller with batch normalisation than without "
    "it."
)
HALVES = (
    "The Hessian's largest eigenvalue over the 20th is smaller in the first half of "
    "the networks without batch normalisation than in the second, the negative control."
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: every level and mode, and the control."""
    found = []
    for data, level in np.ndindex(len(result.eigenvalues), len(LEVELS)):
        largest, ratio = _logs(result, data, level)
        first, second = np.split(ratio[PLAIN], 2)
        for claim, statement, measured in (
            ("spectrum-2", THROUGH, record.paired(ratio[NORMALISED], ratio[PLAIN])),
            ("spectrum-2", HELD, record.paired(ratio[CONSTANT], ratio[PLAIN])),
            ("spectrum-2", HALVES, record.paired(first, second)),
            ("C106", ITSELF, record.paired(largest[NORMALISED], largest[PLAIN])),
        ):
            decides = level == DECIDING and statement == THROUGH
            found.append(
                (record.deciding if decides else record.supporting)(
                    claim,
                    statement,
                    measured,
                    LOWER,
                    unit="log ratio",
                    setting=f"{list(DATA)[data]}, {SETTING}, {NAMES[level]}",
                )
            )
    return tuple(found)


def _logs(
    result: Result, data: int, level: int
) -> Float[np.ndarray, "quantity network unit"]:
    """log λ₁ and log λ₁ / λ₂₀, the mean over rates at which none missed the level."""
    values = result.eigenvalues[data, ..., level, :][..., [0, -1]]
    values = np.where(values > 0, values, np.nan)
    whole = np.all(np.isfinite(values), axis=(0, 2, 3))
    used = whole if np.any(whole) else ~whole
    first, last = np.moveaxis(np.log(values[:, used]), 3, 0)
    return np.mean(np.stack([first, first - last]), axis=2)


def figures(result: Result) -> dict[str, Figure]:
    """Differences unit by unit; the spectra behind them."""
    data = len(result.eigenvalues)
    ratios, axes = panels(data, 1, width=7.0, height=3.6)
    for place, axis in enumerate(axes):
        rows = {}
        for level, name in enumerate(NAMES):
            _, logs = _logs(result, place, level)
            rows[name] = logs[NORMALISED] - logs[PLAIN]
        dots(axis, rows)
        margins(axis, LOWER)
        label(axis, list(DATA)[place], RATIO, "at")
    shared_legend(ratios)
    spectra, axes = panels(1, data, width=5.0, height=3.6)
    for axis, place in zip(axes, range(data), strict=True):
        for name, values in zip(NETWORKS, result.eigenvalues[place], strict=True):
            units = values[:, :, DECIDING].reshape(-1, SEEN)
            ended = units[np.isfinite(units[:, 0])]
            if len(ended):
                band(axis, np.arange(1, SEEN + 1), (ended / ended[:, :1]).T, name)
        axis.set_yscale("log")
        title = f"{list(DATA)[place]}, {NAMES[DECIDING]}"
        label(axis, title, "place of the eigenvalue", "eigenvalue over the largest")
    shared_legend(spectra)
    return {"ratios": ratios, "spectra": spectra}
