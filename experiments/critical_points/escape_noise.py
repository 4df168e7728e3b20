"""Does noise replace the offset from a saddle, and what if it cannot see the way down?

From ε off a saddle gradient descent needs ln(1/ε)/ln(1 + η|λ|) updates, so ever more
the nearer it starts. The lecture's (1 - w₁w₂)² shows the law alone; the runs of
`escape`, at saddles of small networks, show it from 1e-4 and 1e-8 of the weights' norm.
There SGD adds noise: at transition states along the lowest eigenvector too, at
zero-unit saddles nothing along it, since the gradient of every example vanishes there.

If noise replaces the offset, SGD from 1e-8 off needs fewer updates than gradient
descent, and leaves from the saddle itself; at zero-unit saddles, the negative control
of one and the same method, neither can be. Normal noise on every weight, the control on
the other side, sees every direction and must leave those as well. A run that stays
counts with its budget.

The law is judged to a tenth, since a tenth more updates matter to nobody; a ratio of
updates to a quarter; on the toy, where updates are whole and the fall takes a few, to
two updates. Units are saddles of networks with weights and digits of their own; toys
are exact.

Claims: C051.
Sources: Lee et al. 2016, arXiv:1602.04915; Jin et al. 2017, arXiv:1703.00887; Chen et
al. 2023, arXiv:2306.04251.
Cost: two seconds on 2 cores, after `escape`.
Expect: the law; noise replaces the offset where it sees the way down, and nowhere else.
Run: jaxml run escape_noise
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion, Rule
from jaxml.record.figures import label, legend_below, panels, strips
from jaxml.types import Array, Key

NEEDS = ("escape",)
RATES = np.array([0.02, 0.05, 0.1])
KINDS = ("saddles of index 1 between minima", "saddles with a unit of zero weights")
ALL, NOISY, BATCH = range(3)  # what a gradient of `escape` is of
STEPS = 1000  # of the toy, at most
NOISE = 1e-6  # standard deviation, of the toy
FAR, NEAR = 1e-4, 1e-8  # of ‖θ‖: where runs start


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of the toy: distances from its stable line, and runs with noise."""

    offsets: int = 12  # from 1e-12 to 0.1
    noisy: int = 20
    seed: int = 0


SMOKE = Config(offsets=4, noisy=2)


class Leaving(NamedTuple):
    """E-folds until half of the drop is made, at most the budget, by where a run
    starts.
    """

    kind: Array
    far: Array  # gradient descent
    near: Array
    sgd_far: Array
    sgd_near: Array
    sgd_on_it: Array
    noisy_on_it: Array


class Result(NamedTuple):
    """The toy, and the saddles of networks."""

    offsets: np.ndarray
    toy: np.ndarray  # [rate, offset], updates until L < 1/2
    noisy: (
        np.ndarray
    )  # [run], likewise, from the stable line itself; 0 for a run that stays
    leaving: Leaving
    folds: np.ndarray  # [], the budget


def _updates(rate: Array, offset: Array) -> Array:
    """Of gradient descent on (1 - w₁w₂)² from (0.1 + ε, ε - 0.1)."""
    start = jnp.array([0.1, -0.1]) + offset
    sgd = learn.sgd(learn.Hyper(lr=rate))
    descent = learn.descend(problem.bilinear, sgd, start, None, steps=STEPS)
    return jnp.argmax(descent.loss < 0.5)


def _noisy_updates(key: Key) -> Array:
    """From the stable line itself, with noise on the gradient."""

    def update(x: Array, step: Array) -> tuple[Array, Array]:
        loss, gradient = jax.value_and_grad(problem.bilinear)(x, None)
        kick = NOISE * jax.random.normal(jax.random.fold_in(key, step), x.shape)
        return x - RATES[1] * (gradient + kick), loss

    steps = jnp.arange(STEPS, dtype=jnp.int32)
    _, losses = jax.lax.scan(update, jnp.array([0.1, -0.1]), steps)
    return jnp.argmax(losses < 0.5)


