"""One line of a benchmark: what was timed, how long it took, and whether that meets its
target.
"""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jaxml.errors import InputError

Role = Literal["", "ours", "alternative", "strongest", "limit", "detail"]
"""What a row is in its comparison; `strongest` is the fastest of the alternatives, ""
takes no part, and a `detail` none either, and is left out where space is short.
"""


class Target(NamedTuple):
    """A bound fixed before the measurement.

    Attributes:
        of: what is bounded, a row's ratio or its median seconds.
        side: of the bound on which the number must lie.
        bound: in times or in seconds.
    """

    of: Literal["ratio", "seconds"]
    side: Literal["at least", "at most"]
    bound: float


class Seconds(NamedTuple):
    """The median of the repetitions, the fastest and the slowest."""

    median: float
    min: float
    max: float


class Row(NamedTuple):
    """One way of doing what a benchmark does.

    Attributes:
        benchmark: its name.
        what: the way.
        device: where it ran.
        seconds: for the whole, or None where time is not what was measured, or nothing
            was.
        ratio: how many times `to`; of seconds, the median of the ratios within each
            repetition.
        to: what has the ratio 1.
        target: the bound, or None.
        met: whether the target was met; None without one.
        repetitions: how many, interleaved with the benchmark's other ways.
        compile_seconds: tracing, lowering and compiling, not part of `seconds`; None
            where there is none.
        note: how it was measured, scaling included; or why it is left out.
        role: ours, an alternative, the strongest of these, or a limit that nothing can
            pass.
        at: the size at which it was measured, such as the examples of a batch, where a
            benchmark goes through several.
    """

    benchmark: str
    what: str
    device: str
    seconds: Seconds | None = None
    ratio: float | None = None
    to: str = ""
    target: Target | None = None
    met: bool | None = None
    repetitions: int = 0
    compile_seconds: float | None = None
    note: str = ""
    role: Role = ""
    at: int | None = None


def spread(values: Iterable[float]) -> Seconds:
    """Median, least and greatest.

    >>> spread([3.0, 1.0, 2.0])
    Seconds(median=2.0, min=1.0, max=3.0)
    """
    values = [float(value) for value in values]
    return Seconds(statistics.median(values), min(values), max(values))


def judged(row: Row) -> Row:
    """The row with `met` as its numbers imply.

    >>> goal = Target("ratio", "at least", 10.0)
    >>> judged(Row("cnn", "native", "cpu", ratio=12.0, target=goal)).met
    True
    """
    if row.target is None:
        return row._replace(met=None)
    number = (
        row.ratio if row.target.of == "ratio" else row.seconds and row.seconds.median
    )
    if number is None:
        return row._replace(met=None)
    enough = (
        number >= row.target.bound
        if row.target.side == "at least"
        else number <= row.target.bound
    )
    return row._replace(met=enough)


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Ours first, then the alternatives from the fastest to the slowest, then the
    limits.

    The fastest alternative is marked as the strongest. What is not an alternative keeps
    its order.

    >>> slow = Row("x", "slow", "cpu", Seconds(3.0, 3.0, 3.0), role="alternative")
    >>> fast = Row("x", "fast", "cpu", Seconds(2.0, 2.0, 2.0), role="alternative")
    >>> limit = Row("x", "it", "cpu", role="limit")
    >>> [(row.what, row.role) for row in ranked([limit, slow, fast])]
    [('fast', 'strongest'), ('slow', 'alternative'), ('it', 'limit')]
    """
    alternatives = [row for row in rows if row.role == "alternative"]
    alternatives.sort(key=lambda row: row.seconds.median if row.seconds else math.inf)
    marked = [
        row._replace(role="strongest") for row in alternatives[:1]
    ] + alternatives[1:]
    ours = [row for row in rows if row.role in ("", "ours", "detail")]
    limits = [row for row in rows if row.role == "limit"]
    return [*ours, *marked, *limits]


def write(path: Path, machine: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Replaces `path` by the machine's description and its rows, as JSON."""
    lines = [
        row._asdict()
        | {
            name: part and part._asdict()
            for name, part in (("seconds", row.seconds), ("target", row.target))
        }
        for row in rows
    ]
    temporary = path.with_suffix(".tmp")
    temporary.write_text(
        json.dumps({"machine": machine, "rows": lines}, indent=1, ensure_ascii=False)
        + "\n",
        "utf-8",
    )
    temporary.replace(path)


def read(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """What `write` wrote.

    Raises:
        InputError: the file is damaged.
    """
    try:
        stored = json.loads(path.read_text("utf-8"))
        rows = [
            Row(**line)._replace(
                seconds=line["seconds"] and Seconds(**line["seconds"]),
                target=line["target"] and Target(**line["target"]),
            )
            for line in stored["rows"]
        ]
        return dict(stored["machine"]), rows
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is damaged: delete it and run `jaxml bench` again."
        ) from error


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """Seconds, those of compiling, ratio, target and verdict as a table shows them.

    >>> cells(Row("sweep", "a loop", "cpu", Seconds(3.0, 2.5, 4.0), 6.0, "ours"))
    ('3 (2.5–4)', '', '6 × ours', '', '')
    """
    seconds = ratio = target = ""
    compiling = "" if row.compile_seconds is None else digits(row.compile_seconds)
    if row.seconds is not None:
        median, low, high = map(digits, row.seconds)
        seconds = f"{median} ({low}–{high})" if row.repetitions != 1 else median
    if row.ratio is not None:
        ratio = f"{digits(row.ratio)} × {row.to}"
    if row.target is not None:
        unit = " s" if row.target.of == "seconds" else " ×"
        target = f"{row.target.side} {digits(row.target.bound)}{unit}"
    return (
        seconds,
        compiling,
        ratio,
        target,
        {None: "", True: "met", False: "missed"}[row.met],
    )


def label(row: Row) -> str:
    """The way's name as a table shows it, the strongest alternative in bold.

    >>> label(Row("sweep", "a loop", "cpu", role="strongest"))
    '**strongest alternative:** a loop'
    """
    return (
        f"**strongest alternative:** {row.what}"
        if row.role == "strongest"
        else row.what
    )


def digits(number: float) -> str:
    """Three significant digits, no exponent.

    >>> digits(0.02614), digits(26.14), digits(2614.0)
    ('0.0261', '26.1', '2,614')
    """
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def markdown(
    machine: Mapping[str, Any],
    rows: Sequence[Row],
    *,
    titles: Mapping[str, str],
    brief: bool = False,
) -> str:
    """A table of the rows that measured something, each benchmark under its title; then
    the machine.

    Args:
        machine: as `write` stored it.
        rows: of all benchmarks.
        titles: by benchmark.
        brief: of alternatives and details only the strongest, and those that have a
            target.
    """
    lines = [
        "| Way | Seconds, median (range) | Compiling | Ratio | Target | |",
        "|-|-|-|-|-|-|",
    ]
    shown = [row for row in rows if row.seconds is not None or row.ratio is not None]
    if brief:
        shown = [
            row
            for row in shown
            if row.role not in ("alternative", "detail") or row.target is not None
        ]
    for name, group in groupby(shown, key=lambda row: row.benchmark):
        lines.append(f"| **{name}**: {titles.get(name, '')} | | | | | |")
        lines += [f"| {' | '.join((label(row), *cells(row)))} |" for row in group]
    versions = ", ".join(
        f"{name} {version}" for name, version in machine["versions"].items()
    )
    where = (
        f"{machine['devices']}; {machine['processor']}, {machine['cores']} cores; "
        f"{versions}."
    )
    return "\n".join((*lines, "", where))
