"""How many updates does an epoch take?

One epoch over N examples in batches of B is said to take ⌈N/B⌉ updates. Here they are
counted: from one epoch to the next, batches are drawn one by one from the library's own
orders, in the order of the data, shuffled anew, and shuffled once, until each example
of the epoch has been seen, and every example's batches are counted. Epochs start at
random ones of the first thousand, so that an error that grows with the epoch would
show.

- C061: the count is ⌈N/B⌉, the course's printed figures included, and every example is
  seen exactly once. It fails by one example that is missing or seen twice, or by one
  update. With the ragged last batch dropped, the count is ⌊N/B⌋ (supporting).
- Control: examples drawn with replacement, of which as many updates leave about 1/e
  out.

Nothing is measured with an error: any mismatch refutes.

Claims: C061.
Source: Bottou 2009, "Curiously fast convergence of some stochastic gradient descent
    algorithms", for the three orders.
Cost: half a minute on 2 cores, compilation included.
Expect: exact.
Run: jaxml run updates_per_epoch
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.learn.orders import whole_batches
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, legend_below, panels
from jaxml.types import Batch, Keep, Key

COURSE = ((10_000, 10), (1000, 100), (20, 20), (20, 1), (60_000, 1), (60_000, 1000))
PRINTED = (1000, 10, 1, 20, 60_000, 60)
"""Examples and batch sizes of the course's quizzes, and the updates that it prints."""

