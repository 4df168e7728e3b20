"""Convolutions of every kind against loops in float64, SciPy and their matrices."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d

from jaxml import problem
from jaxml.problem.models.convolutions.operations import by_patches, by_xla, correlate
from jaxml.types import InputError

CASES = {
    "plain": {},
    "strided": {"stride": 2},
    "dilated": {"kernel": (3, 2), "dilation": 2, "padding": ((0, 3), (2, 1))},
    "grouped": {"kernel": (2, 3), "stride": (2, 1), "padding": "valid", "groups": 2},
    "depthwise": {"stride": (1, 2), "dilation": (2, 1), "groups": 4},
}
BY_CASE = pytest.mark.parametrize("name", CASES)
PICTURES = np.random.default_rng(0).normal(size=(2, 7, 6, 4))


def window_of(name):
    statics = {key: value for key, value in CASES[name].items() if key != "groups"}
    return problem.sliding_window(**statics), CASES[name].get("groups", 1)


def kernel_of(name, outputs=8):
    at, groups = window_of(name)
    shape = (*at.kernel, 4 // groups, outputs)
    return np.random.default_rng(1).normal(size=shape)


def loop(pictures, kernel, at, groups):
    """The sum, output by output and weight by weight."""
    n, height, width, _ = pictures.shape
    rows, columns, inner, outputs = kernel.shape
    (above, below), (left, right) = at.padding
    padded = np.pad(pictures, ((0, 0), (above, below), (left, right), (0, 0)))
    high = padded.shape[1] - (rows - 1) * at.dilation[0]
    wide = padded.shape[2] - (columns - 1) * at.dilation[1]
    down, across = range(0, high, at.stride[0]), range(0, wide, at.stride[1])
    maps = np.zeros((n, len(down), len(across), outputs))
    for o, r, s, c in np.ndindex(outputs, rows, columns, inner):
        channel = inner * (o // (outputs // groups)) + c
        for (i, y), (j, x) in np.ndindex(len(down), len(across)) and [
            ((i, y), (j, x)) for i, y in enumerate(down) for j, x in enumerate(across)
        ]:
            pixel = padded[:, y + r * at.dilation[0], x + s * at.dilation[1], channel]
            maps[:, i, j, o] += kernel[r, s, c, o] * pixel
    return maps


def applied(model, params, pictures, state=None):
    return model.apply(params, state or {}, pictures, train=False, key=None)[0]
