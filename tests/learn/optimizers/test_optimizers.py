"""Optimizer families against float64 NumPy oracles written from their papers, and their
identities.

Every method here is `theta -= rate * direction`: an oracle gives the direction, `path`
walks it.
"""

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn

STEPS = 60
INTEGERS = ("period", "average_from", "seed")
HYPER = learn.Hyper(
    lr=0.03,
    momentum=0.83,
    second_moment=0.97,
    epsilon=1e-3,
    weight_decay=0.02,
    horizon=80.0,
    period=4,
    pull=0.3,
)
UNDECAYED = HYPER._replace(weight_decay=0.0)
assert_close = functools.partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-12)


# The equations: (gradient, parameters, state, updates counted from 1, hyper) ->
# (direction, state).


def sgd(g, x, state, t, h):
    return g + h.weight_decay * x, state


def momentum(g, x, state, t, h):
    m = h.momentum * state[0] + g + h.weight_decay * x
    return m, (m,)


def nag(g, x, state, t, h):
    g = g + h.weight_decay * x
    m = h.momentum * state[0] + g
    return g + h.momentum * m, (m,)


def adagrad(g, x, state, t, h):
    g = g + h.weight_decay * x
    total = state[0] + g**2
    return g / (np.sqrt(total) + h.epsilon), (total,)


def mean_square_adagrad(g, x, state, t, h):
    total = state[0] + g**2
    return g / (np.sqrt(total / t) + h.epsilon), (total,)


def rmsprop(g, x, state, t, h):
    g = g + h.weight_decay * x
    v = h.second_moment * state[0] + (1 - h.second_moment) * g**2
    return g / (np.sqrt(v) + h.epsilon), (v,)


def adam(g, x, state, t, h):
    return adaptive(g + h.weight_decay * x, state, t, h)


def adamw(g, x, state, t, h):
    direction, state = adaptive(g, state, t, h)
    return direction + h.weight_decay * x, state


def adaptive(g, state, t, h):
    m = h.momentum * state[0] + (1 - h.momentum) * g
    v = h.second_moment * state[1] + (1 - h.second_moment) * g**2
    unbiased_m, unbiased_v = m / (1 - h.momentum**t), v / (1 - h.second_moment**t)
    return unbiased_m / (np.sqrt(unbiased_v) + h.epsilon), (m, v)


ORACLES = {
    f.__name__: f
    for f in (sgd, momentum, nag, adagrad, mean_square_adagrad, rmsprop, adam, adamw)
}
WRAPPED = {f"lookahead({name})": name for name in ("momentum", "adam")}
FAMILIES = {name: getattr(learn, name) for name in ORACLES} | {
    wrapped: learn.lookahead(getattr(learn, name)) for wrapped, name in WRAPPED.items()
}
every_family = pytest.mark.parametrize("name", FAMILIES)
every_mechanism = pytest.mark.parametrize(
    "name", ["nag", "mean_square_adagrad", "rmsprop", "adamw", "lookahead(adam)"]
)


def path(direction, h, rates, jitter=lambda x: x):
    """The parameters after each update, `[len(rates), 12]`."""
    x, state, visited = START, (0.0, 0.0), []
    for t, rate in enumerate(rates, 1):
        d, state = direction(gradient(jitter(x)), x, state, t, h)
        x = jitter(x - rate * d)
        visited.append(x)
    return np.array(visited)


def lookahead_path(direction, h, rates, jitter=lambda x: x):
    """Zhang et al. 2019, algorithm 1: the fast and the slow weights after each
    update.
    """
    fast, slow, state, visited = START, START, (0.0, 0.0), []
    for t, rate in enumerate(rates, 1):
        d, state = direction(gradient(jitter(fast)), fast, state, t, h)
        fast = jitter(fast - rate * d)
        if t % h.period == 0:
            fast = slow = slow + h.pull * (fast - slow)
        visited.append((fast, slow))
    return np.array(visited).swapaxes(0, 1)


