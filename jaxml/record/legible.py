"""What makes a figure legible: wrapped text, plain ticks, markers apart, words."""

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

MARKS_APART = 0.08
"""Of a panel's diagonal: the distance between two markers of a line of more than 16
points.
"""

MANY = 16
"""Points of a line beyond which not each has a marker."""

CHARACTER = 0.007
"""Width of a character of text of one point, in inches."""

PLAIN = (1e-4, 1e5)
"""Numbers within are written without an exponent on an axis of few decades."""

FEW, HARDLY = 2.0, 0.7
"""Decades of a logarithmic axis that needs ticks between them, and that is read like a
linear one.
"""


AROUND = 0.75
"""Inches of a panel that its axes and titles take, in either direction."""


def room(axes: Axes) -> tuple[float, float]:
    """Inches of width and height that a panel has, without what is written around
    it.
    """
    grid = axes.get_gridspec()
    rows, columns = grid.get_geometry() if grid else (1, 1)
    whole = axes.figure.bbox
    inches = 1 / axes.figure.dpi
    width, height = whole.width * inches, whole.height * inches
    return float(width / columns - AROUND), float(height / rows - AROUND)


def wrapped(text: str, inches: float, size: float) -> str:
    """Text of a size in points, in lines of at most so many inches."""
    return textwrap.fill(text, max(int(inches / (CHARACTER * size)), 10))


def thin_markers(axes: Axes) -> None:
    """Sets the markers of lines of many points apart, to tell the lines apart; points
    without a line all count.
    """
    for line in axes.lines:
        many = line.get_linestyle() != "None" and np.size(line.get_xdata()) > MANY
        if many and line.get_markevery() is None:
            line.set_markevery(MARKS_APART)


def plain_ticks(axes: Axes) -> None:
    """Writes the ticks of logarithmic axes of few decades as plain numbers, few enough
    not to overlap.
    """
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            _plain(axis)


def _plain(axis: Axis) -> None:
    low, high = sorted(axis.get_view_interval())
    if low < PLAIN[0] or high > PLAIN[1]:
        return
    decades = np.log10(high / low)
    if decades > FEW:
        return
    if decades < HARDLY:
        locator = MaxNLocator(5, steps=[1, 2, 5, 10])
    else:
        locator = LogLocator(subs=(1, 2, 5))
    axis.set_major_locator(locator)
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def words(figure: Figure) -> str:
    """What a reader who cannot see the figure is told: each panel's title, axes and
    legend.

    >>> from jaxml.record.figures import label, panels
    >>> figure, (panel,) = panels()
    >>> _ = panel.plot([1, 2], label="descent")
    >>> label(panel, "A bowl", "step", "loss (nats)")
    >>> words(figure)
    'A bowl: loss (nats) against step; descent.'
    """
    return " ".join(
        _panel_words(axes)
        for axes in figure.axes
        if axes.get_ylabel() or axes.get_title()
    )


def _panel_words(axes: Axes) -> str:
    title = axes.get_title(loc="left") or axes.get_title()
    shown = (
        f"{axes.get_ylabel()} against {axes.get_xlabel()}"
        if axes.get_xlabel()
        else axes.get_ylabel()
    )
    names = axes.get_legend_handles_labels()[1]
    parts = f"{title}: {shown}" if title else shown
    whole = f"{parts}; {', '.join(names)}." if names else f"{parts}."
    return " ".join(whole.split())
