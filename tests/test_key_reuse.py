"""No key of JAX is used twice: JAX follows each through the traced programs.

Nothing is compiled: the check is made when a program is traced, through vmap, scan and
while loops alike.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature, learn, problem
from jaxml.learn.training.state import start_key
from jaxml.types import Batch

pytestmark = pytest.mark.identity

INPUTS = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
DATA = Batch(INPUTS, np.arange(12, dtype=np.int32) % 3, np.ones(12, np.float32))
POINT = {"w": jnp.ones(4), "b": jnp.ones(())}


@pytest.fixture(autouse=True)
def followed() -> Iterator[None]:
    """JAX follows keys, also on threads other than this one."""
    jax.config.update("jax_debug_key_reuse", True)
    yield
    jax.config.update("jax_debug_key_reuse", False)


def traced(program: Callable[[Any], Any]) -> None:
    """Traces it for one seed: of a scan over split keys under vmap JAX says that it
    uses them twice, although it does not.
    """
    jax.jit(lambda seed: program(jax.random.key(seed))).lower(0)


def bowl(params: Any, batch: Any) -> jax.Array:
    outputs = jnp.tanh(batch.inputs @ params["w"][:, None]) + params["b"]
    return jnp.mean(outputs**2) + jnp.sum(params["w"] ** 4)


def product(vector: Any) -> Any:
    return jax.tree.map(lambda leaf: 2 * leaf, vector)


def twice(key: Any) -> Any:
    return jax.random.normal(key) + jax.random.uniform(key)


def every_step(key: Any) -> Any:
    def step(total: Any, _: Any) -> Any:
        return total + jax.random.normal(key), None

    return jax.lax.scan(step, jnp.zeros(()), None, length=3)


def until_done(key: Any) -> Any:
    def step(total: Any) -> Any:
        return total + jax.random.uniform(key)

    return jax.lax.while_loop(lambda total: total < 2, step, jnp.zeros(()))


@pytest.mark.parametrize("planted", [twice, every_step, until_done])
def test_a_planted_reuse_is_seen(planted: Callable[[Any], Any]) -> None:
    with pytest.raises(jax.errors.KeyReuseError):
        traced(planted)


STREAMS = {
    "shuffled": lambda: learn.shuffled(DATA, 4),
    "with replacement": lambda: learn.with_replacement(DATA, 4),
    "split anew": lambda: learn.split_anew(DATA, train=8, test=4, size=4),
}


@pytest.mark.parametrize("stream", STREAMS)
def test_training_with_dropout_and_noise(stream: str) -> None:
    model = problem.mlp((5, 3), jnp.tanh, dropout=0.5)

    training = learn.training(
        lambda key: model.init(key, DATA.inputs),
        problem.training_loss(model, problem.cross_entropy),
        learn.noisy(learn.adam),
        STREAMS[stream](),
        steps=4,
        every=2,
    )
    hypers = learn.grid(learn.Hyper, lr=0.1, noise=0.1, seed=range(2))
    program = jax.vmap(lambda hyper: _run(training, hyper))
    jax.jit(program).lower(hypers)


def _run(training: learn.Training, hyper: Any) -> Any:
    begun = training.start(start_key(hyper.seed))
    return training.run(training.init(hyper, *begun), training.data)


ESTIMATES = {
    "trace": lambda key: curvature.trace(product, POINT, key=key, probes=2),
    "norm": lambda key: curvature.frobenius_norm(product, POINT, key=key, probes=2),
    "diagonal": lambda key: curvature.diagonal(product, POINT, key=key, probes=2),
    "density": lambda key: curvature.spectral_density(
        product, POINT, depth=3, probes=2, key=key
    ),
    "extremes": lambda key: curvature.extremes(
        product, POINT, count=1, depth=3, key=key
    ),
    "ascent": lambda key: curvature.ascent_sharpness(
        bowl, POINT, DATA, radius=0.1, steps=2, key=key
    ),
    "isotropic": lambda key: curvature.isotropic_gradient(
        bowl, POINT, DATA, size=4, key=key
    ),
}


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_estimates_of_curvature(estimate: str) -> None:
    traced(ESTIMATES[estimate])
