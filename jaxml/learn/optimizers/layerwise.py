"""Steps that look at whole layers: their lengths, and their rows and columns."""

from typing import Any

import optax

from jaxml.learn.optimizers import matrix_rules as matrices
from jaxml.learn.optimizers import rules
from jaxml.learn.optimizers.composition import (
    by,
    coupled,
    decoupled,
    remembering_steps,
    within,
)
from jaxml.learn.schedules import Shape, constant

_MUON = matrices.on_matrices(
    rules.in_turn(rules.nesterov_velocity, matrices.orthogonal), matrices.ADAM
)


def lars(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Momentum of gradients that each layer scales to the length of its weights.

    Update: m ← βm + λ(g + weight_decay θ), λ = trust ‖θ‖ / (‖g‖ + weight_decay ‖θ‖); m.

    Reads: lr, warmup, weight_decay, momentum, trust.
    Source: You et al. 2017, arXiv:1708.03888, with the rate outside the momentum, as
    public code has it.
    """
    return within(by(matrices.local_rate, rules.velocity))(hyper, shape)


def lars_inside(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """LARS whose momentum sums steps, each at the rate it was made at.

    Update: m ← βm + rate · λ(g + weight_decay θ), λ as in lars; θ ← θ - m: steps keep
    the rate they were made at.

    Reads: lr, warmup, weight_decay, momentum, trust.
    Source: You et al. 2017, arXiv:1708.03888, algorithm 1.
    """
    return remembering_steps(by(matrices.local_rate), by(rules.velocity))(hyper, shape)


def lamb(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Adam's step, which each layer scales to the length of its weights.

    Update: ‖θ‖ / ‖r‖ r, r = m̂ / (√v̂ + ε) + weight_decay θ.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon.
    Source: You et al. 2020, arXiv:1904.00962, algorithm 2, φ the identity.
    """
    return within(
        by(
            rules.unbiased_average,
            rules.unbiased_root,
            matrices.decay,
            matrices.trust_ratio,
        )
    )(hyper, shape)


def shampoo(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """The gradient between inverse roots of its Kronecker-factored moments.

    Update: L^-¼ g R^-¼, L = εI + Σ g gᵀ and R = εI + Σ gᵀ g; of vectors H^-½ g, H = εI
    + Σ g gᵀ.

    Reads: lr, warmup, weight_decay, epsilon.
    Source: Gupta, Koren and Singer 2018, arXiv:1802.09568, algorithm 1.
    """
    return coupled(by(matrices.kronecker_root))(hyper, shape)


def soap(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Adam in the eigenvectors of Shampoo's moments.

    Update: Adam in the eigenvectors of E[g gᵀ] and E[gᵀ g], rotated every `period`
    updates, + weight_decay θ.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon, period.
    Source: Vyas et al. 2024, arXiv:2409.11321, algorithms 3 and 4. Its code counts a
    period from the second gradient, so rotates its bases one gradient later, and skips
    the first update altogether, where this one already decays.
    """
    return decoupled(by(matrices.kronecker_basis))(hyper, shape)


def muon(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """Momentum, its matrices made orthogonal.

    Update: √max(1, outputs / inputs) · orthogonal(βm + g), m ← βm + g, + weight_decay
    θ; of vectors AdamW.

    Reads: lr, warmup, weight_decay, momentum, second_moment, epsilon.
    Source: Jordan 2024, kellerjordan.github.io/posts/muon, which gives embeddings and
    the last layer to AdamW.
    """
    return decoupled(by(_MUON))(hyper, shape)
