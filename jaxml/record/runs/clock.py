"""What a clock measures: steady-state seconds, and the seconds spent compiling."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.monitoring
import numpy as np

from jaxml.types import InputError

_COMPILATION = "/jax/core/compile/backend_compile_duration"


def seconds(
    function: Callable[[], Any], *, repeats: int = 5, warmups: int = 1
) -> np.ndarray:
    """Wall seconds `[repeats]` of a function, until its outputs are ready, after
    `warmups` calls not counted.

    Raises:
        InputError: fewer than one repeat or a negative number of warm-ups.
    """
    if repeats < 1 or warmups < 0:
        raise InputError(
            f"{repeats} repeats after {warmups} warm-ups time nothing: use at least 1 "
            "after 0."
        )
    for _ in range(warmups):
        jax.block_until_ready(function())
    times = np.empty(repeats)
    for i in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        times[i] = time.perf_counter() - start
    return times


@contextmanager
def compilation() -> Iterator[list[float]]:
    """Collects, while open, how many seconds each backend compilation of this process
    took.
    """
    durations: list[float] = []

    def listen(
        event: str, duration_secs: float, **_: str | int
    ) -> None:  # JAX's own signature
        if event == _COMPILATION:
            durations.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield durations
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
