"""NNX and Equinox modules: through training, `keep` and curvature, with plain
parameters.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxml import curvature, learn, problem
from jaxml.record.runs.archive import host, load_tree, save_tree
from jaxml.types import Batch, InputError, Model

pytestmark = pytest.mark.identity

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-13)]
)
DRAWS = np.random.default_rng(0)
INPUTS = DRAWS.normal(size=(20, 4))
LABELS = INPUTS[:, :3].argmax(1).astype(np.int32)


class Net(nnx.Module):
    """A list of layers, batch normalisation and dropout."""

    def __init__(self, *, rngs, rate=0.2):
        self.layers = nnx.List(
            [nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 3, rngs=rngs)]
        )
        self.norm = nnx.BatchNorm(6, momentum=0.9, rngs=rngs)
        self.dropout = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, inputs):
        return self.layers[1](self.dropout(jnp.tanh(self.norm(self.layers[0](inputs)))))


class Mlp(nnx.Module):
    """Two layers."""

    def __init__(self, rngs):
        self.first, self.last = nnx.Linear(4, 5, rngs=rngs), nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, inputs):
        return self.last(jnp.tanh(self.first(inputs)))


def _equinox(make):
    """The model of an Equinox module of one example, given as `key -> module`: its
    arrays by their paths.
    """
    arrays, static = eqx.partition(make(jax.random.key(0)), eqx.is_array)
    paths, structure = jax.tree_util.tree_flatten_with_path(arrays)
    names = [jax.tree_util.keystr(path) for path, _ in paths]

    def init(key, inputs):
        leaves = jax.tree.leaves(eqx.filter(make(key), eqx.is_array))
        return {
            name: leaf.astype(inputs.dtype)
            for name, leaf in zip(names, leaves, strict=True)
        }, {}

    def apply(params, state, inputs, *, train, key):
        arrays = jax.tree.unflatten(structure, [params[name] for name in names])
        module = eqx.nn.inference_mode(eqx.combine(arrays, static), not train)
        keys = None if key is None else jax.random.split(key, len(inputs))
        return jax.vmap(lambda x, k: module(x, key=k), (0, None if key is None else 0))(
            inputs, keys
        ), state

    return Model(init, apply)


def _equinox_mlp(key):
    first, last = jax.random.split(key)
    layers = [
        eqx.nn.Linear(4, 5, key=first),
        eqx.nn.Lambda(jnp.tanh),
        eqx.nn.Dropout(0.2),
        eqx.nn.Linear(5, 3, key=last),
    ]
    return eqx.nn.Sequential(layers)


MODELS = {
    "nnx": lambda: problem.from_nnx(Mlp),
    "nnx with a state": lambda: problem.from_nnx(Net),
    "equinox": lambda: _equinox(_equinox_mlp),
}


@pytest.mark.parametrize(
    "name",
    ["nnx", *(pytest.param(n, marks=pytest.mark.stress) for n in list(MODELS)[1:])],
)
def test_a_sweep_that_stores_each_chunk_compares_and_bends(name, tmp_path):
    """Through `sweep` with a `keep` that writes and reads files, then the Hessian."""

    def keep(name, compute):
        save_tree(tmp_path / f"{name}.npz", compute())
        return load_tree(tmp_path / f"{name}.npz")

    model = MODELS[name]()
    data = problem.examples(INPUTS.astype(np.float32), LABELS)
    loss = problem.training_loss(model, problem.cross_entropy)
    training = learn.training(
        problem.start(model, data.inputs),
        loss,
        learn.momentum,
        learn.shuffled(data, 8),
        steps=90,
    )
    grid = learn.grid(learn.Hyper, lr=[0.05, 0.1], seed=[0, 1], horizon=[90])
    runs = learn.sweep(training, grid, lanes=2, name="grid", keep=keep)
    assert np.all(runs.diverged_at == -1)
    losses = runs.trace.loss  # of batches of 8 with dropout, so of all runs together
    assert np.mean(losses[:, -9:]) < np.mean(losses[:, :9]) / 2
    params, state = jax.tree.map(
        lambda leaf: jnp.asarray(leaf[0]), (runs.params, runs.model_state)
    )
    objective = problem.objective(model, problem.cross_entropy, state=state)
    dense = curvature.dense(curvature.hessian_product(objective, params, data), params)
    np.testing.assert_allclose(dense, dense.T, atol=1e-6)
    host(params)


@PRECISIONS
@pytest.mark.oracle
def test_an_nnx_network_of_both_precisions(dtype, tolerance):
    with jax.enable_x64(dtype is np.float64):
        model = problem.from_nnx(lambda rngs: Mlp(rngs))
        params, state = model.init(jax.random.key(0), INPUTS.astype(dtype))
        single, _ = model.init(jax.random.key(0), INPUTS.astype(np.float32))
        outputs, after = model.apply(
            params, state, INPUTS.astype(dtype), train=False, key=None
        )
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b), params, single)
        first, last = (
            jax.tree.map(np.asarray, params[name]) for name in ("first", "last")
        )
    hidden = np.tanh(INPUTS @ first["kernel"] + first["bias"])
    assert (
        outputs.dtype == dtype
        and type(params) is dict
        and type(params["first"]) is dict
        and after == {}
    )
    np.testing.assert_allclose(
        outputs, hidden @ last["kernel"] + last["bias"], atol=10 * tolerance
    )


@PRECISIONS
@pytest.mark.invariance
def test_nnx_batch_norm_does_not_count_the_padding(dtype, tolerance):
    rows = [0, 1, 2, 3, 4, 4, 4, 4]
    with jax.enable_x64(dtype is np.float64):
        model = problem.from_nnx(lambda rngs: Net(rngs=rngs, rate=0.0))
        whole = problem.examples(INPUTS[:5].astype(dtype), LABELS[:5])
        weights = (np.arange(8) < 5).astype(dtype)
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
        hidden = INPUTS[:5] @ np.asarray(params["layers"][0]["kernel"], np.float64)
        averages = jax.tree.map(np.asarray, found[0][1]["norm"])
    np.testing.assert_allclose(
        averages["mean"], 0.1 * hidden.mean(0), rtol=50 * tolerance, atol=tolerance
    )
    np.testing.assert_allclose(
        averages["var"], 0.9 + 0.1 * hidden.var(0), rtol=50 * tolerance
    )


def test_nnx_noise_follows_the_key_and_acts_in_training_only():
    model, inputs = problem.from_nnx(Net), INPUTS.astype(np.float32)
    params, state = model.init(jax.random.key(0), inputs)
    run = jax.jit(
        lambda key: model.apply(params, state, inputs, train=True, key=key)[0]
    )
    one, same, other = (np.asarray(run(jax.random.key(seed))) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    still, after = model.apply(params, state, inputs, train=False, key=None)
    keyed, _ = model.apply(params, state, inputs, train=False, key=jax.random.key(5))
    np.testing.assert_array_equal(still, keyed)
    jax.tree.map(np.testing.assert_array_equal, after, state)
    with pytest.raises(InputError, match="draws in training: pass a key"):
        model.apply(params, state, inputs, train=True, key=None)


def test_an_nnx_state_that_is_not_given_is_asked_for():
    model, data = (
        problem.from_nnx(Net),
        problem.examples(INPUTS.astype(np.float32), LABELS),
    )
    params, state = model.init(jax.random.key(0), data.inputs)
    with pytest.raises(InputError, match="pass the one that training left as state="):
        problem.objective(model, problem.cross_entropy)(params, data)
    assert np.isfinite(
        problem.objective(model, problem.cross_entropy, state=state)(params, data)
    )


def test_many_layers_keep_their_order():
    class Deep(nnx.Module):
        def __init__(self, rngs):
            self.layers = nnx.List([nnx.Linear(1, 1, rngs=rngs) for _ in range(12)])

        def __call__(self, inputs):
            for layer in self.layers:
                inputs = layer(inputs)
            return inputs

    model, inputs = problem.from_nnx(Deep), np.ones((1, 1), np.float32)
    params, _ = model.init(jax.random.key(0), inputs)
    for place, layer in params["layers"].items():
        layer["kernel"] = jnp.full((1, 1), 2.0)
        layer["bias"] = jnp.full(1, float(place == 11))
    outputs, _ = model.apply(params, {}, inputs, train=False, key=None)
    assert outputs.item() == 2.0**12 + 1


def test_nnx_modules_that_cannot_be_are_refused():
    with pytest.raises(
        InputError, match=r"A Mlp has its parameters already.*lambda rngs: Mlp"
    ):
        problem.from_nnx(Mlp(nnx.Rngs(0)))
    for create in (
        lambda width, rngs: Mlp(rngs),
        lambda: None,
        partial(Mlp, rngs=nnx.Rngs(0)),
    ):
        with pytest.raises(InputError, match="No module is made of rngs alone"):
            problem.from_nnx(create)
    for create in (lambda rngs: None, lambda rngs: nnx.Dict(a=nnx.Param(jnp.ones(3)))):
        with pytest.raises(InputError, match="cannot be called"):
            problem.from_nnx(create)
    with pytest.raises(InputError, match="no parameters"):
        problem.from_nnx(lambda rngs: nnx.Dropout(0.5, rngs=rngs))
    with pytest.raises(InputError, match="inputs are a dict"):
        problem.from_nnx(Mlp).init(jax.random.key(0), {"a": INPUTS})


def test_a_module_may_be_a_class_with_all_but_its_rngs():
    class Line(nnx.Module):
        def __init__(self, width, rngs):
            self.first = nnx.Linear(width, width, rngs=rngs)
            self.second = self.first  # shared, and so one kernel

        def __call__(self, inputs):
            return self.second(self.first(inputs))

    inputs = np.ones((2, 3), np.float32)
    found = []
    for create in (
        partial(Line, 3),
        partial(Line, width=3),
        lambda rngs: Line(3, rngs),
    ):
        model = problem.from_nnx(create)
        params, state = model.init(jax.random.key(0), inputs)
        assert [leaf.shape for leaf in jax.tree.leaves(params)] == [(3,), (3, 3)]
        found.append(model.apply(params, state, inputs, train=False, key=None)[0])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
