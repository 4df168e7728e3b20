"""The fixed problems: what their data are, and that a vector is as good as a tree."""

import jax
import numpy as np
import pytest

from jaxml import tree
from jaxml.problem import (
    objective,
    objective_of_vector,
    parity_digits,
    pokemon_cp,
    pokemon_line,
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
def test_the_line_is_numpys_and_its_hessian_is_constant() -> None:
    line = pokemon_line()
    before, after, _ = pokemon_cp(dtype=np.float64)
    slope, offset = np.polyfit(before[:, 0], after[:, 0], 1)
    np.testing.assert_allclose(line.best, [offset, slope], rtol=1e-10)
    with jax.enable_x64(True):
        for point in (line.best, line.start):
            gradient = jax.grad(line.loss)(point, None)
            from_best = line.hessian @ (point - line.best)
            np.testing.assert_allclose(gradient, from_best, rtol=1e-9, atol=1e-5)
            hessian = jax.hessian(line.loss)(point, None)
            np.testing.assert_allclose(hessian, line.hessian, rtol=1e-12)
        np.testing.assert_allclose(line.loss(line.best, None), line.least, rtol=1e-12)
