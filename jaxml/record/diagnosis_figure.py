"""A diagnosis as one figure: its parts, the rates and models tried, more data."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxml.record.figures import band, label, legend_below, panels


@runtime_checkable
class Diagnosed(Protocol):
    """What `learn.diagnose` returns."""

    @property
    def verdict(self) -> str:
        """The largest cause."""
        ...

    @property
    def causes(self) -> Any:
        """By cause, a part of the test loss with `loss`, `low` and `high`."""
        ...

    @property
    def test(self) -> Any:
        """The test loss, likewise."""
        ...

    @property
    def goal(self) -> Any:
        """The `loss` that was asked for."""
        ...

    @property
    def evidence(self) -> Any:
        """Losses of all trainings."""
        ...


def diagnosis_figure(found: Diagnosed) -> Figure:
    """Three panels: how much of the test loss has which cause; the training loss of
    three models at every rate; training and held-out loss against the examples that are
    trained on, with the test loss beside them.

    Args:
        found: from `learn.diagnose`.
    """
    figure, (left, middle, right) = panels(1, 3, width=4.6, height=3.6)
    _parts(left, found)
    _rates(middle, found)
    _examples(right, found)
    return figure


def _parts(axes: Axes, found: Diagnosed) -> None:
    names = list(found.causes)
    each = [found.causes[name] for name in names]
    losses = np.array([part.loss for part in each])
    lows = losses - np.array([part.low for part in each])
    highs = np.array([part.high for part in each]) - losses
    greys = ["0.15" if name == found.verdict else "0.75" for name in names]
    axes.barh(names, losses, xerr=[lows, highs], color=greys, ecolor="#994455")
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8, marker="", linestyle="-")
    label(axes, f"Verdict: {found.verdict}", "part of the test loss", "cause")


def _rates(axes: Axes, found: Diagnosed) -> None:
    seen = found.evidence
    models = {
        f"simpler, {seen.sizes[0]}": seen.simpler,
        f"diagnosed, {seen.sizes[1]}": seen.diagnosed,
        f"larger, {seen.sizes[2]}": seen.larger,
    }
    for name, losses in models.items():
        line = band(axes, seen.rates, np.min(losses.train, axis=1), name, within=1.0)
        line.set_markevery(1)
    axes.axvline(seen.rates[seen.own], color="0.4", linestyle=":", marker="")
    axes.axhline(found.goal.loss, color="0.4", linestyle="--", marker="")
    axes.set_xscale("log")
    title = f"Best of up to {seen.updates[-1]} updates"
    label(axes, title, "learning rate (dotted: the diagnosed)", "training loss")
    legend_below(axes, columns=3)


def _examples(axes: Axes, found: Diagnosed) -> None:
    seen = found.evidence
    fractions = np.array([*seen.fractions, 1.0])
    train = [each.train[0, 0] for each in seen.fewer]
    held_out = [each.held_out[0, 0] for each in seen.fewer]
    train.append(seen.diagnosed.train[seen.own, 0])
    held_out.append(seen.diagnosed.held_out[seen.own, 0])
    band(axes, fractions, np.stack(train), "training", within=1.0)
    band(axes, fractions, np.stack(held_out), "held out", within=1.0)
    low, high = found.test.loss - found.test.low, found.test.high - found.test.loss
    axes.errorbar(
        [1.0],
        [found.test.loss],
        yerr=[[low], [high]],
        color="#bb8800",
        marker="^",
        linestyle="",
        label="test",
    )
    axes.axhline(found.goal.loss, color="0.4", linestyle="--", marker="")
    title = "Would more data help?"
    label(axes, title, "fraction of the training examples", "loss (dashed: the goal)")
    legend_below(axes, columns=3)
