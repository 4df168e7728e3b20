"""Where do ways down lead from real saddles, after how many steps, and what does the sure way cost?

From every saddle that `critical_points` certified, four ways take equally many steps at the rate 1/‖H‖:
a step along the lowest eigenvector, then gradient descent; gradient descent from the saddle itself, which
only rounding moves; the same with isotropic noise on the gradient; and SGD, 8 examples (digits: 32) a step.

Claims: C049, C050, C051, C060.
Sources: Lee et al. 2016, arXiv:1602.04915; Jin et al. 2017, arXiv:1703.00887; Chen et al. 2023, arXiv:2306.04251.
Cost: half a minute on 2 cores, after `critical_points`.
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
from jaxml.record.figures import STYLES, label, panels

NEEDS = ("critical_points",)
WAYS = ("negative curvature", "gradient descent", "noisy descent", "SGD")
COSTS = ("gradient", "Hessian product", "20 Lanczos steps", "dense Hessian")
RATES, DISTANCES = np.array([0.02, 0.05, 0.1]), np.geomspace(1e-12, 0.1, 12)  # η and ε of the toy
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True)
class Config:
    """How far the ways go, how strong the noise is, and which networks' Hessians are timed."""

    looks: int = 100  # at the loss, one every 20 steps
    noise: float = 1e-3  # standard deviation, in each entry of the gradient
    widths: tuple[int, ...] = (1, 4, 13, 42, 133)  # 75 width + 10 parameters
    dtype: str = "float64"


SMOKE = Config(looks=2, widths=(1, 4))


class Escapes(NamedTuple):
    """From one family's saddles; a way has left where the loss is 1% lower."""

    ends: np.ndarray  # [saddle, 2], the lowest and the highest eigenvalue
    bend: np.ndarray  # [saddle], the loss's second derivative along the lowest eigenvector, by differences
    along: np.ndarray  # [saddle, way], |cos| between where the way led and the lowest eigenvector
    curve: np.ndarray  # [saddle, way, look], the loss; gradient descent starts at the saddle
    steps: np.ndarray  # [saddle, way], until it has left, or -1


class Result(NamedTuple):
    """Escapes by family; on the toy, steps until L < 1/2 at each of RATES, or -1."""

    relu: Escapes
    tanh: Escapes
    followed_tanh: Escapes
    embedded_digits: Escapes
    toy: np.ndarray  # [rate, start], DISTANCES off the stable manifold, then 20 noisy runs from the first


class Timings(NamedTuple):
    """COSTS on digits networks, 500 examples, float64; a dense Hessian is 32 columns, scaled up."""

    sizes: np.ndarray  # [network], parameters
    seconds: np.ndarray  # [network, cost, repeat], products include their linearisation
    memory: np.ndarray  # [network, cost], bytes beyond the arguments; of a dense Hessian the matrix alone


def _descend(loss, gradient, start, rate, ages, goal):
    """x ← x - rate · gradient(x, age): x at the end, L each row of ages, and the age at which L < goal or -1."""

    def look(x, ages):
        x, _ = jax.lax.scan(lambda x, age: (x - rate * gradient(x, age), None), x, ages)
        return x, loss(x)

    end, curve = jax.lax.scan(look, start, ages)
    curve = jnp.append(loss(start), curve)
    return end, curve, jnp.where(jnp.any(curve < goal), jnp.argmax(curve < goal) * ages.shape[1], -1)


