"""Where do four ways down lead from every certified saddle, and from still kinks, in steps of 1/‖H‖?

A jump along the lowest eigenvector, then gradient descent; gradient descent from the saddle itself, which
only rounding moves; the same with normal noise on the gradient; SGD, an eighth of the examples a step.

Claims: C049, C051, C060.
Sources: Lee et al. 2016, arXiv:1602.04915; Jin et al. 2017, arXiv:1703.00887; Chen 2023, arXiv:2306.04251.
Cost: 25 seconds on 2 cores, after `critical_points`.
Expect: negative curvature leaves at once; descent gets too few steps; the noise of SGD spares the way out.
Run: jaxml run escape
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.record.figures import label, panels
from jaxml.types import Array

NEEDS = ("critical_points",)
WAYS = ("negative curvature", "gradient descent", "noisy descent", "SGD")
BY_CURVATURE, DESCENT, NOISY, STOCHASTIC = range(len(WAYS))
LOOK = 20  # updates between two looks at the loss
PARTS = 8  # batches in an epoch of SGD
REACH = float(np.finfo(np.float64).eps) ** (1 / 6)  # where a difference's truncation and rounding balance
COUNT = 13  # lengths of the jump, each way
RATES, OFF = np.array([0.02, 0.05, 0.1]), np.geomspace(1e-12, 0.1, 12)  # of the toy: η, and ε


@dataclass(frozen=True, kw_only=True)
class Config:
    """How far the ways go, how strong the noise is, and on how many digits the saddles were found."""

    looks: int = 100  # at the loss, one every 20 steps
    noise: float = 1e-2  # standard deviation, in each entry of the gradient
    examples: int = 500
    seed: int = 0


SMOKE = Config(looks=2, examples=60)


class Escapes(NamedTuple):
    """From one family's saddles; a way has left where the loss is 1% lower."""

    ends: Array  # [saddle, 2], the lowest and the highest eigenvalue
    bend: Array  # [saddle], the loss's second derivative along the lowest eigenvector, by differences
    along: Array  # [saddle, way], |cos| between where the way led and the lowest eigenvector
    loss: Array  # [saddle, way, look]; all but the first way start at the saddle
    steps: Array  # [saddle, way], until it has left, or -1
    negative: Array  # [saddle], how many eigenvalues are


class Result(NamedTuple):
    """Escapes by family, and the toy's from each of OFF its stable manifold."""

    relu_kinks: Escapes
    tanh: Escapes
    followed_tanh: Escapes
    embedded_digits: Escapes
    toy: np.ndarray  # [rate, distance], steps until L < 1/2
    updates: Array  # [], of each way


SINC = "sin(5πx)/(5πx) at 64 points"
FAMILIES = {
    "relu_kinks": f"{SINC}, 20 ReLUs, points on kinks where the gradient is zero",
    "tanh": f"{SINC}, 5 tanh units, weight decay 0.001, saddles found from random weights",
    "followed_tanh": f"{SINC}, 10 tanh units, weight decay 0.0001, saddles of prescribed index",
    "embedded_digits": "8x8 digits, 5 tanh units, weight decay 0.001, minima with a zero unit added",
}
"""The settings of the families."""

TOY = "L = (1 - w₁w₂)², from ε off the stable line"


def _escapes(config, task, candidates):
    """All saddles of a family as lanes of one program; ReLU's, on kinks, are saddles but for the jump."""
    on_kinks_too = curvature.Criteria(jump=np.inf)
    certified = curvature.certified(candidates, on_kinks_too)
    index = np.asarray(curvature.signs(certified.certificate).negative)
    points = jnp.asarray(certified.params[index > 0])
    keys = jax.random.split(randomness.key(config.seed), len(points))
    unravel, of_params = problem.unravel(task), problem.objective(*task[:3])

    def objective(x, batch):
        return of_params(unravel(x), batch)

    escapes = jax.jit(jax.vmap(partial(_escape, config, objective), (0, 0, 0, None)))
    return escapes(keys, points, index[index > 0], task.batch)


