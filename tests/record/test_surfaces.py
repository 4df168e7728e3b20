"""Pictures of landscapes: what is drawn, and what they say of what they do not show."""

import numpy as np
import pytest

from jaxml.record.figures import label, panels, save
from jaxml.record.legible import words
from jaxml.record.surfaces import (
    Shown,
    contours,
    losses_between,
    path,
    principal_paths,
)
from jaxml.types import InputError

pytestmark = pytest.mark.identity
X, Y = np.linspace(-1, 1, 7), np.linspace(-2, 2, 9)
BOWL = X[:, None] ** 2 + 0.3 * Y**2


def test_contours_are_grey_and_darker_where_it_is_higher(tmp_path):
    figure, (axes,) = panels()
    contours(axes, X, Y, BOWL)
    filled = axes.collections[0]
    colours = filled.get_facecolor()
    np.testing.assert_array_equal(colours[:, 0], colours[:, 2])
    assert np.all(np.diff(colours[:, 0]) < 0)
    lines = axes.collections[1]
    inside = [np.mean(level > BOWL) for level in lines.levels]
    np.testing.assert_allclose(np.diff(inside), 1 / 13, atol=0.05)
    label(axes, "A bowl", "x (1)", "y (1)")
    save(figure, tmp_path / "bowl.png")


def test_a_surface_with_holes_has_contours_around_them():
    _, (axes,) = panels()
    holed = np.where(BOWL > 1.5, np.inf, BOWL)
    holed[0, 0] = np.nan
    contours(axes, X, Y, holed)
    assert max(axes.collections[1].levels) < 1.5
    assert axes.patch.get_hatch() == "////"


def test_a_path_begins_open_and_ends_filled():
    _, (axes,) = panels()
    points = np.array([[0.0, 1.0], [np.nan, 0.0], [0.5, 2.0]])
    line = path(axes, points, "descent")
    np.testing.assert_array_equal(line.get_xydata(), points)
    start, end = axes.collections
    assert start.get_offsets().tolist() == [[0, 1]]
    assert end.get_offsets().tolist() == [[0.5, 2]]
    assert start.get_facecolor().tolist() == [[1, 1, 1, 1]]
    assert end.get_facecolor()[0, :3].tolist() == [0, 0, 0]


def test_a_plane_says_what_it_does_not_show(tmp_path):
    figure, (axes,) = panels()
    projections = np.arange(12.0).reshape(2, 3, 2)
    residuals = np.array([[0.0, 0.1, 0.5], [0.2, 0.2, 0.9]])
    shown = Shown(np.array([0.608, 0.152]), residuals)
    names = ["run 1", "run 2"]
    principal_paths(axes, projections, shown, title="Two runs", names=names)
    save(figure, tmp_path / "plane.png")
    said = words(figure)
    for part in (
        "component 1 (60.8% of variance)",
        "component 2 (15.2%)",
        "run 1: 10% outside, at most 50%",
        "run 2: 20% outside, at most 90%",
    ):
        assert part in said


def test_losses_between_networks_are_named_with_their_barriers():
    figure, (axes,) = panels()
    losses = {"line": np.array([1.0, 3.0, 0.5]), "curve": np.array([1.0, 0.9, 0.5])}
    barriers = {"line": 2.0, "curve": 0.0}
    at = np.array([0, 0.5, 1])
    losses_between(axes, at, losses, barriers, title="Two minima", unit="nats")
    assert "line: barrier 2, curve: barrier 0." in words(figure)
    assert axes.lines[-1].get_ydata()[0] == 1


def test_what_cannot_be_drawn():
    _, (axes,) = panels()
    with pytest.raises(InputError, match="do not fit a surface"):
        contours(axes, Y, X, BOWL)
    for flat in (np.ones_like(BOWL), np.full_like(BOWL, np.nan)):
        with pytest.raises(InputError, match="fewer than two heights"):
            contours(axes, X, Y, flat)
    with pytest.raises(InputError, match="no path in a plane"):
        path(axes, np.ones((4, 3)), "x")
    shown = Shown(np.ones(2), np.ones((1, 4)))
    with pytest.raises(InputError, match="one name a run"):
        principal_paths(axes, np.ones((1, 4, 2)), shown, title="", names=[])
    with pytest.raises(InputError, match="of the same paths"):
        losses_between(axes, X, {"a": X}, {"b": 1.0}, title="", unit="nats")
