"""Ways whose work falls into pieces that follow one another, each timed apart and
scaled by its own measured part.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxml.bench.race import Entrant, judged_rows, timed
from jaxml.bench.rows import Row


class Pieces(NamedTuple):
    """One way.

    Attributes:
        whole: its name, its role and what it was spent before, as a row shows them; its
            `run` is of the first piece.
        parts: whose seconds add up to the way's.
    """

    whole: Entrant
    parts: Sequence[Entrant]


def joined(what: str, parts: Sequence[Entrant], *, note: str) -> Pieces:
    """The pieces as a way of that name, with their role, target and device in common;
    the seconds of compiling are added.
    """
    compiling = [
        part.compile_seconds for part in parts if part.compile_seconds is not None
    ]
    whole = parts[0]._replace(
        what=what,
        parts=1.0,
        compile_seconds=sum(compiling) if compiling else None,
        note=note,
    )
    return Pieces(whole, parts)


def race(
    benchmark: str, ways: Sequence[Pieces], *, to: str, rounds: int, contest: str
) -> list[Row]:
    """A row a way, in their order, of all pieces in turn; the rest as `race.race` has
    it.
    """
    seconds = timed([part for way in ways for part in way.parts], rounds)
    ends = np.cumsum([len(way.parts) for way in ways])[:-1]
    added = np.stack([part.sum(axis=0) for part in np.split(seconds, ends)])
    whole = [way.whole for way in ways]
    return judged_rows(benchmark, whole, added, to=to, contest=contest)
