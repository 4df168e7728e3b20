"""Do rates for each parameter help only because the surface lies along the axes?

The surface is the squared error of a line b + wx through ten Pokémon, two parameters of
very unequal curvature, from the course's start. Its long axis lies within a sixth of a
degree of a coordinate axis, so the same surface is also rotated about its minimum by 5,
15 and 45 degrees, with the start. Methods run at rates in steps of 1.5 and count at
their best, until the squared error stays within 100 of the least.

The ledger says that adaptive methods slow down or fail where the surface is rotated. It
is wrong about a method that needs no more updates there. The control is gradient
descent with momentum, which does not depend on the axes and must need as many. The
margin of 5 % is less than a step of the grid. Nothing is random.

The ledger rotated the surface the other way, which its own counts are compared with. A
first version tried six rates of momentum, of which the largest was the best.

Claims: A9.
Sources: Duchi, Hazan and Singer 2011; Tieleman and Hinton 2012; Kingma and Ba 2015,
arXiv:1412.6980.
Cost: 5 seconds on 2 cores, compilation included.
Expect: rotated by 45 degrees Adam and Adagrad lose most of what they gain.
Run: jaxml run adaptive_rates
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep

LINE = problem.pokemon_line()
DEGREES = np.array([0.0, 5.0, 15.0, 45.0])
CLOSE = 100.0  # above the least squared error
PLAIN = 2.1e-6 / 1.5 ** np.arange(12)  # momentum is stable up to 3.8 / λ = 2.18e-6
WIDE = np.geomspace(1e-3, 1000.0, 35)  # in steps of 1.5, with the best rates inside
SURFACE = "squared error of a line through ten Pokémon"
FINER = "5 % of the updates is less than what a finer grid of rates changes"


class Method(NamedTuple):
    """An optimizer, its schedule, the rates it is run at, and its second moment's
    decay.
    """

    family: learn.ShapedFamily
    shape: Callable = learn.constant
    rates: np.ndarray = WIDE
    second_moment: float = 0.0


METHODS = {
    "Adagrad": Method(learn.adagrad),
    "Adam": Method(learn.adam, second_moment=0.999),
    "RMSProp with decay 0.99 and a cosine": Method(
        learn.rmsprop, learn.cosine, second_moment=0.99
    ),
    "Gradient descent with momentum": Method(learn.momentum, rates=PLAIN),
}
LEDGERS = {
    "Adagrad": METHODS["Adagrad"]._replace(rates=np.array([10.0])),
    "Adam": METHODS["Adam"]._replace(rates=np.array([1.0])),
}
PRINTED = {"Adagrad": [1734, 61565], "Adam": [1095, 5742, 11535, 24457]}


@dataclass(frozen=True, kw_only=True)
class Config:
    """How long every method runs."""

    steps: int = 100_000


SMOKE = Config(steps=300)


class Runs(NamedTuple):
    """What became of one method, by the angle of the surface.

    Attributes:
        steps: updates until the squared error is first close, or inf.
        settled: updates until it is close for good, or inf.
    """

    steps: Float[Array, "rate angle"]
    settled: Float[Array, "rate angle"]


class Methods(NamedTuple):
    """Runs by method of METHODS."""

    adagrad: Runs
    adam: Runs
    rmsprop: Runs
    momentum: Runs


class Result(NamedTuple):
    """Runs at the best rates and at the ledger's, and the updates of each."""

    methods: Methods
    adagrad: Runs  # at the ledger's rate
    adam: Runs  # at the ledger's rate
    updates: Int[Array, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a method, over its rates and angles at once, in float64."""
    found = []
    ledgers = []
    with jax.enable_x64(True):
        for name, method in METHODS.items():
            found.append(keep(name, _program(config, method, DEGREES)))
        for name, method in LEDGERS.items():
            program = _program(config, method, -DEGREES)
            ledgers.append(keep(f"{name}, the ledger's", program))
    return Result(Methods(*found), *ledgers, updates=np.array(config.steps))


def _program(config: Config, method: Method, degrees: np.ndarray) -> Callable[[], Runs]:
    at_angles = jax.vmap(partial(_run, config, method), (None, 0))
    program = jax.jit(jax.vmap(at_angles, (0, None)))
    return partial(program, method.rates, np.radians(degrees))


def _run(config: Config, method: Method, rate: jax.Array, angle: jax.Array) -> Runs:
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    rotation = jnp.array([[cosine, -sine], [sine, cosine]])

    def error(params: jax.Array, _: None) -> jax.Array:
        back = LINE.best + rotation.T @ (params - LINE.best)
        return LINE.loss(back, None)

    hyper = learn.Hyper(
        lr=rate, second_moment=method.second_moment, horizon=float(config.steps)
    )
    optimizer = method.family(hyper, method.shape)
    start = LINE.best + rotation @ (LINE.start - LINE.best)
    run = learn.descend(error, optimizer, start, None, steps=config.steps)
    close = run.loss - LINE.least < CLOSE
    first = jnp.argmax(close).astype(float)
    settled = config.steps - jnp.argmax(~close[::-1]).astype(float)
    ended = jnp.where(close[-1], settled, jnp.inf)
    return Runs(
        steps=jnp.where(jnp.any(close), first, jnp.inf),
        settled=jnp.where(jnp.all(close), 0.0, ended),
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """Nothing is random."""
    *adaptive, control = METHODS
    runs = dict(zip(METHODS, result.methods, strict=True))
    setting = f"{SURFACE}, {len(WIDE)} rates 0.001 to 1000, {result.updates:,} updates"
    found = [_axis()]
    for name in adaptive:
        slowdown = _slowdown(result, runs[name])
        found.append(
            record.deciding(
                "A9",
                f"{name} needs more updates to stay near the optimum where the surface "
                "is rotated by 45 degrees, the whole budget where it fails.",
                slowdown,
                record.above(1.0, margin=0.05, reason=FINER),
                unit="ratio",
                setting=setting,
            )
        )
    momentum = record.supporting(
        "A9",
        f"Control: {control.lower()} needs as many updates to stay near the optimum "
        "where the surface is rotated by 45 degrees.",
        _slowdown(result, runs[control]),
        record.near(1.0, margin=0.05, reason=FINER),
        unit="ratio",
        setting=f"{SURFACE}, {len(PLAIN)} rates to 2.1e-6, {result.updates:,} updates",
    )
    return (*found, momentum, *_ledgers(result))


def _axis() -> Assertion:
    return record.deciding(
        "A9",
        "The long axis of the surface lies within a degree of a parameter's axis.",
        record.certain(np.degrees(np.abs(LINE.eigenvectors[1, 0]))),
        record.below(1.0),
        unit="degrees",
        setting=SURFACE,
    )


def _fewest(result: Result, settled: Array) -> np.ndarray:
    """Updates at the best rate, by angle; a run that fails has the budget's."""
    return np.minimum(np.min(settled, axis=0), float(result.updates))


def _slowdown(result: Result, runs: Runs) -> record.Interval:
    """Updates on the surface rotated by 45 degrees over those without."""
    straight, *_, rotated = _fewest(result, runs.settled)
    return record.certain(rotated / straight)


def _ledgers(result: Result) -> tuple[Assertion, ...]:
    """Updates until close, as the ledger counts them."""
    found = []
    ledgers = (result.adagrad, result.adam)
    for (name, printed), runs in zip(PRINTED.items(), ledgers, strict=True):
        (steps,) = runs.steps
        (rate,) = LEDGERS[name].rates
        angles = ", ".join(f"{angle:g}" for angle in DEGREES[: len(printed)])
        rotated = f"rotated the other way, by {angles} degrees"
        numbers = ", ".join(f"{number:,}" for number in printed)
        found.append(
            record.supporting(
                "A9",
                f"At rate {rate:g} and {rotated}, {name} is near the optimum after "
                f"{numbers} updates, to 1 %.",
                record.largest(steps[: len(printed)] / np.array(printed) - 1),
                record.at_most(0.01),
                unit="relative error",
                setting=f"{SURFACE}, {result.updates:,} updates",
            )
        )
    return tuple(found)


def figures(result: Result) -> dict[str, Figure]:
    """Updates until close for good against the angle, and against the rate; and until
    first close at the ledger's rates.
    """
    figure, (angles, rates, ledger) = panels(1, 3, height=3.8)
    for name, each in zip(METHODS, result.methods, strict=True):
        fewest = _fewest(result, each.settled)
        angles.semilogy(DEGREES, fewest, label=name.split(" and")[0])
    for column, angle in enumerate(DEGREES):
        settled = result.methods.adam.settled[:, column]
        rates.loglog(WIDE, settled, markevery=1, label=f"rotated by {angle:g}°")
    for runs, (name, printed) in zip(
        (result.adagrad, result.adam), PRINTED.items(), strict=True
    ):
        ledger.semilogy(DEGREES, runs.steps[0], label=f"{name}, computed")
        degrees = DEGREES[: len(printed)]
        ledger.scatter(degrees, printed, s=80, marker="x", label=f"{name}, ledger")
    for axis in (angles, rates, ledger):
        axis.axhline(float(result.updates), color="0.4", linestyle=":", label="budget")
        legend_below(axis)
    what, angle = "updates until close for good", "angle of the surface (°)"
    label(angles, "At each method's best rate", angle, what)
    label(rates, "Adam, a line an angle", "rate η", what)
    label(ledger, "At the ledger's rates", angle, "updates until first close")
    return {"rotations": figure}