def expected_walk(name, h, rates, jitter=lambda x: x):
    """Parameters, and parameters to evaluate, `[2, len(rates), 12]`."""
    if name in WRAPPED:
        return lookahead_path(ORACLES[WRAPPED[name]], h, rates, jitter)
    visited = path(ORACLES[name], h, rates, jitter)
    return np.array([visited, visited])


def constant_rates(h):
    return np.full(STEPS, h.lr)


def warm_cosine_rates(h):
    """`hyper.warmup` rising updates, then half a cosine over what is left of the
    horizon.
    """
    t = np.arange(STEPS)
    fall = (1 + np.cos(np.pi * (t - h.warmup) / (h.horizon - h.warmup))) / 2
    return h.lr * np.where(t < h.warmup, (t + 1) / h.warmup, fall)


class Schedule(NamedTuple):
    rates: Callable[[Any], np.ndarray]
    shape: Callable[..., Any]
    warmup: float


SCHEDULES = {
    "constant": Schedule(constant_rates, learn.constant, 0.0),
    "warm_cosine": Schedule(warm_cosine_rates, learn.cosine, 9.0),
}


def hyper_for(name, schedule):
    """The course's Adagrad has no weight decay in its equation."""
    hyper = UNDECAYED if name == "mean_square_adagrad" else HYPER
    return hyper._replace(warmup=SCHEDULES[schedule].warmup)


# Where they walk: the first leaf on a quadratic of condition number 1e4, off its axes,
# the second on a coupled x sin x.

START = np.array([1.5, -2.0, 0.7, 2.5, -1.2, 0.4, 1.1, -0.6, 2.2, -1.9, 0.3, 2.8])
ROTATION = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
MATRIX = ROTATION @ np.diag(np.logspace(-3, 1, 6)) @ ROTATION.T
VECTOR = np.array([0.3, -0.2, 0.5, 0.1, -0.4, 0.2])


def objective(params):
    x, y = params["bowl"], params["waves"].ravel()
    bowl = x @ (0.5 * jnp.asarray(MATRIX, x.dtype) @ x - jnp.asarray(VECTOR, x.dtype))
    return bowl + jnp.sum(y * jnp.sin(y)) + 0.3 * jnp.sum(y[1:] * y[:-1])


def gradient(z):
    x, y = z[:6], z[6:]
    neighbours = np.append(y[1:], 0.0) + np.append(0.0, y[:-1])
    return np.append(MATRIX @ x - VECTOR, np.sin(y) + y * np.cos(y) + 0.3 * neighbours)


def unraveled(z, dtype):
    z = jnp.asarray(z, dtype)
    return {"bowl": z[:6], "waves": z[6:].reshape(2, 3)}


def flat(params):
    """Trajectories of the two leaves as one float64 array `[..., 12]`."""
    bowl, waves = np.asarray(params["bowl"]), np.asarray(params["waves"])
    return np.concatenate([bowl, waves.reshape(*bowl.shape[:-1], 6)], axis=-1).astype(
        np.float64
    )


def cast(hyper, dtype):
    fields = hyper._asdict().items()
    return learn.Hyper(
        *(
            jnp.asarray(v, jnp.int32 if name in INTEGERS else dtype)
            for name, v in fields
        )
    )


def trajectory(family, gradient_at, hyper, start, steps, shape=learn.constant):
    """Parameters, and parameters to evaluate, after each update, as one scan."""
    optimizer = family(hyper, shape)

    def step(carry, t):
        params, opt_state = carry
        params, opt_state = learn.update(
            optimizer, gradient_at(params, t), opt_state, params
        )
        return (params, opt_state), (params, learn.evaluation_params(opt_state, params))

    return jax.lax.scan(step, (start, optimizer.init(start)), jnp.arange(steps))[1]


