"""Every family of the table, and every wrapper, against the oracles written from their
papers.
"""

import functools
import importlib
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn

_spec = importlib.util.spec_from_file_location(
    "oracles", Path(__file__).with_name("oracles.py")
)
oracles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracles)

STEPS = 60
HYPER = learn.Hyper(
    lr=0.03,
    momentum=0.83,
    second_moment=0.97,
    epsilon=1e-3,
    weight_decay=0.02,
    horizon=80.0,
    period=3,
    radius=0.07,
    average_from=10,
    trust=0.3,
    final_lr=0.05,
    tolerance=1e-4,
)
START = {
    "bowl": np.array([1.5, -2.0, 0.7, 2.5, -1.2, 0.4]),
    "waves": np.array([[1.1, -0.6], [2.2, -1.9], [0.3, 2.8]]),
}
ROTATION = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
MATRIX = ROTATION @ np.diag(np.logspace(-2, 1, 6)) @ ROTATION.T
WRAPPED = {
    "sam": learn.sharpness_aware,
    "averaged": learn.averaged,
    "schedule_free": learn.schedule_free,
}
UNDECAYED = ("mean_square_adagrad", "sam", "schedule_free")
SPECIAL = {
    "prodigy": {"lr": 0.7},
    "shampoo": {"epsilon": 0.02},
    "muon": {"momentum": 0.95},
    "swats": {"weight_decay": 0.03},
}


@pytest.fixture(scope="module", autouse=True)
def compiled_in_a_hurry():
    """A hundred small programs, each run once."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def objective(params):
    """A quadratic of condition number 1000 off its axes, and a coupled Σ x sin x, not
    convex.
    """
    x, y = params["bowl"], params["waves"]
    bowl = 0.5 * x @ jnp.asarray(MATRIX, x.dtype) @ x
    return bowl + jnp.sum(y * jnp.sin(y)) + 0.3 * jnp.sum(y[1:] * y[:-1])


def gradient(params):
    """By hand, in NumPy."""
    x, y = params["bowl"], params["waves"]
    beside = np.zeros_like(y)
    beside[:-1] += y[1:]
    beside[1:] += y[:-1]
    return {"bowl": MATRIX @ x, "waves": np.sin(y) + y * np.cos(y) + 0.3 * beside}


def hyper_for(name):
    decay = {"weight_decay": 0.0} if name in UNDECAYED else {}
    return HYPER._replace(**SPECIAL.get(name, {}), **decay)


def family_of(name):
    if name in WRAPPED:
        return WRAPPED[name](learn.sgd if name == "schedule_free" else learn.momentum)
    return learn.OPTIMIZERS[name]


def cast(hyper, dtype):
    whole = ("period", "average_from", "seed")
    return type(hyper)(
        *(
            jnp.asarray(v, jnp.int32 if k in whole else dtype)
            for k, v in hyper._asdict().items()
        )
    )


@functools.cache
def compiled(name, shape):
    traces = []

    def run(hyper, start):
        traces.append(name)
        optimizer = family_of(name)(hyper, shape)

        def step(carry, _):
            params, opt_state = carry
            params, opt_state = learn.update(
                optimizer, jax.grad(objective)(params), opt_state, params
            )
            return (params, opt_state), (
                params,
                learn.evaluation_params(opt_state, params),
            )

        return jax.lax.scan(step, (start, optimizer.init(start)), length=STEPS)[1]

    return jax.jit(run), traces


def walk(name, hyper, shape=learn.cosine):
    with jax.enable_x64(True):
        visited, evaluated = compiled(name, shape)[0](cast(hyper, jnp.float64), START)
        return jax.tree.map(np.asarray, (visited, evaluated))


def rates_of(name, hyper, shape=learn.cosine):
    """SAM's rate is that at the beginning of its climb."""
    first = int(hyper.period) if name == "sam" else 1
    with jax.enable_x64(True):
        steps = jnp.arange(STEPS) // first * first
        return np.asarray(jax.vmap(learn.rate_at(hyper, shape))(steps))


def expected(name, hyper, rates):
    h = SimpleNamespace(**hyper._asdict())
    if name in WRAPPED:
        return oracles.WRAPPERS[name](gradient, START, rates, h)
    visited = oracles.ORACLES[name](gradient, START, rates, h)
    return visited, visited


def stack(path):
    return {name: np.array([point[name] for point in path]) for name in START}


