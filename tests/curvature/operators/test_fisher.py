"""Fisher products against their definitions, summed example by example in NumPy."""

import importlib.util
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.curvature import (
    empirical_fisher_product,
    fisher_product,
    gauss_newton_product,
    sampled_fisher_product,
)
from jaxml.types import InputError

_spec = importlib.util.spec_from_file_location(
    "oracles", Path(__file__).with_name("oracles.py")
)
oracles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracles)

LABELS = range(oracles.CLASSES)
GRADIENTS = oracles.label_gradients()
CHANCES = np.exp(-oracles.label_losses(oracles.THETA))
OWN = GRADIENTS[np.arange(oracles.EXAMPLES), oracles.BATCH.targets]
TRUE = np.einsum("n,nk,nki,nkj->ij", oracles.FRACTIONS, CHANCES, GRADIENTS, GRADIENTS)
EMPIRICAL = np.einsum("n,ni,nj->ij", oracles.FRACTIONS, OWN, OWN)
NETWORK = oracles.predict, oracles.log_loss
DIRECTION = np.random.default_rng(1).normal(size=oracles.THETA.size)
DRAWS = 2000


TRACES = []


def counted(params, batch):
    TRACES.append(None)
    return oracles.predict(params, batch)


COUNTED = counted, oracles.log_loss


def matrix(product, dtype):
    """Row by row, so by one program."""
    with jax.enable_x64(dtype is np.float64):
        params, batch = oracles.at(dtype)
        image = product(params, batch)
        units = [oracles.as_tree(unit, dtype) for unit in np.eye(oracles.THETA.size)]
        return np.stack([raveled(image(unit)) for unit in units])


def raveled(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("dtype", "error"),
    [
        pytest.param(np.float32, 1e-6, marks=pytest.mark.stress),
        (np.float64, 1e-14),
    ],
)
def test_the_fisher_matrix_is_its_definition(dtype, error):
    found = matrix(partial(fisher_product, *NETWORK, labels=LABELS), dtype)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, TRUE, rtol=0, atol=error)


@pytest.mark.stress
@pytest.mark.identity
def test_the_definition_is_the_gauss_newton_matrix():
    """For cross-entropy of logits."""
    product = partial(gauss_newton_product, oracles.predict, oracles.mean_loss)
    np.testing.assert_allclose(matrix(product, np.float64), TRUE, rtol=0, atol=1e-14)


@pytest.mark.oracle
def test_the_empirical_fisher_matrix_is_its_definition_and_another():
    found = matrix(partial(empirical_fisher_product, *COUNTED), np.float64)
    np.testing.assert_allclose(found, EMPIRICAL, rtol=0, atol=1e-14)
    assert np.linalg.norm(found - TRUE) > 0.3 * np.linalg.norm(TRUE)


def drawn(key, logits):
    return jax.random.categorical(key, logits)


@pytest.mark.statistics
def test_a_sampled_fisher_matrix_is_the_true_one_on_average():
    squares = (GRADIENTS @ DIRECTION) ** 2
    expected = oracles.FRACTIONS @ (CHANCES * squares).sum(1)
    spread = (CHANCES * squares**2).sum(1) - (CHANCES * squares).sum(1) ** 2
    error = np.sqrt(oracles.FRACTIONS**2 @ spread / DRAWS)
    params, batch = oracles.at(np.float32)
    options = {"sample": drawn, "draws": DRAWS, "key": jax.random.key(0)}
    product = sampled_fisher_product(*NETWORK, params, batch, **options)
    image = raveled(product(oracles.as_tree(DIRECTION, np.float32)))
    assert 0 < error < 0.05 * expected
    assert abs(DIRECTION @ image - expected) < 4 * error


@pytest.mark.compiles_once
def test_another_point_traces_nothing():
    with jax.enable_x64(True):
        params, batch = oracles.at(np.float64)
        traces = []
        for point in (params, jax.tree.map(np.negative, params)):
            empirical_fisher_product(*COUNTED, point, batch)(params)
            traces.append(len(TRACES))
    assert traces[0] == traces[1] > 0


@pytest.mark.invariance
def test_precision_does_not_depend_on_the_default():
    params, batch = oracles.at(np.float32)

    def image(params, batch):
        return fisher_product(*NETWORK, params, batch, labels=LABELS)(params)

    with jax.default_matmul_precision("bfloat16"):
        program = str(jax.make_jaxpr(image)(params, batch))
    count = program.count("dot_general[")
    assert count > 4
    assert program.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == count


def mean(logits, targets):
    return jnp.mean(oracles.log_loss(logits, targets))


def doubled(logits, targets):
    return 2 * oracles.log_loss(logits, targets)


def first_row(params, batch):
    return oracles.predict(params, batch)[0]


@pytest.mark.invariance
@pytest.mark.parametrize(
    ("network", "message"),
    [
        ((oracles.predict, mean), "one value for each"),
        ((oracles.predict, doubled), "misses 1 by"),
        ((first_row, oracles.log_loss), "one row for each example"),
    ],
)
def test_what_is_no_likelihood_of_examples_is_refused(network, message):
    params, batch = oracles.at(np.float32)
    with pytest.raises(InputError, match=message):
        fisher_product(*network, params, batch, labels=LABELS)


@pytest.mark.invariance
def test_no_draw_estimates_nothing():
    params, batch = oracles.at(np.float32)
    options = {"sample": drawn, "draws": 0, "key": jax.random.key(0)}
    with pytest.raises(InputError, match="0 draws"):
        sampled_fisher_product(*NETWORK, params, batch, **options)
