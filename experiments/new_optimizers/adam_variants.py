"""Do AMSGrad, AdaBound, RAdam and Nadam end at a lower test loss than Adam?

Each is tuned over nine rates that step by 1.5, on ten units, and judged on ten others;
every unit draws its own initial weights, order, and digits to train on and to be judged
by. Intervals contain the tuning. Rates fall linearly to 0, except those of AdaBound as
its algorithm 2 prints it, which fall as 1/√t by themselves; the code of its authors
leaves √t out and corrects both biases. RAdam is that of its authors' code. 2,000
updates are 2/(1 - β₂), the length of the warm-up that RAdam's rectifier amounts to, and
80 passes over 500 digits in batches of 20.

A variant that helps ends lower by more than the margin, one that harms ends higher. 1 %
of the probability of the right class, 0.01 nats, is the margin. The control is Adam
again, over rates half a step away: an interval beyond the margin there would show that
the tuning alone makes differences of that size.

AdaBound is meant against rates η/√v̂ that end far apart. So Adam's are measured beside:
the 97.5th over the 2.5th percentile of the weights that ever had a gradient, and how
many of them lie outside AdaBound's bounds at the last update. A factor of 10 is far,
since a rate ten times too high or too low for a network ruins it. Were the factor less,
or most rates within the bounds, clipping would do little. That AdaBound's own rates lie
within is its definition.

What the course says of these methods are rules and definitions, which other studies
decide; whether they pay is one small task here: all findings support. A first study of
this had one split and one tuned rate for all units, and took the extremes of Adam's
rates after a look at the percentiles. The grids stand around the lowest test losses of
a coarse look at the seed 100 over 1,000 updates.

Claims: C112, C113, C118, C122.
Sources: Reddi, Kale and Kumar 2018, arXiv:1904.09237; Luo et al. 2019,
    arXiv:1902.09843; Liu et al. 2020, arXiv:1908.03265; Dozat 2016.
Cost: a minute on 2 cores, compilation included.
Expect: no variant differs from Adam by more than the margin, but AdaBound by its
algorithm 2, which ends higher; most of Adam's rates lie outside AdaBound's bounds.
Run: jaxml run adam_variants
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Keep

STEP = 1.5
PLACES = STEP ** np.arange(-4, 5)  # of a grid, relative to its centre
CENTRES = {  # rates
    "Adam": 0.008,
    "AMSGrad": 0.0035,
    "AdaBound": 0.012,
    "AdaBound, printed": 0.012,
    "RAdam": 0.025,
    "Nadam": 0.008,
}
FAMILIES = {
    "Adam": learn.adam,
    "AMSGrad": learn.amsgrad,
    "AdaBound": learn.unbiased_adabound,
    "AdaBound, printed": learn.adabound,
    "RAdam": learn.radam,
    "Nadam": learn.nadam,
}
METHODS = tuple(FAMILIES)
OWN_SCHEDULE = "AdaBound, printed"
SPEAKS_OF = {  # the claim, and the method as a sentence names it
    "AMSGrad": ("C112", "AMSGrad"),
    "AdaBound": ("C113", "AdaBound, as its authors' code has it,"),
    "AdaBound, printed": ("C113", "AdaBound, as its algorithm 2 is printed,"),
    "RAdam": ("C118", "RAdam"),
    "Nadam": ("C122", "Nadam"),
}
CONTROL = ("C112", "Adam over rates half a step away, the control,")
MIDDLE = (2.5, 97.5)  # percentiles
LOWER = record.below(
    0.0,
    margin=0.01,
    reason="0.01 nats are 1 % of the probability of the right class",
)
FAR_APART = record.above(
    np.log(10.0), margin=np.log(STEP), reason="a step of the grid of rates"
)
MOST = record.above(
    0.5, margin=0.05, reason="5 % of the weights would not change what is learned"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, how few digits it sees, how long, and the units."""

    width: int = 32
    train: int = 500
    test: int = 1000
    batch: int = 20
    steps: int = 2000
    tuning: int = 10
    judging: int = 10
    lanes: int = 10
    seed: int = 0


SMOKE = Config(width=2, train=20, test=20, steps=3, tuning=2, judging=2, lanes=18)


class Result(NamedTuple):
    """Ends of the runs, by method of METHODS; the units that tune come first."""

    test: Float[Array, "method rate unit"]  # test loss, nan where the run diverged
    control: Float[Array, "rate unit"]  # Adam's, over rates half a step away
    rates: Float[Array, "method rate"]
    apart: Float[Array, "rate unit"]  # of Adam's rates, log ratio over the MIDDLE
    outside: Float[Array, "rate unit"]  # fraction of them, of AdaBound's bounds
    tuning: Int[Array, ""]  # units
    train: Int[Array, ""]  # digits
    weights: Int[Array, ""]  # of the network
    steps: Int[Array, ""]  # updates


def _watched(state: learn.TrainState) -> dict[str, Array]:
    """How far apart Adam's rates η/√v̂ are, and how many AdaBound would clip."""
    hyper = state.hyper
    updates = state.step.astype(jnp.float32)
    states = optax.tree_utils.tree_get(state.opt_state, "states")
    squares = jnp.concatenate([jnp.ravel(v) for _, (v,) in states])
    decay = hyper.second_moment
    roots = jnp.sqrt(squares / (1 - decay**updates)) + hyper.epsilon
    moved = squares > 0
    rates = jnp.where(moved, hyper.lr / roots, jnp.nan)
    low, high = jnp.nanpercentile(rates, jnp.array(MIDDLE))
    speed = (1 - decay) * updates
    lowest = hyper.final_lr * (1 - 1 / (speed + 1))
    highest = hyper.final_lr * (1 + 1 / speed)
    clipped = moved & ((rates < lowest) | (rates > highest))
    return {
        "apart": jnp.log(high / low),
        "outside": jnp.sum(clipped) / jnp.sum(moved),
    }


