"""Other signs of kernels: what changes, what stays, and how often."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxml import problem

MODEL = problem.chain(problem.linear(40), problem.batch_norm(), problem.linear(30))
INPUTS = np.ones((2, 50), np.float32)


@pytest.fixture(scope="module")
def params():
    """Kernels, biases that are not 0, and γ and β."""
    begun, _ = jax.jit(MODEL.init)(jax.random.key(0), INPUTS)
    return jax.tree.map(lambda leaf: leaf - 0.5 if leaf.ndim == 1 else leaf, begun)


@pytest.mark.statistics
def test_half_of_the_signs_of_kernels_change_and_nothing_else(params):
    begun = jax.jit(problem.other_kernel_signs)(params, 3)
    pairs = zip(*map(jax.tree.leaves, (params, begun)), strict=True)
    flipped = []
    for old, new in pairs:
        np.testing.assert_array_equal(np.abs(old), np.abs(new))
        if old.ndim == 1:
            np.testing.assert_array_equal(old, new)
        else:
            flipped.extend(np.ravel(np.sign(old) != np.sign(new)))
    assert len(flipped) == 50 * 40 + 40 * 30
    error = 0.5 / np.sqrt(len(flipped))
    assert abs(np.mean(flipped) - 0.5) < 4 * error


@pytest.mark.identity
def test_number_0_is_the_start_itself_and_others_differ(params):
    started = partial(problem.other_kernel_signs, params)
    same, first, second = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(started(number))])
        for number in range(3)
    )
    given = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])
    np.testing.assert_array_equal(same, given)
    assert np.any(first != given) and np.any(first != second)
