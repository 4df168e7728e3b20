"""How long do an update and an epoch take, against the batch size?

The course shows seconds per update on MNIST by a V100, and reads off its linear axis
that they are nearly the same for batches of 1 to 1,000. Two questions follow. What do
the slide's own numbers say (A6)? And what does a device say whose compilation, data
loading and drawing of batches are left out: here an update of SGD with momentum, of a
dense network and of a small CNN on random pictures of 28x28 pixels, is timed on a batch
that is there already, many updates in one program.

- A6, deterministic: the slide's times grow by more than two from batches of 1 to 1,000;
  the affine law t₀ + s B, fitted in relative error, is nearer to them than the course's
  reading, constant until the device is full and then in proportion; and it is about
  6 ms + 0.157 ms B. Its two plots, of updates and of epochs, are read off apart. At
  B = 100 they differ by a fifth, so a tenth in a coefficient is little.
- C064: t(1,000) is less than twice t(1). Twice, because the ledger asks where the time
  has doubled, and because one who waits twice as long will not call it the same; a
  tenth of that to either side is what clocks differ by. It decides on an accelerator.
  On the few cores of a CPU, which no one says of, it supports. Supporting: the part of
  an update of 1,000 that grows with its examples, by the fit; and growth beyond.
- C065: an epoch of 60,000 by batches of 1,000 is shorter than by single examples, by a
  tenth or more; from the last but one size to the last it changes by a quarter at most,
  which are ten and six times more examples an update.
- C071, its rows on time: the epoch of batches of 10 is longer than that of 1,000; in
  parallel an update by 10 takes as long as by 1,000, within the factor of C064; one
  example after the other it is faster.

Controls: the same program twice in a round, which must take as long within a tenth (it
does not on a busy machine); examples taken one after the other, where t(100) must be
more than twice t(1); and that the timed updates train.

Units are rounds: in each, all sizes of a network are timed in turn, there and back. An
interval over rounds is of one machine's clock. Not tested: other devices than the one
that is named, a program without parallel computation on the same device, data loading
(`jaxml bench batch` times drawing), and C071's rows on noise, training and testing.

Claims: A6, C064, C065, C071.
Source: the slide's figures, in the ledger.
Cost: two minutes on 2 cores, compilation included.
Expect: the slide is affine; a CPU's time doubles before a batch of 100.
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

from jaxml import learn, parallel, problem, randomness, record
from jaxml.record import Assertion, Interval
from jaxml.record.figures import Axes, Figure, band, label, panels, shared_legend
from jaxml.types import Batch, Keep, Key, Model, Params, TrainingLoss

COURSE = np.array([1, 10, 100, 1000, 10_000, 60_000])
COURSE_UPDATES = np.array([0.006, np.nan, 0.03, 0.16, 1.56, 9.49])  # seconds
COURSE_EPOCHS = np.array([363, 44, 15, 9.8, 9.4, 9.45])  # seconds
LAW = np.array([0.006, 0.000157])  # t₀ and s, from the ledger
EPOCH = 60_000  # examples
FULL = 1000  # examples an update up to which the time is said to stay
SMALL = 10  # examples an update
PIXELS, CLASSES = 784, 10
CLOCK = "a tenth is little beside what clocks differ by"
TWICE = record.below(2.0, margin=0.2, reason=CLOCK)


class Curve(NamedTuple):
    """A network, as it is timed.

    Attributes:
        name: of it.
        model: the network.
        shape: of a picture.
        examples: that one timing sees at least, in up to MOST updates.
        in_turn: whether an update takes its examples one after the other.
    """

    name: str
    model: Model
    shape: tuple[int, ...]
    examples: int
    in_turn: bool = False


DENSE = problem.mlp((100, CLASSES), jax.nn.relu)
MOST = 256
CURVES = (
    Curve("dense network 784-100-10", DENSE, (PIXELS,), 2**14),
    Curve("CNN 8-16-10", problem.cnn((8, 16), CLASSES), (28, 28, 1), 2**10),
    Curve("784-100-10, examples in turn", DENSE, (PIXELS,), 2**10, in_turn=True),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Batch sizes of each curve, and rounds."""

    dense: tuple[int, ...] = (1, 10, 100, 1000, 10_000, 60_000)
    cnn: tuple[int, ...] = (1, 10, 100, 1000)
    in_turn: tuple[int, ...] = (1, 10, 100)
    rounds: int = 12
    seed: int = 0


