"""Do rates that decay remove the bursts of division by the root mean square?

The runs are those of the study `bursts`: the lecture's rule, the gradient over the root
mean square of all gradients so far, on the squared error of a line through ten Pokémon,
from the course's start and from 40 drawn ones, for 100,000 updates. The course says
that a rate that decays removes the bursts. Three kinds of decay are tried, 1/√t, a
cosine to zero, and an exponential to a tenth, a hundredth and a millionth of the first
rate; how fast a rate falls is a constant of each.

Counted are runs at rates at which a constant rate bursts from that start, and only if
they arrive under the decay, for a run that does not arrive has no optimum to burst out
of; starts without such runs are left out. The course is wrong about a decay that leaves
bursts. They are counted by two criteria: as rises of |w - w*| beyond 1, from the
course's start, where one is too many; and as rises of the squared error beyond 10,000
above the least, from the drawn starts, of which most must be without any. A half can be
told from all of 40, whatever else is judged. The control is a constant rate, which
leaves all bursts, and must fail. Beside it stands which fraction of bursts is left.

A first version had one start, counted bursts of runs that had not arrived, and named no
constant of the exponential.

Claims: C085.
Cost: 2 seconds on 2 cores, compilation included, after `bursts`.
Expect: 1/√t removes all bursts, exponentials and a cosine do not.
Run: jaxml run burst_decay
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxml import record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep

NEEDS = ("bursts",)
CONSTANT = "a constant rate"
DECAYS = (
    "1/√t",
    "an exponential to a tenth",
    "an exponential to a hundredth",
    "an exponential to a millionth",
    "a cosine to zero",
)
OF_BURSTS = 2  # place of the first of DECAYS in the study `bursts`
RATES = np.array([0.1, 0.3, 0.5, 1.0, 3.0, 10.0])  # of `bursts`
FEW = record.below(
    0.5, margin=0.05, reason="1 burst in 20 is less than another start changes"
)
RULE = "division by the root mean square of all past gradients"
WHERE = "at the rates that arrive with it and burst without it"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which starts the study `bursts` draws."""

    seed: int = 0


SMOKE = Config()


class Runs(NamedTuple):
    """Of the lecture's rule; the first start is the course's.

    Attributes:
        arrived: whether the squared error came close to the least.
        bursts: rises of |w - w*| beyond 1 after that.
        rises: of the squared error beyond 10,000 above the least after that.
        divisor: w's before a burst in terms of its largest so far.
    """

    arrived: Bool[Array, "*decay start rate"]
    bursts: Int[Array, "*decay start rate"]
    rises: Int[Array, "*decay start rate"]
    divisor: Float[Array, "*decay start rate"]


class Result(NamedTuple):
    """Runs at a constant rate, and under each of DECAYS."""

    constant: Runs
    decayed: Runs
    steps: Int[Array, ""]
    seed: Int[Array, ""]  # of the starts


def study(config: Config, keep: Keep, bursts: Any) -> Result:
    """The runs have been made."""
    del keep
    found = bursts.runs
    runs = Runs(found.arrival >= 0, found.bursts, found.rises, found.divisor)
    return Result(
        constant=_at(runs, 0),
        decayed=_at(runs, slice(OF_BURSTS, None)),
        steps=bursts.steps,
        seed=np.array(config.seed),
    )


def _at(runs: Runs, place: int | slice) -> Runs:
    """The runs of one method, or of several."""
    return jax.tree.map(lambda field: field[place], runs)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Counts from the course's start, fractions of the other starts."""
    found = []
    for place, name in enumerate(DECAYS):
        found += _decayed(result, _at(result.decayed, place), name)
    return (*found, _control(result))


def _setting(result: Result, decay: str) -> str:
    surface = "squared error of a line through ten Pokémon"
    return f"{surface}, rates 0.1 to 10, {result.steps:,} updates, {decay}"


def _counted(result: Result, runs: Runs) -> np.ndarray:
    """Runs that arrive, at rates at which a constant rate bursts."""
    return np.asarray(runs.arrived & (result.constant.bursts > 0))


