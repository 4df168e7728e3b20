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

from jaxml import curvature, learn, problem, record, tree
from jaxml.record.figures import label, panels

NEEDS = ("critical_points",)
WAYS = ("negative curvature", "gradient descent", "noisy descent", "SGD")
REACH = float(np.finfo(np.float64).eps) ** (1 / 6)  # where a difference's truncation and rounding balance
RATES, OFF = np.array([0.02, 0.05, 0.1]), np.geomspace(1e-12, 0.1, 12)  # of the toy: η, and ε


@dataclass(frozen=True, kw_only=True)
class Config:
    """How far the ways go, how strong the noise is, and on how many digits the saddles were found."""

    looks: int = 100  # at the loss, one every 20 steps
    noise: float = 1e-2  # standard deviation, in each entry of the gradient
    examples: int = 500
    dtype: str = "float64"


SMOKE = Config(looks=2, examples=60)


class Escapes(NamedTuple):
    """From one family's saddles; a way has left where the loss is 1% lower."""

    ends: jax.Array  # [saddle, 2], the lowest and the highest eigenvalue
    bend: jax.Array  # [saddle], the loss's second derivative along the lowest eigenvector, by differences
    along: jax.Array  # [saddle, way], |cos| between where the way led and the lowest eigenvector
    loss: jax.Array  # [saddle, way, look]; all but the first way start at the saddle
    steps: jax.Array  # [saddle, way], until it has left, or -1


class Result(NamedTuple):
    """Escapes by family, and the toy's from each of OFF its stable manifold."""

    relu_kinks: Escapes
    tanh: Escapes
    followed_tanh: Escapes
    embedded_digits: Escapes
    toy: np.ndarray  # [rate, distance], steps until L < 1/2


