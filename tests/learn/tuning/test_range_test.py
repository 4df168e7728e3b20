"""The range test against a float64 climb written down by hand, and what it recommends
put to use.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn, problem
from jaxml.learn.tuning.smoothing import two_sided
from jaxml.types import Batch, InputError

DATA = Batch(
    np.zeros((4, 1), np.float32), np.zeros((4, 1), np.float32), np.ones(4, np.float32)
)
LAST = 10  # a trial ends at the mean of its last tenth


def start(key, curvatures):
    return 1 + 0.1 * jax.random.normal(key, curvatures.shape), {}


def quadratic(curvatures, steps):
    """`family -> Training` of descent on Σ λ p² / 2."""
    curvatures = jnp.asarray(curvatures)

    def loss(params, state, batch, key):
        return 0.5 * jnp.sum(curvatures * params**2) + 0 * jnp.sum(batch.weights), state

    begin = partial(start, curvatures=curvatures)
    return partial(learn.training, begin, loss, batches=learn.full(DATA), steps=steps)


def descended(points, curvatures, rates):
    """`[seed, step]`: the loss before each update of p ← (1 - η λ) p, in float64."""
    losses = []
    for rate in rates:
        losses.append(0.5 * np.sum(curvatures * points**2, axis=1))
        points = (1 - rate * curvatures) * points
    return np.stack(losses, axis=1)


def averaged(values, decay):
    """The mean of all values, each weighted by the power of its distance."""
    out = []
    for i in range(len(values)):
        weights = [decay ** abs(i - j) for j in range(len(values))]
        out.append(np.average(values, weights=weights))
    return np.array(out)


@pytest.mark.oracle
@pytest.mark.parametrize(("seeds", "decades"), [(1, 4), (4, 5), (2, 3)])
def test_a_climb_and_its_recommendation_are_those_of_numpy(seeds, decades):
    """Rates, losses, average, where the fall begins, where it turns, and the halvings
    from there on.
    """
    steps, curvatures = 60, np.array([1.0, 0.1, 0.01], np.float32)
    low, high = 1e-3, 10.0 ** (decades - 3)
    found = learn.range_test(
        quadratic(curvatures, steps),
        learn.sgd,
        learn.Hyper(lr=0.1),
        low=low,
        high=high,
        seeds=seeds,
    )
    keys = [jax.random.fold_in(jax.random.key(seed), 0) for seed in range(seeds)]
    points = np.array([start(key, jnp.asarray(curvatures))[0] for key in keys], float)
    rates = [low * (high / low) ** (i / (steps - 1)) for i in range(steps)]
    losses = descended(points, curvatures, rates)
    median = np.median(losses, axis=0)
    capped = np.minimum(median, median[0] + (median[0] - median.min()))
    smoothed = averaged(capped, np.exp(-10 * decades / (steps - 1)))
    fall = smoothed[0] - smoothed.min()
    turn = rates[int(np.argmin(smoothed))]
    recommended = turn
    while True:
        recommended /= 2
        trial = descended(points, curvatures, [recommended] * steps)
        ends = trial[:, -steps // LAST :].mean(axis=1)
        if ends.max() < smoothed[0] and np.median(ends) <= smoothed[0] - 0.9 * fall:
            break
    begins = rates[
        next(i for i in range(steps) if smoothed[i] <= smoothed[0] - fall / 10)
    ]
    np.testing.assert_allclose(found.rates, rates, rtol=1e-12)
    np.testing.assert_allclose(found.loss, losses, rtol=2e-3)
    np.testing.assert_allclose(found.smoothed, smoothed, rtol=1e-4)
    assert found.turn == pytest.approx(turn) and found.low == pytest.approx(begins)
    assert found.high == pytest.approx(recommended)
    assert found.loss.shape == (seeds, steps)


@pytest.mark.oracle
@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99])
def test_an_average_on_both_sides_weighs_by_distance(decay):
    values = np.random.default_rng(0).normal(size=37)
    np.testing.assert_allclose(
        two_sided(values, decay), averaged(values, decay), rtol=1e-10
    )


@pytest.mark.identity
def test_an_average_on_both_sides_does_not_lag():
    """The lowest point of a valley stays where it is; an average of the past alone
    moves it by its lag.
    """
    valley = np.abs(np.arange(101.0) - 50)
    assert int(np.argmin(two_sided(valley, 0.95))) == 50


@pytest.mark.identity
def test_the_first_and_the_last_rate_are_those_that_were_asked_for():
    """And at each update the step's ratio to the gradient is the rate."""
    found = learn.range_test(
        quadratic([1.0], 20),
        learn.sgd,
        learn.Hyper(lr=1.0),
        low=1e-3,
        high=0.5,
        seeds=1,
    )
    assert (found.rates[0], found.rates[-1]) == (pytest.approx(1e-3, rel=1e-12), 0.5)
    points = np.sqrt(2 * found.loss[0])
    np.testing.assert_allclose(
        1 - points[1:] / points[:-1], found.rates[:-1], rtol=1e-3
    )


@pytest.mark.oracle
@pytest.mark.parametrize("steps", [100, 1000])
@pytest.mark.parametrize(
    "curvatures", [[1.0], [1.0, 1.0, 1.0], [1.0, 0.1, 0.01]], ids=str
)
def test_descent_on_a_quadratic_is_recommended_less_than_two(curvatures, steps):
    """Gradient descent on Σ λ p² / 2 converges below 2 / max λ only; the climb itself
    turns later.
    """
    found = learn.range_test(
        quadratic(curvatures, steps), learn.sgd, learn.Hyper(lr=0.1), seeds=2
    )
    assert 0.1 < found.high < 2
    assert found.low <= found.high


