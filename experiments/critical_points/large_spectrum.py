"""Where in a network of 100,000 weights are the outliers, and how do they move?

`outliers` counts the Hessian's outliers in small dense networks. Here a convolutional
network of 103,354 weights learns five or ten kinds of clothing from pictures of 14x14
pixels, and a dense network of two hidden layers learns as many digits; of both the
Hessian is looked at before training, and where the training loss is first at 0.1 nats.
Taken are the 20 highest eigenvalues of the whole and of the block of each layer, whose
weights alone move, and by quadrature from two random directions the density, and with
it the fraction of eigenvalues within a hundredth of the largest.

Every second unit has k = 5 of the ten classes and the others all, with ten outputs
always, so that a spectrum whose gap does not know the number of classes is at k - 1 in
half of the units at most. If outliers belong to the last layer, its block has k - 1 and
the others have none, so that their widest gap is anywhere from 1 to 19; if each layer
has the shape of the whole, all have k - 1. Judged is the fraction of units, of each
block, whose widest gap leaves k - 1 above it; untrained networks stand beside. The bulk
is near zero if 0.9 of the eigenvalues are within a hundredth of the largest: of the
convolutional network 200 examples leave the Gauss-Newton part at most 1,800 eigenvalues
that are not zero, so that there only the other part of the Hessian could contradict; of
the dense network they could be all. All of it supports and decides nothing: the
convolutional network has eight units, and its examples are few.

A unit draws which classes, initial weights, examples and their order anew. It counts if
the loss was reached and Lanczos' iteration converged, residuals below 1e-3 of the
largest eigenvalue of the block. Quadrature resolves the bulk to about its own nodes, of
which there are 40 a direction. Products are in float32 at highest precision.

The design was fixed before any of its results were seen; two units of seed 77 were seen
then and changed nothing. A review before any full run left out C053, which so many
weights and so few examples cannot contradict, and a loss of 0.5 nats, in favour of more
units, and added five classes beside ten; two dense units of seed 5102, seen then,
changed nothing. Not tested: more data, other architectures,
the density's finer shape; with batch normalisation see `normalised_spectrum`.

Claims: spectrum-1.
Sources: Ghorbani, Krishnan and Xiao 2019, arXiv:1901.10159; Sankar et al. 2020,
    arXiv:2012.03801; Papyan 2019, arXiv:1811.07062.
Cost: 5.5 minutes on 2 cores, compilation included.
Expect: k - 1 outliers in each layer on digits, fewer on clothing; a bulk near zero.
Run: jaxml run large_spectrum
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.record import Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Model, Params

OUTPUTS, SEEN, BATCH, EVERY = 10, 20, 50, 10  # eigenvalues; updates between two looks
CLASSES = (5, 10)  # of one unit, and of the next
LEVELS = (np.inf, 0.1)  # of the training loss
NAMES = ("untrained", "a loss of 0.1 nats")
NEAR, RATE = 1e-2, 1e-3  # near zero, of the largest eigenvalue; of Adam
MOST = record.above(0.5)
BULK = record.above(0.9)


def clothing() -> Batch:
    """Pictures of 14x14 pixels."""
    return problem.clothing_workload(block=2).data


WHOLE = "the whole network"


class Course(NamedTuple):
    """A data set, the blocks of a network, and how many examples train it."""

    data: Callable[[], Batch]
    blocks: tuple[str, ...]
    examples: int
    setting: str


DENSE = Course(
    problem.digits,
    (WHOLE, "the first layer", "the second layer", "the last layer"),
    500,
    "8x8 digits, 500 examples, dense network of two hidden layers, 3,466 weights",
)
LARGE = Course(
    clothing,
    (
        WHOLE,
        "the first convolution",
        "the second convolution",
        "the third convolution",
        "the last layer",
    ),
    200,
    "clothing of 14x14 pixels, 200 examples, convolutional network, 103,354 weights",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units of the dense and of the large network; widths of the first; how
    finely spectra are seen.
    """

    dense: int = 12
    large: int = 8
    widths: tuple[int, ...] = (32, 32)
    limit: int = 6000  # updates at most
    basis: int = 64  # of Lanczos' iteration
    depth: int = 40  # of the quadrature
    seed: int = 0


