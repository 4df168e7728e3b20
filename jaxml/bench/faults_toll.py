"""What faults cost: work lost, files damaged, bits that differ."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from jaxml.record.runs.archive import load_tree
from jaxml.record.runs.folder import load_run
from jaxml.record.runs.listing import list_runs
from jaxml.record.runs.log import LOG, entries
from jaxml.types import InputError


class Toll(NamedTuple):
    """What one kind of fault did.

    Attributes:
        fault: what was injected.
        injected: how often.
        resumed: attempts that went on from stages of an earlier one.
        refused: attempts that ended in a sentence.
        lost: stages that were stored and computed again, and runs that were whole and
            are no more.
        damaged: runs that are listed and cannot be read, whole runs whose bytes
            changed, and exceptions that were no sentence.
        bits: of the arrays that came out otherwise than undisturbed.
        finished: runs that were compared.
    """

    fault: str
    injected: int = 0
    resumed: int = 0
    refused: int = 0
    lost: int = 0
    damaged: int = 0
    bits: int = 0
    finished: int = 0


def added(first: Toll, second: Toll) -> Toll:
    """The sum of two tolls of one fault."""
    counts = [a + b for a, b in zip(first[1:], second[1:], strict=True)]
    return Toll(first.fault, *counts)


def total(fault: str, tolls: Iterable[Toll]) -> Toll:
    """The sum of tolls under one name.

    >>> total("kill", [Toll("a", injected=1), Toll("b", injected=2, lost=1)])[:5]
    ('kill', 3, 0, 0, 1)
    """
    found = Toll(fault)
    for toll in tolls:
        found = added(found, toll)
    return found


def differing_bits(
    ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]
) -> int:
    """In how many bits two results differ; an array of another shape or precision
    counts whole.

    >>> differing_bits({"a": np.float32([1.0])}, {"a": np.float32([1.0000001])})
    1
    """
    return sum(_differing(ours.get(n), theirs.get(n)) for n in {*ours, *theirs})


def _differing(ours: np.ndarray | None, theirs: np.ndarray | None) -> int:
    sizes = [8 * each.nbytes for each in (ours, theirs) if each is not None]
    if ours is None or theirs is None or ours.dtype != theirs.dtype:
        return max(sizes)
    if ours.shape != theirs.shape:
        return max(sizes)
    first, second = (np.frombuffer(each.tobytes(), np.uint8) for each in (ours, theirs))
    return int(np.sum(np.bitwise_count(first ^ second)))


def stored(runs: Path) -> set[str]:
    """The stages of unfinished runs that can be read, by name."""
    found = set()
    for path in runs.glob("*/*.partial/stages/*.npz"):
        try:
            load_tree(path)
        except InputError:
            continue  # damaged: not there for whoever resumes
        found.add(unquote(path.stem))
    return found


class Passed(NamedTuple):
    """What the last attempt did, by its log.

    Attributes:
        kept: stages that it found.
        again: stages that it computed.
    """

    kept: set[str]
    again: set[str]


def passed(runs: Path, process: int) -> Passed:
    """The stages of the last attempt of a process: none if it was killed before it
    could log any.
    """
    kept: set[str] = set()
    again: set[str] = set()
    for log in runs.glob(f"*/*/{LOG}"):
        mine = False
        for entry in entries(log.read_text(encoding="utf-8", errors="replace")):
            if entry["event"] == "started":
                mine = entry["process"] == process
                if mine:
                    kept, again = set(), set()
            if mine and entry["event"] == "stage":
                (kept if entry["kept"] else again).add(entry["stage"])
    return Passed(kept, again)


def unreadable(runs: Path) -> int:
    """How many folders are listed as whole runs and are none."""
    found = 0
    for folder in list_runs(runs):
        try:
            load_run(folder)
        except InputError:
            found += 1
    return found


def chosen(count: int, most: int | None) -> list[int]:
    """As many of the places 0 ... count - 1 as there may be, the last included.

    >>> chosen(10, 3), chosen(2, None)
    ([2, 5, 9], [0, 1])
    """
    most = count if most is None else min(most, count)
    return [count * (place + 1) // most - 1 for place in range(most)]
