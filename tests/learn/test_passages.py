"""First passages, counted in closed form and by a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.types import InputError


def update(step, x):
    return 1.5 * x + 0.1 * step.astype(x.dtype)


def passed(x):
    return jnp.stack([x > 2, jnp.abs(x - 6) < 1, x < 0, jnp.isnan(x)])


@pytest.mark.oracle
@pytest.mark.parametrize("every", [1, 2, 3])
def test_first_passages_are_those_of_a_loop(every):
    with jax.enable_x64(True):
        found = learn.first_passages(
            update, passed, jnp.array(1.0), limit=7, every=every
        )
    x, first = 1.0, np.full(4, 7)
    for step in range(7 + every):
        x = 1.5 * x + 0.1 * step
        if (step + 1) % every == 0:
            holds = np.array([x > 2, abs(x - 6) < 1, False, False])
            first = np.where(holds, np.minimum(first, step + 1), first)
    np.testing.assert_array_equal(found, first)


@pytest.mark.oracle
def test_what_is_no_number_passes_nothing():
    found = learn.first_passages(
        lambda _, x: x * jnp.inf,
        lambda x: jnp.stack([x > 0, x < 0]),
        jnp.zeros(()),
        limit=5,
        every=1,
    )
    assert found.tolist() == [5, 5]


@pytest.mark.compiles_once
def test_the_limit_is_traced():
    traced = []

    @jax.jit
    def counted(limit):
        traced.append(limit)
        start = jnp.float32(1)
        return learn.first_passages(
            lambda _, x: x + 1, lambda x: x[None] >= 4, start, limit=limit, every=1
        )

    assert [counted(limit).item() for limit in (2, 9)] == [2, 3]
    assert len(traced) == 1


@pytest.mark.oracle
def test_no_look_is_refused():
    with pytest.raises(InputError, match="use 1 or more"):
        learn.first_passages(update, passed, jnp.array(1.0), limit=7, every=0)