def _escape(config, objective, key, point, index, data):
    """All ways from one saddle."""
    loss = partial(objective, batch=data)
    product = curvature.hessian_product(objective, point, data)
    ends = curvature.extremes(product, point, count=1, key=key)
    down, rate = ends.vectors[0], 1 / jnp.max(jnp.abs(ends.values))
    longest = 2 ** (COUNT - 1) * REACH
    jump = curvature.escape(objective, point, data, down, shortest=REACH, longest=longest, count=COUNT)
    nearest = jump.losses[COUNT - 2 : COUNT + 2]  # at -2, -1, 1 and 2 times REACH
    difference = jnp.array([-1, 16, 16, -1.0]) @ nearest - 30 * loss(point)

    def way(kind):
        noise = jnp.where(kind == NOISY, config.noise, 0)
        step = _step(objective, data, key, rate, noise, kind == STOCHASTIC)
        start = jnp.where(kind == BY_CURVATURE, jump.params, point)
        end, losses = _walk(step, loss, start, config.looks)
        moved = end - point
        left = losses < 0.99 * loss(point)
        steps = jnp.where(jnp.any(left), LOOK * jnp.argmax(left), -1)
        along = jnp.abs(moved @ down) / jnp.maximum(jnp.linalg.norm(moved), 1e-30)
        return along, losses, steps

    along, losses, steps = jax.vmap(way)(jnp.arange(len(WAYS)))
    return Escapes(ends.values, difference / (12 * REACH**2), along, losses, steps, index)


