"""How long do an update and an epoch take, against the batch size?

The course says that on a parallel device an update takes nearly the same time for
batches of 1 to 1,000. An update of SGD with momentum, of a dense network and of a small
CNN on random pictures of 28x28 pixels, is timed here on a batch that is there already,
many updates in one program: without compilation, data loading and drawing of batches.

- C064: t(1,000) is less than twice t(1). Twice, since the ledger asks where the time
  has doubled, and whoever waits twice as long will not call it the same. It fails where
  the time doubles before. It decides on an accelerator; the few cores of a CPU are not
  the device that is meant, and there it supports. Beside it: whether more than half of
  an update of 1,000 is in proportion to its examples, by the fit of t₀ + s B, so that
  the time has doubled before 1,000.
- C065: an epoch of 60,000 by batches of 1,000 is shorter than by single examples; from
  the last size but one to the last, six or ten times larger, it changes by a quarter at
  most. It fails if an epoch rises, or goes on falling.
- C071, its row on epochs: that of batches of 10 is longer than that of 1,000. Its row
  on updates in parallel is C064.

A tenth is the margin: clocks of one machine differ by that. Controls: an update by
60,000, which must take more than twice as long as by 1; and the timed updates train.

Units are rounds: in each, all sizes of a network are timed in turn, every other round
backwards. An interval over rounds is of one machine's clock; it, and the range that
the figure shows, are wide where the machine was busy. A replicate times anew.

Not tested: other devices than the one that is named, a program without parallel
computation, data loading (`jaxml bench batch` times drawing), C071's other rows.

Claims: C065, C064, C071.
Source: the slide's figures, in the ledger; `slide_times` looks at them.
Cost: two minutes on 2 cores, compilation included.
Expect: an epoch falls and levels off; a CPU's update doubles before a batch of 100.
Run: jaxml run batch_time
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, problem, randomness, record
from jaxml.record import Assertion, Interval
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Keep, Model

EPOCH = 60_000  # examples
FULL = 1000  # examples an update up to which the time is said to stay
CLASSES = 10
MOST = 256  # updates in one timing
CLOCK = "clocks of one machine differ by a tenth"
SAME = record.below(2.0, margin=0.2, reason=CLOCK)
LONGER = record.above(1.0, margin=0.1, reason=CLOCK)
LEVEL = record.near(1.0, margin=0.25, reason="the first tenfold saves nine tenths")


class Curve(NamedTuple):
    """A network, as it is timed.

    Attributes:
        name: of it.
        model: the network.
        shape: of a picture.
        examples: that one timing sees, in at least one update and at most MOST.
    """

    name: str
    model: Model
    shape: tuple[int, ...]
    examples: int


CURVES = (
    Curve(
        "dense network 784-100-10",
        problem.mlp((100, CLASSES), jax.nn.relu),
        (784,),
        2**14,
    ),
    Curve("CNN 8-16-10", problem.cnn((8, 16), CLASSES), (28, 28, 1), 2**10),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Batch sizes of the dense network and of the CNN; rounds."""

    dense: tuple[int, ...] = (1, 10, 100, 1000, 10_000, 60_000)
    cnn: tuple[int, ...] = (1, 10, 100, 1000)
    rounds: int = 20
    seed: int = 0


SMOKE = Config(dense=(1, 2, 4), cnn=(1, 2), rounds=2)


class Result(NamedTuple):
    """Batch sizes of the networks, and losses.

    Attributes:
        losses: of the dense network on its smallest batch, before the first and the
            last of the timed updates.
    """

    dense: Int[np.ndarray, " size"]
    cnn: Int[np.ndarray, " size"]
    losses: Float[np.ndarray, " 2"]


class Timings(NamedTuple):
    """Seconds of an update, and the device's name."""

    dense: Float[np.ndarray, "size round"]
    cnn: Float[np.ndarray, "size round"]
    device: np.ndarray


class Program(NamedTuple):
    """Updates on one batch, compiled when first called, and how many they are."""

    run: Callable[[], Any]
    updates: int


def study(config: Config, keep: Keep) -> Result:
    """The dense network's smallest batch is trained on as when it is timed."""
    dense, _ = CURVES

    def losses() -> np.ndarray:
        first, *_ = _programs(config, dense, config.dense[:1])
        _, trace = first.run()
        return np.asarray(trace.loss)[[0, -1]]

    sizes = np.array(config.dense), np.array(config.cnn)
    return Result(*sizes, keep("losses", losses))