def _without(result: Result, runs: Runs) -> np.ndarray:
    """Whether no counted run has a rise, by drawn start that has counted runs."""
    counted = _counted(result, runs)[1:]
    rising = counted & (runs.rises[1:] > 0)
    return ~np.any(rising, axis=1)[np.any(counted, axis=1)]


def _bursts(result: Result, runs: Runs, of: Runs) -> np.ndarray:
    """Bursts at the rates of the counted runs, `[start]`."""
    return np.where(_counted(result, runs), of.bursts, 0).sum(axis=1)


def _decayed(result: Result, runs: Runs, decay: str) -> tuple[Assertion, ...]:
    setting = _setting(result, f"decay by {decay}")
    left = _bursts(result, runs, runs)
    seen = np.any(_counted(result, runs)[0])
    before = _bursts(result, runs, result.constant)
    return (
        record.deciding(
            "C085",
            f"A rate that decays removes all bursts of {RULE}: bursts of w that are "
            f"left, {WHERE}.",
            record.certain(left[0] if seen else np.nan, of=runs.divisor),
            record.at_most(0.0),
            unit="count",
            setting=f"{setting}, from (b, w) = (-120, -4)",
        ),
        _from_most(record.deciding, result, runs, setting),
        record.supporting(
            "C085",
            f"A rate that decays leaves fewer than half of the bursts of {RULE}, "
            f"{WHERE}.",
            record.bootstrap(_fraction, left[1:], before[1:]),
            FEW,
            unit="ratio",
            setting=_drawn(setting),
        ),
    )


def _fraction(left: np.ndarray, before: np.ndarray) -> float:
    return np.sum(left) / max(np.sum(before), 1)


def _drawn(setting: str) -> str:
    return f"{setting}, starts drawn over the lecture's axes"


def _from_most(
    role: Callable[..., Assertion], result: Result, runs: Runs, setting: str
) -> Assertion:
    without = _without(result, runs)
    control = "Control: " if role is record.supporting else ""
    return role(
        "C085",
        f"{control}From most starts all bursts of {RULE} are removed: no rise of the "
        f"squared error beyond 10,000 above the least, {WHERE}.",
        record.proportion(without, of=runs.divisor),
        record.above(0.5),
        unit="fraction",
        setting=_drawn(setting),
    )


def _control(result: Result) -> Assertion:
    setting = _setting(result, "control: no decay")
    return _from_most(record.supporting, result, result.constant, setting)


def figures(result: Result) -> dict[str, Figure]:
    """Bursts that are left by start, and rates at which runs arrive."""
    figure, (counts, arrivals) = panels(1, 2, width=5.2, height=4.0)
    names = (CONSTANT, *DECAYS)
    for row, name in enumerate(names):
        runs = _at(result.decayed, row - 1) if row else result.constant
        left = _bursts(result, runs, runs)
        height = row + np.linspace(-0.25, 0.25, len(left))
        others = "a drawn start" if row == 0 else None
        courses = "the course's start" if row == 0 else None
        counts.scatter(left[1:], height[1:], s=8, color="0.4", label=others)
        counts.scatter(left[0], row, s=50, marker="D", color="#994455", label=courses)
        arrived = np.mean(runs.arrived, axis=0)
        arrivals.plot(RATES, arrived, label=name)
    ledger = "ledger: 21 with a cosine"
    counts.scatter(21, len(DECAYS), s=60, marker="x", color="black", label=ledger)
    counts.set_yticks(range(len(names)), labels=names, fontsize=8)
    counts.set_xscale("symlog")
    counts.set_xlim(-0.5, 1000)
    counts.invert_yaxis()
    label(counts, "Bursts that are left, a point a start", "bursts", "rate")
    arrivals.set_xscale("log")
    label(arrivals, "Runs that arrive", "first rate η", "fraction of starts")
    for axis in (counts, arrivals):
        legend_below(axis)
    return {"burst_decay": figure}
