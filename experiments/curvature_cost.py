"""What does curvature cost: a Hessian product, the lowest eigenvalue, and the whole Hessian?

Tanh networks on 500 digits, from 10² to 10⁴ parameters. Whoever says that nobody computes the Hessian
because it is too expensive speaks of the matrix; to leave a saddle, a direction of negative curvature is
enough, and a few dozen products find it.

Claims: C050.
Source: Pearlmutter 1994, Neural Computation 6, for the product.
Cost: half a minute on 2 cores, most of it compilation.
Expect: a product costs a few gradients whatever the size; the matrix costs as many products as parameters.
Run: jaxml run curvature_cost
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import curvature, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

COSTS = ("gradient", "Hessian product", "20 Lanczos steps", "whole Hessian")
COLUMNS = 32  # of the whole Hessian, measured together and scaled to all


@dataclass(frozen=True, kw_only=True)
class Config:
    """Widths of the hidden layer: 75 width + 10 parameters."""

    widths: tuple[int, ...] = (1, 4, 13, 42, 133)
    repeats: int = 9
    dtype: str = "float64"


SMOKE = Config(widths=(1, 4), repeats=2)


class Result(NamedTuple):
    """Parameters [network], the lowest Ritz value after 20 Lanczos steps and its residual [network]."""

    parameters: Array
    lowest: Array
    residual: Array


class Timings(NamedTuple):
    """Seconds [network, cost in COSTS, repeat]; products include their linearisation."""

    seconds: Array


def _costs(task):
    """What is timed, each a function of (params, batch, directions), of which a product takes the first."""
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
        return curvature.extremes(matvec, params, count=1, depth=20, key=jax.random.key(1))

    def columns(params, batch, directions):
        return jax.vmap(curvature.hessian_product(objective, params, batch))(directions)

    return gradient, product, lowest, columns


def _network(width):
    task = problem.softmax_digits(width)
    return task, jax.tree.map(lambda leaf: leaf[0], problem.networks(task, 1))


def study(config, keep):
    """The lowest eigenvalue of each network, without its matrix."""

    def ends(width):
        task, params = _network(width)
        found = jax.jit(_costs(task)[2])(params, task.batch, None)
        return sum(leaf.size for leaf in jax.tree.leaves(params)), found.values[0], found.residuals[0]

    with jax.enable_x64(True):
        rows = [keep(f"width {width}", partial(ends, width)) for width in config.widths]
    return Result(*(np.asarray(column) for column in zip(*rows, strict=True)))


def timings(config):
    """The same functions by the clock, compiled, after a warm-up."""

    def clock(width):
        task, params = _network(width)
        share = sum(leaf.size for leaf in jax.tree.leaves(params)) / COLUMNS
        directions = problem.networks(task, COLUMNS)  # any that differ
        programs = [partial(jax.jit(cost), params, task.batch, directions) for cost in _costs(task)]
        return np.stack([record.seconds(run, repeats=config.repeats) for run in programs]) * [
            [1],
            [1],
            [1],
            [share],
        ]

    with jax.enable_x64(True):
        return Timings(np.stack([clock(width) for width in config.widths]))


def findings(result, timings):
    """Ratios at the largest network, over repetitions."""
    del result
    gradient, *costs = timings.seconds[-1]
    names = {
        "The whole Hessian is too expensive: its cost over a gradient's.": 1000.0,
        "So is a product with it: its cost over a gradient's.": 10.0,
        "So is the lowest eigenvalue, by 20 Lanczos steps: its cost over a gradient's.": 1000.0,
    }
    order = (costs[2], costs[0], costs[1])
    return tuple(
        record.above("C050", name, record.bootstrap(_ratio, cost, gradient), bound, unit="1", dtype="float64")
        for (name, bound), cost in zip(names.items(), order, strict=True)
    )


def _ratio(over, under):
    return np.median(over) / np.median(under)


def figures(result, timings):
    """Cost against size."""
    figure, (axis,) = panels(width=6.0)
    for name, seconds in zip(COSTS, np.moveaxis(timings.seconds, 1, 0), strict=True):
        axis.plot(result.parameters, np.median(seconds, axis=1), label=name)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.legend(fontsize=8)
    label(axis, "500 digits, float64", "parameters", "seconds, median")
    return {"cost": figure}
