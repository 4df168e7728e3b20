"""Classical classifiers against those of scikit-learn, and what they refuse."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from jaxml import problem
from jaxml.types import Array, Batch, InputError


def drawn(seed: int, count: int = 40) -> Batch:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, 3))
    return Batch(rows, random.integers(4, size=count), np.ones(count))


@pytest.mark.oracle
def test_the_nearest_is_at_the_least_distance() -> None:
    train, asked = drawn(0), drawn(1).inputs
    distances = np.linalg.norm(asked[:, None] - train.inputs[None], axis=-1)
    expected = train.targets[np.argmin(distances, axis=1)]
    np.testing.assert_array_equal(problem.nearest_neighbour(train)(asked), expected)


@pytest.mark.oracle
def test_ridge_regressions_are_those_of_scikit_learn() -> None:
    train, asked = drawn(0), drawn(1).inputs
    oracle = Ridge(alpha=0.7).fit(train.inputs, np.eye(4)[train.targets])
    expected = np.argmax(oracle.predict(asked), axis=1)
    classify = problem.ridge_classifier(train, classes=4, penalty=0.7)
    np.testing.assert_array_equal(classify(asked), expected)


@pytest.mark.identity
def test_a_table_answers_what_it_stores_and_guesses_else() -> None:
    train, asked = drawn(0), drawn(1).inputs

    def guess(inputs: Array) -> np.ndarray:
        return np.full(len(inputs), 9)

    classify = problem.stored_examples(train, guess)
    np.testing.assert_array_equal(classify(train.inputs), train.targets)
    np.testing.assert_array_equal(classify(asked), np.full(len(asked), 9))


@pytest.mark.identity
def test_minus_zero_is_stored_as_zero() -> None:
    train = Batch(np.array([[-0.0]]), np.array([3]), np.ones(1))
    classify = problem.stored_examples(train, lambda rows: np.zeros(len(rows), int))
    assert classify(np.array([[0.0]])).tolist() == [3]


def test_pictures_that_are_no_rows_are_refused() -> None:
    images = Batch(np.zeros((2, 8, 8)), np.array([0, 1]), np.ones(2))
    with pytest.raises(InputError, match=r"no rows of features: reshape"):
        problem.nearest_neighbour(images)
    with pytest.raises(InputError, match=r"one above 0"):
        problem.ridge_classifier(drawn(0), classes=4, penalty=0.0)
