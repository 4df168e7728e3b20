"""Wall seconds of several ways to do the same, taken in turn so that they share what the machine does."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxml.bench.machine import device
from jaxml.bench.rows import Row, Target, judged, spread

_Value = TypeVar("_Value")


class Entrant(NamedTuple):
    """One way.

    Attributes:
        what: its name.
        run: does a part of the work, and returns arrays to wait for, or nothing to wait for.
        parts: how many such parts the whole is; seconds are scaled by it.
        compile_seconds: what was spent before, once.
        target: a bound for it.
        note: how it was measured.
        device: where it runs; JAX's device unless named.
    """

    what: str
    run: Callable[[], Any]
    parts: float = 1.0
    compile_seconds: float | None = None
    target: Target | None = None
    note: str = ""
    device: str | None = None


def race(benchmark: str, entrants: Sequence[Entrant], *, to: str, rounds: int) -> list[Row]:
    """Runs every entrant once unmeasured, then all in turn for so many rounds, every other one backwards.

    The first entrant has the ratio 1 and the name `to` in it. A ratio is the median over the rounds of
    the ratio within a round, so what slows the machine for longer than a round cancels.
    """
    for entrant in entrants:
        jax.block_until_ready(entrant.run())
    seconds = np.empty((len(entrants), rounds))
    for turn in range(rounds):
        for index in range(len(entrants))[:: 1 if turn % 2 == 0 else -1]:
            seconds[index, turn] = once(entrants[index].run)[1] * entrants[index].parts
    ratios = np.median(seconds / seconds[:1], axis=1)
    return [
        judged(
            Row(
                benchmark,
                entrant.what,
                entrant.device or device(),
                spread(times),
                float(ratio),
                to,
                entrant.target,
                repetitions=rounds,
                compile_seconds=entrant.compile_seconds,
                note=entrant.note,
            )
        )
        for entrant, times, ratio in zip(entrants, seconds, ratios, strict=True)
    ]


def once(call: Callable[[], _Value]) -> tuple[_Value, float]:
    """What a call returns, and the wall seconds until that is ready."""
    start = time.perf_counter()
    value = call()
    jax.block_until_ready(value)
    return value, time.perf_counter() - start


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """The function compiled for such arguments, and the seconds of tracing, lowering and compiling."""
    return once(lambda: jax.jit(function).lower(*arguments).compile())
