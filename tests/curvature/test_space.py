"""What cannot be measured is refused in a sentence; what can be is compiled once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import InputError

KEY = jax.random.key(0)


def bowl(params, _):
    return sum(
        jnp.sum(leaf.astype(jnp.float32) ** 2) for leaf in jax.tree.leaves(params)
    )


def mixed():
    with jax.enable_x64(True):
        return {"a": jnp.ones(2, jnp.float32), "b": jnp.ones(2, jnp.float64)}


SPACES = {
    "half": ({"a": jnp.ones(2, jnp.float16)}, "float32 or float64"),
    "brain": ({"a": jnp.ones(2, jnp.bfloat16)}, "float32 or float64"),
    "mixed": (mixed(), "float32 and float64"),
    "integers": ({"a": jnp.ones(2, jnp.int32)}, "no derivative"),
    "a number": ({"a": 1.0}, "not an array"),
    "a function": ({"a": jnp.ones(2), "f": jnp.tanh}, "not an array"),
    "nothing": ({}, "at least one entry"),
    "no entry": ({"a": jnp.ones((0, 3))}, "at least one entry"),
}
MEASURES = {
    "certify": lambda params: curvature.certify(bowl, params, None),
    "dense": lambda params: curvature.dense(lambda v: v, params),
    "lanczos": lambda params: curvature.lanczos(lambda v: v, params, depth=1),
    "extremes": lambda params: curvature.extremes(
        lambda v: v, params, count=1, key=KEY
    ),
    "following": lambda params: curvature.eigenvector_following(
        bowl, params, None, index=0
    ),
    "descent": lambda params: curvature.gradient_norm_descent(bowl, params, None),
    "escape": lambda params: curvature.escape(bowl, params, None, params),
}


@pytest.mark.invariance
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("space", SPACES)
def test_what_is_no_space_is_refused(space, measure):
    params, message = SPACES[space]
    with pytest.raises(InputError, match=message):
        MEASURES[measure](params)


@pytest.mark.invariance
@pytest.mark.parametrize("space", ["integers", "a number", "a function", "nothing"])
def test_products_of_what_has_no_derivative_are_refused(space):
    params, message = SPACES[space]
    with pytest.raises(InputError, match=message):
        curvature.hessian_product(bowl, params, None)
    with pytest.raises(InputError, match=message):
        curvature.gauss_newton_product(bowl, lambda z, _: z, params, None)


@pytest.mark.invariance
def test_a_chunk_of_nothing_is_refused():
    with pytest.raises(InputError, match="1 or more"):
        curvature.dense(lambda v: v, jnp.ones(3), chunk=0)


@pytest.mark.invariance
@pytest.mark.parametrize(
    "starts", [{"a": jnp.ones(())}, {"a": jnp.ones((3, 2)), "b": jnp.ones(2)}]
)
def test_starts_without_a_leading_axis_are_refused(starts):
    with pytest.raises(InputError, match="leading axis"):
        curvature.search(curvature.stay, bowl, starts, None)


@pytest.mark.invariance
@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_that_no_point_has_is_refused_and_ends_in_nan_where_it_is_traced(
    index,
):
    with pytest.raises(InputError, match="take 0 to 2"):
        curvature.eigenvector_following(bowl, jnp.ones(2), None, index=index)
    follow = partial(curvature.eigenvector_following, bowl, jnp.ones(2), None)
    assert jnp.isnan(jax.jit(lambda k: follow(index=k).params)(index)).all()


@pytest.mark.invariance
def test_derivatives_that_do_not_exist_are_refused():
    """‖w‖² through a square root: the loss is finite at 0, its derivative by the chain
    rule is not.
    """

    def norm(w, _):
        return jnp.linalg.norm(w) ** 2

    product = curvature.hessian_product(norm, jnp.zeros(3), None)
    with pytest.raises(InputError, match="no second derivative"):
        curvature.extremes(product, jnp.zeros(3), count=1, key=KEY)
    with pytest.raises(InputError, match="no second derivative"):
        curvature.inertia(curvature.dense(product, jnp.zeros(3)), tolerance=0.0)


@pytest.mark.compiles_once
def test_a_second_call_with_the_same_objective_traces_nothing():
    traces = []

    def loss(w, scale):
        traces.append(None)
        return scale * jnp.sum(jnp.tanh(w) ** 2 * jnp.arange(1.0, 9.0))

    def measured(w, scale):
        product = curvature.hessian_product(loss, w, scale)
        ends = curvature.extremes(product, w, count=1, depth=8, key=KEY).values
        return ends, jnp.linalg.eigvalsh(curvature.dense(product, w))[
            jnp.array([0, -1])
        ]

    first = measured(jnp.ones(8), jnp.float32(1))
    count = len(traces)
    programs = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _, **__: programs.append(event)
    )
    ends, exact = measured(jnp.zeros(8), jnp.float32(3))
    compiled = [event for event in programs if "backend_compile" in event]
    assert len(traces) == count and compiled == []
    np.testing.assert_allclose(ends, exact, rtol=1e-5)
    np.testing.assert_allclose(ends, [6.0, 48.0], rtol=1e-5)
    assert not np.allclose(first[0], ends)


@pytest.mark.invariance
@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (lambda w, _: jnp.sum(w**2)[None], r"returns an array \(1,\): average it"),
        (lambda w, _: (jnp.sum(w**2), w), "returns a tuple: return the loss alone"),
        (lambda w, _: None, "returns a NoneType"),
        (lambda w, _: jnp.sum(w > 0), "returns int32: cast it"),
        (lambda w, _: jax.lax.complex(w[0], w[1]), "returns complex64: cast it"),
    ],
)
def test_a_loss_is_one_real_number(objective, message):
    with pytest.raises(InputError, match=message):
        curvature.certify(objective, jnp.zeros(2), None)
    with pytest.raises(InputError, match=message):
        curvature.escape(objective, jnp.zeros(2), None, jnp.ones(2))


@pytest.mark.invariance
@pytest.mark.parametrize("image", [lambda v: v[:1], lambda v: v.astype(jnp.float16)])
def test_a_map_to_another_space_has_no_square_matrix(image):
    with pytest.raises(InputError, match="return a pytree like the parameters"):
        curvature.dense(image, jnp.ones(3))


@pytest.mark.invariance
def test_half_a_mode_cannot_be_climbed():
    with pytest.raises(InputError, match=r"no 0\.5 modes"):
        curvature.eigenvector_following(
            lambda w, _: w @ w, jnp.ones(2), None, index=0.5
        )
