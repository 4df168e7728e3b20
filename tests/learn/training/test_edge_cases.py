"""Edges: hidden leaves, warm-ups as long as the horizon, narrow dtypes, empty leaves,
malformed grids.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn, memory
from jaxml.types import Batch, InputError

DATA = Batch(
    np.ones((4, 2), np.float32), np.zeros(4, np.float32), np.ones(4, np.float32)
)
LABELS = {"w": "first", "b": "second"}
HYPER = learn.Hyper(lr=0.1, momentum=0.5, period=2, radius=0.05)


def bowl(params, _=None):
    return jnp.sum(params["w"] ** 2) / 2 + 2 * jnp.sum(params["b"] ** 2)


def start():
    return {"w": jnp.ones(3), "b": jnp.asarray(2.0)}


def walk(family, steps=9, hyper=HYPER):
    """Where one evaluates after each update."""
    optimizer, params = family(hyper), start()
    opt_state, seen = learn.begin(optimizer, params), []
    for _ in range(steps):
        params, opt_state = learn.update(
            optimizer, jax.grad(bowl)(params), opt_state, params
        )
        seen.append(learn.evaluation_params(opt_state, params))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *seen)


def ran(family, loss=bowl, params=None, steps=12, probe=learn.nothing, **axes):
    params = start() if params is None else params
    training = learn.training(
        lambda key: (params, ()),
        lambda params, state, batch, key: (loss(params), state),
        family,
        learn.full(DATA),
        steps=steps,
        probe=probe,
    )
    return learn.sweep(
        training, learn.grid(learn.Hyper, **{"lr": [0.1], **axes}), lanes=1
    )


@pytest.mark.identity
@pytest.mark.parametrize(
    "wrapper",
    [
        learn.lookahead(learn.sgd),
        learn.averaged(learn.sgd),
        learn.schedule_free(learn.sgd),
        lambda hyper: optax.contrib.schedule_free_sgd(hyper.lr, b1=0.9),
    ],
)
def test_averages_of_parts_are_those_of_the_whole(wrapper):
    """An average of separate leaves does not mix them, so hiding half from each changes
    nothing.
    """

    def parted(hyper):
        return optax.partition(
            {"first": wrapper(hyper), "second": wrapper(hyper)}, LABELS
        )

    for one, other in zip(
        jax.tree.leaves(walk(parted)), jax.tree.leaves(walk(wrapper)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.identity
def test_hidden_leaves_are_evaluated_where_they_descend():
    def parted(hyper):
        parts = {
            "first": learn.lookahead(learn.sgd)(hyper),
            "second": optax.sgd(hyper.lr),
        }
        return optax.partition(parts, LABELS)

    found = walk(parted)
    np.testing.assert_array_equal(found["w"], walk(learn.lookahead(learn.sgd))["w"])
    np.testing.assert_allclose(found["b"], 2 * 0.6 ** np.arange(1, 10), rtol=1e-6)


@pytest.mark.identity
@pytest.mark.parametrize(
    "outer", [learn.lookahead, learn.averaged, learn.schedule_free]
)
def test_wrappers_around_optaxs_schedule_free_are_those_around_ours(outer):
    """Both keep z and x, so what moves or averages the one must move or average the
    other alike.
    """
    found = walk(outer(lambda hyper: optax.contrib.schedule_free_sgd(hyper.lr, b1=0.5)))
    expected = walk(outer(learn.schedule_free(learn.sgd)))
    for one, other in zip(
        jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


@pytest.mark.identity
@pytest.mark.parametrize(
    "outer", [learn.lookahead, learn.averaged, learn.schedule_free]
)
def test_wrappers_around_optaxs_sam_are_those_around_ours(outer):
    def theirs(hyper):
        climb = optax.chain(optax.contrib.normalize(), optax.sgd(hyper.radius))
        return optax.contrib.sam(optax.sgd(hyper.lr), climb, sync_period=2)

    found, expected = walk(outer(theirs)), walk(outer(learn.sharpness_aware(learn.sgd)))
    for one, other in zip(
        jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


def test_optaxs_lookahead_within_a_partition_is_refused():
    def parted(hyper):
        parts = {
            "first": optax.lookahead(optax.sgd(0.1), 5, 0.5),
            "second": optax.sgd(hyper.lr),
        }
        return optax.partition(parts, LABELS)

    with pytest.raises(InputError, match=r"learn\.lookahead"):
        learn.begin(parted(HYPER), start())


@pytest.mark.parametrize(
    "around",
    [
        lambda inner: optax.MultiSteps(inner, 2).gradient_transformation(),
        partial(optax.apply_if_finite, max_consecutive_errors=3),
    ],
)
def test_a_wrapper_with_branches_asks_for_no_horizon_that_its_shape_does_not_read(
    around,
):
    assert "horizon" not in learn.reads(lambda hyper: around(learn.adam(hyper)))
    assert ran(lambda hyper: around(learn.adam(hyper))).diverged_at == [-1]


def test_a_traced_period_of_optax_is_refused_in_a_sentence():
    with pytest.raises(InputError, match="plain number"):
        ran(
            lambda hyper: optax.MultiSteps(
                optax.sgd(hyper.lr), hyper.period
            ).gradient_transformation()
        )


@pytest.mark.oracle
@pytest.mark.parametrize("name", learn.SHAPES)
def test_a_warmup_as_long_as_the_horizon_ends_where_the_shape_ends(name):
    shape = learn.SHAPES[name]
    warmed = learn.warmup(shape, 4.0)
    assert [float(warmed(step, 4.0)) for step in range(4)] == [0.25, 0.5, 0.75, 1]
    reads_none = name in ("constant", "inverse", "inverse_sqrt", "transformer")
    for step in (4, 6):
        expected = shape(step - 4, 1.0) if reads_none else shape(1, 1.0)
        assert float(warmed(step, 4.0)) == float(expected)


@pytest.mark.oracle
def test_cycles_that_only_rise_and_decays_of_no_length_end_finite():
    assert float(learn.torch_one_cycle(3, 4.0, rise=1.0)) == 1
    assert float(learn.one_cycle(4, 4.0, rise=1.0)) == 1
    assert [float(learn.stable_decay(step, 4.0, decay=0.0)) for step in (3, 4)] == [
        1,
        0,
    ]


@pytest.mark.oracle
def test_a_long_vector_of_half_precision_has_not_diverged():
    """Its squares sum to 120000, beyond float16."""
    params = {"w": jnp.full(300, 20.0, jnp.float16)}
    runs = ran(learn.sgd, lambda params: jnp.mean(params["w"] ** 2), params)
    assert runs.diverged_at == [-1]
    assert runs.trace.loss[0, -1] < runs.trace.loss[0, 0]


@pytest.mark.parametrize(
    "family",
    [learn.shampoo, learn.soap, learn.muon],
    ids=lambda family: family.__name__,
)
def test_empty_leaves_change_nothing_of_the_others(family):
    def loss(params):
        return jnp.sum(params["m"] ** 2)

    full = {"m": jnp.ones((2, 3))}
    empty = {
        "m": full["m"],
        "e": jnp.zeros(0),
        "f": jnp.zeros((0, 3)),
        "g": jnp.zeros((3, 0)),
    }
    found, expected = ran(family, loss, empty), ran(family, loss, full)
    np.testing.assert_array_equal(found.params["m"], expected.params["m"])


class Halved(NamedTuple):
    lr: float
    period: float = 2.0
    betas: tuple[float, float] = (0.9, 0.999)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: learn.grid(
                learn.Hyper, lr=np.ma.masked_array([0.1, 0.2], [False, True])
            ),
            "masked",
        ),
        (lambda: learn.grid(Halved, lr=[0.1, 0.2]), "default of betas"),
        (lambda: learn.validate(learn.Hyper(lr=0.1, period=2.5)), "whole number"),
        (lambda: learn.validate(learn.Hyper(lr=0.1, seed=0.5)), "whole number"),
        (lambda: learn.validate(learn.Hyper(lr=None)), "where numbers belong"),
        (lambda: learn.validate(learn.Hyper(lr="0.1")), "where numbers belong"),
        (lambda: learn.validate({"lr": 0.1}), "NamedTuple"),
        (
            lambda: learn.full(Batch(np.zeros((0, 2)), np.zeros(0), np.zeros(0))),
            "no examples",
        ),
        (lambda: learn.shuffled(DATA._replace(targets=np.zeros(3)), 2), "4 weights"),
        (lambda: ran(learn.sgd, steps=0), "whole number"),
    ],
)
def test_malformed_values_are_refused_in_a_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_a_negative_interval_between_probes_is_refused():
    def loss(params, state, batch, key):
        return bowl(params), state

    with pytest.raises(InputError, match="choose a divisor"):
        learn.training(
            lambda key: (start(), ()),
            loss,
            learn.sgd,
            learn.full(DATA),
            steps=4,
            every=-1,
        )


def test_inputs_of_several_arrays_are_drawn_together():
    data = DATA._replace(inputs={"a": np.arange(4), "b": np.arange(4) * 10})
    batch = learn.shuffled(data, 2).draw(data, jax.random.key(0), 0)
    np.testing.assert_array_equal(batch.inputs["b"], 10 * batch.inputs["a"])


def test_a_range_test_of_a_family_without_a_rate_is_refused():
    def experiment(family):
        def loss(params, state, batch, key):
            return bowl(params), state

        return learn.training(
            lambda key: (start(), ()), loss, family, learn.full(DATA), steps=20
        )

    with pytest.raises(InputError, match="varies lr"):
        learn.range_test(experiment, lambda hyper: optax.sgd(0.1), HYPER, seeds=1)


def test_a_target_of_nan_is_refused():
    nothing = learn.Contest((), 1, {}, {}, np.array([1]), np.zeros((1, 1)), ())
    with pytest.raises(InputError, match="nan"):
        learn.updates_to(nothing, "loss", float("nan"))


def test_a_mount_without_a_source_is_passed_over(tmp_path):
    """The kernel leaves the field empty where a mount was given no source."""
    proc = tmp_path / "proc/self"
    proc.mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemAvailable: 1024 kB\n")
    (proc / "mountinfo").write_text("1 2 0:3 / /x rw - tmpfs  rw\n")
    (proc / "cgroup").write_text("0::/\n")
    assert memory.host_bytes(tmp_path) == 2**20
