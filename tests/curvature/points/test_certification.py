"""Certificates from products alone: indices of linear networks by formula, every
outcome on a function that has it, and the dense certificate.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.curvature import OUTCOMES, certify_matrix_free, outcome
from jaxml.types import InputError

KEY = jax.random.key(0)
SINGULAR = np.array([4.0, 3.0, 2.0, 1.0])


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def named(objective, params, batch=None, **settings):
    found = certify_matrix_free(objective, params, batch, key=KEY, **settings)
    index = tuple(int(number) for number in found.index)
    return OUTCOMES[int(outcome(found.certificate))], index, found


def linear(layers, target):
    """½ ‖M - W_n … W_1‖²: what a deep linear network minimises on whitened inputs."""
    total = layers[0]
    for layer in layers[1:]:
        total = layer @ total
    return jnp.sum((target - total) ** 2) / 2


def linear_point(chosen, widths, seed=0):
    """A critical point: the chosen singular directions of M, factors balanced up to a
    rotation of each hidden layer; M.
    """
    random, (inputs, *hidden, outputs) = np.random.default_rng(seed), widths
    left, _ = np.linalg.qr(random.normal(size=(outputs, outputs)))
    right, _ = np.linalg.qr(random.normal(size=(inputs, inputs)))
    count = min(inputs, outputs)
    singular = SINGULAR[:count]
    target = (left[:, :count] * singular) @ right[:, :count].T
    rank, depth = len(chosen), len(widths) - 1
    middle = np.diag(singular[chosen] ** (1 / depth))
    bases = [right[:, chosen]]
    for width in hidden:
        rotation, _ = np.linalg.qr(random.normal(size=(width, width)))
        bases.append(rotation[:, :rank])
    bases.append(left[:, chosen])
    layers = [
        jnp.asarray(after @ middle @ before.T)
        for before, after in zip(bases, bases[1:], strict=False)
    ]
    return layers, jnp.asarray(target)


def baldi_hornik(chosen, count, hidden):
    """n₋: a better direction that is left out for a worse one that is taken, each; and
    every unit that is not used, once for every direction left out.
    """
    left_out = [j for j in range(count) if j not in chosen]
    exchanges = sum(j < i for i in chosen for j in left_out)
    return exchanges + (hidden - len(chosen)) * len(left_out)


@pytest.mark.oracle
@pytest.mark.parametrize("chosen", [[1], [0, 3], [2, 3], [0, 1, 2], [1, 2, 3]])
def test_indices_of_two_layers_are_those_of_baldi_and_hornik(chosen):
    """Baldi and Hornik 1989, Neural Networks 2, with the unused units' copies."""
    layers, target = linear_point(chosen, (5, 3, 4))
    expected = baldi_hornik(chosen, 4, 3)
    kind, index, _ = named(linear, layers, target, count=10, depth=27)
    assert index == (expected, expected)
    assert kind == ("saddle" if expected else "minimum")


@pytest.mark.oracle
@pytest.mark.parametrize("chosen", [[0, 1], [0, 2], [1, 2]])
def test_indices_of_three_layers_are_those_of_the_manifold_of_their_rank(chosen):
    layers, target = linear_point(chosen, (4, 2, 2, 3))
    expected = baldi_hornik(chosen, 3, 2)
    kind, index, _ = named(linear, layers, target, count=3, depth=18)
    assert index == (expected, expected)
    assert kind == ("saddle" if expected else "minimum")


@pytest.mark.oracle
def test_more_negative_directions_than_there_is_room_for_are_an_open_index():
    layers, target = linear_point([1], (5, 3, 4))
    kind, index, found = named(linear, layers, target, count=3, depth=27)
    assert kind == "saddle" and index == (3, 27)
    np.testing.assert_allclose(found.certificate.eigenvalues[:3], -4, rtol=1e-9)


def monkey(w, _):
    return w[0] ** 3 - 3 * w[0] * w[1] ** 2 + w[2] ** 2


def peano(w, _):
    return (w[1] - w[0] ** 2) * (w[1] - 2 * w[0] ** 2) + w[2] ** 2


def kinked(w, _):
    return jnp.sum(jnp.abs(w) + w**2)


def tails(w, _):
    return jnp.sum(jnp.exp(-w))


def tilted(w, _):
    return w[0] + w[0] ** 3 + 5 * w[1] ** 2 + w[2] ** 2


CASES = {
    "a monkey saddle": (monkey, [0.0, 0.0, 0.0], "flat to second order"),
    "a curved way down": (peano, [0.0, 0.0, 0.0], "flat to second order"),
    "a kink": (kinked, [1e-9, 1.0, 1.0], "kink"),
    "tails": (tails, [30.0, 28.0, 29.0], "at infinity"),
    "a gradient in the kernel": (tilted, [1e-4, 0.0, 0.0], "gradient-flat"),
}


def of_all(w, case):
    """Every function of CASES in one program."""
    return jax.lax.switch(case, [function for function, _, _ in CASES.values()], w, 0)


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES)
def test_each_outcome_is_named_on_a_function_that_has_it(case):
    _, point, expected = CASES[case]
    number = jnp.int32(list(CASES).index(case))
    assert named(of_all, jnp.asarray(point), number, count=1)[0] == expected


@pytest.mark.invariance
def test_the_measures_are_those_of_the_dense_certificate():
    """At a point on the way, where none of them is 0."""
    layers, target = linear_point([0, 2], (4, 2, 2, 3))
    random = np.random.default_rng(3)
    moved = [w + 0.01 * jnp.asarray(random.normal(size=w.shape)) for w in layers]
    ours = named(linear, moved, target, count=3, depth=18)[2].certificate
    theirs = curvature.certify(linear, moved, target)
    for name in ("loss", "gradient_norm", "parameter_norm", "alignment"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-9, err_msg=name
        )
    for name in ("newton_step", "fall", "tail"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-2, err_msg=name
        )
    ends = np.r_[:3, -3:0]
    np.testing.assert_allclose(
        ours.eigenvalues, np.asarray(theirs.eigenvalues)[ends], atol=1e-10
    )


@pytest.mark.compiles_once
def test_another_point_compiles_nothing():
    layers, target = linear_point([1], (5, 3, 4))
    named(linear, layers, target, count=10, depth=27)
    with jax.log_compiles(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.stages.Lowered, "compile", None)
        layers, target = linear_point([0, 2], (5, 3, 4), seed=1)
        assert named(linear, layers, target, count=10, depth=27)[1] == (3, 3)


@pytest.mark.invariance
def test_more_ends_than_parameters_are_refused():
    with pytest.raises(InputError, match="lower count"):
        certify_matrix_free(monkey, jnp.zeros(3), None, count=2, key=KEY)
