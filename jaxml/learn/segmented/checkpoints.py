"""What a segmented sweep asks of whoever stores its states, and the answer of one who
stores nothing.

Rooms meet by argument: `record` implements this on disk, and a test in memory.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np

from jaxml.types import Keep


class Checkpoints(NamedTuple):
    """The stored states of one chunk of runs; any object with these attributes will do.

    A sweep asks for the latest, then again and again: `turn`, computes that many
    blocks, `due`, and `save` where it was. Clocks are on that side, and change no bit.

    Attributes:
        latest: the arrays that were saved last and can be read, or None.
        turn: `left -> blocks`: how many of those that are left come next, at least one.
        due: whether the state is to be saved now.
        save: `(arrays, progress)`: saves them, whole or not at all; progress lies in
            (0, 1]. The arrays are only lent: they change when it has returned. Once the
            process has been asked to end, it raises what ends the run, after it has
            saved.
    """

    latest: Callable[[], Mapping[str, np.ndarray] | None]
    turn: Callable[[int], int]
    due: Callable[[], bool]
    save: Callable[[Mapping[str, np.ndarray], float], None]


Opened = Callable[[str], AbstractContextManager[Any]]
"""`stage -> Checkpoints`, open while the stage is computed."""


def checkpoints_of(keep: Keep) -> Opened:
    """The attribute `checkpoints` of a `keep` that has one; else nothing is stored."""
    return getattr(keep, "checkpoints", _unstored)


def _unstored(stage: str) -> AbstractContextManager[Checkpoints]:
    """All blocks in one turn, and nothing on disk."""
    del stage
    return nullcontext(Checkpoints(_nothing, _all, _never, _lost))


def _nothing() -> None:
    """No arrays."""


def _all(left: int) -> int:
    return left


def _never() -> bool:
    return False


def _lost(arrays: Mapping[str, np.ndarray], progress: float) -> None:
    del arrays, progress
