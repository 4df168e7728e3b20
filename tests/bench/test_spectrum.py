"""The benchmark of spectra: every way is of one matrix. No time is judged."""

from types import ModuleType

import jax
import numpy as np
import pytest

from jaxml import curvature, tree
from jaxml.bench import peers, spectrum, spectrum_arpack, spectrum_torch
from jaxml.bench.spectrum_task import SMOKE, Task, task


@pytest.fixture(scope="module")
def given() -> Task:
    return task(SMOKE)


@pytest.fixture(scope="module")
def exact(given: Task) -> np.ndarray:
    matrix = curvature.dense(curvature.hessian_product(*given), given.params)
    return np.linalg.eigvalsh(np.asarray(matrix, np.float64))


@pytest.fixture
def torch() -> ModuleType:
    module = peers.torch()
    assert module is not None, "the extra `bench` holds PyTorch"
    return module


@pytest.mark.stress
@pytest.mark.oracle
def test_ours_and_arpack_find_the_ends_of_the_matrix(
    given: Task, exact: np.ndarray
) -> None:
    wanted = exact[[0, 1, -2, -1]]
    allowed = 2 * spectrum_arpack.ACCURACY * np.max(np.abs(exact))
    start = tree.random_like(given.params, jax.random.key(1))
    ours = spectrum.ends(given, start, SMOKE)
    np.testing.assert_allclose(ours.values, wanted, atol=allowed)
    operator = spectrum_arpack.our_operator(
        given, spectrum.whole(given, SMOKE, keep=None).product
    )
    tolerance = spectrum_arpack.loosest(operator, given)
    found = spectrum_arpack.arpack_ends(operator, given, tolerance)
    np.testing.assert_allclose(found.values, wanted, atol=allowed)


@pytest.mark.bench
@pytest.mark.identity
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_the_network_in_pytorch_has_our_matrix(
    given: Task, exact: np.ndarray, torch: ModuleType
) -> None:
    peer = spectrum_torch.peer(torch, given, SMOKE)
    found = spectrum_arpack.arpack_ends(spectrum_torch.operator(peer), given, 1e-4)
    np.testing.assert_allclose(found.values, exact[[0, 1, -2, -1]], atol=1e-3)
    largest = sorted(exact, key=abs)[-2:]
    theirs = spectrum_torch.top_two(peer)()
    np.testing.assert_allclose(sorted(theirs, key=abs), largest, rtol=0.05)


@pytest.mark.bench
@pytest.mark.identity
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_every_way_has_a_row(given: Task) -> None:
    rows = spectrum.measure(SMOKE)
    assert {row.benchmark for row in rows} == {"spectrum"}
    ways = [row.what for row in rows]
    for name in ("Hessian product", "both ends", "density", "PyHessian", "curvlinops"):
        assert any(name in way for way in ways), name
    assert sum(row.target is not None for row in rows) == 7
