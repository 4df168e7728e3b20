"""Does batch normalisation reduce the internal covariate shift?

Santurkar's measure of it: g is the gradient of the loss with respect to a layer's
weights, and g' the same on the same batch once the layers below have made their update.
If the shift that normalisation removes were what makes it help, g' would differ less
from g with it than without. Dense networks of ReLUs, with and without it, descend by
SGD with momentum until the loss of their 500 training digits, each network normalising
over all of them, is first at a level; there g and g' are taken exactly, on eight
batches of 50 in training mode.

What decides is ‖g - g'‖ / ‖g‖, its logarithm averaged over batches and all layers but
the first, which has none below it; with normalisation over without. Neither the scale
of the loss nor that of a layer's gradient changes it. Both networks make a step along
the gradient that promises, to first order, a tenth of the loss; the rates of two such
networks mean different things, their promises the same. "Not reduced" is a quotient
above four fifths: a shift that is smaller by less than that explains no advantage of
several-fold speed. If normalisation does reduce the shift the quotient is below. It is
asked of two and of six hidden layers, and at two losses, since others found that the
shift falls in shallow networks.

Supporting: the cosine between g and g', ‖g - g'‖ itself, as the paper takes it, at the
rate that both networks were trained by, and untrained networks. Negative control, which
must come out as reduced: the normalised network whose lower layers make half of their
step. And another network without normalisation, of other weights and order, over the
first one.

Held equal: loss, rate, momentum, batches, parameters and initial weights, at He's
scale. A unit draws weights, digits, order and a rate between 0.01 and 0.04 anew; the
draws of 500 from 1,797 overlap. A unit counts if its networks reached the loss. Two
units of seed 100, judged nowhere, were seen before and changed nothing; there the shift
was smaller untrained and about equal or larger at a loss, by these measures, and the
paper's own, which is in the units of gradients, smaller at a loss. Not tested:
convolution, larger steps, steps of an adaptive optimizer, layers scaled otherwise, of
which one step would move some more and some less, and whether the shift matters to
training, which `noisy_normalisation` asks.

Claims: C105.
Source: Santurkar et al. 2018, arXiv:1805.11604, definition 2.1.
Cost: a minute and a half on 2 cores, compilation included.
Expect: not reduced in deep networks; open in shallow ones.
Run: jaxml run covariate_shift
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, problem, record, tree
from jaxml.problem import PairedStarts
from jaxml.record import Assertion
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Objective, Params

NONE, NORMALISED, AGAIN = range(3)
NUMBERS = (0, 1, 0)  # in problem.NORMS
DRAWS = (0, 0, 1)  # of initial weights and order, within a unit
RATES = (0.01, 0.04)
PROMISED, HALVED, OWN_RATE = range(3)
DIFFERENCE, ABSOLUTE, ANGLE = range(3)
BETA, BATCHED, EVERY, EXAMPLES = 0.9, 50, 5, 500
HE = float(np.sqrt(2))  # scale of the initial weights
PROMISE = 0.1  # of the loss, to first order
LEVELS = (np.inf, 0.5, 0.1)  # of the training loss
AT = ("untrained", "a training loss of 0.5 nats", "a training loss of 0.1 nats")
FIFTH = "a fifth of what may be lost before the shift counts as reduced"
NOT_REDUCED = record.above(float(np.log(0.8)), margin=0.05, reason=FIFTH)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hidden layers, their width, batches to measure on, updates, and units."""

    depths: tuple[int, ...] = (2, 6)
    width: int = 32
    batches: int = 8
    limit: int = 3000
    units: int = 20
    seed: int = 0


SMOKE = Config(depths=(1,), width=4, batches=2, limit=10, units=2)


