"""Batch normalisation and renormalisation: against the papers' equations in float64."""

import importlib
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem
from jaxml.types import InputError

DRAWS = np.random.default_rng(0)
VALUES = 2 + DRAWS.normal(size=(6, 2, 3)) * [0.5, 1.0, 3.0]
COTANGENT = DRAWS.normal(size=VALUES.shape)
PARAMS = {"scale": np.array([0.5, 1.5, -1.0]), "bias": np.array([0.1, 0.0, -2.0])}
PRESENT = np.array([True, True, False, True, False, True])
EPSILON = 1e-3


def written_out(values, scale, bias, present=None):
    """Algorithm 1 over examples and places, without a conjugate, so that it takes
    complex numbers too.
    """
    counted = values if present is None else values[present]
    rows = counted.reshape(-1, values.shape[-1])
    mean = rows.sum(axis=0) / len(rows)
    variance = ((rows - mean) ** 2).sum(axis=0) / len(rows)
    return scale * (values - mean) / np.sqrt(variance + EPSILON) + bias


def complex_steps(function, at):
    """Exact derivatives of the summed cotangent, an entry at a time."""
    gradient = np.zeros(at.shape)
    for place in np.ndindex(at.shape):
        moved = at.astype(complex)
        moved[place] += 1e-30j
        gradient[place] = np.imag(np.sum(COTANGENT * function(moved))) / 1e-30
    return gradient


def trained(norm):
    """(params, state, values, mask) -> outputs, next state, and the gradients."""

    def function(params, state, values, mask):
        def total(params, values):
            outputs, after = norm.apply(
                params, state, values, train=True, key=None, mask=mask
            )
            return jnp.sum(COTANGENT * outputs), (outputs, after)

        gradients, seen = jax.grad(total, (0, 1), has_aux=True)(params, values)
        return *seen, gradients

    return jax.jit(function)


@pytest.fixture(scope="module")
def layer():
    """A layer in float64, its first state, and it at work in training."""
    with jax.enable_x64(True):
        norm = problem.batch_norm(0.8, epsilon=EPSILON, unbiased=True)
        _, state = norm.init(jax.random.key(0), VALUES)
        yield norm, state, trained(norm)


@pytest.mark.oracle
@pytest.mark.parametrize("present", [np.ones(6, bool), PRESENT], ids=["all", "some"])
def test_forward_and_gradient_are_the_papers(layer, present):
    _, state, train = layer
    outputs, _, (of_params, of_values) = train(PARAMS, state, VALUES, present)
    scale, bias = PARAMS["scale"], PARAMS["bias"]
    expected = written_out(VALUES, scale, bias, present)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12)
    by_values = complex_steps(lambda x: written_out(x, scale, bias, present), VALUES)
    np.testing.assert_allclose(of_values, by_values, rtol=1e-10, atol=1e-11)
    by_scale = complex_steps(lambda g: written_out(VALUES, g, bias, present), scale)
    np.testing.assert_allclose(of_params["scale"], by_scale, rtol=1e-12)
    by_bias = np.sum(COTANGENT, axis=(0, 1))
    np.testing.assert_allclose(of_params["bias"], by_bias, rtol=1e-12)


@pytest.mark.oracle
def test_the_state_is_debiased_as_in_adam(layer):
    """Two updates with 0.8 kept weigh 0.16 and 0.2; and the variance is over n - 1."""
    norm, state, train = layer
    evaluate = jax.jit(partial(norm.apply, train=False, key=None))
    assert float(state.weight) == 0
    first, _ = evaluate(PARAMS, state, VALUES)
    shift, scale = PARAMS["bias"], PARAMS["scale"]
    expected = scale * VALUES / np.sqrt(1 + EPSILON) + shift
    np.testing.assert_allclose(first, expected, rtol=1e-12)
    for values in (VALUES, 3 * VALUES + 1):
        state = train(PARAMS, state, values, PRESENT)[1]
    rows = VALUES[PRESENT].reshape(-1, 3)
    weights = np.array([0.16, 0.2]) / 0.36
    mean = weights[0] * rows.mean(axis=0) + weights[1] * (3 * rows + 1).mean(axis=0)
    variance = (weights[0] + 9 * weights[1]) * rows.var(axis=0, ddof=1)
    later, _ = evaluate(PARAMS, state, VALUES)
    expected = scale * (VALUES - mean) / np.sqrt(variance + EPSILON) + shift
    np.testing.assert_allclose(later, expected, rtol=1e-12)
    np.testing.assert_allclose(state.weight, 0.36, rtol=1e-12)


