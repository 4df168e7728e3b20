"""The rows of the benchmark of batch sizes: curves, the law of each, and their
figure.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from jaxml.bench import affine
from jaxml.bench.affine import Estimate
from jaxml.bench.machine import device
from jaxml.bench.race import Entrant, judged_rows
from jaxml.bench.rows import Row, Seconds, digits
from jaxml.learn import updates_per_epoch
from jaxml.record import figures

EPOCH = 60_000
"""Examples of an epoch: all of MNIST's training pictures."""

FIXED = "t₀ of the fit t₀ + s B"
EACH = "s of the fit, of each example"
DOUBLED = "t₀/s, the batch at which t₀ has doubled"
MIB = 2**20
GIB = 2**30


class Point(NamedTuple):
    """One curve at one batch size.

    Attributes:
        entrant: named by `name`.
        batch: the size.
        bytes: of its program at its peak; 0 where it is not told.
    """

    entrant: Entrant
    batch: int
    bytes: int = 0


class Measured(NamedTuple):
    """A point, its row, and its seconds `[round]`."""

    row: Row
    point: Point
    seconds: np.ndarray


def name(curve: str, batch: int) -> str:
    """The name of a point.

    >>> name("CNN 8-16-10", 1024)
    'CNN 8-16-10: batch of 1,024'
    """
    return f"{curve}: batch of {batch:,}"


def curve_of(row: Row) -> str:
    """What stands before the size.

    >>> curve_of(Row("batch", name("dense", 4), "cpu"))
    'dense'
    """
    return row.what.partition(":")[0]


def rows(points: Sequence[Point], seconds: np.ndarray) -> list[Row]:
    """Each curve's rows in the order of its sizes, and beneath those of a network its
    law.

    Args:
        points: curve after curve; the first has the ratio 1.
        seconds: of an update, `[point, round]`.
    """
    smallest, *_ = points
    entrants = [point.entrant for point in points]
    to = f"a batch of {smallest.batch}"
    judged = judged_rows("batch", entrants, seconds, to=to)
    measured = [
        Measured(detailed(row, point), point, times)
        for row, point, times in zip(judged, points, seconds, strict=True)
    ]
    done = []
    for _, group in groupby(measured, key=_curve):
        curve = list(group)
        done += [each.row for each in curve]
        done += law_rows(curve)
    return done


def _curve(measured: Measured) -> str:
    return curve_of(measured.row)


def detailed(row: Row, point: Point) -> Row:
    """The row with seconds of an epoch, and memory, in its name."""
    if row.seconds is None:
        return row
    epoch = row.seconds.median * updates_per_epoch(EPOCH, point.batch)
    what = f"{row.what}, {digits(epoch)} s an epoch"
    if point.bytes:
        what = f"{what}, {digits(point.bytes / MIB)} MiB"
    return row._replace(what=what, at=point.batch)


def law_rows(curve: Sequence[Measured]) -> list[Row]:
    """A row a number of the fit to a curve of a network, if it has three sizes."""
    first, *others = [each.row for each in curve]
    if first.role == "detail" or len(others) < 2:
        return []
    sizes = np.array([each.point.batch for each in curve])
    law = affine.fit(sizes, np.stack([each.seconds for each in curve], axis=1))
    row = Row(
        first.benchmark,
        curve_of(first),
        first.device,
        repetitions=first.repetitions,
        note="least squares of relative errors over the sizes; the range is a 95 % "
        "bootstrap interval over rounds; the fit misses no median by more than "
        f"{law.deviation:.0%}",
        role="ours" if first.role == "ours" else "detail",
    )
    return [
        row._replace(what=f"{row.what}: {FIXED}", seconds=Seconds(*law.fixed)),
        row._replace(what=f"{row.what}: {EACH}", seconds=Seconds(*law.each)),
        _doubled(row, law.doubled),
    ]


def _doubled(row: Row, size: Estimate) -> Row:
    """The row of t₀/s, which has no number where no example adds time."""
    low, high = digits(size.low), digits(size.high)
    named = row._replace(what=f"{row.what}: {DOUBLED} ({low}–{high})")
    if math.isinf(size.value):
        return named._replace(note="never: no example adds time at these sizes")
    return named._replace(ratio=size.value, to="one example")


def omitted(point: Point, free: int) -> Row:
    """The row that says why a curve ends here."""
    return Row(
        "batch",
        point.entrant.what,
        device(),
        note=f"left out with all larger: it takes {point.bytes / GIB:.1f} GiB and "
        f"{free / GIB:.1f} GiB are free",
    )


def figure(rows: Sequence[Row]) -> Any:
    """Seconds of an update and of an epoch against the batch size, a row of panels a
    network: medians and ranges, and the fit.
    """
    timed = [row for row in rows if row.at is not None and row.seconds is not None]
    networks = list(dict.fromkeys(map(_network, timed)))
    drawn, panels = figures.panels(len(networks), 2)
    for network, update, epoch in zip(networks, panels[::2], panels[1::2], strict=True):
        own = [row for row in timed if _network(row) == network]
        for curve, group in groupby(own, key=curve_of):
            named = "one run" if curve == network else curve
            points = list(group)
            _lines(update, epoch, points, named.removeprefix(f"{network}, "))
        _fit(update, rows, network)
        for panel, what in ((update, "update"), (epoch, f"epoch of {EPOCH:,}")):
            panel.set_xscale("log")
            panel.set_yscale("log")
            figures.label(panel, network, "batch size", f"{what} (seconds)")
        figures.legend_below(update)
    return drawn


def _network(row: Row) -> str:
    """The network that a row is of, or is compared with."""
    return curve_of(row) if row.role == "ours" else row.to.partition(":")[0]


def _lines(update: Any, epoch: Any, points: Sequence[Row], named: str) -> None:
    """A curve and its range in both panels."""
    sizes = [row.at or 1 for row in points]
    passes = np.array([updates_per_epoch(EPOCH, size) for size in sizes])
    seconds = np.array([row.seconds for row in points])
    figures.band(update, np.array(sizes), seconds, named, within=1.0)
    figures.band(epoch, np.array(sizes), seconds * passes[:, None], named, within=1.0)


def _fit(panel: Any, rows: Sequence[Row], network: str) -> None:
    """The law of the network's curve, where there is one."""
    numbers = {row.what: row.seconds for row in rows}
    fixed = numbers.get(f"{network}: {FIXED}")
    each = numbers.get(f"{network}: {EACH}")
    if fixed and each:
        least, greatest = panel.dataLim.intervalx
        sizes = np.geomspace(least, greatest, 50)
        law = fixed.median + each.median * sizes
        panel.plot(sizes, law, label="t₀ + s B of one run", marker="", linestyle=":")