@functools.cache
def compiled(name, shape):
    """One program for every hyperparameter, and the list of the dtypes for which it was
    traced.
    """
    traces = []

    def run(hyper, start):
        traces.append(start["bowl"].dtype.name)
        return trajectory(
            FAMILIES[name],
            lambda p, t: jax.grad(objective)(p),
            hyper,
            start,
            STEPS,
            shape,
        )

    return jax.jit(run), traces


def walk(name, hyper, shape=learn.constant, dtype="float64"):
    """Parameters, and parameters to evaluate, `[2, STEPS, 12]`."""
    with jax.enable_x64(dtype == "float64"):
        params, evaluated = compiled(name, shape)[0](
            cast(hyper, dtype), unraveled(START, dtype)
        )
    return np.array([flat(params), flat(evaluated)])


def fed(family, hyper, gradients, shape=learn.constant):
    """Where a given sequence of gradients `[steps, n]` takes the family from the
    origin, in float64.
    """
    with jax.enable_x64(True):
        gradients = jnp.asarray(gradients, jnp.float64)
        start = jnp.zeros_like(gradients[0])

        @jax.jit
        def run(hyper):
            return trajectory(
                family, lambda p, t: gradients[t], hyper, start, len(gradients), shape
            )[0]

        return np.asarray(run(cast(hyper, jnp.float64)))


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "schedule"),
    [(name, "warm_cosine") for name in FAMILIES]
    + [
        (name, "constant")
        for name in ("momentum", "nag", "adagrad", "lookahead(momentum)")
    ],
)
def test_family_walks_its_equation(name, schedule):
    hyper = hyper_for(name, schedule)
    expected = expected_walk(name, hyper, SCHEDULES[schedule].rates(hyper))
    assert_close(walk(name, hyper, SCHEDULES[schedule].shape), expected)


@pytest.mark.device
@pytest.mark.oracle
@every_mechanism
def test_float32_strays_no_further_than_rounding(name):
    """The allowance is four times what the oracle strays when its parameters are
    rounded at every step.

    A power near one leaves eps / (1 - second_moment) of relative error in Adam's bias
    correction.
    """
    hyper = hyper_for(name, "warm_cosine")
    hyper = type(hyper)(
        *(v if isinstance(v, int) else float(np.float32(v)) for v in hyper)
    )
    rates, rng = warm_cosine_rates(hyper), np.random.default_rng(1)
    rounding = np.finfo(np.float32).eps / (
        1 - hyper.second_moment if "adam" in name else 1
    )
    expected = expected_walk(name, hyper, rates)
    jittered = [
        expected_walk(
            name, hyper, rates, lambda x: x * (1 + rounding * rng.uniform(-1, 1, 12))
        )
        for _ in range(4)
    ]
    allowance = 4 * np.max(np.abs(np.array(jittered) - expected))
    assert allowance < 1e-3
    np.testing.assert_allclose(
        walk(name, hyper, learn.cosine, "float32"), expected, rtol=0, atol=allowance
    )


@pytest.fixture
def torch():
    return importlib.import_module("torch")


def torch_path(torch, name, h, rates):
    betas, heavy = (
        (h.momentum, h.second_moment),
        {"momentum": h.momentum, "nesterov": name == "nag"},
    )
    constructor, options = {
        "sgd": (torch.optim.SGD, {}),
        "momentum": (torch.optim.SGD, heavy),
        "nag": (torch.optim.SGD, heavy),
        "adagrad": (
            torch.optim.Adagrad,
            {"initial_accumulator_value": 0, "eps": h.epsilon},
        ),
        "rmsprop": (torch.optim.RMSprop, {"alpha": h.second_moment, "eps": h.epsilon}),
        "adam": (torch.optim.Adam, {"betas": betas, "eps": h.epsilon}),
        "adamw": (torch.optim.AdamW, {"betas": betas, "eps": h.epsilon}),
    }[name]
    x = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer, visited = (
        constructor([x], lr=h.lr, weight_decay=h.weight_decay, **options),
        [],
    )
    for rate in rates:
        optimizer.param_groups[0]["lr"] = float(rate)
        x.grad = torch.tensor(gradient(x.detach().numpy()))
        optimizer.step()
        visited.append(x.detach().numpy().copy())
    return np.array(visited)


