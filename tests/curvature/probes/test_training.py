"""Probes inside a training, compared with dense float64 matrices at every call."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn, problem, tree
from jaxml.curvature import probes
from jaxml.learn import Hyper
from jaxml.types import Batch

CALLS, EVERY, RUNS, COUNT = 12, 2, 2, 3
DRAW = np.random.default_rng(0)
INPUTS, TARGETS = DRAW.normal(size=(24, 4)), DRAW.integers(3, size=24)
HYPER = Hyper(lr=0.02, second_moment=0.99)
DEEP = 5


def objective(params, batch):
    """Cross-entropy of a tanh network 4-3-3."""
    logits = jnp.tanh(batch.inputs @ params["first"]) @ params["second"]
    chosen = jnp.take_along_axis(logits, batch.targets[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - chosen)


def start(key):
    shapes = {"first": jnp.zeros((4, 3), float), "second": jnp.zeros((3, 3), float)}
    return tree.random_like(shapes, key), ()


def loss(params, model_state, batch, key):
    del key
    return objective(params, batch), model_state


def after(train, gradient):
    chain = learn.adam(train.hyper)
    return learn.update(chain, gradient, train.opt_state, train.params)[0]


def diagonal(train):
    """√v̂ + ε, read from Adam's state."""
    _, rules, _ = train.opt_state
    decay, epsilon = train.hyper.second_moment, train.hyper.epsilon
    past = 1 - decay ** rules.step.astype(float)
    root = [jnp.sqrt(v / past) + epsilon for _, (v,) in rules.states]
    return jax.tree.unflatten(jax.tree.structure(train.params), root)


def forgetting(state, train):
    """The deeper probe that starts where its first call did."""
    _, seen = DEEPER.apply(state, train)
    return state, seen


def seeing(state, train):
    return state, (train.params, train.opt_state)


OWN, SCALED = probes.own_data, probes.preconditioned_sharpness
DEEPER = probes.sharpness(objective, OWN, depth=DEEP)
SHARPNESS = probes.sharpness(objective, OWN)
WATCHED = {
    "seen": probes.Probe(lambda params: (), seeing, probes.Cost(0, 0)),
    "sharpness": SHARPNESS,
    "response": SCALED(objective, OWN, probes.response(after), depth=DEEP),
    "cold": DEEPER._replace(apply=forgetting),
    "lowest": probes.negative_curvature(objective, OWN),
    "top": probes.top_subspace(objective, OWN, count=COUNT, depth=7),  # exact
    "divided": SCALED(objective, OWN, probes.divided_by(diagonal), depth=DEEP),
    "norms": probes.layer_norms(objective, OWN, after),
    "along": probes.directional_sharpness(objective, OWN, after),
    "since": probes.gradient_cosine(objective, OWN),
    "step": probes.step_cosine(objective, OWN, after),
}


class Watching(NamedTuple):
    """What the runs observed, and the dense Hessian at every call."""

    observed: Any
    hessians: np.ndarray


def swept(lanes):
    """What a sweep over seeds observes: a user's six lines."""
    data = problem.examples(jnp.asarray(INPUTS, float), jnp.asarray(TARGETS))
    watch = probes.together(WATCHED)
    plan = learn.training(
        start, loss, learn.adam, learn.full(data), steps=CALLS * EVERY, every=EVERY,
        probe=learn.Probe(watch.init, watch.apply),
    )  # fmt: skip
    grid = learn.grid(Hyper, **HYPER._asdict() | {"seed": range(RUNS)})
    return learn.sweep(plan, grid, lanes=lanes, devices=1).trace.probed


@pytest.fixture(scope="module")
def others():
    """Every probe in a training."""
    with jax.enable_x64(True):
        observed = swept(RUNS)
    params, _ = observed["seen"]
    return Watching(observed, hessians_at(raveled(params)))


def descended():
    """Gradient descent in NumPy, `[run, call, p]`."""
    point = np.random.default_rng(2).normal(size=(RUNS, 21))
    passed = []
    for _ in range(CALLS):
        passed.append(point)
        for _ in range(EVERY):
            point = point - 0.05 * gradients_at(point)
    return np.stack(passed, 1)


@jax.jit
@jax.vmap
def sharpness_along(path):
    """Of one run, from call to call as a training would."""
    data = Batch(jnp.asarray(INPUTS), jnp.asarray(TARGETS), jnp.ones(len(TARGETS)))

    def call(state, point):
        params = {"first": point[:12].reshape(4, 3), "second": point[12:].reshape(3, 3)}
        return SHARPNESS.apply(state, probes.Point(params, data=data))

    first = {"first": jnp.zeros((4, 3), float), "second": jnp.zeros((3, 3), float)}
    _, seen = jax.lax.scan(call, SHARPNESS.init(first), path)
    return seen