def _step(objective, data, key, rate, noise, stochastic):
    """An update of descent: on all examples or an eighth, with or without noise on the gradient."""
    size = len(data.weights)

    def step(x, age):
        order_key, noise_key = jax.random.fold_in(key, age // PARTS), jax.random.fold_in(key, age)
        part = learn.permuted(jnp.arange(size), size, key=order_key) % PARTS
        drawn = ~stochastic | (part == age % PARTS)
        batch = data._replace(weights=jnp.where(drawn, data.weights, 0))
        kick = noise * tree.random_like(x, noise_key)
        return x - rate * (jax.grad(objective)(x, batch) + kick), None

    return step


def _walk(step, loss, start, looks):
    """The last point, and the losses of the first, of every LOOK-th after it, and of the last."""
    ages = jnp.arange(LOOK * looks, dtype=jnp.int32).reshape(-1, LOOK)

    def look(x, row):
        end, _ = jax.lax.scan(step, x, row)
        return end, loss(x)

    end, losses = jax.lax.scan(look, start, ages)
    return end, jnp.append(losses, loss(end))


def _toy(rate, distance):
    """Steps of gradient descent on (1 - w₁w₂)² from (0.1 + ε, ε - 0.1)."""
    start, sgd = jnp.array([0.1, -0.1]) + distance, learn.sgd(learn.Hyper(lr=rate))
    return jnp.argmax(learn.descend(problem.bilinear, sgd, start, None, steps=1000).loss < 0.5)


def study(config, keep, critical_points):
    """One program a family, and one for the toy."""
    found = critical_points
    with jax.enable_x64(True):
        digits = problem.softmax_digits(5, decay=1e-3, examples=config.examples)
        pairs = {
            "relu_kinks": (problem.relu_sinc(20), found.relu),
            "tanh": (problem.tanh_sinc(5, decay=1e-3, scale=2.0), found.tanh),
            "followed_tanh": (problem.tanh_sinc(10), found.followed_tanh),
            "embedded_digits": (digits, found.embedded_digits),
        }
        escapes = {}
        for name, (task, candidates) in pairs.items():
            escapes[name] = keep(name, partial(_escapes, config, task, candidates))
        toy = jax.jit(jax.vmap(jax.vmap(_toy, (None, 0)), (0, None)))
        return Result(
            **escapes, toy=keep("toy", partial(toy, RATES, OFF)), updates=np.array(LOOK * config.looks)
        )


def _distinct(escapes):
    """Escapes from one saddle of every loss, to 6 digits, and index: the others are its images."""
    pairs = np.stack([np.round(escapes.loss[:, DESCENT, 0], 6), escapes.negative], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    return Escapes(*(np.asarray(column)[first] for column in escapes))


def findings(result):
    """Each family that has saddles by itself, its distinct ones as units; the toy by its law."""
    rows = [_toy_law(result)]
    for name, setting in FAMILIES.items():
        escapes = _distinct(getattr(result, name))
        if not len(escapes.negative):
            continue
        rows.append(_leads_down(escapes, setting))
        bend = _kinks_bend_less if name == "relu_kinks" else _bends_as_the_hessian_says
        rows.append(bend(escapes, setting))
        rows += _leaves(escapes, f"{setting}, {result.updates:,} updates of rate 1/‖H‖")
    return rows


def _toy_law(result):
    law = np.log(OFF[0] / OFF) / np.log1p(2 * RATES[:, None])
    return record.deciding(
        "C051",
        "Plain gradient descent leaves the saddle of (1 - w₁w₂)² without the help of the Hessian, in "
        "ln(1/ε)/ln(1 + 2η) updates up to a constant, to within two.",
        record.largest(result.toy - result.toy[:, :1] - law),
        record.at_most(2.0),
        unit="updates",
        setting=f"{TOY}, {OFF[0]:g} to {OFF[-1]:g}, rates {RATES[0]:g} to {RATES[-1]:g}, no noise",
    )


def _leads_down(escapes, setting):
    """Beside C049, since a step of any length that lowers the loss will do."""
    drop = escapes.loss[:, DESCENT, 0] - escapes.loss[:, BY_CURVATURE, 0]
    return record.supporting(
        "C049",
        "A step along the lowest eigenvector lowers the loss at every distinct saddle.",
        record.largest((drop <= 0).astype(drop.dtype)),
        record.at_most(0.0),
        unit="mismatches",
        setting=setting,
    )


def _bends_as_the_hessian_says(escapes, setting):
    largest = np.abs(escapes.ends).max(axis=1)
    return record.deciding(
        "C049",
        "Along the lowest eigenvector of a saddle the loss falls by |λ|ε²/2 for small steps ε: its second "
        "difference is λ.",
        record.largest((escapes.bend - escapes.ends[:, 0]) / largest),
        record.at_most(4 * REACH**4),
        unit="‖H‖",
        setting=setting,
    )


def _kinks_bend_less(escapes, setting):
    """All kinks found may be copies of one, and an eigenvector may run along its face."""
    share = escapes.bend / escapes.ends[:, 0]
    return record.supporting(
        "C060",
        "On a kink of a ReLU network the Hessian does not say how the loss bends: along its lowest "
        "eigenvector the second difference of the loss is less than 0.9 of its eigenvalue.",
        record.certain(np.max(share)),
        record.below(
            0.9, margin=0.05, reason="5 % is far above the error of a difference where all is smooth"
        ),
        unit="ratio",
        setting=setting,
    )


STATEMENTS = (
    "A jump along the lowest eigenvector, followed by gradient descent, comes 1 % below more than half "
    "of distinct saddles.",
    "Gradient descent that starts exactly on a saddle comes 1 % below more than half of distinct saddles.",
    "Gradient descent with noise on the gradient that starts exactly on a saddle comes 1 % below more "
    "than half of distinct saddles.",
    "SGD that starts exactly on a saddle comes 1 % below more than half of distinct saddles.",
)
"""By way."""


def _leaves(escapes, setting):
    """Beside C051: nothing but rounding moves descent off these saddles, and few have 1 % to fall."""
    rows = []
    for statement, steps in zip(STATEMENTS, escapes.steps.T, strict=True):
        rows.append(
            record.supporting(
                "C051",
                statement,
                record.proportion(steps >= 0, of=escapes.loss),
                record.above(0.5),
                unit="fraction",
                setting=setting,
            )
        )
    rows.append(
        record.supporting(
            "C051",
            "SGD that starts exactly on a saddle moves along the lowest eigenvector, at a |cos| above 0.01.",
            record.bootstrap(np.median, escapes.along[:, STOCHASTIC]),
            record.above(0.01),
            unit="ratio",
            setting=setting,
        )
    )
    return rows


def figures(result):
    """The median loss on every way, and where 8 of 10 lie."""
    figure, axes = panels(2, 2)
    for axis, name in zip(axes, FAMILIES, strict=True):
        losses = getattr(result, name).loss
        relative, steps = losses / losses[:, [DESCENT], :1], LOOK * np.arange(losses.shape[2])
        for k, way in enumerate(WAYS if len(relative) else ()):
            low, middle, high = np.quantile(relative[:, k], [0.1, 0.5, 0.9], axis=0)
            axis.plot(steps, middle, label=way)
            axis.fill_between(steps, low, high, color=axis.lines[-1].get_color(), alpha=0.15)
        label(axis, f"{name.replace('_', ' ')}, {len(relative)} points", "step", "loss / the saddle's (1)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=9)
    return {"escapes": figure}
