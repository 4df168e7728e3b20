"""Products over parts of the data against the product over all at once."""

import importlib.util
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from jaxml import memory
from jaxml.curvature import (
    cut,
    empirical_fisher_product,
    gauss_newton_product,
    hessian_product,
    sampled_fisher_product,
    stacked,
    whole_gradient,
    whole_product,
)
from jaxml.curvature.operators.whole import _cost, _same
from jaxml.types import Batch, InputError

_spec = importlib.util.spec_from_file_location(
    "oracles", Path(__file__).with_name("oracles.py")
)
oracles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracles)

TRACES = []


def counted(params, batch):
    TRACES.append(None)
    return oracles.objective(params, batch)


PRODUCTS = {
    "hessian": partial(hessian_product, counted),
    "gauss-newton": partial(gauss_newton_product, oracles.predict, oracles.mean_loss),
    "empirical": partial(empirical_fisher_product, oracles.predict, oracles.log_loss),
}
SIZE = 4


def kept(product, params, batch):
    """Bytes that a linearised part keeps, and a single one that is all the data."""
    part = jax.tree.map(lambda leaf: leaf[0], cut(batch, SIZE).batches)
    same = _same(product)
    return _cost(same, params, part).kept, _cost(same, params, batch).kept


def raveled(params):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(params)])


def image(product, vector):
    return raveled(product(vector))


@pytest.mark.identity
@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("hessian", (4, 2)),
        pytest.param("hessian", (1, 1), marks=pytest.mark.stress),
        pytest.param("hessian", (4, 0), marks=pytest.mark.stress),
        pytest.param("gauss-newton", (4, 2), marks=pytest.mark.stress),
        pytest.param("empirical", (4, 2), marks=pytest.mark.stress),
    ],
)
def test_parts_are_the_whole(name, split):
    """With two of four parts linearised, or none; or in a single part."""
    product = PRODUCTS[name]
    with jax.enable_x64(True):
        params, batch = oracles.at(np.float64)
        expected = image(product(params, batch), oracles.PARAMS)
        error = 1e-14 * np.abs(expected).max()
        of_part, of_all = kept(product, params, batch)
        size = SIZE if split != (1, 1) else oracles.EXAMPLES
        keep = split[1] * of_part if size == SIZE else of_all
        found = whole_product(product, params, batch, size=size, keep=keep)
        assert (found.parts, found.linearised) == split
        assert found.bytes >= keep
        actual = image(found.product, oracles.PARAMS)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=error)


@pytest.mark.identity
def test_gradients_and_losses_of_parts_are_those_of_all():
    with jax.enable_x64(True):
        params, batch = oracles.at(np.float64)
        parts = cut(batch, SIZE)
        objective = stacked(oracles.objective, parts.fractions)
        value = jax.jit(objective)(params, parts.batches)
        gradient = whole_gradient(oracles.objective, params, batch, size=SIZE)
    own = np.arange(oracles.EXAMPLES), oracles.BATCH.targets
    losses = oracles.label_losses(oracles.THETA)[own]
    np.testing.assert_allclose(value, oracles.FRACTIONS @ losses, rtol=1e-12)
    expected = oracles.FRACTIONS @ oracles.label_gradients()[own]
    np.testing.assert_allclose(raveled(gradient), expected, rtol=0, atol=1e-14)


def equations(program):
    inner = [part for e in program.eqns for part in jaxprs_in_params(e.params)]
    return len(program.eqns) + sum(map(equations, inner))


@pytest.mark.stress
@pytest.mark.compiles_once
def test_the_program_does_not_grow_with_the_parts():
    params, batch = oracles.at(np.float32)
    product = PRODUCTS["hessian"]
    keep = 2 * kept(product, params, batch)[0]

    def count(copies):
        many = jax.tree.map(lambda leaf: np.concatenate([leaf] * copies), batch)

        def image(params, batch):
            found = whole_product(product, params, batch, size=SIZE, keep=keep)
            assert found.linearised == 2
            return found.product(params)

        return equations(jax.make_jaxpr(image)(params, many).jaxpr)

    assert count(2) == count(21)  # both with padding


