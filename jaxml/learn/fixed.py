"""Optimizers whose hyperparameters are the same in all runs."""

from typing import Any

import optax

from jaxml.learn.optimizers.rates import Family, ShapedFamily, as_family
from jaxml.learn.schedules import Shape, constant

__all__ = ["fixed"]


def fixed(family: Family, hyper: Any) -> ShapedFamily:
    """The family at these hyperparameters, whatever the point of a grid.

    A grid over what makes the experiment, such as the strength of a penalty, then needs
    no field that the optimizer reads.

    >>> import jax.numpy as jnp
    >>> from jaxml import learn
    >>> chain = fixed(learn.sgd, learn.Hyper(lr=0.5))("any point")
    >>> theta = jnp.array(3.0)
    >>> chain.update(jnp.array(2.0), chain.init(theta), theta)[0].tolist()
    -1.0
    """
    build = as_family(family)

    def at_any_point(
        point: Any, shape: Shape = constant
    ) -> optax.GradientTransformation:
        del point
        return build(hyper, shape)

    return at_any_point
