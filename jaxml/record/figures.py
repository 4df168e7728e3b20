"""Figures in the house style: legible at report size, in grey, and to colour-blind
eyes.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation

from jaxml.record.legible import plain_ticks, room, thin_markers, words, wrapped
from jaxml.types import Array, InputError

DPI = 150
"""Pixels an inch of a saved figure."""


class Style(NamedTuple):
    """How one family of a figure is drawn.

    Attributes:
        colour: hexadecimal.
        marker: of its points.
        linestyle: of its line.
    """

    colour: str
    marker: str
    linestyle: str


STYLES: Sequence[Style] = (
    Style("#000000", "o", "-"),
    Style("#994455", "s", "--"),
    Style("#bb8800", "^", "-."),
    Style("#003366", "D", ":"),
    Style("#5588bb", "v", "-"),
    Style("#228833", "P", "--"),
    Style("#aa4499", "X", "-."),
    Style("#007766", "*", ":"),
)
"""One for each family: no two share a marker, no four in a row a line style, no two of
the first four a tone, and all have a contrast of at least 3:1 to white.

Source: after Tol 2021, SRON/EPS/TN/09-002, high-contrast and bright schemes, the light
colours darkened.
"""

PARTS: Sequence[tuple[str, str]] = (
    ("0.15", ""),
    ("0.55", ""),
    ("0.85", ""),
    ("1.0", "////"),
    ("0.85", "...."),
    ("1.0", "xxxx"),
    ("0.55", "++++"),
)
"""Grey and hatch of each part of a bar."""

BELOW = 0.5
"""Inches below a panel at which its legend begins, under the name of its axis."""


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 4.4, height: float = 3.2
) -> tuple[Figure, list[Axes]]:
    """A figure and its panels, row by row; lines drawn in them take the STYLES in turn.

    When saved, markers of lines are thinned, to tell the lines apart; points that each
    count are drawn by `scatter`.

    Args:
        rows: of panels.
        columns: of panels.
        width: of a panel in inches.
        height: of a panel in inches.

    Raises:
        InputError: no panels, or panels of no size.

    >>> figure, (left, right) = panels(1, 2)
    >>> left.plot([0, 1])[0].get_marker(), left.plot([1, 0])[0].get_marker()
    ('o', 's')
    """
    if min(rows, columns) < 1 or min(width, height) <= 0:
        raise InputError(
            f"{rows} x {columns} panels of {width} x {height} in are none: use "
            "positive numbers."
        )
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    cycle = cycler(
        color=[style.colour for style in STYLES],
        marker=[style.marker for style in STYLES],
        linestyle=[style.linestyle for style in STYLES],
    )
    shape = cycler(linewidth=[1.6]) * cycler(markersize=[5.0])
    for panel in axes:
        panel.set_prop_cycle(cycle * shape)
        panel.grid(visible=True, color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=9)
    return figure, axes


def label(axes: Axes, title: str, x: str, y: str) -> None:
    """Titles a panel and names its axes; x and y say what and in which unit: "loss
    (nats)".

    Raises:
        InputError: an axis without a name.
    """
    if not (x.strip() and y.strip()):
        raise InputError(
            f"An axis of the panel {title!r} has no name: say what it shows and in "
            "which unit."
        )
    width, height = room(axes)
    axes.set_title(wrapped(title, width, 11.0), fontsize=11, loc="left")
    axes.set_xlabel(wrapped(x, width, 10.0), fontsize=10)
    axes.set_ylabel(wrapped(y, height, 10.0), fontsize=10)


def legend_below(axes: Axes, *, columns: int = 2) -> None:
    """Names what a panel shows below it, where no data are."""
    down = ScaledTranslation(0, -BELOW, axes.figure.dpi_scale_trans)
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=axes.transAxes + down,
        borderaxespad=0,
        ncols=columns,
        fontsize=8,
        frameon=False,
    )


def shared_legend(figure: Figure, *, columns: int = 3) -> None:
    """Names what the panels of a figure show, each name once, below them all."""
    handles = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=columns,
        fontsize=9,
        frameon=False,
    )


def band(
    axes: Axes, x: Array, values: Array, name: str, *, within: float = 0.8
) -> Line2D:
    """A line through the medians over units, and a band that holds a fraction of them.

    Args:
        axes: a panel.
        x: `[point]`.
        values: `[point, unit]`, all of them numbers.
        name: of the line, for the legend.
        within: the fraction of the units that the band holds, as many beyond it on
            either side; 1 is their range.

    Returns:
        The line.
    """
    beyond = (1 - within) / 2
    low, middle, high = np.quantile(values, [beyond, 0.5, 1 - beyond], axis=-1)
    (line,) = axes.plot(x, middle, label=name)
    axes.fill_between(x, low, high, color=line.get_color(), alpha=0.2)
    return line


def by_rate(
    axes: Axes, rates: np.ndarray, values: np.ndarray, tuned: int, name: str
) -> None:
    """Median and range of the units at each rate at which none diverged, and a vertical
    line at the tuned rate.

    Args:
        axes: a panel.
        rates: `[point]`, shown on a logarithmic axis.
        values: `[point, unit]`, not finite where a run diverged.
        tuned: the point that was chosen.
        name: of the line, for the legend.
    """
    whole = np.all(np.isfinite(values), axis=1)
    line = band(axes, rates[whole], values[whole], name, within=1.0)
    line.set_markevery(1)
    style = {"color": line.get_color(), "linestyle": line.get_linestyle()}
    axes.axvline(rates[tuned], marker="", **style)
    axes.set_xscale("log")


def boxes(axes: Axes, samples: Mapping[str, np.ndarray]) -> None:
    """One horizontal box a family: median, quartiles, and points beyond the whiskers.

    Args:
        axes: a panel.
        samples: of each family, `[unit]`; those that are not finite are left out.
    """
    finite = [values[np.isfinite(values)] for values in samples.values()]
    axes.boxplot(finite, orientation="horizontal", tick_labels=list(samples))


def strips(axes: Axes, samples: Mapping[str, Array]) -> None:
    """One column of points a family, a point a unit in the order of the units, with a
    bar at their median.

    Args:
        axes: a panel.
        samples: of each family, `[unit]`; those that are not finite are left out.
    """
    for place, values in enumerate(samples.values()):
        aside = place + np.linspace(-0.3, 0.3, len(values))
        axes.scatter(aside, values, s=14, color="black", alpha=0.5, linewidths=0)
        finite = values[np.isfinite(values)]
        if len(finite):
            middle = np.median(finite)
            axes.hlines(middle, place - 0.4, place + 0.4, color="#994455", linewidth=2)
    each = room(axes)[0] / max(len(samples), 1)
    names = [wrapped(name, 0.85 * each, 8.0) for name in samples]
    axes.set_xticks(range(len(samples)), names, fontsize=8)
    axes.grid(visible=False, axis="x")


def stacked_fractions(
    axes: Axes,
    fractions: Mapping[str, Sequence[float] | np.ndarray],
    parts: Sequence[str],
) -> None:
    """One horizontal bar a family, cut into named parts whose PARTS differ.

    Args:
        axes: a panel.
        fractions: of each family, one number a part.
        parts: their names, for the legend above the panel.
    """
    left = np.zeros(len(fractions))
    columns = zip(*fractions.values(), strict=True)
    for name, column, (grey, hatch) in zip(parts, columns, cycle(PARTS)):
        axes.barh(
            list(fractions),
            column,
            left=left,
            label=name,
            color=grey,
            hatch=hatch,
            edgecolor="black",
            linewidth=0.6,
        )
        left += np.asarray(column)
    axes.invert_yaxis()
    axes.legend(
        ncols=3,
        fontsize=8,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.02),
        frameon=False,
    )


def symmetric_log(axes: Axes, threshold: float) -> None:
    """Makes the vertical axis logarithmic on both sides of 0, and linear within the
    threshold, a power of ten; to be called when all is drawn.
    """
    axes.set_yscale("symlog", linthresh=threshold)
    low, high = axes.get_ylim()
    decades = np.log10(max(-low, high, threshold) / threshold)
    stride = max(1, round((1 + (low < -threshold)) * decades / 7))
    powers = threshold * 10.0 ** np.arange(stride, decades, stride)
    ticks = np.concatenate([-powers, [0], powers])
    axes.set_yticks(ticks[(low <= ticks) & (ticks <= high)])
    axes.yaxis.set_minor_locator(NullLocator())


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG, and beside it a .txt with its `words`.

    The same figure and matplotlib give the same bytes: neither a date nor a version is
    in them.
    """
    for axes in figure.axes:
        thin_markers(axes)
        plain_ticks(axes)
    figure.savefig(
        path, format="png", dpi=DPI, facecolor="white", metadata={"Software": None}
    )
    path.with_suffix(".txt").write_text(words(figure) + "\n", encoding="utf-8")