@pytest.mark.compiles_once
def test_another_point_traces_nothing():
    with jax.enable_x64(True):
        params, batch = oracles.at(np.float64)
        keep = 2 * kept(PRODUCTS["hessian"], params, batch)[0]
        traces = []
        for point in (params, jax.tree.map(np.negative, params)):
            # another partial of the same function
            again = partial(hessian_product, counted)
            whole = whole_product(again, point, batch, size=SIZE, keep=keep)
            whole.product(params)
            traces.append(len(TRACES))
    assert traces[0] == traces[1] > 0
    with pytest.raises(InputError, match="direction has a leaf"):
        whole.product({"first": params["first"], "second": params["first"]})


@pytest.mark.identity
def test_parts_are_even_and_filled_up_by_examples_that_do_not_count():
    numbers = np.arange(10.0, dtype=np.float32)
    ones = np.ones_like(numbers)
    even = cut(Batch(numbers, numbers, ones), 5)
    assert even.batches.inputs.tolist() == numbers.reshape(2, 5).tolist()
    np.testing.assert_allclose(even.fractions, 0.5)
    ragged = cut(Batch(numbers, numbers, ones), 9)
    assert ragged.batches.inputs.shape == (2, 5)
    silent = cut(Batch(numbers, numbers, ones * (numbers < 4)), 4)
    assert silent.fractions.tolist() == [1.0, 0.0, 0.0]
    assert silent.batches.weights.tolist() == [[1] * 4] * 3
    with pytest.raises(InputError, match="no mean"):
        cut(Batch(numbers, numbers, 0 * ones), 4)
    with pytest.raises(InputError, match="parts of 0"):
        cut(Batch(numbers, numbers, ones), 0)


@pytest.mark.invariance
def test_a_part_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 16)
    with jax.enable_x64(True):
        params, batch = oracles.at(np.float64)
        with pytest.raises(InputError, match="part of 4 examples needs"):
            whole_product(PRODUCTS["hessian"], params, batch, size=SIZE)


@pytest.mark.identity
def test_the_bytes_of_a_single_part_are_of_its_work_and_of_what_it_keeps():
    numbers = np.ones((4, 2), np.float32)
    batch = Batch(numbers, numbers, np.ones(4, np.float32))
    product = partial(hessian_product, lambda w, batch: ((batch.inputs @ w) ** 2).sum())
    params = np.ones(2, np.float32)
    cost = _cost(_same(product), params, batch)
    found = whole_product(product, params, batch, size=4)
    assert found.parts == 1
    assert found.bytes >= cost.kept + cost.working > cost.kept > 0


@pytest.mark.stress
@pytest.mark.oracle
def test_what_is_kept_is_what_the_compiled_program_returns():
    params, batch = oracles.at(np.float32)
    product = PRODUCTS["hessian"]
    program = jax.jit(product).lower(params, batch).compile()
    sizes = program.memory_analysis()
    cost = _cost(_same(product), params, batch)
    table = 8 * len(jax.tree.leaves(product(params, batch)))  # the tuple's pointers
    assert cost.kept <= sizes.output_size_in_bytes <= cost.kept + table
    assert sizes.temp_size_in_bytes <= cost.working


def drawn(key, logits):
    return jax.random.categorical(key, logits)


@pytest.mark.stress
@pytest.mark.identity
def test_a_product_that_holds_a_key_is_a_mean_over_parts_too():
    """Its arguments cannot be hashed, so no program is kept."""
    options = {"sample": drawn, "draws": 2, "key": jax.random.key(0)}
    product = partial(
        sampled_fisher_product, oracles.predict, oracles.log_loss, **options
    )
    params, batch = oracles.at(np.float32)
    parts = cut(batch, SIZE)
    keep = 2 * kept(product, params, batch)[0]
    found = whole_product(product, params, batch, size=SIZE, keep=keep)
    expected = sum(
        float(fraction) * image(product(params, Batch(*part)), params)
        for *part, fraction in zip(*parts.batches, parts.fractions, strict=True)
    )
    np.testing.assert_allclose(image(found.product, params), expected, rtol=1e-5)