def _leaving(escape: Any) -> Leaving:
    """The runs of `escape` from saddles."""
    saddle = np.isin(escape.kind, range(len(KINDS)))
    left = np.minimum(escape.left, escape.folds)[saddle]
    along, offset, gradient = escape.methods

    def column(kind: int, start: float) -> Array:
        chosen = (gradient == kind) & (offset == start) & (along == 0)
        (method,) = np.flatnonzero(chosen)
        return left[:, method]

    return Leaving(
        kind=escape.kind[saddle],
        far=column(ALL, FAR),
        near=column(ALL, NEAR),
        sgd_far=column(BATCH, FAR),
        sgd_near=column(BATCH, NEAR),
        sgd_on_it=column(BATCH, 0),
        noisy_on_it=column(NOISY, 0),
    )


def study(config: Config, keep: Callable[..., Any], escape: Any) -> Result:
    """The toy in one program; the networks have run."""
    offsets = np.geomspace(1e-12, 0.1, config.offsets)
    with jax.enable_x64(True):
        over_offsets = jax.vmap(_updates, (None, 0))
        over_rates = jax.vmap(over_offsets, (0, None))
        toy = keep("toy", lambda: jax.jit(over_rates)(RATES, offsets))
        keys = jax.random.split(randomness.key(config.seed), config.noisy)
        over_keys = jax.jit(jax.vmap(_noisy_updates))
        noisy = keep("noisy", partial(over_keys, keys))
    return Result(offsets, toy, noisy, _leaving(escape), escape.folds)


SETTING = (
    "parity of random 8x8 digits from 8 whitened principal components, 3 tanh units, "
    "decay 0.001"
)
QUARTER = 0.223  # ln 1.25


MOST, FEW = record.above(0.75), record.below(0.25)
EXPECTED = (MOST, FEW)  # of SGD from the saddle itself, by kind
PART = {">": "more than 3/4", "<": "fewer than 1/4"}
SGD = "SGD with batches of 12"
NOISY_GRADIENT = (
    "Gradient descent with normal noise of 0.001 on each entry of the gradient"
)


def _setting(result: Result, kind: int) -> str:
    budget = f"rate 1/(4‖H‖), {result.folds} e-folds of the lowest eigenvalue"
    return f"{SETTING}, {budget}, {KINDS[kind]}"


def findings(result: Result) -> tuple[Assertion, ...]:
    """The law on the toy and in networks; then noise."""
    found = [_toy_law(result), _toy_noise(result)]
    for kind in range(len(KINDS)):
        own = result.leaving.kind == kind
        leaving = Leaving(*(column[own] for column in result.leaving))
        setting = _setting(result, kind)
        found.append(_law(leaving, setting))
        found.append(_sooner(leaving, setting))
        found.append(_from_it(result, kind, leaving.noisy_on_it, NOISY_GRADIENT, MOST))
        found.append(_from_it(result, kind, leaving.sgd_on_it, SGD, EXPECTED[kind]))
    return tuple(found)


def _toy_by_law(result: Result) -> Array:
    """The updates from the nearest start, minus what the law takes off, [rate,
    offset].
    """
    folds = np.log(result.offsets[0] / result.offsets)
    return result.toy[:, :1] + folds / np.log1p(2 * RATES[:, None])


def _toy_law(result: Result) -> Assertion:
    return record.deciding(
        "C051",
        "Gradient descent leaves the saddle of (1 - w₁w₂)² without the help of the "
        "Hessian, in ln(1/ε)/ln(1 + 2η) updates up to a constant, to within two.",
        record.largest(result.toy - _toy_by_law(result)),
        record.at_most(2.0),
        unit="updates",
        setting="L = (1 - w₁w₂)², from ε off the stable line, 1e-12 to 0.1, rates 0.02 "
        "to 0.1, no noise",
        figure="offsets",
    )


def _toy_noise(result: Result) -> Assertion:
    return record.supporting(
        "C051",
        "Gradient descent with normal noise of 1e-6 on the gradient leaves the saddle "
        "of (1 - w₁w₂)² from its stable line itself, where it stays without noise.",
        record.proportion(result.noisy > 0, of=result.offsets),
        record.above(0.75),
        unit="fraction",
        setting="L = (1 - w₁w₂)² from (0.1, -0.1), rate 0.05, 1,000 updates",
        figure="offsets",
    )


