"""Unit-peak shapes against their closed forms, with traced steps, horizons and warm-up
lengths.
"""

import functools
import importlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxml import learn
from jaxml.types import InputError

# (step, horizon) -> [0, 1], in Python's float64.
ORACLES = {
    "constant": lambda t, horizon: 1.0,
    "step_decay": lambda t, horizon: 0.1 ** math.floor(4 * t / horizon),
    "exponential": lambda t, horizon: 0.01 ** (t / horizon),
    "inverse_sqrt": lambda t, horizon: 1 / math.sqrt(t + 1),
    "linear": lambda t, horizon: max(1 - t / horizon, 0.0),
    "cosine": lambda t, horizon: (1 + math.cos(math.pi * min(t / horizon, 1.0))) / 2,
    "inverse": lambda t, horizon: 1 / (1 + t),
    "polynomial": lambda t, horizon: max(1 - t / horizon, 0.0) ** 2,
    "stable_decay": lambda t, horizon: min(1.0, 5 * max(1 - t / horizon, 0.0)),
    "triangular": lambda t, horizon: 0.1 + 0.9 * triangle(t, horizon / 4),
    "exponential_triangular": lambda t, horizon: (
        0.1 + 0.9 * triangle(t, horizon / 4) * 0.1 ** (t / horizon)
    ),
    "restarts": lambda t, horizon: sgdr(t, horizon / 7),
    "one_cycle": lambda t, horizon: one_cycle(t, 0.3 * horizon, horizon),
    "torch_one_cycle": lambda t, horizon: one_cycle(t, 0.3 * horizon - 1, horizon - 1),
    "transformer": lambda t, horizon: min((4000 / (t + 1)) ** 0.5, (t + 1) / 4000),
}


def triangle(t, length):
    """0, 1, 0 over each cycle of that length."""
    within = math.fmod(t, length) / length
    return 2 * within if within <= 0.5 else 2 - 2 * within


def sgdr(t, length):
    """Cosines over 1, 2 and 4 lengths."""
    for cycle in (length, 2 * length, 4 * length):
        if t < cycle:
            return (1 + math.cos(math.pi * t / cycle)) / 2
        t -= cycle
    return 0.0


def one_cycle(t, peak, end):
    """A half cosine from 0.04 to 1 at the peak, and one from there to 4e-6 at the
    end.
    """
    t = min(t, end)
    if t < peak:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * t / peak)) / 2
    return 4e-6 + (1 - 4e-6) * (1 + math.cos(math.pi * (t - peak) / (end - peak))) / 2


RISING = (
    "triangular",
    "exponential_triangular",
    "one_cycle",
    "torch_one_cycle",
    "transformer",
)
LONGEST = 400
FIFTY_TIMES = settings(max_examples=50, deadline=None, database=None)
every_shape = pytest.mark.parametrize("name", ORACLES)


@functools.cache
def table(name):
    """`(horizon, length) -> [LONGEST]`: the shape under a warm-up at every step, all
    traced.
    """

    @jax.jit
    def run(horizon, length):
        shape = learn.warmup(getattr(learn, name), length)
        return jax.vmap(lambda t: shape(t, horizon))(
            jnp.arange(LONGEST, dtype=jnp.int32)
        )

    return run


def values(name, horizon, length=0.0):
    """What `table` gives for numbers, in float32."""
    return np.asarray(table(name)(jnp.float32(horizon), jnp.float32(length)))


def at(shape, step, horizon):
    return float(jax.jit(shape)(jnp.int32(step), jnp.float32(horizon)))


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("constant", {0: 1.0, 50: 1.0, 99: 1.0}),
        (
            "step_decay",
            {
                0: 1.0,
                24: 1.0,
                25: 0.1,
                49: 0.1,
                50: 0.01,
                74: 0.01,
                75: 0.001,
                99: 0.001,
            },
        ),
        ("exponential", {0: 1.0, 25: 0.1**0.5, 50: 0.1, 75: 0.1**1.5, 100: 0.01}),
        ("inverse_sqrt", {0: 1.0, 3: 0.5, 8: 1 / 3, 99: 0.1}),
        ("linear", {0: 1.0, 25: 0.75, 99: 0.01, 100: 0.0, 150: 0.0}),
        (
            "cosine",
            {
                0: 1.0,
                25: 0.5 + 0.125**0.5,
                50: 0.5,
                75: 0.5 - 0.125**0.5,
                100: 0.0,
                150: 0.0,
            },
        ),
    ],
)
def test_shape_at_points_worked_by_hand(name, points):
    actual = values(name, 100.0)[list(points)]
    np.testing.assert_allclose(actual, list(points.values()), rtol=3e-6, atol=1e-7)


