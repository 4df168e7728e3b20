"""What `examples`, `check_labels` and `split` accept, keep and refuse."""

import jax
import numpy as np
import pytest

from jaxml.problem import check_labels, examples, split
from jaxml.types import InputError

pytestmark = pytest.mark.identity


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_are_ones_of_the_inputs_dtype(dtype):
    batch = examples(np.zeros((3, 2), dtype), np.arange(3))
    assert batch.weights.dtype == dtype and batch.weights.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (np.zeros((3, 1)), np.zeros(2), "3 inputs but 2 targets"),
        (np.zeros((2, 1), np.int32), np.zeros(2), "inputs are int32"),
        (np.array([[0.0], [np.nan], [np.inf]]), np.zeros(3), "inputs hold 2 values.*first in row 1"),
        (np.zeros((3, 1)), np.array([[1.0], [2.0], [np.inf]]), "targets hold 1 values.*first in row 2"),
    ],
)
def test_unusable_examples_are_refused(inputs, targets, message):
    with pytest.raises(InputError, match=message):
        examples(inputs, targets)


def test_labels_in_range_pass():
    check_labels(np.array([0, 9, 3]), 10)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 10, 11]), r"Label 10 in row 2 \(from 0\) is outside 0\.\.9"),
        (np.array([0, -1]), r"Label -1 in row 1 \(from 0\) is outside 0\.\.9"),
        (np.array([0.0, 1.0]), "labels are float64"),
    ],
)
def test_labels_out_of_range_are_named(labels, message):
    with pytest.raises(InputError, match=message):
        check_labels(labels, 10)


def _numbered(n):
    return examples(np.arange(n, dtype=np.float32)[:, None], np.arange(n, dtype=np.int32) * 10)


def test_split_keeps_every_example_once_and_pairs_together():
    train, test = split(_numbered(20), 15, key=jax.random.key(0))
    assert len(train.weights) == 15 and len(test.weights) == 5
    inputs = np.concatenate([train.inputs, test.inputs])[:, 0]
    assert sorted(inputs.tolist()) == list(range(20))
    assert inputs.tolist() != list(range(20))
    np.testing.assert_array_equal(np.concatenate([train.targets, test.targets]), 10 * inputs)
    assert all(isinstance(field, np.ndarray) for part in (train, test) for field in part)


@pytest.mark.invariance
def test_split_is_the_same_in_both_precisions():
    single = split(_numbered(50), 30, key=jax.random.key(4))
    with jax.enable_x64(True):
        double = split(_numbered(50), 30, key=jax.random.key(4))
    np.testing.assert_array_equal(single.train.targets, double.train.targets)


@pytest.mark.parametrize("count", [0, 20, -1])
def test_split_refuses_an_empty_part(count):
    with pytest.raises(InputError, match="choose from 1 to 19"):
        split(_numbered(20), count, key=jax.random.key(0))
