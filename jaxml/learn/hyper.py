"""Hyperparameters: traced numbers, a grid of them, and the one check that they make sense."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxml.types import InputError


class Hyper(NamedTuple):
    """What the optimizers of this room read. Every field may be traced, and vmapped.

    Attributes:
        lr: the peak learning rate.
        momentum: how much of the last step is kept; Adam's β₁.
        second_moment: how much of the last mean square is kept; Adam's β₂, RMSProp's α.
        epsilon: added to the root of the mean square.
        weight_decay: added to the gradient as weight_decay · θ, or to the step where it is decoupled.
        horizon: the length of the schedule in updates.
        warmup: the length of the warm-up in updates; 0 is none.
        period: updates between two meetings: Lookahead's k, SAM's 2, an average's points, SOAP's turns.
        pull: Lookahead's α, how far a slow step goes.
        radius: SAM's ρ, the length of its climb.
        average_from: the update from which weights are averaged.
        clip: gradients are shortened to this length.
        noise: variance of the noise on the first gradient.
        trust: LARS's η, a layer's rate over ‖θ‖/‖g‖.
        final_lr: the rate to which AdaBound's bounds close.
        tolerance: of the rate that SWATS waits for.
        seed: of initialisation, batches and noise.
    """

    lr: Any
    momentum: Any = 0.9
    second_moment: Any = 0.999
    epsilon: Any = 1e-8
    weight_decay: Any = 0.0
    horizon: Any = 1.0
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
_POSITIVE = (lambda x: x > 0, "must be positive")

RULES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "lr": _NOT_NEGATIVE,
    "momentum": _FRACTION,
    "second_moment": _FRACTION,
    "epsilon": _NOT_NEGATIVE,
    "weight_decay": _NOT_NEGATIVE,
    "horizon": _POSITIVE,
    "warmup": _NOT_NEGATIVE,
    "period": _POSITIVE,
    "pull": (lambda x: (x >= 0) & (x <= 1), "must lie in [0, 1]"),
    "radius": _NOT_NEGATIVE,
    "average_from": _POSITIVE,
    "clip": _POSITIVE,
    "noise": _NOT_NEGATIVE,
    "trust": _POSITIVE,
    "final_lr": _POSITIVE,
    "tolerance": _NOT_NEGATIVE,
    "seed": _NOT_NEGATIVE,
}
"""What a field of that name must satisfy, and the words that say so."""


def validate(hyper: Any) -> Any:
    """Returns `hyper` when every field makes sense; call it on concrete numbers, before tracing.

    Any NamedTuple will do: fields are finite numbers, and those with a name in `RULES` obey their rule.

    Raises:
        InputError: a field is empty, not finite, or breaks its rule; or the warm-up outlasts the horizon.
    """
    fields = {name: np.atleast_1d(np.asarray(value)) for name, value in hyper._asdict().items()}
    for name, values in fields.items():
        if values.size == 0:
            raise InputError(f"{name} has no values: give at least one.")
        if not np.all(np.isfinite(values)):
            raise InputError(
                f"{name} must be finite, not {values[~np.isfinite(values)][0]}: correct or drop it."
            )
        holds, words = RULES.get(name, (lambda x: x == x, ""))
        if not np.all(holds(values)):
            raise InputError(f"{name} {words}, not {values[~holds(values)][0]:g}: correct or drop it.")
    if {"warmup", "horizon"} <= fields.keys():
        horizon, rise = np.broadcast_arrays(fields["horizon"], fields["warmup"])
        late = (rise > horizon) & (horizon > 1)
        if np.any(late):
            raise InputError(
                f"a warm-up of {rise[late][0]:g} updates outlasts the horizon of {horizon[late][0]:g}: "
                "shorten it, or train longer."
            )
    return hyper


def grid(kind: Any, **axes: Any) -> Any:
    """Every combination of the given values, as one `kind` whose fields are arrays `[lanes]`.

    Lanes come in C order of the keywords, so results reshape to the lengths of the axes; fields not
    named keep their default.

    >>> grid(Hyper, lr=[0.1, 0.2], seed=range(3)).seed.tolist()
    [0, 1, 2, 0, 1, 2]

    Raises:
        InputError: an axis is empty, unknown, or breaks a rule of `validate`.
    """
    known = kind._fields
    unknown = sorted(axes.keys() - set(known))
    if unknown:
        raise InputError(f"{unknown[0]} is no hyperparameter here: choose among {', '.join(known)}.")
    missing = [name for name in known if name not in axes and name not in kind._field_defaults]
    if missing:
        raise InputError(f"{missing[0]} has no default: give it at least one value.")
    values = {name: list(np.atleast_1d(axis)) for name, axis in axes.items()}
    empty = [name for name, axis in values.items() if not axis]
    if empty:
        raise InputError(f"the axis {empty[0]} of the grid is empty: give at least one value.")
    lanes = list(itertools.product(*values.values()))
    columns = dict(zip(values, zip(*lanes, strict=True), strict=True)) if axes else {}
    full = kind(**columns)._asdict()
    return validate(kind(**{name: _column(kind, name, value, len(lanes)) for name, value in full.items()}))


def _column(kind: Any, name: str, value: Any, lanes: int) -> np.ndarray:
    """One value a lane; int32 for fields that are whole by default or annotation, else floating point."""
    whole = isinstance(kind._field_defaults.get(name), int) or kind.__annotations__.get(name) is int
    dtype = np.int32 if whole else jnp.result_type(float)
    return np.array(np.broadcast_to(np.asarray(value, dtype), (lanes,)))
