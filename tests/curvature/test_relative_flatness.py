"""Relative flatness, against the double sum over units of an explicit Hessian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import InputError

RNG = np.random.default_rng(2)
INPUTS = RNG.normal(size=(9, 4))
TARGETS = RNG.normal(size=(9, 2))
PARAMS = {
    "hidden": {"kernel": RNG.normal(size=(4, 3)), "bias": RNG.normal(size=3)},
    "output": {"kernel": RNG.normal(size=(3, 2))},
}
KEY = jax.random.key(6)


def loss(params, batch):
    inputs, targets = batch
    hidden = params["hidden"]
    values = jnp.tanh(inputs @ hidden["kernel"] + hidden["bias"][None])
    return jnp.mean((values @ params["output"]["kernel"] - targets) ** 2)


def by_definition(name):
    """Definition 3: w [units, in] in rows, H [units, in, units, in]; a kernel [in, out]
    holds the weights into unit s in its column s.
    """
    kernel = PARAMS[name]["kernel"]

    def of_rows(rows):
        params = {**PARAMS, name: {**PARAMS[name], "kernel": rows.T}}
        return loss(params, (INPUTS, TARGETS))

    with jax.enable_x64(True):
        hessian = np.asarray(jax.hessian(of_rows)(jnp.asarray(kernel.T)))
    rows, total = kernel.T, 0.0
    for s in range(len(rows)):
        for other in range(len(rows)):
            trace = np.trace(hessian[s, :, other, :])
            total += rows[s] @ rows[other] * trace
    return total


@pytest.mark.oracle
def test_it_is_the_sum_over_pairs_of_units():
    name = "hidden"
    with jax.enable_x64(True):
        found = curvature.relative_flatness(
            loss, PARAMS, (INPUTS, TARGETS), layer=f"{name}/kernel"
        )
        estimate = curvature.relative_flatness_estimate(
            loss,
            PARAMS,
            (INPUTS, TARGETS),
            layer=f"{name}/kernel",
            key=KEY,
            probes=300,
        )
    expected = by_definition(name)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert abs(float(estimate.value) - expected) < 4 * float(estimate.error)
    assert float(estimate.error) < 0.2 * abs(expected)


@pytest.mark.identity
@pytest.mark.parametrize("layer", ["hidden/bias", "hidden", "third/kernel"])
def test_what_is_no_kernel_is_named_and_those_that_are(layer):
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), PARAMS)
    with pytest.raises(InputError, match="take hidden/kernel, output/kernel"):
        curvature.relative_flatness(loss, params, (INPUTS, TARGETS), layer=layer)
