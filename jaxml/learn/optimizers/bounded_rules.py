"""Scalings whose rates are held between bounds that close: AdaBound and AMSBound, from
paper and port.
"""

import jax.numpy as jnp

from jaxml.learn.optimizers.rules import Rule, root_of_largest, root_of_moving_mean


def _bounds(t, h):
    """Between which rates AdaBound's may lie at update t: both close to `final_lr`."""
    speed = (1 - h.second_moment) * t
    return h.final_lr * (1 - 1 / (speed + 1)), h.final_lr * (1 + 1 / speed)


def _bounded(scaling):
    """u times the rate lr · scale, held between two rates that meet at `final_lr`, over
    √t and over lr.
    """

    def apply(u, g, p, state, t, h):
        scale, state = scaling.apply(jnp.ones_like(u), g, p, state, t, h)
        lr = jnp.maximum(h.lr, jnp.finfo(u.dtype).tiny)
        low, high = _bounds(t, h)
        return jnp.clip(lr * scale, low, high) / jnp.sqrt(
            jnp.asarray(t, u.dtype)
        ) / lr * u, state

    return Rule(scaling.init, apply)


def _unbiased_bounded(scaling):
    """The same without √t, the correction of both biases within the bounds."""

    def apply(u, g, p, state, t, h):
        scale, state = scaling.apply(jnp.ones_like(u), g, p, state, t, h)
        correction = jnp.sqrt(1 - h.second_moment**t) / (1 - h.momentum**t)
        lr = jnp.maximum(h.lr, jnp.finfo(u.dtype).tiny)
        low, high = _bounds(t, h)
        return jnp.clip(lr * correction * scale, low, high) / lr * u, state

    return Rule(scaling.init, apply)


bounded_root = _bounded(root_of_moving_mean)
"""u clip(lr / √v, low, high) / √t, from final_lr (1 - 1/((1-β₂)t + 1)) to final_lr (1 +
1/((1-β₂)t)).

Luo et al. 2019, arXiv:1902.09843, algorithm 2. It takes the rate at its peak: a
schedule comes on top.
"""
bounded_root_of_largest = _bounded(root_of_largest)
"""The same of the largest v so far: AMSBound, algorithm 3."""
unbiased_bounded_root = _unbiased_bounded(root_of_moving_mean)
"""u clip(lr √(1-β₂ᵗ) / (1-β₁ᵗ) / (√v + ε), low, high), as the authors' code for PyTorch
has it: no √t.

Its γ, which moves the bounds, is 1-β₂ here, its default; its final rate follows the
schedule, as here.
"""
unbiased_bounded_root_of_largest = _unbiased_bounded(root_of_largest)
"""The same of the largest v so far, as in the authors' code."""
