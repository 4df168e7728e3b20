"""What do a Hessian product, the lowest eigenvalue and the whole Hessian cost?

Tanh networks on 500 digits, from 10² to 10⁴ parameters. Whoever says that nobody
computes the Hessian because it is too expensive speaks of the matrix; to leave a
saddle, a direction of negative curvature is enough, and a few dozen products find it.

Claims: C050.
Source: Pearlmutter 1994, Neural Computation 6, for the product.
Cost: 15 seconds on 2 cores, most of it compilation.
Expect: a product costs a few gradients whatever the size; the matrix costs as many
products as parameters.
Run: jaxml run curvature_cost
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import curvature, problem, randomness, record
from jaxml.record.figures import band, label, panels, shared_legend
from jaxml.types import Array

COSTS = ("gradient", "Hessian product", "20 Lanczos steps", "whole Hessian")
DEPTH = 20  # Lanczos steps
DEAR = 1000.0  # gradients, about those of a short training of such a network
COLUMNS = 32  # of the whole Hessian, measured together and scaled to all


@dataclass(frozen=True, kw_only=True)
class Config:
    """Widths of the hidden layer: 75 width + 10 parameters."""

    widths: tuple[int, ...] = (1, 4, 13, 42, 133)
    repeats: int = 15
    seed: int = 0


SMOKE = Config(widths=(1, 4), repeats=2)


class Result(NamedTuple):
    """Parameters [network], the lowest Ritz value after 20 Lanczos steps and its
    residual [network].
    """

    parameters: Array
    lowest: Array
    residual: Array


class Timings(NamedTuple):
    """Seconds [network, cost in COSTS, repeat]; products include their
    linearisation.
    """

    seconds: Array


def _costs(task, key):
    """What is timed, each a function of (params, batch, directions), of which a product
    takes the first.
    """
    objective = problem.objective(*task[:3])

    def gradient(params, batch, directions):
        del directions
        return jax.grad(objective)(params, batch)

    def product(params, batch, directions):
        first = jax.tree.map(lambda leaf: leaf[0], directions)
        return curvature.hessian_product(objective, params, batch)(first)

    def lowest(params, batch, directions):
        del directions
        matvec = curvature.hessian_product(objective, params, batch)
        return curvature.extremes(matvec, params, count=1, depth=DEPTH, key=key)

    def columns(params, batch, directions):
        return jax.vmap(curvature.hessian_product(objective, params, batch))(directions)

    return gradient, product, lowest, columns


def _problem(config, width):
    """A task, its first network, others of its shape, and the functions that are
    timed.
    """
    task = problem.softmax_digits(width)
    networks = problem.networks(task, randomness.seeds(config.seed, COLUMNS))
    params = jax.tree.map(lambda leaf: leaf[0], networks)
    return task, params, networks, _costs(task, randomness.key(config.seed, 1))


def _size(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def study(config, keep):
    """The lowest eigenvalue of each network, without its matrix."""

    def ends(width):
        task, params, _, (_, _, lowest, _) = _problem(config, width)
        found = jax.jit(lowest)(params, task.batch, None)
        return _size(params), found.values[0], found.residuals[0]

    with jax.enable_x64(True):
        rows = [keep(f"width {width}", partial(ends, width)) for width in config.widths]
    return Result(*(np.asarray(column) for column in zip(*rows, strict=True)))


def timings(config):
    """The same functions by the clock, compiled, after a warm-up."""

    def clock(width):
        task, params, directions, costs = _problem(
            config, width
        )  # any directions that differ
        seconds = []
        for cost in costs:
            run = partial(jax.jit(cost), params, task.batch, directions)
            seconds.append(record.seconds(run, repeats=config.repeats))
        *parts, columns = seconds
        return np.stack([*parts, columns * (_size(params) / COLUMNS)])

    with jax.enable_x64(True):
        return Timings(np.stack([clock(width) for width in config.widths]))


def findings(result, timings):
    """Ratios at the largest network; intervals are over repetitions, which are of one
    machine's clock.
    """
    gradient, product, lowest, matrix = timings.seconds[-1]
    smallest, *_, largest = result.parameters
    setting = (
        f"500 8x8 digits, random tanh network of {largest:,} weights, one machine's "
        "clock"
    )
    dear = record.above(
        DEAR, margin=0.05 * DEAR, reason="5 % is less than what clocks differ by"
    )
    return (
        record.deciding(
            "C050",
            "A direction of negative curvature, by 20 Lanczos steps, costs more than "
            "1,000 gradients.",
            record.bootstrap(_ratio, lowest, gradient),
            dear,
            unit="ratio",
            setting=f"{setting}, by products with the Hessian",
        ),
        record.deciding(
            "C050",
            "The Hessian as a matrix costs more than 1,000 gradients.",
            record.bootstrap(_ratio, matrix, gradient),
            dear,
            unit="ratio",
            setting=f"{setting}, the whole matrix, from {COLUMNS} of its columns",
        ),
        record.supporting(
            "C050",
            "A product with the Hessian costs more than 10 gradients.",
            record.bootstrap(_ratio, product, gradient),
            record.above(10.0),
            unit="ratio",
            setting=setting,
        ),
        record.supporting(
            "C050",
            "What 20 Lanczos steps find is a direction of negative curvature, by more "
            "than the residual.",
            record.largest(
                (result.lowest + result.residual >= 0).astype(result.lowest.dtype)
            ),
            record.at_most(0.0),
            unit="mismatches",
            setting=f"500 8x8 digits, random tanh networks of {smallest:,} to "
            f"{largest:,} weights",
        ),
    )


def _ratio(over, under):
    return np.median(over) / np.median(under)


def figures(result, timings):
    """Cost against size, in seconds and in gradients: the median and the range of the
    repetitions.
    """
    figure, (seconds, ratios) = panels(1, 2)
    gradients = np.median(timings.seconds[:, 0], axis=-1)
    for place, name in enumerate(COSTS):
        cost = timings.seconds[:, place]
        band(seconds, result.parameters, cost, name, within=1.0)
        band(ratios, result.parameters, cost / gradients[:, None], name, within=1.0)
    ratios.axhline(DEAR, color="0.4", linestyle="--", label="dear: 1,000 gradients")
    ratios.axhline(10, color="0.4", linestyle=":", label="10 gradients")
    for axis in (seconds, ratios):
        axis.set_xscale("log")
        axis.set_yscale("log")
    title = "500 digits, float64"
    label(seconds, title, "parameters", "seconds (median and range)")
    label(ratios, f"{title}, in gradients", "parameters", "cost (median gradients)")
    shared_legend(figure)
    return {"cost": figure}
