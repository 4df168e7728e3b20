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

Each says in its docstring its update, as the step u of θ ← θ - rate · u, g being the
gradient of the loss, with weight decay where it is coupled; and what it reads, in
`learn.Hyper`'s names. `horizon` comes with a shape that reads it. Arithmetic and memory
are float32 or wider, updates have the parameters' dtype.
"""

from jaxml.learn.optimizers.adaptive import (
    adadelta,
    adagrad,
    adam,
    adamw,
    amsgrad,
    mean_square_adagrad,
    nadam,
    radam,
    radam_above_four,
    rmsprop,
    rmsprop_inside,
    unbiased_amsgrad,
)
from jaxml.learn.optimizers.bounded import (
    adabound,
    amsbound,
    unbiased_adabound,
    unbiased_amsbound,
)
from jaxml.learn.optimizers.layerwise import (
    lamb,
    lars,
    lars_inside,
    muon,
    shampoo,
    soap,
)
from jaxml.learn.optimizers.momenta import (
    averaged_momentum,
    averaged_nag,
    lion,
    momentum,
    nag,
    sgd,
    sgdw,
)
from jaxml.learn.optimizers.rates import ShapedFamily
from jaxml.learn.optimizers.self_tuned import prodigy, swats

_FAMILIES = (
    sgd,
    momentum,
    averaged_momentum,
    nag,
    averaged_nag,
    adagrad,
    mean_square_adagrad,
    rmsprop,
    rmsprop_inside,
    adadelta,
    adam,
    nadam,
    amsgrad,
    unbiased_amsgrad,
    adabound,
    amsbound,
    unbiased_adabound,
    unbiased_amsbound,
    radam,
    radam_above_four,
    swats,
    sgdw,
    adamw,
    lars,
    lars_inside,
    lamb,
    lion,
    shampoo,
    soap,
    muon,
    prodigy,
)

OPTIMIZERS: dict[str, ShapedFamily] = {family.__name__: family for family in _FAMILIES}
"""The families by the names that a command line or a Config may use; `learn.wrappers`
go around any.
"""
