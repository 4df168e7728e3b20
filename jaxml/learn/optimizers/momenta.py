"""What a gradient becomes by momentum alone: sums, means and signs of past
gradients.
"""

from typing import Any

import optax

from jaxml.learn.optimizers import rules
from jaxml.learn.optimizers.composition import by, coupled, decoupled
from jaxml.learn.schedules import Shape, constant


def sgd(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Stochastic gradient descent: θ ← θ - rate · g.

    Reads: lr, warmup, weight_decay.
    Source: Robbins and Monro 1951.
    """
    return coupled(by())(hyper, shape)


def momentum(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Heavy-ball momentum: a sum of past gradients that fades by β.

    Update: m ← βm + g; m.

    Reads: lr, warmup, weight_decay, momentum.
    Source: Polyak 1964.
    """
    return coupled(by(rules.velocity))(hyper, shape)


def averaged_momentum(
    hyper: Any, shape: Shape = constant
) -> optax.GradientTransformation:
    """Momentum as a moving mean of gradients.

    Update: m ← βm + (1-β)g; m.

    Reads: lr, warmup, weight_decay, momentum.
    Source: Kingma and Ba 2015, arXiv:1412.6980, the m of algorithm 1.
    """
    return coupled(by(rules.average))(hyper, shape)


def nag(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Nesterov's accelerated gradient: the gradient where momentum leads.

    Update: m ← βm + g; βm + g: the gradient is taken where momentum leads.

    Reads: lr, warmup, weight_decay, momentum.
    Source: Nesterov 1983, as in Bengio et al. 2012, arXiv:1212.0901, equation 7.
    """
    return coupled(by(rules.nesterov_velocity))(hyper, shape)


def averaged_nag(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Nesterov's momentum as a moving mean of gradients.

    Update: m ← βm + (1-β)g; βm + (1-β)g.

    Reads: lr, warmup, weight_decay, momentum.
    Source: Dozat 2016, algorithm 2 without correction.
    """
    return coupled(by(rules.nesterov_average))(hyper, shape)


def sgdw(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Momentum, with weight decay beside it.

    Update: m ← βm + g; m + weight_decay θ.

    Reads: lr, warmup, weight_decay, momentum.
    Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 1, with the rate
    outside the velocity.
    """
    return decoupled(by(rules.velocity))(hyper, shape)


def lion(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """The sign of an interpolation between the mean gradient and the gradient.

    Update: sign(β₁m + (1-β₁)g) + weight_decay θ, then m ← β₂m + (1-β₂)g.

    Reads: lr, warmup, weight_decay, momentum, second_moment.
    Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.
    """
    return decoupled(by(rules.interpolation, rules.sign))(hyper, shape)