def check_watched(seen, exact):
    """Bounded by its residual at every call."""
    distance = np.min(np.abs(exact - seen.value[..., None]), axis=-1)
    assert np.all(distance <= seen.residual * (1 + 1e-6) + 1e-12)


def check_close(seen, exact):
    """Within 0.1 percent as a rule, and 2 where two eigenvalues cross."""
    error = (exact - seen) / np.abs(exact)
    assert np.all(error > -1e-12) and np.median(error) < 1e-3 and np.max(error) < 0.02


def last(values):
    """Of the calls by which the vectors have come along."""
    return values[:, -4:]


def answer_of_adam(opt_state):
    """-Δθ for a gradient of 1, second moments being those after a gradient of 0."""
    _, rules, _ = opt_state
    v, t = flat(rules), rules.step[..., None] + 1
    root = np.sqrt(HYPER.second_moment * v / (1 - HYPER.second_moment**t))
    beta = HYPER.momentum
    return HYPER.lr * (1 - beta) / (1 - beta**t) / (root + HYPER.epsilon)


def flat(rules):
    """Adam's v, `[run, call, p]`."""
    return np.concatenate(
        [v.reshape(RUNS, CALLS, -1) for _, (v,) in rules.states], axis=-1
    )


def scaled(hessians, inverse):
    """The eigenvalues of P^-½ H P^-½."""
    root = np.sqrt(inverse)
    return np.linalg.eigvalsh(root[..., None] * hessians * root[..., None, :])


@pytest.mark.oracle
def test_sharpness_along_a_path_is_that_of_the_dense_hessian():
    path = descended()
    exact = np.linalg.eigvalsh(hessians_at(path))
    with jax.enable_x64(True):
        seen = jax.tree.map(np.asarray, sharpness_along(path))
    check_watched(seen, exact)
    check_close(last(seen.value), last(exact[..., -1]))


@pytest.mark.stress
@pytest.mark.oracle
def test_sharpness_in_a_training_is_that_of_the_dense_hessian(others):
    exact, seen = np.linalg.eigvalsh(others.hessians), others.observed["sharpness"]
    check_watched(seen, exact)
    check_close(last(seen.value), last(exact[..., -1]))


@pytest.mark.stress
@pytest.mark.oracle
def test_a_warm_start_needs_fewer_products_than_a_cold_one(others):
    warm, cold = (others.observed[name].residual for name in ("sharpness", "cold"))
    costs = [WATCHED[name].cost for name in ("sharpness", "cold")]
    assert costs == [probes.Cost(1, 3), probes.Cost(1, 5)]
    assert np.median(warm[:, 4:] / cold[:, 4:]) < 0.3


@pytest.mark.stress
@pytest.mark.oracle
def test_preconditioned_sharpness_by_the_answer_to_a_gradient(others):
    _, opt_state = others.observed["seen"]
    exact = scaled(others.hessians, answer_of_adam(opt_state))
    seen = others.observed["response"]
    check_watched(seen, exact)
    check_close(last(seen.value), last(exact[..., -1]))


@pytest.mark.stress
@pytest.mark.oracle
def test_preconditioned_sharpness_by_a_diagonal(others):
    _, (_, rules, _) = others.observed["seen"]
    past = 1 - HYPER.second_moment ** rules.step[..., None]
    exact = scaled(others.hessians, 1 / (np.sqrt(flat(rules) / past) + HYPER.epsilon))
    seen = others.observed["divided"]
    check_watched(seen, exact)
    check_close(last(seen.value), last(exact[..., -1]))


@pytest.mark.stress
@pytest.mark.oracle
def test_negative_curvature_is_that_of_the_dense_hessian(others):
    exact, seen = np.linalg.eigvalsh(others.hessians), others.observed["lowest"]
    check_watched(seen, exact)
    np.testing.assert_allclose(last(seen.value), last(exact[..., 0]), atol=1e-4)
    vector = raveled(seen.vector)
    np.testing.assert_allclose(np.linalg.norm(vector, axis=-1), 1)
    np.testing.assert_allclose(bent(vector, others.hessians), seen.value, rtol=1e-9)


