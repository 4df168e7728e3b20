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
UNITS = learn.Units(tuning=2, judging=3)
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
PROBE = learn.measuring(
    {
        "loss": quadratic,
        "size": lambda params: jnp.sqrt(jnp.sum(params["x"] ** 2)),
        "point": lambda params: params["x"],
    }
)
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
        lanes=5,
        units=UNITS,
    )
    assert len(TRACES) <= 4  # one compilation an entrant; linearising traces it twice
    return found


@pytest.mark.oracle
def test_every_unit_runs_at_every_point_as_numpy_finds(contests):
    """Gradient descent multiplies each coordinate by 1 - lr scale at every step."""
    contest = contests["descent"]
    scales = np.asarray(SCALES)
    starts = []
    for seed in range(sum(UNITS)):
        key = jax.random.fold_in(jax.random.key(seed), 0)
        starts.append(np.asarray(start(key)[0]["x"]))
    for point, lr in enumerate(RATES[:3]):
        ends = np.array(starts) * (1 - lr * scales) ** STEPS
        losses = 0.5 * np.sum(scales * ends**2, axis=1)
        np.testing.assert_allclose(contest.final["loss"][point], losses, rtol=1e-3)
        np.testing.assert_allclose(
            contest.params["x"][point], ends, rtol=1e-4, atol=1e-7
        )
    assert np.isnan(contest.final["loss"][3]).all()
    assert (contest.diverged_at[3] >= 0).all() and (contest.diverged_at[:3] < 0).all()
    np.testing.assert_array_equal(contest.params["x"][:3], contest.final["point"][:3])
    assert learn.chosen(contest.final["loss"], contest.tuning) == RATES.index(1.0)


@pytest.mark.oracle
def test_updates_to_a_target_are_counted_where_the_probe_evaluates(contests):
    contest = contests["descent"]
    found = learn.updates_to(contest, "loss", 0.01)
    for point, unit in np.ndindex(found.shape):
        evaluations = np.flatnonzero(contest.curves["loss"][point, unit] <= 0.01)
        expected = EVERY * (evaluations[0] + 1) if len(evaluations) else np.inf
        assert found[point, unit] == expected
    assert np.isinf(learn.updates_to(contest, "loss", -1.0)).all()


@pytest.mark.identity
def test_a_summary_names_columns_and_judges_at_the_chosen_rate(contests):
    rows = learn.summary(contests, record.tuned_mean, "loss")
    assert rows[0] == ("optimizer", "lr", "loss", "size", "diverged")
    assert [row[0] for row in rows[1:]] == ["descent", "momentum"]
    assert rows[1][1] == "1" and rows[1][-1] == "0/3"
    contest = contests["descent"]
    judged = contest.final["size"][RATES.index(1.0), UNITS.tuning :]
    assert rows[1][3].startswith(f"{np.mean(judged):.3g} [")


@pytest.mark.identity
def test_an_optimizer_that_always_diverges_is_a_result():
    wild = {"wild": entrant(learn.sgd, [1e5, 1e6, 1e7])}
    found = learn.compare(experiment, wild, lanes=4, units=UNITS)["wild"]
    assert (found.diverged_at >= 0).all() and np.isnan(found.final["loss"]).all()
    row = learn.summary({"wild": found}, record.tuned_mean, "loss")[1]
    assert row[2] == "nan [-inf, inf]" and row[-1] == "3/3"


@pytest.mark.identity
def test_a_users_own_chain_takes_part():
    def own(hyper):
        return optax.chain(
            optax.scale_by_adam(hyper.momentum), learn.scale_by_rate(hyper)
        )

    mine, adam = (
        learn.compare(experiment, {"x": entrant(f)}, lanes=4, units=UNITS)["x"]
        for f in (own, learn.adam)
    )
    np.testing.assert_allclose(
        mine.final["loss"], adam.final["loss"], rtol=1e-3, atol=1e-6
    )


@pytest.mark.identity
@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: learn.compare(experiment, {}, lanes=2), "entrants"),
        (
            lambda: learn.compare(
                experiment,
                {"a": entrant(learn.sgd), "b": entrant(learn.sgd, [0.1])},
                lanes=2,
            ),
            "equally many",
        ),
        (
            lambda: learn.compare(
                partial(experiment, probe=learn.nothing),
                {"a": entrant(learn.sgd)},
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
        line, {"x": entrant(learn.sgd, [1.0])}, lanes=2, units=learn.Units(1, 1)
    )["x"]
    assert (found.curves["loss"] == 0).all()
    assert learn.updates_to(found, "loss", 0.0).tolist() == [[2, 2]]


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
def test_units_that_diverge_leave_the_others_to_be_summed_up():
    found = learn.compare(
        quartic, {"x": entrant(learn.sgd, [1.0])}, lanes=4, units=learn.Units(1, 9)
    )["x"]
    starts = []
    for seed in range(10):
        key = jax.random.fold_in(jax.random.key(seed), 0)
        starts.append(float(jax.random.uniform(key, minval=0.5, maxval=2.5)))
    explodes = np.array(starts) > np.sqrt(2)
    assert explodes[1:].any() and not explodes[1:].all()
    np.testing.assert_array_equal(found.diverged_at[0] >= 0, explodes)
    np.testing.assert_array_equal(np.isnan(found.final["loss"][0]), explodes)
    updates = learn.updates_to(found, "loss", 0.1)
    np.testing.assert_array_equal(np.isinf(updates[0]), explodes)
    (_, row) = learn.summary({"x": found}, record.tuned_mean, "loss")
    judged = found.final["loss"][0, 1:]
    assert row[2].startswith(f"{np.nanmean(judged):.3g} [")
    assert row[-1] == f"{explodes[1:].sum()}/9"


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
        (learn.Entrant(learn.sgd, learn.Hyper(lr=0.1)), "one number a run"),
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
        learn.compare(experiment, entrants, lanes=2, keep=never)
