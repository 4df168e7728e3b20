"""Do the slide's times of an update stay constant up to batches of 1,000?

The course shows seconds per update and per epoch on MNIST by a V100, and reads off its
linear axis that updates take nearly the same for batches of 1 to 1,000, until the
device is full. Here the two plots' numbers, each read off apart, are looked at by
themselves; nothing is measured and nothing random enters.

- A6: they grow by more than two from batches of 1 to 1,000; the affine law t₀ + s B,
  fitted in relative error, is nearer to them than the course's reading, constant until
  the device is full and then in proportion, with a free constant, slope and place of
  the kink; and it is about 6 ms + 0.157 ms B. If the course's reading were right, all
  three would fail. At B = 100 the two plots differ by a fifth, so a tenth is little.
- Supporting: C064 as the slide has it, with its data loading; and C065, that an epoch
  falls and levels off.

Why an example costs 0.157 ms these numbers cannot tell; `batch_time` leaves out data
loading.

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
TENTH = "a tenth is less than the two plots differ by"


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
    """Of each plot."""
    found: list[Assertion] = []
    for seconds, plot in zip(result.seconds, ("updates", "epochs"), strict=True):
        known = np.isfinite(seconds)
        setting = f"a V100 on MNIST with its data, read off the slide's plot of {plot}"
        found += _of_plot(result.sizes[known], seconds[known], setting)
    return tuple(found)


def _of_plot(sizes: np.ndarray, times: np.ndarray, setting: str) -> list[Assertion]:
    """A6, and what else the slide shows."""
    law = record.affine_law(sizes, times)
    error = record.affine_deviation(law, sizes, times)
    epochs = times / sizes
    full = int(np.flatnonzero(sizes == FULL).item())
    grown = record.certain(times[full] / times[0])
    bent = record.certain(_hinge_error(sizes, times) / error, of=times)
    coefficients = np.array(law) / np.array(LAW) - 1
    of_a6 = partial(record.deciding, "A6", setting=setting)
    supporting = partial(record.supporting, unit="ratio", setting=setting)
    grows = of_a6(
        "An update by 1,000 examples takes more than twice as long as by 1.",
        grown,
        record.above(2.0, margin=0.2, reason=TENTH),
        unit="ratio",
    )
    no_kink = of_a6(
        "A time that is constant until the device is full, and then in proportion, has "
        "a larger relative error than t₀ + s B, both fitted.",
        bent,
        record.above(1.0, margin=0.1, reason="a tenth of an error is little"),
        unit="ratio",
    )
    known = of_a6(
        "The fitted t₀ and s are 6 ms and 0.157 ms, within a tenth.",
        record.largest(coefficients),
        record.at_most(0.1),
        unit="relative error",
    )
    same = supporting(
        "C064",
        "An update by 1,000 examples takes less than twice as long as by 1.",
        grown,
        record.below(2.0, margin=0.2, reason=TENTH),
    )
    return [grows, no_kink, known, same, *_epochs(epochs, full, setting)]


def _epochs(epochs: np.ndarray, full: int, setting: str) -> list[Assertion]:
    """C065."""
    supporting = partial(record.supporting, "C065", unit="ratio", setting=setting)
    falls = supporting(
        "An epoch by single examples takes longer than by batches of 1,000.",
        record.certain(epochs[0] / epochs[full]),
        record.above(1.0, margin=0.1, reason=TENTH),
    )
    levels = supporting(
        "By batches of 60,000 an epoch takes as long as by 10,000, within a quarter.",
        record.certain(epochs[-1] / epochs[-2]),
        record.near(1.0, margin=0.25, reason="the first tenfold saves nine tenths"),
    )
    return [falls, levels]


def _hinge_error(sizes: np.ndarray, times: np.ndarray) -> float:
    """The largest relative error of a constant up to a size, s B beyond it, each with
    the least squares of relative errors; at the size where the sum of both is least.
    """
    fits = []
    for count in range(1, len(sizes)):
        level = np.where(np.arange(len(sizes)) < count, 1 / times, 0)
        slope = np.where(np.arange(len(sizes)) < count, 0, sizes / times)
        fitted = level * np.sum(level) / np.sum(level**2)
        fitted = fitted + slope * np.sum(slope) / np.sum(slope**2)
        fits.append(np.abs(fitted - 1))
    errors = np.array(fits)
    best = np.argmin(np.sum(errors**2, axis=1))
    return float(np.max(errors[best]))


def figures(result: Result) -> dict[str, Figure]:
    """Both plots with their laws, on logarithmic axes and, as on the slide, on linear
    ones.
    """
    figure, axes = panels(1, 2)
    title = "the slide's V100, logarithmic", "linear, as on the slide"
    for axis, name in zip(axes, title, strict=True):
        for seconds, plot in zip(result.seconds, ("updates", "epochs"), strict=True):
            known = np.isfinite(seconds)
            sizes, times = result.sizes[known], seconds[known]
            law = record.affine_law(sizes, times)
            between = np.geomspace(sizes[0], sizes[-1], 200)
            axis.scatter(sizes, times, label=f"read off the plot of {plot}")
            fitted = law.level + law.slope * between
            axis.plot(between, fitted, marker="", label=f"t₀ + s B, {plot}")
        label(axis, name, "batch size", "update (seconds)")
        legend_below(axis, columns=1)
    logarithmic, _ = axes
    logarithmic.set_xscale("log")
    logarithmic.set_yscale("log")
    return {"slide": figure}