@pytest.mark.stress
@pytest.mark.oracle
def test_the_gradient_in_the_top_subspace(others):
    exact, vectors = np.linalg.eigh(others.hessians)
    gradients = gradients_of(others)
    inside = np.einsum("rcp,rcpk->rck", gradients, vectors[..., -COUNT:])
    fraction = np.sum(inside**2, -1) / np.sum(gradients**2, -1)
    seen = others.observed["top"]
    np.testing.assert_allclose(seen.fraction, fraction, rtol=1e-6)
    np.testing.assert_allclose(seen.values, exact[..., : -COUNT - 1 : -1])


@pytest.mark.stress
@pytest.mark.oracle
def test_lengths_angles_and_directional_curvature(others):
    seen, gradients = others.observed, gradients_of(others)
    moved = moved_by(others, gradients)
    for kind, whole in (("gradients", gradients), ("updates", moved)):
        squares = [norm**2 for norm in jax.tree.leaves(getattr(seen["norms"], kind))]
        np.testing.assert_allclose(sum(squares), np.sum(whole**2, -1), rtol=1e-6)
    params, _ = seen["seen"]
    first = np.linalg.norm(params["first"], axis=(-2, -1))
    np.testing.assert_allclose(seen["norms"].weights["first"], first)
    for kind, whole in (("gradient", gradients), ("update", moved)):
        exact = bent(whole, others.hessians) / np.sum(whole**2, -1)
        np.testing.assert_allclose(getattr(seen["along"], kind), exact, rtol=1e-6)
    cosine = cosines(gradients[:, 1:], gradients[:, :-1])
    np.testing.assert_allclose(seen["since"][:, 1:], cosine, rtol=1e-9)
    assert np.all(np.isnan(seen["since"][:, 0]))
    ahead = gradients_at(raveled(params) + moved)
    np.testing.assert_allclose(seen["step"], cosines(gradients, ahead), rtol=1e-9)


def raveled(params):
    """A pytree as vectors, `[run, call, p]`."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
    return np.concatenate([leaf.reshape(RUNS, CALLS, -1) for leaf in leaves], axis=-1)


def bent(vectors, hessians):
    return np.einsum("rci,rcij,rcj->rc", vectors, hessians, vectors)


def cosines(x, y):
    lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    return np.sum(x * y, -1) / lengths


def gradients_of(watching):
    params, _ = watching.observed["seen"]
    return gradients_at(raveled(params))


def gradients_at(vectors):
    """The equations of back-propagation, at parameters `[run, call, p]`."""
    first, second = vectors[..., :12].reshape(-1, 4, 3), vectors[..., 12:]
    found = []
    for inner, outer in zip(first, second.reshape(-1, 3, 3), strict=True):
        hidden = np.tanh(INPUTS @ inner)
        powers = np.exp(hidden @ outer)
        error = powers / powers.sum(1, keepdims=True) - np.eye(3)[TARGETS]
        back = (error @ outer.T) * (1 - hidden**2)
        parts = INPUTS.T @ back, hidden.T @ error
        found.append(np.concatenate([part.ravel() for part in parts]) / len(TARGETS))
    return np.reshape(found, vectors.shape)


def hessians_at(vectors):
    """The derivative of these equations, by complex steps: exact to rounding."""
    tiny, size = 1e-30, vectors.shape[-1]
    steps = tiny * 1j * np.eye(size)
    columns = [gradients_at(vectors + step).imag / tiny for step in steps]
    return np.stack(columns, -1)


def moved_by(watching, gradients):
    """Adam's next update by these gradients."""
    _, (_, rules, _) = watching.observed["seen"]
    m = np.concatenate(
        [m.reshape(RUNS, CALLS, -1) for (m,), _ in rules.states], axis=-1
    )
    beta, decay, t = HYPER.momentum, HYPER.second_moment, rules.step[..., None] + 1
    m = (beta * m + (1 - beta) * gradients) / (1 - beta**t)
    v = (decay * flat(rules) + (1 - decay) * gradients**2) / (1 - decay**t)
    return -HYPER.lr * m / (np.sqrt(v) + HYPER.epsilon)


@pytest.mark.stress
@pytest.mark.invariance
def test_runs_together_observe_what_each_does_alone(others):
    with jax.enable_x64(True):
        alone = swept(1)
    for name in ("sharpness", "response"):
        together = others.observed[name].value
        np.testing.assert_allclose(alone[name].value, together, rtol=1e-7)


def slope(params, batch):
    """A quadratic of curvature 2, whatever the batch."""
    del batch
    return jnp.sum(params**2)


def bowl_loss(params, model_state, batch, key):
    del key
    return slope(params, batch), model_state


