"""Rates that follow the batch size: linear and square-root scaling."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxml.types import Hypers, InputError


def scaled(hypers: Hypers, size: int, *, reference: int, power: float = 1.0) -> Hypers:
    """lr · (size / reference)^power: what holds for one batch size, for another.

    The power 1 is linear scaling: one update by k times as many examples then moves the
    weights as far as k updates, while the gradient stays what it is. The power ½ keeps
    lr² / size, and with it the variance of an update, where gradients are noise. At 0
    the rate is not scaled. For `learn.batch_sweep` and its like, which take
    `size -> grid`: `lambda size: learn.scaled(grid, size, reference=25)`. Nothing else
    is scaled: lengths in updates, such as a warm-up, are not.

    Args:
        hypers: a grid, as `learn.grid` gives it, or one point, with a field `lr`.
        size: the batch size that is to be trained with.
        reference: the batch size for which `hypers` are meant.
        power: of the ratio of sizes.

    Raises:
        InputError: no field `lr`, sizes that are no positive whole numbers, a power
            that is not finite, or a rate that its dtype cannot hold.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.1, for the power 1;
        Krizhevsky 2014, arXiv:1404.5997, and Hoffer, Hubara and Soudry 2017,
        arXiv:1705.08741, section 4, for the power ½.

    >>> from jaxml import learn
    >>> grid = learn.grid(learn.Hyper, lr=[0.25, 0.5])
    >>> scaled(grid, 100, reference=25).lr.tolist()
    [1.0, 2.0]
    >>> scaled(grid, 100, reference=25, power=0.5).lr.tolist()
    [0.5, 1.0]
    """
    named: Any = hypers
    if not hasattr(named, "lr") or not hasattr(named, "_replace"):
        raise InputError(
            f"A {type(hypers).__name__} has no field lr to scale: give a NamedTuple "
            "with one, such as a grid of `learn.Hyper`."
        )
    for name, count in (("size", size), ("reference", reference)):
        if not (math.isfinite(count) and count >= 1 and int(count) == count):
            raise InputError(
                f"A {name} of {count} is no batch size: give a whole number, 1 or more."
            )
    if not math.isfinite(power):
        raise InputError(
            f"The ratio of sizes has no power of {power}: give 1 for linear scaling or "
            "0.5 for its square root."
        )
    return named._replace(lr=_times(named.lr, (size / reference) ** power))


def _times(rates: Any, factor: float) -> np.ndarray:
    """The rates times a factor, in their own dtype, if that holds them."""
    given = np.asarray(rates)
    real = jnp.issubdtype(given.dtype, jnp.floating)
    dtype = given.dtype if real else jnp.result_type(float)
    with np.errstate(over="ignore", under="ignore"):
        found = np.asarray(given.astype(np.float64) * factor).astype(dtype)
    lost = np.isfinite(given) & ~np.isfinite(found) | (given != 0) & (found == 0)
    if np.any(lost):
        raise InputError(
            f"A rate of {given[lost].ravel()[0]:g} times {factor:g} is beyond what "
            f"{dtype} can hold: choose a smaller power, or work inside "
            "`with jax.enable_x64(True):`."
        )
    return found
