"""The cost of watching the sharpness: the training is the same. No time is judged."""

import chex
import numpy as np
import pytest

from jaxml.bench import curvature_probe


@pytest.mark.identity
def test_the_training_is_the_same_but_for_a_probe_of_the_stated_cost() -> None:
    size = curvature_probe.SMOKE
    contest, *_ = curvature_probe.contests(size)
    both = curvature_probe.trainings(contest, size)
    assert both.cost.products == size.depth
    assert both.plain.every == both.plain.steps and both.watched.every == size.every
    assert both.plain.steps == both.watched.steps == size.steps
    chex.assert_trees_all_equal(both.plain.data, both.watched.data)


@pytest.mark.stress
@pytest.mark.identity
def test_the_sharpness_is_watched_in_every_run() -> None:
    size = curvature_probe.SMOKE
    contest, *_ = curvature_probe.contests(size)
    both = curvature_probe.trainings(contest, size)
    seen = curvature_probe.entrant("it", both.watched, size.runs, "").run()
    assert seen.probed.value.shape == (size.runs, size.steps // size.every)
    assert np.all(seen.probed.residual > 0)


@pytest.mark.stress
@pytest.mark.identity
def test_all_networks_are_watched() -> None:
    rows = curvature_probe.measure(curvature_probe.SMOKE)
    assert [row.what for row in rows] == [
        "64-4-10: without a probe",
        "64-4-10: with the sharpness",
        "16-4-10: without a probe",
        "16-4-10: with the sharpness",
        "CNN, 2 and 2 channels: without a probe",
        "CNN, 2 and 2 channels: with the sharpness",
    ]
    assert [row.target for row in rows] == [None, curvature_probe.GOAL] * 3
    assert "2 Hessian products and 1 gradient a call" in rows[0].note
