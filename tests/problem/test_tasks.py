"""The fixed problems: what their data are, and that a vector is as good as a tree."""

import jax
import numpy as np
import pytest

from jaxml import tree
from jaxml.problem import (
    characters_workload,
    objective,
    objective_of_vector,
    parity_digits,
    tanh_sinc,
    weights,
)
from jaxml.types import InputError


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
def test_characters_are_windows_of_blocks_that_share_none() -> None:
    text = bytes(range(48, 48 + 29))  # each character once, so that codes are places
    workload = characters_workload(
        text=text, block=4, context=2, train=8, test=4, width=3
    )
    starts = [0, 6, 12, 18]
    expected = [
        [start + place, start + place + 1, start + place + 2]
        for start in starts
        for place in range(4)
    ]
    np.testing.assert_array_equal(workload.data.inputs, np.array(expected)[:, :2])
    np.testing.assert_array_equal(workload.data.targets, np.array(expected)[:, 2])
    assert weights(workload) == 2 * 29 * 3 + 3 + 3 * 29 + 29


@pytest.mark.identity
def test_a_text_shorter_than_a_block_is_refused() -> None:
    with pytest.raises(InputError, match="give a longer text"):
        characters_workload(text=b"short", block=10)
