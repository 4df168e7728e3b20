"""How many updates does an epoch take?

One epoch over N examples in batches of B is said to take ⌈N/B⌉ updates. Here they are
counted: batches are drawn one by one from the library's own orders, in the order of the
data, shuffled anew, and shuffled once, the first epoch and random ones of the first
thousand, none twice; of each example it is noted after which update it was first seen,
and in how many batches it was. Epochs are laid end to end here, ⌈N/B⌉ updates each,
whatever length the library gives them: were its own longer or shorter, those after the
first would be cut at the wrong place. Where ⌈N/B⌉ is 1,000 at most, as many updates
again are drawn, so that an example that comes late shows by how much; else it shows as
never.

- C061: all N have been seen after ⌈N/B⌉ updates and not before, the course's printed
  figures included, and every example is in exactly one batch. It fails by one example
  that is missing or seen twice, or by one update. What counts is in how many epochs
  either happens. With the ragged last batch dropped, the count is ⌊N/B⌋; that
  supports, since the claim rounds up.
- Control: the same counts of examples drawn with replacement must fail: that N draws
  show all N has the probability N!/Nᴺ, of 500 examples below 10⁻²⁰⁰.

Nothing is measured with an error: any mismatch refutes. A first version added up new
examples batch by batch, and would have taken one that is twice in a batch for two.

Claims: C061.
Source: Bottou 2009, "Curiously fast convergence of some stochastic gradient descent
    algorithms", for the three orders.
Cost: 15 seconds on 2 cores, compilation included.
Expect: exact.
Run: jaxml run updates_per_epoch
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from jaxml import learn, problem, randomness, record
from jaxml.learn.orders import whole_batches
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, legend_below, panels
from jaxml.types import Batch, Keep, Key

COURSE = {
    "10,000/10 = 1,000": (10_000, 10, 1000),
    "1,000/100 = 10": (1000, 100, 10),
    "20/20 = 1": (20, 20, 1),
    "20/1 = 20": (20, 1, 20),
    "60,000/1 = 60,000": (60_000, 1, 60_000),
    "60,000/1,000 = 60": (60_000, 1000, 60),
}
"""Examples, batch size, and updates, as the course's quizzes print them."""

RAGGED = ((10, 3), (7, 5), (500, 64), (1797, 100), (60_000, 4096))
ORDERS = (learn.in_order, learn.shuffled, learn.shuffled_once, learn.with_replacement)
"""The last one is the control."""

LATEST = 1000  # epoch
AGAIN = 1000  # updates of an epoch up to which as many again are drawn
NEVER = np.iinfo(np.int32).max


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
    """Counts of each epoch. Cases of the course come first; of orders the last one is
    the control.

    Attributes:
        cases: examples and batch size.
        printed: updates of the course's cases, as it prints them.
        updates: until all examples were seen, the ragged last batch kept; -1 for never.
        whole: until ⌊N/B⌋ B examples were seen, the ragged last batch dropped.
        most: in how many batches an epoch the most frequent example is.
        least: the same of the least frequent one.
    """

    cases: Int[np.ndarray, "case 2"]
    printed: Int[np.ndarray, " printed"]
    updates: Int[np.ndarray, "case order epoch"]
    whole: Int[np.ndarray, "case order epoch"]
    most: Int[np.ndarray, "case order epoch"]
    least: Int[np.ndarray, "case order epoch"]


class Seen(NamedTuple):
    """What an epoch showed.

    Attributes:
        first: the update at which each example was first shown, from 0; or NEVER.
        times: that each example was shown within the epoch.
    """

    first: Int[jax.Array, " example"]
    times: Int[jax.Array, " example"]


def study(config: Config, keep: Keep) -> Result:
    """One program a case."""
    course = np.array(list(COURSE.values()))[: config.printed]
    cases = [*course[:, :2].tolist(), *RAGGED[: config.ragged]]
    counted = [keep(f"{case}", partial(_counted, config, *case)) for case in cases]
    columns = [np.stack(column) for column in zip(*counted, strict=True)]
    return Result(np.array(cases), course[:, 2], *columns)


