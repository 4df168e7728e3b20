"""The fixed problems: what their data are, and that a vector is as good as a tree."""

import os
from typing import Any

import jax
import numpy as np
import pytest

from jaxml import tree
from jaxml.problem import (
    after_the_sum,
    before_the_block,
    characters_workload,
    difficulty,
    digits,
    digits_workload,
    examples,
    initial_vectors,
    judged_on_both,
    layer_normalised,
    mean_loss,
    mlp,
    networks,
    objective,
    objective_of_vector,
    one_large,
    over_decades,
    parity_clothing,
    parity_digits,
    pokemon_cp,
    pokemon_line,
    residual,
    small_clothing,
    stored_networks,
    switched_mlp,
    tanh_sinc,
    untrained_logits,
    weights,
    wider_inputs,
)
from jaxml.types import Dataset, InputError


@pytest.mark.oracle
def test_the_components_of_digits_are_white_and_ordered_and_tell_even_from_odd() -> (
    None
):
    inputs, targets, weights = parity_digits(components=5).batch
    np.testing.assert_allclose(inputs.T @ inputs / len(inputs), np.eye(5), atol=1e-12)
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-12)
    assert set(np.unique(targets)) == {-1.0, 1.0}
    assert targets.shape == (1797, 1) and weights.shape == (1797,)


@pytest.mark.oracle
@pytest.mark.skipif(
    "JAXML_DATA_DIR" not in os.environ, reason="clothing is not on this machine"
)
def test_the_components_of_clothing_are_white_and_tell_odd_from_even_classes() -> None:
    """By an eigendecomposition, up to the sign of a component."""
    inputs, targets, _ = parity_clothing(components=4, count=60).batch
    pictures = small_clothing(60, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(pictures.inputs.T, bias=True))
    centred = pictures.inputs - pictures.inputs.mean(axis=0)
    expected = (centred @ vectors / np.sqrt(np.abs(values)))[:, :-5:-1]
    np.testing.assert_allclose(np.abs(inputs), np.abs(expected), rtol=1e-6, atol=1e-9)
    odd = np.isin(pictures.targets, [1, 3, 5, 7, 9])
    np.testing.assert_array_equal(targets[:, 0], np.where(odd, 1.0, -1.0))


@pytest.mark.identity
def test_the_objective_of_a_vector_is_that_of_the_tree() -> None:
    with jax.enable_x64(True):
        task = tanh_sinc(3)
        params, _ = task.model.init(jax.random.key(0), task.batch.inputs)
        whole = objective(task.model, task.loss, task.penalty)(params, task.batch)
        vector = objective_of_vector(task)(tree.ravel(params)[0], task.batch)
    assert float(vector) == float(whole)


@pytest.mark.identity
def test_initial_vectors_are_the_networks_of_the_same_seeds() -> None:
    task = tanh_sinc(3, dtype=np.float32)
    vectors = initial_vectors(task, [4, 7])
    for row, vector in enumerate(vectors):
        own = jax.tree.map(lambda leaf, row=row: leaf[row], networks(task, [4, 7]))
        np.testing.assert_array_equal(vector, tree.ravel(own)[0])


@pytest.mark.identity
def test_wider_inputs_give_the_same_functions_and_the_same_index() -> None:
    copies, decay = 3, 1e-2
    with jax.enable_x64(True):
        task = tanh_sinc(2, decay=decay)
        wide = wider_inputs(task, copies)
        params, _ = task.model.init(jax.random.key(0), task.batch.inputs)
        first = params["layer_00"]
        kernel = jax.numpy.tile(first["kernel"], (copies, 1)) / np.sqrt(copies)
        tied = {**params, "layer_00": {**first, "kernel": kernel}}
        value, found = _value_and_eigenvalues(task, params)
        wide_value, wide_found = _value_and_eigenvalues(wide, tied)
        drawn = np.asarray(networks(wide, range(200))["layer_00"]["kernel"])
    np.testing.assert_allclose(wide_value, value)
    added = np.full(2 * (copies - 1), 2 * decay)  # the penalty's curvature alone
    expected = np.sort(np.append(found, added))
    np.testing.assert_allclose(wide_found, expected, atol=1e-12)
    assert abs(np.std(drawn) - 1) < 4 / np.sqrt(2 * drawn.size)


