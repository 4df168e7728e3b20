"""Batch normalisation over several batches: against all of them as one batch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem
from jaxml.problem.models.normalisation.several import with_exact_statistics
from jaxml.types import Batch, InputError

DRAWS = np.random.default_rng(2)
INPUTS = DRAWS.normal(size=(12, 4)) + np.arange(12)[:, None] / 4
TARGETS = DRAWS.normal(size=(12, 2))
WEIGHTS = np.array([1.0, 1, 1, 2, 1, 1, 1, 1, 1, 1, 0, 0])
WHOLE = Batch(INPUTS, TARGETS, WEIGHTS)
PARTS = Batch(*(field.reshape(3, 4, *field.shape[1:]) for field in WHOLE))


def network(kept):
    """Two normalisations, of which the second one's statistics hang on the first's."""
    first = (problem.linear(5), problem.batch_norm(kept, unbiased=True))
    last = (problem.batch_norm(kept, unbiased=True), problem.linear(2))
    return problem.chain(*first, problem.elementwise(jnp.tanh), *last)


@pytest.fixture(scope="module")
def begun():
    """The network in float64, and its parameters and state after one update."""
    with jax.enable_x64(True):
        model = network(0.9)
        params, state = jax.jit(model.init)(jax.random.key(0), INPUTS)
        train = jax.jit(partial(model.apply, train=True, key=None))
        _, state = train(params, state, 2 * INPUTS)
        yield model, params, state


def close(ours, theirs):
    for one, other in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.stress
@pytest.mark.identity
def test_an_accumulated_loss_is_that_of_the_large_batch(begun):
    """Value, gradient and next state, weights and padding included."""
    model, params, state = begun
    key = jax.random.key(0)
    penalty = problem.l2(0.1)

    def evaluated(loss, batch):
        graded = jax.jit(jax.value_and_grad(loss, has_aux=True))
        return graded(params, state, batch, key)

    theirs = evaluated(problem.training_loss(model, problem.mse, penalty), WHOLE)
    ours = evaluated(problem.accumulated_loss(model, problem.mse, penalty), PARTS)
    close(ours, theirs)


@pytest.mark.identity
def test_exact_statistics_are_those_of_one_batch(begun):
    _, params, state = begun
    counted = WEIGHTS > 0
    biased = problem.chain(
        problem.linear(5),
        problem.batch_norm(0.0),
        problem.elementwise(jnp.tanh),
        problem.batch_norm(0.0),
        problem.linear(2),
    )
    train = jax.jit(partial(biased.apply, train=True, key=None))
    _, theirs = train(params, state, INPUTS, mask=counted)
    ours = jax.jit(partial(with_exact_statistics, biased))(params, state, PARTS)
    close(ours, theirs)


@pytest.mark.oracle
def test_precise_statistics_join_those_of_batches_by_themselves(begun):
    model, params, state = begun
    precise = partial(problem.with_precise_statistics, model)
    found = jax.jit(precise)(params, state, PARTS)
    layer = jax.tree.map(np.asarray, params["layer_00"]["layer_00"])
    first, second = [], []
    for inputs, weights in zip(PARTS.inputs, PARTS.weights, strict=True):
        hidden = inputs[weights > 0] @ layer["kernel"] + layer["bias"]
        first.append(hidden)
        deviation = np.sqrt(hidden.var(axis=0) + 1e-5)
        second.append(np.tanh((hidden - hidden.mean(axis=0)) / deviation))
    for name, rows in (("layer_01", first), ("layer_03", second)):
        joined = np.concatenate(rows)
        close(found[name].mean, joined.mean(axis=0))
        close(found[name].variance, joined.var(axis=0))
        assert float(found[name].weight) == 1


@pytest.mark.oracle
def test_a_precise_objective_normalises_others_by_all_examples(begun):
    """Held-out rows by mean and variance of the examples that count, layer by layer."""
    model, params, state = begun
    held_out = Batch(INPUTS[:3] + 1, TARGETS[:3], np.array([1.0, 2, 0]))
    precise = problem.precise_objective(model, problem.mse, state, WHOLE)
    found = jax.jit(precise)(params, held_out)
    arrays = jax.tree.map(np.asarray, params)
    first, last = (arrays[name]["layer_00"] for name in ("layer_00", "layer_04"))

    def hidden(inputs):
        return inputs @ first["kernel"] + first["bias"]

    def normalised(values, of):
        return (values - of.mean(axis=0)) / np.sqrt(of.var(axis=0) + 1e-5)

    of_all = hidden(WHOLE.inputs[WEIGHTS > 0])
    below = np.tanh(normalised(hidden(held_out.inputs), of_all))
    below_of_all = np.tanh(normalised(of_all, of_all))
    outputs = normalised(below, below_of_all) @ last["kernel"] + last["bias"]
    losses = np.mean((outputs - held_out.targets) ** 2, axis=1)
    expected = np.average(losses, weights=held_out.weights)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.stress
@pytest.mark.oracle
def test_ghosts_of_a_layer_are_normalised_apart(begun):
    model, params, state = begun
    ghosts = problem.in_ghosts(model, 4)
    train = jax.jit(partial(ghosts.apply, train=True, key=None))
    outputs, after = train(params, state, INPUTS, mask=WEIGHTS > 0)
    apart = jax.jit(partial(model.apply, train=True, key=None))
    expected, states = zip(
        *(
            apart(params, state, inputs, mask=weights > 0)
            for inputs, weights in zip(PARTS.inputs, PARTS.weights, strict=True)
        ),
        strict=True,
    )
    close(outputs, np.concatenate(expected))
    counts = np.array([4, 4, 2]) / 10
    means = [state["layer_01"].mean for state in states]
    close(after["layer_01"].mean, np.tensordot(counts, means, axes=1))


@pytest.mark.identity
def test_a_model_without_batch_normalisation_is_refused():
    model = problem.linear(2)
    for statistics in (with_exact_statistics, problem.with_precise_statistics):
        with pytest.raises(InputError, match=r"no running statistics.*batch_norm"):
            statistics(model, {}, {}, PARTS)
    precise = problem.precise_objective(model, problem.mse, {}, WHOLE)
    with pytest.raises(InputError, match=r"no running statistics.*batch_norm"):
        precise({}, WHOLE)