SMOKE = Config(dense=(1, 2, 4), cnn=(1, 2), in_turn=(1, 2), rounds=2)


class Result(NamedTuple):
    """What was timed.

    Attributes:
        dense: batch sizes of the dense network.
        cnn: of the CNN.
        in_turn: of the dense network that takes its examples in turn.
        losses: of each curve on its largest batch, before its first and its last timed
            update.
    """

    dense: Int[np.ndarray, " size"]
    cnn: Int[np.ndarray, " size"]
    in_turn: Int[np.ndarray, " size"]
    losses: Float[np.ndarray, "curve 2"]


class Timings(NamedTuple):
    """Seconds of an update, there and back in each round, and the device's name."""

    dense: Float[np.ndarray, "size round 2"]
    cnn: Float[np.ndarray, "size round 2"]
    in_turn: Float[np.ndarray, "size round 2"]
    device: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """Each curve's smallest batch is trained on as often as it is timed."""

    def losses() -> np.ndarray:
        ends = []
        for curve, sizes in zip(CURVES, _sizes(config), strict=True):
            run, _ = _program(curve, _pictures(config, curve, 1), min(sizes))
            _, trace = run()
            ends.append(np.asarray(trace.loss)[[0, -1]])
        return np.array(ends)

    return Result(*map(np.array, _sizes(config)), keep("losses", losses))


def _sizes(config: Config) -> tuple[tuple[int, ...], ...]:
    """By curve."""
    return config.dense, config.cnn, config.in_turn


def _pictures(config: Config, curve: Curve, count: int) -> Batch:
    """Normal pixels and labels in turn: how long an update takes depends on neither."""
    key = randomness.key(config.seed)
    pixels = jax.random.normal(key, (count, *curve.shape), jnp.float32)
    labels = jnp.arange(count, dtype=jnp.int32) % jnp.int32(CLASSES)
    return Batch(pixels, labels, jnp.ones(count, jnp.float32))


