"""Every optimizer is momentum, a scaling, a decay and a rate: the course's history as a table.

A *family* is `(hyper, shape) -> optax.GradientTransformation`, called inside the traced function, so a
whole grid of hyperparameters is one compilation. It is a sequence of rules for how momentum is formed and
how the step is scaled; weight decay enters before them (L2) or after them (decoupled); the rate moves by a
schedule. Conventions are those of the papers: accumulators start at 0, ε stands outside the root, and the
rate outside the momentum.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jaxml.learn import matrix_rules as matrices
from jaxml.learn import rules
from jaxml.learn.rates import Family, scale_by_rate
from jaxml.learn.rules import Rule
from jaxml.learn.schedules import Shape, constant
from jaxml.learn.self_tuned import prodigy, swats
from jaxml.types import Params

Direction: TypeAlias = Callable[[Any], optax.GradientTransformation]


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


class RulesState(NamedTuple):
    """The updates so far, and for each leaf of the parameters what the rules remember."""

    step: jax.Array
    memory: Any


def by(*parts: Rule) -> Direction:
    """The direction that applies rules in turn to each leaf."""
    rule = rules.in_turn(*parts)

    def direction(hyper: Any) -> optax.GradientTransformation:
        def init(params: Params) -> RulesState:
            return RulesState(
                jnp.zeros((), jnp.int32), [rule.remember(leaf) for leaf in jax.tree.leaves(params)]
            )

        def apply(updates: Params, state: Any, params: Any = None) -> tuple[Params, RulesState]:
            leaves, treedef = jax.tree.flatten(updates)
            points = leaves if params is None else jax.tree.leaves(params)
            count = state.step + 1
            stepped = [
                rule.apply(g, g, p, memory, count, hyper)
                for g, p, memory in zip(leaves, points, state.memory, strict=True)
            ]
            updates, memories = zip(*stepped, strict=True)
            return treedef.unflatten(updates), RulesState(count, list(memories))

        return optax.GradientTransformation(init, apply)

    return direction


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


def within(direction: Direction) -> Family:
    """The family whose direction holds its own decay, as one of its rules."""
    return lambda hyper, shape=constant: optax.chain(direction(hyper), scale_by_rate(hyper, shape))


# Decay, momentum, scaling: θ ← θ - rate · what the rules make of the gradient.
sgd = coupled(by())
momentum = coupled(by(rules.velocity))
averaged_momentum = coupled(by(rules.average))
nag = coupled(by(rules.nesterov_velocity))
averaged_nag = coupled(by(rules.nesterov_average))
adagrad = coupled(by(rules.root_of_sum))
mean_square_adagrad = coupled(by(rules.root_of_mean))
rmsprop = coupled(by(rules.root_of_moving_mean))
rmsprop_inside = coupled(by(rules.root_of_moving_mean_and_epsilon))
adadelta = coupled(by(rules.ratio_of_moving_means))
adam = coupled(by(rules.unbiased_average, rules.unbiased_root))
nadam = coupled(by(rules.unbiased_nesterov_average, rules.unbiased_root))
amsgrad = coupled(by(rules.average, rules.root_of_largest))
unbiased_amsgrad = coupled(by(rules.unbiased_average, rules.unbiased_root_of_largest))
adabound = coupled(by(rules.average, rules.bounded_root))
amsbound = coupled(by(rules.average, rules.bounded_root_of_largest))
radam = coupled(by(rules.unbiased_average, rules.rectified_root))
sgdw = decoupled(by(rules.velocity))
adamw = decoupled(by(rules.unbiased_average, rules.unbiased_root))
lars = within(by(matrices.local_rate, rules.velocity))
lamb = within(by(rules.unbiased_average, rules.unbiased_root, matrices.decay, matrices.trust_ratio))
lion = decoupled(by(rules.interpolation, rules.sign))
shampoo = coupled(by(matrices.kronecker_root))
soap = decoupled(by(matrices.kronecker_basis))
muon = decoupled(
    by(matrices.on_matrices(rules.in_turn(rules.nesterov_velocity, matrices.orthogonal), matrices.ADAM))
)

OPTIMIZERS: dict[str, Family] = {
    "sgd": sgd,
    "momentum": momentum,
    "averaged_momentum": averaged_momentum,
    "nag": nag,
    "averaged_nag": averaged_nag,
    "adagrad": adagrad,
    "mean_square_adagrad": mean_square_adagrad,
    "rmsprop": rmsprop,
    "rmsprop_inside": rmsprop_inside,
    "adadelta": adadelta,
    "adam": adam,
    "nadam": nadam,
    "amsgrad": amsgrad,
    "unbiased_amsgrad": unbiased_amsgrad,
    "adabound": adabound,
    "amsbound": amsbound,
    "radam": radam,
    "swats": swats,
    "sgdw": sgdw,
    "adamw": adamw,
    "lars": lars,
    "lamb": lamb,
    "lion": lion,
    "shampoo": shampoo,
    "soap": soap,
    "muon": muon,
    "prodigy": prodigy,
}
"""The families by the names that a command line or a Config may use; `learn.wrappers` go around any."""
