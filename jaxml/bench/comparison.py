"""Today's rows beside those of an earlier file: what became faster, what slower."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from jaxml.bench.rows import Row, Seconds, digits, read
from jaxml.errors import InputError


class Change(NamedTuple):
    """A way that was timed twice.

    Attributes:
        benchmark: its name.
        what: the way.
        at: the size, or None.
        then: seconds in the earlier file.
        now: seconds today.
    """

    benchmark: str
    what: str
    at: int | None
    then: Seconds
    now: Seconds


def earlier(path: Path, chosen: Sequence[str]) -> tuple[dict[str, Any], list[Row]]:
    """The machine and the rows of an earlier file, before anything is measured.

    Raises:
        InputError: there is no such file, it is damaged, or it holds none of the
            benchmarks.
    """
    if not path.is_file():
        raise InputError(
            f"There is no {path} to compare with: name a JSON file that `jaxml bench "
            "--out` wrote."
        )
    machine, rows = read(path)
    held = list(dict.fromkeys(row.benchmark for row in rows))
    if not set(held) & set(chosen):
        raise InputError(
            f"{path} holds none of the chosen benchmarks: choose among "
            f"{', '.join(held) or 'those of another file'}."
        )
    return machine, rows


def changes(now: Sequence[Row], then: Sequence[Row]) -> Iterator[Change]:
    """Every way, at every size, that was timed in both."""
    before = {
        (row.benchmark, row.what, row.at): row.seconds for row in then if row.seconds
    }
    for row in now:
        seconds = before.get((row.benchmark, row.what, row.at))
        if row.seconds and seconds:
            yield Change(row.benchmark, row.what, row.at, seconds, row.seconds)


def verdict(change: Change) -> str:
    """Faster or slower where not even the extremes of the repetitions overlap.

    >>> then = Seconds(2.0, 1.8, 2.2)
    >>> verdict(Change("cnn", "native", None, then, Seconds(1.5, 1.4, 1.7)))
    'faster'
    >>> verdict(Change("cnn", "native", None, then, Seconds(1.9, 1.7, 2.3)))
    ''
    """
    if change.now.max < change.then.min:
        return "faster"
    return "slower" if change.now.min > change.then.max else ""


def differing(now: Mapping[str, Any], then: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two descriptions of machines, each as `name: then, now`.

    >>> list(differing({"cores": 2, "versions": {"jax": "2"}}, {"cores": 2}))
    ['versions jax: None, now 2']
    """
    for name in dict.fromkeys((*then, *now)):
        old, new = then.get(name), now.get(name)
        if isinstance(old, dict) or isinstance(new, dict):
            parts = differing(new or {}, old or {})
            yield from (f"{name} {part}" for part in parts)
        elif old != new:
            yield f"{name}: {old}, now {new}"


def show(found: Sequence[Change], differences: Sequence[str]) -> None:
    """Prints the changes, and beneath them what else is not as it was."""
    console = Console(highlight=False, markup=False)
    console.width = console.width if console.is_terminal else max(console.width, 140)
    table = Table("benchmark", "way", "at", "then", "now", "now / then", "")
    for change in found:
        table.add_row(
            change.benchmark,
            change.what,
            "" if change.at is None else str(change.at),
            digits(change.then.median),
            digits(change.now.median),
            digits(change.now.median / change.then.median),
            verdict(change),
        )
    console.print(table)
    for difference in differences:
        console.print(f"Not as it was: {difference}", soft_wrap=True)
