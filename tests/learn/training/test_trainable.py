"""Parameters that cannot be trained are refused by the name of the leaf."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.learn.training.trainable import trainable, trainable_start
from jaxml.types import InputError

pytestmark = pytest.mark.identity


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "no parameters to train"),
        (None, "no parameters to train"),
        (
            {"a": jnp.ones(2), "f": jax.nn.relu},
            r"params\['f'\] is of type .* cannot be trained: return",
        ),
        ({"a": "text"}, r"params\['a'\] is of type str and cannot be trained"),
        ({"a": np.array(["text"])}, r"params\['a'\] is <U4 and cannot be trained"),
        ([jnp.ones(2), jnp.int32(3)], r"params\[1\] is int32 and cannot be trained"),
        ({"n": 3}, r"params\['n'\] is int32 and cannot be trained"),
        ({"n": True}, r"params\['n'\] is bool and cannot be trained"),
        (
            {"key": jax.random.key(0)},
            r"params\['key'\] is key<fry> and cannot be trained",
        ),
        (
            {"c": jnp.ones(2, jnp.complex64)},
            r"params\['c'\] is complex64 and cannot be trained",
        ),
    ],
)
def test_what_cannot_be_trained_is_named(params, sentence):
    with pytest.raises(InputError, match=sentence):
        trainable(params)
    with pytest.raises(InputError, match=sentence):
        trainable_start(lambda key: (params, {}))(jax.random.key(0))


@pytest.mark.parametrize(
    "leaf", [1.5, np.float64(2), np.ones(2), jnp.ones(2, jnp.bfloat16), jnp.float16(1)]
)
def test_floating_point_leaves_pass_also_while_they_are_traced(leaf):
    assert trainable({"a": [leaf]})["a"][0] is leaf
    assert jax.eval_shape(
        trainable_start(lambda key: ({"a": jnp.asarray(leaf)}, {})), jax.random.key(0)
    )
