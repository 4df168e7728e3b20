"""Which pixels does a neuron see through stacked layers of 3 x 3 filters?

The course says that a neuron of the second layer sees 5 x 5 pixels, and that each
further layer adds two: 3, 5, 7, 9, 11 (C131). That is mathematics. In networks of one
to five layers with ReLUs and random weights, the gradient of a neuron in the middle is
not 0 at the pixels that it sees, at some of several random pictures; they must be the
square that the course names, and a single pixel too many or too few decides against it.

Control: a first layer of stride 2, after which the second sees 7 x 7 pixels; the
sentence holds of layers that take every pixel. Seeing is no more than that: the figure
shows that most of a gradient comes from the middle of the square, and one finding, how
much smaller it is at the corners of the deepest network's square than in its middle.

Claims: C131.
Source: Luo et al. 2016, arXiv:1701.04128 (what a neuron sees and what moves it).
Cost: 6 seconds on 2 cores, compilation included.
Expect: as the course says; a hundredth or less at the corners.
Run: jaxml run receptive_fields
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels
from jaxml.types import Array, Keep, Model, Params

CHANNELS, PICTURES = 8, 8  # so many that each pixel is seen through units that are on
STRIDED = 17  # pixels a side where the first of two layers has a stride of 2
EXACT = record.at_most(0.0)
SMALLER = record.below(
    float(np.log(0.5)), margin=float(np.log(1.25)), reason="a quarter of the factor"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Layers at most, and draws of weights and pictures."""

    layers: int = 5
    draws: int = 20
    seed: int = 0


SMOKE = Config(layers=2, draws=2)


class Result(NamedTuple):
    """What middle neurons see.

    Attributes:
        sizes: of their gradients, means over pictures and channels, by layers.
        missed: pixels that are seen and not in the course's square, or in it and not
            seen, by layers.
        strided: the same where the first of two layers has a stride of 2.
    """

    sizes: Float[np.ndarray, "layer draw row column"]
    missed: Int[np.ndarray, "layer draw"]
    strided: Int[np.ndarray, " draw"]


def study(config: Config, keep: Keep) -> Result:
    """One program a network."""
    seeds = randomness.seeds(config.seed, config.draws)
    side = 2 * config.layers + 3
    sizes, missed = [], []
    for depth in range(1, config.layers + 1):
        layers = [problem.convolution(CHANNELS)] * depth
        found = keep(f"{depth} layers", partial(_sizes, layers, side, seeds))
        sizes.append(found)
        missed.append(_not_as_square(found, depth))
    layers = [
        problem.convolution(CHANNELS, stride=2),
        problem.convolution(CHANNELS),
    ]
    found = keep("strided", partial(_sizes, layers, STRIDED, seeds))
    return Result(np.stack(sizes), np.stack(missed), _not_as_square(found, 2))


def _sizes(
    layers: list[Model], side: int, seeds: Sequence[int]
) -> Float[np.ndarray, "draw row column"]:
    """Of the gradient of the middle neuron, the mean over pictures and channels."""
    relu = problem.elementwise(jax.nn.relu)
    parts = layers[:1]
    for layer in layers[1:]:
        parts += [relu, layer]
    network = problem.chain(*parts)
    shape = (PICTURES, side, side, CHANNELS)
    pictures = jax.ShapeDtypeStruct(shape, np.float32)
    key = jax.eval_shape(jax.random.key, 0)
    shapes, _ = jax.eval_shape(network.init, key, pictures)

    def middle(pixels: Array, params: Params) -> jax.Array:
        outputs, _ = network.apply(params, {}, pixels, train=False, key=None)
        row, column = (size // 2 for size in outputs.shape[1:3])
        return outputs[:, row, column, 0].sum()

    gradient = jax.jit(jax.grad(middle))
    found = []
    for seed in seeds:
        draw = np.random.default_rng(seed)
        params = jax.tree.map(partial(_normal, draw), shapes)
        moved = gradient(_normal(draw, pictures), params)
        found.append(np.abs(moved).mean(axis=(0, 3)))
    return np.stack(found)


def _normal(draw: np.random.Generator, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    return draw.standard_normal(leaf.shape, np.float32)


def _not_as_square(
    sizes: Float[np.ndarray, "draw row column"], reach: int
) -> Int[np.ndarray, " draw"]:
    """Pixels that are seen beyond reach of the middle, or within it and not seen."""
    middle = sizes.shape[1] // 2
    square = np.zeros(sizes.shape[1:], bool)
    within = slice(middle - reach, middle + reach + 1)
    square[within, within] = True
    seen = sizes != 0
    return np.sum(seen != square, axis=(1, 2))


def findings(result: Result) -> tuple[Assertion, ...]:
    """The second layer, all layers, and what must come out otherwise."""
    depth, draws = result.missed.shape
    setting = (
        f"3 x 3 filters, {CHANNELS} channels, ReLUs between, {draws} draws of weights "
        f"and {PICTURES} pictures"
    )
    two, every = f"two layers, {setting}", f"one to {depth} layers, {setting}"
    told = {"rule": EXACT, "unit": "count"}
    return (
        record.deciding(
            "C131",
            "A neuron of the second layer of 3 x 3 filters sees 5 x 5 pixels: pixels "
            "more or less.",
            record.largest(result.missed[1]),
            setting=two,
            **told,
        ),
        record.deciding(
            "C131",
            "A neuron of the first layer of 3 x 3 filters sees 3 x 3 pixels, and of "
            "each further layer two more each way: pixels more or less.",
            record.largest(result.missed),
            setting=every,
            **told,
        ),
        record.supporting(
            "C131",
            "Control, a stride of 2 in the first layer: a neuron of the second layer "
            "sees 5 x 5 pixels; pixels more or less.",
            record.largest(result.strided),
            setting=two,
            **told,
        ),
        record.supporting(
            "C131",
            "A pixel at a corner of what a neuron sees moves it less than half as much "
            "as one in the middle: mean log of the ratio of gradients.",
            record.bootstrap(np.mean, _corners(result)),
            SMALLER,
            unit="log ratio",
            setting=f"{depth} layers, {setting}",
        ),
    )


def _corners(result: Result) -> Float[np.ndarray, " draw"]:
    """Log of the gradients at the corners over that in the middle, of all layers."""
    sizes = result.sizes[-1]
    middle, reach = sizes.shape[1] // 2, len(result.sizes)
    ends = [middle - reach, middle + reach]
    corners = sizes[:, ends][:, :, ends].mean(axis=(1, 2))
    return np.log(corners / sizes[:, middle, middle])


def figures(result: Result) -> dict[str, Figure]:
    """Where the gradients of neurons come from, layer by layer."""
    figure, axes = panels(1, len(result.sizes), width=2.6, height=3.0)
    for place, (axis, sizes) in enumerate(zip(axes, result.sizes, strict=True)):
        mean = sizes.mean(axis=0)
        with np.errstate(divide="ignore"):
            decades = np.log10(mean / mean.max())
        axis.imshow(decades, cmap="Greys", vmin=-4, vmax=0)
        axis.grid(visible=False)
        seen = int(np.sum(mean.any(axis=0)))
        label(axis, f"Layer {place + 1}: {seen} x {seen}", "pixel", "pixel")
    figure.colorbar(
        axes[0].images[0], ax=axes, label="log₁₀ of the gradient (white: none)"
    )
    return {"seen": figure}
