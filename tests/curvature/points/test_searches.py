"""Searches without a matrix: where they end, and agreement with the dense ones."""

import importlib.util
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature, tree
from jaxml.curvature import OUTCOMES
from jaxml.curvature.lanczos import Krylov
from jaxml.curvature.points import subspace
from jaxml.types import InputError

SPEC = importlib.util.spec_from_file_location(
    "problems", Path(__file__).with_name("problems.py")
)
problems = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(problems)


METHODS = {
    "newton": curvature.newton_minres,
    "norm": curvature.gradient_norm_minimisation,
    "absolute": curvature.saddle_free_newton,
    "following 0": partial(curvature.mode_following, index=0),
    "following 1": partial(curvature.mode_following, index=1),
    "following 3": partial(curvature.mode_following, index=3),
}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.invariance
def test_what_is_no_search_is_refused():
    bowl = lambda w, _: jnp.sum(w**2)  # noqa: E731  # of one test
    with pytest.raises(InputError, match="iterations = 0"):
        curvature.newton_minres(bowl, jnp.ones(2), None, iterations=0)
    with pytest.raises(InputError, match="depth = 0"):
        curvature.saddle_free_newton(bowl, jnp.ones(2), None, depth=0)
    with pytest.raises(InputError, match="3 modes to climb"):
        curvature.mode_following(bowl, jnp.ones(2), None, index=3)
    mixed = [jnp.ones(2, jnp.float32), jnp.ones(2)]
    with pytest.raises(InputError, match="mix"):
        curvature.gradient_norm_minimisation(bowl, mixed, None)


@pytest.mark.invariance
@pytest.mark.parametrize("name", ["newton", "norm", "absolute", "following 1"])
def test_every_search_keeps_the_precision_of_its_parameters(name):
    """float32, among numbers of float64."""
    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, np.float32), problems.network_start(0)
    )
    search = partial(METHODS[name], problems.network)
    with jax.enable_x64(False):
        found = jax.eval_shape(search, *shapes)
    leaves = [*found.params, found.gradient_norm]
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}


def wells(w, _):
    """Two minima at x = ±1, and between them a saddle at 0, all with y = 0."""
    return (w[0] ** 2 - 1) ** 2 / 4 + w[1] ** 2


@pytest.mark.oracle
def test_a_climbed_mode_leads_to_the_saddle_between_two_wells():
    effort = curvature.Effort(20, 2, 2)
    start = jnp.array([0.3, -0.5])
    found = curvature.mode_following(wells, start, None, index=1, effort=effort)
    np.testing.assert_allclose(found.params, 0, rtol=0, atol=1e-12)
    assert found.gradient_norm < 1e-12
    for point, made in ((start, 3), (jnp.zeros(2), 0)):
        short = curvature.Effort(3, 2, 2)
        found = curvature.mode_following(wells, point, None, index=1, effort=short)
        assert found.iterations == made


@pytest.mark.oracle
def test_iterations_are_those_that_were_made():
    """As many as steps of the radius lead to the end of a quadratic."""
    bowl = lambda w, _: jnp.sum(w**2)  # noqa: E731  # one function, one program
    for start, made in (([3.0, 4.0], 3), ([0.3, 0.0], 1), ([0.0, 0.0], 0)):
        start = jnp.array(start)
        found = curvature.newton_minres(bowl, start, None, iterations=3)
        assert found.iterations == made
        left = max(0.0, float(tree.norm(start)) - made)
        np.testing.assert_allclose(tree.norm(found.params), left, atol=1e-12)


@pytest.mark.oracle
def test_damped_steps_are_those_of_numpy():
    """Of |T| + μI, and of least squares with the remainder's row and μI below T."""
    matrix = np.array([[1.0, 2.0, 0.0], [2.0, -3.0, 0.5], [0.0, 0.5, 0.1]])
    remainder, length = np.array([0.3, -0.4, 1.2]), 0.7
    krylov = Krylov(*map(jnp.asarray, (np.eye(3), matrix, remainder)))
    tall = np.vstack([matrix, [0, 0, np.linalg.norm(remainder)]])
    values, vectors = np.linalg.eigh(matrix)
    size = jnp.asarray(length)
    absolute = jax.jit(subspace._absolute)(krylov, size)
    squares = jax.jit(subspace._least_squares)(krylov, size)
    assert absolute.norm == pytest.approx(np.abs(values).max())
    assert squares.norm == pytest.approx(np.linalg.norm(tall, 2))
    for place, part in enumerate(np.geomspace(np.finfo(float).eps ** 0.75, 10, 16)):
        damped = vectors @ np.diag(np.abs(values) + part * absolute.norm) @ vectors.T
        step = np.linalg.solve(damped, [-length, 0, 0])
        np.testing.assert_allclose(absolute.coordinates[place], step, rtol=1e-9)
        below = part * float(squares.norm) * np.eye(3)
        ahead = np.array([-length, 0, 0, 0, 0, 0, 0])
        step = np.linalg.lstsq(np.vstack([tall, below]), ahead)[0]
        np.testing.assert_allclose(squares.coordinates[place], step, rtol=1e-8)


