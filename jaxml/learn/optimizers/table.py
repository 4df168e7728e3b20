"""Every optimizer is momentum, a scaling, a decay and a rate: the course's history as a
table.

A *family* is `(hyper, shape) -> optax.GradientTransformation`, called inside the traced
function, so a whole grid of hyperparameters is one compilation. It is a sequence of
rules for how momentum is formed and how the step is scaled; weight decay enters before
them (L2) or after them (decoupled); the rate moves by a schedule. Conventions are those
of the papers: accumulators start at 0, ε stands outside the root; but the rate stands
outside the momentum. Where public code differs from its paper, both are here, by two
names: `adabound` and `amsgrad` are the papers', `unbiased_adabound` and
`unbiased_amsgrad` the ports'.

Each says in its docstring what it reads, in `learn.Hyper`'s names; `horizon` comes with
a shape that reads it. Arithmetic and memory are float32 or wider, updates have the
parameters' dtype.
"""

from jaxml.learn.optimizers import bounded_rules, rules
from jaxml.learn.optimizers import matrix_rules as matrices
from jaxml.learn.optimizers.composition import (
    by,
    coupled,
    decoupled,
    described,
    remembering_steps,
    within,
)
from jaxml.learn.optimizers.rates import Family
from jaxml.learn.optimizers.self_tuned import prodigy, swats

_MUON = matrices.on_matrices(
    rules.in_turn(rules.nesterov_velocity, matrices.orthogonal), matrices.ADAM
)

