"""Hyperparameters: traced numbers, a grid of them, and the one check that they make
sense.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxml.types import Hypers, InputError


class Hyper(NamedTuple):
    """What the optimizers of this room read. Every field may be traced, and vmapped.

    Attributes:
        lr: the peak learning rate.
        momentum: how much of the last step is kept; Adam's β₁.
        second_moment: how much of the last mean square is kept; Adam's β₂, RMSProp's α.
        epsilon: added to the root of the mean square.
        weight_decay: added to the gradient as weight_decay · θ, or to the step where it
            is decoupled.
        horizon: the length of the schedule in updates; 0 is none, which only a shape
            that reads none accepts.
        warmup: the length of the warm-up in updates; 0 is none.
        period: updates between two meetings: Lookahead's k, SAM's 2, an average's
            points, SOAP's rotations.
        pull: Lookahead's α, how far a slow step goes.
        radius: SAM's ρ, the length of its climb.
        average_from: the update from which weights are averaged.
        clip: gradients are shortened to this length.
        noise: variance of the noise on the first gradient.
        trust: LARS's η, a layer's rate over ‖θ‖/‖g‖.
        final_lr: the rate to which AdaBound's bounds close: 0.1 in its paper, whatever
            lr.
        tolerance: of the rate that SWATS waits for.
        seed: of initialisation, batches and noise.
    """

    lr: Any
    momentum: Any = 0.9
    second_moment: Any = 0.999
    epsilon: Any = 1e-8
    weight_decay: Any = 0.0
    horizon: Any = 0.0
    warmup: Any = 0.0
    period: Any = 5
    pull: Any = 0.5
    radius: Any = 0.05
    average_from: Any = 1
    clip: Any = 1.0
    noise: Any = 0.0
    trust: Any = 1e-3
    final_lr: Any = 0.1
    tolerance: Any = 1e-9
    seed: Any = 0


_FRACTION = (lambda x: (x >= 0) & (x < 1), "must lie in [0, 1)")
_NOT_NEGATIVE = (lambda x: x >= 0, "must not be negative")
_UNIT = (lambda x: (x >= 0) & (x <= 1), "must lie in [0, 1]")
_POSITIVE = (lambda x: x > 0, "must be positive")
_COUNT = (lambda x: (x > 0) & (x == np.floor(x)), "must be a positive whole number")
_SEED = (
    lambda x: (x >= 0) & (x == np.floor(x)),
    "must be a whole number that is not negative",
)

RULES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "lr": _NOT_NEGATIVE,
    "momentum": _FRACTION,
    "second_moment": _FRACTION,
    "epsilon": _NOT_NEGATIVE,
    "weight_decay": _NOT_NEGATIVE,
    "horizon": _NOT_NEGATIVE,
    "warmup": _NOT_NEGATIVE,
    "period": _COUNT,
    "pull": _UNIT,
    "radius": _NOT_NEGATIVE,
    "average_from": _COUNT,
    "clip": _POSITIVE,
    "noise": _NOT_NEGATIVE,
    "trust": _POSITIVE,
    "final_lr": _POSITIVE,
    "tolerance": _NOT_NEGATIVE,
    "seed": _SEED,
}
"""What a field of that name must satisfy, and the words that say so."""


def validate(hyper: Hypers) -> Hypers:
    """Returns `hyper` when every field makes sense; call it on concrete numbers, before
    tracing.

    Any NamedTuple will do: fields are finite numbers, and those with a name in `RULES`
    obey their rule.

    Raises:
        InputError: a field holds what is no number, is empty, not finite, or breaks its
            rule; or the warm-up outlasts the horizon.
    """
    fields = {name: _numbers(name, value) for name, value in _fields(hyper).items()}
    for name, values in fields.items():
        if values.size == 0:
            raise InputError(f"{name} has no values: give at least one.")
        if not np.all(np.isfinite(values)):
            raise InputError(
                f"{name} must be finite, not {values[~np.isfinite(values)][0]}: "
                "correct or drop it."
            )
        holds, words = RULES.get(name, (lambda x: x == x, ""))
        if not np.all(holds(values)):
            raise InputError(
                f"{name} {words}, not {values[~holds(values)][0]:g}: correct or drop "
                "it."
            )
    if {"warmup", "horizon"} <= fields.keys():
        horizon, rise = _together(fields["horizon"], fields["warmup"])
        late = (rise > horizon) & (horizon > 0)
        if np.any(late):
            raise InputError(
                f"a warm-up of {rise[late][0]:g} updates outlasts the horizon of "
                f"{horizon[late][0]:g}: shorten it, or train longer."
            )
    return hyper


def _fields(hyper: Any) -> dict[str, Any]:
    """The fields of a NamedTuple by name."""
    if not hasattr(hyper, "_asdict"):
        raise InputError(
            f"A {type(hyper).__name__} has no fields to look at: give a NamedTuple, "
            "such as `learn.Hyper`."
        )
    return hyper._asdict()


def _together(horizon: np.ndarray, rise: np.ndarray) -> list[np.ndarray]:
    """Both, one a run."""
    if horizon.size != rise.size and 1 not in (horizon.size, rise.size):
        raise InputError(
            f"horizon has {horizon.size} numbers and warmup {rise.size}: make the grid "
            "by `learn.grid`, which gives each field one number a run."
        )
    return list(np.broadcast_arrays(horizon, rise))


def _numbers(name: str, value: Any) -> np.ndarray:
    """The field as an array, if it holds real numbers."""
    numbers = np.atleast_1d(np.asarray(value))
    real = any(
        np.issubdtype(numbers.dtype, kind)
        for kind in (np.bool_, np.integer, np.floating)
    )
    if not real and not _is_narrow(numbers.dtype):
        raise InputError(
            f"{name} holds {numbers.dtype} where numbers belong: correct or drop it."
        )
    return numbers


def _is_narrow(dtype: Any) -> bool:
    """Whether it is one of JAX's own floating-point types, which NumPy does not count
    among them.
    """
    return bool(jnp.issubdtype(dtype, jnp.floating))
