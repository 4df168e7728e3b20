"""Folds times seeds, as the benchmark trains them."""

import jax
import numpy as np
import pytest

from jaxml import learn
from jaxml.bench import folds


@pytest.mark.identity
def test_a_run_trains_on_its_fold_and_is_judged_by_the_rest() -> None:
    dealt = folds.parts(2)
    trained, held = (np.asarray(part.targets)[..., 0] for part in dealt)
    assert trained.shape == held.shape == (2, folds.DAYS // 2)
    both = np.sort(np.concatenate([trained, held], axis=1), axis=1)
    assert np.array_equal(both[0], both[1])
    assert np.all(np.asarray(dealt.train.weights) == 1)


@pytest.mark.invariance
@pytest.mark.stress
def test_all_runs_of_a_depth_are_one_program() -> None:
    size = folds.SMOKE
    training = folds.training(size, 2)
    runs = learn.sweep(training, folds.points(size), lanes=4)
    assert runs.trace.loss.shape == (size.k * size.seeds, size.steps)
    alone = learn.sweep(
        training, jax.tree.map(lambda x: x[3:], folds.points(size)), lanes=1
    )
    np.testing.assert_allclose(alone.trace.loss[0], runs.trace.loss[3], rtol=1e-5)


@pytest.mark.bench
def test_every_way_is_timed() -> None:
    rows = folds.measure(folds.SMOKE)
    assert sorted(row.role for row in rows) == ["alternative", "ours", "strongest"]
