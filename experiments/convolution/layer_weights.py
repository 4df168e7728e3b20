"""How many weights does a convolutional layer save, and how deep are its filters?

The course counts: 1,000 neurons that see a whole picture of 100 x 100 pixels in three
colours have 3·10⁷ weights, and one that sees a patch of 3 x 3 pixels has 27 (C127). A
filter is as deep as its layer's input has channels, 64 after 64 filters (C132). Both
are mathematics, and both are looked at in two ways, so that not the library's own
arithmetic answers alone: the weights with which a layer is initialised; and, of random
weights, the inputs at which the gradient of one neuron in the middle of the picture is
not 0, for a neuron has one weight for each input that it sees. A count that is off by
one decides against the claim.

Two controls must come out otherwise: a neuron that sees 5 x 5 pixels, which has not 27
weights, and a layer in two groups, whose filters are half as deep. So the "must" of
C132 is that of an ordinary layer.

Claims: C127, C132.
Source: LeCun 1989, "Generalization and network design strategies".
Cost: 6 seconds on 2 cores, compilation included.
Expect: all as the course says.
Run: jaxml run layer_weights
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from jaxml import problem, randomness, record, tree
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Keep, Model, Params

SIDE, COLOURS = 100, 3  # of the course's picture
PICTURE = (1, SIDE, SIDE, COLOURS)
PATCH = 27  # numbers that a neuron of 3 x 3 pixels sees
NEURONS = 1000
WIDE = "1,000 neurons that see all"
LAYERS = (WIDE, "a neuron of 3 x 3", "a neuron of 5 x 5", "64 filters", "64 unshared")
COURSE = np.array([3 * 10**7, PATCH, PATCH, 64 * PATCH + 64, 98**2 * 64 * PATCH])
BIASES = np.array([NEURONS, 1, 1, 0, 0])  # not counted
FILTERS = (64, 16, 8)  # of three layers in a row; the last is also made in two groups
SMALL = 9  # pixels a side of their picture
EXACT = record.at_most(0.0)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws of weights."""

    draws: int = 20
    seed: int = 0


SMOKE = Config(draws=2)


class Result(NamedTuple):
    """Counts.

    Attributes:
        weights: of LAYERS, those of 64 filters with their biases, else without.
        inputs: that move one neuron of the first three LAYERS.
        kernels: how deep the kernels are: of three layers, then in two groups.
        channels: how many channels of its input move an output of each.
        input_channels: of each.
        seeds: of the draws.
    """

    weights: Int[np.ndarray, " layer"]
    inputs: Int[np.ndarray, "layer draw"]
    kernels: Int[np.ndarray, " kind"]
    channels: Int[np.ndarray, "kind draw"]
    input_channels: Int[np.ndarray, " kind"]
    seeds: Int[np.ndarray, " draw"]


def study(config: Config, keep: Keep) -> Result:
    """Nothing is trained, and each network is one layer."""
    seeds = randomness.seeds(config.seed, config.draws)
    moved = keep("neurons", partial(_neurons, seeds))
    layers = [problem.convolution(count) for count in FILTERS]
    layers.append(problem.convolution(FILTERS[-1], groups=2))
    inputs = np.array([COLOURS, *FILTERS])
    inputs[-1] = FILTERS[-2]
    kernels, channels = [], []
    for layer, count in zip(layers, inputs, strict=True):
        small = (1, SMALL, SMALL, count)
        kernels.append(_shapes(layer, small)["kernel"].shape[2])
        seen = np.any(_moved(layer, small, seeds), axis=(1, 2))
        channels.append(np.sum(seen, axis=1))
    return Result(
        weights=_weights(),
        inputs=moved,
        kernels=np.array(kernels),
        channels=np.stack(channels),
        input_channels=inputs,
        seeds=np.array(seeds),
    )


def _neurons(seeds: Sequence[int]) -> Int[np.ndarray, "layer draw"]:
    """How many inputs move a neuron that sees all, 3 x 3 pixels and 5 x 5."""
    layers = (problem.linear(1), problem.convolution(1), problem.convolution(1, 5))
    moved = [_moved(layer, PICTURE, seeds) for layer in layers]
    return np.sum(np.stack(moved), axis=(2, 3, 4))


def _weights() -> Int[np.ndarray, " layer"]:
    """What LAYERS are initialised with."""
    layers = (
        problem.linear(NEURONS),
        problem.convolution(1),
        problem.convolution(1, 5),
        problem.convolution(64),
        problem.locally_connected(64, padding="valid", bias=False),
    )
    counts = [tree.size(_shapes(layer, PICTURE)) for layer in layers]
    return np.array(counts, np.int64) - BIASES


def _shapes(layer: Model, picture: tuple[int, ...]) -> Params:
    """Of the parameters, without computing any."""
    inputs = jax.ShapeDtypeStruct(picture, np.float32)
    key = jax.eval_shape(jax.random.key, 0)
    return jax.eval_shape(layer.init, key, inputs)[0]


