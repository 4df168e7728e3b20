"""Labels: what is one, and what is refused in a sentence."""

import numpy as np
import pytest

from jaxml.problem import check_labels
from jaxml.types import InputError

pytestmark = pytest.mark.identity


def test_labels_in_range_pass():
    check_labels(np.array([0, 9, 3]), 10)
    check_labels(np.array([0, 9, 3], np.uint8), 10)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 10, 11]), r"Label 10 in row 2 \(from 0\) is outside 0\.\.9"),
        (np.array([0, -1]), r"Label -1 in row 1 \(from 0\) is outside 0\.\.9"),
        (np.array([0, 2**32 + 5]), r"Label 4294967301 in row 1"),
        (np.array([0.0, 1.0]), "labels are float64"),
        (np.array([[0], [1]]), r"labels have the shape \(2, 1\)"),
        (np.eye(2, dtype=int), r"labels have the shape \(2, 2\)"),
    ],
)
def test_labels_out_of_range_are_named(labels, message):
    with pytest.raises(InputError, match=message):
        check_labels(labels, 10)
