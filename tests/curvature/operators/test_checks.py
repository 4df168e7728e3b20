"""What is refused before curvature is computed."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.curvature import check
from jaxml.types import InputError

pytestmark = pytest.mark.invariance

DRAW = np.random.default_rng(0)
ONE = np.ones(1, np.float32)


def total(params, _):
    return jnp.sum(params["w"]) + jnp.sum(params["scale"])


def drawing(params, _):
    return jnp.sum(params["w"]) * float(DRAW.normal())


def several(params, _):
    return params["w"]


def at_root(params, _):
    return sum(jnp.sum(jnp.sqrt(leaf)) for leaf in params.values())


def at_power(params, _):
    return jnp.sum(params["scale"] ** 1.5) + jnp.sum(params["w"] ** 2)


def divided(params, _):
    return jnp.sum(params["w"] / params["scale"])


@pytest.mark.parametrize(
    ("objective", "params", "message"),
    [
        (total, {}, "no parameters"),
        (total, {"w": ONE, "scale": ONE.astype(np.int32)}, "int32"),
        (total, {"w": ONE, "scale": ONE.astype(np.complex64)}, "complex64"),
        (total, {"w": ONE, "scale": ONE.astype(np.float64)}, "mix float32 and float64"),
        (several, {"w": ONE}, "one number"),
        (drawing, {"w": ONE}, "another function each time"),
        (divided, {"w": ONE, "scale": 0 * ONE}, "loss is inf at"),
        (
            at_root,
            dict.fromkeys("abcde", 0 * ONE),
            "in a and b and c and 2 more leaves:",
        ),
        pytest.param(
            at_power,
            {"w": ONE, "scale": 0 * ONE},
            "Hessian is not finite in scale, th",
            marks=pytest.mark.stress,
        ),
    ],
)
def test_what_has_no_curvature_is_refused(objective, params, message):
    with pytest.raises(InputError, match=message):
        check(objective, params, None)