def _value_and_eigenvalues(task: Any, params: Any) -> tuple[float, np.ndarray]:
    vector, _ = tree.ravel(params)
    loss = objective_of_vector(task)
    hessian = jax.jit(jax.hessian(loss))(vector, task.batch)
    return float(loss(vector, task.batch)), np.linalg.eigvalsh(hessian)


@pytest.mark.oracle
def test_untrained_logits_are_linear_in_digits_drawn_anew() -> None:
    count, total = 300, 0.0
    with jax.enable_x64(True):
        data = digits(dtype=np.float64)
        for key in jax.random.split(jax.random.key(0), 20):
            logits, labels = untrained_logits(count, key=key)
            chosen = np.asarray(jax.random.randint(key, (count,), 0, 1797))
            inputs = data.inputs[chosen]
            np.testing.assert_array_equal(labels, data.targets[chosen])
            kernel = np.linalg.lstsq(inputs, np.asarray(logits))[0]
            np.testing.assert_allclose(inputs @ kernel, logits, atol=1e-9)
            total += float(np.mean(np.square(logits) / np.sum(inputs**2, 1)[:, None]))
    assert len(np.unique(chosen)) < count, "with replacement"
    assert abs(total / 20 - 1) < 4 * np.sqrt(2 / 200), "kernels of variance 1"


@pytest.mark.oracle
def test_the_line_is_numpys_and_its_hessian_is_constant() -> None:
    line = pokemon_line()
    before, after, _ = pokemon_cp(dtype=np.float64)
    slope, offset = np.polyfit(before[:, 0], after[:, 0], 1)
    np.testing.assert_allclose(line.best, [offset, slope], rtol=1e-10)
    with jax.enable_x64(True):
        for point in (line.best, line.start):
            gradient = jax.grad(line.loss)(point, None)
            from_best = line.hessian @ (point - line.best)
            np.testing.assert_allclose(gradient, from_best, rtol=1e-9, atol=1e-5)
            hessian = jax.hessian(line.loss)(point, None)
            np.testing.assert_allclose(hessian, line.hessian, rtol=1e-12)
        np.testing.assert_allclose(line.loss(line.best, None), line.least, rtol=1e-12)


def test_difficulty_is_the_place_in_the_class_by_distances_to_means() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(12, 2)).astype(np.float32)
    labels = np.repeat(np.arange(2, dtype=np.int32), 6)
    first, second = inputs[:6].mean(axis=0), inputs[6:].mean(axis=0)
    excess = np.linalg.norm(inputs - first, axis=1)
    excess -= np.linalg.norm(inputs - second, axis=1)
    places = [np.argsort(np.argsort(part)) / 6 for part in (excess[:6], -excess[6:])]
    found = difficulty(examples(inputs, labels), classes=2)
    np.testing.assert_allclose(found, np.concatenate(places), atol=1e-6)


@pytest.mark.identity
def test_a_switched_mlp_is_an_mlp_where_nothing_is_switched_on() -> None:
    inputs = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    plain = mlp((5, 2), jax.nn.relu)
    switched = switched_mlp((5, 2), dropout=0.0, normalised=0.0)
    params, state = plain.init(jax.random.key(0), inputs)
    key = jax.random.key(1)
    expected, _ = plain.apply(params, state, inputs, train=True, key=key)
    found, _ = switched.apply(params, state, inputs, train=True, key=key)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("normalise", [after_the_sum, before_the_block])
