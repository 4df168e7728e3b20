"""Recorded weights compared with runs that are as long as each record."""

import jax
import numpy as np
import pytest

from jaxml import learn, problem, tree
from jaxml.parallel import rows
from jaxml.types import InputError

DATA = problem.examples(
    np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32),
    np.arange(12, dtype=np.int32) % 2,
)
WORK = problem.workload(problem.linear(2), problem.cross_entropy, DATA, train=6, test=6)
SIZES = {"examples": 6, "batch": 3, "every": 2}


@pytest.mark.invariance
def test_each_record_is_the_end_of_a_run_of_its_length_on_the_same_data():
    grid = learn.grid(learn.Hyper, lr=[0.3], seed=[4, 9])
    others = rows(DATA, np.arange(6, 12))
    recorded = learn.recording(WORK, learn.sgd, records=3, **SIZES)
    program = learn.compiled(recorded, grid, lanes=2)
    there = recorded._replace(data=others)
    found = learn.recorded_weights(program, there, grid)
    assert found.shape == (2, 4, 8) and recorded.every == 4
    short = learn.recording(WORK, learn.sgd, records=1, **SIZES)
    ends = learn.sweep(short._replace(data=others), grid, lanes=2).params
    for run in range(2):
        end = tree.ravel(jax.tree.map(lambda leaf, k=run: leaf[k], ends))[0]
        np.testing.assert_allclose(found[run, 1], end, rtol=1e-6)
    assert not np.allclose(found[:, 0], found[:, 1])
    here = learn.recorded_weights(program, recorded, grid)
    np.testing.assert_array_equal(here[:, 0], found[:, 0])
    assert not np.allclose(here[:, 1], found[:, 1])
    with pytest.raises(InputError, match="a batch of 7 cannot be taken"):
        learn.recording(WORK, learn.sgd, examples=6, batch=7, every=1, records=1)
