import time

import jax
import jax.numpy as jnp
import pytest

from jaxml.record.runs.clock import compilation, seconds
from jaxml.types import InputError


@pytest.mark.identity
def test_seconds_are_those_of_each_repeat_after_the_warmups():
    calls = []

    def sleep():
        calls.append(None)
        time.sleep(0.01)

    times = seconds(sleep, repeats=3, warmups=2)
    assert times.shape == (3,) and len(calls) == 5 and (times >= 0.01).all()


@pytest.mark.compiles_once
def test_compilation_listens_only_while_open():
    function = jax.jit(lambda x: x * 3)
    ones = jnp.ones(2)
    with compilation() as durations:
        function(ones)
        function(ones)
    jax.jit(lambda x: x * 4)(ones)
    assert len(durations) == 1 and durations[0] > 0


@pytest.mark.identity
@pytest.mark.parametrize("counts", [{"repeats": 0}, {"warmups": -1}])
def test_bad_input_is_refused(counts):
    with pytest.raises(InputError):
        seconds(lambda: None, **counts)
