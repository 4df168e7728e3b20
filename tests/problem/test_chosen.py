"""A part chosen by a number, against the part itself."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem
from jaxml.types import InputError, Model

INPUTS = np.linspace(-1, 2, 12, dtype=np.float32).reshape(4, 3)
MASK = np.array([True, True, True, False])
PARTS = (problem.batch_norm(0.5), problem.layer_norm(), problem.linear(3))


def applied(model: Model, own: tuple[Any, Any], **mode: Any) -> tuple[Any, Any]:
    return model.apply(*own, INPUTS, train=True, key=None, **mode)


@pytest.mark.identity
@pytest.mark.parametrize("number", range(3))
def test_it_is_the_part_of_its_number(number: int) -> None:
    own = problem.one_of(number, *PARTS).init(jax.random.key(0), INPUTS)

    @jax.jit
    def outputs(number: Any) -> tuple[Any, Any]:
        return applied(problem.one_of(number, *PARTS), own, mask=MASK)

    found, after = outputs(number)
    alone = tuple(each[number] for each in own)
    mask = {"mask": MASK} if number == 0 else {}
    expected, remembered = applied(PARTS[number], alone, **mask)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, after[number], remembered)
    others = [place for place in range(3) if place != number]
    for place in others:
        jax.tree.map(np.testing.assert_array_equal, after[place], own[1][place])


@pytest.mark.oracle
def test_only_the_chosen_part_has_a_gradient() -> None:
    lines = (problem.linear(2), problem.linear(2))
    params, state = problem.one_of(0, *lines).init(jax.random.key(0), INPUTS)

    def total(params: Any) -> jax.Array:
        outputs, _ = applied(problem.one_of(1, *lines), (params, state))
        return jnp.sum(outputs)

    first, second = jax.grad(total)(params)
    for leaf in jax.tree.leaves(first):
        np.testing.assert_array_equal(leaf, 0)
    expected = np.broadcast_to(np.sum(INPUTS, axis=0)[:, None], (3, 2))
    kernel = second["layer_00"]["kernel"]
    np.testing.assert_allclose(kernel, expected, rtol=1e-5)


@pytest.mark.identity
def test_runs_that_advance_together_have_parts_of_their_own() -> None:
    functions = tuple(problem.elementwise(f) for f in (jnp.sin, jnp.square))

    def outputs(number: jax.Array) -> jax.Array:
        return applied(problem.one_of(number, *functions), ({}, {}))[0]

    found = jax.vmap(outputs)(jnp.arange(2, dtype=jnp.int32))
    expected = np.stack([np.sin(INPUTS), np.square(INPUTS)])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.identity
def test_what_is_no_part_is_refused() -> None:
    with pytest.raises(InputError, match="from 0 to 2"):
        problem.one_of(3, *PARTS)
    with pytest.raises(InputError, match="from 0 to 2"):
        problem.one_of(0.5, *PARTS)
    with pytest.raises(InputError, match="one or more"):
        problem.one_of(0)
