"""Normalisations of examples and of weights, against NumPy in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature, problem
from jaxml.types import InputError

DRAWS = np.random.default_rng(1)
IMAGES = 1 + DRAWS.normal(size=(3, 2, 2, 4)) * [0.5, 1.0, 3.0, 2.0]
INPUTS = DRAWS.normal(size=(5, 4))
SCALE, BIAS = np.array([0.5, 1.5, -1.0, 2.0]), np.array([0.1, 0.0, -2.0, 1.0])
EPSILON = 1e-3


def standardised(values, axes):
    mean = values.mean(axis=axes, keepdims=True)
    return (values - mean) / np.sqrt(values.var(axis=axes, keepdims=True) + EPSILON)


def by_group(values):
    halves = np.split(values, 2, axis=-1)
    parts = [standardised(half, (1, 2, 3)) for half in halves]
    return np.concatenate(parts, axis=-1)


def over_root_mean_square(values):
    return values / np.sqrt((values**2).mean(axis=-1, keepdims=True) + EPSILON)


LAYERS = {
    "layer": (problem.layer_norm, lambda x: standardised(x, -1)),
    "group": (partial(problem.group_norm, 2), by_group),
    "instance": (problem.instance_norm, lambda x: standardised(x, (1, 2))),
    "root mean square": (problem.rms_norm, over_root_mean_square),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", LAYERS)
def test_an_example_is_normalised_by_itself(name):
    made, oracle = LAYERS[name]
    with jax.enable_x64(True):
        norm = made(epsilon=EPSILON)
        params, state = norm.init(jax.random.key(0), IMAGES[:1])
        assert state == {} and set(params) <= {"bias", "scale"}
        given = {"bias": BIAS, "scale": SCALE}
        params = {part: given[part] for part in params}
        outputs, _ = jax.jit(partial(norm.apply, train=True, key=None))(
            params, {}, IMAGES
        )
    expected = SCALE * oracle(IMAGES) + (BIAS if "bias" in params else 0)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.oracle
def test_weights_have_a_length_and_a_direction():
    """At first the layer itself; then g v / ‖v‖ of each column, whatever ‖v‖."""
    inputs = INPUTS.astype(np.float32)
    normed = problem.weight_normed(problem.linear(3))
    params, state = jax.jit(normed.init)(jax.random.key(2), inputs)
    apply = jax.jit(partial(normed.apply, train=True, key=None))
    kernel = np.asarray(params["layer"]["layer_00"]["kernel"])
    plain, _ = apply(params, state, inputs)
    np.testing.assert_allclose(plain, inputs @ kernel, atol=1e-6)
    lengths = np.array([1.0, 2.0, 0.5], np.float32)
    params["length"] = {"layer_00/kernel": lengths}
    params["layer"]["layer_00"]["kernel"] = 5 * kernel
    expected = inputs @ (lengths * kernel / np.linalg.norm(kernel, axis=0))
    np.testing.assert_allclose(apply(params, state, inputs)[0], expected, atol=1e-6)


@pytest.mark.oracle
def test_weights_are_divided_by_their_largest_singular_value():
    """And follow it by one power iteration an update, when it moves."""
    with jax.enable_x64(True):
        normed = problem.spectral_normed(problem.linear(3))
        params, state = jax.jit(normed.init)(jax.random.key(2), INPUTS)
        left, vectors, right = np.linalg.svd(params["layer_00"]["kernel"])
        train = jax.jit(partial(normed.apply, train=True, key=None))
        outputs, _ = train(params, state, INPUTS)
        expected = INPUTS @ np.asarray(params["layer_00"]["kernel"]) / vectors[0]
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-6)
        moved = left[:, :3] @ np.diag([1.0, 2.0, 0.5]) @ right
        params["layer_00"]["kernel"] = jnp.asarray(moved)
        before = state
        for _ in range(60):
            _, state = train(params, state, INPUTS)
        outputs, _ = train(params, state, INPUTS)
        early, _ = train(params, before, INPUTS)
    np.testing.assert_allclose(outputs, INPUTS @ moved / 2, rtol=1e-8, atol=1e-9)
    assert np.abs(early - outputs).max() > 0.1


def small():
    """A network of layers that keep a state, and one whose weights are normalised."""
    return problem.chain(
        problem.linear(3),
        problem.batch_norm(epsilon=0.1),
        problem.elementwise(jnp.tanh),
        problem.weight_normed(problem.linear(3)),
        problem.spectral_normed(problem.linear(2)),
    )


def every_layer():
    """The small network, and the other layers that are smooth in training."""
    as_image = problem.elementwise(lambda values: values.reshape(len(values), 2, -1))
    first = (problem.linear(8), problem.group_norm(2, epsilon=0.1), as_image)
    between = (problem.instance_norm(epsilon=0.1), problem.rms_norm())
    last = (problem.layer_norm(epsilon=0.1), problem.linear(2))
    return problem.chain(small(), *first, *between, *last)


def drawn(model):
    """Parameters and states of three seeds, stacked: drawn, for it is the same smooth
    function of them whatever they are.
    """
    shapes = jax.eval_shape(model.init, jax.random.key(0), INPUTS)

    def one(leaf):
        return jnp.asarray(DRAWS.uniform(0.5, 1.5, (3, *leaf.shape)))

    params, state = jax.tree.map(one, shapes)
    signs = jax.tree.map(lambda leaf: DRAWS.choice([-1.0, 1.0], leaf.shape), params)
    return jax.tree.map(jnp.multiply, params, signs), state


@pytest.mark.invariance
def test_seeds_are_vmapped():
    model, present = small(), np.arange(5) < 4

    def train(own):
        return model.apply(*own, INPUTS, train=True, key=None, mask=present)

    with jax.enable_x64(True):
        both = drawn(model)
        together = jax.jit(jax.vmap(train))(both)
        alone = jax.jit(partial(jax.lax.map, train))(both)
    for ours, theirs in zip(*map(jax.tree.leaves, (together, alone)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def in_training(model, state, batch):
    """Training mode as curvature sees it: objective and what it is given."""
    objective = curvature.in_training(problem.training_loss(model, problem.mse))
    return objective, curvature.Seen(batch, state, jax.random.key(0))


def in_evaluation(model, state, batch):
    return problem.objective(model, problem.mse, state=state), batch


@pytest.mark.identity
@pytest.mark.parametrize(
    ("mode", "made"),
    [
        (in_training, small),
        pytest.param(in_evaluation, small, marks=pytest.mark.stress),
        pytest.param(in_training, every_layer, marks=pytest.mark.stress),
        pytest.param(in_evaluation, every_layer, marks=pytest.mark.stress),
    ],
)
def test_hessian_products_are_differences_of_gradients(mode, made):
    with jax.enable_x64(True):
        model = made()
        params, state = jax.tree.map(lambda leaf: leaf[0], drawn(model))
        batch = problem.examples(INPUTS, DRAWS.normal(size=(5, 2)))
        objective, seen = mode(model, state, batch)
        direction = jax.tree.map(lambda leaf: DRAWS.normal(size=leaf.shape), params)

        def at(step):
            moved = jax.tree.map(lambda p, v: p + step * v, params, direction)
            return jax.grad(objective)(moved, seen)

        product = jax.jit(jax.jacfwd(at))(0.0)
        gradient, step = jax.jit(at), 1e-5
        ends = gradient(step), gradient(-step)
    expected = jax.tree.map(lambda a, b: np.subtract(a, b) / (2 * step), *ends)
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(product))
    for ours, theirs in zip(*map(jax.tree.leaves, (product, expected)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-7 * largest)


@pytest.mark.statistics
def test_noise_has_the_means_of_its_law():
    """Over channels the mean is shift² / 3 in square; over values the spreads."""
    values = np.ones((400, 300), np.float32)
    norm = problem.noisy(problem.elementwise(lambda x: 1000 * x))
    apply = jax.jit(partial(norm.apply, {}, {}, train=True))

    def drawn(seed):
        """s and m, told apart by inputs 1 and 0."""
        key = jax.random.key(seed)
        moved = np.float64(apply(0 * values, key=key)[0])
        return np.float64(apply(values, key=key)[0]) / 1000, moved

    (factors, moved), (_, other) = drawn(0), drawn(1)
    centres = moved.mean(axis=0)
    assert np.abs(centres - other.mean(axis=0)).max() > 0.3
    error = 4 * np.std(centres**2) / np.sqrt(300)
    assert abs(np.mean(centres**2) - 0.5**2 / 3) < error
    spread = 4 / np.sqrt(moved.size)
    assert np.mean(moved.var(axis=0, ddof=1)) == pytest.approx(0.1**2 / 3, rel=spread)
    centres = factors.mean(axis=0)
    assert np.mean(centres) == pytest.approx(1.125, abs=4 * 0.25 / np.sqrt(12 * 300))
    assert np.var(centres) == pytest.approx(0.25**2 / 12, rel=4 / np.sqrt(300))
    found = np.mean(factors.var(axis=0, ddof=1))
    assert found == pytest.approx(0.1**2, rel=np.sqrt(2) * spread)


@pytest.mark.identity
def test_noise_is_left_out_of_evaluation():
    norm = problem.noisy(problem.layer_norm())
    inputs = INPUTS.astype(np.float32)
    params, _ = norm.init(jax.random.key(0), inputs)
    same, _ = norm.apply(params, {}, inputs, train=False, key=None)
    plain, _ = problem.layer_norm().apply(params, {}, inputs, train=False, key=None)
    assert np.array_equal(same, plain)
    with pytest.raises(InputError, match="drawn from a key: pass one"):
        norm.apply(params, {}, inputs, train=True, key=None)


@pytest.mark.identity
def test_what_leaves_nothing_to_normalise_is_refused():
    def applied(norm, values):
        return norm.apply({}, {}, values, train=True, key=None)

    dense = np.ones((4, 6), np.float32)
    with pytest.raises(InputError, match=r"6 channels do not divide into 4.*divisor"):
        applied(problem.group_norm(4), dense)
    with pytest.raises(InputError, match="over 1 value a group gives 0"):
        applied(problem.group_norm(6), dense)
    with pytest.raises(InputError, match=r"over 1 place gives 0.*normalise over more"):
        applied(problem.instance_norm(), dense)
    with pytest.raises(InputError, match="over 1 channel gives 0"):
        applied(problem.layer_norm(), dense[:, :1])
    with pytest.raises(InputError, match="0 groups cannot share"):
        problem.group_norm(0)
    for normed in (problem.weight_normed, problem.spectral_normed):
        with pytest.raises(InputError, match=r"has no kernel.*wrap a dense"):
            normed(problem.elementwise(jnp.tanh)).init(jax.random.key(0), dense)