def _programs(config: Config, curve: Curve, sizes: tuple[int, ...]) -> list[Program]:
    """SGD with momentum on normal pixels, with labels in turn."""
    count = max(sizes)
    pixels = jax.random.normal(randomness.key(config.seed), (count, *curve.shape))
    pictures = problem.examples(pixels, np.arange(count) % CLASSES)
    of_length = partial(
        learn.training,
        problem.start(curve.model, pixels),
        problem.training_loss(curve.model, problem.cross_entropy),
        learn.momentum,
        learn.full(pictures),
    )
    begin = jax.jit(partial(learn.first_state, of_length(steps=1)))
    state = begin(learn.Hyper(lr=0.01))
    programs = []
    for size in sizes:
        batch = jax.device_put(parallel.rows(pictures, np.arange(size)))
        updates = min(max(curve.examples // size, 1), MOST)
        run = jax.jit(of_length(steps=updates).run)
        programs.append(Program(partial(run, state, batch), updates))
    return programs


def timings(config: Config) -> Timings:
    """All sizes of a network in turn, after one run of each; every other round
    backwards.
    """
    measured = []
    for curve, sizes in zip(CURVES, (config.dense, config.cnn), strict=True):
        programs = _programs(config, curve, sizes)
        seconds = np.empty((len(sizes), config.rounds))
        for turn in range(config.rounds):
            for index in range(len(sizes))[:: -1 if turn % 2 else 1]:
                run, updates = programs[index]
                taken = record.seconds(run, repeats=1, warmups=int(turn == 0))
                seconds[index, turn] = taken.item() / updates
        measured.append(seconds)
    dense, cnn = measured
    return Timings(dense, cnn, np.array(_device()))


def _device() -> str:
    """What is timed, for a sentence."""
    device, *_ = jax.devices()
    if device.platform == "cpu":
        return f"{parallel.cores()} cores of a CPU"
    return f"one {device.device_kind}"


def findings(result: Result, timings: Timings) -> tuple[Assertion, ...]:
    """Each network on this device."""
    found: list[Assertion] = []
    for curve, sizes, seconds in zip(CURVES, result, timings, strict=False):
        setting = f"{curve.name}, SGD with momentum, on {timings.device}"
        found += _updates(sizes, seconds, setting)
        found += _epochs(sizes, seconds, setting)
    before, after = result.losses
    trained = record.supporting(
        "C064",
        "The loss of the smallest batch falls over the timed updates, the control.",
        record.certain(after - before),
        record.below(0.0),
        unit="nats",
        setting=f"{CURVES[0].name}, SGD with momentum",
    )
    return (*found, trained)


def _updates(sizes: np.ndarray, seconds: np.ndarray, setting: str) -> list[Assertion]:
    """C064, the fitted law, and whether the machine was busy."""
    full = _full(sizes)
    update = f"n update by {sizes[full]:,} examples"
    part = record.bootstrap(partial(_part, sizes, full), seconds.T)
    role = record.supporting if setting.endswith("CPU") else record.deciding
    same = role(
        "C064",
        f"A{update} takes less than twice as long as by {sizes[0]}.",
        _quotient(seconds, full, 0),
        SAME,
        unit="ratio",
        setting=setting,
    )
    supporting = partial(record.supporting, "C064", setting=setting)
    beyond = supporting(
        f"An update by {sizes[-1]:,} examples takes less than twice as long as by "
        f"{sizes[0]}, the control by the largest batch.",
        _quotient(seconds, -1, 0),
        SAME,
        unit="ratio",
    )
    fitted = supporting(
        f"Of the time of a{update}, more than half is in proportion to them, by the "
        "fit of t₀ + s B.",
        part,
        record.above(0.5, margin=0.05, reason=CLOCK),
        unit="fraction",
    )
    return [same, beyond, fitted]


def _epochs(sizes: np.ndarray, seconds: np.ndarray, setting: str) -> list[Assertion]:
    """C065, and C071's row on epochs."""
    deciding = partial(record.deciding, unit="ratio", setting=setting)
    epochs = seconds * _passes(sizes)[:, None]
    full = _full(sizes)
    single, small, *_ = sizes
    *_, before, last = sizes
    falls = deciding(
        "C065",
        f"An epoch by batches of {single} takes longer than by {sizes[full]:,}.",
        _quotient(epochs, 0, full),
        LONGER,
    )
    levels = deciding(
        "C065",
        f"By batches of {last:,} an epoch takes as long as by {before:,}, within a "
        "quarter.",
        _quotient(epochs, -1, -2),
        LEVEL,
    )
    row = deciding(
        "C071",
        f"An epoch by batches of {small} takes longer than by {sizes[full]:,}.",
        _quotient(epochs, 1, full),
        LONGER,
    )
    return [falls, levels, row]


def _passes(sizes: np.ndarray) -> np.ndarray:
    """Updates of an epoch."""
    return -(-EPOCH // sizes)


def _full(sizes: np.ndarray) -> int:
    """The index of FULL, or of the largest size below it."""
    return int(np.flatnonzero(sizes <= FULL)[-1])


def _quotient(seconds: np.ndarray, over: int, under: int) -> Interval:
    """Of the times of two sizes, from `[size, round]`, over rounds."""
    return record.bootstrap(_ratio, seconds[over], seconds[under])


def _ratio(over: np.ndarray, under: np.ndarray) -> float:
    return float(np.median(over) / np.median(under))


def _part(sizes: np.ndarray, index: int, rounds: np.ndarray) -> float:
    """s B over t₀ + s B at a size, from `[round, size]`."""
    law = record.affine_law(sizes, np.median(rounds, axis=0))
    grown = law.slope * sizes[index]
    return float(grown / (law.level + grown))


def figures(result: Result, timings: Timings) -> dict[str, Figure]:
    """Seconds of an update and of an epoch: medians and ranges of the rounds."""
    figure, axes = panels(1, 2, width=5.0, height=3.8)
    titles = f"an update, {timings.device}", "an epoch of 60,000"
    for axis, title, counted in zip(axes, titles, (np.ones_like, _passes), strict=True):
        for curve, sizes, seconds in zip(CURVES, result, timings, strict=False):
            times = seconds * counted(sizes)[:, None]
            band(axis, sizes, times, curve.name, within=1.0).set_markevery(1)
        axis.set_xscale("log")
        axis.set_yscale("log")
        label(axis, title, "batch size", "seconds (median and range)")
    shared_legend(figure)
    return {"time": figure}
