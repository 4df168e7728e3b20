"""Rules on single leaves: Muon's orientation, norms of 0, and float32 arithmetic under
bfloat16.
"""

import importlib.util
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn

_spec = importlib.util.spec_from_file_location(
    "oracles", Path(__file__).with_name("oracles.py")
)
oracles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracles)

HYPER = learn.Hyper(
    lr=0.1, momentum=0.8, second_moment=0.95, epsilon=1e-3, weight_decay=0.02, trust=0.3
)


def fed(name, hyper, start, gradients):
    """Where a family goes on a given sequence of gradients, and where its oracle
    goes.
    """
    following = iter(gradients)
    h = SimpleNamespace(**hyper._asdict())
    theirs = oracles.ORACLES[name](
        lambda theta: next(following), start, np.full(len(gradients), hyper.lr), h
    )
    with jax.enable_x64(True):
        optimizer, params = (
            learn.OPTIMIZERS[name](hyper),
            jax.tree.map(jnp.asarray, start),
        )
        opt_state = learn.begin(optimizer, params)
        update = jax.jit(partial(learn.update, optimizer))
        for each in gradients:
            gradient = jax.tree.map(jnp.asarray, each)
            params, opt_state = update(gradient, opt_state, params)
        return jax.tree.map(np.asarray, params), theirs[-1]


@pytest.mark.oracle
@pytest.mark.parametrize(
    "shape", [(4, 16), (16, 4), (5, 5), (2, 3, 3, 40), (3, 3, 8, 6)]
)
def test_muon_has_the_factor_of_outputs_over_inputs(shape):
    """Kernels are [in, out] and [h, w, in, out]; Jordan's weights are their
    transposes.
    """
    rng = np.random.default_rng(0)
    start = {"kernel": rng.normal(size=shape), "bias": rng.normal(size=shape[-1])}
    gradients = [
        {name: rng.normal(size=leaf.shape) for name, leaf in start.items()}
        for _ in range(3)
    ]
    ours, theirs = fed("muon", HYPER, start, gradients)
    for name in start:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("shape", "factor"), [((4, 16), 2.0), ((16, 4), 1.0), ((1, 1, 4, 16), 2.0)]
)
def test_muon_has_the_spectral_norm_of_optax(shape, factor):
    """Five Newton-Schulz steps leave singular values between about 0.7 and 1.2."""
    rng = np.random.default_rng(1)
    start, gradient = {"k": np.zeros(shape)}, {"k": rng.normal(size=shape)}
    ours, _ = fed("muon", HYPER._replace(lr=1.0, weight_decay=0.0), start, [gradient])
    values = np.linalg.svd(ours["k"].reshape(-1, shape[-1]), compute_uv=False)
    assert 0.65 * factor < values.min() and values.max() < 1.25 * factor
    if len(shape) == 2:
        theirs = optax.contrib.muon(1.0, adam_b1=0.9)
        single = {"k": jnp.asarray(gradient["k"], jnp.float32)}
        with jax.numpy_dtype_promotion("standard"):
            updates, _ = theirs.update(single, theirs.init(single), single)
        np.testing.assert_allclose(
            np.linalg.norm(updates["k"], 2), values.max(), rtol=1e-3
        )


@pytest.mark.oracle
@pytest.mark.parametrize("decay", [0.0, 0.02])
@pytest.mark.parametrize("name", ["lars", "lars_inside", "lamb"])
def test_a_layer_whose_norm_is_zero_has_the_ratio_one(name, decay):
    """A bias at 0, a weight whose gradient is 0, and both; beside an ordinary
    weight.
    """
    rng = np.random.default_rng(2)
    start = {
        "w": rng.normal(size=(3, 2)),
        "b": np.zeros(2),
        "still": rng.normal(size=4),
        "off": np.zeros(3),
    }
    gradients = {
        "w": rng.normal(size=(3, 2)),
        "b": rng.normal(size=2),
        "still": np.zeros(4),
        "off": np.zeros(3),
    }
    ours, theirs = fed(name, HYPER._replace(weight_decay=decay), start, [gradients] * 3)
    for leaf in start:
        np.testing.assert_allclose(
            ours[leaf], theirs[leaf], rtol=1e-10, atol=1e-14, err_msg=leaf
        )
    assert np.all(ours["off"] == 0)