@pytest.mark.bench
@pytest.mark.oracle
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", sorted(ORACLES.keys() - {"mean_square_adagrad"}))
def test_family_and_oracle_walk_with_pytorch(torch, name, schedule):
    hyper = hyper_for(name, schedule)
    rates = SCHEDULES[schedule].rates(hyper)
    theirs = torch_path(torch, name, hyper, rates)
    assert_close(path(ORACLES[name], hyper, rates), theirs)
    assert_close(walk(name, hyper, SCHEDULES[schedule].shape)[0], theirs)


@pytest.mark.identity
def test_momentum_is_a_geometric_sum_of_gradients():
    """C073: m_t = sum over i < t of mu^(t-1-i) g_i; the newest gradient has weight
    one.
    """
    gradients = np.random.default_rng(2).normal(size=(40, 3))
    lag = np.subtract.outer(np.arange(40), np.arange(40))
    weights = np.where(lag >= 0, UNDECAYED.momentum ** np.maximum(lag, 0), 0.0)
    steps = np.diff(
        fed(learn.momentum, UNDECAYED, gradients), axis=0, prepend=np.zeros((1, 3))
    )
    assert_close(steps, -UNDECAYED.lr * weights @ gradients)


@pytest.mark.identity
def test_momentum_multiplies_terminal_speed():
    """C073: under a constant gradient the speed tends to lr / (1 - mu)."""
    positions = fed(
        learn.momentum, learn.Hyper(lr=0.01, momentum=0.9), np.ones((400, 1))
    )
    np.testing.assert_allclose(
        positions[-2] - positions[-1], [0.01 / (1 - 0.9)], rtol=1e-11
    )


@pytest.mark.identity
def test_momentum_as_a_moving_average_is_a_rescaled_rate():
    """C077: m = mu m + g at rate lr is m = mu m + (1 - mu) g at rate lr / (1 - mu)."""

    def moving_average(g, x, state, t, h):
        m = h.momentum * state[0] + (1 - h.momentum) * g
        return m, (m,)

    expected = path(
        moving_average, UNDECAYED, constant_rates(UNDECAYED) / (1 - UNDECAYED.momentum)
    )
    assert_close(walk("momentum", UNDECAYED)[0], expected)


@pytest.mark.identity
def test_two_forms_of_nag_are_one_trajectory():
    """C121: ours is theta + mu v of v = mu v - lr grad(theta + mu v), theta += v
    (Sutskever 2013).
    """
    x, v, ahead = START, np.zeros(12), []
    for _ in range(STEPS):
        v = UNDECAYED.momentum * v - UNDECAYED.lr * gradient(x + UNDECAYED.momentum * v)
        x = x + v
        ahead.append(x + UNDECAYED.momentum * v)
    assert_close(walk("nag", UNDECAYED)[0], ahead)


@pytest.mark.identity
def test_course_adagrad_under_inverse_sqrt_is_adagrad():
    """A4: g / sqrt(mean of squares) / sqrt(t) is g / sqrt(sum of squares)."""
    hyper = UNDECAYED._replace(epsilon=0.0, lr=0.3)
    course = walk("mean_square_adagrad", hyper, learn.inverse_sqrt)
    assert_close(course, walk("adagrad", hyper))


@pytest.mark.identity
@pytest.mark.parametrize("name", ["adagrad", "mean_square_adagrad", "adam"])
def test_first_step_is_the_rate_whatever_the_gradient(name):
    """C080: the first step is lr times the gradient's sign."""
    step = fed(FAMILIES[name], learn.Hyper(lr=0.25, epsilon=0.0), [[1e-6, -1.0, 1e6]])[
        0
    ]
    np.testing.assert_allclose(step, [-0.25, 0.25, -0.25], rtol=1e-12)


