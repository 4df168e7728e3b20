"""Remedies of large batches: each one factor of a batch sweep."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.types import Batch, Workload

EPOCHS, SIZES = 3, (2, 4)
DRAWS = np.random.default_rng(0)
INPUTS = DRAWS.normal(size=(10, 3)).astype(np.float32)


def start(key):
    return {"w": jax.random.normal(key, (3, 2))}, {}


def mean_square(params, batch):
    residual = batch.inputs @ params["w"] - batch.targets
    return jnp.average(jnp.sum(residual**2, axis=1), weights=batch.weights)


WORKLOAD = Workload(
    start=start,
    loss=lambda params, state, batch, key: (mean_square(params, batch), state),
    data=Batch(INPUTS, 5 * INPUTS[:, :2], np.ones(10, np.float32)),
    train=8,
    test=2,
    measures={"test": lambda params, own: mean_square(params, own.test)},
)
CHANGES = {
    "plain": {},
    "warm-up": {"warmup": 2},
    "falling": {"fall": 1},
    "clipping": {"clip": 0.5},
    "averaging": {"average_from": 2},
}


@pytest.mark.identity
def test_changes_of_momentum_are_points_of_one_sweep_at_scaled_rates():
    def hypers(size):
        steps = EPOCHS * 8 // size
        grids = [
            learn.grid(learn.Variant, lr=[0.01], horizon=steps, **changed)
            for changed in CHANGES.values()
        ]
        return learn.scaled(learn.joined(grids), size, reference=2)

    plan = learn.BatchSizes(SIZES, EPOCHS, micro=2)
    family = learn.varied_momentum
    runs = learn.batch_sweep(WORKLOAD, family, plan, hypers, lanes=5).runs
    for size in SIZES:
        assert np.all(runs[size].diverged_at == -1)
        ends = runs[size].trace.probed["test"][:, -1]
        assert len(np.unique(ends)) == len(CHANGES)
        np.testing.assert_allclose(runs[size].hyper.lr, 0.01 * size / 2, rtol=1e-6)


@pytest.mark.identity
@pytest.mark.parametrize("family", [learn.lars, learn.lamb])
def test_steps_scaled_by_layers_and_longer_training(family):
    """Longer training is the plan's `updates`, of all sizes alike."""
    grid = learn.grid(learn.Hyper, lr=[0.01, 0.05], trust=1.0)
    plan = learn.BatchSizes((8,), 1, updates=5)
    workload = WORKLOAD._replace(measures={})
    runs = learn.batch_sweep(workload, family, plan, grid, lanes=2).runs
    losses = runs[8].trace.loss
    assert losses.shape == (2, 5) and np.all(losses[:, -1] < losses[:, 0])
