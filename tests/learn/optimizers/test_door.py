"""The door of every chain: Optax's extra arguments, its own averagers, its schedules of
traced numbers.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn
from jaxml.types import Batch, InputError

SCALES = np.array([1.0, 4.0], np.float32)
START = {"w": np.array([1.0, -1.0], np.float32)}


def bowl(params, _=None):
    return jnp.sum(SCALES * params["w"] ** 2) / 2


def trained(family, steps=11, lanes=1, **axes):
    """The same bowl through a training and a sweep."""
    data = Batch(
        np.zeros((1, 1), np.float32), np.zeros(1, np.float32), np.ones(1, np.float32)
    )

    def start(key):
        return jax.tree.map(jnp.asarray, START), {}

    def loss(params, state, batch, key):
        return bowl(params), state

    training = learn.training(start, loss, family, learn.full(data), steps=steps)
    grid = learn.grid(learn.Hyper, **{"lr": [0.1], "horizon": [steps]} | axes)
    return learn.sweep(training, grid, lanes=lanes)


@pytest.mark.oracle
def test_chains_that_need_a_value_get_the_loss_polyak():
    """Polyak 1987: θ ← θ - (L - 0) / ‖g‖² g, at most the rate; on x²/2 half the way
    each time.
    """
    descent = learn.descend(
        lambda x, _: jnp.sum(x**2) / 2,
        optax.polyak_sgd(),
        jnp.ones(1),
        None,
        steps=5,
        observe=lambda x: x,
    )
    np.testing.assert_allclose(
        np.ravel(descent.observed), 0.5 ** np.arange(5), rtol=1e-5
    )
    runs = trained(lambda hyper: optax.polyak_sgd(hyper.lr))
    assert runs.trace.loss[0, -1] < runs.trace.loss[0, 0]


@pytest.mark.oracle
def test_chains_that_need_a_value_get_the_loss_plateau():
    """A loss that stops falling, for the rate is too high on one axis: then the rate is
    divided.
    """
    plateau = optax.contrib.reduce_on_plateau(
        factor=0.5, patience=2, accumulation_size=1
    )
    chain = optax.chain(optax.sgd(0.5), plateau)
    descent = learn.descend(bowl, chain, START, None, steps=40)
    without = learn.descend(bowl, optax.sgd(0.5), START, None, steps=40)
    assert without.loss[-1] > 1.9 and descent.loss[-1] < 1e-3
    runs = trained(
        lambda hyper: optax.chain(optax.sgd(5 * hyper.lr), plateau), steps=40
    )
    np.testing.assert_allclose(runs.trace.loss[0], descent.loss, rtol=1e-5)


@pytest.mark.oracle
def test_chains_that_need_a_value_get_the_loss_as_a_function_lbfgs():
    """A quadratic of two dimensions in a few steps."""
    assert learn.descend(bowl, optax.lbfgs(), START, None, steps=8).loss[-1] < 1e-10
    assert trained(lambda hyper: optax.lbfgs(), steps=8).trace.loss[0, -1] < 1e-10


@pytest.mark.identity
@pytest.mark.parametrize(
    "wrapper", [learn.lookahead, learn.averaged, learn.clipped, learn.sharpness_aware]
)
def test_chains_that_need_a_value_work_inside_wrappers(wrapper):
    runs = trained(wrapper(lambda hyper: optax.polyak_sgd(hyper.lr)), period=[2])
    assert runs.trace.loss[0, -1] < runs.trace.loss[0, 0]


@pytest.mark.oracle
def test_averagers_of_optax_are_evaluated_at_their_average():
    chain = optax.chain(optax.clip(100.0), optax.contrib.schedule_free_sgd(0.1, b1=0.9))
    params, opt_state = jax.tree.map(jnp.asarray, START), None
    opt_state = learn.begin(chain, params)
    for _ in range(5):
        params, opt_state = learn.update(
            chain, jax.grad(bowl)(params), opt_state, params
        )
    z = optax.tree_utils.tree_get(opt_state, "z")["w"]
    x = (np.asarray(params["w"]) - 0.1 * np.asarray(z)) / 0.9
    np.testing.assert_allclose(
        learn.evaluation_params(opt_state, params)["w"], x, rtol=1e-5
    )
    assert np.abs(x - params["w"]).max() > 1e-3


@pytest.mark.oracle
def test_the_sam_of_optax_is_evaluated_at_its_centre():
    climb = optax.chain(optax.contrib.normalize(), optax.sgd(0.05))
    chain, params = (
        optax.contrib.sam(optax.sgd(0.1), climb),
        jax.tree.map(jnp.asarray, START),
    )
    after, opt_state = learn.update(
        chain, jax.grad(bowl)(params), learn.begin(chain, params), params
    )
    assert np.abs(after["w"] - params["w"]).max() > 1e-3
    np.testing.assert_allclose(
        learn.evaluation_params(opt_state, after)["w"], START["w"], rtol=1e-6
    )


@pytest.mark.invariance
@pytest.mark.parametrize(
    "family",
    [
        lambda hyper: optax.contrib.schedule_free_sgd(hyper.lr),
        lambda hyper: optax.contrib.sam(optax.sgd(hyper.lr), optax.sgd(0.05)),
    ],
)
def test_averagers_of_optax_are_evaluated_alike_in_a_sweep(family):
    together, alone = (
        trained(family, lr=[0.1, 0.2], lanes=2),
        trained(family, lr=[0.1, 0.2]),
    )
    np.testing.assert_allclose(together.params["w"], alone.params["w"], rtol=1e-5)
    optimizer = family(learn.Hyper(lr=0.1))
    params = jax.tree.map(jnp.asarray, START)
    opt_state = learn.begin(optimizer, params)
    for _ in range(11):
        params, opt_state = learn.update(
            optimizer, jax.grad(bowl)(params), opt_state, params
        )
    np.testing.assert_allclose(
        together.params["w"][0],
        learn.evaluation_params(opt_state, params)["w"],
        rtol=1e-4,
    )


@pytest.mark.identity
def test_averagers_of_optax_that_want_pairs_are_refused():
    lookahead = optax.chain(optax.lookahead(optax.sgd(0.1), 5, 0.5))
    with pytest.raises(InputError, match=r"wrap the family by learn\.lookahead"):
        learn.descend(bowl, lookahead, START, None, steps=1)
    with pytest.raises(InputError, match=r"wrap the family by learn\.lookahead"):
        trained(lambda hyper: optax.lookahead(optax.sgd(hyper.lr), 5, 0.5))


@pytest.mark.identity
@pytest.mark.parametrize(
    "schedule",
    [
        lambda h: optax.warmup_cosine_decay_schedule(0.0, h.lr, 2, h.horizon),
        lambda h: optax.cosine_decay_schedule(h.lr, h.horizon),
        lambda h: optax.linear_schedule(h.lr, 0.0, h.horizon),
        lambda h: optax.piecewise_constant_schedule(h.lr, {h.horizon: 0.1}),
    ],
)
def test_schedules_of_traced_numbers_are_refused_in_a_sentence_that_names_ours(
    schedule,
):
    sentence = r"take a shape of learn.SHAPES, such as learn.cosine, with hyper.horizon"
    with pytest.raises(InputError, match=sentence):
        trained(lambda hyper: optax.adam(schedule(hyper)))
    with pytest.raises(InputError, match=sentence):
        trained(learn.lookahead(lambda hyper: optax.adam(schedule(hyper))))


@pytest.mark.identity
def test_schedules_of_numbers_that_are_not_traced_are_welcome():
    runs = trained(lambda hyper: optax.sgd(optax.cosine_decay_schedule(0.1, 11)))
    ours = trained(lambda hyper: learn.sgd(hyper, learn.cosine))
    np.testing.assert_allclose(runs.trace.loss, ours.trace.loss, rtol=1e-5)
