"""Normalisations in one program are those that stand by themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem
from jaxml.types import InputError, Model

pytestmark = pytest.mark.identity

ALONE = {
    "none": problem.chain(),
    "batch": problem.batch_norm(),
    "layer": problem.group_norm(1),
    "instance": problem.instance_norm(),
    "group": problem.group_norm(2),
}


def outputs(norm: Model, pictures: np.ndarray) -> jax.Array:
    params, state = norm.init(jax.random.key(0), pictures)
    return norm.apply(params, state, pictures, train=True, key=None)[0]


@pytest.mark.parametrize("name", problem.POOLS)
def test_each_pool_is_the_layer_of_its_name(name: str) -> None:
    draws = np.random.default_rng(0)
    pictures = draws.normal(50, 3, size=(5, 3, 4, 6)) * np.arange(1, 7)
    with jax.enable_x64(True):

        @jax.jit
        def pooled(which: jax.Array) -> jax.Array:
            return outputs(problem.pooled_norm(which, groups=2), pictures)

        found = pooled(jnp.asarray(problem.POOLS.index(name)))
        expected = outputs(ALONE[name], pictures)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_what_cannot_be_normalised_is_refused() -> None:
    with pytest.raises(InputError, match="cannot share"):
        problem.pooled_norm(0, groups=0)
    with pytest.raises(InputError, match="do not divide"):
        outputs(problem.pooled_norm(0, groups=2), np.zeros((2, 3, 3, 3), np.float32))
