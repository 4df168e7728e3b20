"""Adam's rates within bounds that close: from Adam to gradient descent."""

from typing import Any

import optax

from jaxml.learn.optimizers import bounded_rules, rules
from jaxml.learn.optimizers.composition import by, coupled
from jaxml.learn.schedules import Shape, constant


def adabound(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Adam whose rates are clipped to bounds that close on a final rate.

    Update: clip(lr / (√v + ε), low, high) / √t · m / lr, low and high closing on
    final_lr, which is fixed.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon, final_lr.
    Source: Luo et al. 2019, arXiv:1902.09843, algorithm 2; its rates fall as 1/√t under
    a constant shape.
    """
    return coupled(by(rules.average, bounded_rules.bounded_root))(hyper, shape)


def amsbound(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """AdaBound that scales by the largest mean square so far.

    Update: AdaBound of the largest v so far.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon, final_lr.
    Source: Luo et al. 2019, arXiv:1902.09843, algorithm 3; its rates fall as 1/√t under
    a constant shape.
    """
    return coupled(by(rules.average, bounded_rules.bounded_root_of_largest))(
        hyper, shape
    )


def unbiased_adabound(
    hyper: Any, shape: Shape = constant
) -> optax.GradientTransformation:
    """AdaBound as its authors' code has it, bias corrected.

    Update: clip(lr √(1-β₂ᵗ) / (1-β₁ᵗ) / (√v + ε), low, high) · m / lr, no √t; a
    schedule moves the bounds too.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon, final_lr.
    Source: The authors' code for PyTorch, of Luo et al. 2019, arXiv:1902.09843, its γ
    being 1-β₂.
    """
    return coupled(by(rules.average, bounded_rules.unbiased_bounded_root))(hyper, shape)


def unbiased_amsbound(
    hyper: Any, shape: Shape = constant
) -> optax.GradientTransformation:
    """AMSBound as its authors' code has it, bias corrected.

    Update: The port's AdaBound of the largest v so far.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon, final_lr.
    Source: The authors' code for PyTorch, of Luo et al. 2019, arXiv:1902.09843, its γ
    being 1-β₂.
    """
    return coupled(by(rules.average, bounded_rules.unbiased_bounded_root_of_largest))(
        hyper, shape
    )