# g: the gradient of the loss, with weight decay where it is coupled. θ ← θ - rate ·
# what the law says.
sgd = described("sgd", coupled(by()), "g.", "", "Robbins and Monro 1951.")
momentum = described(
    "momentum",
    coupled(by(rules.velocity)),
    "m ← βm + g; m.",
    "momentum",
    "Polyak 1964.",
)
averaged_momentum = described(
    "averaged_momentum",
    coupled(by(rules.average)),
    "m ← βm + (1-β)g; m.",
    "momentum",
    "Kingma and Ba 2015, arXiv:1412.6980, the m of algorithm 1.",
)
nag = described(
    "nag",
    coupled(by(rules.nesterov_velocity)),
    "m ← βm + g; βm + g: the gradient is taken where momentum leads.",
    "momentum",
    "Nesterov 1983, as in Bengio et al. 2012, arXiv:1212.0901, equation 7.",
)
averaged_nag = described(
    "averaged_nag",
    coupled(by(rules.nesterov_average)),
    "m ← βm + (1-β)g; βm + (1-β)g.",
    "momentum",
    "Dozat 2016, algorithm 2 without correction.",
)
adagrad = described(
    "adagrad",
    coupled(by(rules.root_of_sum)),
    "g / (√Σg² + ε).",
    "epsilon",
    "Duchi, Hazan and Singer 2011, the diagonal form.",
)
mean_square_adagrad = described(
    "mean_square_adagrad",
    coupled(by(rules.root_of_mean)),
    "g / (√mean g² + ε), the mean over all gradients so far: what the course calls "
    "Adagrad.",
    "epsilon",
    "Mukkamala and Hein 2017, arXiv:1706.05507, section 4, with β = 1 - 1/t.",
)
rmsprop = described(
    "rmsprop",
    coupled(by(rules.root_of_moving_mean)),
    "v ← β₂v + (1-β₂)g²; g / (√v + ε).",
    "second_moment, epsilon",
    "Tieleman and Hinton 2012, as PyTorch has it.",
)
rmsprop_inside = described(
    "rmsprop_inside",
    coupled(by(rules.root_of_moving_mean_and_epsilon)),
    "v ← β₂v + (1-β₂)g²; g / √(v + ε).",
    "second_moment, epsilon",
    "Tieleman and Hinton 2012, as TensorFlow and Optax have it.",
)
adadelta = described(
    "adadelta",
    coupled(by(rules.ratio_of_moving_means)),
    "√(E[Δ²] + ε) / √(E[g²] + ε) g, Δ the steps so far, before the rate.",
    "second_moment, epsilon",
    "Zeiler 2012, arXiv:1212.5701, algorithm 1.",
)
adam = described(
    "adam",
    coupled(by(rules.unbiased_average, rules.unbiased_root)),
    "m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g²; m̂ / (√v̂ + ε), m̂ = m / (1-β₁ᵗ), v̂ = v "
    "/ (1-β₂ᵗ).",
    "momentum, second_moment, epsilon",
    "Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.",
)
nadam = described(
    "nadam",
    coupled(by(rules.unbiased_nesterov_average, rules.unbiased_root)),
    "(β₁m / (1-β₁ᵗ⁺¹) + (1-β₁)g / (1-β₁ᵗ)) / (√v̂ + ε), m and v as in Adam, β₁ "
    "constant.",
    "momentum, second_moment, epsilon",
    "Dozat 2016, algorithm 2.",
)
amsgrad = described(
    "amsgrad",
    coupled(by(rules.average, rules.root_of_largest)),
    "m / (√max v + ε), m and v as in Adam, the maximum over all v so far.",
    "momentum, second_moment, epsilon",
    "Reddi, Kale and Kumar 2018, arXiv:1904.09237, algorithm 2, which corrects no "
    "bias.",
)
unbiased_amsgrad = described(
    "unbiased_amsgrad",
    coupled(by(rules.unbiased_average, rules.unbiased_root_of_largest)),
    "m̂ / (√(max v / (1-β₂ᵗ)) + ε): AMSGrad with Adam's correction.",
    "momentum, second_moment, epsilon",
    "PyTorch's AMSGrad, of Reddi, Kale and Kumar 2018, arXiv:1904.09237.",
)
adabound = described(
    "adabound",
    coupled(by(rules.average, bounded_rules.bounded_root)),
    "clip(lr / (√v + ε), low, high) / √t · m / lr, low and high closing on final_lr, "
    "which is fixed.",
    "momentum, second_moment, epsilon, final_lr",
    "Luo et al. 2019, arXiv:1902.09843, algorithm 2; its rates fall as 1/√t under a "
    "constant shape.",
)
amsbound = described(
    "amsbound",
    coupled(by(rules.average, bounded_rules.bounded_root_of_largest)),
    "AdaBound of the largest v so far.",
    "momentum, second_moment, epsilon, final_lr",
    "Luo et al. 2019, arXiv:1902.09843, algorithm 3; its rates fall as 1/√t under a "
    "constant shape.",
)
unbiased_adabound = described(
    "unbiased_adabound",
    coupled(by(rules.average, bounded_rules.unbiased_bounded_root)),
    "clip(lr √(1-β₂ᵗ) / (1-β₁ᵗ) / (√v + ε), low, high) · m / lr, no √t; a schedule "
    "moves the bounds too.",
    "momentum, second_moment, epsilon, final_lr",
    "The authors' code for PyTorch, of Luo et al. 2019, arXiv:1902.09843, its γ being "
    "1-β₂.",
)
unbiased_amsbound = described(
    "unbiased_amsbound",
    coupled(by(rules.average, bounded_rules.unbiased_bounded_root_of_largest)),
    "The port's AdaBound of the largest v so far.",
    "momentum, second_moment, epsilon, final_lr",
    "The authors' code for PyTorch, of Luo et al. 2019, arXiv:1902.09843, its γ being "
    "1-β₂.",
)
radam = described(
    "radam",
    coupled(by(rules.unbiased_average, rules.rectified_root)),
    "r m̂ / (√v̂ + ε) once the averages' length ρ is 5 or more, m̂ before.",
    "momentum, second_moment, epsilon",
    "The authors' code, of Liu et al. 2020, arXiv:1908.03265; PyTorch has ρ > 5.",
)
radam_above_four = described(
    "radam_above_four",
    coupled(by(rules.unbiased_average, rules.rectified_root_above_four)),
    "r m̂ / (√v̂ + ε) once the averages' length ρ is more than 4, m̂ before.",
    "momentum, second_moment, epsilon",
    "Liu et al. 2020, arXiv:1908.03265, algorithm 2.",
)
sgdw = described(
    "sgdw",
    decoupled(by(rules.velocity)),
    "m ← βm + g; m + weight_decay θ.",
    "momentum",
    "Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 1, with the rate outside "
    "the velocity.",
)
adamw = described(
    "adamw",
    decoupled(by(rules.unbiased_average, rules.unbiased_root)),
    "m̂ / (√v̂ + ε) + weight_decay θ.",
    "momentum, second_moment, epsilon",
    "Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2, the decay multiplied "
    "by the rate.",
)
lars = described(
    "lars",
    within(by(matrices.local_rate, rules.velocity)),
    "m ← βm + λ(g + weight_decay θ), λ = trust ‖θ‖ / (‖g‖ + weight_decay ‖θ‖); m.",
    "momentum, trust",
    "You et al. 2017, arXiv:1708.03888, with the rate outside the momentum, as public "
    "code has it.",
)
lars_inside = described(
    "lars_inside",
    remembering_steps(by(matrices.local_rate), by(rules.velocity)),
    "m ← βm + rate · λ(g + weight_decay θ), λ as in lars; θ ← θ - m: steps keep the "
    "rate they were made at.",
    "momentum, trust",
    "You et al. 2017, arXiv:1708.03888, algorithm 1.",
)
lamb = described(
    "lamb",
    within(
        by(
            rules.unbiased_average,
            rules.unbiased_root,
            matrices.decay,
            matrices.trust_ratio,
        )
    ),
    "‖θ‖ / ‖r‖ r, r = m̂ / (√v̂ + ε) + weight_decay θ.",
    "momentum, second_moment, epsilon",
    "You et al. 2020, arXiv:1904.00962, algorithm 2, φ the identity.",
)
lion = described(
    "lion",
    decoupled(by(rules.interpolation, rules.sign)),
    "sign(β₁m + (1-β₁)g) + weight_decay θ, then m ← β₂m + (1-β₂)g.",
    "momentum, second_moment",
    "Chen et al. 2023, arXiv:2302.06675, algorithm 2.",
)
shampoo = described(
    "shampoo",
    coupled(by(matrices.kronecker_root)),
    "L^-¼ g R^-¼, L = εI + Σ g gᵀ and R = εI + Σ gᵀ g; of vectors H^-½ g, H = εI + Σ "
    "g gᵀ.",
    "epsilon",
    "Gupta, Koren and Singer 2018, arXiv:1802.09568, algorithm 1.",
)
soap = described(
    "soap",
    decoupled(by(matrices.kronecker_basis)),
    "Adam in the eigenvectors of E[g gᵀ] and E[gᵀ g], turned every `period` updates, "
    "+ weight_decay θ.",
    "momentum, second_moment, epsilon, period",
    "Vyas et al. 2024, arXiv:2409.11321, algorithms 3 and 4. Its code counts a period "
    "from the second gradient, so turns its bases one gradient later, and skips the "
    "first update altogether, where this one already decays.",
)
muon = described(
    "muon",
    decoupled(by(_MUON)),
    "√max(1, outputs / inputs) · orthogonal(βm + g), m ← βm + g, + weight_decay θ; of "
    "vectors AdamW.",
    "momentum, second_moment, epsilon",
    "Jordan 2024, kellerjordan.github.io/posts/muon, which gives embeddings and the "
    "last layer to AdamW.",
)

OPTIMIZERS: dict[str, Family] = {
    family.__name__: family
    for family in (
        *(sgd, momentum, averaged_momentum, nag, averaged_nag),
        *(adagrad, mean_square_adagrad, rmsprop, rmsprop_inside, adadelta),
        *(
            adam,
            nadam,
            amsgrad,
            unbiased_amsgrad,
            adabound,
            amsbound,
            unbiased_adabound,
            unbiased_amsbound,
        ),
        *(radam, radam_above_four, swats, sgdw, adamw, lars, lars_inside, lamb, lion),
        *(shampoo, soap, muon, prodigy),
    )
}
"""The families by the names that a command line or a Config may use; `learn.wrappers`
go around any.
"""
