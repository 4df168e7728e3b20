"""Benchmarks in turn: what is printed, and what is left in the folder."""

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from jaxml.bench import batch_rows, comparison
from jaxml.bench.catalogue import names
from jaxml.bench.machine import describe
from jaxml.bench.rows import Row, Seconds, cells, label, read, write
from jaxml.commands.verify import compiled_anew
from jaxml.record import figures
from jaxml.types import InputError

FIGURES: dict[str, Callable[[Sequence[Row]], Any]] = {"batch": batch_rows.figure}
"""Benchmarks that are curves, each drawn in a figure of its own."""


def run(chosen: Sequence[str], out: Path, against: Path | None = None) -> None:
    """Measures each benchmark, replaces its rows in `<out>/<platform>.json`, prints
    them and draws all; then, if an earlier file is named, what changed since.

    All this is done after each benchmark, so that an interruption loses one.
    Compilations are not kept between processes here, so that their seconds are those of
    a first time; an accelerator's memory is taken as needed, because other processes
    are measured too.

    Raises:
        InputError: `out` cannot be written, or holds the numbers of another machine;
            there is nothing to compare with in `against`.
    """
    before = against and comparison.earlier(against, chosen)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    with compiled_anew():
        new = _measured(chosen, out)
    if before:
        then, old = before
        found = list(comparison.changes(new, old))
        comparison.show(found, list(comparison.differing(describe(), then)))


def _measured(chosen: Sequence[str], out: Path) -> list[Row]:
    """The rows of all these benchmarks, which are written, printed and drawn one by
    one.
    """
    machine = describe()
    path = out / f"{machine['platform']}.json"
    rows, plots, new = _earlier(path, machine), [], []
    console = Console(stderr=True, highlight=False, markup=False)
    for name in dict.fromkeys(chosen):
        console.print(f"{name}: measuring")
        measured = import_module(f"jaxml.bench.{name}").measure()
        rows = sorted(
            [*(row for row in rows if row.benchmark != name), *measured],
            key=lambda row: names().index(row.benchmark),
        )
        write(path, machine, rows)
        plots = draw(rows, path.with_suffix(".png"))
        show(measured)
        new += measured
    print(f"Numbers: {path}")
    for plot in plots:
        print(f"Plot: {plot}")
    return new


def _earlier(path: Path, machine: dict) -> list[Row]:
    """The rows that the file holds already, none where it is new; the folder is
    made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise InputError(
            f"{path.parent} cannot be written ({error.strerror}): name another by "
            "--out."
        ) from error
    if not path.exists():
        return []
    other, rows = read(path)
    if other != machine:
        raise InputError(
            f"{path} holds numbers of another machine or other versions: name another "
            "--out."
        )
    return rows


def show(rows: Sequence[Row]) -> None:
    """Prints the rows, and beneath them why some are left out."""
    console = Console(highlight=False, markup=False)
    console.width = console.width if console.is_terminal else max(console.width, 140)
    table = Table(
        "benchmark", "way", "device", "seconds", "compiling", "ratio", "target", ""
    )
    for name, group in groupby(rows, key=lambda row: row.benchmark):
        table.add_section()
        for row in group:
            table.add_row(name, label(row).replace("**", ""), row.device, *cells(row))
    console.print(table)
    for row in rows:
        if row.seconds is None and row.ratio is None:
            console.print(f"{row.benchmark}, {row.what}: {row.note}", soft_wrap=True)


def draw(rows: Sequence[Row], path: Path) -> list[Path]:
    """A panel a benchmark: median seconds of each way, with their range, on a log
    scale; and beside it the benchmarks that have a figure of their own.

    Returns:
        The plots that there are now.
    """
    curved = [row for row in rows if row.benchmark in FIGURES]
    others = [row for row in rows if row.benchmark not in FIGURES]
    return [*_bars(others, path), *_curves(curved, path)]


def _curves(rows: Sequence[Row], path: Path) -> list[Path]:
    """Draws each benchmark that was measured at several sizes."""
    plots = []
    for name, figure in FIGURES.items():
        own = [row for row in rows if row.benchmark == name]
        if any(row.at is not None for row in own):
            plots.append(path.with_name(f"{name}_{path.name}"))
            figures.save(figure(own), plots[-1])
    return plots


def _bars(rows: Sequence[Row], path: Path) -> list[Path]:
    """Draws the other benchmarks, if there are any."""
    timed = [(row, row.seconds) for row in rows if row.seconds is not None]
    groups = [
        (name, list(group))
        for name, group in groupby(timed, key=lambda pair: pair[0].benchmark)
    ]
    if not groups:
        return []
    figure, panels = figures.panels(len(groups), 1, width=7.0, height=2.2)
    for panel, (name, group) in zip(panels, groups, strict=True):
        _panel(panel, group[::-1])
        figures.label(panel, name, "median and range (seconds)", "way")
    figures.save(figure, path)
    return [path]


def _panel(panel: Any, group: Sequence[tuple[Row, Seconds]]) -> None:
    """The ways of one benchmark from below, those of ratio 1 in black."""
    for place, (row, seconds) in enumerate(group):
        below = seconds.median - seconds.min
        above = seconds.max - seconds.median
        colour = figures.STYLES[0 if row.ratio == 1 else 3].colour
        panel.errorbar(
            seconds.median,
            place,
            xerr=[[below], [above]],
            fmt="none",
            ecolor=colour,
            capsize=3,
        )
        panel.scatter(seconds.median, place, color=colour, zorder=3)
    least = min(seconds.min for _, seconds in group)
    greatest = max(seconds.max for _, seconds in group)
    panel.set_xscale("log")
    panel.set_xlim(
        10 ** math.floor(math.log10(least)),
        10 ** (math.floor(math.log10(greatest)) + 1),
    )
    panel.set_yticks(range(len(group)), [row.what for row, _ in group])
    panel.margins(y=0.15)
