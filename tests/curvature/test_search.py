"""Critical points: found where theory says they are, named by what they are, embedded
with their spectrum.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature, tree
from jaxml.curvature import (
    AT_INFINITY,
    FLAT,
    GRADIENT_FLAT,
    KINK,
    MINIMUM,
    NOT_CONVERGED,
    OUTCOMES,
    SADDLE,
    Candidates,
    Certificate,
)


def cosines(params, batch):
    """Σ cos: index k critical points at multiples of π, one for every pattern of k odd
    ones.
    """
    del batch
    return -jnp.sum(jnp.cos(params["x"])) / 2


def bilinear(params, batch):
    del batch
    return (1 - params["x"][0] * params["x"][1]) ** 2


def starts(low, high, shape, seed=0):
    return {"x": jnp.asarray(np.random.default_rng(seed).uniform(low, high, shape))}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("index", [0, 1, 3])
def test_eigenvector_following_reaches_the_index_that_it_climbs_to(index):
    method = partial(curvature.eigenvector_following, index=index)
    found = curvature.search(
        method, cosines, starts(-1.0, 1.0, (6, 3), seed=index), None
    )
    assert (
        curvature.outcome(found.certificate) == (SADDLE if index else MINIMUM)
    ).all()
    assert (curvature.signs(found.certificate).negative == index).all()
    turns = np.asarray(found.params) / np.pi
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-7)
    assert (np.sum(np.round(turns) % 2 == 1, axis=1) == index).all()


@pytest.mark.invariance
def test_the_index_may_be_traced():
    one = jax.jit(
        lambda p, k: curvature.eigenvector_following(cosines, p, None, index=k).params[
            "x"
        ]
    )
    point = {"x": jnp.array([0.3, -0.2, 0.1])}
    for index in range(3):
        fixed = curvature.eigenvector_following(
            cosines, point, None, index=index
        ).params["x"]
        np.testing.assert_allclose(one(point, index), fixed, atol=1e-12)
    assert one._cache_size() == 1


@pytest.mark.device
@pytest.mark.oracle
def test_gradient_norm_descent_finds_saddles_and_minima_of_the_toy():
    found = curvature.search(
        curvature.gradient_norm_descent, bilinear, starts(-0.9, 1.6, (24, 2)), None
    )
    kind = curvature.outcome(found.certificate)
    w = np.asarray(found.params)
    assert {MINIMUM, SADDLE} <= set(kind.tolist())
    np.testing.assert_allclose(w[kind == SADDLE], 0, atol=1e-8)
    np.testing.assert_allclose(w[kind == MINIMUM].prod(axis=1), 1, atol=1e-7)


@pytest.mark.identity
def test_certified_keeps_the_rows_of_critical_points():
    found = curvature.search(
        curvature.stay, cosines, {"x": jnp.array([[0.0, np.pi], [0.4, 0.4]])}, None
    )
    assert curvature.certified(found).params.tolist() == [[0.0, np.pi]]


@pytest.mark.device
@pytest.mark.oracle
def test_a_certificate_measures_what_numpy_measures():
    matrix = np.diag([3.0, -1.0, 0.5])
    point, shift = np.array([0.2, 0.1, -0.3]), np.array([0.1, 0.0, 0.2])

    def quadratic(params, batch):
        difference = params["x"] - jnp.asarray(shift)
        return 0.5 * difference @ jnp.asarray(matrix) @ difference

    c = curvature.certify(quadratic, {"x": jnp.asarray(point)}, None)
    gradient = matrix @ (point - shift)
    size = np.linalg.norm(gradient)
    np.testing.assert_allclose(c.loss, 0.5 * (point - shift) @ gradient, rtol=1e-12)
    np.testing.assert_allclose(c.gradient_norm, size, rtol=1e-12)
    np.testing.assert_allclose(c.parameter_norm, np.linalg.norm(point), rtol=1e-12)
    newton = np.linalg.norm(point - shift) / (1 + np.linalg.norm(point))
    np.testing.assert_allclose(c.newton_step, newton, rtol=1e-12)
    np.testing.assert_allclose(
        c.alignment, np.linalg.norm(matrix @ gradient) / (3 * size), rtol=1e-12
    )
    np.testing.assert_allclose(c.eigenvalues, [-1, 0.5, 3], rtol=1e-12)
    assert c.jump < 1e-6


def named(objective, *coordinates):
    found = curvature.search(
        curvature.stay, objective, {"x": jnp.array([coordinates])}, None
    )
    return OUTCOMES[int(curvature.outcome(found.certificate)[0])]


@pytest.mark.device
@pytest.mark.oracle
def test_each_outcome_is_named_on_a_function_that_has_it():
    """|x| has a kink, e^-x its minimum at infinity; near 0 the gradient of x + x³ is
    flat.
    """

    def flat(params, batch):
        x, y = params["x"]
        return x + x**3 + 5 * y**2

    assert named(bilinear, 2.0, 0.5) == "minimum"
    assert named(bilinear, 0.0, 0.0) == "saddle"
    assert (
        named(lambda p, _: jnp.sum(jnp.abs(p["x"]) + p["x"] ** 2), 1e-9, 1.0) == "kink"
    )
    assert named(flat, 1e-4, 0.0) == "gradient-flat"
    assert named(lambda p, _: jnp.sum(jnp.exp(-p["x"])), 30.0, 28.0) == "at infinity"
    assert named(bilinear, 1.3, -0.4) == "not converged"


@pytest.mark.oracle
def test_a_stationary_point_on_a_kink_is_no_saddle():
    """v relu(w) at 0: the gradient vanishes and the Hessian of either side has or has
    not a way out.
    """

    def hinged(params, batch):
        del batch
        v, w, y = params["x"]
        return 1e-2 * v * jax.nn.relu(w) + v**2 + w**2 + y**2

    def bent(params, batch):
        del batch
        v, w, y = params["x"]
        return -3 * v * jax.nn.relu(w) + v**2 + w**2 + y**2

    for side in (1e-20, -1e-20):
        assert named(hinged, 0.0, side, 0.0) == "kink"
        assert named(bent, 0.0, side, 0.0) == "kink"
    assert (
        named(lambda p, b: hinged(p, b) + 0.1 * p["x"][1], 0.0, -0.05, 0.0) == "minimum"
    )
    found = curvature.search(
        curvature.stay, bent, {"x": jnp.array([[0.0, 1e-20, 0.0]])}, None
    )
    blind = curvature.Criteria(jump=np.inf)
    assert curvature.outcome(found.certificate, blind).tolist() == [SADDLE]
    assert (
        len(curvature.certified(found).params) == 0
        and len(curvature.certified(found, blind).params) == 1
    )


@pytest.mark.oracle
def test_the_jump_is_the_change_of_the_hessian_along_the_step():
    """(relu(x)² - x²) / 2 has curvature -1 left of 0 and 0 right of it; x⁴ / 12 gives
    d²/3x².
    """

    def jump(objective, x, **settings):
        return curvature.certify(
            objective, {"x": jnp.array([x])}, None, **settings
        ).jump

    half = jump(lambda p, _: jnp.sum(jax.nn.relu(p["x"]) ** 2 - p["x"] ** 2) / 2, 0.0)
    np.testing.assert_allclose(half, 0.5)
    smooth = jump(lambda p, _: jnp.sum(p["x"] ** 4) / 12, 1.0, reach=1e-3)
    np.testing.assert_allclose(smooth, (2e-3) ** 2 / 3, rtol=1e-5)


@pytest.mark.identity
def test_what_is_not_finite_is_not_converged():
    nan = np.full(2, np.nan)
    certificate = Certificate(nan, nan, nan, nan, nan, nan, np.full((2, 3), np.nan))
    assert (curvature.outcome(certificate) == NOT_CONVERGED).all()
    codes = [MINIMUM, SADDLE, KINK, GRADIENT_FLAT, AT_INFINITY, NOT_CONVERGED, FLAT]
    assert codes == list(range(len(OUTCOMES)))


def softmax_network(decay):
    """A hand-written tanh network with cross-entropy, in parameters shaped as
    `zero_unit` reads them.
    """

    def objective(params, batch):
        inputs, labels = batch
        hidden = jnp.tanh(inputs @ params["a"]["kernel"] + params["a"]["bias"][None])
        logits = hidden @ params["b"]["kernel"] + params["b"]["bias"][None]
        loss = (
            jax.nn.logsumexp(logits, axis=1)
            - jnp.take_along_axis(logits, labels[:, None], 1)[:, 0]
        )
        return jnp.mean(loss) + decay * tree.vdot(params, params)

    return objective


@pytest.mark.stress
@pytest.mark.oracle
def test_a_zero_unit_makes_a_minimum_a_saddle_with_the_spectrum_of_the_closed_form():
    """The errors and their correlation with the inputs are NumPy's; the wide Hessian is
    JAX's own.
    """
    random, decay = np.random.default_rng(1), 1e-3
    inputs, labels = random.normal(size=(30, 3)), random.integers(0, 3, 30)
    batch = (jnp.asarray(inputs), jnp.asarray(labels))
    draw = lambda *shape: jnp.asarray(random.normal(size=shape))  # noqa: E731  # of one generator
    start = {
        "a": {"kernel": draw(3, 2), "bias": draw(2)},
        "b": {"kernel": draw(2, 3), "bias": draw(3)},
    }
    objective = softmax_network(decay)
    minimum = curvature.eigenvector_following(objective, start, batch, index=0)
    assert minimum.gradient_norm < 1e-12
    narrow = curvature.certify(objective, minimum.params, batch)

    a, b = minimum.params["a"], minimum.params["b"]
    w, u, v, c = (
        np.asarray(part[name]) for part in (a, b) for name in ("kernel", "bias")
    )
    logits = np.tanh(inputs @ w + u) @ v + c
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    errors = chances - np.eye(3)[labels]
    mean = errors.T @ np.hstack([inputs, np.ones((30, 1))]) / 30
    singular = np.linalg.svd(mean, compute_uv=False)
    added = curvature.zero_unit_eigenvalues(errors, inputs, np.ones(30))
    np.testing.assert_allclose(added, np.sort([*singular, *-singular, 0.0]), atol=1e-14)

    wide = curvature.zero_unit(minimum.params, "a", "b")
    exact = np.asarray(
        jax.hessian(lambda x: objective(tree.ravel(wide)[1](x), batch))(
            tree.ravel(wide)[0]
        )
    )
    theory = np.sort([*narrow.eigenvalues, *(np.asarray(added) + 2 * decay)])
    np.testing.assert_allclose(np.linalg.eigvalsh(exact), theory, atol=1e-12)
    rows = jax.tree.map(lambda leaf: leaf[None], wide)
    found = curvature.search(curvature.stay, objective, rows, batch)
    assert curvature.outcome(found.certificate).tolist() == [SADDLE]
    assert curvature.signs(found.certificate).negative.tolist() == [np.sum(theory < 0)]


@pytest.mark.identity
def test_candidates_are_rows():
    found = curvature.search(curvature.stay, bilinear, starts(-1, 1, (5, 2)), None)
    assert isinstance(found, Candidates)
    assert found.params.shape == (5, 2)
    assert found.certificate.eigenvalues.shape == (5, 2)


@pytest.mark.oracle
def test_iterations_are_those_that_were_made():
    """Newton's step is exact on a quadratic: as many iterations as steps of the radius
    lead there.
    """

    def bowl(params, _):
        return jnp.sum(params["x"] ** 2)

    for distance, radius, expected in ((1.0, 2.0, 1), (1.0, 0.3, 4), (0.0, 0.3, 0)):
        found = curvature.eigenvector_following(
            bowl, {"x": jnp.array([distance, 0.0])}, None, index=0, radius=radius
        )
        assert int(found.iterations) == expected
        np.testing.assert_allclose(found.params["x"], 0, atol=1e-15)
    spent = curvature.eigenvector_following(
        bowl, {"x": jnp.ones(2)}, None, index=0, radius=0.1, iterations=3
    )
    assert int(spent.iterations) == 3
    np.testing.assert_allclose(tree.norm(spent.params), np.sqrt(2) - 0.3, rtol=1e-12)
    free = curvature.gradient_norm_descent(
        bowl, {"x": jnp.ones(2)}, None, radius=0.1, iterations=3
    )
    assert int(free.iterations) == 3
    assert (
        int(curvature.gradient_norm_descent(bowl, {"x": jnp.zeros(2)}, None).iterations)
        == 0
    )