def _counted(config: Config, examples: int, size: int) -> tuple[jax.Array, ...]:
    """What `Result` holds of one case, in the order of its fields."""
    inputs = np.arange(examples, dtype=np.float32)
    data = problem.examples(inputs, np.zeros(examples, np.float32))
    key = randomness.key(config.seed)
    epochs = _epochs(config)
    kept, whole = -(-examples // size), examples // size

    def counts(data: Batch, epochs: jax.Array) -> tuple[jax.Array, ...]:
        orders = []
        for order in ORDERS:
            stream = order(data, size)
            dropped = whole_batches(stream, examples, size)
            seen = jax.lax.map(partial(_epoch, stream, key, kept), epochs)
            fewer = jax.lax.map(partial(_epoch, dropped, key, whole), epochs)
            counted = (
                _until(seen.first, examples),
                _until(fewer.first, whole * size),
                jnp.max(seen.times, axis=1),
                jnp.min(seen.times, axis=1),
            )
            orders.append(counted)
        return tuple(map(jnp.stack, zip(*orders, strict=True)))

    return jax.jit(counts)(data, epochs)


def _epochs(config: Config) -> Int[np.ndarray, " epoch"]:
    """The first one and random others."""
    others = np.random.default_rng(config.seed).permutation(np.arange(1, LATEST))
    return np.append(0, others[: config.epochs - 1]).astype(np.int32)


def _epoch(stream: learn.Batches, key: Key, updates: int, epoch: jax.Array) -> Seen:
    """One epoch of so many updates, batch by batch, and what comes after it."""

    def update(seen: Seen, turn: jax.Array) -> tuple[Seen, None]:
        batch = stream.draw(stream.data, key, epoch * jnp.int32(updates) + turn)
        shown = batch.inputs.astype(jnp.int32)
        present = batch.weights > 0
        within = present & (turn < updates)
        after = Seen(
            seen.first.at[shown].min(jnp.where(present, turn, jnp.int32(NEVER))),
            seen.times.at[shown].add(within.astype(jnp.int32)),
        )
        return after, None

    drawn = 2 * updates if updates <= AGAIN else updates
    never = jnp.zeros(len(stream.data.weights), jnp.int32)
    start = Seen(never + jnp.int32(NEVER), never)
    seen, _ = jax.lax.scan(update, start, jnp.arange(drawn, dtype=jnp.int32))
    return seen


def _until(first: jax.Array, examples: int) -> jax.Array:
    """After how many updates so many examples were seen, in each epoch."""
    last = jnp.sort(first, axis=1)[:, examples - 1]
    return jnp.where(last < NEVER, last + jnp.int32(1), jnp.int32(-1))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Epochs that do not match, over all cases, orders and epochs."""
    examples, size = result.cases.T[:, :, None, None]
    count = len(result.printed)
    wrong = result.updates != -(-examples // size)
    unlike = result.updates[:count, :-1] != result.printed[:, None, None]
    twice = (result.most != 1) | (result.least != 1)
    fewer = result.whole != examples // size
    setting = (
        f"{len(result.cases)} pairs of N and B, N up to {np.max(examples):,}, in "
        f"order, shuffled anew and once, {result.updates.shape[-1]} epochs each"
    )
    control = "the same pairs, drawn with replacement"
    about = {"claim": "C061", "rule": record.at_most(0.0), "unit": "mismatches"}
    deciding = partial(record.deciding, setting=setting, **about)
    supporting = partial(record.supporting, **about)
    seen = "N examples in batches of B have all been seen after ⌈N/B⌉ updates, and not "
    once = "Every example is in exactly one batch of an epoch"
    return (
        deciding(
            statement=f"{seen}before.",
            measured=_count(wrong[:, :-1]),
        ),
        deciding(
            statement=f"An epoch takes the updates that the course prints: "
            f"{', '.join(list(COURSE)[:count])}.",
            measured=_count(unlike),
            setting="the course's quizzes, in order, shuffled anew and once",
        ),
        deciding(
            statement=f"{once}.",
            measured=_count(twice[:, :-1]),
        ),
        supporting(
            statement="With the ragged last batch dropped, an epoch takes ⌊N/B⌋ "
            "updates.",
            measured=_count(fewer[:, :-1]),
            setting=setting,
        ),
        supporting(
            statement=f"{seen}before, the control.",
            measured=_count(wrong[:, -1]),
            setting=control,
        ),
        supporting(
            statement=f"{once}, the control.",
            measured=_count(twice[:, -1]),
            setting=control,
        ),
    )


def _count(wrong: np.ndarray) -> record.Interval:
    """In how many epochs; nothing random enters."""
    return record.certain(np.sum(wrong))


def figures(result: Result) -> dict[str, Figure]:
    """Counted updates against ⌈N/B⌉, and how often examples are seen."""
    figure, (counts, often) = panels(1, 2)
    examples, size = result.cases.T
    expected = -(-examples // size)
    counts.plot(expected, expected, color="0.6", marker="", label="⌈N/B⌉")
    kept, dropped = result.updates[:, :-1], result.whole[:, :-1]
    _points(counts, expected, kept, "o", "counted, ragged last batch kept")
    _points(counts, expected, dropped, "x", "counted, ragged last batch dropped")
    counts.set_xscale("log")
    counts.set_yscale("log")
    label(counts, "updates of an epoch", "⌈N/B⌉", "updates until all were seen")
    legend_below(counts, columns=1)
    _points(often, expected, result.most[:, :-1], "^", "the most frequent")
    _points(often, expected, result.least[:, :-1], "v", "the least frequent")
    _points(often, expected, result.most[:, -1], "+", "the most, with replacement")
    _points(often, expected, result.least[:, -1], "x", "the least, with replacement")
    often.set_xscale("log")
    often.set_ylim(bottom=0)
    label(often, "each example", "⌈N/B⌉", "batches it is in, an epoch")
    legend_below(often, columns=1)
    return {"updates": figure}


def _points(
    axis: Axes, expected: np.ndarray, counted: np.ndarray, marker: str, name: str
) -> None:
    """A point an order and epoch of each case."""
    values = counted.reshape(len(expected), -1)
    every = np.repeat(expected, values.shape[1])
    axis.scatter(every, np.ravel(values), marker=marker, label=name)