SMOKE = Config(dense=2, large=0, widths=(4,), limit=500, basis=24, depth=4)


class Spectra(NamedTuple):
    """Nan where a loss was not reached, or the iteration did not converge. The first
    block is the whole, then come layers.

    Attributes:
        highest: eigenvalues of blocks, descending.
        nodes: of the density.
        weights: of the nodes.
    """

    highest: Float[Array, "unit level block eigenvalue"]
    nodes: Float[Array, "unit level probe node"]
    weights: Float[Array, "unit level probe node"]


class Result(NamedTuple):
    """Of the dense network, and of the large one, which may have no units."""

    dense: Spectra
    large: Spectra


def study(config: Config, keep: Keep) -> Result:
    """One program a network."""
    small = problem.mlp((*config.widths, OUTPUTS), jax.nn.relu)
    dense = keep("dense", partial(_spectra, config, DENSE, small, config.dense))
    if not config.large:
        return Result(dense, jax.tree.map(lambda leaf: leaf[:0], dense))
    model = problem.cnn((32, 64, 144), OUTPUTS)
    large = keep("large", partial(_spectra, config, LARGE, model, config.large))
    return Result(dense, large)


def _spectra(config: Config, course: Course, model: Model, units: int) -> Spectra:
    """Every unit by itself."""
    batch = course.data()
    draw = np.random.default_rng(config.seed)
    classes = np.resize(CLASSES, units)
    own = [_drawn(draw, batch, course.examples, each) for each in classes]
    runs = jax.tree.map(lambda *rows: np.stack(rows), *own)
    keys = jax.random.split(randomness.key(config.seed), units)
    found = curvature.mapped(partial(_run, config, model), (), (runs, keys), None)
    return jax.tree.map(np.asarray, found)


def _drawn(
    draw: np.random.Generator, batch: Batch, examples: int, classes: int
) -> Batch:
    """Examples of so many classes drawn anew, which are numbered from 0 on."""
    place = np.argsort(draw.permutation(OUTPUTS))[np.asarray(batch.targets)]
    rows = draw.choice(np.flatnonzero(place < classes), examples, replace=False)
    taken = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], batch)
    return taken._replace(targets=place[rows].astype(np.int32))


def _run(config: Config, model: Model, run: tuple[Batch, Key], _: None) -> Spectra:
    """Spectra wherever the loss is first at a level."""
    own, key = run
    params, _ = problem.start(model, own.inputs)(key)
    loss = problem.objective(model, problem.cross_entropy)
    adam = learn.adam(learn.Hyper(lr=jnp.float32(RATE)))
    return learn.at_levels(
        learn.stochastic(loss, adam, own, batch=BATCH, key=key),
        lambda state: loss(state[0], own),
        lambda state: _seen(config, loss, state[0], own, key),
        (params, learn.begin(adam, params)),
        levels=LEVELS,
        every=EVERY,
        limit=config.limit,
    )


def _seen(config: Config, loss: Any, params: Params, own: Batch, key: Key) -> Spectra:
    """The ends of all blocks by Lanczos' iteration, and the density of the whole."""
    hessian = curvature.hessian_product(loss, params, own)
    flat, unravel = tree.ravel(params)
    draw = jax.random.normal(key, flat.shape, flat.dtype)

    def highest(block: jax.Array) -> jax.Array:
        def within(vector: jax.Array) -> jax.Array:
            return block * tree.ravel(hessian(unravel(block * vector)))[0]

        ends = curvature.ends(
            within,
            block * draw,
            lowest=0,
            highest=SEEN,
            basis=config.basis,
            tolerance=1e-3,
        )
        return jnp.where(ends.converged, ends.values[::-1], jnp.nan)

    density = curvature.spectral_density(
        hessian, params, depth=config.depth, probes=2, key=key
    )
    return Spectra(jax.lax.map(highest, _blocks(params)), *density)