@pytest.mark.identity
def test_adam_numerator_has_the_sign_and_denominator_the_size():
    """C087: alternating gradients shrink the step to (1 - b1) / (1 + b1) of lr,
    constant ones leave lr.
    """
    signs = (-1.0) ** np.arange(400)
    gradients = 7.0 * np.stack([signs, np.ones(400)], axis=1)
    steps = np.diff(
        fed(learn.adam, learn.Hyper(lr=0.01, momentum=0.9, epsilon=0.0), gradients),
        axis=0,
    )
    np.testing.assert_allclose(steps[:, 1], -0.01, rtol=1e-9)
    np.testing.assert_allclose(steps[-1, 0], -0.01 * signs[-1] * 0.1 / 1.9, rtol=1e-9)


@pytest.mark.identity
def test_adam_drowns_the_rare_gradient():
    """C111: b1 = 0, b2 = 0.999. A gradient of 1 moves lr each time, one of 1e5 moves
    sqrt(1000) lr at most.

    The 31.62 lr are reached once the bias correction has died out; after 999 steps it
    leaves 25.15 lr.
    """
    hyper = learn.Hyper(lr=1.0, momentum=0.0, second_moment=0.999, epsilon=0.0)
    late, soon = 20_000, 999
    gradients = np.ones((late + 2, 2))
    gradients[late, 0] = gradients[soon, 1] = 1e5
    positions = fed(learn.adam, hyper, gradients)
    steps = -np.diff(positions, axis=0, prepend=np.zeros((1, 2)))
    np.testing.assert_allclose(-positions[soon - 1], [999.0, 999.0], rtol=1e-10)
    np.testing.assert_allclose(steps[late, 0], 1e5 / math.sqrt(0.999 + 1e7), rtol=1e-8)
    np.testing.assert_allclose(steps[late, 0], 31.62, atol=5e-3)
    np.testing.assert_allclose(steps[late + 1, 0], 10**-3.5, rtol=1e-3)
    second_moment = (0.999 * (1 - 0.999**999) + 1e7) / (1 - 0.999**1000)
    np.testing.assert_allclose(
        steps[soon, 1], 1e5 / math.sqrt(second_moment), rtol=1e-8
    )


@pytest.mark.identity
def test_decoupled_decay_shrinks_geometrically():
    """C123: without a gradient AdamW multiplies the parameters by 1 - lr decay at each
    step.
    """
    with jax.enable_x64(True):
        start = unraveled(START, jnp.float64)
        still = jax.tree.map(jnp.zeros_like, start)
        hyper = cast(HYPER, jnp.float64)
        params = flat(trajectory(learn.adamw, lambda p, t: still, hyper, start, 10)[0])
    factors = (1 - 0.03 * 0.02) ** np.arange(1, 11)
    np.testing.assert_allclose(params, np.outer(factors, START), rtol=1e-13)


@pytest.mark.identity
def test_lookahead_at_the_ends_of_its_pull():
    """A full pull is the inner family; no pull never moves the slow weights."""
    fast, _ = walk("lookahead(momentum)", HYPER._replace(pull=1.0))
    _, slow = walk("lookahead(momentum)", HYPER._replace(pull=0.0))
    assert_close(fast, walk("momentum", HYPER)[0])
    np.testing.assert_array_equal(slow, np.tile(START, (STEPS, 1)))


@pytest.mark.identity
@every_family
def test_before_the_first_update_one_evaluates_the_start(name):
    start = unraveled(START, jnp.float32)
    evaluated = learn.evaluation_params(
        FAMILIES[name](learn.Hyper(lr=0.1)).init(start), start
    )
    jax.tree.map(np.testing.assert_array_equal, evaluated, start)


