import numpy as np
import pytest

from jaxml.record import above, mean_difference, ratio_of_means, tuned
from jaxml.record.comparisons import at_tuned, compared, dots, margins, ratios
from jaxml.record.figures import panels
from jaxml.record.tuning import Arm

pytestmark = pytest.mark.identity

VALUES = np.random.default_rng(0).normal(1.0, 0.1, size=(2, 5, 24))
BOWLS = np.array([[4, 1, 0, 1, 4], [4, 2, 1, 0, 3]])
ARMS = [
    Arm(values, values + bowl[:, None])
    for values, bowl in zip(VALUES, BOWLS, strict=True)
]
RULE = above(0.5, margin=0.1, reason="a tenth")


def means(axes):
    """Of the rows, from above: each bar is a line of two equal numbers."""
    return [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() > 2]


def test_an_arm_is_taken_where_its_tuning_units_are_best():
    arm = Arm(np.arange(12.0).reshape(3, 4), np.array([[1, 1, 9, 9]] * 3))
    best = arm._replace(
        scores=np.array([[2, 2, 0, 0], [1, 1, 9, 9], [np.nan, 0, 0, 0]])
    )
    np.testing.assert_array_equal(at_tuned(best, 2), [6, 7])
    np.testing.assert_array_equal(at_tuned(arm, 2), [2, 3])


def test_a_row_of_differences_has_the_mean_that_is_judged():
    _, (axes,) = panels()
    ours, theirs = ARMS
    compared(axes, {"a": (ours, theirs), "b": (theirs, ours)}, RULE, tuning=10)
    judged = tuned(mean_difference, ours, theirs, tuning=10)[0]
    np.testing.assert_allclose(means(axes), [judged, -judged], rtol=1e-12)


def test_rows_of_several_rules_are_in_their_margins():
    _, (axes,) = panels()
    ours, theirs = ARMS
    pairs = {"a": (ours, theirs), "b": (ours, theirs)}
    wide = RULE._replace(margin=0.5)
    compared(axes, pairs, RULE, wide, tuning=10)
    judged = tuned(mean_difference, ours, theirs, tuning=10)[0]
    np.testing.assert_allclose(means(axes), [judged / 0.1, judged / 0.5], rtol=1e-12)
    spans = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    np.testing.assert_allclose(spans, [(4, 2), (0, 2)])
    assert "margin 0.5" in axes.get_yticklabels()[1].get_text()


def test_a_row_of_ratios_has_the_ratio_of_means():
    _, (axes,) = panels()
    ours, theirs = ARMS
    ratios(axes, {"theirs": theirs, "ours": ours}, RULE, tuning=10)
    judged = tuned(ratio_of_means, ours, theirs, tuning=10)[0]
    np.testing.assert_allclose(means(axes), [1, judged], rtol=1e-12)


def test_a_row_says_how_many_units_it_lacks():
    _, (axes,) = panels()
    dots(axes, {"a": np.array([1.0, 3.0, np.inf]), "b": np.array([np.nan])})
    assert means(axes) == [2]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["a\n(1 of 3 not shown)", "b\n(1 of 1 not shown)"]
    assert axes.get_ylim() == (1.5, -0.5)


def test_units_lie_about_their_row_and_apart():
    _, (axes,) = panels()
    dots(axes, {"a": np.ones(9), "b": np.ones(9)})
    heights = [each.get_offsets()[:, 1] for each in axes.collections]
    for row, own in enumerate(heights):
        assert np.all(np.abs(own - row) <= 0.25)
        assert np.abs(np.mean(own) - row) < 0.1
        assert len(np.unique(own.round(3))) == 9


def test_a_margin_shades_its_row():
    _, (axes,) = panels()
    dots(axes, {"a": np.ones(2), "b": np.ones(2)})
    margins(axes, RULE)
    spans = [(bar.get_x(), bar.get_width(), bar.get_y()) for bar in axes.patches]
    np.testing.assert_allclose(spans, [(0.4, 0.2, -0.5), (0.4, 0.2, 0.5)])
