"""What experiments compile is lowered for accelerators that are not here."""

import jax
import numpy as np
import pytest

from jaxml.bench import lowering

pytestmark = pytest.mark.invariance

REPRESENTATIVES = (
    "training step, dense network",
    "sweep",
    "Hessian product",
    "Lanczos",
    "eigenvector following, certified",
)


def require_lowered(names: tuple[str, ...]) -> None:
    """Each program of that name is lowered for both at once."""
    found = []
    for name, function, *arguments in lowering.programs():
        if name in names:
            dtypes = {leaf.dtype for leaf in jax.tree.leaves(arguments)}
            with jax.enable_x64(np.dtype(np.float64) in dtypes):
                traced = jax.jit(function).trace(*arguments)
                lowered = traced.lower(lowering_platforms=("cuda", "tpu"))
            assert "stablehlo" in lowered.as_text()
            found.append(name)
    assert sorted(found) == sorted(names)


@pytest.mark.stress
def test_training_sweep_product_lanczos_and_search_are_lowered() -> None:
    require_lowered(REPRESENTATIVES)


@pytest.mark.stress
def test_every_program_of_the_benchmark_is_lowered() -> None:
    done = lowering.measure()
    assert {each.error for each in done} == {""}
    assert {each.platform for each in done} == set(lowering.PLATFORMS)
