"""Gradients that are written down beforehand, whatever an optimizer makes of them."""

import numpy as np
from jax.typing import ArrayLike

from jaxml import randomness
from jaxml.types import InputError

__all__ = ["one_large", "over_decades"]


def one_large(steps: int, at: int, size: ArrayLike) -> np.ndarray:
    """gₜ = 1, but for one of another size: after `at` gradients of 1, `[..., step]`.

    Args:
        steps: gradients of a script.
        at: how many gradients of 1 come before.
        size: of the other, `[...]`: one script each.

    Raises:
        InputError: the other gradient lies outside of the script.

    >>> one_large(4, 1, 1e5).tolist()
    [1.0, 100000.0, 1.0, 1.0]
    """
    if not 0 <= at < steps:
        raise InputError(
            f"A script of {steps} gradients has none after {at} others: give more "
            "steps, or let the large one come earlier."
        )
    return np.where(np.arange(steps) == at, np.asarray(size)[..., None], 1.0)


def over_decades(
    scripts: int, steps: int, *, decades: int = 6, seed: int
) -> np.ndarray:
    """gₜ = 10^u with u uniform within `decades` of 0, `[script, step]`.

    Args:
        scripts: how many.
        steps: gradients of a script.
        decades: on both sides of 1.
        seed: of a study, whose first run's seed draws them.
    """
    (first,) = randomness.seeds(seed, 1)
    uniform = np.random.default_rng(first).uniform
    return 10 ** uniform(-decades, decades, (scripts, steps))