def _escapes(config, task, size, candidates):
    """All saddles of a family as lanes of one program."""
    sure, ages = curvature.certified(candidates), jnp.arange(20 * config.looks).reshape(-1, 20)
    points = jnp.asarray(sure.params[curvature.signs(sure.certificate).negative > 0])
    _, fold = tree.ravel(task.model.init(jax.random.key(0), task.batch.inputs)[0])
    objective = lambda x, batch: problem.objective(*task[:3])(fold(x), batch)  # noqa: E731  # of a flat vector
    gradient, stream = jax.grad(objective), learn.shuffled(task.batch, size)

    def one(key, point, data):
        product = curvature.hessian_product(objective, point, data)
        ends = curvature.extremes(product, point, count=1, key=jax.random.key(0))
        lowest, loss = ends.vectors[0], partial(objective, batch=data)
        jump = curvature.escape(objective, point, data, lowest)

        def bend(length):
            return (
                loss(point + length * lowest) + loss(point - length * lowest) - 2 * loss(point)
            ) / length**2

        def way(slope, start):
            rate = 1 / jnp.max(jnp.abs(ends.values))
            end, curve, steps = _descend(loss, slope, start, rate, ages, 0.99 * loss(point))
            moved = end - point
            return jnp.abs(moved @ lowest) / jnp.maximum(jnp.linalg.norm(moved), EPS**2), curve, steps

        def full(noise, start):
            noises = lambda age: noise * jax.random.normal(jax.random.fold_in(key, age), point.shape)  # noqa: E731
            return way(lambda x, age: gradient(x, data) + noises(age), start)

        starts, noises = jnp.stack([jump.params, point, point]), jnp.array([0, 0, config.noise])
        ways = jax.vmap(full)(noises, starts)
        sgd = way(lambda x, age: gradient(x, stream.draw(data, key, age)), point)
        ways = jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), ways, sgd)
        reach = EPS ** (1 / 6)  # truncation ε⁴ and rounding EPS/ε² of the second difference balance
        return Escapes(ends.values, (4 * bend(reach) - bend(2 * reach)) / 3, *ways)

    keys = jax.random.split(jax.random.key(0), len(points))
    return jax.jit(jax.vmap(one, (0, 0, None)))(keys, points, task.batch)


def _toy(config):
    """Descent on (1 - w₁w₂)² from (0.1 + ε, ε - 0.1)."""
    loss = partial(problem.bilinear, batch=None)

    def steps(rate, distance, noise, seed):
        noises = lambda age: noise * jax.random.normal(jax.random.fold_in(jax.random.key(seed), age), (2,))  # noqa: E731
        start, ages = jnp.array([0.1, -0.1]) + distance, jnp.arange(1000)[:, None]
        return _descend(loss, lambda x, age: jax.grad(loss)(x) + noises(age), start, rate, ages, 0.5)[2]

    starts, noises = np.append(DISTANCES, np.full(20, DISTANCES[0])), np.repeat([0, config.noise], [12, 20])
    return jax.vmap(lambda rate: jax.vmap(partial(steps, rate))(starts, noises, np.arange(32)))(RATES)


def study(config, keep, critical_points):
    """One program a family, and one for the toy."""
    with jax.enable_x64(True):
        tasks = {
            "relu": (problem.relu_sinc(20), 8),
            "tanh": (problem.tanh_sinc(5, decay=1e-3, scale=2.0), 8),
            "followed_tanh": (problem.tanh_sinc(10), 8),
            "embedded_digits": (problem.softmax_digits(5, decay=1e-3), 32),
        }
        found = {name: getattr(critical_points, name) for name in tasks}
        escapes = {name: keep(name, partial(_escapes, config, *tasks[name], found[name])) for name in tasks}
        return Result(**escapes, toy=keep("toy", jax.jit(partial(_toy, config))))


def timings(config):
    """Each cost's program, compiled beforehand."""

    def cost(width):
        model, *_, batch = task = problem.softmax_digits(width)
        params = model.init(jax.random.key(0), batch.inputs)[0]
        size, (_, fold), objective = tree.size(params), tree.ravel(params), problem.objective(*task[:3])
        product = partial(curvature.hessian_product, objective)
        functions = (
            jax.grad(objective),
            lambda *at: product(*at)(params),
            lambda *at: curvature.lanczos(product(*at), params, depth=20).tridiagonal,
            lambda *at: jax.vmap(lambda unit: product(*at)(fold(unit)))(jnp.eye(32, size)),
        )
        programs = [jax.jit(function).lower(params, batch).compile() for function in functions]
        memory = [program.memory_analysis().temp_size_in_bytes for program in programs[:3]]
        *clock, columns = [record.seconds(partial(program, params, batch), repeats=3) for program in programs]
        return size, [*clock, columns * size / 32], [*memory, 8 * size**2]

    with jax.enable_x64(True):
        return Timings(*map(np.array, zip(*map(cost, config.widths), strict=True)))
