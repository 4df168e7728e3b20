"""Unread hyperparameters: what a family reads is found in its trace, and its docstring
says the same.
"""

import re
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

from jaxml import learn
from jaxml.types import InputError

WRAPPERS = {
    "lookahead": learn.lookahead,
    "sharpness_aware": learn.sharpness_aware,
    "averaged": learn.averaged,
    "schedule_free": learn.schedule_free,
    "clipped": learn.clipped,
    "noisy": learn.noisy,
}


def documented(function):
    """The names after "Reads:"."""
    names = re.search(r"Reads: ([a-z_, ]+?)(?:, and what|\.)", function.__doc__)
    return set(names[1].split(", "))


@pytest.mark.identity
@pytest.mark.parametrize("name", learn.OPTIMIZERS)
def test_a_family_reads_what_its_docstring_says(name):
    family = learn.OPTIMIZERS[name]
    assert family.__name__ == name
    assert "Source:" in family.__doc__
    assert learn.reads(family) == documented(family)


@pytest.mark.identity
@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_reads_what_its_docstring_says_and_what_is_inside(name):
    wrapper = WRAPPERS[name]
    assert learn.reads(wrapper(learn.sgd)) == documented(wrapper) | learn.reads(
        learn.sgd
    )
    assert "final_lr" in learn.reads(wrapper(learn.adabound))


@pytest.mark.identity
def test_a_shape_adds_the_horizon_if_it_reads_it():
    for name, shape in learn.SHAPES.items():
        needs_none = name in ("constant", "inverse", "inverse_sqrt", "transformer")
        assert (
            "horizon" in learn.reads(partial(learn.sgd, shape=shape))
        ) is not needs_none


class Own(NamedTuple):
    """Hyperparameters of one's own."""

    lr: float
    speed: float
    idle: float = 0.0


@pytest.mark.identity
def test_a_family_of_ones_own_reads_what_flows_into_its_updates():
    def own(hyper):
        unused = hyper.idle * 2
        del unused
        return optax.chain(optax.scale(hyper.speed), optax.sgd(hyper.lr))

    assert learn.reads(own, Own(lr=0.1, speed=1.0)) == {"lr", "speed"}


@pytest.mark.identity
def test_a_rule_that_acts_on_matrices_only_is_not_read_without_one():
    vectors = {"b": jnp.zeros(3)}
    assert "period" in learn.reads(learn.soap)
    assert "period" not in learn.reads(learn.soap, params=vectors)


@pytest.mark.identity
def test_a_grid_over_an_unread_hyperparameter_is_refused():
    grid = learn.grid(learn.Hyper, lr=[0.1], clip=[1e-9, 1e9])
    sentence = (
        r"clip, which the optimizer does not read "
        r"\(it reads lr, momentum, warmup, weight_decay\)"
    )
    with pytest.raises(InputError, match=sentence):
        learn.check_grid(learn.momentum, grid)
    assert learn.check_grid(learn.clipped(learn.momentum), grid) is grid


@pytest.mark.identity
def test_a_constant_column_and_the_seed_are_free():
    learn.check_grid(
        learn.sgd, learn.grid(learn.Hyper, lr=[0.1], clip=[3.0], seed=range(3))
    )


@pytest.mark.identity
def test_reading_leaves_no_trace_behind():
    """The probe of a family under jit, as in a program that checks while it is
    traced.
    """
    assert jax.jit(lambda x: x + len(learn.reads(learn.sgd)))(0) == 3
