"""Does the gradient through a maximum reach the largest input alone?

The course says so of max pooling, and that a maxout unit passes its gradient on in the
same way (C134). That is mathematics, away from equal numbers. Of random pictures, in
which no two numbers are equal, the gradient is compared with what NumPy's argmax says,
for windows of 2 x 2 side by side, which the library pools by a rule of its own, and of
3 x 3 that overlap. Outputs are weighed by whole numbers, so that no sum is rounded, and
one derivative that is not as claimed decides. A maxout unit is looked at with the layer
before it: no weight of a piece that is not largest may have a derivative.

Control: the mean of the window, through which all of its inputs are reached. Where
inputs are equal, as zeros behind a ReLU often are, the mathematics leaves the choice;
this library divides the gradient among them, as a supporting finding shows.

Claims: C134.
Source: Goodfellow et al. 2013, arXiv:1302.4389, section 2 (maxout).
Cost: 2 seconds on 2 cores, compilation included.
Expect: as the course says, away from equal numbers.
Run: jaxml run maximum_gradient
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.comparisons import dots
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep, Model

SIDE = 13  # pixels of a picture
INPUTS, UNITS, PIECES = 7, 5, 3  # of maxout
POOLS = {"2 x 2": (2, 2), "3 x 3": (3, 2)}
"""Size and stride."""
ROWS = (*(f"max pool of {name}" for name in POOLS), "mean of 2 x 2", "equal inputs")
EXACT = record.at_most(0.0)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws of pictures and weights."""

    draws: int = 20
    seed: int = 0


SMOKE = Config(draws=2)


class Result(NamedTuple):
    """How many derivatives are not what argmax says.

    Attributes:
        pooled: of ROWS, by inputs; where inputs are equal, argmax is the first.
        pieces: of maxout, by the weights of the layer before it.
        seeds: of the draws.
    """

    pooled: Int[np.ndarray, "row draw"]
    pieces: Int[np.ndarray, " draw"]
    seeds: Int[np.ndarray, " draw"]


def study(config: Config, keep: Keep) -> Result:
    """One program a pool, and one of maxout."""
    seeds = randomness.seeds(config.seed, config.draws)
    return Result(
        keep("pools", partial(_pools, seeds)),
        keep("maxout", partial(_pieces, seeds)),
        np.array(seeds),
    )


def _pools(seeds: Sequence[int]) -> Int[np.ndarray, "row draw"]:
    """Of ROWS."""
    pictures = []
    for seed in seeds:
        pixels = np.random.default_rng(seed).permutation(SIDE * SIDE)
        pictures.append(pixels.reshape(SIDE, SIDE))
    equal = [np.ones((SIDE, SIDE))] * len(seeds)
    count = partial(_pooled, seeds)
    rows = []
    for pool in POOLS.values():
        rows.append(count(problem.max_pooling(*pool), pictures, *pool))
    halves = POOLS["2 x 2"]
    rows.append(count(problem.mean_pooling(*halves), pictures, *halves))
    rows.append(count(problem.max_pooling(*halves), equal, *halves))
    return np.stack(rows)


def _pooled(
    seeds: Sequence[int],
    pool: Model,
    pictures: list[np.ndarray],
    size: int,
    stride: int,
) -> Int[np.ndarray, " draw"]:
    """Inputs of a pool whose derivative is not what argmax gives them."""

    def weighed(picture: Array, weights: Array) -> jax.Array:
        outputs, _ = pool.apply({}, {}, picture, train=False, key=None)
        return (outputs * weights).sum()

    gradient = jax.jit(jax.grad(weighed))
    windows = (SIDE - size) // stride + 1
    found = []
    for seed, picture in zip(seeds, pictures, strict=True):
        draw = np.random.default_rng((seed, 1))
        weights = draw.integers(1, 10, (windows, windows)).astype(np.float32)
        expected = np.zeros((SIDE, SIDE))
        for place in np.ndindex(windows, windows):
            row, column = (stride * index for index in place)
            window = picture[row : row + size, column : column + size]
            down, across = divmod(int(np.argmax(window)), size)
            expected[row + down, column + across] += weights[place]
        inputs = picture.astype(np.float32).reshape(1, SIDE, SIDE, 1)
        weights = weights.reshape(1, windows, windows, 1)
        moved = gradient(inputs, weights)
        found.append(np.sum(np.squeeze(moved) != expected))
    return np.array(found)


def _pieces(seeds: Sequence[int]) -> Int[np.ndarray, " draw"]:
    """Derivatives by a layer's weights that are not as argmax of its pieces says."""
    unit = problem.maxout(PIECES)

    def weighed(kernel: Array, inputs: Array, weights: Array) -> jax.Array:
        outputs, _ = unit.apply({}, {}, inputs @ kernel, train=False, key=None)
        return (outputs * weights).sum()

    gradient = jax.jit(jax.grad(weighed))
    found = []
    for seed in seeds:
        draw = np.random.default_rng(seed)
        kernel = draw.standard_normal((INPUTS, UNITS * PIECES), np.float32)
        inputs = draw.integers(1, 10, (1, INPUTS)).astype(np.float32)
        weights = draw.integers(1, 10, (1, UNITS)).astype(np.float32)
        pieces = (inputs @ kernel).reshape(UNITS, PIECES)
        largest = pieces.argmax(axis=1)
        reached = np.zeros((UNITS, PIECES))
        reached[np.arange(UNITS), largest] = weights
        expected = inputs.T * reached.reshape(1, -1)
        moved = gradient(kernel, inputs, weights)
        found.append(np.sum(np.asarray(moved) != expected))
    return np.array(found)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Pools and maxout, and what must come out otherwise."""
    rows = dict(zip(ROWS, result.pooled, strict=True))
    draws = len(result.pieces)
    setting = f"pictures of {SIDE} x {SIDE} pixels, stride 2, {draws} draws"
    told = {"rule": EXACT, "unit": "count"}
    reached = "inputs whose derivative is another"
    return (
        record.deciding(
            "C134",
            "The gradient through a max pool reaches the largest input of each window, "
            f"and no other: {reached}.",
            record.largest(result.pooled[: len(POOLS)]),
            setting=f"windows of 2 x 2 and of 3 x 3, {setting}, no two pixels equal",
            **told,
        ),
        record.deciding(
            "C134",
            "The gradient through a maxout unit reaches the weights of its largest "
            "piece, and no others: weights whose derivative is another.",
            record.largest(result.pieces),
            setting=f"{UNITS} units of {PIECES} pieces, {INPUTS} inputs, {draws} draws",
            **told,
        ),
        record.supporting(
            "C134",
            "Control, a mean in place of the maximum: the gradient reaches the largest "
            f"input of each window, and no other; {reached}.",
            record.largest(rows["mean of 2 x 2"]),
            setting=f"windows of 2 x 2, {setting}, no two pixels equal",
            **told,
        ),
        record.supporting(
            "C134",
            "Where all inputs of a window are equal, the gradient through a max pool "
            f"reaches the first, and no other: {reached}.",
            record.largest(rows["equal inputs"]),
            setting=f"windows of 2 x 2, {setting}, this library",
            **told,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Derivatives that are not what argmax says, of every draw."""
    figure, (axis,) = panels(width=5.6, height=3.2)
    counted = dict(zip(ROWS, result.pooled, strict=True))
    dots(axis, {**counted, "maxout": result.pieces}, unit="a draw")
    label(axis, "Not as argmax says", "derivatives (count)", "through")
    legend_below(axis)
    return {"maxima": figure}
