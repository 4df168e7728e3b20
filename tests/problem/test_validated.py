"""Windows whose last days of training validate."""

import numpy as np
import pytest

from jaxml import problem
from jaxml.problem import Causes
from jaxml.types import InputError


def _windows():
    return problem.drawn_windows(Causes(), [0, 1], before=3, fitted=20, tested=5)


def test_validation_lies_between_training_and_test():
    windows = _windows()
    data = problem.validated_windows(windows, 3, 4, dtype=np.float64)
    train, validation, test = data.sets
    assert [part.targets.shape[1] for part in data.sets] == [16, 4, 5]
    assert data.fitted.tolist() == [16, 16]
    for place, window in enumerate(windows):
        parts = [part.targets[place, :, 0] for part in (train, validation, test)]
        scaled = np.concatenate(parts) * data.deviation[place]
        views = window.views.thousands[3:]
        np.testing.assert_allclose(np.diff(scaled), np.diff(views), atol=1e-9)


def test_scales_know_of_the_days_that_are_fitted_alone():
    data = problem.validated_windows(_windows(), 3, 4, dtype=np.float64)
    targets = data.sets[0].targets[..., 0]
    np.testing.assert_allclose(np.mean(targets, axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(np.std(targets, axis=1), 1)


def test_some_days_are_left_to_fit():
    with pytest.raises(InputError, match="keep some for each"):
        problem.shortened(_windows(), 20)
