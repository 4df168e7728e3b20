"""Certificates from products alone: indices of linear networks by formula, every
outcome on a function that has it, and the chain.
"""

import importlib.util
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.curvature import OUTCOMES, certify_matrix_free, outcome, stationary_point
from jaxml.types import InputError

SPEC = importlib.util.spec_from_file_location(
    "problems", Path(__file__).with_name("problems.py")
)
problems = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(problems)

KEY = jax.random.key(0)
SIZE, ROOM = 14, 5
SETTINGS = {"count": ROOM, "depth": SIZE, "key": KEY}
LINEAR = problems.LINEAR


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def named(objective, params, batch, **settings):
    found = certify_matrix_free(objective, params, batch, **(SETTINGS | settings))
    index = tuple(int(number) for number in found.negative)
    return OUTCOMES[int(outcome(found.certificate))], index, found


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("chosen", [[1], [2], [0, 1], [0, 2], [1, 2]])
def test_indices_of_two_layers_are_those_of_baldi_and_hornik(chosen):
    layers, target = problems.linear_point(chosen)
    expected = problems.baldi_hornik(chosen, 3, 2)
    kind, index, _ = named(problems.either, layers, (LINEAR, target))
    assert index == (expected, expected)
    assert kind == ("saddle" if expected else "minimum")


@pytest.mark.oracle
def test_more_negative_directions_than_there_is_room_for_are_an_open_index():
    """At 0 each of two units has three, -σ of M: six, and room for five."""
    layers, target = problems.linear_point([1])
    origin = jax.tree.map(jnp.zeros_like, layers)
    kind, index, found = named(problems.either, origin, (LINEAR, target))
    assert kind == "saddle" and index == (ROOM, SIZE)
    lowest = found.certificate.eigenvalues[:2]
    np.testing.assert_allclose(lowest, -problems.SINGULAR[0], rtol=1e-12)
    rounding = 1e-12
    assert found.bound <= -problems.SINGULAR[0] * (1 - rounding)


def outcome_at(point, objective, chosen):
    """What is named where the first weight is one number and all others another, and
    whether the loss falls there.
    """
    first, others = point
    layers, target = problems.linear_point([1])
    front, back = (np.full(layer.shape, others) for layer in layers)
    front[0, 0] = first
    batch = (chosen, target) if objective is problems.either else chosen
    kind, _, found = named(objective, [front, back], batch)
    return kind, found.certificate.flat_change > 1


@pytest.mark.device
@pytest.mark.oracle
def test_a_kink_and_a_point_flat_to_second_order_are_named():
    kink = outcome_at((1e-9, 1.0), problems.either, problems.KINKED)
    assert kink == ("kink", False)
    monkey = outcome_at((0.0, 0.0), problems.either, problems.MONKEY)
    assert monkey == ("flat to second order", True)


CASES = {
    "flat to second order": (problems.PEANO, 0.0, 0.0),
    "minimum": (problems.QUARTIC, 0.0, 0.0),
    "gradient-flat": (problems.TILTED, 1e-4, 0.0),
    "at infinity": (problems.TAILS, 30.0, 28.0),
}


@pytest.mark.stress
@pytest.mark.oracle
@pytest.mark.parametrize("expected", CASES)
def test_each_outcome_is_named_on_a_function_that_has_it(expected):
    chosen, *point = CASES[expected]
    kind, falls = outcome_at(point, problems.another, chosen)
    assert kind == expected
    assert falls == (expected == "flat to second order")


@pytest.mark.oracle
def test_a_saddle_is_named_and_left():
    """At the index of Baldi and Hornik; the escape lowers the loss by more than 0.1 and
    says so.
    """
    layers, target = problems.linear_point([0, 2])
    batch = (LINEAR, target)
    found = stationary_point(problems.either, layers, batch, method=stay, **SETTINGS)
    check_left(found, target)


def stay(objective, params, batch):
    return jax.jit(partial(curvature.stay, objective))(params, batch)


@pytest.mark.stress
@pytest.mark.oracle
def test_a_start_beside_a_saddle_is_led_there_named_and_left():
    """By mode following."""
    layers, target = problems.linear_point([0, 2])
    random = np.random.default_rng(2)
    beside = [w + 0.05 * jnp.asarray(random.normal(size=w.shape)) for w in layers]
    batch, effort = (LINEAR, target), curvature.Effort(60, SIZE, 40)
    method = partial(curvature.mode_following, index=1, effort=effort)
    found = stationary_point(problems.either, beside, batch, method=method, **SETTINGS)
    check_left(found, target)