@pytest.mark.oracle
def test_swats_decays():
    """Bits that do not change with weight decay are a hyperparameter that is not
    read.
    """
    rng = np.random.default_rng(3)
    start = {"w": rng.normal(size=(3, 2))}
    gradients = [{"w": rng.normal(size=(3, 2))} for _ in range(5)]
    ours, theirs = fed("swats", HYPER._replace(weight_decay=0.3), start, gradients)
    without, _ = fed("swats", HYPER._replace(weight_decay=0.0), start, gradients)
    np.testing.assert_allclose(ours["w"], theirs["w"], rtol=1e-10)
    assert np.abs(ours["w"] - without["w"]).max() > 1e-3


@pytest.mark.identity
def test_paper_and_port_of_adabound_are_two():
    """At first, on a gradient of 1: the paper lr / √(1-β₂) · (1-β₁), the port lr / 1,
    both in wide bounds.
    """
    start, gradient = {"w": np.zeros(1)}, {"w": np.ones(1)}
    hyper = HYPER._replace(
        lr=0.01, epsilon=0.0, weight_decay=0.0, second_moment=0.999, final_lr=0.1
    )
    paper, _ = fed("adabound", hyper, start, [gradient])
    port, _ = fed("unbiased_adabound", hyper, start, [gradient])
    np.testing.assert_allclose(paper["w"], -0.01 / 0.001**0.5 * 0.2, rtol=1e-10)
    np.testing.assert_allclose(port["w"], -0.01, rtol=1e-10)


@pytest.mark.identity
def test_the_final_rate_of_adabound_does_not_follow_the_rate():
    """0.1 in the paper, whatever alpha; divided by √t. β₂ = 0 closes the bounds at
    once.
    """
    gradients = [{"w": np.ones(1)}] * 400
    for lr in (1e-3, 1.0):
        hyper = HYPER._replace(
            lr=lr, second_moment=0.0, momentum=0.0, weight_decay=0.0, final_lr=0.1
        )
        before, _ = fed("adabound", hyper, {"w": np.zeros(1)}, gradients[:-1])
        after, _ = fed("adabound", hyper, {"w": np.zeros(1)}, gradients)
        np.testing.assert_allclose(before["w"] - after["w"], 0.1 / 20, rtol=3e-3)


@pytest.mark.identity
@pytest.mark.parametrize("name", learn.OPTIMIZERS)
def test_bfloat16_parameters_get_the_updates_of_float32_rounded(name):
    rng = np.random.default_rng(4)
    single = {
        "w": jnp.asarray(rng.normal(size=(3, 2)), jnp.bfloat16).astype(jnp.float32)
    }
    gradients = {
        "w": jnp.asarray(rng.normal(size=(3, 2)), jnp.bfloat16).astype(jnp.float32)
    }
    optimizer = learn.OPTIMIZERS[name](learn.Hyper(lr=jnp.float32(0.1)))

    def updates(params, gradients):
        with jax.numpy_dtype_promotion("standard"):
            opt_state = optimizer.init(params)
            first, opt_state = optimizer.update(gradients, opt_state, params)
            return first, optimizer.update(gradients, opt_state, params)[0]

    narrow = jax.jit(updates)(
        *(
            jax.tree.map(lambda x: x.astype(jnp.bfloat16), x)
            for x in (single, gradients)
        )
    )
    wide = jax.jit(updates)(single, gradients)
    for ours, theirs in zip(
        jax.tree.leaves(narrow), jax.tree.leaves(wide), strict=True
    ):
        assert ours.dtype == jnp.bfloat16
        np.testing.assert_array_equal(
            np.asarray(ours), np.asarray(theirs.astype(jnp.bfloat16))
        )
