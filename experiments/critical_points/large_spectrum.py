"""Where in a network of 100,000 weights are the outliers, and how do they move?

`outliers` counts the Hessian's outliers in small dense networks. Here a convolutional
network of 103,354 weights learns ten kinds of clothing from pictures of 14x14 pixels,
and a dense network of two hidden layers learns digits; of both the Hessian is looked at
before training, and where the training loss is first at 0.5 and at 0.1 nats. Taken are
the 20 highest eigenvalues of the whole and of the block of each layer, whose weights
alone move, and by quadrature from two random directions the density, and with it the
fraction of eigenvalues above 1e-3 of the largest.

If outliers belong to the last layer, its block has k - 1 = 9 and the others have none,
so that their numbers are anything from 1 to 19; if each layer has the shape of the
whole, all have 9. A unit is judged by |number - 9|, of a layer, as in `outliers`, whose
control stands for this one. Of C053 the part that a density can show: the fraction of
eigenvalues that are positive and not near zero is at most 0.56. All of it supports and
decides nothing: the convolutional network has four units, and its examples are few.

A unit draws initial weights, examples and their order anew. Quadrature resolves the
bulk to about its own nodes, of which there are 40 a direction. Products are in float32
at highest precision. The design was fixed before any of its results were seen; two
units of seed 77 were seen then and changed nothing. Not tested: more data, other
architectures, the density's finer shape.

Claims: spectrum-1, C053.
Sources: Ghorbani, Krishnan and Xiao 2019, arXiv:1901.10159; Sankar et al. 2020,
    arXiv:2012.03801; Papyan 2019, arXiv:1811.07062.
Cost: three minutes on 2 cores, compilation included.
Expect: nine outliers in each layer on digits, fewer on clothing; a bulk near zero.
Run: jaxml run large_spectrum
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
from jaxml.curvature import Density
from jaxml.record import Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Model, Params

CLASSES, SEEN, BATCH, EVERY = 10, 20, 50, 10  # eigenvalues; updates between two looks
LEVELS = (np.inf, 0.5, 0.1)  # of the training loss
NAMES = ("untrained", "a loss of 0.5 nats", "a loss of 0.1")
NEAR, RATE = 1e-3, 1e-3  # near zero, of the largest eigenvalue; of Adam
NEAREST = record.below(0.5)
AT_MOST = record.below(0.56)


def clothing() -> Batch:
    """Pictures of 14x14 pixels."""
    return problem.clothing_workload(block=2).data


class Course(NamedTuple):
    """A data set, a network, and how many examples train it."""

    data: Callable[[], Batch]
    model: Model
    examples: int
    setting: str


DENSE = Course(
    problem.digits,
    problem.mlp((32, 32, CLASSES), jax.nn.relu),
    500,
    "8x8 digits, 500 examples, dense network of two hidden layers, 3,466 weights",
)
LARGE = Course(
    clothing,
    problem.cnn((32, 64, 144), CLASSES),
    200,
    "clothing of 14x14 pixels, 200 examples, convolutional network, 103,354 weights",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units of the dense and of the large network; how finely spectra are seen."""

    dense: int = 12
    large: int = 4
    limit: int = 6000  # updates at most
    basis: int = 64  # of Lanczos' iteration
    products: int = 1000  # of it at most
    depth: int = 40  # of the quadrature
    seed: int = 0


SMOKE = Config(dense=2, large=0, limit=50, basis=24, products=30, depth=4)


