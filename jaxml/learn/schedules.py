"""Shapes of the learning rate: functions (step, horizon) -> [0, 1] with peak 1 and a
traced horizon.

The rate is `lr * shape(step, horizon)`; steps are counted from 0 and the horizon in
updates. Because both are traced numbers, runs that train for different lengths share
one program, which schedules closed over a Python integer cannot do. A shape with
parameters of its own is bound by `functools.partial`.
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


def _over(dividend: jax.Array, divisor: jax.Array) -> jax.Array:
    """The quotient, and the dividend where the divisor is 0."""
    return dividend / jnp.where(divisor == 0, 1, divisor)


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
    # Half an update of slack: step and horizon are whole, and division may round either
    # way.
    passed = jnp.floor((_real(step) * (drops + 1) + 0.5) / _real(horizon))
    return _real(factor) ** jnp.clip(passed, 0, drops)


def exponential(step: Any, horizon: Any, *, final: Any = 0.01) -> Scalar:
    """final^(step / horizon).

    >>> round(float(exponential(5, 10.0)), 6)
    0.1
    """
    return _real(final) ** _progress(step, horizon)


def inverse(step: Any, horizon: Any, *, halving: Any = 1.0) -> Scalar:
    """1 / (1 + step / halving), whatever the horizon: 1/t where `halving` is 1.

    >>> float(inverse(3, 10.0))
    0.25
    """
    del horizon
    return 1 / (1 + _real(step) / _real(halving))


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


def polynomial(step: Any, horizon: Any, *, power: Any = 2.0) -> Scalar:
    """(1 - step / horizon)^power.

    >>> float(polynomial(5, 10.0))
    0.25
    """
    return (1 - _progress(step, horizon)) ** _real(power)


def stable_decay(step: Any, horizon: Any, *, decay: Any = 0.2) -> Scalar:
    """1, then a straight line to 0 over the last part `decay` of the horizon.

    After a warm-up it is warm-up-stable-decay.

    Source: Hu et al. 2024, arXiv:2404.06395, section 4.

    >>> [round(float(stable_decay(t, 10.0)), 6) for t in (0, 8, 9)]
    [1.0, 1.0, 0.5]
    """
    left = jnp.maximum(_real(horizon) - _real(step), 0)
    length = _real(horizon) * _real(decay)
    falling = jnp.minimum(left / length, 1)
    return jnp.where(left == 0, 0, falling)


def triangular(step: Any, horizon: Any, *, cycles: Any = 4, floor: Any = 0.1) -> Scalar:
    """`cycles` equal triangles from `floor` up to 1 and back.

    Source: Smith 2017, arXiv:1506.01186, the triangular policy.

    >>> [round(float(triangular(t, 8.0, cycles=2)), 6) for t in (0, 1, 2, 4)]
    [0.1, 0.55, 1.0, 0.1]
    """
    return floor + (1 - _real(floor)) * _triangle(step, horizon, cycles)


def _triangle(step: Any, horizon: Any, cycles: Any) -> jax.Array:
    """From 0 up to 1 and back, `cycles` times."""
    horizon = _real(horizon)
    travelled = jnp.clip(_real(step), 0, horizon) * cycles
    since = jnp.mod(travelled, horizon)
    return 1 - jnp.abs(2 * since / horizon - 1)


def exponential_triangular(
    step: Any, horizon: Any, *, cycles: Any = 4, final: Any = 0.1
) -> Scalar:
    """`cycles` triangles above a floor of 0.1, their height shrinking exponentially to
    `final`.

    Source: Smith 2017, arXiv:1506.01186, the exp_range policy.

    >>> round(float(exponential_triangular(2, 8.0, cycles=2, final=0.0001)), 6)
    0.19
    """
    triangle = _triangle(step, horizon, cycles)
    height = exponential(step, horizon, final=final)
    return 0.1 + 0.9 * triangle * height


def restarts(step: Any, horizon: Any, *, cycles: int = 3, growth: Any = 2.0) -> Scalar:
    """`cycles` cosines from 1 to 0, each `growth` times as long as the one before.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5: SGDR.

    >>> [round(float(restarts(t, 7.0, growth=2)), 6) for t in (0, 1, 2, 3, 5)]
    [1.0, 1.0, 0.5, 1.0, 0.5]
    """
    lengths = _real(growth) ** _real(jnp.arange(cycles))
    begins = jnp.cumsum(lengths) - lengths
    horizon = _real(horizon)
    step = jnp.minimum(_real(step), horizon)
    # Whole numbers: exact where the growth is whole.
    passed = step * jnp.sum(lengths) - begins * horizon
    begun = jnp.sum(passed >= 0, dtype=jnp.int32)
    now = jnp.maximum(begun - 1, 0)
    length = horizon * lengths[now]
    return (1 + jnp.cos(jnp.pi * passed[now] / length)) / 2


def one_cycle(
    step: Any, horizon: Any, *, rise: Any = 0.3, first: Any = 0.04, final: Any = 4e-6
) -> Scalar:
    """A cosine from `first` to 1 over the part `rise` of the horizon, then one down to
    `final`.

    The peak is at rise · horizon and the end at the horizon; `torch_one_cycle` has
    PyTorch's phases.

    Source: Smith and Topin 2018, arXiv:1708.07120; halves of cosines and the values are
    PyTorch's.

    >>> [round(float(one_cycle(t, 10.0)), 6) for t in (0, 3, 10)]
    [0.04, 1.0, 4e-06]
    """
    done = _progress(step, horizon)
    rise = _real(rise)
    rises = done < rise
    falling = _over(done - rise, 1 - rise)
    part = jnp.where(rises, 1 - done / rise, falling)
    floor = jnp.where(rises, _real(first), _real(final))
    return _half_cosine(floor, part)


def torch_one_cycle(
    step: Any, horizon: Any, *, rise: Any = 0.3, first: Any = 0.04, final: Any = 4e-6
) -> Scalar:
    """`one_cycle` whose phases end at rise · horizon - 1 and horizon - 1: the last
    update has `final`.

    Source: PyTorch's OneCycleLR at its defaults.

    >>> [round(float(torch_one_cycle(t, 10.0)), 6) for t in (0, 2, 9)]
    [0.04, 1.0, 4e-06]
    """
    last = _real(horizon) - 1
    peak = _real(rise) * _real(horizon) - 1
    step = jnp.minimum(_real(step), last)
    rises = step < peak
    rising = 1 - step / jnp.maximum(peak, 1)
    falling = _over(step - peak, last - peak)
    part = jnp.where(rises, rising, falling)
    floor = jnp.where(rises, _real(first), _real(final))
    return _half_cosine(floor, part)


def _half_cosine(floor: jax.Array, part: jax.Array) -> Scalar:
    """From 1 at the part 0 down to the floor at 1."""
    return floor + (1 - floor) * (1 + jnp.cos(jnp.pi * part)) / 2


def transformer(step: Any, horizon: Any, *, length: Any = 4000) -> Scalar:
    """min(√(length / s), s / length), s = step + 1: a linear rise, then 1/√s, whatever
    the horizon.

    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 3, over its peak (d ·
    length)^-½.

    >>> [float(transformer(t, 1.0, length=4)) for t in (0, 3, 15)]
    [0.25, 1.0, 0.5]
    """
    del horizon
    count = _real(step) + 1
    length = _real(length)
    falling = jnp.sqrt(length / count)
    return jnp.minimum(falling, count / length)


def cosine(step: Any, horizon: Any) -> Scalar:
    """(1 + cos(π step / horizon)) / 2, and 0 after the horizon.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5, one period.

    >>> round(float(cosine(5, 10.0)), 6)
    0.5
    """
    return (1 + jnp.cos(jnp.pi * _progress(step, horizon))) / 2


SHAPES = {
    "constant": constant,
    "step": step_decay,
    "exponential": exponential,
    "inverse": inverse,
    "inverse_sqrt": inverse_sqrt,
    "linear": linear,
    "polynomial": polynomial,
    "cosine": cosine,
    "transformer": transformer,
    "triangular": triangular,
    "exponential_triangular": exponential_triangular,
    "restarts": restarts,
    "one_cycle": one_cycle,
    "torch_one_cycle": torch_one_cycle,
    "stable_decay": stable_decay,
}
"""The shapes by the names that a command line or a Config may use."""
