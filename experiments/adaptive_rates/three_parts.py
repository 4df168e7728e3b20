"""Is every optimizer of the course a momentum, a divisor and a schedule?

The course sums up: θ ← θ - ηₜ mₜ/σₜ, where optimizers differ in how m, σ and η are
made. Were m any function, every rule would be of that form. So here mₜ is a sum of the
gradients so far with weights that do not depend on them; σₜ is made of their sizes, of
constants and of t; and ηₜ of t alone. Each optimizer is assembled anew in NumPy from
three such parts. Assembled and named optimizers take 300 steps on the same random
gradients, of scales from 1e-3 to 1e3, at a warmed-up and falling rate; the sentence is
false of an optimizer whose steps differ by more than rounding. The sums of the
assembled ones are over all earlier gradients, as the definitions have them, and share
no code with the rules, which go from update to update. That their parts have the form
is checked as well: m must be linear in the gradients, and σ blind to their signs.

Three findings decide. Those of the main lecture: gradient descent, momentum, the
course's Adagrad, RMSProp and Adam. Those of its extra lecture without decoupled decay:
Adagrad as published, Nesterov's momentum in the form that keeps no second copy of the
weights, AMSGrad, AdaBound, Nadam and RAdam. And SGDW and AdamW, whose decay bypasses m
and σ. Of these the sentence could be saved by taking the decay for a part of the
gradient, so that they are compared with momentum and Adam of both gradients, that of
the loss and that of loss and penalty: they must differ from both. Control: momentum
with an L2 penalty, which is of the form by the second reading.

Errors are relative to the largest step of the script. Steps are differences of weights
of about 1, which rounds small ones by about 1e-12 of their length; 1e-9 is far above
that, and far below any other rule.

RAdam is that of its authors' code, which waits for ρ of 5 where algorithm 2 has 4; an ε
is added to the divisors of AMSGrad and AdaBound, which have none in print. Momentum is
a sum of gradients; the course's is one of steps, each at its own rate.

Not tested: rules of more than one step or of a switch (Lookahead, SWATS), other
schedules, and whether it matters how one divides an optimizer into parts.

Claims: C088.
Sources: Polyak 1964; Nesterov 1983; Duchi, Hazan and Singer 2011; Tieleman and Hinton
    2012; Kingma and Ba 2015, arXiv:1412.6980; Reddi et al. 2018, arXiv:1904.09237; Luo
    et al. 2019, arXiv:1902.09843; Dozat 2016; Liu et al. 2020, arXiv:1908.03265;
    Loshchilov and Hutter 2019, arXiv:1711.05101.
Cost: 8 seconds on 2 cores, compilation included.
Expect: so are all of the main lecture, and of the others all but those whose weight
    decay bypasses the gradient.
Run: jaxml run three_parts
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep

SCALES = np.array([1e-3, 1.0, 10.0, 1e3])  # of gradients
FIRST, SECOND, EPSILON = 0.9, 0.99, 1e-8  # β₁, β₂ and ε
RATE, DECAY, FINAL = 0.1, 0.01, 0.1  # η, λ, and where AdaBound's bounds meet
ROUNDING = record.at_most(1e-9)
Parts = tuple[np.ndarray, np.ndarray | float]  # m and σ, by update


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates, those of the warm-up, and scripts of each scale."""

    updates: int = 300
    warmup: int = 20
    scripts: int = 10
    seed: int = 0


SMOKE = Config(updates=20, warmup=4, scripts=2)


def _numbers(gradients: np.ndarray) -> np.ndarray:
    """t, counted from 1, beside the gradients."""
    return np.arange(1, len(gradients) + 1).reshape(-1, *(1,) * (gradients.ndim - 1))


def _mean(gradients: np.ndarray, kept: float) -> np.ndarray:
    """The moving average, from 0."""
    return (1 - kept) * learn.decayed_sums(gradients, kept)


def _unbiased(gradients: np.ndarray, kept: float) -> np.ndarray:
    return _mean(gradients, kept) / (1 - kept ** _numbers(gradients))


def _root(gradients: np.ndarray) -> np.ndarray:
    """σ of RMSProp."""
    return np.sqrt(_mean(gradients**2, SECOND)) + EPSILON


