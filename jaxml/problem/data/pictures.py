"""Handwritten digits as pictures, in a frame that leaves them room."""

import numpy as np

from jaxml.problem.data.embedded import digits
from jaxml.types import Batch, InputError

__all__ = ["digit_pictures"]

DIGIT = 8
"""Pixels of a side of `digits`."""


def digit_pictures(side: int = DIGIT) -> Batch:
    """`digits` as pictures of one channel, `[1797, side, side, 1]`, in the middle of a
    frame of zeros, in which they can be moved, rotated and enlarged.

    Args:
        side: of the frame in pixels, an even number; 8 is without a border.

    Raises:
        InputError: a frame that is smaller than a digit, or in which none can stand in
            the middle.

    >>> digit_pictures(14).inputs.shape
    (1797, 14, 14, 1)
    """
    if side < DIGIT or side % 2:
        raise InputError(
            f"A frame of {side} pixels has no digit of {DIGIT} in its middle: give an "
            f"even number from {DIGIT} on."
        )
    flat, border = digits(), (side - DIGIT) // 2
    small = np.reshape(flat.inputs, (-1, DIGIT, DIGIT, 1))
    around = (border, border)
    framed = np.pad(small, ((0, 0), around, around, (0, 0)))
    return flat._replace(inputs=framed)