def check_left(found, target):
    assert found.outcome == "saddle" and found.negative == (1, 1)
    assert found.search.gradient_norm < 1e-11
    before = problems.linear(found.search.params, target)
    np.testing.assert_allclose(before, problems.SINGULAR[1] ** 2 / 2, rtol=1e-12)
    after = problems.linear(found.escape.params, target)
    np.testing.assert_allclose(before - after, found.escape.drop, rtol=1e-9)
    assert found.escape.drop > 0.1


@pytest.mark.compiles_once
def test_another_point_of_the_same_shapes_compiles_nothing(caplog):
    layers, target = problems.linear_point([0, 2], seed=1)
    named(problems.either, layers, (LINEAR, target))
    with jax.log_compiles(), caplog.at_level("WARNING"):
        certify_matrix_free(problems.either, layers, (LINEAR, target), **SETTINGS)
    assert "Finished XLA compilation" not in caplog.text


@pytest.mark.invariance
def test_what_cannot_be_certified_is_refused_in_a_sentence():
    with pytest.raises(InputError, match="lower count"):
        certify_matrix_free(
            lambda w, _: jnp.sum(w**2), jnp.zeros(3), None, count=2, key=KEY
        )
    search = partial(
        stationary_point, batch=None, method=curvature.newton_minres, key=KEY
    )
    with pytest.raises(InputError, match=r"not finite at the start, in \['b'\]"):
        search(
            lambda p, _: jnp.sum(p["a"]) + jnp.sqrt(p["b"]),
            {"a": jnp.ones(2), "b": jnp.zeros(())},
        )
    with pytest.raises(InputError, match="is nan at the start"):
        search(lambda w, _: jnp.log(w) * jnp.nan, jnp.ones(()))
    with pytest.raises(InputError, match="outside jit"):
        jax.jit(lambda w: search(lambda w, _: jnp.sum(w), w).negative)(jnp.ones(2))


WIDER = {"count": 8, "depth": 18}


@pytest.mark.stress
@pytest.mark.oracle
@pytest.mark.parametrize("chosen", [[0, 1], [0, 2], [1, 2]])
def test_indices_of_three_layers_are_those_of_the_manifold_of_their_rank(chosen):
    layers, target = problems.linear_point(chosen, (4, 2, 2, 3))
    expected = problems.baldi_hornik(chosen, 3, 2)
    kind, index, _ = named(problems.linear, layers, target, **WIDER)
    assert index == (expected, expected)
    assert kind == ("saddle" if expected else "minimum")


@pytest.mark.stress
@pytest.mark.invariance
def test_the_measures_are_those_of_the_dense_certificate():
    """At a point on the way, where none of them is 0."""
    layers, target = problems.linear_point([0, 2], (4, 2, 2, 3))
    random = np.random.default_rng(3)
    moved = [w + 0.01 * jnp.asarray(random.normal(size=w.shape)) for w in layers]
    ours = named(problems.linear, moved, target, **WIDER)[2].certificate
    theirs = curvature.certify(problems.linear, moved, target)
    for name in ("loss", "gradient_norm", "parameter_norm", "alignment"):
        expected = getattr(theirs, name)
        np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-9)
    for name in ("newton_step", "fall", "tail"):
        expected = getattr(theirs, name)
        np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-3)
    ends = np.r_[:8, -8:0]
    expected = np.asarray(theirs.eigenvalues)[ends]
    np.testing.assert_allclose(ours.eigenvalues, expected, atol=1e-10)


@pytest.mark.stress
@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_zero_unit_is_an_exact_saddle_with_the_index_of_the_closed_form(dtype):
    """A tanh network at a minimum, widened: n₋ is the number of singular values of the
    errors' mean that exceed the penalty's curvature.
    """
    start, batch = problems.network_start(0)
    search = curvature.saddle_free_newton(problems.network, start, batch)
    first, second = search.params
    wide = [jnp.pad(first, ((0, 0), (0, 1))), jnp.pad(second, ((0, 1), (0, 0)))]
    inputs, targets = map(np.asarray, batch)
    outputs = np.tanh(inputs @ np.asarray(first)) @ np.asarray(second)
    errors = (outputs - targets) * 2 / targets.size
    singular = np.linalg.svd(errors.T @ inputs, compute_uv=False)
    expected = int(np.sum(singular > 2e-2))
    assert expected > 0
    with jax.enable_x64(dtype is np.float64):
        cast = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), dtype), (wide, batch))
        kind, index, found = named(problems.network, *cast, depth=42)
    assert kind == "saddle" and index == (expected, expected)
    lowest = 2e-2 - singular[0]
    np.testing.assert_allclose(found.certificate.eigenvalues[0], lowest, rtol=1e-4)