@pytest.mark.identity
def test_a_family_written_by_the_user():
    """An Optax chain of traced numbers that ends in `scale_by_rate` is a family."""

    def own(hyper, shape):
        return optax.chain(
            optax.trace(hyper.momentum), learn.scale_by_rate(hyper, shape)
        )

    gradients = np.random.default_rng(3).normal(size=(20, 3))
    ours = fed(learn.momentum, UNDECAYED, gradients, learn.cosine)
    np.testing.assert_allclose(
        fed(own, UNDECAYED, gradients, learn.cosine), ours, rtol=1e-13
    )


def twelve_runs():
    hypers = learn.grid(
        learn.Hyper,
        lr=[0.01, 0.05],
        momentum=[0.5, 0.95],
        warmup=[0.0, 4.0, 7.5],
        horizon=[90.0],
        epsilon=[1e-3],
    )
    return hypers._replace(
        horizon=np.linspace(60, 90, 12, dtype=np.float32),
        period=np.arange(1, 13, dtype=np.int32),
    )


def at(tree, i):
    return jax.tree.map(lambda x: x[i], tree)


@pytest.mark.compiles_once
@every_family
def test_a_grid_is_one_trace(name):
    run, traces = compiled(name, learn.cosine)
    with jax.enable_x64(True):
        for i in range(12):
            run(cast(at(twelve_runs(), i), jnp.float64), unraveled(START, jnp.float64))
    assert traces.count("float64") == 1


@pytest.mark.invariance
@every_mechanism
def test_vmapped_runs_equal_a_loop(name):
    run, _ = compiled(name, learn.cosine)
    with jax.enable_x64(True):
        hypers, start = cast(twelve_runs(), jnp.float64), unraveled(START, jnp.float64)
        together = jax.jit(jax.vmap(run, in_axes=(0, None)))(hypers, start)
        alone = [run(at(hypers, i), start) for i in range(12)]
    for ours, loop in zip(together, zip(*alone, strict=True), strict=True):
        assert_close(flat(ours), [flat(x) for x in loop])


@pytest.mark.invariance
@every_family
def test_jit_changes_nothing(name):
    hyper = hyper_for(name, "warm_cosine")
    with jax.enable_x64(True):
        optimizer = FAMILIES[name](cast(hyper, jnp.float64), learn.cosine)
        params = unraveled(START, jnp.float64)
        opt_state = optimizer.init(params)
        for _ in range(hyper.period):
            grads = unraveled(gradient(flat(params)), jnp.float64)
            params, opt_state = learn.update(optimizer, grads, opt_state, params)
        actual = [flat(params), flat(learn.evaluation_params(opt_state, params))]
    assert_close(actual, walk(name, hyper, learn.cosine)[:, hyper.period - 1])


@pytest.mark.invariance
@pytest.mark.parametrize(
    ("numbers", "dtype"),
    [
        ("python", "bfloat16"),
        ("float32", "bfloat16"),
        ("float64", "float32"),
        ("float32", "float64"),
    ],
)
@every_family
def test_update_keeps_every_dtype(name, numbers, dtype):
    """Parameters and state are a scan's carry, whatever the dtype of the traced
    numbers.
    """
    with jax.enable_x64(True):
        start = unraveled(START, dtype)
        hyper = HYPER if numbers == "python" else cast(HYPER, numbers)
        optimizer = FAMILIES[name](hyper, learn.cosine)

        def step(params, opt_state):
            return learn.update(
                optimizer, jax.tree.map(jnp.ones_like, params), opt_state, params
            )

        before = start, optimizer.init(start)
        after = jax.eval_shape(step, *before)
        kinds = [
            [(x.shape, x.dtype.name) for x in jax.tree.leaves(carry)]
            for carry in (before, after)
        ]
    assert kinds[0] == kinds[1]


@pytest.mark.oracle
def test_names_of_the_command_line_map_to_families():
    for name in ORACLES:
        assert learn.OPTIMIZERS[name] is getattr(learn, name)
    for family in learn.OPTIMIZERS.values():
        assert isinstance(family(learn.Hyper(lr=0.1)), optax.GradientTransformation)
