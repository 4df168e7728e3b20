"""Every optimizer is a direction, a decay and a rate.

A *direction* turns gradients into a step by how it forms momentum and how it scales; weight decay
enters before it (L2) or after it (decoupled); the rate moves by a schedule. A *family* is
`(hyper, shape) -> optax.GradientTransformation`, called inside the traced function, so a whole grid of
hyperparameters is one compilation. Conventions are those of the papers, and where papers differ,
PyTorch's: accumulators start at 0 and ε stands outside the root.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jaxml import tree
from jaxml.learn.schedules import Shape, constant, warmup
from jaxml.types import Params

Direction: TypeAlias = Callable[[Any], optax.GradientTransformation]
Family: TypeAlias = Callable[..., optax.GradientTransformation]


def update(
    optimizer: optax.GradientTransformation, grads: Params, opt_state: Any, params: Params
) -> tuple[Params, Any]:
    """One step: (params, opt_state). The only door through which a chain's `update` runs.

    Optax multiplies Python numbers into arrays, which strict promotion forbids; here it may. Whatever that
    does to dtypes, the state keeps those with which it was initialised, as a scan requires.
    """
    with jax.numpy_dtype_promotion("standard"):
        updates, new_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
    return params, jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), new_state, opt_state)


def evaluation_params(opt_state: Any, params: Params) -> Params:
    """Where to evaluate: what the optimizer keeps under the name `evaluation`, else `params`.

    Lookahead descends from its fast weights and is evaluated at its slow ones; averaging methods
    likewise. An optimizer takes part by a state with a field of that name.
    """
    return optax.tree_utils.tree_get(opt_state, "evaluation", params)


class RateState(NamedTuple):
    """How many updates were made."""

    step: jax.Array


def scale_by_rate(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """u ← -lr · shape(step, horizon) · u, after a warm-up of `hyper.warmup` updates if it has one.

    Reads `lr`, `horizon` and, where it exists, `warmup` of any NamedTuple; so a shape handed in is not to
    be wrapped in `schedules.warmup` with the same length.
    """
    rate_shape = warmup(shape, getattr(hyper, "warmup", 0.0))

    def init(params: Params) -> RateState:
        del params
        return RateState(jnp.zeros((), jnp.int32))

    def apply(updates: Params, state: Any, params: Params | None = None) -> tuple[Params, RateState]:
        del params
        rate = rate_shape(state.step, hyper.horizon) * jnp.asarray(hyper.lr, jnp.result_type(float))
        return tree.scale(-rate, updates), RateState(state.step + 1)

    return optax.GradientTransformation(init, apply)


class SquaresState(NamedTuple):
    """How many gradients were seen, and the sum of their squares."""

    step: jax.Array
    total: Params


def _scale_by_root(epsilon: Any, denominator: Callable[[jax.Array, jax.Array], jax.Array]):
    def init(params: Params) -> SquaresState:
        return SquaresState(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def apply(updates: Params, state: Any, params: Params | None = None) -> tuple[Params, SquaresState]:
        del params
        count = state.step + 1
        total = jax.tree.map(lambda s, g: s + g * g, state.total, updates)
        scaled = jax.tree.map(lambda g, s: g / (jnp.sqrt(denominator(s, count)) + epsilon), updates, total)
        return scaled, SquaresState(count, total)

    return optax.GradientTransformation(init, apply)


def scale_by_root_sum_of_squares(epsilon: Any) -> optax.GradientTransformation:
    """g / (√(Σ g²) + ε), the sum over all gradients so far.

    Source: Duchi, Hazan and Singer 2011, JMLR 12, the diagonal form.
    """
    return _scale_by_root(epsilon, lambda total, count: total)


def scale_by_root_mean_of_squares(epsilon: Any) -> optax.GradientTransformation:
    """g / (√(mean g²) + ε), the mean over all gradients so far: what the course calls Adagrad."""
    return _scale_by_root(epsilon, lambda total, count: total / count.astype(total.dtype))


class LookaheadState(NamedTuple):
    """The state of the fast optimizer, its steps so far, and the slow weights."""

    fast: Any
    step: jax.Array
    evaluation: Params


def scale_by_lookahead(
    fast: optax.GradientTransformation, period: Any, pull: Any
) -> optax.GradientTransformation:
    """Every `period` fast steps: slow ← slow + pull (fast - slow), fast ← slow.

    The parameters that descend are the fast ones. Both numbers may be traced.

    Source: Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610, algorithm 1.
    """

    def init(params: Params) -> LookaheadState:
        return LookaheadState(fast.init(params), jnp.zeros((), jnp.int32), params)

    def apply(updates: Params, state: Any, params: Any = None) -> tuple[Params, LookaheadState]:
        step, fast_state = fast.update(updates, state.fast, params)
        explored = optax.apply_updates(params, step)
        count = state.step + 1
        meet = count % jnp.asarray(period, jnp.int32) == 0
        met = tree.axpy(pull, jax.tree.map(jnp.subtract, explored, state.evaluation), state.evaluation)
        slow = tree.where(meet, met, state.evaluation)
        target = tree.where(meet, met, explored)
        return jax.tree.map(jnp.subtract, target, params), LookaheadState(fast_state, count, slow)

    return optax.GradientTransformation(init, apply)


def coupled(direction: Direction) -> Family:
    """The family that descends the loss plus weight_decay ‖θ‖²/2: decay enters the direction (L2)."""

    def family(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        decay = optax.add_decayed_weights(hyper.weight_decay)
        return optax.chain(decay, direction(hyper), scale_by_rate(hyper, shape))

    return family


def decoupled(direction: Direction) -> Family:
    """The family whose decay bypasses the direction: θ ← θ - rate (direction + weight_decay θ).

    Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2, with the rate inside.
    """

    def family(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        decay = optax.add_decayed_weights(hyper.weight_decay)
        return optax.chain(direction(hyper), decay, scale_by_rate(hyper, shape))

    return family


def lookahead(family: Family) -> Family:
    """The family that wraps another in Lookahead with `hyper.period` and `hyper.pull`."""

    def wrapped(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        return scale_by_lookahead(family(hyper, shape), hyper.period, hyper.pull)

    return wrapped


def _adam(hyper: Any) -> optax.GradientTransformation:
    """Kingma and Ba 2015, arXiv:1412.6980, algorithm 1."""
    return optax.scale_by_adam(hyper.momentum, hyper.second_moment, hyper.epsilon)


# What each family does with the gradient between its decay and its rate: θ ← θ - rate · direction.
sgd = coupled(lambda hyper: optax.identity())
momentum = coupled(lambda hyper: optax.trace(hyper.momentum))
nag = coupled(lambda hyper: optax.trace(hyper.momentum, nesterov=True))
adagrad = coupled(lambda hyper: scale_by_root_sum_of_squares(hyper.epsilon))
mean_square_adagrad = coupled(lambda hyper: scale_by_root_mean_of_squares(hyper.epsilon))
rmsprop = coupled(lambda hyper: optax.scale_by_rms(hyper.second_moment, hyper.epsilon, eps_in_sqrt=False))
adam = coupled(_adam)
adamw = decoupled(_adam)

OPTIMIZERS: dict[str, Family] = {
    "sgd": sgd,
    "momentum": momentum,
    "nag": nag,
    "adagrad": adagrad,
    "mean_square_adagrad": mean_square_adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
}
"""The families by the names that a command line or a Config may use; `lookahead` wraps any of them."""
