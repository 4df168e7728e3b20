"""How long do an update and an epoch take, against the batch size?

The course says that on a parallel device an update takes nearly the same time for
batches of 1 to 1,000. An update of SGD with momentum on random pictures of 28x28 pixels
is timed here, many updates in one program, which take the pictures in turn from 60,000
that lie on the device: without compilation, data loading and shuffling; a batch of all
of them is not copied. On an accelerator a small dense network and a small CNN are
timed, equally many updates a call at all sizes, so that what a call costs is in all of
them alike. On a CPU, whose calls cost little beside a batch, it is the dense network
and a wider one: XLA's convolution there is known to be slow at sizes of its own, which
would tell of it alone.

- C064: t(1,000) is less than twice t(1). Twice, since the ledger asks where the time
  has doubled, and whoever waits twice as long will not call it the same. It fails where
  the time doubles before. And it grows beyond: t(60,000) is more than twice t(1,000),
  which is its control as well. Both decide on an accelerator; the few cores of a CPU
  are not the device that is meant, and there they support.
- C065: an epoch of 60,000 by batches of 1,000 is shorter than by single examples; and
  one by batches of 60,000 as long as by 1,000, within a quarter. It fails if an epoch
  rises beyond 1,000 or goes on falling. On a CPU, large batches may leave its caches,
  and an epoch may rise; two networks tell whether that hangs on one.
- C071, its row on epochs: an epoch by batches of 10 is longer than by 1,000. Its row on
  updates in parallel is C064. (It supported as long as no other row was decided.)

A tenth is the margin: clocks of one machine differ by that. Control: the updates that
are timed, given one picture, train every network.

Units are rounds: in each, all sizes of a network are timed in turn, every other round
backwards. An interval over rounds is of one machine's clock; it, and the range that
the figure shows, are wide where the machine was busy. A replicate times anew.

What changed after a look: a CNN decided on a CPU too, by an artefact of its
convolution; only the last two sizes were compared, which hid that an epoch of the dense
network rises beyond 1,000 on a CPU; and each size saw one batch again and again, which
small ones kept in the cache.

Not tested: other devices than the one that is named, a program without parallel
computation, data loading and the fit of t₀ + s B (`jaxml bench batch` has both), C071's
other rows.

Claims: C065, C064, C071.
Source: the slide's figures, in the ledger; `slide_times` looks at them.
Cost: half a minute on 2 cores, compilation included.
Expect: an epoch falls; a CPU's update doubles before a batch of 100.
Run: jaxml run batch_time
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, problem, record
from jaxml.record import Assertion, Interval
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Batch, Keep, Key, Model

EPOCH = 60_000  # examples
FULL = 1000  # examples an update up to which the time is said to stay
CLASSES = 10
SEEN = 2**14  # examples in one timing on a CPU, in 1 to MOST updates
MOST = 256
EQUAL = 64  # updates in one timing on an accelerator
CLOCK = "clocks of one machine differ by a tenth"
SAME = record.below(2.0, margin=0.2, reason=CLOCK)
TWICE = record.above(2.0, margin=0.2, reason=CLOCK)
LONGER = record.above(1.0, margin=0.1, reason=CLOCK)
LEVEL = record.near(1.0, margin=0.25, reason="the first tenfold saves nine tenths")
WORK = "SGD with momentum on random 28x28 pictures that lie on the device"


class Curve(NamedTuple):
    """A network that is timed: its name, the network, the shape of a picture."""

    name: str
    model: Model
    shape: tuple[int, ...]


def _dense(width: int) -> Curve:
    model = problem.mlp((width, CLASSES), jax.nn.relu)
    return Curve(f"dense network 784-{width}-{CLASSES}", model, (784,))


ON_CPU = (_dense(100), _dense(300))
ON_ACCELERATOR = (
    _dense(100),
    Curve("CNN 8-16-10", problem.cnn((8, 16), CLASSES), (28, 28, 1)),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of networks the first ones; batch sizes; rounds."""

    networks: int = len(ON_CPU)
    sizes: tuple[int, ...] = (1, 10, 100, 1000, 10_000, 60_000)
    rounds: int = 20
    seed: int = 0


SMOKE = Config(networks=1, sizes=(1, 2), rounds=2)


class Result(NamedTuple):
    """Batch sizes, and losses.

    Attributes:
        losses: of each network on the smallest batch, if it is all there is, before
            the first and the last of the updates.
    """

    sizes: Int[np.ndarray, " size"]
    losses: Float[np.ndarray, "network 2"]


class Timings(NamedTuple):
    """Seconds of an update, and the device."""

    seconds: Float[np.ndarray, "network size round"]
    device: np.ndarray


def _curves(device: str) -> tuple[Curve, ...]:
    """What is timed there."""
    return ON_CPU if "CPU" in device else ON_ACCELERATOR


def study(config: Config, keep: Keep) -> Result:
    """Every network is trained on one smallest batch."""

    def losses(curve: Curve) -> np.ndarray:
        ((run, _),) = _programs(config, curve, config.sizes[:1])
        _, trace = run()
        return np.asarray(trace.loss)[[0, -1]]

    found = [
        keep(curve.name, partial(losses, curve))
        for curve in _curves(_device())[: config.networks]
    ]
    return Result(np.array(config.sizes), np.stack(found))