@pytest.mark.device
@pytest.mark.oracle
@every_shape
def test_shape_is_its_closed_form_in_float64(name):
    horizons = np.array([3.0, 60.0, 675.0])
    steps = np.array([[0, 1, 2], [0, 31, 59], [0, 337, 674]])
    with jax.enable_x64(True):
        shape = jax.jit(jax.vmap(jax.vmap(getattr(learn, name), (0, None))))
        actual = np.asarray(
            shape(jnp.asarray(steps, jnp.int32), jnp.asarray(horizons, jnp.float64))
        )
    assert name == "constant" or actual.dtype == np.float64
    expected = [
        [ORACLES[name](t, h) for t in row]
        for row, h in zip(steps, horizons, strict=True)
    ]
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.oracle
@every_shape
def test_shape_takes_plain_numbers(name):
    np.testing.assert_allclose(
        float(getattr(learn, name)(7, 20)), ORACLES[name](7, 20), rtol=1e-6
    )


@pytest.mark.oracle
def test_documentation_against_source_the_phases_of_pytorch_end_one_update_earlier():
    """OneCycleLR of 10 updates: its peak at 0.3 · 10 - 1, its lowest at the last
    update; ours at 3 and 10.
    """
    assert [at(learn.torch_one_cycle, t, 10) for t in (2, 9)] == pytest.approx(
        [1.0, 4e-6], rel=1e-5
    )
    assert [at(learn.one_cycle, t, 10) for t in (3, 10)] == pytest.approx(
        [1.0, 4e-6], rel=1e-5
    )