class Spectra(NamedTuple):
    """Nan where a loss was not reached. The first block is the whole, then come layers.

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
    dense = keep("dense", partial(_spectra, config, DENSE, config.dense))
    if not config.large:
        return Result(dense, jax.tree.map(lambda leaf: leaf[:0], dense))
    return Result(dense, keep("large", partial(_spectra, config, LARGE, config.large)))


def _spectra(config: Config, course: Course, units: int) -> Spectra:
    """Every unit by itself."""
    batch = course.data()
    draw = np.random.default_rng(config.seed)
    order = draw.random((units, len(batch.targets))).argsort(axis=1)
    rows = order[:, : course.examples]
    own = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], batch)
    keys = jax.random.split(randomness.key(config.seed), units)
    run = partial(_run, config, course.model)
    return jax.tree.map(np.asarray, curvature.mapped(run, (), (own, keys), None))


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
    product = curvature.hessian_product(loss, params, own)
    flat, unravel = tree.ravel(params)
    draw = jax.random.normal(key, flat.shape, flat.dtype)

    def highest(block: jax.Array) -> jax.Array:
        def within(vector: jax.Array) -> jax.Array:
            image, _ = tree.ravel(product(unravel(block * vector)))
            return block * image

        ends = curvature.ends(
            within,
            block * draw,
            lowest=0,
            highest=SEEN,
            basis=config.basis,
            products=config.products,
            tolerance=1e-3,
        )
        return jnp.asarray(ends.values)[::-1]

    density = curvature.spectral_density(
        product, params, depth=config.depth, probes=2, key=key
    )
    return Spectra(jax.lax.map(highest, _blocks(params)), *density)


def _blocks(params: Params) -> Float[jax.Array, "block weight"]:
    """1 where a weight is in a block: all of them, then layer by layer."""
    ones = jax.tree.map(jnp.ones_like, params)
    blocks = [ones]
    for layer in params:
        mask = jax.tree.map(jnp.zeros_like, params)
        mask[layer] = ones[layer]
        blocks.append(mask)
    return jnp.stack([tree.ravel(block)[0] for block in blocks])


def _courses(result: Result) -> list[tuple[Course, Spectra]]:
    """Those that have units."""
    both = [(DENSE, result.dense), (LARGE, result.large)]
    return [each for each in both if len(each[1].highest)]


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each network, where it is trained: every block, and the fractions."""
    found = []
    for course, spectra in _courses(result):
        for level in (1, 2):
            setting = f"{course.setting}, Adam, {NAMES[level]}"
            numbers = curvature.outliers(spectra.highest[:, level])
            for block, misses in enumerate(np.abs(numbers - CLASSES + 1).T):
                found.append(
                    record.supporting(
                        "spectrum-1",
                        f"The Hessian of {_block(block)} has nine outliers for ten "
                        "classes, nearer than half an eigenvalue on average.",
                        record.bootstrap(np.mean, misses[np.isfinite(misses)]),
                        NEAREST,
                        unit="count",
                        setting=setting,
                    )
                )
            positive = _positive(spectra, level)
            found.append(
                record.supporting(
                    "C053",
                    "At most 0.56 of the Hessian's eigenvalues are positive and more "
                    "than a thousandth of the largest.",
                    record.bootstrap(np.mean, positive[np.isfinite(positive)]),
                    AT_MOST,
                    unit="fraction",
                    setting=setting,
                )
            )
    return tuple(found)


def _block(place: int) -> str:
    return f"layer {place} alone" if place else "the whole network"


def _positive(spectra: Spectra, level: int) -> np.ndarray:
    """The fraction of eigenvalues above zero and not near it, of every unit."""
    nodes, weights = spectra.nodes[:, level], spectra.weights[:, level]
    bound = NEAR * spectra.highest[:, level, 0, 0][:, None, None]
    above = np.mean(np.sum(np.where(nodes > bound, weights, 0), axis=2), axis=1)
    return np.where(np.isfinite(nodes[:, 0, 0]), above, np.nan)


def figures(result: Result) -> dict[str, Figure]:
    """Blocks' eigenvalues by level, and the first unit's density."""
    courses = _courses(result)
    figure, axes = panels(len(courses), len(LEVELS), width=3.6)
    density, below = panels(len(courses), len(LEVELS), width=3.6)
    places = list(np.ndindex(len(courses), len(LEVELS)))
    for axis, under, (row, level) in zip(axes, below, places, strict=True):
        course, spectra = courses[row]
        name = f"{course.setting.split(',')[0]}, {NAMES[level]}"
        for block in range(spectra.highest.shape[2]):
            values = spectra.highest[:, level, block]
            ended = values[np.isfinite(values[:, 0])]
            if len(ended):
                scaled = np.maximum(ended / ended[:, :1], 1e-5)
                band(axis, np.arange(1, SEEN + 1), scaled.T, _block(block))
        axis.set_yscale("log")
        label(axis, name, "place of the eigenvalue", "eigenvalue over the largest")
        _stems(under, Density(spectra.nodes[0, level], spectra.weights[0, level]))
        label(under, name, "eigenvalue", "fraction of eigenvalues")
    shared_legend(figure, columns=5)
    return {"blocks": figure, "density": density}


def _stems(axis: Any, density: Density) -> None:
    """A stroke a node of the first direction, as high as its weight."""
    nodes, weights = density.nodes[0], np.maximum(density.weights[0], 1e-8)
    axis.vlines(nodes, 1e-8, weights, color="black")
    axis.set_yscale("log")
    axis.set_ylim(1e-6, 1)
