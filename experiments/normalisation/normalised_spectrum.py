"""Does batch normalisation keep the Hessian's large eigenvalues near the others?

Ghorbani, Krishnan and Xiao saw that in training without batch normalisation a few
eigenvalues grow far beyond the others, and with it not, and took that for a reason why
it helps. Here dense networks of three hidden layers, with and without it, are trained
by SGD with momentum until their training loss, with statistics of all examples, is
first at a level. The 20 highest eigenvalues are taken there, in training mode: the
Hessian differentiates through mean and variance of all examples.

What is judged is λ₁ / λ₂₀ at a training loss of 0.1 nats: its logarithm, with
normalisation minus without, over units whose two networks reached it. Neither the
loss's scale nor that of all weights changes the quotient, but that of one kernel in
front of a normalisation does: times a, its block of the Hessian is divided by a², and
the function is the same. So a second quantity decides beside it, which no scale of a
layer changes that leaves the function as it is: λ₁ / λ₂₀ of the Hessian with respect to
kernels and factors γ in units of their norms, and offsets β in those of γ. If the claim
holds both are below -ln 1.25; it fails above ln 1.25. A quarter, because the paper's
figures differ by factors.

Supporting: λ₁ / λ₁₀, the last of ten classes; another level, and untrained networks;
evaluation mode, where mean and variance are constants, since in the paper statistics of
all the data, held constant, do not keep the eigenvalues together; and λ₁ itself, which
the course's "smoother" (C106) would have lower. λ₁ decides nothing, for normalised
networks can be scaled at will.

Negative control, which must show no effect: a network without normalisation minus
another, of other weights and order, on the same examples. Held equal: loss, rate,
optimizer, batches and parameters, for the network without normalisation keeps γ and β,
with 0 and 1 in place of mean and variance. A unit draws initial weights, examples,
order and a rate between 0.01 and 0.04 anew, which both networks share; the digits'
draws of 500 from 1,797 overlap. A spectrum counts if Lanczos' iteration converged,
residuals below 1e-4 of the largest eigenvalue.

Level, margin and λ₁ / λ₂₀ were fixed before any result of this study was seen; four
units of seed 77 were seen then and changed nothing. A review before any full run added
the second quantity, and put the third network in place of a control between halves of
six units, which could not have shown that nothing differs, and 20 units, a rate each,
in place of 12 with the mean over three rates; four units of seed 5105 with one hidden
layer, seen then, changed nothing. Not tested: small batches' statistics,
convolution, deep networks, rates at which only one of the two trains.

Claims: spectrum-2, C106.
Sources: Ghorbani, Krishnan and Xiao 2019, arXiv:1901.10159; Santurkar et al. 2018,
    arXiv:1805.11604.
Cost: 1.5 minutes on 2 cores, compilation included.
Expect: smaller ratios with normalisation.
Run: jaxml run normalised_spectrum
"""

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
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Objective, Params, Scalar