class Result(NamedTuple):
    """Averages over layers and batches; nan where a loss was not reached.

    Attributes:
        seen: of a step that promises a tenth of the loss, of its half, and of one by
            the rate of training: the logarithms of ‖g - g'‖ / ‖g‖, of ‖g - g'‖ and of
            the angle between g and g'.
        depths: hidden layers.
        width: of each.
    """

    seen: Float[np.ndarray, "depth network unit level step measure"]
    depths: Int[np.ndarray, " depth"]
    width: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a depth."""
    found = [
        keep(f"{depth} layers", partial(_of_depth, config, depth))
        for depth in config.depths
    ]
    return Result(np.stack(found), np.array(config.depths), np.array(config.width))


def _of_depth(config: Config, depth: int) -> np.ndarray:
    """`[network, unit, level, step, measure]`; the first two networks start alike."""
    runs = problem.paired_starts(
        problem.digits(),
        NUMBERS,
        draws=DRAWS,
        units=config.units,
        train=EXAMPLES,
        rates=RATES,
        seed=config.seed,
    )
    found = np.asarray(curvature.mapped(partial(_run, config, depth), (), runs, None))
    return found.reshape(len(NUMBERS), config.units, *found.shape[1:])


def _run(config: Config, depth: int, run: PairedStarts, _: None) -> Array:
    """`[level, step, measure]` wherever the loss is first at a level."""
    norm = problem.indexed_norm(run.which)
    widths = [config.width] * depth
    model = problem.normalised_dense(norm, widths, outputs=10, scale=HE)
    loss = problem.objective(model, problem.cross_entropy)
    params, _ = problem.start(model, run.own.inputs)(run.key)
    momentum = learn.momentum(learn.Hyper(lr=run.rate, momentum=BETA))
    rows = jax.random.randint(
        jax.random.fold_in(run.key, 2**20), (config.batches, BATCHED), 0, EXAMPLES
    )

    def measured(state: Any) -> Array:
        def on_batch(rows: Array) -> Array:
            batch = jax.tree.map(lambda leaf: leaf[rows], run.own)
            return _shifts(loss, state[0], batch, run.rate, depth)

        return jnp.mean(jax.lax.map(on_batch, rows), axis=0)

    return learn.at_levels(
        learn.stochastic(loss, momentum, run.own, batch=BATCHED, key=run.key),
        lambda state: loss(state[0], run.own),
        measured,
        (params, learn.begin(momentum, params)),
        levels=LEVELS,
        every=EVERY,
        limit=config.limit,
    )


def _shifts(
    loss: Objective, params: Params, batch: Batch, rate: Array, depth: int
) -> Array:
    """`[step, measure]`, on one batch."""
    value, gradient = jax.value_and_grad(loss)(params, batch)
    promised = PROMISE * value / jnp.square(tree.norm(gradient))
    lengths = jnp.stack([promised, promised / 2, rate / (1 - BETA)])
    places = range(0, 3 * depth, 3)
    layers = [[f"layer_{place:02}", f"layer_{place + 1:02}"] for place in places]
    layers.append([f"layer_{3 * depth:02}"])

    def of_step(length: Array) -> Array:
        seen = curvature.internal_covariate_shift(
            loss,
            params,
            tree.axpy(-length, gradient, params),
            batch,
            layers=layers,
        )
        difference = seen.difference[1:]
        angle = jnp.arccos(jnp.clip(seen.cosine[1:], -1, 1))
        measures = jnp.stack([difference / seen.old[1:], difference, angle])
        return jnp.mean(jnp.log(jnp.maximum(measures, 1e-6)), axis=1)

    return jax.lax.map(of_step, lengths)


class Contrast(NamedTuple):
    """A network and its step over another, by one measure of the shift."""

    statement: str
    ours: tuple[int, int, int]
    theirs: tuple[int, int, int]


STEP = "a step that promises a tenth of the loss"
CLAIMED = Contrast(
    f"When the layers below make {STEP}, a layer's gradient changes, relative to "
    "its length, by at least four fifths as much with batch normalisation as "
    "without.",
    (NORMALISED, PROMISED, DIFFERENCE),
    (NONE, PROMISED, DIFFERENCE),
)
BESIDE = (
    Contrast(
        f"When the layers below make {STEP}, a layer's gradient turns by an angle at "
        "least four fifths as large with batch normalisation as without.",
        (NORMALISED, PROMISED, ANGLE),
        (NONE, PROMISED, ANGLE),
    ),
    Contrast(
        "When the layers below make a step by the rate that trained both networks, a "
        "layer's gradient changes by at least four fifths as much with batch "
        "normalisation as without.",
        (NORMALISED, OWN_RATE, ABSOLUTE),
        (NONE, OWN_RATE, ABSOLUTE),
    ),
)
CONTROLS = (
    Contrast(
        "Control, half a step: a layer's gradient changes by at least four fifths as "
        "much when the layers below make half a step as when they make the whole.",
        (NORMALISED, HALVED, DIFFERENCE),
        (NORMALISED, PROMISED, DIFFERENCE),
    ),
    Contrast(
        f"Control, other weights: when the layers below make {STEP}, a layer's "
        "gradient changes, relative to its length, by at least four fifths as much in "
        "one network without normalisation as in another.",
        (AGAIN, PROMISED, DIFFERENCE),
        (NONE, PROMISED, DIFFERENCE),
    ),
)
CONTRASTS = (CLAIMED, *BESIDE, *CONTROLS)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each depth and level: every contrast."""
    found = []
    for depth, layers in enumerate(result.depths):
        for level, at in enumerate(AT):
            for contrast in CONTRASTS:
                decides = contrast is CLAIMED and level > 0
                role = record.deciding if decides else record.supporting
                found.append(
                    role(
                        "C105",
                        contrast.statement,
                        record.sample_mean(_logs(result, depth, level, contrast)),
                        NOT_REDUCED,
                        unit="log ratio",
                        setting=_setting(layers, int(result.width), at),
                        figure="shift",
                    )
                )
    return tuple(found)


def _setting(layers: int, width: int, at: str) -> str:
    return (
        f"8x8 digits ({EXAMPLES} for training), dense network of {layers} hidden "
        f"layers of {width} ReLUs, SGD with momentum {BETA:g} at equal rates, {at}"
    )


def _logs(result: Result, depth: int, level: int, contrast: Contrast) -> np.ndarray:
    """The contrast in every unit whose networks reached the level."""
    seen = result.seen[depth, :, :, level].astype(np.float64)
    network, step, measure = contrast.ours
    ours = seen[network, :, step, measure]
    network, step, measure = contrast.theirs
    logs = ours - seen[network, :, step, measure]
    return logs[np.isfinite(logs)]


ROWS = (
    "relative change",
    "angle",
    "change, equal rates",
    "control: half a step",
    "control: other weights",
)


def figures(result: Result) -> dict[str, Figure]:
    """Every contrast, unit by unit, at both trained levels."""
    depths = len(result.depths)
    figure, axes = panels(depths, 2, width=5.0, height=3.6)
    cells = np.ndindex(depths, 2)
    for axis, (depth, level) in zip(axes, cells, strict=True):
        rows = {
            name: _logs(result, depth, level + 1, contrast)
            for name, contrast in zip(ROWS, CONTRASTS, strict=True)
        }
        dots(axis, rows)
        margins(axis, NOT_REDUCED)
        title = (
            f"{result.depths[depth]} hidden layers, loss of {LEVELS[level + 1]:g} nats"
        )
        label(axis, title, "log of the ratio", "what is compared")
    shared_legend(figure)
    return {"shift": figure}
