"""Steps along scripts of gradients: what the equation says, and the same in trees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn

HYPER = learn.Hyper(lr=0.5, momentum=0.8, second_moment=0.95, epsilon=1e-3)


@pytest.mark.oracle
def test_the_steps_of_adam_are_those_of_its_equation() -> None:
    """Kingma and Ba 2015, algorithm 1, by NumPy."""
    gradients = np.random.default_rng(0).normal(size=30)
    t = np.arange(1, 31)
    ages = np.maximum(np.subtract.outer(t, t), 0)
    m = 0.2 * (np.tri(30) * 0.8**ages) @ gradients / (1 - 0.8**t)
    v = 0.05 * (np.tri(30) * 0.95**ages) @ gradients**2 / (1 - 0.95**t)
    with jax.enable_x64(True):
        steps = learn.steps_along(learn.adam(HYPER), jnp.array(gradients))
    np.testing.assert_allclose(steps, -0.5 * m / (np.sqrt(v) + 1e-3), rtol=1e-12)


@pytest.mark.identity
def test_each_leaf_of_a_tree_of_gradients_goes_its_own_path() -> None:
    gradients = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
    optimizer = learn.adam(HYPER)
    tree = {"a": jnp.array(gradients), "b": jnp.array(gradients[:, 0])}
    together = learn.steps_along(optimizer, tree)
    assert together["a"].shape == (8, 3)
    np.testing.assert_allclose(together["a"][:, 0], together["b"], rtol=1e-6)


@pytest.mark.identity
def test_weight_decay_adds_nothing_since_the_parameters_stay_at_0() -> None:
    gradients = jnp.arange(1.0, 6.0)
    without = learn.steps_along(learn.sgd(HYPER), gradients)
    decayed = learn.sgd(HYPER._replace(weight_decay=0.3))
    np.testing.assert_array_equal(learn.steps_along(decayed, gradients), without)
