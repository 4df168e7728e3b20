"""Gradient noise: NumPy's covariance, the law of batches, and what cannot be told."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature, learn, problem
from jaxml.curvature import PartsNoise, noise_draws
from jaxml.types import InputError

RNG = np.random.default_rng(3)
INPUTS = RNG.normal(size=(9, 3)).astype(np.float32)
TARGETS = RNG.normal(size=9).astype(np.float32)
PARAMS = {"w": jnp.array([0.5, -1.0, 2.0]), "b": jnp.array(0.25)}


def squared(params, batch):
    inputs, targets = batch
    residual = inputs @ params["w"] + params["b"] - targets
    return jnp.mean(0.5 * residual**2)


def by_hand():
    """The gradients of the examples, (r x, r) for the residual r, in float64."""
    inputs, targets = INPUTS.astype(float), TARGETS.astype(float)
    residual = inputs @ np.array([0.5, -1.0, 2.0]) + 0.25 - targets
    return np.hstack([residual[:, None] * inputs, residual[:, None]])


@pytest.mark.oracle
@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_noise_is_the_covariance_of_the_examples_gradients(chunk):
    noise = curvature.gradient_noise(squared, PARAMS, (INPUTS, TARGETS), chunk=chunk)
    gradients = by_hand()
    covariance = np.cov(gradients.T)
    mean = gradients.mean(axis=0)
    np.testing.assert_allclose(noise.covariance_trace, np.trace(covariance), rtol=1e-5)
    np.testing.assert_allclose(noise.traces["b"], covariance[3, 3], rtol=1e-5)
    signal = mean @ mean - np.trace(covariance) / 9
    np.testing.assert_allclose(noise.gradient_square, signal, rtol=1e-4)
    np.testing.assert_allclose(noise.squares, np.sum(gradients**2, axis=1), rtol=1e-5)
    np.testing.assert_allclose(noise.projections, gradients @ mean, rtol=1e-4)


@pytest.mark.identity
def test_two_batch_sizes_and_single_examples_agree():
    """With batches of one and of all, averaged, the two estimates are one."""
    noise = curvature.gradient_noise(squared, PARAMS, (INPUTS, TARGETS))
    gradients = by_hand()
    single = np.mean(np.sum(gradients**2, axis=1))
    whole = np.sum(gradients.mean(axis=0) ** 2)
    trace, signal = curvature.noise_of_batches(single, whole, (1, 9))
    np.testing.assert_allclose(noise.covariance_trace, trace, rtol=1e-5)
    np.testing.assert_allclose(noise.gradient_square, signal, rtol=1e-4)


@pytest.mark.identity
@pytest.mark.parametrize("size", [1, 2, 5, 8, 9])
def test_the_noise_of_a_batch_follows_the_law_over_all_batches(size):
    """Exactly, over every batch of that size that nine examples give."""
    gradients = by_hand()
    chosen = itertools.combinations(range(9), size)
    means = np.array([gradients[list(each)].mean(axis=0) for each in chosen])
    found = np.sum(means.var(axis=0))
    trace = np.trace(np.cov(gradients.T))
    expected = curvature.batch_covariance_trace(trace, size, total=9)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def scale_by_hand(gradients, metric):
    """tr AΣ / GᵀAG and its jackknife interval, leaving out row after row."""

    def ratio(rows):
        mean = rows.mean(axis=0)
        trace = np.trace(metric @ np.cov(rows.T))
        return trace / (mean @ metric @ mean - trace / len(rows))

    n = len(gradients)
    logs = np.log([ratio(np.delete(gradients, i, axis=0)) for i in range(n)])
    error = np.sqrt((n - 1) / n * np.sum((logs - logs.mean()) ** 2))
    quantile = 2.306004  # of Student's t at 97.5 %, 8 degrees of freedom
    bounds = np.exp(np.array([0, -1, 1]) * quantile * error)
    return ratio(gradients) * bounds


@pytest.mark.oracle
def test_the_critical_noise_scale_is_that_of_an_explicit_hessian():
    """H = mean of [x, 1][x, 1]ᵀ, in the order (w, b); leaves are flattened b, w."""
    design = np.hstack([INPUTS, np.ones((9, 1))]).astype(float)
    hessian = design.T @ design / 9
    gradients = by_hand()
    product = curvature.hessian_product(squared, PARAMS, (INPUTS, TARGETS))
    noise = curvature.gradient_noise(
        squared, PARAMS, (INPUTS, TARGETS), metric=product, chunk=4
    )
    bent = hessian @ np.cov(gradients.T)
    mean = gradients.mean(axis=0)
    signal = mean @ hessian @ mean - np.trace(bent) / 9
    np.testing.assert_allclose(noise.covariance_trace, np.trace(bent), rtol=1e-5)
    np.testing.assert_allclose(noise.gradient_square, signal, rtol=1e-4)
    np.testing.assert_allclose(noise.traces["b"], bent[3, 3], rtol=1e-5)
    own = (gradients @ hessian * gradients).sum(axis=1)
    np.testing.assert_allclose(noise.squares, own, rtol=1e-5)
    np.testing.assert_allclose(
        curvature.noise_scale(noise), scale_by_hand(gradients, hessian), rtol=1e-3
    )
    simple = curvature.gradient_noise(squared, PARAMS, (INPUTS, TARGETS))
    np.testing.assert_allclose(
        curvature.noise_scale(simple), scale_by_hand(gradients, np.eye(4)), rtol=1e-3
    )


def bowl_and_ridge(params, batch):
    """x² / 2 bends up, -y² / 2 down; examples pull at both."""
    return jnp.mean(0.5 * (params[0] ** 2 - params[1] ** 2) - batch @ params)


@pytest.mark.identity
@pytest.mark.parametrize(
    ("pulls", "expected"),
    [
        ([[1.0, 0.0], [3.0, 0.0]], 2 / 3),  # along the bowl
        ([[1.0, 5.0], [3.0, 5.0]], np.inf),  # signal 3 - 25 < 0, noise 2
        ([[2.0, 1.0], [2.0, 3.0]], np.nan),  # noise -2
        ([[2.0, 0.0], [2.0, 0.0]], 0.0),  # no noise
    ],
)
def test_where_no_batch_balances_noise_the_scale_says_so(pulls, expected):
    pulls = np.array(pulls, np.float32)
    product = curvature.hessian_product(bowl_and_ridge, jnp.zeros(2), pulls)
    noise = curvature.gradient_noise(
        bowl_and_ridge, jnp.zeros(2), pulls, metric=product
    )
    scale = curvature.noise_scale(noise)
    np.testing.assert_allclose(scale.estimate, expected, rtol=1e-6)
    if np.isnan(expected):
        assert np.isnan(scale).all()
    else:
        assert scale.low <= scale.estimate <= scale.high


@pytest.mark.oracle
@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_noise_of_all_batches_is_their_covariance(size, monkeypatch):
    """Whichever way pairs are summed; batches with the first example are biased."""
    seen = curvature.example_gradients(squared, PARAMS, (INPUTS, TARGETS))
    gradients = by_hand()
    every = np.array(list(itertools.combinations(range(9), size)))
    means = gradients[every].mean(axis=1)
    for few in (0, 16):
        monkeypatch.setattr(noise_draws, "FEW", few)
        found = curvature.noise_of_draws(seen.products, every)
        np.testing.assert_allclose(found.noise, means.var(axis=0).sum(), rtol=1e-4)
        with_first = every[every[:, 0] == 0]
        biased = curvature.noise_of_draws(seen.products, np.repeat(with_first, 2, 0))
        part = gradients[with_first].mean(axis=1)
        off = part.mean(axis=0) - gradients.mean(axis=0)
        spread = part.var(axis=0).sum() / (2 * len(part) - 1)
        np.testing.assert_allclose(biased.bias, off @ off - spread, rtol=1e-3)


@pytest.mark.identity
def test_inner_products_give_what_a_batch_gives_and_others_do_not():
    """The control: twice the products are wrong by half."""
    data = (INPUTS, TARGETS)
    drawn = np.array([1, 4, 4, 7])
    seen = curvature.example_gradients(squared, PARAMS, data)
    for factor, expected in ((1.0, 0.0), (2.0, -0.5)):
        products = factor * seen.products
        wrong = curvature.error_of_products(squared, PARAMS, data, products, drawn)
        np.testing.assert_allclose(wrong, expected, atol=1e-5)


@pytest.mark.statistics
def test_isotropic_noise_is_as_strong_as_that_of_batches():
    """tr Cov of 4 of 9 examples; each weight has a quarter of it, to four errors."""
    keys = jax.random.split(jax.random.key(1), 2000)

    def draw(key):
        found = curvature.isotropic_gradient(
            squared, PARAMS, (INPUTS, TARGETS), size=4, key=key
        )
        return jnp.append(found["w"], found["b"])

    drawn = np.asarray(jax.jit(jax.vmap(draw))(keys), float)
    gradients = by_hand()
    trace = np.trace(np.cov(gradients.T)) / 4 * (1 - 4 / 9)
    deviation = np.sqrt(trace / 4)
    error = 4 / np.sqrt(2000)
    off = drawn.mean(axis=0) - gradients.mean(axis=0)
    assert np.all(np.abs(off) < error * deviation)
    np.testing.assert_allclose(drawn.var(axis=0), trace / 4, rtol=error * np.sqrt(2))


@pytest.mark.identity
def test_three_gradients_of_one_loss_are_those_of_their_parts():
    key, batch = jax.random.key(2), (INPUTS, TARGETS)

    def draw(data, key, step):
        del key
        return jax.tree.map(lambda leaf: leaf[:step], data)

    found = curvature.noisy_gradients(squared, batch, draw, size=4, key=key)
    same = partial(jax.tree.map, partial(np.testing.assert_allclose, rtol=1e-5))
    grad = jax.grad(squared)
    same(found.whole(PARAMS, 3), grad(PARAMS, batch))
    same(found.batches(PARAMS, 3), grad(PARAMS, (INPUTS[:3], TARGETS[:3])))
    own = jax.random.fold_in(key, 3)
    alone = curvature.isotropic_gradient(squared, PARAMS, batch, size=4, key=own)
    same(found.isotropic(PARAMS, 3), alone)


def eight_examples():
    return INPUTS[:8], TARGETS[:8]


@pytest.mark.identity
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_give_what_their_batch_sizes_give(parts):
    """In total and by leaf, from ‖g‖² of the parts and of their mean."""
    noise = curvature.noise_of_parts(squared, PARAMS, eight_examples(), parts=parts)
    size = 8 // parts
    pieces = by_hand()[:8].reshape(parts, size, 4).mean(axis=1)
    whole = pieces.mean(axis=0)

    def expected(columns):
        few = np.mean(np.sum(pieces[:, columns] ** 2, axis=1))
        many = np.sum(whole[columns] ** 2)
        return curvature.noise_of_batches(few, many, (size, 8))

    total = noise.covariance_trace, noise.gradient_square
    np.testing.assert_allclose(total, expected(slice(4)), rtol=1e-4)
    for leaf, columns in (("w", slice(3)), ("b", slice(3, 4))):
        found = noise.traces[leaf], noise.signals[leaf]
        np.testing.assert_allclose(found, expected(columns), rtol=1e-4, atol=1e-5)


@pytest.mark.identity
def test_parts_of_one_example_are_examples():
    with jax.enable_x64(True):
        params, batch = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float64), (PARAMS, eight_examples())
        )
        parts = curvature.noise_of_parts(squared, params, batch, parts=8)
        single = curvature.gradient_noise(squared, params, batch)
    same = PartsNoise(*single[: len(parts)])
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12), parts, same)


@pytest.mark.invariance
def test_a_probe_sees_the_noise_of_every_leaf_in_a_vmapped_sweep():
    """Seeds are pushed to other places, so each run has a noise of its own."""
    data = eight_examples()
    quantity = partial(curvature.noise_of_parts, squared, batch=data, parts=4)

    def start(key):
        return {"w": jax.random.normal(key, (3,)), "b": jnp.zeros(())}, ()

    def loss(params, state, batch, key):
        return squared(params, (batch.inputs, batch.targets)), state

    training = learn.training(
        start,
        loss,
        learn.sgd,
        learn.full(problem.examples(*data)),
        steps=4,
        every=2,
        probe=learn.measuring({"noise": quantity}),
    )
    runs = learn.sweep(training, learn.grid(learn.Hyper, lr=0.1, seed=[0, 1]), lanes=2)

    seen = runs.trace.probed["noise"]
    assert isinstance(seen, PartsNoise)
    assert seen.traces["w"].shape == (2, 2)  # [run, evaluation]
    end, last = (
        jax.tree.map(lambda leaf: leaf[1], runs.params),
        jax.tree.map(lambda leaf: leaf[1, -1], seen),
    )
    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, last, quantity(end))


def correlated(count, length, persistence):
    """Estimates of 6 and of 2 with autoregressive errors, `[time, kind, series]`."""
    kicks = np.random.default_rng(7).normal(size=(length + 50, 2, count))
    errors = np.zeros_like(kicks[0])
    seen = []
    for kick in kicks:
        errors = persistence * errors + kick
        seen.append(errors)
    return np.array([[6.0], [2.0]]) + 0.5 * np.array(seen)[50:]


def coverage(blocks):
    """Of the interval of 3, in 400 series of 200 estimates that forget in 5."""
    covered = []
    for traces, squares in correlated(400, 200, 0.8).T:
        scale = curvature.noise_scale_of_series(traces, squares, blocks=blocks)
        covered.append(scale.low <= 3.0 <= scale.high)
    return np.mean(covered)


@pytest.mark.statistics
def test_the_interval_of_a_series_covers_if_blocks_outlast_the_correlation():
    """The control: blocks of two estimates take them for independent."""
    tolerance = 4 * np.sqrt(0.95 * 0.05 / 400)
    assert abs(coverage(10) - 0.95) < tolerance
    assert coverage(100) < 0.95 - 2 * tolerance


@pytest.mark.identity
def test_a_series_without_signal_has_no_finite_noise_scale():
    drowned = curvature.noise_scale_of_series(
        np.ones(6), np.array([1.0, -2.0] * 3), blocks=3
    )
    assert drowned == (np.inf, 0.0, np.inf)
    assert np.isnan(
        curvature.noise_scale_of_series(-np.ones(6), np.ones(6), blocks=3)
    ).all()


@pytest.mark.statistics
def test_the_interval_of_the_noise_scale_covers():
    """Gradients N(m, I) in ten dimensions: B = 10 / ‖m‖², 200 draws of 400 examples."""

    def pull(params, batch):
        return jnp.mean(0.5 * jnp.sum((params[None] - batch) ** 2, axis=1))

    rng = np.random.default_rng(0)
    mean = np.full(10, 0.5)
    covered = []
    for _ in range(200):
        data = (rng.normal(size=(400, 10)) + mean).astype(np.float32)
        noise = curvature.gradient_noise(pull, jnp.zeros(10), data)
        scale = curvature.noise_scale(noise)
        covered.append(scale.low <= 10 / (mean @ mean) <= scale.high)
    assert abs(np.mean(covered) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 200)


@pytest.mark.identity
def test_a_gradient_that_is_zero_has_no_finite_noise_scale():
    data = np.array([[1.0], [-1.0], [1.0], [-1.0]], np.float32)

    def pull(params, batch):
        return jnp.mean(0.5 * (params[None] - batch) ** 2)

    noise = curvature.gradient_noise(pull, jnp.zeros(1), data)
    assert float(noise.gradient_square) < 0
    assert curvature.noise_scale(noise) == (np.inf, 0.0, np.inf)


@pytest.mark.identity
@pytest.mark.parametrize(
    ("call", "word"),
    [
        (
            lambda: curvature.gradient_noise(
                squared, PARAMS, (INPUTS[:1], TARGETS[:1])
            ),
            "two",
        ),
        (
            lambda: curvature.gradient_noise(squared, PARAMS, (INPUTS, TARGETS[:4])),
            "same",
        ),
        (lambda: curvature.noise_of_batches(1.0, 1.0, (4, 4)), "smaller size first"),
        (
            lambda: curvature.noise_of_parts(
                squared, PARAMS, (INPUTS, TARGETS), parts=2
            ),
            "two equal parts",
        ),
        (
            lambda: curvature.noise_of_parts(
                squared, PARAMS, (INPUTS, TARGETS), parts=1
            ),
            "two equal parts",
        ),
        (
            lambda: curvature.noise_scale_of_series(np.ones(9), np.ones(8), blocks=3),
            "equal length",
        ),
        (
            lambda: curvature.noise_scale_of_series(np.ones(9), np.ones(9), blocks=5),
            "two estimates or more",
        ),
        (lambda: curvature.batch_covariance_trace(1.0, 5, total=4), "from 1"),
        (lambda: curvature.noise_of_draws(np.eye(3), np.array([[1]])), "two rows"),
    ],
)
def test_what_has_no_covariance_is_refused(call, word):
    with pytest.raises(InputError, match=word):
        call()


@pytest.mark.compiles_once
def test_a_second_call_of_the_same_shapes_traces_nothing():
    traces = []

    def counted(params, batch):
        traces.append(1)
        return squared(params, batch)

    curvature.gradient_noise(counted, PARAMS, (INPUTS, TARGETS))
    first = len(traces)
    moved = jax.tree.map(lambda leaf: leaf + 1, PARAMS)
    curvature.gradient_noise(counted, moved, (INPUTS, TARGETS))
    assert len(traces) == first
