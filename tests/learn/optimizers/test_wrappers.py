"""Wrappers nest: each of four around each, evaluated at the outermost; families of one
argument within.
"""

import itertools
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn

WRAPPERS = {
    "lookahead": learn.lookahead,
    "averaged": learn.averaged,
    "sharpness_aware": learn.sharpness_aware,
    "schedule_free": learn.schedule_free,
}
HYPER = learn.Hyper(lr=0.1, period=2, radius=0.01, momentum=0.5)
SCALES = np.array([1.0, 4.0])
START = np.array([1.0, -1.0])


def bowl(params, _=None):
    return jnp.sum(jnp.asarray(SCALES, params["w"].dtype) * params["w"] ** 2) / 2


def walk(family, hyper=HYPER, steps=40):
    """Where gradients are taken next, and where one evaluates, after each update; and
    the last state.
    """
    with jax.enable_x64(True):
        optimizer, params = family(hyper), {"w": jnp.asarray(START)}

        def one(carry, _):
            params, opt_state = carry
            params, opt_state = learn.update(
                optimizer, jax.grad(bowl)(params), opt_state, params
            )
            return (params, opt_state), (
                params["w"],
                learn.evaluation_params(opt_state, params)["w"],
            )

        begun = params, learn.begin(optimizer, params)
        (_, opt_state), path = jax.jit(partial(jax.lax.scan, one, length=steps))(begun)
        return *map(np.asarray, path), jax.tree.map(np.asarray, opt_state)


def height(point):
    return float(np.sum(SCALES * point**2) / 2)


@pytest.mark.identity
def test_no_one_climbs_where_the_gradient_is_zero():
    optimizer = learn.sharpness_aware(learn.sgd)(HYPER)
    params = {"w": jnp.asarray(START, jnp.float32)}
    state = learn.begin(optimizer, params)
    still = jax.tree.map(jnp.zeros_like, params)
    moved, _ = learn.update(optimizer, still, state, params)
    np.testing.assert_array_equal(moved["w"], START)


@pytest.mark.identity
@pytest.mark.parametrize(("outer", "inner"), [*itertools.product(WRAPPERS, repeat=2)])
def test_wrappers_nest_and_the_outermost_is_evaluated(outer, inner):
    """SAM keeps no average of its own, so around one that does it is evaluated where
    that one is.
    """
    _, evaluated, opt_state = walk(
        WRAPPERS[outer](WRAPPERS[inner](learn.sgd)), steps=150
    )
    holder = opt_state.inner if outer == "sharpness_aware" else opt_state
    np.testing.assert_array_equal(evaluated[-1], holder.evaluation["w"])
    assert height(evaluated[-1]) < 0.1 * height(START)


@pytest.mark.oracle
def test_lookahead_around_sam_pulls_its_centre():
    """At one period for both: φ ← φ - pull · rate · ∇L(φ + ρ ∇L(φ) / ‖∇L(φ)‖), every
    second update.
    """
    h = SimpleNamespace(rate=0.1, pull=0.5, radius=0.01)
    centre, expected = START, []
    for _ in range(20):
        climbed = centre + h.radius * SCALES * centre / np.linalg.norm(SCALES * centre)
        expected += [centre, centre - h.pull * h.rate * SCALES * climbed]
        centre = expected[-1]
    _, evaluated, _ = walk(learn.lookahead(learn.sharpness_aware(learn.sgd)))
    np.testing.assert_allclose(evaluated, expected, rtol=1e-12)


@pytest.mark.identity
@pytest.mark.parametrize("inner", ["lookahead", "sharpness_aware", "schedule_free"])
def test_a_full_pull_around_a_wrapper_is_that_wrapper(inner):
    family, hyper = WRAPPERS[inner](learn.momentum), HYPER._replace(pull=1.0)
    visited, evaluated, _ = walk(family, hyper)
    outside, slow, _ = walk(learn.lookahead(family), hyper)
    np.testing.assert_allclose(outside, visited, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(slow[1::2], evaluated[1::2], rtol=1e-10, atol=1e-14)


@pytest.mark.oracle
@pytest.mark.parametrize("inner", ["lookahead", "sharpness_aware", "schedule_free"])
def test_an_average_of_a_wrapper_is_the_mean_of_where_it_would_be_evaluated(inner):
    family, hyper = WRAPPERS[inner](learn.momentum), HYPER._replace(average_from=3)
    _, inside, _ = walk(family, hyper)
    _, mean, _ = walk(learn.averaged(family), hyper)
    np.testing.assert_allclose(mean[-1], np.mean(inside[2::2], axis=0), rtol=1e-10)
    np.testing.assert_allclose(mean[1], inside[1], rtol=1e-12)


@pytest.mark.identity
@pytest.mark.parametrize("name", WRAPPERS)
def test_a_family_of_one_argument_goes_into_every_wrapper(name):
    ours, evaluated, _ = walk(WRAPPERS[name](learn.sgd))
    plain, theirs, _ = walk(WRAPPERS[name](lambda hyper: optax.sgd(hyper.lr)))
    np.testing.assert_allclose(plain, ours, rtol=1e-12)
    np.testing.assert_allclose(theirs, evaluated, rtol=1e-12)


@pytest.mark.identity
def test_as_family_gives_a_family_of_one_argument_a_shape():
    hyper = HYPER._replace(horizon=30.0)
    ours, _, _ = walk(lambda hyper: learn.momentum(hyper, learn.cosine), hyper)
    adapted = learn.as_family(lambda hyper: optax.sgd(hyper.lr, hyper.momentum))
    theirs, _, _ = walk(lambda hyper: adapted(hyper, learn.cosine), hyper)
    np.testing.assert_allclose(theirs, ours, rtol=1e-12)


@pytest.mark.identity
def test_a_shape_that_a_family_brings_survives_a_wrapper():
    hyper, bound = HYPER._replace(horizon=30.0), partial(learn.sgd, shape=learn.cosine)
    inside, _, _ = walk(learn.lookahead(bound), hyper)
    outside, _, _ = walk(partial(learn.lookahead(learn.sgd), shape=learn.cosine), hyper)
    np.testing.assert_array_equal(inside, outside)


@pytest.mark.identity
def test_a_second_argument_that_is_a_plain_value_is_no_shape():
    def own(hyper, decay=0.5):
        return optax.chain(optax.add_decayed_weights(decay), optax.sgd(hyper.lr))

    assert walk(learn.lookahead(own))[0].shape == (40, 2)