def _moved(layer: Model, picture: tuple[int, ...], seeds: Sequence[int]) -> np.ndarray:
    """Whether the gradient of an output in the middle is not 0, `[draw, row, column,
    channel]`, at normal weights.
    """
    shapes = _shapes(layer, picture)

    def middle(pixels: jax.Array, params: Params) -> jax.Array:
        outputs, _ = layer.apply(params, {}, pixels, train=False, key=None)
        places = [size // 2 for size in outputs.shape[1:-1]]
        return outputs[(0, *places, 0)]

    gradient = jax.jit(jax.grad(middle))
    pixels = jnp.zeros(picture)
    found = []
    for seed in seeds:
        draw = np.random.default_rng(seed)
        params = jax.tree.map(partial(_normal, draw), shapes)
        found.append(np.asarray(gradient(pixels, params))[0] != 0)
    return np.stack(found)


def _normal(draw: np.random.Generator, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    return draw.standard_normal(leaf.shape, np.float32)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Counts and depths, each with what must come out otherwise."""
    return (*_counts(result), *_depths(result))


def _off(counts: np.ndarray) -> record.Interval:
    """The largest of counts that ought to be 0."""
    return record.largest(np.ravel(counts))


def _counts(result: Result) -> tuple[Assertion, ...]:
    whole, three, five, filters, unshared = result.weights - COURSE
    dense, small, large = result.inputs
    setting = (
        f"a picture of {SIDE} x {SIDE} pixels in {COLOURS} colours, biases apart; "
        f"gradients at {len(dense)} draws of weights"
    )
    told = {"rule": EXACT, "unit": "count", "setting": setting}
    claimed = partial(record.deciding, "C127", **told)
    beside = partial(record.supporting, "C127", **told)
    return (
        claimed(
            "A fully connected layer of 1,000 neurons has 3·10⁷ weights, 30,000 for "
            "each neuron, which as many inputs move: how many more or less.",
            _off(np.append(whole, dense - SIDE * SIDE * COLOURS)),
        ),
        claimed(
            "A neuron that sees 3 x 3 pixels has 27 weights, and 27 inputs move it: "
            "how many more or less.",
            _off(np.append(three, small - PATCH)),
        ),
        beside(
            "64 filters of 3 x 3 have 1,792 weights, biases included: how many more or "
            "less.",
            _off(filters),
        ),
        beside(
            "64 neurons of 3 x 3 at each of 98 x 98 places that share nothing have "
            "98²·64·27 weights: how many more or less.",
            _off(unshared),
        ),
        beside(
            "Control, a neuron that sees 5 x 5 pixels: it has 27 weights, and 27 "
            "inputs move it; how many more or less.",
            _off(np.append(five, large - PATCH)),
        ),
    )


def _depths(result: Result) -> tuple[Assertion, ...]:
    kernels = result.kernels - result.input_channels
    channels = result.channels - result.input_channels[:, None]
    filters = ", ".join(map(str, FILTERS))
    setting = (
        f"layers of {filters} filters of 3 x 3 in a row on a picture of {COLOURS} "
        f"colours, gradients at {channels.shape[1]} draws of weights"
    )
    told = {"rule": EXACT, "unit": "count", "setting": setting}
    return (
        record.deciding(
            "C132",
            "The filters of a layer are as deep as its input has channels, and all of "
            "these move an output: channels more or less.",
            _off(np.append(kernels[:-1], channels[:-1])),
            **told,
        ),
        record.deciding(
            "C132",
            "After a layer of 64 filters the next layer's filters are 64 deep: "
            "channels more or less.",
            _off(np.append(result.kernels[1], result.channels[1]) - FILTERS[0]),
            **told,
        ),
        record.supporting(
            "C132",
            "Control, a layer in two groups: its filters are as deep as its input has "
            "channels, and all of these move an output; channels more or less.",
            _off(np.append(kernels[-1], channels[-1])),
            **told,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Weights as initialised, and inputs that move a neuron, beside the course's."""
    figure, (weights, depths) = panels(1, 2, width=5.2, height=3.4)
    rows = np.arange(len(LAYERS))
    weights.barh(rows, result.weights, color="0.75", label="counted")
    weights.scatter(COURSE, rows, color="black", marker="|", s=220, label="expected")
    weights.set_yticks(rows, LAYERS)
    weights.set_xscale("log")
    weights.invert_yaxis()
    label(weights, "Weights (of 5 x 5, 27 is the control)", "weights (count)", "layer")
    kinds = [*(f"layer {place + 1}" for place in range(len(FILTERS))), "two groups"]
    rows = np.arange(len(kinds))
    depths.barh(rows, result.channels[:, 0], color="0.75")
    depths.scatter(result.input_channels, rows, color="black", marker="|", s=220)
    depths.set_yticks(rows, kinds)
    depths.invert_yaxis()
    label(depths, "Channels that move an output", "channels (count)", "layer")
    shared_legend(figure)
    return {"weights": figure}
