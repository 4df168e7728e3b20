"""Optimizers of which a grid varies nothing but the rate."""

from typing import Any

import optax

from jaxml.learn.optimizers.hyper import Hyper
from jaxml.learn.optimizers.rates import Family, ShapedFamily, as_family
from jaxml.learn.schedules import Shape, constant

__all__ = ["by_rate_alone"]


def by_rate_alone(family: Family) -> ShapedFamily:
    """The family at the rate `lr` of a grid's point, and at `Hyper`'s defaults else.

    A point whose other fields make the experiment then needs none of those that the
    optimizer reads, such as Adam's β₁ and β₂.

    >>> from typing import NamedTuple
    >>> import jax.numpy as jnp
    >>> from jaxml import learn
    >>> class Point(NamedTuple):
    ...     lr: float
    ...     picture: int = 0
    >>> chain = by_rate_alone(learn.adam)(Point(lr=0.5))
    >>> theta = jnp.array(3.0)
    >>> updates, _ = chain.update(jnp.array(2.0), chain.init(theta), theta)
    >>> round(float(updates), 5)
    -0.5
    """
    build = as_family(family)

    def at_rate(point: Any, shape: Shape = constant) -> optax.GradientTransformation:
        return build(Hyper(lr=point.lr), shape)

    return at_rate