def _unbiased_root(gradients: np.ndarray) -> np.ndarray:
    """σ of Adam."""
    return np.sqrt(_unbiased(gradients**2, SECOND)) + EPSILON


def _descent(g: np.ndarray) -> Parts:
    return g, 1.0


def _momentum(g: np.ndarray) -> Parts:
    return learn.decayed_sums(g, FIRST), 1.0


def _courses_adagrad(g: np.ndarray) -> Parts:
    return g, np.sqrt(np.cumsum(g**2, axis=0) / _numbers(g)) + EPSILON


def _rmsprop(g: np.ndarray) -> Parts:
    return g, _root(g)


def _adam(g: np.ndarray) -> Parts:
    return _unbiased(g, FIRST), _unbiased_root(g)


def _adagrad(g: np.ndarray) -> Parts:
    return g, np.sqrt(np.cumsum(g**2, axis=0)) + EPSILON


def _nesterov(g: np.ndarray) -> Parts:
    return g + FIRST * learn.decayed_sums(g, FIRST), 1.0


def _amsgrad(g: np.ndarray) -> Parts:
    """As published: no bias is corrected."""
    largest = np.maximum.accumulate(_mean(g**2, SECOND), axis=0)
    return _mean(g, FIRST), np.sqrt(largest) + EPSILON


def _adabound(g: np.ndarray) -> Parts:
    """As its algorithm 2 is printed, √t included."""
    t = _numbers(g)
    low = FINAL * (1 - 1 / ((1 - SECOND) * t + 1))
    high = FINAL * (1 + 1 / ((1 - SECOND) * t))
    rates = np.clip(RATE / _root(g), low, high)
    return _mean(g, FIRST), RATE * np.sqrt(t) / rates


def _nadam(g: np.ndarray) -> Parts:
    t = _numbers(g)
    ahead = FIRST * _mean(g, FIRST) / (1 - FIRST ** (t + 1))
    return ahead + (1 - FIRST) * g / (1 - FIRST**t), _unbiased_root(g)


def _radam(g: np.ndarray) -> Parts:
    """r stands in σ, which is 1 as long as ρ is below 5."""
    t = _numbers(g)
    limit = 2 / (1 - SECOND) - 1
    length = limit - 2 * t * SECOND**t / (1 - SECOND**t)
    above = (length - 4) * (length - 2) * limit
    below = (limit - 4) * (limit - 2) * length
    rectifier = np.sqrt(np.maximum(above / below, np.finfo(float).tiny))
    rectified = _unbiased_root(g) / rectifier
    return _unbiased(g, FIRST), np.where(length >= 5, rectified, 1.0)


class Optimizer(NamedTuple):
    """A family of the library, and its parts in NumPy."""

    family: learn.ShapedFamily
    parts: Callable[[np.ndarray], Parts]
    decay: float = 0.0


MAIN = {
    "gradient descent": Optimizer(learn.sgd, _descent),
    "momentum": Optimizer(learn.momentum, _momentum),
    "the course's Adagrad": Optimizer(learn.mean_square_adagrad, _courses_adagrad),
    "RMSProp": Optimizer(learn.rmsprop, _rmsprop),
    "Adam": Optimizer(learn.adam, _adam),
}
EXTRA = {
    "Adagrad": Optimizer(learn.adagrad, _adagrad),
    "Nesterov": Optimizer(learn.nag, _nesterov),
    "AMSGrad": Optimizer(learn.amsgrad, _amsgrad),
    "AdaBound": Optimizer(learn.adabound, _adabound),
    "Nadam": Optimizer(learn.nadam, _nadam),
    "RAdam": Optimizer(learn.radam, _radam),
    "SGDW": Optimizer(learn.sgdw, _momentum, DECAY),
    "AdamW": Optimizer(learn.adamw, _adam, DECAY),
}
DECOUPLED = ("SGDW", "AdamW")
OPTIMIZERS = MAIN | EXTRA
L2 = "momentum with L2"
PENALISED = {
    **{name: EXTRA[name] for name in DECOUPLED},
    L2: Optimizer(learn.momentum, _momentum, DECAY),
}


