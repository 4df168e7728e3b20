"""What is done to large batches: rates that follow the size, and changes of momentum,
each by one number, so that an ablation is one grid.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from jaxml.learn.optimizers.gradient_wrappers import clipped
from jaxml.learn.optimizers.momenta import momentum
from jaxml.learn.optimizers.wrappers import averaged
from jaxml.learn.schedules import polynomial
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


class Variant(NamedTuple):
    """Hyperparameters of `varied_momentum`: by default plain momentum at a constant
    rate.

    Attributes:
        lr: the peak learning rate.
        momentum: how much of the last step is kept.
        weight_decay: added to the gradient as weight_decay · θ.
        warmup: the length of the warm-up in updates.
        fall: the power by which the rate falls to 0 over the horizon; 0 is none, 1 a
            straight line.
        horizon: the length of the run in updates, which always has to be given.
        clip: gradients are shortened to this length; the default is beyond all.
        average_from: the update from which weights are averaged; the default is beyond
            all.
        period: updates between two averaged points.
        seed: of initialisation and batches.
    """

    lr: Any
    momentum: Any = 0.9
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    fall: Any = 0.0
    horizon: Any = 0.0
    clip: Any = 1e30
    average_from: Any = 2**31 - 1
    period: Any = 1
    seed: Any = 0


def varied_momentum(hyper: Any) -> optax.GradientTransformation:
    """Momentum at rate lr · (1 - t / horizon)^fall after a warm-up, its gradients
    clipped and its weights averaged.

    So techniques are compared as points of one grid, hence one compilation, each of
    which differs from plain momentum in one number; what is left at its default changes
    no bit of the weights.

    Reads: lr, warmup, fall, horizon, weight_decay, momentum, clip, average_from,
    period.
    Source: of each, see `momentum`, `warmup`, `polynomial`, `clipped` and `averaged`.

    >>> from jaxml import learn
    >>> rates, runs = [0.1, 0.2], 100
    >>> plain = learn.grid(Variant, lr=rates, horizon=runs)
    >>> falling = learn.grid(Variant, lr=rates, horizon=runs, fall=1)
    >>> len(learn.joined([plain, falling]).lr)
    4
    """
    falling = partial(momentum, shape=partial(polynomial, power=hyper.fall))
    return averaged(clipped(falling))(hyper)
