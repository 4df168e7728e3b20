"""Probes inside a training, compared with dense float64 matrices at every call."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature, learn, problem, tree
from jaxml.curvature import probes
from jaxml.learn import Hyper

CALLS, EVERY, RUNS, COUNT = 12, 2, 2, 3
DRAW = np.random.default_rng(0)
INPUTS, TARGETS = DRAW.normal(size=(24, 4)), DRAW.integers(3, size=24)
HYPER = Hyper(lr=0.02, second_moment=0.99)


def objective(params, batch):
    """Cross-entropy of a tanh network 4-3-3."""
    inputs, targets = batch
    logits = jnp.tanh(inputs @ params["first"]) @ params["second"]
    chosen = jnp.take_along_axis(logits, targets[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - chosen)


def start(key):
    first, second = jax.random.split(key)
    shapes = {"first": jnp.zeros((4, 3), float), "second": jnp.zeros((3, 3), float)}
    draws = {
        name: tree.random_like(leaf, each)
        for (name, leaf), each in zip(shapes.items(), (first, second), strict=True)
    }
    return draws, ()


def loss(params, model_state, batch, key):
    del key
    return objective(params, as_batch(batch)), model_state


def as_batch(batch):
    return batch.inputs, batch.targets


def own(train):
    return as_batch(train.data)


def after(train, gradient):
    return learn.update(
        learn.adam(train.hyper), gradient, train.opt_state, train.params
    )[0]


def diagonal(train):
    """√v̂ + ε, read from Adam's state."""
    _, rules, _ = train.opt_state
    root = [
        jnp.sqrt(v / (1 - train.hyper.second_moment**rules.step)) + train.hyper.epsilon
        for _, (v,) in rules.states
    ]
    return jax.tree.unflatten(jax.tree.structure(train.params), root)


SCALED = probes.preconditioned_sharpness
WATCH = probes.together(
    {
        "sharpness": probes.sharpness(objective, own),
        "cold": probes.Probe(
            probes.sharpness(objective, own).init,
            lambda state, train: (
                state,
                probes.sharpness(objective, own, depth=5).apply(state, train)[1],
            ),
            probes.Cost(1, 5),
        ),
        "lowest": probes.negative_curvature(objective, own, depth=5),
        "top": probes.top_subspace(objective, own, count=COUNT, depth=3),
        "response": SCALED(objective, own, probes.response(after), depth=5),
        "divided": SCALED(objective, own, probes.divided_by(diagonal), depth=5),
        "norms": probes.layer_norms(objective, own, after),
        "along": probes.directional_sharpness(objective, own, after),
        "since": probes.gradient_cosine(objective, own),
        "step": probes.step_cosine(objective, own, after),
        "seen": probes.Probe(
            lambda params: (),
            lambda state, train: (state, (train.params, train.opt_state)),
            probes.Cost(0, 0),
        ),
    }
)


class Watching(NamedTuple):
    """What the runs observed, and the dense matrices at every call."""

    observed: Any
    hessians: np.ndarray
    gradients: np.ndarray
    moved: np.ndarray


def training():
    data = problem.examples(jnp.asarray(INPUTS, float), jnp.asarray(TARGETS))
    probe = learn.Probe(WATCH.init, WATCH.apply)
    return learn.training(
        start, loss, learn.adam, learn.full(data),
        steps=CALLS * EVERY, every=EVERY, probe=probe,
    )  # fmt: skip


@pytest.fixture(scope="module")
def watching():
    with jax.enable_x64(True):
        plan = training()
        grid = HYPER._replace(lr=jnp.full(RUNS, HYPER.lr), seed=jnp.arange(RUNS))

        def run(lr, seed):
            hyper = HYPER._replace(lr=lr, seed=seed)
            return plan.run(learn.first_state(plan, hyper), plan.data)[1].probed

        observed = jax.jit(jax.vmap(run))(grid.lr, grid.seed)
        params, opt_state = observed["seen"]
        batch = as_batch(plan.data)
        _, unravel = tree.ravel(jax.tree.map(lambda leaf: leaf[0, 0], params))

        def flat(vector):
            return objective(unravel(vector), batch)

        def dense(point, state):
            vector, _ = tree.ravel(point)
            gradient = jax.grad(flat)(vector)
            hyper = HYPER._replace(lr=jnp.asarray(HYPER.lr))
            there = probes.Point(point, state, hyper)
            moved, _ = tree.ravel(after(there, unravel(gradient)))
            return jax.hessian(flat)(vector), gradient, moved - vector

        dense_all = jax.jit(jax.vmap(jax.vmap(dense)))(params, opt_state)
        return jax.tree.map(np.asarray, Watching(observed, *dense_all))