def certified(search, batch):
    certificate = curvature.certify(problems.network, search.params, batch)
    negative = int(curvature.signs(certificate).negative)
    return OUTCOMES[int(curvature.outcome(certificate))], negative


INDICES = {"absolute": 0, "following 0": 0, "following 1": 1, "following 3": 3}
STARTS = range(8)
LEAST = {
    "newton": 2,
    "norm": 1,
    "absolute": 6,
    "following 0": 6,
    "following 1": 4,
    "following 3": 4,
}
"""Of the starts, from how many a search must end in a certified point: all when this
was written with index 0, where nothing but a minimum attracts; 6 of 8 with index 1 and
3, which need not lie downhill of a start; 6 and 2 where any index counts and a small
gradient alone may hold the search up. Other rounding may move a few of them.
"""


@pytest.mark.stress
@pytest.mark.oracle
@pytest.mark.parametrize("name", METHODS)
def test_the_dense_certificate_passes_what_a_search_has_found(name):
    """Not from every start; but what it calls a minimum or a saddle has the index that
    was asked for, and a gradient of 0.
    """
    found = []
    for seed in STARTS:
        start, batch = problems.network_start(seed)
        search = METHODS[name](problems.network, start, batch)
        kind, index = certified(search, batch)
        if kind in ("minimum", "saddle"):
            assert search.gradient_norm < 1e-12
            assert index == INDICES.get(name, index)
            assert kind == ("saddle" if index else "minimum")
            found.append(seed)
    assert len(found) >= LEAST[name], found


@pytest.mark.stress
@pytest.mark.invariance
@pytest.mark.parametrize("index", [0, 2])
def test_near_a_point_mode_following_ends_where_the_dense_method_does(index):
    start, batch = problems.network_start(0)
    dense = partial(curvature.eigenvector_following, index=index)
    there = dense(problems.network, start, batch).params
    random = np.random.default_rng(5)
    near = [w + 1e-3 * jnp.asarray(random.normal(size=w.shape)) for w in there]
    found = curvature.mode_following(problems.network, near, batch, index=index)
    assert found.gradient_norm < 1e-12
    for ours, theirs in zip(found.params, there, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-8)


@pytest.mark.stress
@pytest.mark.oracle
def test_ten_thousand_parameters_are_searched_certified_and_left():
    """A tanh network of 10,040 parameters: a minimum, widened to an exact saddle whose
    index has a closed form, left with a confirmed drop.
    """
    start, batch = problems.network_start(0, (2000, 5, 8), examples=64)
    found = curvature.stationary_point(
        problems.network,
        start,
        batch,
        method=partial(curvature.saddle_free_newton, iterations=200, radius=3.0),
        depth=120,
        key=jax.random.key(1),
    )
    assert found.outcome == "minimum"
    first, second = found.search.params
    wide = [jnp.pad(first, ((0, 0), (0, 1))), jnp.pad(second, ((0, 1), (0, 0)))]
    inputs, targets = map(np.asarray, batch)
    outputs = np.tanh(inputs @ np.asarray(first)) @ np.asarray(second)
    mean = ((outputs - targets) * 2 / targets.size).T @ inputs
    expected = int(np.sum(np.linalg.svd(mean, compute_uv=False) > 2e-2))
    saddle = curvature.stationary_point(
        problems.network,
        wide,
        batch,
        method=curvature.stay,
        count=12,
        depth=120,
        key=jax.random.key(2),
    )
    assert expected > 0
    assert saddle.outcome == "saddle" and saddle.negative[0] == expected
    assert saddle.escape.drop > 0
