import itertools

import numpy as np
import pytest

from jaxml.record.figures import (
    STYLES,
    band,
    boxes,
    by_rate,
    label,
    legend_below,
    panels,
    save,
    shared_legend,
    stacked_fractions,
    strips,
    symmetric_log,
)
from jaxml.record.legible import words
from jaxml.types import InputError

pytestmark = pytest.mark.identity


def lightness(colour: str) -> float:
    """CIE L* of an sRGB colour."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(luminance) - 16 if luminance > 0.008856 else 903.3 * luminance


def contrast_to_white(colour: str) -> float:
    """WCAG 2.2's contrast ratio."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )
    return 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05)


def test_families_differ_without_colour():
    assert len({style.marker for style in STYLES}) == len(STYLES)
    for i in range(len(STYLES) - 3):
        four = STYLES[i : i + 4]
        assert len({style.linestyle for style in four}) == 4
    for a, b in itertools.combinations(STYLES[:4], 2):
        assert abs(lightness(a.colour) - lightness(b.colour)) > 15
    assert all(contrast_to_white(style.colour) >= 3 for style in STYLES)


def test_panels_take_the_styles_in_turn():
    figure, axes = panels(2, 2)
    assert len(axes) == 4 and figure.get_size_inches().tolist() == [8.8, 6.4]
    for panel in axes:
        lines = [panel.plot([0, 1], [i, i])[0] for i in range(len(STYLES) + 1)]
        drawn = [
            (line.get_color(), line.get_marker(), line.get_linestyle())
            for line in lines
        ]
        assert drawn == [*STYLES, STYLES[0]]


def test_saving_is_deterministic(tmp_path):
    for name in ("a.png", "b.png"):
        figure, (axes,) = panels()
        axes.loglog([1, 10], [1, 100], label="x")
        axes.legend()
        label(axes, "A title", "steps (1)", "loss (nats)")
        save(figure, tmp_path / name)
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes() and data.startswith(b"\x89PNG")
    assert b"tEXt" not in data and b"tIME" not in data


@pytest.mark.parametrize(
    "sizes", [{"rows": 0}, {"columns": -1}, {"width": 0.0}, {"height": -1.0}]
)
def test_panels_of_no_size_are_refused(sizes):
    with pytest.raises(InputError):
        panels(**sizes)


@pytest.mark.parametrize("names", [("", "y"), ("x", " ")])
def test_an_axis_needs_a_name(names):
    _, (axes,) = panels()
    with pytest.raises(InputError, match="unit"):
        label(axes, "title", *names)


def test_a_band_holds_the_fraction_of_the_units_that_it_says():
    _, (axes,) = panels()
    values = np.stack([np.arange(11.0), 2 * np.arange(11.0)])
    line = band(axes, np.array([1.0, 2.0]), values, "x", within=0.8)
    assert line.get_ydata().tolist() == [5, 10] and line.get_label() == "x"
    (filled,) = axes.collections
    corners = filled.get_paths()[0].vertices
    for x, low, high in ((1, 1, 9), (2, 2, 18)):
        at = corners[corners[:, 0] == x, 1]
        np.testing.assert_allclose([at.min(), at.max()], [low, high])


def test_rates_at_which_a_unit_diverged_are_not_drawn():
    _, (axes,) = panels()
    values = np.array([[1.0, 2.0, 9.0], [3.0, 3.0, 3.0], [4.0, np.nan, 5.0]])
    by_rate(axes, np.array([0.1, 0.2, 0.4]), values, 1, "plain")
    medians, tuned = axes.lines
    assert medians.get_xdata().tolist() == [0.1, 0.2]
    assert medians.get_ydata().tolist() == [2, 3]
    assert set(tuned.get_xdata()) == {0.2} and axes.get_xscale() == "log"


def test_boxes_leave_out_what_is_not_finite():
    _, (axes,) = panels()
    boxes(axes, {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([5.0, np.inf, 5.0])})
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]
    medians = [line.get_xdata()[0] for line in axes.lines if line.get_color() == "C1"]
    assert medians == [2, 5]


def test_strips_show_every_unit_and_the_median_of_the_finite_ones():
    _, (axes,) = panels()
    strips(axes, {"a": np.array([1.0, 5.0, 2.0]), "none": np.zeros(0)})
    points, median, empty = axes.collections
    assert points.get_offsets()[:, 1].tolist() == [1, 5, 2]
    np.testing.assert_allclose(points.get_offsets()[:, 0], [-0.3, 0, 0.3])
    assert median.get_segments()[0][:, 1].tolist() == [2, 2]
    assert len(empty.get_offsets()) == 0
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "none"]


def test_a_shared_legend_names_each_thing_once():
    figure, axes = panels(1, 2)
    for panel in axes:
        panel.plot([0, 1], label="a line")
    shared_legend(figure)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a line"]


def test_a_legend_below_lies_below_the_name_of_the_axis():
    figure, (axes,) = panels()
    axes.plot([0, 1], label="a line")
    label(axes, "A title", "steps (1)", "loss (nats)")
    legend_below(axes)
    figure.draw_without_rendering()
    legend = axes.get_legend()
    assert legend is not None
    name = axes.xaxis.label.get_window_extent()
    assert legend.get_window_extent().y1 <= name.y0


def test_ticks_of_a_symmetric_logarithm_hold_zero_and_do_not_crowd():
    _, (axes,) = panels()
    axes.plot([-1.0, 1e-9, 1.0])
    symmetric_log(axes, 1e-8)
    ticks = axes.get_yticks()
    assert 0 in ticks and len(ticks) <= 9
    positive = np.log10(ticks[ticks > 0])
    np.testing.assert_allclose(np.diff(positive), np.diff(positive)[0])


def test_parts_beyond_the_styles_are_not_lost():
    _, (axes,) = panels()
    parts = [str(part) for part in range(9)]
    stacked_fractions(axes, {"a": np.full(9, 1 / 9)}, parts)
    assert len(axes.patches) == 9


@pytest.mark.parametrize(
    ("ends", "plain"), [((0.25, 0.31), True), ((2e-3, 3e-2), True), ((1, 1e5), False)]
)
def test_short_logarithmic_axes_have_plain_ticks(tmp_path, ends, plain):
    figure, (axes,) = panels()
    axes.loglog([1, 10], ends)
    save(figure, tmp_path / "a.png")
    low, high = axes.get_ylim()
    shown = [
        text.get_text()
        for text, tick in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
        if low <= tick <= high
    ]
    assert 2 <= len(shown) <= 7
    assert all("10^" not in text for text in shown) == plain


def test_long_names_are_wrapped_and_told_in_one_line():
    figure, (axes,) = panels()
    what = "updates of gradient descent over those of momentum with the same rate"
    label(axes, "A title", "steps (1)", what)
    assert "\n" in axes.get_ylabel()
    assert what in words(figure)
