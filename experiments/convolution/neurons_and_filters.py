"""Is a layer of neurons with shared weights the same as filters slid over the picture?

The course tells a convolutional layer twice: as neurons that each see a patch and share
their weights, and as filters that are slid over the picture, and says that both stories
are one (C133). That is mathematics, and the two are computed by programs that share
nothing. The neurons are a layer in which each has weights of its own, all of which are
then set to the same numbers. The filters are slid over each channel by SciPy's
correlation, and the channels are added. Pictures, weights and biases are normal; zeros
surround the picture, and the stride is 1 or 2.

Control: neurons that keep weights of their own, and the filter of the first of them.
Were the measured difference small there too, it would tell nothing.

In float64 a sum of 27 products and a bias, in any order, is off by at most 28 units of
rounding, 2⁻⁵³, of the sum of the absolute values; two such sums differ by twice that.

Claims: C133.
Source: LeCun 1989, "Generalization and network design strategies".
Cost: 7 seconds on 2 cores, compilation included.
Expect: the same but for rounding.
Run: jaxml run neurons_and_filters
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy.signal import correlate2d

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Keep

SIDE, CHANNELS, FILTERS = 9, 3, 2
PATCH = 9 * CHANNELS  # numbers that a neuron sees
STRIDES = (1, 2)
STORIES = ("shared weights", "weights of their own (control)")
ROUNDING = record.at_most(2 * (PATCH + 1) * 2.0**-53)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws of pictures and weights."""

    draws: int = 20
    seed: int = 0


SMOKE = Config(draws=2)


class Result(NamedTuple):
    """How far neurons and filters are apart.

    Attributes:
        apart: largest difference of outputs, over the sum of the absolute values that
            make the output, by whether the neurons share their weights.
    """

    apart: Float[np.ndarray, "story stride draw"]


class Layer(NamedTuple):
    """A picture, and the weights and biases of every neuron."""

    picture: Float[np.ndarray, "row column channel"]
    kernel: Float[np.ndarray, "row column patch filter"]
    bias: Float[np.ndarray, "row column filter"]


def study(config: Config, keep: Keep) -> Result:
    """One program a stride, in float64."""
    seeds = randomness.seeds(config.seed, config.draws)
    layers = [_drawn(np.random.default_rng(seed)) for seed in seeds]
    with jax.enable_x64(True):
        found = [
            keep(f"stride {stride}", partial(_apart, layers, stride))
            for stride in STRIDES
        ]
    return Result(np.stack(found, axis=1))


def _drawn(draw: np.random.Generator) -> Layer:
    """Neurons with weights of their own."""
    return Layer(
        picture=draw.normal(size=(SIDE, SIDE, CHANNELS)),
        kernel=draw.normal(size=(SIDE, SIDE, PATCH, FILTERS)),
        bias=draw.normal(size=(SIDE, SIDE, FILTERS)),
    )


def _sharing(layer: Layer) -> Layer:
    """All neurons with the weights of the first."""
    return layer._replace(
        kernel=np.broadcast_to(layer.kernel[0, 0], layer.kernel.shape),
        bias=np.broadcast_to(layer.bias[0, 0], layer.bias.shape),
    )


def _apart(layers: list[Layer], stride: int) -> Float[np.ndarray, "story draw"]:
    """Neurons against the first one's filter."""
    neurons = jax.jit(partial(_neurons, stride=stride))
    found = []
    for own in layers:
        slid = _slid(own)[::stride, ::stride]
        sizes = _slid(Layer(*map(np.abs, own)))[::stride, ::stride]
        stories = _sharing(own), own
        both = []
        for story in stories:
            errors = np.abs(neurons(story) - slid) / sizes
            both.append(np.max(errors))
        found.append(both)
    return np.array(found).T


def _neurons(layer: Layer, *, stride: int) -> Float[jax.Array, "row column filter"]:
    """Outputs of the neurons whose patches a stride leaves."""
    model = problem.locally_connected(FILTERS, stride=stride)
    params = {
        "kernel": layer.kernel[::stride, ::stride],
        "bias": layer.bias[::stride, ::stride],
    }
    inputs = layer.picture[None]
    outputs, _ = model.apply(params, {}, inputs, train=False, key=None)
    return outputs[0]


def _slid(layer: Layer) -> Float[np.ndarray, "row column filter"]:
    """Filters of the first neuron's weights, slid over every channel, and summed."""
    filters = layer.kernel[0, 0].reshape(3, 3, CHANNELS, FILTERS)
    maps = np.empty((SIDE, SIDE, FILTERS))
    for number in range(FILTERS):
        maps[:, :, number] = layer.bias[0, 0, number]
        for channel in range(CHANNELS):
            seen = layer.picture[:, :, channel]
            one = filters[:, :, channel, number]
            maps[:, :, number] += correlate2d(seen, one, mode="same")
    return maps


def findings(result: Result) -> tuple[Assertion, ...]:
    """Both stories, and neurons of which the second is not told."""
    shared, own = result.apart
    setting = (
        f"{FILTERS} filters of 3 x 3 on random pictures of {SIDE} x {SIDE} pixels and "
        f"{CHANNELS} channels, strides 1 and 2, {shared.shape[1]} draws, float64"
    )
    told = {"rule": ROUNDING, "unit": "relative error", "setting": setting}
    return (
        record.deciding(
            "C133",
            "Neurons that see patches and share their weights compute what filters "
            "slid over the picture compute: difference over the sum of the absolute "
            "values.",
            record.largest(shared),
            **told,
        ),
        record.supporting(
            "C133",
            "Control, neurons that see patches by weights of their own compute what "
            "filters slid over the picture compute: difference over the sum of the "
            "absolute values.",
            record.largest(own),
            **told,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Differences of every draw."""
    figure, (axis,) = panels(width=5.2, height=3.6)
    draws = result.apart.shape[2]
    places = np.repeat(STRIDES, draws) + np.tile(np.linspace(-0.2, 0.2, draws), 2)
    for name, errors, marker in zip(STORIES, result.apart, "o^", strict=True):
        shown = np.maximum(errors.ravel(), 1e-18)
        axis.scatter(places, shown, marker=marker, s=18, label=name)
    axis.axhline(ROUNDING.threshold, color="0.4", linestyle=":", label="rounding")
    axis.set_yscale("log")
    axis.set_xticks(STRIDES)
    label(axis, "Neurons against filters", "stride (pixels)", "relative difference")
    legend_below(axis)
    return {"stories": figure}