def _programs(
    config: Config, curve: Curve, sizes: tuple[int, ...]
) -> list[tuple[Callable[[], Any], int]]:
    """For each size, updates that are compiled when first called, and how many they
    are: SGD with momentum on as many pictures as the largest batch has, normal pixels
    with labels in turn.
    """
    count = max(sizes)
    drawn = np.random.default_rng(config.seed)
    pixels = drawn.standard_normal((count, *curve.shape), np.float32)
    pictures = jax.device_put(problem.examples(pixels, np.arange(count) % CLASSES))
    of = partial(
        learn.training,
        problem.start(curve.model, pictures.inputs[:1]),
        problem.training_loss(curve.model, problem.cross_entropy),
        learn.momentum,
    )
    first = of(learn.full(pictures), steps=1)
    state = jax.jit(partial(learn.first_state, first))(learn.Hyper(lr=0.01))
    programs = []
    for size in sizes:
        updates = _updates(size)
        run = jax.jit(of(_in_turn(pictures, size), steps=updates).run)
        programs.append((partial(run, state, pictures), updates))
    return programs


def _updates(size: int) -> int:
    """In one timing."""
    return min(max(SEEN // size, 1), MOST) if "CPU" in _device() else EQUAL


def _in_turn(pictures: Batch, size: int) -> learn.Batches:
    """The rows from each batch to the next, and again from the first."""
    batches = len(pictures.weights) // size

    def draw(data: Batch, key: Key, step: Any) -> Batch:
        del key
        first = jnp.asarray(step, jnp.int32) % jnp.int32(batches) * jnp.int32(size)
        rows = partial(jax.lax.dynamic_slice_in_dim, start_index=first, slice_size=size)
        return jax.tree.map(rows, data)

    return learn.Batches(pictures, draw, batches)


def timings(config: Config) -> Timings:
    """All sizes of a network in turn, after one run of each; every other round
    backwards.
    """
    sizes = config.sizes
    curves = _curves(_device())[: config.networks]
    seconds = np.empty((len(curves), len(sizes), config.rounds))
    for network, curve in enumerate(curves):
        programs = _programs(config, curve, sizes)
        for turn in range(config.rounds):
            for index in range(len(sizes))[:: -1 if turn % 2 else 1]:
                run, updates = programs[index]
                taken = record.seconds(run, repeats=1, warmups=int(turn == 0))
                seconds[network, index, turn] = taken.item() / updates
    return Timings(seconds, np.array(_device()))


def _device() -> str:
    """What is timed, for a sentence."""
    device, *_ = jax.devices()
    if device.platform == "cpu":
        return f"{parallel.cores()} cores of a CPU"
    precision = jax.config.values["jax_default_matmul_precision"] or "default"
    return f"one {device.device_kind}, matrix products at {precision} precision"


def findings(result: Result, timings: Timings) -> tuple[Assertion, ...]:
    """Each network on this device."""
    found: list[Assertion] = []
    curves = _curves(str(timings.device))
    named = zip(curves, timings.seconds, result.losses, strict=False)
    for curve, seconds, (before, after) in named:
        setting = f"{curve.name}, {WORK}, float32, {timings.device}"
        trained = record.supporting(
            "C064",
            "The loss of a picture falls over the timed updates, the control.",
            record.certain(after - before),
            record.below(0.0),
            unit="nats",
            setting=setting,
        )
        found += [*_ratios(result.sizes, seconds, setting), trained]
    return tuple(found)


def _ratios(sizes: np.ndarray, seconds: np.ndarray, setting: str) -> list[Assertion]:
    """C064, C065, and C071's row on epochs."""
    full = _full(sizes)
    first, small, *_ = sizes
    thousand, last = f"{sizes[full]:,}", f"{sizes[-1]:,}"
    updates = partial(_quotient, seconds)
    epochs = partial(_quotient, seconds * _passes(sizes)[:, None])
    about = {"unit": "ratio", "setting": setting}
    deciding = partial(record.deciding, **about)
    supporting = partial(record.supporting, **about)
    on_parallel = supporting if "CPU" in setting else deciding
    same = on_parallel(
        "C064",
        f"An update by {thousand} examples takes less than twice as long as by "
        f"{first}.",
        updates(full, 0),
        SAME,
    )
    beyond = on_parallel(
        "C064",
        f"An update by {last} examples takes more than twice as long as by {thousand}.",
        updates(-1, full),
        TWICE,
    )
    falls = deciding(
        "C065",
        f"An epoch by batches of {first} takes longer than by {thousand}.",
        epochs(0, full),
        LONGER,
    )
    levels = deciding(
        "C065",
        f"By batches of {last} an epoch takes as long as by {thousand}, within a "
        "quarter.",
        epochs(-1, full),
        LEVEL,
    )
    row = deciding(
        "C071",
        f"An epoch by batches of {small} takes longer than by {thousand}.",
        epochs(1, full),
        LONGER,
    )
    return [same, beyond, falls, levels, row]


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


def figures(result: Result, timings: Timings) -> dict[str, Figure]:
    """Seconds of an update and of an epoch: medians and ranges of the rounds."""
    figure, axes = panels(1, 2)
    curves = _curves(str(timings.device))
    titles = f"an update, {timings.device}", "an epoch of 60,000"
    for axis, title, counted in zip(axes, titles, (np.ones_like, _passes), strict=True):
        for curve, seconds in zip(curves, timings.seconds, strict=False):
            times = seconds * counted(result.sizes)[:, None]
            band(axis, result.sizes, times, curve.name, within=1.0)
        axis.set_xscale("log")
        axis.set_yscale("log")
        label(axis, title, "batch size", "seconds (median and range)")
    shared_legend(figure)
    return {"time": figure}