def test_a_residual_block_is_its_equation(normalise: Any) -> None:
    inputs = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    model = residual(5, 1, 2, normalise=normalise)
    params, state = model.init(jax.random.key(0), inputs)

    def affine(layer: Any, values: np.ndarray) -> np.ndarray:
        return values @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])

    def norm(h: np.ndarray) -> np.ndarray:
        return (h - h.mean(1)[:, None]) / np.sqrt(h.var(1)[:, None] + 1e-5)

    def block(h: np.ndarray) -> np.ndarray:
        first, second = (params["block_00"][f"layer_{k:02}"] for k in range(2))
        return affine(second, np.maximum(affine(first, h), 0))

    h = affine(params["first"]["layer_00"], inputs)
    h = norm(h + block(h)) if normalise is after_the_sum else h + block(norm(h))
    expected = affine(params["last"]["layer_00"], norm(h))
    found, _ = model.apply(params, state, inputs, train=True, key=None)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        layer_normalised(jax.numpy.asarray(h)), norm(h), rtol=1e-4, atol=1e-5
    )


def test_characters_are_windows_of_blocks_that_share_none() -> None:
    text = bytes(range(48, 48 + 29))  # each character once, so that codes are places
    workload = characters_workload(
        text=text, block=4, context=2, train=8, test=4, width=3
    )
    starts = [0, 6, 12, 18]
    expected = [
        [start + place, start + place + 1, start + place + 2]
        for start in starts
        for place in range(4)
    ]
    np.testing.assert_array_equal(workload.data.inputs, np.array(expected)[:, :2])
    np.testing.assert_array_equal(workload.data.targets, np.array(expected)[:, 2])
    assert weights(workload) == 2 * 29 * 3 + 3 + 3 * 29 + 29


@pytest.mark.identity
def test_a_text_shorter_than_a_block_is_refused() -> None:
    with pytest.raises(InputError, match="give a longer text"):
        characters_workload(text=b"short", block=10)


@pytest.mark.identity
def test_scripts_are_of_ones_but_for_one_gradient_each() -> None:
    scripts = one_large(5, 3, np.array([10.0, 0.5]))
    assert scripts.tolist() == [[1, 1, 1, 10, 1], [1, 1, 1, 0.5, 1]]
    assert scripts.dtype == np.float64
    for at in (-1, 5):
        with pytest.raises(InputError, match="more steps"):
            one_large(5, at, 10.0)


@pytest.mark.statistics
def test_drawn_gradients_are_uniform_in_their_logarithm() -> None:
    """A uniform number on ±6 has mean 0 and variance 12."""
    exponents = np.log10(over_decades(20, 500, seed=0))
    assert exponents.shape == (20, 500)
    assert np.max(np.abs(exponents)) <= 6
    assert abs(np.mean(exponents)) < 4 * np.sqrt(12 / exponents.size)
    assert not np.array_equal(over_decades(20, 500, seed=1), 10**exponents)
    assert np.max(np.abs(np.log10(over_decades(3, 50, decades=2, seed=1)))) <= 2


def test_a_measure_of_held_out_examples_is_taken_of_the_training_examples_too():
    work = digits_workload(train=30, test=20)
    both = judged_on_both(work)
    params, _ = work.start(jax.random.key(0))
    first = jax.tree.map(lambda leaf: leaf[:20], work.data)
    others = jax.tree.map(lambda leaf: leaf[50:80], work.data)
    own = Dataset(train=first, test=others)
    swapped = Dataset(train=own.test, test=own.train)
    accuracy = work.measures["accuracy"]
    assert both.measures["held-out"](params, own) == accuracy(params, own)
    assert both.measures["training"](params, own) == accuracy(params, swapped)
    assert mean_loss(work)(params, others) == work.measures["test"](params, own)
    with pytest.raises(InputError, match="choose from train, test, accuracy"):
        judged_on_both(work, "loss")


@pytest.mark.identity
def test_stored_networks_are_what_they_were():
    work = digits_workload(train=30, test=20, width=3)
    keys = jax.random.split(jax.random.key(0), 6)
    params = jax.vmap(lambda key: work.start(key)[0])(keys)
    leaves = [
        np.reshape(leaf, (2, 3, *leaf.shape[1:])) for leaf in jax.tree.leaves(params)
    ]
    again = stored_networks(work, leaves, axes=2)
    assert jax.tree.structure(again) == jax.tree.structure(params)
    for ours, theirs in zip(
        jax.tree.leaves(again), jax.tree.leaves(params), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
