"""Comparisons whose winner is known: quadratics with a known best rate, and what goes
wrong.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn, record
from jaxml.types import Batch, InputError

SCALES = jnp.array([1.0, 0.1, 0.01])
STEPS, EVERY = 60, 6
RATES = [1e-4, 0.1, 1.0, 1e3]


def start(key):
    return {"x": 1 + 0.1 * jax.random.normal(key, (3,))}, {}


def quadratic(params):
    return 0.5 * jnp.sum(SCALES * params["x"] ** 2)


def loss(params, state, batch, key):
    return quadratic(params) + 0 * jnp.sum(batch.weights), state


DATA = Batch(
    np.zeros((4, 1), np.float32), np.zeros((4, 1), np.float32), np.ones(4, np.float32)
)
PROBE = learn.measuring({
    "loss": quadratic,
    "size": lambda params: jnp.sqrt(jnp.sum(params["x"] ** 2)),
    "point": lambda params: params["x"],
})  # fmt: skip
TRACES = []


def experiment(family, probe=PROBE):
    def counted(params, state, batch, key):
        TRACES.append(1)
        return loss(params, state, batch, key)

    return learn.training(
        start, counted, family, learn.full(DATA), steps=STEPS, every=EVERY, probe=probe
    )


def entrant(family, rates=RATES, **axes):
    return learn.Entrant(family, learn.grid(learn.Hyper, lr=rates, **axes))


@pytest.fixture(scope="module")
def contests():
    TRACES.clear()
    found = learn.compare(
        experiment,
        {"descent": entrant(learn.sgd), "momentum": entrant(learn.momentum)},
        target=0.01,
        lanes=5,
    )
    assert len(TRACES) <= 4  # one compilation an entrant; linearising traces it twice
    return found


@pytest.mark.oracle
def test_the_best_point_is_the_one_that_numpy_finds(contests):
    """Gradient descent multiplies each coordinate by 1 - lr scale at every step."""
    scales = np.asarray(SCALES)
    ends = [0.5 * np.sum(scales * (1 - lr * scales) ** (2 * STEPS)) for lr in RATES[:3]]
    contest = contests["descent"]
    assert contest.best == int(np.argmin(ends)) and float(contest.hyper.lr) == 1.0
    assert np.isinf(contest.tuning[3]).all() and contest.tuning.shape == (4, 3)
    seeds = [int(s) for s in range(3, 11)]
    starts = np.array(
        [start(jax.random.fold_in(jax.random.key(s), 0))[0]["x"] for s in seeds]
    )
    expected = 0.5 * np.sum(scales * (starts * (1 - scales) ** STEPS) ** 2, axis=1)
    np.testing.assert_allclose(contest.final["loss"], expected, rtol=1e-4)
    np.testing.assert_array_equal(contest.params["x"], contest.final["point"])
    np.testing.assert_allclose(
        contest.params["x"], starts * (1 - scales) ** STEPS, rtol=1e-4, atol=1e-7
    )


@pytest.mark.oracle
def test_steps_to_the_target_are_counted_where_the_probe_looks(contests):
    contest = contests["descent"]
    curve = contest.curves["loss"]
    for steps, seen in zip(contest.steps_to_target, curve, strict=True):
        looks = np.flatnonzero(seen <= 0.01)
        assert steps == (EVERY * (looks[0] + 1) if len(looks) else np.inf)


@pytest.mark.oracle
def test_good_rates_are_those_near_the_best(contests):
    low, high = contests["descent"].good_rates
    median = np.median(contests["descent"].tuning, axis=1)
    assert low <= 1.0 == high
    assert median[RATES.index(0.1)] > median[2] + 0.1 * (
        median[0] - median[2]
    ) or low == pytest.approx(0.1)


@pytest.mark.identity
def test_a_summary_names_columns_and_says_what_was_never_reached(contests):
    interval = partial(record.bootstrap, np.median)
    rows = learn.summary(contests, 0.01, interval)
    assert rows[0][:5] == ("optimizer", "lr", "good lr", "loss", "size")
    assert [row[0] for row in rows[1:]] == ["descent", "momentum"]
    assert rows[1][-1] == "0/8"
    hard = learn.compare(
        experiment, {"descent": entrant(learn.sgd)}, target=1e-30, lanes=4, seeds=2
    )
    assert learn.summary(hard, 1e-30, interval)[1][-3].startswith(
        "never; the lowest loss was"
    )


@pytest.mark.identity
def test_an_optimizer_that_always_diverges_is_a_result():
    found = learn.compare(
        experiment,
        {"wild": entrant(learn.sgd, [1e5, 1e6])},
        target=0.1,
        lanes=4,
        tuning_seeds=2,
        seeds=3,
    )["wild"]
    assert (found.diverged_at >= 0).all() and np.isnan(found.final["loss"]).all()
    assert np.isnan(found.good_rates).all() and np.isinf(found.steps_to_target).all()
    row = learn.summary({"wild": found}, 0.1, partial(record.bootstrap, np.median))[1]
    assert row[3] == "diverged" and row[-1] == "3/3"


@pytest.mark.identity
def test_a_users_own_chain_takes_part():
    own = lambda hyper: optax.chain(
        optax.scale_by_adam(hyper.momentum), learn.scale_by_rate(hyper)
    )
    mine, adam = (
        learn.compare(experiment, {"x": entrant(f)}, target=0.1, lanes=4, seeds=2)["x"]
        for f in (own, learn.adam)
    )
    np.testing.assert_allclose(mine.final["loss"], adam.final["loss"], rtol=1e-3)


@pytest.mark.identity
@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: learn.compare(experiment, {}, target=0.1, lanes=2), "entrants"),
        (
            lambda: learn.compare(
                experiment,
                {"a": entrant(learn.sgd), "b": entrant(learn.sgd, [0.1])},
                target=0.1,
                lanes=2,
            ),
            "equally many",
        ),
        (
            lambda: learn.compare(
                partial(experiment, probe=learn.nothing),
                {"a": entrant(learn.sgd)},
                target=0.1,
                lanes=2,
            ),
            "measuring",
        ),
    ],
)
def test_bad_input_is_a_sentence(call, word):
    with pytest.raises(InputError, match=word):
        call()


@pytest.mark.oracle
def test_a_target_that_is_reached_exactly_is_reached():
    """One step of descent at the rate 1 / λ ends at 0, where the loss is 0 and
    stays.
    """
    steep = learn.measuring({"loss": lambda params: 0.5 * params["x"] ** 2})

    def one(key):
        return {"x": 1 + jax.random.uniform(key)}, {}

    def bowl(params, state, batch, key):
        return 0.5 * params["x"] ** 2 + 0 * jnp.sum(batch.weights), state

    def line(family):
        return learn.training(
            one, bowl, family, learn.full(DATA), steps=6, every=2, probe=steep
        )

    found = learn.compare(
        line, {"x": entrant(learn.sgd, [1.0])}, target=0.0, lanes=2, seeds=2
    )["x"]
    assert (found.curves["loss"] == 0).all()
    assert found.steps_to_target.tolist() == [2, 2]


def quartic(family):
    """Descent on p⁴ / 4 from p at the rate 1: p ← p - p³ shrinks below √2 and explodes
    above.
    """

    def one(key):
        return {"x": jax.random.uniform(key, minval=0.5, maxval=2.5)}, {}

    def height(params):
        return 0.25 * params["x"] ** 4

    def bowl(params, state, batch, key):
        return height(params) + 0 * jnp.sum(batch.weights), state

    probe = learn.measuring({"loss": height})
    return learn.training(
        one, bowl, family, learn.full(DATA), steps=40, every=4, probe=probe
    )


@pytest.mark.oracle
def test_where_some_seeds_diverge_the_others_are_summed_up():
    found = learn.compare(
        quartic, {"x": entrant(learn.sgd, [1.0])}, target=0.1, lanes=4
    )["x"]
    starts = [
        float(
            jax.random.uniform(
                jax.random.fold_in(jax.random.key(s), 0), minval=0.5, maxval=2.5
            )
        )
        for s in range(3, 11)
    ]
    explodes = np.array(starts) > np.sqrt(2)
    assert explodes.any() and not explodes.all()
    np.testing.assert_array_equal(found.diverged_at >= 0, explodes)
    np.testing.assert_array_equal(np.isnan(found.final["loss"]), explodes)
    np.testing.assert_array_equal(np.isinf(found.steps_to_target), explodes)
    seen = []

    def interval(samples):
        seen.append(np.asarray(samples))
        return (
            float(np.median(samples)),
            float(np.min(samples)),
            float(np.max(samples)),
            len(samples),
        )

    row = learn.summary({"x": found}, 0.1, interval)[1]
    np.testing.assert_array_equal(seen[0], found.final["loss"][~explodes])
    assert row[3].startswith(f"{np.median(found.final['loss'][~explodes]):.3g} [")
    assert row[-2:] == (f"{8 - explodes.sum()}/8", f"{explodes.sum()}/8")


def never(name, compute):
    raise AssertionError("computed before all grids were looked at")


@pytest.mark.identity
@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (
            entrant(learn.sgd, RATES[:2], clip=[0.1, 1.0]),
            "clip, which the optimizer does not read",
        ),
        (learn.Entrant(learn.sgd, learn.Hyper(lr=0.1)), "one number a lane"),
        (
            learn.Entrant(
                learn.sgd, learn.grid(learn.Hyper, lr=RATES)._replace(lr=-np.ones(4))
            ),
            "lr must not be negative",
        ),
    ],
)
def test_a_grid_that_cannot_run_is_refused_before_the_first_is_run(second, sentence):
    entrants = {"good": entrant(learn.sgd), "bad": second}
    with pytest.raises(InputError, match=sentence):
        learn.compare(experiment, entrants, target=0.1, lanes=2, keep=never)
