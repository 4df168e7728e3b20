"""Deep networks of equal layers against loops written out, and embedded solutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem, tree
from jaxml.problem.models.depth import mlp_parameters
from jaxml.types import InputError

KEY = jax.random.key(3)
INPUTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def _value(params: dict, shortcut: float, layers: int) -> np.ndarray:
    """The network in NumPy and float64, by its layers one after another."""
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    values = INPUTS @ wide["first"]["kernel"] + wide["first"]["bias"]
    for place in range(layers - 1):
        kernel, bias = wide["hidden"]["kernel"][place], wide["hidden"]["bias"][place]
        values = shortcut * values + np.tanh(values) @ kernel + bias
    return np.tanh(values) @ wide["last"]["kernel"] + wide["last"]["bias"]


@pytest.mark.oracle
@pytest.mark.parametrize("shortcut", [0.0, 1.0])
@pytest.mark.parametrize("layers", [1, 3])
def test_layers_and_shortcuts_are_those_of_the_equation(
    shortcut: float, layers: int
) -> None:
    """The state says which layers are passed, and what passes by."""
    model = problem.deep_mlp(5, 3, 2, jnp.tanh)
    params, _ = model.init(KEY, INPUTS)
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)
    state = problem.Through(layers, shortcut)
    found, same = model.apply(params, state, INPUTS, train=True, key=None)
    np.testing.assert_allclose(found, _value(params, shortcut, layers), rtol=1e-5)
    assert same is state


@pytest.mark.identity
def test_without_a_state_all_layers_are_passed() -> None:
    """An objective without a state sees the network as it was made."""
    model = problem.deep_mlp(5, 3, 2, jnp.tanh, shortcut=1.0)
    params, state = model.init(KEY, INPUTS)
    found = model.apply(params, {}, INPUTS, train=False, key=None)[0]
    stated = model.apply(params, state, INPUTS, train=False, key=None)[0]
    np.testing.assert_array_equal(found, stated)


@pytest.mark.identity
@pytest.mark.parametrize("shortcut", [0.0, 1.0])
def test_an_embedded_network_is_the_same_function(shortcut: float) -> None:
    """Identity layers under ReLUs and zero layers beside a shortcut change nothing but
    the order in which a processor rounds the same sums.
    """
    shallow = problem.deep_mlp(5, 2, 2, jax.nn.relu, shortcut=shortcut)
    deep = problem.deep_mlp(5, 6, 2, jax.nn.relu, shortcut=shortcut)
    params, _ = shallow.init(KEY, INPUTS)
    longer = problem.embedded(params, 6, shortcut=shortcut)
    before = shallow.apply(params, {}, INPUTS, train=False, key=None)[0]
    after = deep.apply(longer, {}, INPUTS, train=False, key=None)[0]
    rounding = 4 * float(np.finfo(np.float32).eps * np.max(np.abs(before)))
    np.testing.assert_allclose(before, after, rtol=0, atol=rounding)
    shape = jax.eval_shape(deep.init, KEY, INPUTS)[0]
    assert jax.tree.map(jnp.shape, longer) == jax.tree.map(jnp.shape, shape)


@pytest.mark.statistics
def test_kernels_start_at_their_scale() -> None:
    """He's variance is two over the fan-in, of each layer's own inputs."""
    model = problem.deep_mlp(64, 5, 2, jax.nn.relu, scale=np.sqrt(2.0))
    params, _ = model.init(KEY, np.ones((1, 64), np.float32))
    spread = np.std(params["hidden"]["kernel"], axis=(1, 2))
    error = 4 * np.sqrt(2 / 64) / np.sqrt(2 * 64**2)
    np.testing.assert_allclose(spread, np.sqrt(2 / 64), atol=error)


@pytest.mark.identity
def test_parameters_are_counted() -> None:
    """The formula counts what is initialised, and the width meets it as well as any."""
    model = problem.deep_mlp(7, 4, 3, jnp.tanh)
    shapes = jax.eval_shape(model.init, KEY, INPUTS)[0]
    assert tree.size(shapes) == mlp_parameters(4, 7, inputs=3, outputs=3)
    for depth in (1, 4, 7):
        width = problem.matched_width(depth, 571, inputs=1, outputs=1)
        errors = [
            abs(mlp_parameters(depth, near, inputs=1, outputs=1) - 571)
            for near in (width - 1, width, width + 1)
        ]
        assert errors[1] == min(errors)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: problem.deep_mlp(0, 3, 2, jnp.tanh), "each as 1 or more"),
        (lambda: problem.matched_width(0, 9, inputs=1, outputs=1), "1 or more"),
        (lambda: problem.matched_width(4, 9, inputs=1, outputs=1), "10 or more"),
    ],
)
def test_what_makes_no_network_is_refused(wrong, told: str) -> None:
    """In a sentence that says what to give."""
    with pytest.raises(InputError, match=told):
        wrong()


def test_a_solution_fits_no_shallower_network() -> None:
    """Nor one with a shortcut that is neither there nor not."""
    params, _ = problem.deep_mlp(5, 3, 2, jnp.tanh).init(KEY, INPUTS)
    for depth, shortcut in ((2, 0.0), (4, 0.5)):
        with pytest.raises(InputError, match="as many or more"):
            problem.embedded(params, depth, shortcut=shortcut)
