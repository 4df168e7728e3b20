"""Leaderboards: a model that sees all features is the ridge classifier of all."""

import numpy as np
import pytest

from jaxml import problem
from jaxml.types import Batch, InputError

PARTS = problem.Parts(train=30, validation=10, public=(5, 20), private=15)


def drawn() -> Batch:
    random = np.random.default_rng(0)
    labels = np.arange(65) % 3
    rows = random.normal(size=(65, 4)) + labels[:, None]
    return Batch(rows, labels, np.ones(65))


@pytest.mark.oracle
def test_models_of_all_features_are_ridge_classifiers() -> None:
    data = drawn()
    scores = problem.leaderboard(data, PARTS, models=2, features=4, penalty=0.5, seed=3)
    order = np.random.default_rng(3).permutation(65)

    def accuracy(own: np.ndarray, others: np.ndarray) -> float:
        train = Batch(data.inputs[own], data.targets[own], data.weights[own])
        classify = problem.ridge_classifier(train, classes=3, penalty=0.5)
        return float(np.mean(classify(data.inputs[others]) == data.targets[others]))

    for model in range(2):
        assert scores.validation[model] == accuracy(order[:20], order[20:30])
        assert scores.public[0, model] == accuracy(order[:30], order[30:35])
        assert scores.public[1, model] == accuracy(order[:30], order[30:50])
        assert scores.private[model] == accuracy(order[:30], order[50:65])


def test_parts_that_need_more_than_there_is_are_refused() -> None:
    few = drawn()._replace(inputs=np.zeros((64, 4)), targets=np.zeros(64, int))
    with pytest.raises(InputError, match=r"make the parts or the models smaller"):
        problem.leaderboard(few, PARTS, models=1, features=4, penalty=1.0, seed=0)
