"""How a rate begins: rises that any shape may follow."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxml.learn.dataflow import depends
from jaxml.learn.schedules import Shape
from jaxml.types import Scalar


def warmup(shape: Shape, length: Any) -> Shape:
    """(step + 1) / length for the first `length` steps, then `shape` over what is left
    of the horizon.

    A length of 0, which may be traced, is no warm-up. After one as long as the horizon
    nothing is left, so the shape is at its end.

    >>> from jaxml.learn import linear
    >>> [float(warmup(linear, 2)(t, 4.0)) for t in (0, 1, 2, 3)]
    [0.5, 1.0, 1.0, 0.5]
    """
    ends = reads_horizon(shape)

    def warmed(step: Any, horizon: Any) -> Scalar:
        step, horizon, rise = _real(step), _real(horizon), _real(length)
        passed, left = jnp.maximum(step - rise, 0), horizon - rise
        if ends:
            passed, left = (
                jnp.where(left == 0, 1, passed),
                jnp.where(left == 0, 1, left),
            )
        after = shape(passed, left)
        return jnp.where(
            step < rise, jnp.minimum((step + 1) / jnp.maximum(rise, 1), 1), after
        )

    return warmed


def reads_horizon(shape: Shape) -> bool:
    """Whether the rate depends on the horizon, by the flow of data through the
    shape.
    """
    real = jax.ShapeDtypeStruct((), jnp.result_type(float))
    return depends(shape, jax.ShapeDtypeStruct((), jnp.int32), real)[1]


def exponential_warmup(shape: Shape, length: Any) -> Shape:
    """(1 - e^(-(step + 1) / length)) · shape(step, horizon).

    Source: Ma and Yarats 2021, arXiv:1910.04209, section 5: length = 1 / (1 - β₂) for
    Adam.

    >>> from jaxml.learn import constant
    >>> round(float(exponential_warmup(constant, 2)(1, 9.0)), 6)
    0.632121
    """
    return lambda step, horizon: (
        -jnp.expm1(-(_real(step) + 1) / _real(length)) * shape(step, horizon)
    )


def _real(x: Any) -> jax.Array:
    return jnp.asarray(x, jnp.result_type(float))