THRESHOLDS = {
    learn.nag: lambda beta: 2 * (1 + beta) ** 2 / (1 + 2 * beta),
    learn.sgd: lambda beta: 2.0,
    learn.momentum: lambda beta: 2 * (1 + beta),
    learn.averaged_momentum: lambda beta: 2 * (1 + beta),
}
FAST, *SLOW = THRESHOLDS
FAMILIES = [FAST, *(pytest.param(f, marks=pytest.mark.stress) for f in SLOW)]


@pytest.mark.oracle
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_descent_is_stable_just_below_its_threshold_alone(family):
    beta = 0.5
    edge = THRESHOLDS[family](beta)

    def stepped(train, gradient):
        chain = family(train.hyper)
        return learn.update(chain, gradient, train.opt_state, train.params)[0]

    watch = SCALED(slope, probes.own_data, probes.response(stepped), depth=2)

    @jax.jit
    def watched_run(lr):
        hyper = Hyper(lr=lr, momentum=beta)
        params, chain = jnp.ones(1), family(hyper)
        state = learn.begin(chain, params)
        _, seen = watch.apply(watch.init(params), probes.Point(params, state, hyper))

        def step(carry, _):
            return learn.update(chain, 2 * carry[0], carry[1], carry[0]), None

        (end, _), _ = jax.lax.scan(step, (params, state), length=200)
        return seen.value, jnp.abs(end[0])

    unit = float(watched_run(1.0)[0])  # per unit of the rate
    below, low = watched_run(0.97 * edge / unit)
    above, high = watched_run(1.03 * edge / unit)
    np.testing.assert_allclose([below, above], [0.97 * edge, 1.03 * edge], rtol=1e-5)
    assert low < 1 < 10 < high


TRACES = []


def quartic(params, batch):
    del batch
    TRACES.append(1)
    return jnp.sum(params**4)


WATCH = probes.sharpness(quartic, OWN, depth=2)
POINTS = np.float32([[1, 2, 3, 4], [4, 3, 3, 0]])


def watched_first(params):
    return WATCH.apply(WATCH.init(params), probes.Point(params))


@pytest.mark.compiles_once
def test_another_call_outside_a_training_traces_nothing():
    state, _ = watched_first(POINTS[0])
    before = len(TRACES)
    for _ in range(4):
        state, seen = WATCH.apply(state, probes.Point(POINTS[0] / 4))
    assert len(TRACES) == before
    np.testing.assert_allclose(seen.value, 12.0, rtol=1e-3)


@pytest.mark.stress
@pytest.mark.invariance
def test_points_mapped_observe_what_each_does_alone():
    _, together = jax.jit(jax.vmap(watched_first))(POINTS)
    alone = [watched_first(each)[1].value for each in POINTS]
    np.testing.assert_allclose(together.value, alone, 1e-5)


@pytest.mark.invariance
def test_a_point_that_is_not_finite_does_not_spoil_the_next_call():
    params = np.full(4, np.inf, np.float32)
    first = WATCH.init(params)
    state, seen = WATCH.apply(first, probes.Point(params))
    assert np.isnan(seen.value)
    np.testing.assert_array_equal(state, first)


WITHOUT_RESPONSE = {"lars", "lars_inside", "lamb", "lion", "muon"}


@pytest.mark.stress
@pytest.mark.identity
@pytest.mark.parametrize("name", sorted(learn.OPTIMIZERS.keys() - WITHOUT_RESPONSE))
def test_the_response_of_a_family_is_symmetric_and_positive(name):
    draw = np.random.default_rng(1)
    with jax.enable_x64(True):
        family, hyper = learn.OPTIMIZERS[name], Hyper(lr=0.1)
        params = {"w": jnp.asarray(draw.normal(size=(2, 3))), "b": jnp.ones(3)}
        state = learn.begin(family(hyper), params)
        for _ in range(8):
            gradient = jax.tree.map(
                lambda leaf: jnp.asarray(draw.normal(size=leaf.shape)), params
            )
            gradient["w"] = gradient["w"].at[0, 0].set(0)  # a weight without a gradient
            params, state = learn.update(family(hyper), gradient, state, params)

        def stepped(train, gradient):
            chain = family(train.hyper)
            return learn.update(chain, gradient, train.opt_state, train.params)[0]

        scaling = probes.response(stepped)(probes.Point(params, state, hyper))
        flat, unravel = tree.ravel(params)
        columns = [tree.ravel(scaling(unravel(e)))[0] for e in jnp.eye(flat.size)]
        matrix = np.asarray(columns)
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-9, atol=1e-12)
    assert np.all(np.linalg.eigvalsh(matrix) > 0)
