"""Shapes of the learning rate: functions (step, horizon) -> [0, 1] with peak 1 and a traced horizon.

The rate is `lr * shape(step, horizon)`; steps are counted from 0 and the horizon in updates. Because
both are traced numbers, lanes that train for different lengths share one program, which schedules
closed over a Python integer cannot do. A shape with parameters of its own is bound by
`functools.partial`.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from jaxml.types import Scalar

Shape: TypeAlias = Callable[[Any, Any], Scalar]


def _real(x: Any) -> jax.Array:
    return jnp.asarray(x, jnp.result_type(float))


def _progress(step: Any, horizon: Any) -> jax.Array:
    """step / horizon, held within [0, 1]."""
    return jnp.clip(_real(step) / _real(horizon), 0, 1)


def constant(step: Any, horizon: Any) -> Scalar:
    """1.

    >>> float(constant(7, 10))
    1.0
    """
    del step, horizon
    return _real(1)


def step_decay(step: Any, horizon: Any, *, drops: int = 3, factor: Any = 0.1) -> Scalar:
    """factor^k in the k-th of `drops + 1` equal parts of the horizon, k = 0, 1, ...

    >>> [round(float(step_decay(t, 4.0)), 3) for t in (0, 1, 2, 3)]
    [1.0, 0.1, 0.01, 0.001]
    """
    # Half an update of slack: step and horizon are whole, and division may round either way.
    passed = jnp.floor((_real(step) * (drops + 1) + 0.5) / _real(horizon))
    return _real(factor) ** jnp.clip(passed, 0, drops)


def exponential(step: Any, horizon: Any, *, final: Any = 0.01) -> Scalar:
    """final^(step / horizon).

    >>> round(float(exponential(5, 10.0)), 6)
    0.1
    """
    return _real(final) ** _progress(step, horizon)


def inverse_sqrt(step: Any, horizon: Any) -> Scalar:
    """1 / √(step + 1), whatever the horizon: the course's decay.

    >>> float(inverse_sqrt(3, 10.0))
    0.5
    """
    del horizon
    return 1 / jnp.sqrt(_real(step) + 1)


def linear(step: Any, horizon: Any) -> Scalar:
    """1 - step / horizon, at least 0.

    >>> float(linear(3, 4.0))
    0.25
    """
    return 1 - _progress(step, horizon)


def cosine(step: Any, horizon: Any) -> Scalar:
    """(1 + cos(π step / horizon)) / 2, and 0 after the horizon.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5, one period.

    >>> round(float(cosine(5, 10.0)), 6)
    0.5
    """
    return (1 + jnp.cos(jnp.pi * _progress(step, horizon))) / 2


def warmup(shape: Shape, length: Any) -> Shape:
    """(step + 1) / length for the first `length` steps, then `shape` over what is left of the horizon.

    A length of 0, which may be traced, is no warm-up.

    >>> [float(warmup(linear, 2)(t, 4.0)) for t in (0, 1, 2, 3)]
    [0.5, 1.0, 1.0, 0.5]
    """

    def warmed(step: Any, horizon: Any) -> Scalar:
        step, horizon, rise = _real(step), _real(horizon), _real(length)
        after = shape(jnp.maximum(step - rise, 0), horizon - rise)
        return jnp.where(step < rise, jnp.minimum((step + 1) / jnp.maximum(rise, 1), 1), after)

    return warmed


SHAPES = {
    "constant": constant,
    "step": step_decay,
    "exponential": exponential,
    "inverse_sqrt": inverse_sqrt,
    "linear": linear,
    "cosine": cosine,
}
"""The shapes by the names that a command line or a Config may use."""
