"""Runs that pass levels of a loss: as a loop in NumPy, and by draws that are fair."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn
from jaxml.types import InputError

LEVELS = (float("inf"), 3.0, 0.7, 1e-9)


def halved(age: jax.Array, state: dict[str, jax.Array]) -> dict[str, jax.Array]:
    return {"x": state["x"] * 0.7, "age": jnp.asarray(age, jnp.float32)}


def value(state: dict[str, jax.Array]) -> jax.Array:
    return state["x"] ** 2


def passed(start: float) -> jax.Array:
    state = {"x": jnp.float32(start), "age": jnp.float32(-1)}
    found = learn.at_levels(
        halved, value, lambda s: s, state, levels=LEVELS, every=3, limit=10
    )
    return jnp.stack([found["x"], found["age"]])


@pytest.mark.oracle
def test_levels_are_passed_as_in_a_loop() -> None:
    found = np.asarray(jax.jit(jax.vmap(passed))(jnp.array([2.0, 9.0])))
    for start, seen in zip((2.0, 9.0), found, strict=True):
        x, age = start, 0
        for place, level in enumerate(LEVELS):
            while age < 10 and x**2 > level:
                x, age = x * 0.7**3, age + 3
            expected = [x, age - 1] if x**2 <= level else [np.nan, np.nan]
            np.testing.assert_allclose(seen[:, place], expected, rtol=1e-5)


@pytest.mark.statistics
def test_examples_are_drawn_evenly_and_the_gradient_is_theirs() -> None:
    seen = jnp.eye(5)
    update = learn.stochastic(
        lambda w, rows: jnp.mean(rows @ w),
        optax.sgd(1.0),
        seen,
        batch=4,
        key=jax.random.key(0),
    )
    state = (jnp.zeros(5), learn.begin(optax.sgd(1.0), jnp.zeros(5)))
    steps = jax.vmap(lambda age: update(age, state)[0])(jnp.arange(2000))
    counts = -np.sum(np.asarray(steps), axis=0) * 4
    assert np.all(np.abs(counts - 1600) < 4 * np.sqrt(8000 * 0.2 * 0.8))


@pytest.mark.oracle
def test_levels_that_rise_and_empty_batches_are_refused() -> None:
    state = jnp.float32(1.0)
    for levels in ((), (1.0, 2.0)):
        with pytest.raises(InputError, match="falling levels"):
            learn.at_levels(
                lambda age, x: x,
                lambda x: x,
                jnp.sin,
                state,
                levels=levels,
                every=1,
                limit=1,
            )
    with pytest.raises(InputError, match="take 1 or more"):
        learn.stochastic(jnp.dot, optax.sgd(1.0), state, batch=0, key=jax.random.key(0))