def _escapes(config, task, candidates):
    """All saddles of a family as lanes of one program; ReLU's, on kinks, are saddles but for the jump."""
    sure = curvature.certified(candidates, curvature.Criteria(jump=np.inf))
    size = len(task.batch.weights)
    points = jnp.asarray(sure.params[curvature.signs(sure.certificate).negative > 0])
    fold, ages = problem.unravel(task), jnp.arange(20 * config.looks, dtype=jnp.int32).reshape(-1, 20)
    objective = lambda x, batch: problem.objective(*task[:3])(fold(x), batch)  # noqa: E731  # of a vector

    def one(key, point, data):
        ends = curvature.extremes(curvature.hessian_product(objective, point, data), point, count=1, key=key)
        down, rate, loss = ends.vectors[0], 1 / jnp.max(jnp.abs(ends.values)), partial(objective, batch=data)
        jump = curvature.escape(objective, point, data, down, shortest=REACH, longest=4096 * REACH, count=13)
        near = jnp.array([-1, 16, 16, -1.0]) @ jump.losses[11:15] - 30 * loss(point)  # two lengths either way

        def way(kind):  # in the order of WAYS
            def step(x, age):
                turn = learn.permuted(jnp.arange(size), size, key=jax.random.fold_in(key, age // 8)) % 8
                batch = data._replace(weights=jnp.where((kind < 3) | (turn == age % 8), data.weights, 0))
                kick = noise * tree.random_like(x, jax.random.fold_in(key, age))
                return x - rate * (jax.grad(objective)(x, batch) + kick), None

            start, noise = jnp.where(kind == 0, jump.params, point), jnp.where(kind == 2, config.noise, 0)
            end, losses = jax.lax.scan(lambda x, row: (jax.lax.scan(step, x, row)[0], loss(x)), start, ages)
            moved, losses = end - point, jnp.append(losses, loss(end))
            left = losses < 0.99 * loss(point)
            steps = jnp.where(jnp.any(left), 20 * jnp.argmax(left), -1)
            return jnp.abs(moved @ down) / jnp.maximum(jnp.linalg.norm(moved), 1e-30), losses, steps

        return Escapes(ends.values, near / (12 * REACH**2), *jax.vmap(way)(jnp.arange(4)))

    keys = jax.random.split(jax.random.key(0), len(points))
    return jax.jit(jax.vmap(one, (0, 0, None)))(keys, points, task.batch)


def _toy(rate, distance):
    """Steps of gradient descent on (1 - w₁w₂)² from (0.1 + ε, ε - 0.1)."""
    start, sgd = jnp.array([0.1, -0.1]) + distance, learn.sgd(learn.Hyper(lr=rate))
    return jnp.argmax(learn.descend(problem.bilinear, sgd, start, None, steps=1000).loss < 0.5)


def study(config, keep, critical_points):
    """One program a family, and one for the toy."""
    with jax.enable_x64(True):
        smooth = problem.tanh_sinc(5, decay=1e-3, scale=2.0), problem.tanh_sinc(10)
        digits = problem.softmax_digits(5, decay=1e-3, examples=config.examples)
        tasks, given = (problem.relu_sinc(20), *smooth, digits), critical_points
        found = given.relu, given.tanh, given.followed_tanh, given.embedded_digits
        ways = (partial(_escapes, config, *pair) for pair in zip(tasks, found, strict=True))
        toy = partial(jax.jit(jax.vmap(jax.vmap(_toy, (None, 0)), (0, None))), RATES, OFF)
        return Result(*map(keep, Result._fields, (*ways, toy)))


def findings(result):
    """Each family that has saddles by itself; the toy against its law."""
    exact, above, below = (partial(f, dtype="float64") for f in (record.exact, record.above, record.below))
    law = np.log(OFF[0] / OFF) / np.log1p(2 * RATES[:, None])
    families = [(name, each) for name, each in result._asdict().items() if name != "toy" and len(each.ends)]
    return (
        *(exact("C049", f"{name}: the lowest eigenvector leads down from every saddle: how much L rises.",
                np.maximum(each.loss[:, 0, 0] - each.loss[:, 1, 0], 0), 0.0, unit="L")
          for name, each in families),
        *(exact("C049", f"{name}: along it L falls by -λε²/2: its second derivative less λ.",
                (each.bend - each.ends[:, 0]) / np.abs(each.ends).max(axis=1), 4 * REACH**4, unit="‖H‖")
          for name, each in families if name != "relu_kinks"),
        below("C060", "Kinks matter: at ReLU's kinks L bends less than H says: second derivative over λ.",
              record.bootstrap(np.median, result[0].bend / result[0].ends[:, 0]), 0.9, unit="1"),
        exact("C051", "From ε off the toy's stable manifold descent takes ln(1/ε)/ln(1 + 2η) steps, to two.",
              result.toy - result.toy[:, :1] - law, 2.0, unit="steps"),
        *(above("C051", f"{name}: {way} gets 1% below the saddle: share that it leaves so.",
                record.proportion(steps >= 0), 0.5, unit="1")
          for name, each in families for way, steps in zip(WAYS, each.steps.T, strict=True)),
        *(above("C051", f"{name}: SGD moves along the way out: |cos| with the lowest eigenvector.",
                record.bootstrap(np.median, each.along[:, 3]), 0.01, unit="1") for name, each in families),
    )  # fmt: skip


def figures(result):
    """The median loss on every way, and where 8 of 10 lie."""
    figure, axes = panels(2, 2)
    for axis, name, family in zip(axes, result._fields, result[:4], strict=False):
        relative, steps = family.loss / family.loss[:, 1:2, :1], 20 * np.arange(family.loss.shape[2])
        for k, way in enumerate(WAYS if len(relative) else ()):
            low, middle, high = np.quantile(relative[:, k], [0.1, 0.5, 0.9], axis=0)
            axis.plot(steps, middle, label=way)
            axis.fill_between(steps, low, high, color=axis.lines[-1].get_color(), alpha=0.15)
        label(axis, f"{name.replace('_', ' ')}, {len(relative)} points", "step", "loss / the saddle's (1)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=9)
    return {"escapes": figure}
