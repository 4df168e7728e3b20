"""What `examples` and `split` accept, keep and refuse."""

import jax
import numpy as np
import pytest

from jaxml.problem import examples, split
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
        (np.zeros((2, 1), bool), np.zeros(2), "inputs are bool"),
        (np.zeros((2, 1), complex), np.zeros(2), "inputs are complex128"),
        (
            np.array([[3], [-1]]),
            np.zeros(2),
            "Integer inputs number tokens, and some are negative",
        ),
        (
            np.zeros((2, 1), np.longdouble),
            np.zeros(2),
            "inputs are float128|inputs are longdouble",
        ),
        (np.zeros((2, 1)), np.zeros(2, complex), "targets are complex128"),
        (np.zeros((0, 1)), np.zeros(0), "no examples"),
        (
            np.array([[1], [2**31]]),
            np.zeros(2),
            "inputs reach 2147483648, beyond int32",
        ),
        (np.float32(1.0), np.zeros(1), "inputs are a single value"),
        ([[1.0], [2.0, 3.0]], np.zeros(2), "inputs are no array.*equal lengths"),
        (np.array([[None]]), np.zeros(1), "inputs are object"),
        ({"x": np.zeros((1, 2))}, np.zeros(1), "inputs are a dict: join its arrays"),
        (
            np.array([[0.0], [np.nan], [np.inf]]),
            np.zeros(3),
            "inputs hold 2 values.*first in row 1",
        ),
        (
            np.zeros((3, 1)),
            np.array([[1.0], [2.0], [np.inf]]),
            "targets hold 1 values.*first in row 2",
        ),
    ],
)
def test_unusable_examples_are_refused(inputs, targets, message):
    with pytest.raises(InputError, match=message):
        examples(inputs, targets)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            np.array([[0], [2], [1]]),
            r"labels have the shape \(3, 1\), not \[n\].*labels\[:, 0\]",
        ),
        (
            np.eye(3, dtype=np.int32),
            r"labels have the shape \(3, 3\).*labels\.argmax\(-1\)",
        ),
        (np.array([0, -1, 2]), r"Label -1 in row 1 \(from 0\) is outside 0\.\.2"),
        (np.array(["cat", "dog", "cat"]), "targets are text: number them"),
        (np.array([True, False, True]), "targets are bool: cast labels to int32"),
        (np.eye(3, dtype=bool), "targets are bool"),
        (
            np.array([0, 1, 2**32 + 1]),
            "targets reach 4294967297, beyond int32: renumber",
        ),
        (np.array([0, 1, 2**64 - 1], np.uint64), "targets reach 18446744073709551615"),
        (
            np.ma.masked_array([0, 1, 2], [False, True, False]),
            "Some targets lie under a mask",
        ),
    ],
)
def test_targets_that_are_no_labels_are_refused(targets, message):
    with pytest.raises(InputError, match=message):
        examples(np.zeros((3, 1), np.float32), targets)


def test_weights_are_floating_point_and_values_are_known():
    inputs, labels = np.zeros((3, 1), np.float32), np.arange(3)
    with pytest.raises(InputError, match="Weights are not counted in int32"):
        examples(inputs, labels, dtype=np.int32)
    with pytest.raises(InputError, match=r"inputs are being traced.*outside jit"):
        jax.jit(lambda x: examples(x, labels))(inputs)


def test_the_number_of_classes_is_compared_with_the_labels():
    inputs, labels = np.zeros((3, 1), np.float32), np.array([0, 3, 1])
    assert examples(inputs, labels, classes=4).targets is labels
    with pytest.raises(InputError, match="Label 3 in row 1"):
        examples(inputs, labels, classes=3)
    with pytest.raises(InputError, match="labels are float32"):
        examples(inputs, labels.astype(np.float32), classes=4)


def test_values_under_a_mask_are_refused_and_a_mask_without_any_is_dropped():
    values = np.array([[1.0], [1e20]], np.float32)
    with pytest.raises(
        InputError, match="Some inputs lie under a mask: fill them or drop their rows"
    ):
        examples(np.ma.masked_array(values, [[False], [True]]), np.zeros(2))
    batch = examples(np.ma.masked_array(values, False), np.zeros(2))
    assert type(batch.inputs) is np.ndarray and np.array_equal(batch.inputs, values)


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f4"])
def test_every_byte_order_becomes_the_machines(dtype):
    values = np.array([[1.5], [-2.0]], dtype)
    batch = examples(values, np.array([0, 258], ">i4"))
    assert batch.inputs.dtype.isnative and batch.targets.dtype.isnative
    assert batch.inputs.tolist() == values.tolist() and batch.targets.tolist() == [
        0,
        258,
    ]
    assert (
        jax.numpy.asarray(batch.inputs.astype(np.float32)).tolist() == values.tolist()
    )


def test_native_arrays_are_not_copied():
    inputs, targets = np.zeros((2, 1)), np.zeros(2, np.int32)
    batch = examples(inputs, targets)
    assert batch.inputs is inputs and batch.targets is targets


def test_tokens_are_inputs_whose_weights_are_floating_point():
    tokens, labels = np.array([[3, 0], [1, 2]]), np.array([0, 1])
    assert examples(tokens, labels).weights.dtype == np.float32
    assert examples(tokens, labels, dtype=np.float64).weights.dtype == np.float64
    assert (
        examples(tokens, tokens).targets is tokens
    )  # a class at each place, for a loss of one's own


def _numbered(n):
    return examples(
        np.arange(n, dtype=np.float32)[:, None], np.arange(n, dtype=np.int32) * 10
    )


def test_split_keeps_every_example_once_and_pairs_together():
    train, test = split(_numbered(20), 15, key=jax.random.key(0))
    assert len(train.weights) == 15 and len(test.weights) == 5
    inputs = np.concatenate([train.inputs, test.inputs])[:, 0]
    assert sorted(inputs.tolist()) == list(range(20))
    assert inputs.tolist() != list(range(20))
    np.testing.assert_array_equal(
        np.concatenate([train.targets, test.targets]), 10 * inputs
    )
    assert all(
        isinstance(field, np.ndarray) for part in (train, test) for field in part
    )


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
