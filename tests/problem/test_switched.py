"""Normalisation that is a number: on it is `batch_normalised`, off it is `mlp`."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem
from jaxml.types import Model

WIDTHS = (4, 3, 2)
INPUTS = jax.random.normal(jax.random.key(1), (9, 5))
MODEL = problem.switched_normalised(WIDTHS, jax.nn.relu)


@partial(jax.jit, static_argnums=(0, 3))
def applied(model: Model, params: Any, state: Any, train: bool, inputs: Any) -> Any:
    return model.apply(params, state, inputs, train=train, key=None)


@pytest.mark.identity
def test_on_it_is_the_normalised_network_in_both_modes() -> None:
    params, state = MODEL.init(jax.random.key(0), INPUTS)
    params["layer_00"]["bias"] = jnp.arange(4.0)
    params["factors"]["layer_01"] = jnp.array([0.5, 1.0, 2.0])
    theirs = {"layer_02": params["layer_02"]}
    for place in ("00", "01"):
        theirs[f"layer_{place}"] = {"kernel": params[f"layer_{place}"]["kernel"]}
        theirs[f"norm_{place}"] = {
            "scale": params["factors"][f"layer_{place}"],
            "bias": params[f"layer_{place}"]["bias"],
        }
    other = problem.batch_normalised(WIDTHS, jax.nn.relu)
    _, first = other.init(jax.random.key(0), INPUTS)
    ours, seen = applied(MODEL, params, state, True, INPUTS)
    expected, kept = applied(other, theirs, first, True, INPUTS)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
    ours, _ = applied(MODEL, params, seen, False, INPUTS[:3])
    expected, _ = applied(other, theirs, kept, False, INPUTS[:3])
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.identity
def test_off_it_is_the_dense_network_of_the_same_key() -> None:
    params, state = MODEL.init(jax.random.key(0), INPUTS)
    off = state._replace(through=jnp.zeros(()))
    ours, _ = applied(MODEL, params, off, True, INPUTS)
    dense = problem.mlp(WIDTHS, jax.nn.relu)
    theirs, _ = dense.init(jax.random.key(0), INPUTS)
    expected, _ = applied(dense, theirs, {}, True, INPUTS)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
