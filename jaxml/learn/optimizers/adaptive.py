"""Gradients scaled coordinate by coordinate, by their own mean squares."""

from typing import Any

import optax

from jaxml.learn.optimizers import rules
from jaxml.learn.optimizers.composition import by, coupled, decoupled
from jaxml.learn.schedules import Shape, constant


def adagrad(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """The gradient over the root of the sum of all squared gradients.

    Update: g / (√Σg² + ε).

    Reads: lr, warmup, weight_decay, epsilon.
    Source: Duchi, Hazan and Singer 2011, the diagonal form.
    """
    return coupled(by(rules.root_of_sum))(hyper, shape)


def mean_square_adagrad(
    hyper: Any, shape: Shape = constant
) -> optax.GradientTransformation:
    """The gradient over the root of the mean of all squared gradients.

    Update: g / (√mean g² + ε), the mean over all gradients so far: what the course
    calls Adagrad.

    Reads: lr, warmup, weight_decay, epsilon.
    Source: Mukkamala and Hein 2017, arXiv:1706.05507, section 4, with β = 1 - 1/t.
    """
    return coupled(by(rules.root_of_mean))(hyper, shape)


def rmsprop(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """The gradient over a moving root mean square, ε outside the root.

    Update: v ← β₂v + (1-β₂)g²; g / (√v + ε).

    Reads: lr, warmup, weight_decay, second_moment, epsilon.
    Source: Tieleman and Hinton 2012, as PyTorch has it.
    """
    return coupled(by(rules.root_of_moving_mean))(hyper, shape)


def rmsprop_inside(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """The gradient over a moving root mean square, ε inside the root.

    Update: v ← β₂v + (1-β₂)g²; g / √(v + ε).

    Reads: lr, warmup, weight_decay, second_moment, epsilon.
    Source: Tieleman and Hinton 2012, as TensorFlow and Optax have it.
    """
    return coupled(by(rules.root_of_moving_mean_and_epsilon))(hyper, shape)


def adadelta(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """The gradient over its root mean square, times that of past steps.

    Update: √(E[Δ²] + ε) / √(E[g²] + ε) g, Δ the steps so far, before the rate.

    Reads: lr, warmup, weight_decay, second_moment, epsilon.
    Source: Zeiler 2012, arXiv:1212.5701, algorithm 1.
    """
    return coupled(by(rules.ratio_of_moving_means))(hyper, shape)


def adam(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """The moving mean gradient over the moving root mean square, both unbiased.

    Update: m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g²; m̂ / (√v̂ + ε), m̂ = m / (1-β₁ᵗ), v̂
    = v / (1-β₂ᵗ).

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon.
    Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.
    """
    return coupled(by(rules.unbiased_average, rules.unbiased_root))(hyper, shape)


def nadam(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Adam whose mean looks one gradient ahead, as Nesterov's does.

    Update: (β₁m / (1-β₁ᵗ⁺¹) + (1-β₁)g / (1-β₁ᵗ)) / (√v̂ + ε), m and v as in Adam, β₁
    constant.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon.
    Source: Dozat 2016, algorithm 2.
    """
    return coupled(by(rules.unbiased_nesterov_average, rules.unbiased_root))(
        hyper, shape
    )


def amsgrad(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Adam that scales by the largest mean square so far, no bias corrected.

    Update: m / (√max v + ε), m and v as in Adam, the maximum over all v so far.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon.
    Source: Reddi, Kale and Kumar 2018, arXiv:1904.09237, algorithm 2, which corrects no
    bias.
    """
    return coupled(by(rules.average, rules.root_of_largest))(hyper, shape)


def unbiased_amsgrad(
    hyper: Any, shape: Shape = constant
) -> optax.GradientTransformation:
    """Adam that scales by the largest mean square so far, bias corrected.

    Update: m̂ / (√(max v / (1-β₂ᵗ)) + ε): AMSGrad with Adam's correction.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon.
    Source: PyTorch's AMSGrad, of Reddi, Kale and Kumar 2018, arXiv:1904.09237.
    """
    return coupled(by(rules.unbiased_average, rules.unbiased_root_of_largest))(
        hyper, shape
    )


def radam(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Adam rectified while its averages are short, from a length of 5 on.

    Update: r m̂ / (√v̂ + ε) once the averages' length ρ is 5 or more, m̂ before.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon.
    Source: The authors' code, of Liu et al. 2020, arXiv:1908.03265; PyTorch has ρ > 5.
    """
    return coupled(by(rules.unbiased_average, rules.rectified_root))(hyper, shape)


def radam_above_four(
    hyper: Any, shape: Shape = constant
) -> optax.GradientTransformation:
    """Adam rectified while its averages are short, from more than 4 on.

    Update: r m̂ / (√v̂ + ε) once the averages' length ρ is more than 4, m̂ before.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon.
    Source: Liu et al. 2020, arXiv:1908.03265, algorithm 2.
    """
    return coupled(by(rules.unbiased_average, rules.rectified_root_above_four))(
        hyper, shape
    )


def adamw(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Adam, with weight decay beside it.

    Update: m̂ / (√v̂ + ε) + weight_decay θ.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon.
    Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2, the decay
    multiplied by the rate.
    """
    return decoupled(by(rules.unbiased_average, rules.unbiased_root))(hyper, shape)
