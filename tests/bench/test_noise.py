"""The cost of watching the noise: both trainings are the same. No time is judged."""

import jax
import numpy as np
import pytest

from jaxml import problem
from jaxml.bench import noise


@pytest.mark.identity
@pytest.mark.stress
def test_the_watched_training_trains_as_the_other() -> None:
    size = noise.SMOKE
    data = jax.tree.map(lambda leaf: leaf[:32], problem.digits())
    plain, watched = noise.trainings(data, size.small, size)
    ways = [noise.entrant("it", each, size) for each in (plain, watched)]
    first, second = (way.run() for way in ways)
    np.testing.assert_allclose(first.loss, second.loss, rtol=1e-5)
    seen = second.probed["noise"]
    evaluations = size.steps // size.every
    assert seen.traces["layer_01"]["bias"].shape == (size.runs, evaluations)
    assert np.all(seen.covariance_trace > 0)


@pytest.mark.stress
@pytest.mark.identity
def test_both_networks_are_watched() -> None:
    rows = noise.measure(noise.SMOKE)
    assert [row.what for row in rows] == [
        "64-4-10: without a probe",
        "64-4-10: with the noise of every layer",
        "16-4-10: without a probe",
        "16-4-10: with the noise of every layer",
    ]
    assert [row.target for row in rows] == [None, noise.GOAL] * 2
