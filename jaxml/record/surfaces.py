"""Figures of landscapes: contours with paths on them, planes of trajectories, losses
between two networks.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from jaxml.record.figures import label, legend_below
from jaxml.types import Array, InputError

LEVELS = 12
"""Contour lines of a surface."""

LABELLED = 2
"""Of so many contour lines one bears its value."""

LIGHTEST, DARKEST = 0.98, 0.55
"""Greys of the lowest and of the highest part of a surface; black is read on both."""


class Shown(NamedTuple):
    """What a plane shows of points in a space of many more dimensions.

    Attributes:
        explained: fraction of the variance along each axis of the plane, `[axis]`, of
            which two or more.
        residuals: of each point, the fraction of its squared distance from the plane's
            origin that lies outside the plane, `[run, point]`.
    """

    explained: Float[Array, " axis"]
    residuals: Float[Array, "run point"]


def contours(axes: Axes, x: Array, y: Array, values: Array) -> None:
    """Contour lines between which lie equally many cells, darker where it is higher,
    hatched where it is not finite.

    So a valley has lines even where the walls are a thousand times higher.

    Args:
        axes: a panel.
        x: `[x]`, ascending.
        y: `[y]`, ascending.
        values: `[x, y]`, as `jaxml.curvature.plane` returns them.

    Raises:
        InputError: the shapes do not fit, or no two finite values differ.
    """
    heights = np.asarray(values, np.float64)
    if heights.shape != (np.size(x), np.size(y)) or min(heights.shape) < 2:
        raise InputError(
            f"{np.size(x)} values of x and {np.size(y)} of y do not fit a surface of "
            f"shape {heights.shape}: give [x, y], two or more of each."
        )
    finite = heights[np.isfinite(heights)]
    edges = np.linspace(0, 1, LEVELS + 2)
    levels = np.unique(np.quantile(finite, edges)) if finite.size else finite
    if len(levels) < 2:
        raise InputError(
            "A surface of fewer than two heights has no contours: choose other values "
            "of x and y."
        )
    grid = np.ma.masked_invalid(heights.T)
    greys = [str(grey) for grey in np.linspace(LIGHTEST, DARKEST, len(levels) - 1)]
    axes.patch.set(hatch="////", edgecolor="0.7")
    axes.contourf(x, y, grid, levels, colors=greys)
    axes.grid(visible=False)
    inner = levels[1:-1]
    if len(inner):
        lines = axes.contour(x, y, grid, inner, colors="0.3", linewidths=0.6)
        axes.clabel(lines, inner[::LABELLED], fmt="%.3g", fontsize=7)


def path(axes: Axes, points: Array, name: str) -> Line2D:
    """A line through points on a surface, edged in white, from an open circle to a
    filled one.

    Args:
        axes: a panel.
        points: `[point, 2]`; one that is not finite leaves a gap.
        name: for the legend.

    Returns:
        The line.

    Raises:
        InputError: the points have no two coordinates.
    """
    if np.ndim(points) != 2 or np.shape(points)[1] != 2 or len(points) == 0:
        raise InputError(
            f"Points of shape {np.shape(points)} are no path in a plane: give "
            "[point, 2]."
        )
    x, y = np.asarray(points, np.float64).T
    (line,) = axes.plot(x, y, label=name, zorder=3)
    line.set_path_effects([Stroke(linewidth=3.2, foreground="white"), Normal()])
    ends = {"s": 42, "edgecolors": line.get_color(), "linewidths": 1.4, "zorder": 4}
    axes.scatter(x[:1], y[:1], facecolors="white", **ends)
    axes.scatter(x[-1:], y[-1:], facecolors=line.get_color(), **ends)
    return line


def principal_paths(
    axes: Axes,
    projections: Float[Array, "run point axis"],
    shown: Shown,
    *,
    title: str,
    names: Sequence[str],
) -> None:
    """Trajectories in the plane of their first two principal components, with what the
    plane does not show.

    Each axis names its fraction of the variance, and the legend for each run the
    median and the largest fraction of a point's squared distance that is outside.

    Args:
        axes: a panel.
        projections: coordinates; the first two axes are drawn.
        shown: of the plane.
        title: of the panel.
        names: one a run.

    Raises:
        InputError: names and runs differ in number, or there are fewer than two axes.
    """
    runs, _, dimensions = projections.shape
    if len(names) != runs or len(shown.explained) < 2 or dimensions < 2:
        raise InputError(
            f"{len(names)} names and {len(shown.explained)} fractions of variance do "
            f"not fit {runs} runs along {dimensions} axes: give one name a run, and "
            "two axes or more."
        )
    for name, run, outside in zip(names, projections, shown.residuals, strict=True):
        middle, most = np.median(outside), np.max(outside)
        path(axes, run[:, :2], f"{name}: {middle:.0%} outside, at most {most:.0%}")
    first, second = (f"{fraction:.1%}" for fraction in shown.explained[:2])
    label(
        axes,
        title,
        f"component 1 ({first} of variance)",
        f"component 2 ({second})",
    )
    legend_below(axes, columns=1)


def losses_between(
    axes: Axes,
    at: Array,
    losses: Mapping[str, Array],
    barriers: Mapping[str, float],
    *,
    title: str,
    unit: str,
) -> None:
    """Losses on paths between two networks, each named with its barrier, and the higher
    end as a level.

    Args:
        axes: a panel.
        at: `[t]`, from 0 to 1.
        losses: of each path, `[t]`.
        barriers: of each path, its highest loss minus the higher end.
        title: of the panel.
        unit: of the losses.

    Raises:
        InputError: losses and barriers are not of the same paths, or of none.
    """
    if not losses or set(losses) != set(barriers):
        raise InputError(
            f"There are losses of {sorted(losses)} and barriers of "
            f"{sorted(barriers)}: give both of the same paths."
        )
    for name, values in losses.items():
        axes.plot(at, values, label=f"{name}: barrier {barriers[name]:.3g}")
    first = np.asarray(next(iter(losses.values())))
    axes.axhline(max(first[0], first[-1]), color="0.6", linewidth=0.8, marker="")
    label(axes, title, "position between the networks, t (1)", f"loss ({unit})")
    legend_below(axes, columns=1)
