"""What an optimizer does to a gradient, one leaf at a time: how momentum is formed, how
the step is scaled.

A *rule* takes `(u, g, p, state, t, h)`: the step u that the rules before it have made,
the gradient g (of the loss and an L2 decay), the parameters p, its own state for this
leaf, the updates so far counted from 1, and the hyperparameters. It returns the new
step and its new state. An optimizer is a sequence of rules, so a new one is a new
combination: `(velocity, root_of_moving_mean)` remembers the raw gradients and scales by
them, `(root_of_moving_mean, velocity)` remembers the scaled ones.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp

State: TypeAlias = tuple[Any, ...]


class Rule(NamedTuple):
    """A part of an optimizer.

    Attributes:
        init: `leaf -> state`, a tuple of arrays, before the first update.
        apply: `(u, g, p, state, t, h) -> (u, state)`.
    """

    init: Callable[[Any], State]
    apply: Callable[..., tuple[Any, State]]


def once(leaf: Any) -> State:
    """One array of zeros."""
    return (jnp.zeros_like(leaf),)


def twice(leaf: Any) -> State:
    """Two arrays of zeros."""
    return (jnp.zeros_like(leaf), jnp.zeros_like(leaf))


def stateless(leaf: Any) -> State:
    """Nothing."""
    del leaf
    return ()


# How momentum is formed.


def _velocity(u, g, p, state, t, h):
    m = h.momentum * state[0] + u
    return m, (m,)


def _nesterov_velocity(u, g, p, state, t, h):
    m = h.momentum * state[0] + u
    return h.momentum * m + u, (m,)


def _average(u, g, p, state, t, h):
    m = h.momentum * state[0] + (1 - h.momentum) * u
    return m, (m,)


def _nesterov_average(u, g, p, state, t, h):
    m = h.momentum * state[0] + (1 - h.momentum) * u
    return h.momentum * m + (1 - h.momentum) * u, (m,)


def _unbiased_average(u, g, p, state, t, h):
    m = h.momentum * state[0] + (1 - h.momentum) * u
    return m / (1 - h.momentum**t), (m,)


def _unbiased_nesterov_average(u, g, p, state, t, h):
    m = h.momentum * state[0] + (1 - h.momentum) * u
    ahead, now = 1 - h.momentum ** (t + 1), 1 - h.momentum**t
    return h.momentum * m / ahead + (1 - h.momentum) * u / now, (m,)


def _interpolation(u, g, p, state, t, h):
    step = h.momentum * state[0] + (1 - h.momentum) * u
    return step, (h.second_moment * state[0] + (1 - h.second_moment) * u,)


velocity = Rule(once, _velocity)
"""m ← βm + u. Polyak 1964."""
nesterov_velocity = Rule(once, _nesterov_velocity)
"""m ← βm + u, then βm + u: the gradient is taken where momentum leads. Sutskever et al.
2013.
"""
average = Rule(once, _average)
"""m ← βm + (1-β)u."""
nesterov_average = Rule(once, _nesterov_average)
"""m ← βm + (1-β)u, then βm + (1-β)u."""
unbiased_average = Rule(once, _unbiased_average)
"""m ← βm + (1-β)u, then m / (1-βᵗ). Kingma and Ba 2015, arXiv:1412.6980."""
unbiased_nesterov_average = Rule(once, _unbiased_nesterov_average)
"""βm / (1-βᵗ⁺¹) + (1-β)u / (1-βᵗ). Dozat 2016, with a constant β."""
interpolation = Rule(once, _interpolation)
"""β₁m + (1-β₁)u, then m ← β₂m + (1-β₂)u. Chen et al. 2023, arXiv:2302.06675."""


# How the step is scaled.


def _root_of_sum(u, g, p, state, t, h):
    total = state[0] + g**2
    return u / (jnp.sqrt(total) + h.epsilon), (total,)


def _root_of_mean(u, g, p, state, t, h):
    total = state[0] + g**2
    return u / (jnp.sqrt(total / t) + h.epsilon), (total,)


def _mean_square(g, v, h):
    return h.second_moment * v + (1 - h.second_moment) * g**2


def _root_of_moving_mean(u, g, p, state, t, h):
    v = _mean_square(g, state[0], h)
    return u / (jnp.sqrt(v) + h.epsilon), (v,)


def _root_of_moving_mean_and_epsilon(u, g, p, state, t, h):
    v = _mean_square(g, state[0], h)
    return u / jnp.sqrt(v + h.epsilon), (v,)


def _unbiased_root(u, g, p, state, t, h):
    v = _mean_square(g, state[0], h)
    return u / (jnp.sqrt(v / (1 - h.second_moment**t)) + h.epsilon), (v,)


def _root_of_largest(u, g, p, state, t, h):
    v = _mean_square(g, state[0], h)
    largest = jnp.maximum(state[1], v)
    return u / (jnp.sqrt(largest) + h.epsilon), (v, largest)


def _unbiased_root_of_largest(u, g, p, state, t, h):
    v = _mean_square(g, state[0], h)
    largest = jnp.maximum(state[1], v)
    return u / (jnp.sqrt(largest) / jnp.sqrt(1 - h.second_moment**t) + h.epsilon), (
        v,
        largest,
    )


def _ratio_of_moving_means(u, g, p, state, t, h):
    v = _mean_square(g, state[0], h)
    step = jnp.sqrt(state[1] + h.epsilon) / jnp.sqrt(v + h.epsilon) * u
    return step, (v, _mean_square(step, state[1], h))


def _rectified(long_enough):
    """The rectified scaling where the length of the averages will do, and none
    before.
    """

    def apply(u, g, p, state, t, h):
        v = _mean_square(g, state[0], h)
        limit = 2 / (1 - h.second_moment) - 1
        power = h.second_moment**t
        length = limit - 2 * t * power / (1 - power)
        ratio = (
            (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
        )
        scaled = (
            jnp.sqrt(jnp.maximum(ratio, 0))
            * u
            / (jnp.sqrt(v / (1 - power)) + h.epsilon)
        )
        return jnp.where(long_enough(length), scaled, u), (v,)

    return apply


def _sign(u, g, p, state, t, h):
    return jnp.sign(u), state


root_of_sum = Rule(once, _root_of_sum)
"""u / (√Σg² + ε). Duchi, Hazan and Singer 2011, the diagonal form."""
root_of_mean = Rule(once, _root_of_mean)
"""u / (√mean g² + ε), the mean over all gradients so far: what the course calls
Adagrad.
"""
root_of_moving_mean = Rule(once, _root_of_moving_mean)
"""v ← β₂v + (1-β₂)g², then u / (√v + ε). Tieleman and Hinton 2012, as PyTorch has
it.
"""
root_of_moving_mean_and_epsilon = Rule(once, _root_of_moving_mean_and_epsilon)
"""v ← β₂v + (1-β₂)g², then u / √(v + ε), as TensorFlow and Optax have it."""
unbiased_root = Rule(once, _unbiased_root)
"""v ← β₂v + (1-β₂)g², then u / (√(v / (1-β₂ᵗ)) + ε). Kingma and Ba 2015,
arXiv:1412.6980.
"""
root_of_largest = Rule(twice, _root_of_largest)
"""u / (√max v + ε), the maximum over all v so far. Reddi, Kale and Kumar 2018,
arXiv:1904.09237, alg. 2.
"""
unbiased_root_of_largest = Rule(twice, _unbiased_root_of_largest)
"""u / (√(max v / (1-β₂ᵗ)) + ε), as PyTorch has AMSGrad."""
ratio_of_moving_means = Rule(twice, _ratio_of_moving_means)
"""√(E[Δ²] + ε) / √(E[g²] + ε) u, Δ the steps so far, before the rate. Zeiler 2012,
arXiv:1212.5701.
"""
rectified_root = Rule(once, _rectified(lambda length: length >= 5))
"""r u / (√v̂ + ε) once the averages' length ρ is 5 or more, u before: the authors'
code.

Liu et al. 2020, arXiv:1908.03265, whose algorithm 2 has ρ > 4; PyTorch has ρ > 5.
"""
rectified_root_above_four = Rule(once, _rectified(lambda length: length > 4))
"""The same once ρ is more than 4, as in the paper's algorithm 2."""
sign = Rule(stateless, _sign)
"""sign(u)."""


def in_turn(*rules: Rule) -> Rule:
    """The rule that applies others one after another, each with its own state."""

    def init(leaf):
        return tuple(rule.init(leaf) for rule in rules)

    def apply(u, g, p, state, t, h):
        after = []
        for rule, own in zip(rules, state, strict=True):
            u, own = rule.apply(u, g, p, own, t, h)
            after.append(own)
        return u, tuple(after)

    return Rule(init, apply)
