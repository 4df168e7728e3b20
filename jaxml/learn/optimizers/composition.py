"""How rules, decay and rate become a family: where weight decay enters."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jaxml.learn.optimizers import rules
from jaxml.learn.optimizers.precision import in_single
from jaxml.learn.optimizers.rates import ShapedFamily, scale_by_rate
from jaxml.learn.optimizers.rules import Rule
from jaxml.learn.schedules import Shape, constant
from jaxml.types import Params

Direction: TypeAlias = Callable[[Any], optax.GradientTransformation]


class RulesState(NamedTuple):
    """The updates so far, and the rules' state for each leaf of the parameters."""

    step: jax.Array
    states: Any


def by(*parts: Rule) -> Direction:
    """The direction that applies rules in turn to each leaf."""
    rule = rules.in_turn(*parts)

    def direction(hyper: Any) -> optax.GradientTransformation:
        def init(params: Params) -> RulesState:
            states = [rule.init(leaf) for leaf in jax.tree.leaves(params)]
            return RulesState(jnp.zeros((), jnp.int32), states)

        def apply(
            updates: Params, state: Any, params: Any = None
        ) -> tuple[Params, RulesState]:
            leaves, treedef = jax.tree.flatten(updates)
            points = leaves if params is None else jax.tree.leaves(params)
            count = state.step + 1
            stepped = [
                rule.apply(g, g, p, own, count, hyper)
                for g, p, own in zip(leaves, points, state.states, strict=True)
            ]
            updates, states = zip(*stepped, strict=True)
            return treedef.unflatten(updates), RulesState(count, list(states))

        return optax.GradientTransformation(init, apply)

    return direction


def coupled(direction: Direction) -> ShapedFamily:
    """The family that descends the loss plus weight_decay ‖θ‖²/2: decay enters the
    direction (L2).
    """

    def family(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        decay = optax.add_decayed_weights(hyper.weight_decay)
        return in_single(
            optax.chain(decay, direction(hyper), scale_by_rate(hyper, shape))
        )

    return family


def decoupled(direction: Direction) -> ShapedFamily:
    """The family whose decay bypasses the direction: θ ← θ - rate (direction +
    weight_decay θ).

    Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2, with the rate
    inside.
    """

    def family(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        decay = optax.add_decayed_weights(hyper.weight_decay)
        return in_single(
            optax.chain(direction(hyper), decay, scale_by_rate(hyper, shape))
        )

    return family


def within(direction: Direction) -> ShapedFamily:
    """The family whose direction holds its own decay, as one of its rules."""

    def family(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        return in_single(optax.chain(direction(hyper), scale_by_rate(hyper, shape)))

    return family


def remembering_steps(direction: Direction, momentum: Direction) -> ShapedFamily:
    """The family whose rate is inside its momentum: what is remembered are steps, each
    at its own rate.
    """

    def family(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        return in_single(
            optax.chain(direction(hyper), scale_by_rate(hyper, shape), momentum(hyper))
        )

    return family
