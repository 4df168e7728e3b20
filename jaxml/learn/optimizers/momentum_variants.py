"""Momentum and the common changes of it, each by one number: ablations as one grid."""

from functools import partial
from typing import Any, NamedTuple

import optax

from jaxml.learn.optimizers.gradient_wrappers import clipped
from jaxml.learn.optimizers.momenta import momentum
from jaxml.learn.optimizers.wrappers import averaged
from jaxml.learn.schedules import polynomial


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
