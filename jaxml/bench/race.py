"""Wall seconds of several ways to do the same, taken in turn so that they share what
the machine does.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxml.bench import peers
from jaxml.bench.machine import device
from jaxml.bench.rows import Role, Row, Target, judged, ranked, spread

_Value = TypeVar("_Value")


class Entrant(NamedTuple):
    """One way.

    Attributes:
        what: its name.
        run: does a part of the work, and returns arrays to wait for, or nothing to wait
            for.
        parts: how many such parts the whole is; seconds are scaled by it.
        compile_seconds: what was spent before, once.
        target: a bound for it.
        note: how it was measured.
        device: where it runs; JAX's device unless named.
        role: what it is in the comparison, as a row has it.
        against: the name of the entrant that has the ratio 1 for this one; the first
            unless named.
    """

    what: str
    run: Callable[[], Any]
    parts: float = 1.0
    compile_seconds: float | None = None
    target: Target | None = None
    note: str = ""
    device: str | None = None
    role: Role = ""
    against: str = ""


def race(
    benchmark: str,
    entrants: Sequence[Entrant],
    *,
    to: str,
    rounds: int,
    contest: str = "",
) -> list[Row]:
    """Runs every entrant once unmeasured, then all in turn for so many rounds, every
    other one backwards.

    The first entrant has the ratio 1 and the name `to` in it. A ratio is the median
    over the rounds of the ratio within a round, so what slows the machine for longer
    than a round cancels. The rows come ranked: ours, the alternatives from the
    strongest on, limits.

    Args:
        benchmark: its name.
        entrants: the ways.
        to: what the first of them is called in the ratios.
        rounds: repetitions.
        contest: put before each name, where a benchmark has several.
    """
    seconds = timed(entrants, rounds)
    return ranked(judged_rows(benchmark, entrants, seconds, to=to, contest=contest))


def timed(entrants: Sequence[Entrant], rounds: int) -> np.ndarray:
    """Seconds of the whole, `[entrant, round]`, measured as `race` does."""
    for entrant in entrants:
        once(entrant.run)
    seconds = np.empty((len(entrants), rounds))
    for turn in range(rounds):
        for index in range(len(entrants))[:: 1 if turn % 2 == 0 else -1]:
            seconds[index, turn] = once(entrants[index].run)[1] * entrants[index].parts
    return seconds


def judged_rows(
    benchmark: str,
    entrants: Sequence[Entrant],
    seconds: np.ndarray,
    *,
    to: str,
    contest: str = "",
) -> list[Row]:
    """A row an entrant, in their order, from `seconds[entrant, round]`; the rest as
    `race` has it.
    """
    names = [entrant.what for entrant in entrants]
    rows = []
    for entrant, times in zip(entrants, seconds, strict=True):
        base = names.index(entrant.against) if entrant.against else 0
        ratio = float(np.median(times / seconds[base]))
        row = _row(benchmark, entrant, times, ratio)._replace(to=entrant.against or to)
        rows.append(row._replace(what=f"{contest}: {row.what}") if contest else row)
    return [judged(row) for row in rows]


def _row(benchmark: str, entrant: Entrant, seconds: np.ndarray, ratio: float) -> Row:
    """The entrant's row, but for what has the ratio 1 and whether the target is met."""
    return Row(
        benchmark,
        entrant.what,
        entrant.device or device(),
        spread(seconds),
        ratio,
        target=entrant.target,
        repetitions=len(seconds),
        compile_seconds=entrant.compile_seconds,
        note=entrant.note,
        role=entrant.role,
    )


def once(call: Callable[[], _Value]) -> tuple[_Value, float]:
    """What a call returns, and the wall seconds until that is ready, on PyTorch's
    accelerator too.
    """
    start = time.perf_counter()
    value = call()
    jax.block_until_ready(value)
    peers.wait()
    return value, time.perf_counter() - start


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """The function compiled for such arguments, and the seconds of tracing, lowering
    and compiling.
    """
    return once(lambda: jax.jit(function).lower(*arguments).compile())