def check_watched(seen, exact):
    """Bounded by its residual at every call, and exact at the last ones."""
    distance = np.min(np.abs(exact - seen.value[..., None]), axis=-1)
    assert np.all(distance <= seen.residual * (1 + 1e-6) + 1e-12)


@pytest.mark.oracle
def test_both_ends_are_those_of_the_dense_hessian(watching):
    exact = np.linalg.eigvalsh(watching.hessians)
    seen = watching.observed
    check_watched(seen["sharpness"], exact)
    check_watched(seen["lowest"], exact)
    last = np.s_[:, -4:]
    np.testing.assert_allclose(
        seen["sharpness"].value[last], exact[..., -1][last], rtol=2e-3
    )
    np.testing.assert_allclose(
        seen["lowest"].value[last], exact[..., 0][last], rtol=0, atol=2e-3
    )
    vector = np.concatenate(
        [leaf.reshape(RUNS, CALLS, -1) for leaf in jax.tree.leaves(seen["lowest"].vector)],
        axis=-1,
    )
    bent = np.einsum("rci,rcij,rcj->rc", vector, watching.hessians, vector)
    np.testing.assert_allclose(bent, seen["lowest"].value, rtol=1e-9, atol=1e-12)


@pytest.mark.oracle
def test_a_warm_start_needs_fewer_products_than_a_cold_one(watching):
    warm, cold = (watching.observed[name].residual for name in ("sharpness", "cold"))
    assert WATCH.cost.products == 3 + 5 + 5 + 9 + 5 + 5 + 2
    assert np.all(warm[:, 4:] < 0.5 * cold[:, 4:])  # 3 products against 5


@pytest.mark.oracle
def test_the_gradient_in_the_top_subspace(watching):
    _, vectors = np.linalg.eigh(watching.hessians)
    inside = np.einsum("rcp,rcpk->rck", watching.gradients, vectors[..., -COUNT:])
    fraction = np.sum(inside**2, -1) / np.sum(watching.gradients**2, -1)
    seen = watching.observed["top"]
    np.testing.assert_allclose(seen.fraction[:, -4:], fraction[:, -4:], atol=0.02)
    exact = np.linalg.eigvalsh(watching.hessians)[..., : -COUNT - 1 : -1]
    assert np.all(seen.values <= exact + 1e-12)


@pytest.mark.oracle
def test_preconditioned_sharpness_is_that_of_the_dense_matrix(watching):
    _, opt_state = watching.observed["seen"]
    _, rules, _ = opt_state
    squares = [v.reshape(RUNS, CALLS, -1) for _, (v,) in rules.states]
    v, t = np.concatenate(squares, -1), rules.step[..., None]
    beta, decay = HYPER.momentum, HYPER.second_moment
    adams = np.sqrt(v / (1 - decay**t)) + HYPER.epsilon
    rested = np.sqrt(decay * v / (1 - decay ** (t + 1))) + HYPER.epsilon
    answer = HYPER.lr * (1 - beta) / (1 - beta ** (t + 1)) / rested
    for name, inverse in (("divided", 1 / adams), ("response", answer)):
        root = np.sqrt(inverse)
        exact = np.linalg.eigvalsh(
            root[..., None] * watching.hessians * root[..., None, :]
        )
        seen = watching.observed[name]
        check_watched(seen, exact)
        np.testing.assert_allclose(
            seen.value[:, -4:], exact[..., -1][:, -4:], rtol=5e-3
        )