NAMES = (*oracles.ORACLES, *oracles.WRAPPERS)
SWITCHING = ("swats",)  # at a constant rate alone within so few steps
SHAPED = [
    *((name, learn.cosine) for name in NAMES),
    *((name, learn.constant) for name in SWITCHING),
    *(
        pytest.param(name, learn.constant, marks=pytest.mark.stress)
        for name in NAMES
        if name not in SWITCHING
    ),
]


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "shape"), SHAPED)
def test_a_family_walks_as_its_paper_says(name, shape):
    hyper = hyper_for(name)
    for ours, theirs in zip(
        walk(name, hyper, shape),
        expected(name, hyper, rates_of(name, hyper, shape)),
        strict=True,
    ):
        for leaf, path in stack(theirs).items():
            np.testing.assert_allclose(
                ours[leaf], path, rtol=1e-9, atol=1e-10, err_msg=leaf
            )


@pytest.mark.oracle
def test_every_family_of_the_table_has_an_oracle():
    assert set(learn.OPTIMIZERS) == set(oracles.ORACLES)
    assert set(WRAPPED) == set(oracles.WRAPPERS)


@pytest.mark.stress
@pytest.mark.oracle
def test_swats_has_switched_and_prodigy_has_grown():
    """Else the test above has only seen Adam."""
    with jax.enable_x64(True):
        for name, grown in (("swats", "switched"), ("prodigy", "distance")):
            hyper = cast(hyper_for(name), jnp.float64)
            optimizer, params = (
                learn.OPTIMIZERS[name](hyper),
                jax.tree.map(jnp.asarray, START),
            )
            opt_state = first = optimizer.init(params)
            for _ in range(40):
                params, opt_state = learn.update(
                    optimizer, jax.grad(objective)(params), opt_state, params
                )
            read = optax.tree_utils.tree_get
            assert float(read(opt_state, grown)) > 10 * float(read(first, grown))


@pytest.mark.compiles_once
@pytest.mark.parametrize("name", [*oracles.ORACLES, *oracles.WRAPPERS])
def test_a_grid_over_rates_momenta_decay_warmup_and_horizon_is_one_trace(name):
    run, traces = compiled(name, learn.cosine)
    grid = learn.grid(
        learn.Hyper, lr=[0.01, 0.02], momentum=[0.5, 0.9], weight_decay=[0.0, 0.1]
    )
    for k in range(8):
        hyper = type(grid)(*(column[k] for column in grid))
        hyper = hyper._replace(warmup=1.5 * k, horizon=50.0 + k, period=1 + k)
        with jax.enable_x64(True):
            run(cast(hyper, jnp.float64), START)
    assert len(traces) == 1


@pytest.mark.invariance
@pytest.mark.parametrize("name", [*oracles.ORACLES, *oracles.WRAPPERS])
def test_update_keeps_every_dtype(name):
    start = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), START)
    optimizer = family_of(name)(cast(HYPER, jnp.float32), learn.cosine)
    before = start, optimizer.init(start)
    after = jax.eval_shape(lambda p, s: learn.update(optimizer, p, s, p), *before)
    kinds = [
        [(x.shape, x.dtype) for x in jax.tree.leaves(carry)]
        for carry in (before, after)
    ]
    assert kinds[0] == kinds[1]