RAGGED = ((10, 3), (7, 5), (500, 64), (1797, 100), (60_000, 4096))
ORDERS = (learn.in_order, learn.shuffled, learn.shuffled_once)
LATEST = 1000  # epoch
OUT = record.above(0.2, margin=0.05, reason="of 7 examples 10 draws leave a fifth out")


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many of the course's cases and of the ragged ones are counted, the first ones
    of each, in how many epochs.
    """

    printed: int = len(COURSE)
    ragged: int = len(RAGGED)
    epochs: int = 3
    seed: int = 0


SMOKE = Config(printed=1, ragged=1, epochs=2)


class Result(NamedTuple):
    """Counts of each epoch. Cases of the course come first.

    Attributes:
        cases: examples and batch size.
        printed: how many of the cases are the course's.
        updates: until all examples were seen, the ragged last batch kept; -1 for never.
        whole: until ⌊N/B⌋ B examples were seen, the ragged last batch dropped.
        most: in how many batches an epoch the most frequent example is.
        least: the same of the least frequent one.
        left_out: the fraction that ⌈N/B⌉ updates leave out with replacement.
    """

    cases: Int[np.ndarray, "case 2"]
    printed: Int[np.ndarray, ""]
    updates: Int[np.ndarray, "case order epoch"]
    whole: Int[np.ndarray, "case order epoch"]
    most: Int[np.ndarray, "case order epoch"]
    least: Int[np.ndarray, "case order epoch"]
    left_out: Float[np.ndarray, "case epoch"]


class Seen(NamedTuple):
    """What an epoch showed.

    Attributes:
        total: of different examples, after each update.
        times: that each example was shown.
    """

    total: Int[jax.Array, " update"]
    times: Int[jax.Array, " example"]


def study(config: Config, keep: Keep) -> Result:
    """One program a case."""
    cases = COURSE[: config.printed] + RAGGED[: config.ragged]
    counted = [keep(f"{case}", partial(_counted, config, *case)) for case in cases]
    columns = [np.stack(column) for column in zip(*counted, strict=True)]
    return Result(np.array(cases), np.array(config.printed), *columns)


def _counted(config: Config, examples: int, size: int) -> tuple[jax.Array, ...]:
    """What `Result` holds of one case, in the order of its fields."""
    inputs = np.arange(examples, dtype=np.float32)
    data = problem.examples(inputs, np.zeros(examples, np.float32))
    key = randomness.key(config.seed)
    epochs = jax.random.randint(key, (config.epochs,), 0, LATEST, jnp.int32)
    whole = examples // size * size

    def counts(data: Batch, epochs: jax.Array) -> tuple[jax.Array, ...]:
        orders = []
        for order in ORDERS:
            stream = order(data, size)
            dropped = whole_batches(stream, examples, size)
            seen = jax.lax.map(partial(_epoch, stream, key), epochs)
            fewer = jax.lax.map(partial(_epoch, dropped, key), epochs)
            counted = (
                _until(seen.total, examples),
                _until(fewer.total, whole),
                jnp.max(seen.times, axis=1),
                jnp.min(seen.times, axis=1),
            )
            orders.append(counted)
        again = learn.with_replacement(data, size)
        drawn = jax.lax.map(partial(_epoch, again, key), epochs)
        left_out = jnp.mean(jnp.float32(drawn.times == 0), axis=1)
        by_order = map(jnp.stack, zip(*orders, strict=True))
        return (*by_order, left_out)

    return jax.jit(counts)(data, epochs)


def _epoch(stream: learn.Batches, key: Key, epoch: jax.Array) -> Seen:
    """One epoch, batch by batch."""

    def update(times: jax.Array, step: jax.Array) -> tuple[jax.Array, jax.Array]:
        batch = stream.draw(stream.data, key, step)
        shown = batch.inputs.astype(jnp.int32)
        present = batch.weights > 0
        new = present & (times[shown] == 0)
        after = times.at[shown].add(present.astype(jnp.int32))
        return after, jnp.sum(new, dtype=jnp.int32)

    steps = jnp.arange(stream.per_epoch, dtype=jnp.int32)
    never = jnp.zeros(len(stream.data.weights), jnp.int32)
    first = epoch * jnp.int32(stream.per_epoch)
    times, added = jax.lax.scan(update, never, first + steps)
    return Seen(jnp.cumsum(added, dtype=jnp.int32), times)


def _until(total: jax.Array, examples: int) -> jax.Array:
    """After how many updates so many examples were seen, in each epoch."""
    reached = total >= examples
    first = jnp.argmax(reached, axis=1).astype(jnp.int32) + jnp.int32(1)
    return jnp.where(jnp.any(reached, axis=1), first, jnp.int32(-1))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Mismatches over all cases, orders and epochs."""
    examples, size = result.cases.T[:, :, None, None]
    kept, dropped = -(-examples // size), examples // size
    course = result.updates[: result.printed]
    printed = np.array(PRINTED[: result.printed])[:, None, None]
    setting = (
        f"{len(result.cases)} pairs of N and B, N up to {np.max(examples):,}, in "
        f"order, shuffled anew and once, {result.updates.shape[-1]} epochs each"
    )
    exact = record.at_most(0.0)
    deciding = partial(
        record.deciding, "C061", rule=exact, unit="mismatches", setting=setting
    )
    supporting = partial(record.supporting, "C061", setting=setting)
    return (
        deciding(
            "N examples in batches of B have all been seen after ⌈N/B⌉ updates, and "
            "not before.",
            record.largest(result.updates - kept),
        ),
        deciding(
            "An epoch takes the number of updates that the course prints.",
            record.largest(course - printed),
        ),
        deciding(
            "Every example is in exactly one batch of an epoch.",
            record.largest(np.maximum(result.most - 1, 1 - result.least)),
        ),
        supporting(
            "With the ragged last batch dropped, an epoch takes ⌊N/B⌋ updates.",
            record.largest(result.whole - dropped),
            exact,
            unit="mismatches",
        ),
        supporting(
            "Of examples drawn with replacement, ⌈N/B⌉ updates leave more than a fifth "
            "out, the control.",
            record.bootstrap(_mean, np.ravel(result.left_out)),
            OUT,
            unit="fraction",
        ),
    )


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


def figures(result: Result) -> dict[str, Figure]:
    """Counted updates against ⌈N/B⌉, and how often examples are seen."""
    figure, (counts, often) = panels(1, 2)
    examples, size = result.cases.T
    expected = -(-examples // size)
    line = np.unique(expected)
    counts.plot(line, line, color="0.6", linestyle="-", marker="", label="⌈N/B⌉")
    for name, counted, marker in (
        ("kept", result.updates, "o"),
        ("dropped", result.whole, "x"),
    ):
        shown = f"counted, ragged last batch {name}"
        _points(counts, expected, counted, marker, shown)
    counts.set_xscale("log")
    counts.set_yscale("log")
    label(counts, "updates of an epoch", "⌈N/B⌉", "updates until all were seen")
    legend_below(counts, columns=1)
    _points(often, expected, result.most, "^", "the most frequent")
    _points(often, expected, result.least, "v", "the least frequent")
    often.set_xscale("log")
    often.set_ylim(0, 2)
    label(often, "each example", "⌈N/B⌉", "batches of an epoch that it is in")
    legend_below(often, columns=1)
    return {"updates": figure}


def _points(
    axis: Axes, expected: np.ndarray, counted: np.ndarray, marker: str, name: str
) -> None:
    """A point an order and epoch of each case."""
    values = counted.reshape(len(expected), -1)
    every = np.repeat(expected, values.shape[1])
    axis.scatter(every, np.ravel(values), marker=marker, label=name)
