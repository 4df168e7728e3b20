"""Several normalisations in one program, against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem
from jaxml.types import InputError

INPUTS = np.random.default_rng(3).normal(size=(7, 4)) * [0.5, 1.0, 3.0, 2.0] + 1
PARAMS = {"scale": np.array([0.5, 1.5, -1.0, 2.0]), "bias": np.arange(4.0)}
EPSILON = 1e-3


def from_mean(axis):
    return INPUTS - INPUTS.mean(axis=axis, keepdims=True)


ORACLES = {
    "none": lambda: INPUTS,
    "batch": lambda: from_mean(0) / np.sqrt(INPUTS.var(axis=0) + EPSILON),
    "batch, mean absolute value": lambda: (
        from_mean(0) / (np.linalg.norm(from_mean(0), 1, axis=0) / 7 + EPSILON)
    ),
    "batch, largest value": lambda: (
        from_mean(0) / (np.linalg.norm(from_mean(0), np.inf, axis=0) + EPSILON)
    ),
    "layer": lambda: (
        from_mean(1) / np.sqrt(INPUTS.var(axis=1, keepdims=True) + EPSILON)
    ),
}


@pytest.mark.oracle
def test_each_number_is_its_normalisation():
    assert tuple(ORACLES) == problem.NORMS
    with jax.enable_x64(True):

        @jax.jit
        def outputs(which):
            norm = problem.indexed_norm(which, epsilon=EPSILON)
            return norm.apply(PARAMS, {}, INPUTS, train=True, key=None)[0]

        for number, oracle in enumerate(ORACLES.values()):
            expected = PARAMS["scale"] * oracle() + PARAMS["bias"]
            np.testing.assert_allclose(outputs(number), expected, rtol=1e-12)


@pytest.mark.identity
def test_it_is_batch_and_layer_normalisation():
    single = INPUTS.astype(np.float32)
    for number, norm in ((1, problem.batch_norm()), (4, problem.layer_norm())):
        ours = problem.indexed_norm(number)
        params, state = norm.init(jax.random.key(0), single)
        assert jax.tree.structure(params) == jax.tree.structure(
            ours.init(jax.random.key(0), single)[0]
        )

        def squares(x, norm, params=params, state=state):
            outputs, _ = norm.apply(params, state, x, train=True, key=None)
            return jnp.sum(outputs**3)

        expected = jax.grad(squares)(single, norm)
        gradient = jax.grad(squares)(single, ours)
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.identity
def test_gradients_are_finite_where_nothing_varies():
    constant = jnp.ones((3, 2))
    for number in range(len(problem.NORMS)):
        norm = problem.indexed_norm(number)
        params, _ = norm.init(jax.random.key(0), constant)

        def total(x, norm=norm, params=params):
            return jnp.sum(norm.apply(params, {}, x, train=True, key=None)[0])

        assert np.isfinite(jax.grad(total)(constant)).all()


@pytest.mark.identity
def test_other_values_are_refused():
    norm = problem.indexed_norm(0)
    with pytest.raises(InputError, match="axes"):
        norm.init(jax.random.key(0), np.zeros((1, 2, 3), np.float32))
    with pytest.raises(InputError, match="epsilon"):
        problem.indexed_norm(0, epsilon=-1.0)