@pytest.mark.oracle
def test_a_state_that_is_not_debiased_begins_at_0_and_1():
    """PyTorch's rule: (1 - momentum) old + momentum new, from 0 and 1."""
    kept = problem.kept_of_momentum(0.1)
    norm = problem.batch_norm(kept, debiased=False, affine=False)
    values = VALUES.astype(np.float32)
    params, state = norm.init(jax.random.key(0), values)
    assert params == {}
    _, after = jax.jit(partial(norm.apply, train=True, key=None))(params, state, values)
    rows = VALUES.reshape(-1, 3)
    np.testing.assert_allclose(after.mean, 0.1 * rows.mean(axis=0), rtol=1e-5)
    expected = 0.9 + 0.1 * rows.var(axis=0)
    np.testing.assert_allclose(after.variance, expected, rtol=1e-5)
    assert float(after.weight) == 1


@pytest.mark.identity
def test_scale_and_shift_of_the_values_do_not_matter():
    """BN(a x + b) = BN(x) for a > 0 without an epsilon: so the length of a kernel in
    front of it does not.
    """
    with jax.enable_x64(True):
        norm = problem.batch_norm(affine=False, epsilon=0.0)
        _, state = norm.init(jax.random.key(0), VALUES)
        apply = jax.jit(partial(norm.apply, train=True, key=None))
        ours, _ = apply({}, state, VALUES)
        moved, _ = apply({}, state, np.array([7.0, 0.01, 30.0]) * VALUES - 5)
    np.testing.assert_allclose(moved, ours, rtol=0, atol=1e-12)


@pytest.mark.identity
def test_examples_are_coupled_in_training_and_not_in_evaluation(layer):
    """∂ outputᵢ / ∂ inputⱼ, summed over channels and places, for all pairs."""
    norm, state, train = layer
    _, after, _ = train(PARAMS, state, VALUES, PRESENT)

    def coupled(values, *, train):
        apply = partial(norm.apply, train=train, key=None, mask=None)
        jacobian = jax.jacobian(lambda x: apply(PARAMS, after, x)[0])(values)
        return jnp.sum(jnp.abs(jacobian), axis=(1, 2, 4, 5))

    both = jax.jit(lambda x: (coupled(x, train=True), coupled(x, train=False)))
    in_training, in_evaluation = both(VALUES)
    assert np.min(in_training) > 0.01
    apart = ~np.eye(len(VALUES), dtype=bool)
    assert np.all(np.asarray(in_evaluation)[apart] == 0)
    assert np.min(np.diag(in_evaluation)) > 0.1


@pytest.mark.identity
def test_padding_alone_changes_no_state_and_gives_finite_outputs(layer):
    _, state, train = layer
    _, before, _ = train(PARAMS, state, VALUES, PRESENT)
    outputs, after, gradients = train(PARAMS, before, VALUES, np.zeros(6, bool))
    assert all(map(np.array_equal, before, after))
    finite = [np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradients)]
    assert np.all(np.isfinite(outputs)) and all(finite)


@pytest.mark.identity
def test_what_cannot_be_normalised_is_refused():
    norm = problem.batch_norm()
    dense = np.ones((4, 3), np.float32)
    own = norm.init(jax.random.key(0), dense)
    train: Any = partial(norm.apply, *own, train=True, key=None)
    with pytest.raises(InputError, match=r"one value gives 0.*train on 2"):
        train(dense[:1])
    with pytest.raises(InputError, match="one value gives 0"):
        train(dense, mask=np.arange(4) < 1)
    with pytest.raises(InputError, match="padding alone has no mean: give"):
        train(dense, mask=np.zeros(4, bool))
    for other in (norm, problem.batch_renorm()):
        with pytest.raises(InputError, match=r"keeps a state.*was given none: pass"):
            other.apply(own[0], {}, dense, train=False, key=None)
    with pytest.raises(InputError, match=r"have no channels.*give"):
        train(dense[0])
    with pytest.raises(InputError, match=r"are int32.*cast them"):
        norm.init(jax.random.key(0), dense.astype(np.int32))
    with pytest.raises(InputError, match=r"1.0 is kept learns of no batch: choose"):
        problem.batch_norm(1.0)
    with pytest.raises(InputError, match=r"epsilon of -1.0.*choose 0"):
        problem.batch_renorm(epsilon=-1.0)
    with pytest.raises(InputError, match=r"weighs 0.0 makes no average: choose"):
        problem.kept_of_momentum(0.0)