def _experiment(config: Config, method: str, family: learn.Family) -> learn.Training:
    """One method on digits of each unit's own, evaluated after the last update."""
    work = problem.digits_workload(
        train=config.train, test=config.test, width=config.width
    )
    batches = learn.split_anew(
        work.data, train=work.train, test=work.test, size=config.batch
    )
    measured = learn.evaluating(work.measures)

    def apply(
        state: tuple[()], train: learn.TrainState
    ) -> tuple[tuple[()], dict[str, Array]]:
        state, seen = measured.apply(state, train)
        return state, seen | (_watched(train) if method == "Adam" else {})

    return learn.training(
        work.start,
        work.loss,
        family,
        batches,
        steps=config.steps,
        probe=learn.Probe(measured.init, apply),
    )


def _entrant(config: Config, method: str) -> learn.Entrant:
    rates = CENTRES[method] * PLACES
    if method == "Adam":
        rates = np.concatenate([rates, STEP**0.5 * rates])
    if method == OWN_SCHEDULE:
        return learn.Entrant(FAMILIES[method], learn.grid(learn.Hyper, lr=rates))
    grid = learn.grid(learn.Hyper, lr=rates, horizon=[config.steps])
    return learn.Entrant(partial(FAMILIES[method], shape=learn.linear), grid)


def study(config: Config, keep: Keep) -> Result:
    """One program a method."""
    contests = {}
    for method in METHODS:
        contests |= learn.compare(
            partial(_experiment, config, method),
            {method: _entrant(config, method)},
            lanes=config.lanes,
            units=learn.Units(config.tuning, config.judging),
            seed=config.seed,
            keep=keep,
        )
    work = problem.digits_workload(width=config.width)
    adam = {name: ends[: len(PLACES)] for name, ends in contests["Adam"].final.items()}
    ends = [each.final["test"][: len(PLACES)] for each in contests.values()]
    rates = [each.grid.lr[: len(PLACES)] for each in contests.values()]
    return Result(
        test=np.stack(ends),
        control=contests["Adam"].final["test"][len(PLACES) :],
        rates=np.stack(rates),
        apart=adam["apart"],
        outside=adam["outside"],
        tuning=np.array(config.tuning),
        train=np.array(config.train),
        weights=np.array(problem.weights(work)),
        steps=np.array(config.steps),
    )


def findings(result: Result) -> tuple[record.Assertion, ...]:
    """Test losses against Adam's, and how far Adam's rates are apart."""
    ends = []
    for method, (claim, name) in SPEAKS_OF.items():
        ours = result.test[METHODS.index(method)]
        ends.append(_ends_lower(result, claim, name, ours))
    control = _ends_lower(result, *CONTROL, result.control)
    return (*ends, control, *_rates_of_adam(result))


def _setting(result: Result) -> str:
    return (
        f"{result.train} of the 8x8 digits drawn anew for each unit, dense network of "
        f"{result.weights:,} weights, {result.steps:,} updates, rates tuned"
    )


def _ends_lower(
    result: Result, claim: str, name: str, ours: Float[Array, "rate unit"]
) -> record.Assertion:
    adam = result.test[METHODS.index("Adam")]
    return record.supporting(
        claim,
        f"{name} ends at a lower test loss than Adam.",
        record.tuned(
            record.mean_difference,
            record.Arm(ours),
            record.Arm(adam),
            tuning=int(result.tuning),
        ),
        LOWER,
        unit="nats",
        setting=_setting(result),
    )


def _rates_of_adam(result: Result) -> tuple[record.Assertion, ...]:
    """At the rate that is tuned by test loss."""
    scores, tuning = result.test[METHODS.index("Adam")], int(result.tuning)
    return (
        record.supporting(
            "C113",
            "Adam ends with rates that are more than a factor of 10 apart, from the "
            "2.5th to the 97.5th percentile of weights: the log of that factor.",
            record.tuned_mean(scores, result.apart, tuning=tuning),
            FAR_APART,
            unit="log ratio",
            setting=_setting(result),
        ),
        record.supporting(
            "C113",
            "At the last update most of Adam's rates lie outside the bounds to which "
            "AdaBound confines them.",
            record.tuned_mean(scores, result.outside, tuning=tuning),
            MOST,
            unit="fraction",
            setting=_setting(result),
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Test losses of the units at every rate, and minus Adam's at the tuned one."""
    figure, (left, right) = panels(1, 2, width=5.5, height=3.8)
    for rates, losses, method in zip(result.rates, result.test, METHODS, strict=True):
        band(left, rates, losses, method, within=1.0)
    left.set(xscale="log", yscale="log")
    label(left, "At every rate", "rate η", "last test loss (nats)")
    adam, *others = map(record.Arm, result.test)
    pairs = {name: (arm, adam) for name, arm in zip(METHODS[1:], others, strict=True)}
    pairs["Adam over rates\nhalf a step away"] = record.Arm(result.control), adam
    compared(right, pairs, LOWER, tuning=int(result.tuning))
    label(right, "At tuned rates", "test loss minus Adam's (nats)", "method")
    shared_legend(figure, columns=5)
    return {"adam_variants": figure}
