"""Is a convolutional layer a dense layer, most of whose weights are zero or shared?

The course calls a convolution a fully connected layer that is restricted twice, by
receptive fields and by shared weights (C128), so that the functions of a convolutional
network are a subset of those of a dense one (C036). That is mathematics: the dense
layer's matrix is the Toeplitz matrix T of the filters. A convolution of random weights
and pictures is compared with `problem.linear` of the kernel Tᵀ and of the filters'
biases, at strides of 1 and 2. In float64 a sum of 27 products and a bias, in any order,
is off by at most 28 units of rounding, 2⁻⁵³, of the sum of the absolute values, and
zeros change no sum; two such sums differ by twice that.

A *proper* subset would be more than the sentence says, and is what makes it worth
saying: of a dense layer with normal weights, the convolution that is nearest in the
sense of least squares leaves out most. That is the control of the equality, which must
come out otherwise: were it small, T would say nothing of convolutions.

That of whole networks follows layer by layer. Nothing here decides: that the
restriction helps is the other half of both claims, and what they are made for. It is
asked by `restricted_layers`; an equality beside that open question would read as its
answer, as it did when this study decided in its first runs.

Claims: C128, C036.
Source: LeCun 1989, "Generalization and network design strategies".
Cost: 1 second on 2 cores, compilation included.
Expect: equal but for rounding; the nearest convolution leaves nearly all of a matrix.
Run: jaxml run convolution_matrix
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep

SIDE, CHANNELS, FILTERS = 8, 3, 4
KERNEL = (3, 3, CHANNELS, FILTERS)
PATCH = 9 * CHANNELS  # numbers that a neuron sees
STRIDES = (1, 2)
ROUNDING = record.at_most(2 * (PATCH + 1) * 2.0**-53)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws of pictures and weights."""

    draws: int = 20
    seed: int = 0


SMOKE = Config(draws=2)


class Result(NamedTuple):
    """How far convolutions and dense layers are apart.

    Attributes:
        apart: largest difference of outputs, over the sum of the absolute values that
            make the output.
        left: norm of what the nearest convolution leaves of a normal dense matrix,
            over that of the matrix.
    """

    apart: Float[np.ndarray, "stride draw"]
    left: Float[np.ndarray, "stride draw"]


class Drawn(NamedTuple):
    """A picture, filters with their biases, and a dense matrix."""

    picture: Float[np.ndarray, "row column channel"]
    kernel: Float[np.ndarray, "r s channel filter"]
    bias: Float[np.ndarray, " filter"]
    matrix: Float[np.ndarray, "output pixel"]


def study(config: Config, keep: Keep) -> Result:
    """One program a stride, in float64."""
    seeds = randomness.seeds(config.seed, config.draws)
    with jax.enable_x64(True):
        found = [
            keep(f"stride {stride}", partial(_compared, seeds, stride))
            for stride in STRIDES
        ]
    apart, left = np.swapaxes(found, 0, 1)
    return Result(apart, left)


def _compared(seeds: Sequence[int], stride: int) -> Float[np.ndarray, "quantity draw"]:
    """Differences of outputs, and what is left of a matrix."""
    outputs = (SIDE // stride) ** 2 * FILTERS
    basis = jax.jit(jax.vmap(partial(_matrix, stride=stride)))
    directions = jnp.eye(int(np.prod(KERNEL))).reshape(-1, *KERNEL)
    spanned = np.asarray(basis(directions)).reshape(len(directions), -1)
    both = jax.jit(partial(_difference, stride=stride))
    apart, left = [], []
    for seed in seeds:
        draw = np.random.default_rng(seed)
        drawn = Drawn(
            picture=draw.normal(size=(SIDE, SIDE, CHANNELS)),
            kernel=draw.normal(size=KERNEL),
            bias=draw.normal(size=FILTERS),
            matrix=draw.normal(size=(outputs, SIDE * SIDE * CHANNELS)),
        )
        apart.append(float(both(drawn)))
        left.append(_left(spanned, drawn.matrix.ravel()))
    return np.array([apart, left])


def _matrix(kernel: Array, *, stride: int) -> jax.Array:
    return problem.toeplitz(kernel, (SIDE, SIDE), stride=stride)


def _difference(drawn: Drawn, *, stride: int) -> jax.Array:
    """The largest difference of a convolution and its dense layer."""
    convolution = problem.convolution(FILTERS, stride=stride)
    matrix = _matrix(drawn.kernel, stride=stride)
    dense = problem.linear(len(matrix))
    bias = jnp.tile(drawn.bias, len(matrix) // FILTERS)
    inputs = drawn.picture[None]
    filters = {"kernel": drawn.kernel, "bias": drawn.bias}
    weights = {"layer_00": {"kernel": matrix.T, "bias": bias}}
    restricted, _ = convolution.apply(filters, {}, inputs, train=False, key=None)
    whole, _ = dense.apply(weights, {}, inputs, train=False, key=None)
    sizes = jnp.abs(matrix) @ jnp.abs(inputs.ravel()) + jnp.abs(bias)
    errors = jnp.abs(restricted.ravel() - whole[0])
    return jnp.max(errors / sizes)


def _left(
    spanned: Float[np.ndarray, "weight entry"], matrix: Float[np.ndarray, " entry"]
) -> np.floating:
    """What is left of a matrix without its part among the convolutions'.

    The matrices of two weights of a kernel share no entry, so that they are orthogonal.
    """
    weights = spanned @ matrix / np.sum(spanned, axis=1)
    rest = matrix - weights @ spanned
    return np.linalg.norm(rest) / np.linalg.norm(matrix)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Equality, of which both claims speak, and that it is no matter of course."""
    setting = (
        f"{FILTERS} filters of 3 x 3 on random pictures of {SIDE} x {SIDE} pixels and "
        f"{CHANNELS} channels, strides 1 and 2, {result.apart.shape[1]} draws, float64"
    )
    told = {"rule": ROUNDING, "unit": "relative error", "setting": setting}
    return (
        record.supporting(
            "C128",
            "A convolutional layer is a fully connected layer whose weights are zero "
            "outside of receptive fields and shared within: difference over the sum of "
            "the absolute values.",
            record.largest(result.apart),
            **told,
        ),
        record.supporting(
            "C036",
            "What a convolutional layer computes, a fully connected layer computes "
            "with the matrix of its filters: difference over the sum of the absolute "
            "values.",
            record.largest(result.apart),
            **told,
        ),
        record.supporting(
            "C036",
            "Control, the other way round: a fully connected layer of normal weights "
            "is a convolution; norm of what the nearest convolution leaves, over that "
            "of the weights.",
            record.largest(result.left),
            **told,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Both differences of every draw."""
    figure, (axis,) = panels(width=5.4, height=3.6)
    draws = result.apart.shape[1]
    places = np.repeat(STRIDES, draws) + np.tile(np.linspace(-0.2, 0.2, draws), 2)
    told = {
        "convolution and its matrix": (result.apart, "o"),
        "normal matrix and the nearest convolution (control)": (result.left, "^"),
    }
    for name, (errors, marker) in told.items():
        shown = np.maximum(errors.ravel(), 1e-18)
        axis.scatter(places, shown, marker=marker, s=18, label=name)
    axis.axhline(ROUNDING.threshold, color="0.4", linestyle=":", label="rounding")
    axis.set_yscale("log")
    axis.set_xticks(STRIDES)
    label(axis, "How far apart", "stride (pixels)", "relative difference")
    legend_below(axis, columns=1)
    return {"matrices": figure}