def _blocks(params: Params) -> jax.Array:
    """`[block, weight]`: 1 in a block, that of all weights, then layer by layer."""
    blocks = [jax.tree.map(jnp.ones_like, params)]
    nowhere = jax.tree.map(jnp.zeros_like, params)
    blocks += [{**nowhere, layer: blocks[0][layer]} for layer in params]
    return jnp.stack([tree.ravel(block)[0] for block in blocks])


def _courses(result: Result) -> list[tuple[Course, Spectra]]:
    """Those that have units."""
    large = [(LARGE, result.large)] if len(result.large.highest) else []
    return [(DENSE, result.dense), *large]


GAP = (
    "The widest gap among the 20 highest eigenvalues of the Hessian of {} leaves one "
    "fewer above it than there are classes, five or ten, in most networks."
)
NEAR_ZERO = (
    "More than nine tenths of the Hessian's eigenvalues are within a hundredth of the "
    "largest from zero."
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each network, untrained and trained: every block, and the bulk."""
    found = []
    for (course, spectra), level in product(_courses(result), range(len(LEVELS))):
        rows = [
            (NEAR_ZERO, record.bootstrap(np.mean, _near_zero(spectra, level)), BULK)
        ]
        numbers = curvature.outliers(spectra.highest[:, level])
        for block, each in zip(course.blocks, numbers.T, strict=False):
            hits = (each == np.resize(CLASSES, len(each)) - 1)[np.isfinite(each)]
            measured = record.proportion(hits, of=spectra.highest)
            rows.append((GAP.format(block), measured, MOST))
        setting = f"{course.setting}, Adam, {NAMES[level]}"
        found += [
            record.supporting(
                "spectrum-1",
                statement,
                measured,
                rule,
                unit="fraction",
                setting=setting,
            )
            for statement, measured, rule in rows
        ]
    return tuple(found)


def _near_zero(spectra: Spectra, level: int) -> np.ndarray:
    """The fraction of eigenvalues within NEAR of the largest from zero."""
    nodes, weights = spectra.nodes[:, level], spectra.weights[:, level]
    largest = spectra.highest[:, level, :1, :1]
    near = np.abs(nodes) < NEAR * largest
    fraction = np.mean(np.sum(near * weights, axis=2), axis=1)
    return fraction[np.isfinite(largest[:, 0, 0])]


def figures(result: Result) -> dict[str, Figure]:
    """Blocks' eigenvalues by level, of ten classes, and the second unit's density."""
    courses = _courses(result)
    figure, axes = panels(len(courses), len(LEVELS))
    density, below = panels(len(courses), len(LEVELS))
    for axis, under, ((course, spectra), level) in zip(
        axes, below, product(courses, range(len(LEVELS))), strict=True
    ):
        name = f"{course.setting.split(',')[0]}, {NAMES[level]}"
        ten = spectra.highest[1::2, level]
        known = np.isfinite(ten[:, 0, 0])
        scaled = np.maximum(ten / ten[..., :1], 1e-5)[known].T
        for place, block in enumerate(course.blocks[: ten.shape[1]]):
            if known.any():
                band(axis, np.arange(1, SEEN + 1), scaled[:, place], block)
        under.stem(spectra.nodes[1, level, 0], spectra.weights[1, level, 0])
        axis.set_yscale("log")
        under.set_yscale("log")
        label(axis, name, "place of the eigenvalue", "eigenvalue over the largest")
        label(under, name, "eigenvalue", "fraction of eigenvalues")
    shared_legend(figure)
    return {"blocks": figure, "density": density}