def _law(leaving: Leaving, setting: str) -> Assertion:
    more = (leaving.near - leaving.far) / np.log(FAR / NEAR)
    return record.deciding(
        "C051",
        "From 1e-8 of the weights' norm off a saddle gradient descent needs "
        "ln(1e4)/ln(1 + η|λ|) updates more than from 1e-4, as a median over saddles.",
        record.bootstrap(np.median, more),
        record.near(
            1.0, margin=0.1, reason="a tenth more updates would not matter to a user"
        ),
        unit="ratio",
        setting=setting,
        figure="offsets",
    )


def _sooner(leaving: Leaving, setting: str) -> Assertion:
    ratio = np.log(leaving.sgd_near / leaving.near)
    return record.supporting(
        "C051",
        "SGD with batches of 12 that starts 1e-8 of the weights' norm off a saddle "
        "leaves after fewer updates than gradient descent.",
        record.bootstrap(np.median, ratio),
        record.below(
            0.0,
            margin=QUARTER,
            reason="a quarter fewer is the least that a user would notice",
        ),
        unit="log ratio",
        setting=setting,
        figure="noise",
    )


def _from_it(
    result: Result, kind: int, folds: Array, method: str, rule: Rule
) -> Assertion:
    return record.supporting(
        "C051",
        f"{method} that starts exactly on a saddle makes half of the drop that can be "
        f"reached, at {PART[rule.sign]} of {KINDS[kind]}.",
        record.proportion(folds < result.folds, of=folds),
        rule,
        unit="fraction",
        setting=_setting(result, kind),
        figure="noise",
    )


def figures(result: Result) -> dict[str, Any]:
    """Updates by distance with the law beside; e-folds of every saddle by method."""
    return {"offsets": _offsets(result), "noise": _noise(result)}


def _offsets(result: Result) -> Any:
    figure, (toy, networks) = panels(1, 2, height=3.9)
    for rate, updates in zip(RATES, result.toy, strict=True):
        toy.plot(result.offsets, updates, label=f"η = {rate:g}", linestyle="")
    law = _toy_by_law(result).T
    toy.plot(result.offsets, law, color="0.4", marker="", linestyle="-")
    toy.set_xscale("log")
    title = "(1 - w₁w₂)², lines: ln(1/ε)/ln(1 + 2η)"
    label(toy, title, "distance ε from the stable line", "updates until L < 1/2")
    for kind, name in enumerate(KINDS):
        own = result.leaving.kind == kind
        x, y = result.leaving.far[own], result.leaving.near[own]
        networks.scatter(x, y, marker="o^"[kind], s=20, alpha=0.6, label=name)
    far = np.array([5.0, 30.0])
    near = far + np.log(FAR / NEAR)
    law = f"law: ln(1e4) more ({result.folds}: stayed)"
    networks.plot(far, near, color="0.4", marker="", label=law)
    title = "Gradient descent, a point a saddle"
    label(networks, title, "e-folds from 1e-4 off", "e-folds from 1e-8 off")
    legend_below(toy, columns=3)
    legend_below(networks, columns=1)
    return figure


def _noise(result: Result) -> Any:
    figure, axes = panels(1, 2)
    leaving = result.leaving
    names = {
        "GD 1e-4 off": leaving.far,
        "SGD 1e-4 off": leaving.sgd_far,
        "GD 1e-8 off": leaving.near,
        "SGD 1e-8 off": leaving.sgd_near,
        "SGD on it": leaving.sgd_on_it,
        "noisy GD on it": leaving.noisy_on_it,
    }
    for kind, axis in enumerate(axes):
        own = leaving.kind == kind
        strips(axis, {name: folds[own] for name, folds in names.items()})
        axis.set_ylim(0, float(result.folds) + 2)
        y = f"e-folds until it left ({result.folds}: stayed)"
        label(axis, f"{np.sum(own)} {KINDS[kind]}", "method, and where it starts", y)
    return figure