@pytest.mark.oracle
def test_lengths_angles_and_directional_curvature(watching):
    seen, (gradients, moved) = watching.observed, watching[2:]
    params, _ = seen["seen"]
    for kind, whole in (("gradients", gradients), ("updates", moved)):
        squares = sum(n**2 for n in jax.tree.leaves(getattr(seen["norms"], kind)))
        np.testing.assert_allclose(squares, np.sum(whole**2, -1), rtol=1e-6)
    first = np.linalg.norm(params["first"], axis=(-2, -1))
    np.testing.assert_allclose(seen["norms"].weights["first"], first)
    for kind, whole in (("gradient", gradients), ("update", moved)):
        bent = np.einsum("rci,rcij,rcj->rc", whole, watching.hessians, whole)
        exact = bent / np.sum(whole**2, -1)
        np.testing.assert_allclose(getattr(seen["along"], kind), exact, rtol=1e-6)
    lengths = np.linalg.norm(gradients, axis=-1)
    inner = np.sum(gradients[:, 1:] * gradients[:, :-1], -1)
    cosine = inner / (lengths[:, 1:] * lengths[:, :-1])
    np.testing.assert_allclose(seen["since"][:, 1:], cosine, rtol=1e-9)
    assert np.all(np.isnan(seen["since"][:, 0]))
    assert np.all(np.abs(seen["step"]) <= 1)


@pytest.mark.invariance
def test_runs_together_observe_what_each_does_alone(watching):
    with jax.enable_x64(True):
        plan = training()
        hyper = HYPER._replace(lr=jnp.asarray(HYPER.lr), seed=jnp.asarray(1))
        alone = jax.jit(plan.run)(learn.first_state(plan, hyper), plan.data)[1].probed
    for name in ("sharpness", "response"):
        together = watching.observed[name].value[1]
        np.testing.assert_allclose(alone[name].value, together, rtol=1e-7)


def slope(params, batch):
    """A quadratic of curvature 2, whatever the batch."""
    del batch
    return jnp.sum(params**2)


def bowl_loss(params, model_state, batch, key):
    del key
    return slope(params, batch), model_state


THRESHOLDS = {
    learn.sgd: lambda beta: 2.0,
    learn.momentum: lambda beta: 2 * (1 + beta),
    learn.averaged_momentum: lambda beta: 2 * (1 + beta),
    learn.nag: lambda beta: 2 * (1 + beta) ** 2 / (1 + 2 * beta),
}


@pytest.mark.oracle
@pytest.mark.parametrize("family", THRESHOLDS, ids=lambda family: family.__name__)
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


@pytest.mark.compiles_once
def test_another_call_outside_a_training_traces_nothing():
    traces = []

    def counted(params, batch):
        traces.append(1)
        return objective(params, batch)

    params, _ = start(jax.random.key(0))
    batch = jnp.asarray(INPUTS, jnp.float32), jnp.asarray(TARGETS)
    point = probes.Point(params, data=batch)
    watch = probes.sharpness(counted, probes.own_data)
    state, _ = watch.apply(watch.init(params), point)
    before = len(traces)
    state, seen = watch.apply(state, point._replace(params=tree.scale(0.9, params)))
    assert len(traces) == before and seen.value.dtype == jnp.float32


@pytest.mark.invariance
def test_a_point_that_is_not_finite_does_not_spoil_the_next_call():
    watch = probes.sharpness(slope, probes.own_data, depth=2)
    state, _ = watch.apply(watch.init(jnp.ones(3)), probes.Point(jnp.ones(3)))

    def cliff(params, batch):
        del batch
        return jnp.sum(jnp.sqrt(params) - jnp.sqrt(params))

    broken = probes.sharpness(cliff, probes.own_data, depth=2)
    after_it, seen = broken.apply(state, probes.Point(jnp.zeros(3)))
    assert np.isnan(seen.value)
    np.testing.assert_array_equal(after_it, state)


@pytest.mark.identity
def test_six_lines_watch_a_sweep_over_seeds():
    data = problem.examples(jnp.asarray(INPUTS, jnp.float32), jnp.asarray(TARGETS))
    model = problem.mlp((3, 3), jnp.tanh)
    loss = problem.objective(model, problem.cross_entropy)

    watch = curvature.probes.sharpness(loss, curvature.probes.own_data)
    probe = learn.Probe(watch.init, watch.apply)
    plan = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        learn.momentum, learn.shuffled(data, 8), steps=8, every=4, probe=probe,
    )  # fmt: skip
    runs = learn.sweep(plan, learn.grid(Hyper, lr=0.1, seed=range(2)), lanes=2)
    assert runs.trace.probed.value.shape == (2, 2)
    assert watch.cost == probes.Cost(gradients=1, products=3)


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
