"""The plot of updates against examples, on which batch sizes lie along a hyperbola."""

import numpy as np
from matplotlib.axes import Axes

from jaxml.record.critical_batch import CriticalBatch
from jaxml.record.figures import label
from jaxml.record.hyperbola import Law


def steps_and_examples(axes: Axes, found: CriticalBatch, title: str) -> None:
    """Updates to the target against the examples that they read, both logarithmic: each
    judging unit, the median of each size, and the fitted hyperbola.

    Units that never reached the target are not shown, and a size of which fewer than
    half did has no median.

    Args:
        axes: a panel.
        found: from `record.critical_batch`.
        title: of the panel.
    """
    sizes = found.sizes[:, None]
    reached = np.isfinite(found.judged)
    examples = found.judged * sizes
    axes.scatter(
        found.judged[reached],
        examples[reached],
        s=14,
        facecolors="none",
        edgecolors="0.5",
        label="a unit",
    )
    shown = np.isfinite(found.updates)
    medians = found.updates[shown]
    axes.plot(medians, medians * found.sizes[shown], "ks", linestyle="", label="median")
    for updates, size in zip(medians, found.sizes[shown], strict=True):
        axes.annotate(
            f"{size:,}",
            (updates, updates * size),
            textcoords="offset points",
            xytext=(5, 4),
            fontsize=8,
        )
    law = Law(found.fewest_updates.estimate, found.fewest_examples.estimate)
    if np.isfinite(law).all():
        line = np.geomspace(found.sizes[0] / 2, found.sizes[-1] * 2, 200)
        axes.plot(
            law(line),
            law(line) * line,
            color="#994455",
            linestyle="-",
            marker="",
            label="S = S_min + E_min / B",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    label(axes, title, "updates to the target", "examples to the target")
