"""Other signs of all parameters: what changes, what stays, and how often."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxml import problem


@pytest.fixture(scope="module")
def params():
    """Numbers of either sign, none of them 0."""
    draw = np.random.default_rng(0)
    shapes = {"kernel": (40, 50), "bias": (50,)}
    return {name: draw.normal(size=shape) + 0.01 for name, shape in shapes.items()}


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.mark.statistics
def test_half_of_all_signs_change_and_no_size(params):
    given = flat(params)
    for number in (1, 7, 40):
        begun = flat(jax.jit(problem.other_signs)(params, number))
        np.testing.assert_array_equal(np.abs(begun), np.abs(given).astype(begun.dtype))
        flipped = np.mean(np.sign(begun) != np.sign(given))
        assert abs(flipped - 0.5) < 4 * 0.5 / np.sqrt(len(given))


@pytest.mark.identity
def test_number_0_is_the_start_itself_and_each_other_number_another(params):
    started = partial(problem.other_signs, params)
    same, first, again, second = (flat(started(number)) for number in (0, 1, 1, 2))
    np.testing.assert_array_equal(same, flat(params).astype(same.dtype))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != same) and np.any(first != second)


@pytest.mark.invariance
def test_a_traced_number_gives_what_a_known_one_does(params):
    traced = jax.jit(jax.vmap(partial(problem.other_signs, params)))(np.arange(3))
    for number in range(3):
        known = problem.other_signs(params, number)
        here = jax.tree.map(lambda leaf, at=number: leaf[at], traced)
        np.testing.assert_array_equal(flat(here), flat(known))
