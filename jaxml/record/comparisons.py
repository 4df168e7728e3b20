"""Panels that compare families unit by unit, and show what would matter."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from jaxml.record.rule import Rule
from jaxml.record.tuning import Arm

POINT, BAR, NEGLIGIBLE = "#555555", "#000000", "#dddddd"
"""Colours of a unit, of a mean, and of differences that are too small to matter."""

_GOLDEN = (np.sqrt(5) - 1) / 2


def compared(
    axes: Axes, pairs: Mapping[str, tuple[Arm, Arm]], *rules: Rule, tuning: int
) -> None:
    """One row a pair of arms: the first minus the second in each judging unit, each at
    its tuned point, and what differences are too small to matter.

    The mean of a row is what `record.tuned` measures of `record.mean_difference`. Rows
    of several rules, which may differ in unit, are shown in multiples of their margins.

    Args:
        axes: a panel, whose vertical axis names the pairs.
        pairs: of arms of the same units.
        *rules: one a row, from above; a single one holds in all rows.
        tuning: how many of the units tune, the first ones.
    """
    samples = {}
    for name, (ours, theirs) in pairs.items():
        with np.errstate(invalid="ignore"):
            samples[name] = at_tuned(ours, tuning) - at_tuned(theirs, tuning)
    if len(rules) > 1:
        samples, rules = _in_margins(samples, rules)
    dots(axes, samples)
    margins(axes, *rules)


def _in_margins(
    samples: Mapping[str, np.ndarray], rules: tuple[Rule, ...]
) -> tuple[dict[str, np.ndarray], tuple[Rule, ...]]:
    """Rows and their rules divided by the rules' margins, which the names then tell."""
    rows, scaled = {}, []
    for (name, values), rule in zip(samples.items(), rules, strict=True):
        rows[f"{name}\n(margin {rule.margin:.2g})"] = values / rule.margin
        threshold = rule.threshold / rule.margin
        scaled.append(rule._replace(threshold=threshold, margin=1.0))
    return rows, tuple(scaled)


def dots(axes: Axes, samples: Mapping[str, np.ndarray], unit: str = "a unit") -> None:
    """One row a family, read from above: a point a unit, and a bar at their mean.

    Args:
        axes: a panel, whose vertical axis names the families.
        samples: of each family, units in any shape. Those that are not finite are left
            out, and the family's name says how many they are.
        unit: what a point is, for the legend.
    """
    names = []
    for row, (name, units) in enumerate(samples.items()):
        values = np.ravel(units)
        kept = values[np.isfinite(values)]
        lost = len(values) - len(kept)
        names.append(f"{name}\n({lost} of {len(values)} not shown)" if lost else name)
        spread = 0.5 * (np.arange(len(kept)) * _GOLDEN % 1) - 0.25
        first = row == 0
        axes.scatter(
            kept,
            row + spread,
            s=14,
            facecolors="none",
            edgecolors=POINT,
            linewidths=0.9,
            label=unit if first else None,
        )
        if len(kept):
            mean = np.mean(kept)
            axes.plot(
                [mean, mean],
                [row - 0.4, row + 0.4],
                color=BAR,
                marker="",
                linestyle="-",
                linewidth=3.0,
                label="their mean" if first else None,
            )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    if axes.get_xscale() == "linear":
        axes.locator_params(axis="x", nbins=6)


def margins(axes: Axes, *rules: Rule) -> None:
    """Shades in each row what lies too close to its rule's threshold to matter.

    Args:
        axes: a panel of `dots`.
        *rules: one a row, from above; a single one holds in all rows.
    """
    rows = len(axes.get_yticks())
    each = rules * rows if len(rules) == 1 else rules
    for row, rule in enumerate(each):
        first = row == 0
        axes.barh(
            row,
            2 * rule.margin,
            left=rule.threshold - rule.margin,
            height=1.0,
            color=NEGLIGIBLE,
            label="too small to matter" if first and rule.margin else None,
            zorder=0.5,
        )
        axes.plot(
            [rule.threshold, rule.threshold],
            [row - 0.5, row + 0.5],
            color="#666666",
            marker="",
            linestyle=":",
            linewidth=1.2,
            label="threshold" if first else None,
        )


def underlaid(
    axes: Axes, x: np.ndarray, y: np.ndarray, name: str | None = None
) -> None:
    """A law's broad grey line, beneath the lines that follow it.

    Args:
        axes: a panel.
        x: `[point]`.
        y: `[point]`.
        name: for the legend.
    """
    axes.plot(
        x, y, color="0.55", linewidth=5, linestyle="-", marker="", zorder=1, label=name
    )


def at_tuned(arm: Arm, tuning: int) -> np.ndarray:
    """An arm's values at the point with the lowest mean score over tuning units,
    `[judging unit, ...]`.

    Args:
        arm: its scores are its values where they are not given.
        tuning: how many of the units tune, the first ones.
    """
    scores = np.asarray(arm.values if arm.scores is None else arm.scores)
    means = np.mean(scores[:, :tuning], axis=1, dtype=np.float64)
    best = np.argmin(np.where(np.isfinite(means), means, np.inf))
    return np.asarray(arm.values)[best, tuning:]


def ratios(axes: Axes, arms: Mapping[str, Arm], rule: Rule, *, tuning: int) -> None:
    """One row an arm: each judging unit's value over the mean of the first arm's, each
    at its tuned point, so that a row's mean is a ratio of means.

    Args:
        axes: a panel, whose vertical axis names the arms.
        arms: of the same units; units that are not finite in all are left out.
        rule: of the ratio, in all rows but the first, whose mean is 1.
        tuning: how many of the units tune, the first ones.
    """
    values = np.stack([at_tuned(arm, tuning) for arm in arms.values()])
    ended = values[:, np.all(np.isfinite(values), axis=0)]
    base = np.mean(ended[0], dtype=np.float64) if ended.size else 1.0
    dots(axes, dict(zip(arms, ended / base, strict=True)))
    margins(axes, rule)
