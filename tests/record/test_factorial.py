"""Contrasts of a factorial design, against NumPy; units that do not count."""

import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

from jaxml import record
from jaxml.record.factorial import Cells, any_cell, contrast, effects, tuned_cells

MAIN = (-0.5, -0.5, 0.5, 0.5)


def design(units=12):
    """Cells a, a + 1, a + 4, a + 9 at their best point, the second of three."""
    own = np.random.default_rng(0).normal(size=(units, 1, 1))
    cells = np.array([0.0, 1.0, 4.0, 9.0])[:, None]
    return own + cells + np.array([1.0, 0.0, 1.0])


@pytest.mark.oracle
def test_a_main_effect_is_the_mean_over_the_other_factor():
    cells = np.random.default_rng(1).normal(size=(2, 2, 9))
    found = contrast(MAIN, plus=0.25)(*cells.reshape(4, 9))
    expected = np.median(cells[1].mean(axis=0) - cells[0].mean(axis=0)) + 0.25
    np.testing.assert_allclose(found, expected)


@pytest.mark.identity
def test_units_that_do_not_count_are_as_if_they_were_not():
    scores, counts = design(), np.arange(12) % 4 > 0
    spoiled = np.where(counts[:, None, None], scores, 77 * scores[:, :, ::-1])
    one, other = (
        tuned_cells(Cells(each, counts), contrast(MAIN)) for each in (scores, spoiled)
    )
    assert one[:4] == other[:4]
    np.testing.assert_allclose(one.estimate, 6.0)
    assert one.n == 6


@pytest.mark.identity
def test_what_is_judged_may_differ_from_what_tunes():
    scores = design()
    stayed = np.zeros(scores.shape, bool)
    stayed[4:8, 3, 1] = True
    stayed[:, :, 0] = True
    found = tuned_cells(Cells(scores, np.full(12, True)), any_cell, values=stayed)
    assert found.estimate == 0.5


@pytest.mark.oracle
def test_effects_are_drawn_as_they_are_measured():
    axes = Canvas().add_subplot()
    rule = record.below(0.0, margin=0.2, reason="an example")
    cells = Cells(design(), np.full(12, True))
    effects(axes, cells, {"main": MAIN}, rule)
    heights = np.array(axes.collections[0].get_offsets(), float)[:, 1]
    np.testing.assert_allclose(heights, np.full(8, 6.0))