def _program(curve: Curve, pictures: Batch, size: int) -> tuple[Callable[[], Any], int]:
    """Updates on one batch of this size, compiled when first called, and how many."""
    batch = jax.tree.map(lambda leaf: leaf[:size], pictures)
    loss = problem.training_loss(curve.model, problem.cross_entropy)
    updates = min(max(curve.examples // size, 1), MOST)
    training = learn.training(
        problem.start(curve.model, batch.inputs),
        _in_turn(loss) if curve.in_turn else loss,
        learn.momentum,
        learn.full(batch),
        steps=updates,
    )
    state = learn.first_state(training, learn.Hyper(lr=0.01))
    return partial(jax.jit(training.run), state, batch), updates


def _in_turn(loss: TrainingLoss) -> TrainingLoss:
    """The mean of the examples' losses, each by itself and after the one before."""

    def mean(
        params: Params, state: Any, batch: Batch, key: Key
    ) -> tuple[jax.Array, Any]:
        def single(example: Batch) -> jax.Array:
            one = jax.tree.map(lambda leaf: leaf[None], example)
            return loss(params, state, one, key)[0]

        return jnp.mean(jax.lax.map(single, batch)), state

    return mean


def timings(config: Config) -> Timings:
    """All sizes of a curve in turn, there and back, after one run of each."""
    seconds = []
    for curve, sizes in zip(CURVES, _sizes(config), strict=True):
        pictures = _pictures(config, curve, max(sizes))
        programs = [_program(curve, pictures, size) for size in sizes]
        for index in range(len(programs)):
            _clocked(programs, index)
        rounds = [_there_and_back(programs) for _ in range(config.rounds)]
        seconds.append(np.stack(rounds, axis=1))
    return Timings(*seconds, np.array(_device()))


def _there_and_back(
    programs: list[tuple[Callable[[], Any], int]],
) -> Float[np.ndarray, "size 2"]:
    """One round."""
    there = range(len(programs))
    first = [_clocked(programs, index) for index in there]
    second = [_clocked(programs, index) for index in reversed(there)]
    return np.stack([first, second[::-1]], axis=1)


def _clocked(programs: list[tuple[Callable[[], Any], int]], index: int) -> float:
    """Seconds of one update."""
    run, updates = programs[index]
    return record.seconds(run, repeats=1, warmups=0).item() / updates


def _device() -> str:
    """What is timed, for a sentence."""
    device, *_ = jax.devices()
    if device.platform == "cpu":
        return f"a CPU by {parallel.cores()} cores"
    return f"an accelerator, {device.device_kind}"


def findings(result: Result, timings: Timings) -> tuple[Assertion, ...]:
    """The slide, each network on this device, and examples in turn."""
    device = str(timings.device)
    parallel_role = record.supporting if "CPU" in device else record.deciding
    found = [
        *_slide("updates", COURSE_UPDATES),
        *_slide("epochs", COURSE_EPOCHS / _passes(COURSE)),
    ]
    measured = ((result.dense, timings.dense), (result.cnn, timings.cnn))
    for index, (sizes, seconds) in enumerate(measured):
        setting = f"{CURVES[index].name}, SGD with momentum, {device}"
        roles = parallel_role, record.deciding
        found += _timed(sizes, seconds, roles, setting)
        found += _checks(sizes, seconds, result.losses[index], setting)
    setting = f"{CURVES[-1].name}, SGD with momentum, {device}"
    return (*found, *_serial(result.in_turn, timings.in_turn, setting))


def _passes(sizes: np.ndarray) -> np.ndarray:
    """Updates of an epoch."""
    return -(-EPOCH // sizes)


def _ratio(over: np.ndarray, under: np.ndarray) -> float:
    return float(np.median(over) / np.median(under))


def _quotient(seconds: np.ndarray, over: int, under: int) -> Interval:
    """Of the times of two sizes, from `[size, round, pass]`; a single round is that of
    the slide, of which nothing else is known.
    """
    rounds = np.mean(seconds, axis=-1)
    if rounds.shape[1] == 1:
        return record.certain(_ratio(rounds[over], rounds[under]), of=rounds)
    return record.bootstrap(_ratio, rounds[over], rounds[under])


def _slide(plot: str, seconds: np.ndarray) -> list[Assertion]:
    """A6, and what the slide's own times say of the other claims."""
    known = np.isfinite(seconds)
    sizes, times = COURSE[known], seconds[known]
    law = record.affine_law(sizes, times)
    error = record.affine_deviation(law, sizes, times)
    setting = f"a V100 on MNIST with its data, read off the slide's plot of {plot}"
    a6 = partial(record.deciding, "A6", setting=setting)
    rounds = times[:, None, None]
    grown = _quotient(rounds, _index(sizes, FULL), 0)
    return [
        a6(
            "An update by 1,000 examples takes more than twice as long as by 1.",
            grown,
            record.above(2.0, margin=0.2, reason=CLOCK),
            unit="ratio",
        ),
        a6(
            "A time that is constant until the device is full, and then in proportion, "
            "has a larger relative error than t₀ + s B, both fitted.",
            record.certain(_hinge_error(sizes, times) / error, of=times),
            record.above(
                1.0, margin=0.1, reason="a tenth of an error is no difference"
            ),
            unit="ratio",
        ),
        a6(
            "The fitted t₀ and s are 6 ms and 0.157 ms, within a tenth.",
            record.largest(np.array(law) / LAW - 1),
            record.at_most(0.1),
            unit="relative error",
        ),
        *_timed(sizes, rounds, (record.supporting, record.supporting), setting),
    ]


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


def _index(sizes: np.ndarray, size: int) -> int:
    """Of the largest size that is no larger."""
    return int(np.flatnonzero(sizes <= size)[-1])


def _timed(
    sizes: np.ndarray, seconds: np.ndarray, roles: tuple[Any, Any], setting: str
) -> list[Assertion]:
    """C064, C065 and C071's rows, from `[size, round, pass]`."""
    of_update, of_epoch = (
        partial(role, setting=setting, unit="ratio") for role in roles
    )
    epochs = seconds * _passes(sizes)[:, None, None]
    full = _index(sizes, FULL)
    single, small, whole = sizes[0], sizes[1], sizes[full]
    before, last = sizes[-2:]
    longer = record.above(1.0, margin=0.1, reason=CLOCK)
    return [
        of_update(
            "C064",
            f"An update by {whole:,} examples takes less than twice as long as by "
            f"{single:,}.",
            _quotient(seconds, full, 0),
            TWICE,
        ),
        of_update(
            "C071",
            f"In parallel, an update by {whole:,} examples takes less than twice as "
            f"long as by {small:,}.",
            _quotient(seconds, full, 1),
            TWICE,
        ),
        of_epoch(
            "C065",
            f"An epoch by single examples takes longer than by batches of {whole:,}.",
            _quotient(epochs, 0, full),
            longer,
        ),
        of_epoch(
            "C065",
            f"By batches of {last:,} an epoch takes as long as by {before:,}, within a "
            "quarter.",
            _quotient(epochs, -1, -2),
            record.near(1.0, margin=0.25, reason="the first tenfold saves nine tenths"),
        ),
        of_epoch(
            "C071",
            f"An epoch by batches of {small:,} takes longer than by {whole:,}.",
            _quotient(epochs, 1, full),
            longer,
        ),
    ]


def _checks(
    sizes: np.ndarray, seconds: np.ndarray, losses: np.ndarray, setting: str
) -> list[Assertion]:
    """The law on this device, and controls of what was timed."""
    supporting = partial(record.supporting, "C064", setting=setting)
    full = _index(sizes, FULL)
    there, back = np.moveaxis(seconds[full], -1, 0)
    first, last = losses
    return [
        supporting(
            f"Of the time of an update by {sizes[full]:,} examples, more than half is "
            "in proportion to them, by the fit of t₀ + s B.",
            record.bootstrap(
                partial(_part, sizes, sizes[full]), np.moveaxis(seconds, 0, -1)
            ),
            record.above(0.5, margin=0.05, reason=CLOCK),
            unit="fraction",
        ),
        supporting(
            f"An update by {sizes[full]:,} examples takes as long when it is timed "
            "again in the same round, the control.",
            record.bootstrap(_ratio, there, back),
            record.near(1.0, margin=0.1, reason=CLOCK),
            unit="ratio",
        ),
        supporting(
            f"The loss of a batch of {sizes[0]:,} falls over the timed updates.",
            record.certain(last - first),
            record.below(0.0),
            unit="nats",
        ),
    ]


def _part(sizes: np.ndarray, size: int, rounds: np.ndarray) -> float:
    """s B over t₀ + s B at a size, from `[round, pass, size]`."""
    law = record.affine_law(sizes, np.median(rounds, axis=(0, 1)))
    return law.slope * size / (law.level + law.slope * size)


def _serial(
    sizes: np.ndarray, seconds: np.ndarray, setting: str
) -> tuple[Assertion, ...]:
    """The control of C064, and C071's row without parallel computation."""
    smallest, largest = sizes[0], sizes[-1]
    grown = _quotient(seconds, -1, 0)
    supporting = partial(record.supporting, unit="ratio", setting=setting)
    return (
        supporting(
            "C064",
            f"An update by {largest:,} examples takes less than twice as long as by "
            f"{smallest:,}, the control, which must be refuted.",
            grown,
            TWICE,
        ),
        supporting(
            "C071",
            f"Without parallel computation, an update by {largest:,} examples takes "
            f"more than twice as long as by {smallest:,}.",
            grown,
            record.above(2.0, margin=0.2, reason=CLOCK),
        ),
    )


def figures(result: Result, timings: Timings) -> dict[str, Figure]:
    """Seconds of an update and of an epoch: medians and ranges, the fit, the slide."""
    figure, (update, epoch) = panels(1, 2, width=5.0, height=3.8)
    slide = COURSE_EPOCHS / _passes(COURSE)
    _curve(update, epoch, COURSE, slide[:, None, None], "the slide's V100")
    for curve, sizes, seconds in zip(CURVES, result[:3], timings[:3], strict=True):
        _curve(update, epoch, sizes, seconds, curve.name)
    for axis, what in ((update, "an update"), (epoch, "an epoch of 60,000")):
        axis.set_xscale("log")
        axis.set_yscale("log")
        title = f"{what}, {timings.device}"
        label(axis, title, "batch size", "seconds (median and range of rounds)")
    shared_legend(figure, columns=2)
    return {"time": figure}


def _curve(
    update: Axes, epoch: Axes, sizes: np.ndarray, seconds: np.ndarray, name: str
) -> None:
    """One line in both panels, and the affine law of it in the first."""
    rounds = seconds.reshape(len(sizes), -1)
    line = band(update, sizes, rounds, name, within=1.0)
    line.set_markevery(1)
    band(epoch, sizes, rounds * _passes(sizes)[:, None], name, within=1.0)
    law = record.affine_law(sizes, np.median(rounds, axis=1))
    between = np.geomspace(sizes[0], sizes[-1], 50)
    fitted = law.level + law.slope * between
    update.plot(
        between, fitted, color="0.6", linestyle="-", marker="", label="t₀ + s B"
    )