class Result(NamedTuple):
    """Largest differences, by optimizer in the order of OPTIMIZERS unless said
    otherwise.

    Attributes:
        errors: of steps on random gradients, over the largest step.
        penalised: of steps where the loss has gradients of 0 and the decay is one, over
            the largest step; of PENALISED.
        linear: of m of a sum of gradients from the sum of both m, over the largest m.
        blind: of σ with other signs of the gradients, over σ.
        updates: of a script.
    """

    errors: Float[Array, "optimizer script scale"]
    penalised: Float[Array, " decayed"]
    linear: Float[Array, " optimizer"]
    blind: Float[Array, " optimizer"]
    updates: Array


def study(config: Config, keep: Keep) -> Result:
    """Optimizers are given scripts of gradients, in float64; nothing is trained."""
    first, second = randomness.seeds(config.seed, 2)
    shape = (config.updates, config.scripts, len(SCALES))
    normal, other = SCALES * np.random.default_rng(first).standard_normal((2, *shape))
    signs = np.random.default_rng(second).choice([-1.0, 1.0], shape)
    none = np.zeros(shape)
    errors, penalised = [], []
    with jax.enable_x64(True):
        for name, optimizer in OPTIMIZERS.items():
            steps, _ = keep(name, partial(_along, config, optimizer, normal))
            errors.append(_apart(steps, _assembled(config, optimizer, normal)))
        for name, optimizer in PENALISED.items():
            alone = partial(_along, config, optimizer, none)
            steps, weights = keep(f"{name}, penalty alone", alone)
            of_penalty = optimizer.decay * np.asarray(weights)
            assembled = _assembled(config, optimizer, of_penalty)
            penalised.append(_apart(steps, assembled).max())
    rules = [optimizer.parts for optimizer in OPTIMIZERS.values()]
    return Result(
        errors=np.stack(errors),
        penalised=np.array(penalised),
        linear=np.array([_bent(parts, normal, other) for parts in rules]),
        blind=np.array([_seeing(parts, normal, signs) for parts in rules]),
        updates=np.array(config.updates),
    )


def _bent(
    parts: Callable[[np.ndarray], Parts], one: np.ndarray, other: np.ndarray
) -> float:
    """How far m is from linear."""
    whole, first, second = (parts(each)[0] for each in (one + other, one, other))
    return float(np.abs(whole - first - second).max() / np.abs(whole).max())


def _seeing(
    parts: Callable[[np.ndarray], Parts], one: np.ndarray, signs: np.ndarray
) -> float:
    """How far σ sees signs."""
    usual, turned = (np.asarray(parts(each)[1]) for each in (one, signs * one))
    return float(np.max(np.abs(turned - usual) / usual))


def _along(
    config: Config, optimizer: Optimizer, gradients: np.ndarray
) -> tuple[jax.Array, jax.Array]:
    """Steps from weights of 1 on given gradients, and the weights before each."""
    hyper = learn.Hyper(
        lr=RATE,
        momentum=FIRST,
        second_moment=SECOND,
        epsilon=EPSILON,
        weight_decay=optimizer.decay,
        final_lr=FINAL,
        warmup=float(config.warmup),
    )
    family = optimizer.family(hyper, learn.inverse_sqrt)

    def one(carry: tuple, gradient: jax.Array) -> tuple[tuple, tuple]:
        before, state = carry
        after, state = learn.update(family, gradient, state, before)
        return (after, state), (after - before, before)

    @jax.jit
    def along(script: jax.Array) -> tuple[jax.Array, jax.Array]:
        start = jnp.ones_like(script[0])
        return jax.lax.scan(one, (start, family.init(start)), script)[1]

    return along(gradients)


def _assembled(
    config: Config, optimizer: Optimizer, gradients: np.ndarray
) -> np.ndarray:
    """-ηₜ mₜ/σₜ; η rises in a line, and falls as the root of the updates since."""
    t = _numbers(gradients)
    rising = t / config.warmup
    falling = 1 / np.sqrt(np.maximum(t - config.warmup, 1))
    rate = RATE * np.where(t <= config.warmup, rising, falling)
    momentum, divisor = optimizer.parts(gradients)
    return -rate * momentum / divisor