OPTAX = {
    "momentum": lambda h: optax.trace(h.momentum),
    "nag": lambda h: optax.trace(h.momentum, nesterov=True),
    "averaged_momentum": lambda h: optax.ema(h.momentum, debias=False),
    "rmsprop_inside": lambda h: optax.scale_by_rms(
        h.second_moment, h.epsilon, eps_in_sqrt=True
    ),
    "adam": lambda h: optax.scale_by_adam(h.momentum, h.second_moment, h.epsilon),
    "nadam": lambda h: optax.scale_by_adam(
        h.momentum, h.second_moment, h.epsilon, nesterov=True
    ),
    "adadelta": lambda h: optax.scale_by_adadelta(h.second_moment, h.epsilon),
    "radam": lambda h: optax.scale_by_radam(h.momentum, h.second_moment, h.epsilon),
    "lion": lambda h: optax.scale_by_lion(h.momentum, h.second_moment),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", OPTAX)
def test_rules_equal_optax_where_it_has_them(name):
    hyper = HYPER._replace(weight_decay=0.0)
    with jax.enable_x64(True):
        start, chain = (
            jax.tree.map(jnp.asarray, START),
            optax.chain(OPTAX[name](hyper), optax.scale(-hyper.lr)),
        )

        def step(carry, _):
            params, opt_state = carry
            params, opt_state = learn.update(
                chain, jax.grad(objective)(params), opt_state, params
            )
            return (params, opt_state), params

        theirs = jax.lax.scan(step, (start, chain.init(start)), length=STEPS)[1]
    ours, _ = walk(name, hyper, learn.constant)
    for leaf, path in ours.items():
        np.testing.assert_allclose(path, theirs[leaf], rtol=1e-10, atol=1e-11)


def torch_path(name, h, rates):
    torch = importlib.import_module("torch")
    betas = {"betas": (h.momentum, h.second_moment), "eps": h.epsilon}
    constructor, options = {
        "adadelta": (torch.optim.Adadelta, {"rho": h.second_moment, "eps": h.epsilon}),
        "unbiased_amsgrad": (torch.optim.Adam, {**betas, "amsgrad": True}),
        "radam": (torch.optim.RAdam, betas),
    }[name]
    leaves = {
        k: torch.tensor(v, dtype=torch.float64, requires_grad=True)
        for k, v in START.items()
    }
    optimizer, visited = (
        constructor(leaves.values(), lr=h.lr, weight_decay=h.weight_decay, **options),
        [],
    )
    for rate in rates:
        optimizer.param_groups[0]["lr"] = float(rate)
        for k, g in gradient(
            {k: v.detach().numpy() for k, v in leaves.items()}
        ).items():
            leaves[k].grad = torch.tensor(g)
        optimizer.step()
        visited.append({k: v.detach().numpy().copy() for k, v in leaves.items()})
    return stack(visited)


@pytest.mark.bench
@pytest.mark.oracle
@pytest.mark.parametrize("name", ["adadelta", "unbiased_amsgrad", "radam"])
def test_a_family_walks_with_pytorch(name):
    """RAdam without ε, which PyTorch adds before the bias is taken out; its NAdam moves
    β by a schedule.
    """
    hyper = HYPER._replace(epsilon=1e-12) if name == "radam" else HYPER
    ours, _ = walk(name, hyper, learn.cosine)
    for leaf, path in torch_path(name, hyper, rates_of(name, hyper)).items():
        np.testing.assert_allclose(ours[leaf], path, rtol=1e-9, atol=1e-10)


def fed_ones(family, hyper, steps):
    """The steps that a family makes on a constant gradient of 1, over the rate."""
    with jax.enable_x64(True):
        optimizer = family(cast(hyper, jnp.float64))

        def step(carry, _):
            params, opt_state = carry
            after, opt_state = learn.update(optimizer, jnp.ones(1), opt_state, params)
            return (after, opt_state), (params - after)[0] / hyper.lr

        start = jnp.zeros(1)
        return np.asarray(
            jax.lax.scan(step, (start, optimizer.init(start)), length=steps)[1]
        )


@pytest.mark.identity
def test_radam_is_a_fixed_warm_up_of_adam():
    """C118: on a constant gradient the step is the rectifier, whatever the data; before
    t = 6 it is SGD's.
    """
    steps = fed_ones(learn.radam, learn.Hyper(lr=0.1, epsilon=0.0), 5000)
    table = {1: 1.0, 5: 1.0, 6: 0.0258, 10: 0.049, 100: 0.215, 1000: 0.645, 5000: 0.983}
    for t, rectifier in table.items():
        np.testing.assert_allclose(steps[t - 1], rectifier, atol=6e-4)


@pytest.mark.identity
def test_adam_walks_at_its_rate_on_a_constant_gradient():
    """C087: numerator and denominator cancel there, and only there."""
    np.testing.assert_allclose(
        fed_ones(learn.adam, learn.Hyper(lr=0.1, epsilon=0.0), 50), 1.0, rtol=1e-12
    )


@pytest.mark.identity
def test_penalty_and_decay_are_one_for_descent_and_two_for_adam():
    """C123, at a constant rate."""
    penalised, decayed = (
        walk(name, hyper_for(name), learn.constant)[0] for name in ("adam", "adamw")
    )
    assert np.abs(penalised["bowl"] - decayed["bowl"]).max() > 1e-3
    with jax.enable_x64(True):
        hyper, paths = cast(HYPER, jnp.float64), []
        for family in (learn.sgd, learn.decoupled(learn.by())):
            run = learn.descend(
                lambda params, _: objective(params),
                family(hyper),
                jax.tree.map(jnp.asarray, START),
                None,
                steps=50,
                observe=lambda params: params["bowl"],
            )
            paths.append(np.asarray(run.observed))
    np.testing.assert_allclose(*paths, rtol=1e-12, atol=1e-13)