DATA = {
    "8x8 digits": problem.digits,
    "clothing of 7x7 pixels": partial(problem.small_clothing, 60_000),
}
PLAIN, NORMALISED, AGAIN = range(3)
TRAINING, CONSTANT, RELATIVE = range(3)
BETA, BATCH, EVERY = 0.9, 50, 10  # momentum; updates between two looks at the loss
LEVELS = (np.inf, 0.1, 0.03)  # of the training loss
NAMES = ("untrained", "a loss of 0.1 nats", "a loss of 0.03 nats")
DECIDING = 1
SEEN, EXAMPLES = 20, 500  # eigenvalues; that train
LOWER = record.below(
    0.0, margin=float(np.log(1.25)), reason="a quarter; the paper's differ by factors"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, the first ones; hidden layers; units."""

    data: int = len(DATA)
    widths: tuple[int, ...] = (32, 32, 32)
    limit: int = 6000  # updates at most
    basis: int = 64  # of Lanczos' iteration
    units: int = 20
    seed: int = 0


SMOKE = Config(data=1, widths=(4,), limit=20, basis=40, units=1)


class Result(NamedTuple):
    """The highest eigenvalues, descending; nan where a loss was not reached or the
    iteration did not converge. Modes are training's, that of constant mean and
    variance, which means nothing of networks that are not normalised, and training's
    with weights in units of their layers' norms.
    """

    eigenvalues: Float[np.ndarray, "data network mode unit level eigenvalue"]


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


def _spectra(config: Config, batch: Batch) -> np.ndarray:
    """`[network, mode, unit, level, eigenvalue]`; the first two networks start
    alike.
    """
    draw = np.random.default_rng(config.seed)
    order = draw.random((config.units, len(batch.targets))).argsort(axis=1)
    rates = draw.uniform(0.01, 0.04, config.units).astype(np.float32)
    network, unit = np.indices((3, config.units)).reshape(2, -1)
    own = jax.tree.map(lambda leaf: np.asarray(leaf)[order[unit, :EXAMPLES]], batch)
    keys = jax.random.split(randomness.key(config.seed), (2, config.units))
    normalised = (network == NORMALISED).astype(np.float32)
    chosen = keys[(network == AGAIN).astype(int), unit]
    runs = Run(own, chosen, rates[unit], normalised)
    found = np.asarray(curvature.mapped(partial(_run, config), (), runs, None))
    each = found.reshape(3, config.units, len(LEVELS), 3, SEEN)
    return np.moveaxis(each, 3, 1)


def _run(config: Config, run: Run, _: None) -> Array:
    """`[level, mode, eigenvalue]` wherever the loss is first at a level."""
    model = problem.switched_normalised((*config.widths, 10), jax.nn.relu)
    of_seen = curvature.in_training(problem.training_loss(model, problem.cross_entropy))
    params, first = problem.start(model, run.own.inputs)(run.key)
    first = first._replace(through=run.normalised)

    def loss(params: Params, batch: Batch) -> Scalar:
        return of_seen(params, Seen(batch, first, run.key))

    def spectra(state: Any) -> Array:
        params = state[0]
        _, own = model.apply(params, first, run.own.inputs, train=True, key=None)
        constant = own._replace(through=jnp.zeros_like(first.through))
        ones = jax.tree.map(jnp.ones_like, params)
        kept = jax.tree.map(_stacked, first, constant, first)
        units = jax.tree.map(_stacked, ones, ones, _units_of(params))
        measured = partial(_highest, config, of_seen, params, run)
        return jax.lax.map(measured, (kept, units))

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


def _stacked(*leaves: Array) -> jax.Array:
    return jnp.stack(leaves)


def _units_of(params: Params) -> Params:
    """Of kernels and factors their norms, of offsets those of their factors, of the
    last ones none.
    """
    norms = jax.tree.map(tree.norm, params)
    for layer, factor in norms["factors"].items():
        norms[layer]["bias"] = factor
    norms[max(params)]["bias"] = 1
    return jax.tree.map(jnp.full_like, params, norms)


def _highest(
    config: Config,
    objective: Objective,
    params: Params,
    run: Run,
    mode: Any,
) -> jax.Array:
    """The highest eigenvalues of S H S, S the units of weights."""
    kept, units = mode
    hessian = curvature.hessian_product(objective, params, Seen(run.own, kept, run.key))

    def scaled(vector: Params) -> Params:
        image = hessian(jax.tree.map(jnp.multiply, units, vector))
        return jax.tree.map(jnp.multiply, units, image)

    ends = curvature.ends(
        scaled,
        tree.random_like(params, run.key),
        lowest=0,
        highest=SEEN,
        basis=config.basis,
        tolerance=1e-4,
    )
    return jnp.where(ends.converged, ends.values[::-1], jnp.nan)


SETTING = (
    "500 examples, dense network of three hidden layers of 32 ReLUs with a factor and "
    "an offset each, SGD with momentum at equal rates from 0.01 to 0.04"
)
SMALLER = "is smaller with batch normalisation than without it."
CONTROL = (
    "The Hessian's largest eigenvalue over the 20th is smaller in one network without "
    "batch normalisation than in another, the negative control."
)


class Contrast(NamedTuple):
    """Which network and mode, minus which others; λ₁ over which eigenvalue, if any."""

    statement: str
    ours: tuple[int, int]
    theirs: tuple[int, int] = (PLAIN, TRAINING)
    place: int = 20
    claim: str = "spectrum-2"


THROUGH = Contrast(
    f"The Hessian's largest eigenvalue over the 20th {SMALLER}", (NORMALISED, TRAINING)
)
IN_UNITS = Contrast(
    "With respect to each layer's weights in units of their norm, the Hessian's "
    f"largest eigenvalue over the 20th {SMALLER}",
    (NORMALISED, RELATIVE),
    (PLAIN, RELATIVE),
)
CONTRASTS = (
    THROUGH,
    IN_UNITS,
    THROUGH._replace(
        statement=f"The Hessian's largest eigenvalue over the tenth {SMALLER}", place=10
    ),
    Contrast(
        "With mean and variance held constant, the Hessian's largest eigenvalue over "
        f"the 20th {SMALLER}",
        (NORMALISED, CONSTANT),
    ),
    Contrast(CONTROL, (AGAIN, TRAINING)),
    THROUGH._replace(
        statement=f"The Hessian's largest eigenvalue {SMALLER}", place=0, claim="C106"
    ),
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, at each level: every contrast."""
    found = []
    for data, level in np.ndindex(len(result.eigenvalues), len(LEVELS)):
        for contrast in CONTRASTS:
            decides = level == DECIDING and contrast in (THROUGH, IN_UNITS)
            found.append(
                (record.deciding if decides else record.supporting)(
                    contrast.claim,
                    contrast.statement,
                    record.bootstrap(
                        np.mean, _differences(result, data, level, contrast)
                    ),
                    LOWER,
                    unit="log ratio",
                    setting=f"{list(DATA)[data]}, {SETTING}, {NAMES[level]}",
                )
            )
    return tuple(found)


def _differences(
    result: Result, data: int, level: int, contrast: Contrast
) -> np.ndarray:
    """The contrast of each unit whose networks reached the level."""
    values = result.eigenvalues[data, ..., level, :]
    logs = np.log(np.where(values > 0, values, np.nan))
    quotients = logs[..., 0] - (logs[..., contrast.place - 1] if contrast.place else 0)
    difference = quotients[contrast.ours] - quotients[contrast.theirs]
    return difference[np.isfinite(difference)]


RATIO = "log λ₁/λ₂₀, with normalisation minus without"


def figures(result: Result) -> dict[str, Figure]:
    """Differences unit by unit; the spectra behind them."""
    data = len(result.eigenvalues)
    ratios, axes = panels(data, 1, width=7.0, height=3.6)
    for place, axis in enumerate(axes):
        rows = {}
        for level, name in enumerate(NAMES):
            rows[name] = _differences(result, place, level, THROUGH)
            rows[f"{name}, in units"] = _differences(result, place, level, IN_UNITS)
        dots(axis, rows)
        margins(axis, LOWER)
        label(axis, list(DATA)[place], RATIO, "at")
    shared_legend(ratios)
    spectra, axes = panels(data, 2, width=3.6)
    for axis, (place, network) in zip(axes, np.ndindex(data, 2), strict=True):
        values = result.eigenvalues[place, network, TRAINING, :, DECIDING]
        axis.semilogy(np.arange(1, SEEN + 1), (values / values[:, :1]).T, "-")
        title = f"{list(DATA)[place]}, {('without', 'with')[network]} normalisation"
        label(axis, title, "place of the eigenvalue", "eigenvalue over the largest")
    return {"ratios": ratios, "spectra": spectra}