def _apart(steps: Array, assembled: np.ndarray) -> Float[np.ndarray, "script scale"]:
    """The largest difference over the largest step, of each script."""
    difference = np.abs(np.asarray(steps) - assembled).max(axis=0)
    return difference / np.abs(assembled).max(axis=0)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Both lectures' optimizers, each compared with three parts."""
    return (*_same_steps(result), *_bypassing(result), *_form(result))


def _places(names: Iterable[str]) -> list[int]:
    known = list(OPTIMIZERS)
    return [known.index(name) for name in names]


def _setting(result: Result) -> str:
    return (
        f"{result.updates} updates on {result.errors.shape[1]} scripts of normal "
        f"random gradients of each of {len(SCALES)} scales, warmed-up and falling rate"
    )


def _same_steps(result: Result) -> tuple[Assertion, ...]:
    lectures = {
        "main": list(MAIN),
        "extra": [name for name in EXTRA if name not in DECOUPLED],
    }
    return tuple(
        record.deciding(
            "C088",
            "Optimizers are a choice of momentum, a choice of divisor and a schedule: "
            "largest error of the steps that these make, over the largest step.",
            record.largest(result.errors[_places(names)]),
            ROUNDING,
            unit="relative error",
            setting=f"those of the {lecture} lecture, {', '.join(names)}; "
            f"{_setting(result)}",
        )
        for lecture, names in lectures.items()
    )


def _bypassing(result: Result) -> tuple[Assertion, ...]:
    """Decay beside m and σ, in both readings of the gradient."""
    names = " and ".join(DECOUPLED)
    of_loss = result.errors[_places(DECOUPLED)].max(axis=(1, 2))
    of_both = dict(zip(PENALISED, result.penalised, strict=True))
    least = min(of_loss.min(), *(of_both[name] for name in DECOUPLED))
    alone = f"weights of 1 where the loss has gradients of 0, weight decay of {DECAY:g}"
    told = {"rule": ROUNDING, "unit": "relative error"}
    return (
        record.deciding(
            "C088",
            "Optimizers whose weight decay bypasses the gradient are a choice of "
            "momentum, divisor and schedule, of the gradient of the loss or of loss "
            "and penalty: the least of the largest errors over the largest step.",
            record.certain(least, of=result.errors),
            setting=f"{names} of the extra lecture; {_setting(result)}, and {alone}",
            **told,
        ),
        record.supporting(
            "C088",
            "Control: momentum with a penalty is a choice of momentum, divisor and "
            "schedule, of the gradient of loss and penalty: largest error of the "
            "steps over the largest step.",
            record.certain(of_both[L2], of=result.penalised),
            setting=f"L2; {alone}",
            **told,
        ),
    )


def _form(result: Result) -> tuple[Assertion, ...]:
    """Whether the parts are what the sentence says."""
    told = {
        "rule": ROUNDING,
        "unit": "relative error",
        "setting": f"parts of {len(OPTIMIZERS)} optimizers; {_setting(result)}",
    }
    return (
        record.supporting(
            "C088",
            "Every momentum here is a sum of gradients, with weights that do not "
            "depend on them: how far that of two scripts together is from the sum.",
            record.largest(result.linear),
            **told,
        ),
        record.supporting(
            "C088",
            "Every divisor here is made of the sizes of gradients alone: how much it "
            "changes with their signs.",
            record.largest(result.blind),
            **told,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Errors of assembled steps, of every script."""
    figure, (errors,) = panels(1, 1, width=6.6, height=4.2)
    rows = np.arange(len(OPTIMIZERS))
    seen = np.asarray(result.errors).reshape(len(rows), -1)
    for row, scripts in zip(rows, seen, strict=True):
        errors.scatter(scripts, np.full(len(scripts), row), color="black", s=8)
    errors.axvline(ROUNDING.threshold, color="0.4", linestyle=":", label="rounding")
    errors.set_xscale("log")
    errors.set_yticks(rows, list(OPTIMIZERS))
    errors.invert_yaxis()
    legend_below(errors)
    label(errors, "Steps made of three parts", "error / largest step", "optimizer")
    return {"parts": figure}
