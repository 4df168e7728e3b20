"""The fixed problems: what their data are, and that a vector is as good as a tree."""

import jax
import numpy as np
import pytest

from jaxml import tree
from jaxml.problem import (
    difficulty,
    examples,
    objective,
    objective_of_vector,
    parity_digits,
    tanh_sinc,
)


@pytest.mark.oracle
def test_the_components_of_digits_are_white_and_ordered_and_tell_even_from_odd() -> (
    None
):
    inputs, targets, weights = parity_digits(components=5).batch
    np.testing.assert_allclose(inputs.T @ inputs / len(inputs), np.eye(5), atol=1e-12)
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-12)
    assert set(np.unique(targets)) == {-1.0, 1.0}
    assert targets.shape == (1797, 1) and weights.shape == (1797,)


@pytest.mark.identity
def test_the_objective_of_a_vector_is_that_of_the_tree() -> None:
    with jax.enable_x64(True):
        task = tanh_sinc(3)
        params, _ = task.model.init(jax.random.key(0), task.batch.inputs)
        whole = objective(task.model, task.loss, task.penalty)(params, task.batch)
        vector = objective_of_vector(task)(tree.ravel(params)[0], task.batch)
    assert float(vector) == float(whole)


@pytest.mark.oracle
def test_difficulty_is_the_place_in_the_class_by_distances_to_means() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(12, 2)).astype(np.float32)
    labels = np.repeat(np.arange(2, dtype=np.int32), 6)
    first, second = inputs[:6].mean(axis=0), inputs[6:].mean(axis=0)
    excess = np.linalg.norm(inputs - first, axis=1)
    excess -= np.linalg.norm(inputs - second, axis=1)
    places = [np.argsort(np.argsort(part)) / 6 for part in (excess[:6], -excess[6:])]
    found = difficulty(examples(inputs, labels), classes=2)
    np.testing.assert_allclose(found, np.concatenate(places), atol=1e-6)
