"""What goes around any optimizer: Lookahead, SAM, averages of its path, noise and clipping.

Each takes a family and returns one, so they nest. Where the point to evaluate is not the point that
descends, the state keeps it under the name `evaluation`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxml import tree
from jaxml.learn.rates import Family, rate_at
from jaxml.learn.schedules import Shape, constant
from jaxml.types import Params


class LookaheadState(NamedTuple):
    """The state of the fast optimizer, its steps so far, and the slow weights."""

    fast: Any
    step: jax.Array
    evaluation: Params


def lookahead(family: Family) -> Family:
    """Every `hyper.period` updates: slow ← slow + pull (fast - slow), fast ← slow.

    The parameters that descend are the fast ones; the slow ones are evaluated.

    Source: Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610, algorithm 1.
    """

    def wrapped(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        fast = family(hyper, shape)

        def init(params: Params) -> LookaheadState:
            return LookaheadState(fast.init(params), jnp.zeros((), jnp.int32), params)

        def apply(updates: Params, state: Any, params: Any = None) -> tuple[Params, LookaheadState]:
            step, fast_state = fast.update(updates, state.fast, params)
            explored, count = optax.apply_updates(params, step), state.step + 1
            meet = count % jnp.asarray(hyper.period, jnp.int32) == 0
            difference = jax.tree.map(jnp.subtract, explored, state.evaluation)
            met = tree.axpy(hyper.pull, difference, state.evaluation)
            slow = tree.where(meet, met, state.evaluation)
            return _towards(tree.where(meet, met, explored), params), LookaheadState(fast_state, count, slow)

        return optax.GradientTransformation(init, apply)

    return wrapped


class SharpnessState(NamedTuple):
    """The state of the optimizer inside, the updates so far, and the centre of the climb."""

    inner: Any
    step: jax.Array
    evaluation: Params


def sharpness_aware(family: Family) -> Family:
    """SAM in turns: updates climb by radius g / ‖g‖, and every `period`-th descends from the centre.

    The descent takes the gradient found at the climbed point. A step of SAM is so `period` updates, 2 in
    the paper, each on a batch of its own; on one fixed batch it is the paper's algorithm. Horizon and
    warm-up count all updates. The centre is evaluated.

    Source: Foret et al. 2021, arXiv:2010.01412, algorithm 1.
    """

    def wrapped(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        lengths = {name: getattr(hyper, name) for name in ("horizon", "warmup") if hasattr(hyper, name)}
        descents = hyper._replace(
            **{name: _real(updates) / _real(hyper.period) for name, updates in lengths.items()}
        )
        inner = family(descents, shape)

        def init(params: Params) -> SharpnessState:
            return SharpnessState(inner.init(params), jnp.zeros((), jnp.int32), params)

        def apply(updates: Params, state: Any, params: Any = None) -> tuple[Params, SharpnessState]:
            count = state.step + 1
            descends = count % jnp.asarray(hyper.period, jnp.int32) == 0
            size = tree.norm(updates)
            climbed = tree.axpy(hyper.radius / jnp.where(size > 0, size, 1), updates, params)
            step, after = inner.update(updates, state.inner, state.evaluation)
            descended = optax.apply_updates(state.evaluation, step)
            centre = tree.where(descends, descended, state.evaluation)
            after = tree.where(descends, after, state.inner)
            target = tree.where(descends, descended, climbed)
            return _towards(target, params), SharpnessState(after, count, centre)

        return optax.GradientTransformation(init, apply)

    return wrapped


class AverageState(NamedTuple):
    """The state of the optimizer inside, the updates and the averaged points so far, and their mean."""

    inner: Any
    step: jax.Array
    points: jax.Array
    evaluation: Params


def averaged(family: Family) -> Family:
    """Stochastic weight averaging: from update `average_from` on every `period`-th point enters a mean.

    The mean is evaluated, and before it begins the parameters themselves.

    Source: Izmailov et al. 2018, arXiv:1803.05407, algorithm 1.
    """

    def wrapped(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        inner = family(hyper, shape)

        def init(params: Params) -> AverageState:
            return AverageState(
                inner.init(params), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32), params
            )

        def apply(updates: Params, state: Any, params: Any = None) -> tuple[Params, AverageState]:
            step, after = inner.update(updates, state.inner, params)
            reached, made = optax.apply_updates(params, step), state.step + 1
            late = made - jnp.asarray(hyper.average_from, jnp.int32)
            enters = (late >= 0) & (late % jnp.asarray(hyper.period, jnp.int32) == 0)
            points = state.points + enters
            difference = jax.tree.map(jnp.subtract, reached, state.evaluation)
            mean = tree.axpy(1 / jnp.maximum(_real(points), 1), difference, state.evaluation)
            mean = tree.where(enters, mean, tree.where(points == 0, reached, state.evaluation))
            return step, AverageState(after, made, points, mean)

        return optax.GradientTransformation(init, apply)

    return wrapped


class ScheduleFreeState(NamedTuple):
    """The state of the optimizer inside, updates so far, Σ rate², its point z, and the average x."""

    inner: Any
    step: jax.Array
    total: jax.Array
    point: Params
    evaluation: Params


def schedule_free(family: Family) -> Family:
    """Averaging in place of a schedule: gradients at y = (1-β)z + βx, z descends, x averages z.

    z ← z - rate · direction(∇L(y)), x ← (1-c)x + cz, c = rate² / Σ rate². β is `hyper.momentum`, so the
    family inside should form no momentum of its own (sgd, rmsprop). x is evaluated.

    Source: Defazio et al. 2024, arXiv:2405.15682, equations 3 to 5, with the weights of its section 4.
    """

    def wrapped(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        inner, rate = family(hyper, shape), rate_at(hyper, shape)

        def init(params: Params) -> ScheduleFreeState:
            zero = jnp.zeros((), jnp.result_type(*jax.tree.leaves(params)))
            return ScheduleFreeState(inner.init(params), jnp.zeros((), jnp.int32), zero, params, params)

        def apply(updates: Params, state: Any, params: Any = None) -> tuple[Params, ScheduleFreeState]:
            step, after = inner.update(updates, state.inner, params)
            point = optax.apply_updates(state.point, step)
            weight = rate(state.step) ** 2
            total = state.total + weight
            share = weight / jnp.where(total > 0, total, 1)
            mean = tree.axpy(share, jax.tree.map(jnp.subtract, point, state.evaluation), state.evaluation)
            ahead = tree.axpy(hyper.momentum, jax.tree.map(jnp.subtract, mean, point), point)
            return _towards(ahead, params), ScheduleFreeState(after, state.step + 1, total, point, mean)

        return optax.GradientTransformation(init, apply)

    return wrapped


def clipped(family: Family) -> Family:
    """Gradients longer than `hyper.clip` are shortened to it, over all leaves together, at first."""

    def wrapped(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        return optax.chain(optax.clip_by_global_norm(hyper.clip), family(hyper, shape))

    return wrapped


class NoiseState(NamedTuple):
    """The updates so far."""

    step: jax.Array


def noisy(family: Family) -> Family:
    """Normal noise of variance noise / (1 + t)^0.55 is added to the gradient of update t = 0, 1, ...

    Source: Neelakantan et al. 2015, arXiv:1511.06807, equation 1.
    """

    def wrapped(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        def init(params: Params) -> NoiseState:
            del params
            return NoiseState(jnp.zeros((), jnp.int32))

        def apply(updates: Params, state: Any, params: Any = None) -> tuple[Params, NoiseState]:
            del params
            size = jnp.sqrt(hyper.noise / (1 + _real(state.step)) ** 0.55)
            key = jax.random.fold_in(jax.random.fold_in(jax.random.key(hyper.seed), 3), state.step)
            return tree.axpy(size, tree.random_like(updates, key), updates), NoiseState(state.step + 1)

        return optax.chain(optax.GradientTransformation(init, apply), family(hyper, shape))

    return wrapped


def _real(count: Any) -> jax.Array:
    """A count as a floating-point number; divided as it is it would be float32 under x64 too."""
    return jnp.asarray(count, jnp.result_type(float))


def _towards(target: Params, params: Params) -> Params:
    """The update that leads to the target."""
    return jax.tree.map(jnp.subtract, target, params)