def digits(steps):
    parts = problem.split(problem.digits(), 1000, key=jax.random.key(0))
    model = problem.mlp((16, 10), jax.nn.relu)
    begin = problem.start(model, parts.train.inputs)
    judge = problem.training_loss(model, problem.cross_entropy)
    return partial(
        learn.training,
        begin,
        judge,
        batches=learn.shuffled(parts.train, 64),
        steps=steps,
    )


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("momentum", 100),
        *(
            pytest.param(name, steps, marks=pytest.mark.stress)
            for name in ("momentum", "adam", "rmsprop")
            for steps in (100, 1000)
            if (name, steps) != ("momentum", 100)
        ),
    ],
)
def test_what_is_recommended_trains_a_network_on_seeds_of_its_own(name, steps):
    """Ln 10 at the start, below a third of it at the end, on six seeds that the test
    has not seen.
    """
    experiment, family = digits(steps), learn.OPTIMIZERS[name]
    found = learn.range_test(experiment, family, learn.Hyper(lr=1.0), seeds=3)
    hypers = learn.grid(learn.Hyper, lr=[found.high], seed=range(100, 106))
    runs = learn.sweep(experiment(family), hypers, lanes=6)
    ends = runs.trace.loss[:, -steps // LAST :].mean(axis=1)
    assert (runs.diverged_at < 0).all()
    assert ends.max() < np.log(10) / 3
    assert found.low < found.high


@pytest.mark.invariance
def test_a_family_of_one_argument_climbs_as_well():
    """Optax's own descent at the rate of the hyperparameters is ours; so is one with a
    bound schedule.
    """
    experiment, hyper = quadratic([1.0, 0.1], 50), learn.Hyper(lr=0.1)
    ours = learn.range_test(experiment, learn.sgd, hyper, seeds=2)
    families = [
        lambda hyper: optax.sgd(hyper.lr),
        partial(learn.sgd, shape=learn.cosine),
    ]
    for family in families:
        found = learn.range_test(experiment, family, hyper, seeds=2)
        np.testing.assert_allclose(found.loss, ours.loss, rtol=1e-3)
        assert found.high == pytest.approx(ours.high)


@pytest.mark.invariance
def test_a_loss_in_other_units_is_recommended_the_same_rate_over_its_unit():
    """Descent on c L at the rate η / c is descent on L at η."""
    plain = learn.range_test(
        quadratic([1.0, 0.5], 80), learn.sgd, learn.Hyper(lr=0.1), low=1e-4, seeds=2
    )
    tenfold = learn.range_test(
        quadratic([8.0, 4.0], 80),
        learn.sgd,
        learn.Hyper(lr=0.1),
        low=1e-4 / 8,
        high=10 / 8,
        seeds=2,
    )
    assert tenfold.high == pytest.approx(plain.high / 8)


def one_bad_example(value):
    inputs = np.ones((40, 1), np.float32)
    inputs[17] = value
    return Batch(inputs, np.zeros((40, 1), np.float32), np.ones(40, np.float32))


def lines(data, inner=lambda x: x):
    """`family -> Training` of least squares in one number, on batches of five."""

    def loss(params, state, batch, key):
        residual = inner(batch.inputs) * params - batch.targets
        return jnp.sum(batch.weights[:, None] * residual**2) / jnp.sum(
            batch.weights
        ), state

    begin = lambda key: (jnp.array(1.0), {})  # noqa: E731
    return partial(
        learn.training, begin, loss, batches=learn.shuffled(data, 5), steps=40
    )


@pytest.mark.identity
def test_one_example_that_is_not_finite_is_named():
    with pytest.raises(
        InputError, match=r"data\.inputs\[17, 0\] is nan: leave that example out"
    ):
        learn.range_test(lines(one_bad_example(np.nan)), learn.sgd, learn.Hyper(lr=0.1))


@pytest.mark.identity
def test_one_example_whose_loss_is_not_finite_is_reported():
    """The data are finite: -1 under a logarithm is not."""
    experiment = lines(one_bad_example(-1.0), inner=lambda x: jnp.log(x) + 1)
    with pytest.raises(
        InputError, match=r"not finite at update \d+ at the rate 1e-06, the lowest"
    ):
        learn.range_test(experiment, learn.sgd, learn.Hyper(lr=0.1))


@pytest.mark.identity
def test_a_run_that_has_diverged_is_nan_from_there_on():
    """The frozen parameters have a finite loss, which is not that of the rate."""
    found = learn.range_test(
        quadratic([1.0], 60),
        learn.sgd,
        learn.Hyper(lr=0.1),
        low=1e-3,
        high=1e9,
        seeds=1,
    )
    lost = np.isnan(found.loss[0])
    assert lost[-1] and not lost[0]
    assert (np.diff(lost.astype(int)) >= 0).all()
    assert found.high < 2


@pytest.mark.identity
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"low": 1.0, "high": 0.1}, "give low < high"),
        ({"low": 0.0}, "both positive"),
        ({"high": float("inf")}, "give low < high"),
        ({"seeds": 0}, "1 seed or more"),
        ({"low": 1e3, "high": 1e4}, "never fell"),
    ],
)
def test_what_cannot_climb_is_refused_in_a_sentence(given, sentence):
    with pytest.raises(InputError, match=sentence):
        learn.range_test(quadratic([1.0], 60), learn.sgd, learn.Hyper(lr=0.1), **given)


@pytest.mark.identity
def test_one_update_is_no_climb():
    with pytest.raises(InputError, match="2 updates or more"):
        learn.range_test(quadratic([1.0], 1), learn.sgd, learn.Hyper(lr=0.1))


@pytest.mark.identity
def test_two_updates_are_a_climb():
    found = learn.range_test(
        quadratic([1.0], 2), learn.sgd, learn.Hyper(lr=0.1), high=1.0
    )
    assert len(found.rates) == 2
