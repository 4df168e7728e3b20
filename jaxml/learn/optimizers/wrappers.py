"""What goes around any optimizer: Lookahead, SAM, averages of its path.

Each takes a family, or a plain `hyper -> transformation`, and returns a family, so they
nest; what a chain asks of Optax's extra arguments reaches it. Where the point to
evaluate is not the point that descends, the state keeps it under the name `evaluation`,
and the outermost holds. A wrapper around others counts as their step the way of the
point that they descend from: SAM's centre, Lookahead's slow weights, schedule-free's x.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxml import tree
from jaxml.learn.optimizers.evaluation import anchor, carried
from jaxml.learn.optimizers.gradient_wrappers import inside, real
from jaxml.learn.optimizers.precision import in_single
from jaxml.learn.optimizers.rates import Family, ShapedFamily, is_zero, rate_at
from jaxml.learn.schedules import Shape, constant
from jaxml.types import Params


class LookaheadState(NamedTuple):
    """The state of the fast optimizer, its steps so far, and the slow weights."""

    fast: Any
    step: jax.Array
    evaluation: Params

    MOVES_WITH = ("evaluation",)


def lookahead(family: Family) -> ShapedFamily:
    """Every `hyper.period` updates: slow ← slow + pull (fast - slow), fast ← slow.

    The parameters that descend are the fast ones; the slow ones are evaluated.

    Reads: period, pull, and what the family reads.
    Source: Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610, algorithm 1.
    """

    def wrapped(
        hyper: Any, shape: Shape = constant
    ) -> optax.GradientTransformationExtraArgs:
        fast = inside(family, hyper, shape)

        def init(params: Params) -> LookaheadState:
            return LookaheadState(fast.init(params), jnp.zeros((), jnp.int32), params)

        def apply(
            updates: Params, state: Any, params: Any = None, **extra: Any
        ) -> tuple[Params, Any]:
            step, fast_state = fast.update(updates, state.fast, params, **extra)
            explored, count = optax.apply_updates(params, step), state.step + 1
            meet = count % jnp.asarray(hyper.period, jnp.int32) == 0
            reached = anchor(fast_state, explored)
            difference = jax.tree.map(jnp.subtract, reached, state.evaluation)
            met = tree.axpy(hyper.pull, difference, state.evaluation)
            slow = tree.where(meet, met, state.evaluation)
            if reached is explored:
                target = tree.where(meet, met, explored)
            else:
                shift = jax.tree.map(jnp.subtract, met, reached)
                shift = tree.where(meet, shift, jax.tree.map(jnp.zeros_like, shift))
                target, fast_state = (
                    tree.axpy(1, shift, explored),
                    carried(fast_state, shift),
                )
            return _towards(target, params), LookaheadState(fast_state, count, slow)

        return in_single(optax.GradientTransformationExtraArgs(init, apply))

    return wrapped


class SharpnessState(NamedTuple):
    """The state of the optimizer inside, the updates so far, and the centre of the
    climb.
    """

    inner: Any
    step: jax.Array
    evaluation: Params

    MOVES_WITH = ("evaluation",)
    DEFERS_TO = "inner"


def sharpness_aware(family: Family) -> ShapedFamily:
    """SAM in turns: updates climb by radius g / ‖g‖, and every `period`-th descends
    from the centre.

    The descent takes the gradient found at the climbed point. A step of SAM is so
    `period` updates, 2 in the paper, each on a batch of its own; on one fixed batch it
    is the paper's algorithm. Horizon and warm-up count all updates. The centre is
    evaluated, or what an averaging optimizer inside keeps.

    Reads: period, radius, and what the family reads.
    Source: Foret et al. 2021, arXiv:2010.01412, algorithm 1.
    """

    def wrapped(
        hyper: Any, shape: Shape = constant
    ) -> optax.GradientTransformationExtraArgs:
        lengths = {name: getattr(hyper, name, 0.0) for name in ("horizon", "warmup")}
        halved = {
            name: real(updates) / real(hyper.period)
            for name, updates in lengths.items()
            if not is_zero(updates)
        }
        inner = inside(family, hyper._replace(**halved), shape)

        def init(params: Params) -> SharpnessState:
            return SharpnessState(inner.init(params), jnp.zeros((), jnp.int32), params)

        def apply(
            updates: Params, state: Any, params: Any = None, **extra: Any
        ) -> tuple[Params, Any]:
            count = state.step + 1
            descends = count % jnp.asarray(hyper.period, jnp.int32) == 0
            size = tree.norm(updates)
            climbed = tree.axpy(
                hyper.radius / jnp.where(size > 0, size, 1), updates, params
            )
            step, after = inner.update(updates, state.inner, state.evaluation, **extra)
            descended = optax.apply_updates(state.evaluation, step)
            centre = tree.where(descends, descended, state.evaluation)
            after = tree.where(descends, after, state.inner)
            target = tree.where(descends, descended, climbed)
            return _towards(target, params), SharpnessState(after, count, centre)

        return in_single(optax.GradientTransformationExtraArgs(init, apply))

    return wrapped


class AverageState(NamedTuple):
    """The state of the optimizer inside, the updates and the averaged points so far,
    and their mean.
    """

    inner: Any
    step: jax.Array
    points: jax.Array
    evaluation: Params


def averaged(family: Family) -> ShapedFamily:
    """Stochastic weight averaging: from update `average_from` on every `period`-th
    point enters a mean.

    The mean is evaluated, and before it begins the parameters themselves.

    Reads: period, average_from, and what the family reads.
    Source: Izmailov et al. 2018, arXiv:1803.05407, algorithm 1.
    """

    def wrapped(
        hyper: Any, shape: Shape = constant
    ) -> optax.GradientTransformationExtraArgs:
        inner = inside(family, hyper, shape)

        def init(params: Params) -> AverageState:
            none = jnp.zeros((), jnp.int32)
            return AverageState(inner.init(params), none, none, params)

        def apply(
            updates: Params, state: Any, params: Any = None, **extra: Any
        ) -> tuple[Params, Any]:
            step, after = inner.update(updates, state.inner, params, **extra)
            reached, made = (
                anchor(after, optax.apply_updates(params, step)),
                state.step + 1,
            )
            late = made - jnp.asarray(hyper.average_from, jnp.int32)
            enters = (late >= 0) & (late % jnp.asarray(hyper.period, jnp.int32) == 0)
            points = state.points + enters
            difference = jax.tree.map(jnp.subtract, reached, state.evaluation)
            mean = tree.axpy(
                1 / jnp.maximum(real(points), 1), difference, state.evaluation
            )
            mean = tree.where(
                enters, mean, tree.where(points == 0, reached, state.evaluation)
            )
            return step, AverageState(after, made, points, mean)

        return in_single(optax.GradientTransformationExtraArgs(init, apply))

    return wrapped


class ScheduleFreeState(NamedTuple):
    """The state of the optimizer inside, updates so far, Σ rate², its point z, and the
    average x.
    """

    inner: Any
    step: jax.Array
    total: jax.Array
    point: Params
    evaluation: Params

    MOVES_WITH = ("point", "evaluation")


def schedule_free(family: Family) -> ShapedFamily:
    """Averaging in place of a schedule: gradients at y = (1-β)z + βx, z descends, x
    averages z.

    z ← z - rate · direction(∇L(y)), x ← (1-c)x + cz, c = rate² / Σ rate². β is
    `hyper.momentum`, so the family inside should form no momentum of its own (sgd,
    rmsprop). x is evaluated. Around another wrapper, that one moves z.

    Reads: lr, warmup, momentum, and what the family reads.
    Source: Defazio et al. 2024, arXiv:2405.15682, equations 3 to 5, with the weights of
    its section 4.
    """

    def wrapped(
        hyper: Any, shape: Shape = constant
    ) -> optax.GradientTransformationExtraArgs:
        inner, rate = inside(family, hyper, shape), rate_at(hyper, shape)

        def init(params: Params) -> ScheduleFreeState:
            zero = jnp.zeros((), jnp.result_type(*jax.tree.leaves(params)))
            return ScheduleFreeState(
                inner.init(params), jnp.zeros((), jnp.int32), zero, params, params
            )

        def apply(
            updates: Params, state: Any, params: Any = None, **extra: Any
        ) -> tuple[Params, Any]:
            wrapped = anchor(state.inner, params) is not params
            step, after = inner.update(
                updates, state.inner, state.point if wrapped else params, **extra
            )
            point = optax.apply_updates(state.point, step)
            weight = rate(state.step) ** 2
            total = state.total + weight
            fraction = weight / jnp.where(total > 0, total, 1)
            difference = jax.tree.map(
                jnp.subtract, anchor(after, point), state.evaluation
            )
            mean = tree.axpy(fraction, difference, state.evaluation)
            ahead = tree.axpy(
                hyper.momentum, jax.tree.map(jnp.subtract, mean, point), point
            )
            return _towards(ahead, params), ScheduleFreeState(
                after, state.step + 1, total, point, mean
            )

        return in_single(optax.GradientTransformationExtraArgs(init, apply))

    return wrapped


def _towards(target: Params, params: Params) -> Params:
    """The update that leads to the target."""
    return jax.tree.map(jnp.subtract, target, params)
