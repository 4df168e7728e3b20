"""Momentum and its variants as one family: against the equations, step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn

CURVATURE = np.array([1.0, 4.0, 0.5])
FIRST = np.array([2.0, -1.0, 3.0])
STEPS = 6
CHANGES = [
    {},
    {"warmup": 3.0},
    {"fall": 1.0},
    {"fall": 2.0, "warmup": 2.0},
    {"clip": 0.7},
    {"average_from": 3},
    {"average_from": 2, "period": 2, "clip": 2.0},
]


def path(hyper):
    """The points of descent on Σ cᵢθᵢ²/2, and where they are to be evaluated."""

    def step(carry, _):
        params, state = carry
        gradient = jnp.asarray(CURVATURE) * params
        params, state = learn.update(
            learn.varied_momentum(hyper), gradient, state, params
        )
        return (params, state), learn.evaluation_params(state, params)

    first = jnp.asarray(FIRST)
    state = learn.begin(learn.varied_momentum(hyper), first)
    (last, _), seen = jax.lax.scan(step, (first, state), length=STEPS)
    return last, seen


def written_out(lr, warmup=0, fall=0, clip=1e30, average_from=10**9, period=1):
    params, velocity, averaged, seen = FIRST, np.zeros(3), [], []
    for t in range(STEPS):
        gradient = CURVATURE * params
        gradient = gradient * min(1, clip / np.linalg.norm(gradient))
        velocity = 0.9 * velocity + gradient
        left = (1 - (t - warmup) / (STEPS - warmup)) ** fall
        rate = lr * (t + 1) / warmup if t < warmup else lr * left
        params = params - rate * velocity
        late = t + 1 - average_from
        if late >= 0 and late % period == 0:
            averaged.append(params)
        seen.append(np.mean(averaged, axis=0) if averaged else params)
    return params, np.array(seen)


@pytest.mark.oracle
def test_each_number_changes_what_it_says():
    with jax.enable_x64(True):
        grids = [
            learn.grid(learn.Variant, lr=0.1, horizon=STEPS, **changed)
            for changed in CHANGES
        ]
        last, seen = jax.jit(jax.vmap(path))(learn.joined(grids))
        for row, changed in enumerate(CHANGES):
            expected = written_out(0.1, **changed)
            np.testing.assert_allclose(last[row], expected[0], atol=1e-12)
            np.testing.assert_allclose(seen[row], expected[1], atol=1e-12)


@pytest.mark.identity
def test_it_reads_all_that_it_has():
    assert learn.reads(learn.varied_momentum, learn.Variant(1.0, horizon=1.0)) == set(
        learn.Variant._fields
    ) - {"seed"}
