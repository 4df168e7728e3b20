"""Linen modules as models: what their calls may take, padding, tokens, and what is
refused.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn, problem
from jaxml.types import Batch, InputError, Model

pytestmark = pytest.mark.identity

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-13)]
)
DRAWS = np.random.default_rng(0)
INPUTS, LABELS = DRAWS.normal(size=(20, 4)), DRAWS.integers(0, 3, 20).astype(np.int32)


class Plain(nn.Module):
    """A call that says nothing of training."""

    @nn.compact
    def __call__(self, inputs):
        hidden = nn.tanh(nn.Dense(5)(inputs))
        return nn.Dense(3)(hidden)


class Normalised(nn.Module):
    """Batch normalisation of rows and of images, which reads no mask of its own."""

    @nn.compact
    def __call__(self, inputs, *, train):
        values = nn.BatchNorm(use_running_average=not train, momentum=0.9)(
            nn.Dense(6)(inputs)
        )
        images = nn.Dense(2)(values.reshape(-1, 3, 2))
        images = nn.BatchNorm(
            use_running_average=not train, momentum=0.8, use_fast_variance=False
        )(images)
        return nn.Dense(3)(images.reshape(-1, 6))


class Masked(nn.Module):
    """A module that hands the mask on itself."""

    @nn.compact
    def __call__(self, inputs, train, mask=None):
        rows = None if mask is None else mask[:, None]
        values = nn.BatchNorm(use_running_average=not train, momentum=0.9)(
            nn.Dense(6)(inputs), mask=rows
        )
        return nn.Dense(3)(values)


class Tokens(nn.Module):
    """The mean embedding of a row of tokens."""

    @nn.compact
    def __call__(self, inputs):
        return nn.Dense(3)(nn.Embed(7, 4)(inputs).mean(1))


@PRECISIONS
@pytest.mark.parametrize(
    "module", [Plain(), nn.Sequential([nn.Dense(5), nn.tanh, nn.Dense(3)])]
)
@pytest.mark.oracle
def test_a_module_without_train(module, dtype, tolerance):
    with jax.enable_x64(dtype is np.float64):
        model = problem.from_linen(module)
        params, state = model.init(jax.random.key(0), INPUTS.astype(dtype))
        outputs, _ = model.apply(
            params, state, INPUTS.astype(dtype), train=True, key=jax.random.key(1)
        )
        first, second = (jax.tree.map(np.asarray, layer) for layer in params.values())
    hidden = np.tanh(INPUTS @ first["kernel"] + first["bias"])
    assert outputs.dtype == dtype and state == {}
    np.testing.assert_allclose(
        outputs, hidden @ second["kernel"] + second["bias"], atol=10 * tolerance
    )


@PRECISIONS
@pytest.mark.parametrize("module", [Normalised(), Masked()])
@pytest.mark.invariance
def test_batch_norm_does_not_count_the_padding(module, dtype, tolerance):
    rows = [0, 1, 2, 3, 4, 4, 4, 4]
    weights = (np.arange(8) < 5).astype(dtype)
    with jax.enable_x64(dtype is np.float64):
        model = problem.from_linen(module)
        whole = problem.examples(INPUTS[:5].astype(dtype), LABELS[:5])
        padded = Batch(INPUTS[rows].astype(dtype), LABELS[rows], weights)
        params, state = model.init(jax.random.key(0), whole.inputs)
        loss = jax.jit(
            jax.value_and_grad(
                problem.training_loss(model, problem.cross_entropy), has_aux=True
            )
        )
        expected, found = (
            loss(params, state, batch, jax.random.key(1)) for batch in (whole, padded)
        )
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(
                a, b, rtol=50 * tolerance, atol=20 * tolerance
            ),
            found,
            expected,
        )


@pytest.mark.oracle
def test_running_averages_of_a_ragged_epoch():
    """20 examples in eights: the last batch holds four, and four copies that must not
    count.
    """
    with jax.enable_x64(True):
        model = problem.from_linen(nn.Sequential([_Norm()]))
        data = problem.examples(INPUTS, LABELS)
        stream = learn.in_order(data, 8)
        params, state = model.init(jax.random.key(0), data.inputs)
        loss = problem.training_loss(
            model, lambda outputs, targets: jnp.sum(outputs**2, axis=-1)
        )
        for step in range(3):
            batch = stream.draw(data, jax.random.key(0), step)
            _, state = loss(params, state, batch, jax.random.key(1))
        (averages,) = jax.tree.leaves(
            state, is_leaf=lambda node: isinstance(node, dict) and "mean" in node
        )
        found = jax.tree.map(np.asarray, averages)
    mean, variance = np.zeros(4), np.ones(4)
    for rows in (INPUTS[:8], INPUTS[8:16], INPUTS[16:]):
        mean, variance = (
            0.9 * mean + 0.1 * rows.mean(0),
            0.9 * variance + 0.1 * rows.var(0),
        )
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(found["var"], variance, rtol=1e-12)


class _Norm(nn.Module):
    @nn.compact
    def __call__(self, inputs):
        return nn.BatchNorm(use_running_average=False, momentum=0.9)(inputs)


def test_values_that_do_not_lead_with_the_batch_are_refused():
    class Merged(nn.Module):
        @nn.compact
        def __call__(self, inputs, *, train):
            return nn.BatchNorm(use_running_average=not train)(
                inputs.reshape(-1, 2)
            ).reshape(-1, 4)

    model, batch = (
        problem.from_linen(Merged()),
        problem.examples(INPUTS.astype(np.float32), LABELS),
    )
    params, state = model.init(jax.random.key(0), batch.inputs)
    with pytest.raises(
        InputError, match=r"values \(40, 2\) in a batch of 20.*take `mask`"
    ):
        problem.training_loss(model, problem.cross_entropy)(
            params, state, batch, jax.random.key(1)
        )


@PRECISIONS
def test_tokens_are_embedded(dtype, tolerance):
    tokens = DRAWS.integers(0, 7, (20, 5))
    with jax.enable_x64(dtype is np.float64):
        model = problem.from_linen(Tokens(), dtype=dtype)
        data = problem.examples(tokens, LABELS, dtype=dtype)
        params, _ = model.init(jax.random.key(0), data.inputs)
        loss = problem.objective(model, problem.cross_entropy)
        value, gradient = jax.jit(jax.value_and_grad(loss))(params, data)
        table = np.asarray(params["Embed_0"]["embedding"])
        kernel, bias = (
            np.asarray(params["Dense_0"][name]) for name in ("kernel", "bias")
        )
        logits = table[tokens].mean(1) @ kernel + bias
        each = np.log(np.exp(logits).sum(1)) - logits[np.arange(20), LABELS]
    assert {leaf.dtype for leaf in jax.tree.leaves((params, gradient, value))} == {
        np.dtype(dtype)
    }
    np.testing.assert_allclose(value, each.mean(), rtol=10 * tolerance)


def test_tokens_train_through_a_sweep():
    data = problem.examples(DRAWS.integers(0, 7, (20, 5)), LABELS)
    model = problem.from_linen(Tokens())
    loss = problem.training_loss(model, problem.cross_entropy)
    training = learn.training(
        problem.start(model, data.inputs),
        loss,
        learn.sgd,
        learn.shuffled(data, 8),
        steps=30,
    )
    grid = learn.grid(learn.Hyper, lr=[0.5], seed=[0, 1], horizon=[30])
    runs = learn.sweep(training, grid, lanes=2)
    assert np.all(runs.trace.loss[:, -5:].mean(1) < runs.trace.loss[:, :5].mean(1))


@pytest.mark.parametrize(
    "model",
    [problem.mlp((2,), jnp.tanh), problem.units(2, jnp.tanh), problem.cnn((2,), 2)],
)
def test_bytes_are_no_pixels_of_our_own_networks(model):
    with pytest.raises(InputError, match="inputs are int32: cast them to float32"):
        model.init(jax.random.key(0), np.zeros((3, 4, 4, 1), np.uint8))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.BatchNorm(), "'use_running_average'.*wrap it"),
        (nn.MultiHeadAttention(2), "'deterministic'.*wrap"),
    ],
)
def test_a_call_that_needs_something_else_is_refused_at_once(module, message):
    with pytest.raises(InputError, match=message):
        problem.from_linen(module)


def test_a_module_without_parameters_and_inputs_that_are_a_dict_are_refused():
    with pytest.raises(InputError, match="no parameters: give it a layer"):
        problem.from_linen(nn.Sequential([nn.tanh])).init(
            jax.random.key(0), INPUTS.astype(np.float32)
        )
    model = problem.from_linen(Plain())
    with pytest.raises(InputError, match="inputs are a dict: join its arrays"):
        model.init(jax.random.key(0), {"a": INPUTS.astype(np.float32)})


class Noisy(nn.Module):
    stream: str

    @nn.compact
    def __call__(self, inputs, *, train):
        hidden = nn.Dropout(0.5, rng_collection=self.stream, deterministic=not train)(
            inputs
        )
        return nn.Dense(3)(hidden)


class Pair(nn.Module):
    @nn.compact
    def __call__(self, inputs):
        return nn.Dense(3)(inputs), inputs


class Silent(nn.Module):
    def encode(self, inputs):
        return inputs


class Named(nn.Module):
    @nn.compact
    def __call__(self, *, inputs):
        return nn.Dense(3)(inputs)


@pytest.mark.parametrize("module", [Silent(), Named()])
def test_what_is_no_module_of_inputs_is_refused_at_once(module):
    with pytest.raises(InputError, match=r"give an instance|takes no inputs"):
        problem.from_linen(module)


@pytest.mark.parametrize(
    ("module", "key", "message"),
    [
        (Noisy("noise"), jax.random.key(1), "let it draw from `dropout`"),
        (Noisy("dropout"), None, "pass a key"),
        (Pair(), jax.random.key(1), "returns a tuple"),
    ],
)
def test_a_call_that_cannot_be_says_why(module, key, message):
    model, inputs = problem.from_linen(module), INPUTS.astype(np.float32)
    params, state = model.init(jax.random.key(0), inputs)
    with pytest.raises(InputError, match=message):
        model.apply(params, state, inputs, train=True, key=key)


def test_examples_without_a_value_are_refused():
    with pytest.raises(InputError, match=r"Inputs \(6, 0\) hold nothing"):
        problem.from_linen(Plain()).init(
            jax.random.key(0), np.zeros((6, 0), np.float32)
        )


def test_a_state_that_is_not_given_is_asked_for():
    model = problem.from_linen(Normalised())
    batch = problem.examples(INPUTS.astype(np.float32), LABELS)
    params, state = model.init(jax.random.key(0), batch.inputs)
    with pytest.raises(InputError, match="pass the one that training left as state="):
        problem.objective(model, problem.cross_entropy)(params, batch)
    assert np.isfinite(
        problem.objective(model, problem.cross_entropy, state=state)(params, batch)
    )


def test_a_random_key_in_the_state_is_refused_before_training():
    def init(key, inputs):
        return {"w": jnp.zeros(inputs.shape[1:])}, {"noise": {"key": key}}

    def apply(params, state, inputs, *, train, key):
        return (inputs @ params["w"])[:, None], state

    model, data = (
        Model(init, apply),
        problem.examples(INPUTS.astype(np.float32), INPUTS[:, :1]),
    )
    loss = problem.training_loss(model, problem.mse)
    training = learn.training(
        problem.start(model, data.inputs),
        loss,
        learn.sgd,
        learn.shuffled(data, 8),
        steps=3,
    )
    with pytest.raises(
        InputError, match=r"random key at \['noise'\]\['key'\].*draw from the key"
    ):
        learn.sweep(training, learn.grid(learn.Hyper, lr=[0.1], horizon=[3]), lanes=1)