@pytest.mark.bench
@pytest.mark.oracle
@pytest.mark.parametrize("total", [10, 37, 200])
def test_the_one_cycle_of_pytorch(total):
    torch = importlib.import_module("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=total, cycle_momentum=False
    )
    theirs = []
    for _ in range(total):
        theirs.append(cycle.get_last_lr()[0])
        optimizer.step()
        if len(theirs) < total:
            cycle.step()
    ours = [at(learn.torch_one_cycle, t, total) for t in range(total)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("drops", [1, 2, 3, 6, 9])
def test_step_decay_drops_exactly_at_its_boundaries(drops):
    """In float32, at every step of every horizon that divides into whole parts, also
    where runs are vmapped and the compiler turns a division by the horizon into a
    product with its reciprocal.
    """
    horizons = (drops + 1) * np.arange(1, LONGEST // (drops + 1) + 1)
    steps = np.arange(LONGEST)
    shape = functools.partial(learn.step_decay, drops=drops, factor=0.5)
    every = jax.jit(jax.vmap(jax.vmap(shape, (0, None)), (None, 0)))
    actual = np.asarray(
        every(jnp.asarray(steps, jnp.int32), jnp.asarray(horizons, jnp.float32))
    )
    expected = 0.5 ** (steps * (drops + 1) // horizons[:, None])
    inside = steps < horizons[:, None]
    np.testing.assert_allclose(actual[inside], expected[inside], rtol=1e-6)


@pytest.mark.oracle
def test_exponential_ends_at_its_final_value():
    shape = functools.partial(learn.exponential, final=0.2)
    np.testing.assert_allclose(
        [at(shape, t, 80) for t in (0, 40, 80)], [1.0, 0.2**0.5, 0.2], rtol=1e-6
    )


@pytest.mark.oracle
def test_warm_up_rises_then_follows_the_shape_over_what_is_left():
    actual = values("cosine", 110.0, 10.0)[[0, 4, 9, 10, 35, 60, 110, 200]]
    expected = [0.1, 0.5, 1.0, 1.0, 0.5 + 0.125**0.5, 0.5, 0.0, 0.0]
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.oracle
@every_shape
@FIFTY_TIMES
@given(length=st.integers(0, 50), rest=st.integers(1, 300))
def test_warm_up_of_a_traced_length(name, length, rest):
    """The reference takes the four equal parts in whole numbers, so only rounding of
    values is allowed.
    """
    shape = ORACLES[name]
    if name == "step_decay":
        shape = lambda t, horizon: 0.1 ** (4 * t // horizon)  # noqa: E731 - replaces an entry of the table
    expected = [
        (t + 1) / length if t < length else shape(t - length, rest)
        for t in range(min(length + rest, LONGEST))
    ]
    actual = values(name, length + rest, length)[: len(expected)]
    np.testing.assert_allclose(actual, expected, rtol=3e-6, atol=2e-7)


@pytest.mark.identity
@every_shape
@FIFTY_TIMES
@given(horizon=st.integers(1, 1000))
def test_no_warm_up_is_the_bare_shape_with_unit_peak_at_the_start(name, horizon):
    shape = jax.vmap(getattr(learn, name), (0, None))
    steps = jnp.arange(LONGEST, dtype=jnp.int32)
    bare = np.asarray(shape(steps, jnp.float32(horizon)))
    assert name in RISING or bare[0] == 1.0
    assert np.all((bare >= 0) & (bare <= 1))
    np.testing.assert_allclose(values(name, horizon), bare, rtol=1e-6, atol=1e-7)


@pytest.mark.identity
@every_shape
@FIFTY_TIMES
@given(length=st.integers(0, 60), rest=st.floats(0.5, 300.0, width=32))
def test_shape_stays_in_the_unit_interval_and_falls_after_its_peak(name, length, rest):
    """Also past the horizon."""
    shape = values(name, np.float32(length) + np.float32(rest), length)
    assert np.all(shape >= 0.0) and np.all(shape <= 1.0)
    assert name in (*RISING, "restarts") or np.all(np.diff(shape[length:]) <= 1e-6)


@pytest.mark.identity
def test_a_warm_up_of_a_fraction_of_an_update_does_not_overshoot():
    """A tenth of a traced horizon is seldom a whole number."""
    for length in (0.5, 1.5, 2.5, 6.75, 67.5):
        assert np.max(values("constant", 100.0, length)) == 1.0


@pytest.mark.identity
@pytest.mark.parametrize("length", [0.0, 7.0])
@every_shape
def test_a_warm_up_as_long_as_the_horizon_is_finite_within_it(name, length):
    horizon = max(length, 1.0)
    assert np.all(np.isfinite(values(name, horizon, length)[: int(horizon)]))


@pytest.mark.compiles_once
def test_horizons_and_lengths_are_one_trace():
    traces = 0

    @jax.jit
    def rate(step, horizon, length):
        nonlocal traces
        traces += 1
        shapes = [learn.warmup(getattr(learn, name), length) for name in ORACLES]
        return [shape(step, horizon) for shape in shapes]

    for i in range(12):
        rate(jnp.int32(i), jnp.float32(10 + 60 * i), jnp.float32(i % 5))
    assert traces == 1


@pytest.mark.invariance
def test_runs_of_unequal_horizons_equal_a_loop():
    horizons, lengths = (
        np.array([3.0, 50.0, 675.0], np.float32),
        np.array([0.0, 5.0, 67.0], np.float32),
    )
    for name in ORACLES:
        together = jax.vmap(table(name))(jnp.asarray(horizons), jnp.asarray(lengths))
        alone = [values(name, h, n) for h, n in zip(horizons, lengths, strict=True)]
        np.testing.assert_allclose(np.asarray(together), alone, rtol=1e-6, atol=1e-7)


@pytest.mark.identity
@pytest.mark.parametrize("name", ORACLES)
def test_a_default_horizon_stops_no_run_but_is_refused_where_it_is_read(name):
    """Also under a warm-up of its own; a shape that does not read it needs none."""
    shape = getattr(learn, name)
    if name in ("constant", "inverse", "inverse_sqrt", "transformer"):
        rate = learn.rate_at(learn.Hyper(lr=0.1, warmup=3.0), shape)
        np.testing.assert_allclose(float(rate(3)), 0.1 * ORACLES[name](0, 1), rtol=1e-6)
    else:
        with pytest.raises(
            InputError, match="reads the horizon, and none is given: set"
        ):
            learn.rate_at(learn.Hyper(lr=0.1), shape)
        with pytest.raises(InputError, match="reads the horizon"):
            jax.jit(lambda lr: learn.rate_at(learn.Hyper(lr=lr), shape)(0))(0.1)


@pytest.mark.identity
def test_a_default_horizon_that_is_traced_shows_at_the_first_update():
    def rate(hyper, shape):
        return learn.rate_at(hyper, shape)(0)

    assert math.isnan(
        jax.jit(functools.partial(rate, shape=learn.cosine))(learn.Hyper(lr=0.1))
    )
    assert (
        float(
            jax.jit(functools.partial(rate, shape=learn.constant))(learn.Hyper(lr=0.5))
        )
        == 0.5
    )


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
def test_scale_by_rate_multiplies_by_minus_the_rate_counted_from_zero(name):
    hyper = learn.Hyper(lr=jnp.float32(0.3), horizon=jnp.float32(8.0))
    optimizer = learn.scale_by_rate(hyper, getattr(learn, name))
    assert isinstance(optimizer, optax.GradientTransformation)
    grads = {
        "a": jnp.array([1.0, -2.0], jnp.float32),
        "b": jnp.full((2, 1), 5.0, jnp.float32),
    }
    params = jax.tree.map(jnp.zeros_like, grads)
    opt_state = optimizer.init(params)
    for t in range(8):
        moved, opt_state = learn.update(optimizer, grads, opt_state, params)
        rate = 0.3 * ORACLES[name](t, 8.0)
        np.testing.assert_allclose(moved["a"], [-rate, 2 * rate], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(
            moved["b"], [[-5 * rate], [-5 * rate]], rtol=1e-6, atol=1e-7
        )