def renormalised(values, before, largest_ratio, largest_shift):
    """Algorithm 1 of batch renormalisation with γ = 1 and β = 0."""
    rows = values.reshape(-1, values.shape[-1])
    mean, deviation = rows.mean(axis=0), np.sqrt(rows.var(axis=0) + EPSILON)
    ratio = np.clip(deviation / before[1], 1 / largest_ratio, largest_ratio)
    shift = np.clip((mean - before[0]) / before[1], -largest_shift, largest_shift)
    return (values - mean) / deviation * ratio + shift, (mean, deviation)


@pytest.mark.oracle
def test_renormalisation_corrects_a_batch_within_its_bounds():
    """The first update is batch normalisation; then some channels are at a bound."""
    other = VALUES * [0.9, 3.0, 1.0] + [0.2, 0.0, 40.0]
    with jax.enable_x64(True):
        norm = problem.batch_renorm(0.8, largest_ratio=1.5, epsilon=EPSILON)
        _, state = norm.init(jax.random.key(0), VALUES)
        params = {"scale": np.ones(3), "bias": np.zeros(3)}
        train = trained(norm)
        first, state, _ = train(params, state, VALUES, np.ones(6, bool))
        second, state, (_, of_values) = train(params, state, other, np.ones(6, bool))
        evaluate = jax.jit(partial(norm.apply, train=False, key=None))
        later, _ = evaluate(params, state, VALUES)
    expected, early = renormalised(VALUES, (0.0, 1.0), 1.0, 0.0)
    np.testing.assert_allclose(first, expected, atol=1e-12)
    expected, late = renormalised(other, early, 1.5, 5.0)
    np.testing.assert_allclose(second, expected, atol=1e-12)
    mean, deviation = (
        (0.16 * old + 0.2 * new) / 0.36 for old, new in zip(early, late, strict=True)
    )
    np.testing.assert_allclose(later, (VALUES - mean) / deviation, atol=1e-12)

    ratio = np.clip(late[1] / early[1], 1 / 1.5, 1.5)  # a constant of the gradient
    by_values = complex_steps(lambda x: written_out(x, ratio, 0.0), other)
    np.testing.assert_allclose(of_values, by_values, rtol=1e-9, atol=1e-11)


@pytest.mark.oracle
def test_of_a_single_example_only_the_offset_is_left(layer):
    places = np.arange(len(VALUES))
    norm, state, _ = layer

    @jax.jit
    def first(values, mask):
        mode = {"train": True, "key": None, "mask": mask}
        return norm.apply(PARAMS, state, values, **mode)[0][0]

    alone = first(VALUES[:, 0], places < 1)
    np.testing.assert_array_equal(alone, PARAMS["bias"])
    gradient = jax.jacrev(first)(VALUES[:, 0], places < 1)
    np.testing.assert_array_equal(gradient, 0)
    beside = first(VALUES[:, 0], places < 2)
    assert np.min(np.abs(beside - PARAMS["bias"])) > 0.1


@pytest.mark.bench
@pytest.mark.oracle
def test_the_running_averages_of_pytorch() -> None:
    """At its default, and as the study `reversed_notes` has its documented rule."""
    torch = importlib.import_module("torch")
    theirs = torch.nn.BatchNorm1d(3).double()
    ours = problem.batch_norm(
        problem.kept_of_momentum(theirs.momentum), debiased=False, unbiased=True
    )
    batches = DRAWS.normal(size=(20, 6, 3))
    assert theirs.momentum == 0.1
    documented = np.zeros(3)
    with jax.enable_x64(True):
        params, state = ours.init(jax.random.key(0), jnp.asarray(batches[0]))
        for batch in batches:
            theirs(torch.tensor(batch))
            _, state = ours.apply(
                params, state, jnp.asarray(batch), train=True, key=None
            )
            documented = 0.9 * documented + 0.1 * batch.mean(axis=0)
    mean, variance = theirs.running_mean.numpy(), theirs.running_var.numpy()
    np.testing.assert_allclose(documented, mean, atol=1e-12)
    np.testing.assert_allclose(state.mean, mean, atol=1e-12)
    np.testing.assert_allclose(state.variance, variance, atol=1e-12)
