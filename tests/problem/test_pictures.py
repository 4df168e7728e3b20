"""Digits as pictures in a frame."""

import numpy as np
import pytest

from jaxml import problem
from jaxml.types import InputError


@pytest.mark.oracle
def test_a_digit_stands_row_by_row_in_the_middle_of_its_frame() -> None:
    flat, framed = problem.digits(), problem.digit_pictures(14)
    np.testing.assert_array_equal(framed.targets, flat.targets)
    expected = np.zeros((14, 14))
    for place, pixel in enumerate(flat.inputs[5]):
        expected[3 + place // 8, 3 + place % 8] = pixel
    np.testing.assert_array_equal(framed.inputs[5, :, :, 0], expected)
    assert framed.inputs.dtype == flat.inputs.dtype


@pytest.mark.identity
def test_without_a_border_nothing_but_the_shape_changes() -> None:
    flat, pictures = problem.digits(), problem.digit_pictures()
    assert pictures.inputs.shape == (1797, 8, 8, 1)
    np.testing.assert_array_equal(pictures.inputs.reshape(-1, 64), flat.inputs)


@pytest.mark.identity
@pytest.mark.parametrize("side", [6, 9])
def test_a_frame_without_a_middle_is_refused(side: int) -> None:
    with pytest.raises(InputError, match="even number from 8"):
        problem.digit_pictures(side)
