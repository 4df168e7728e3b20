"""Legendre polynomials by their orthogonality, least squares by where descent ends."""

import numpy as np
import pytest

from jaxml import problem
from jaxml.types import InputError


@pytest.mark.identity
def test_features_are_orthonormal_in_the_mean_over_the_interval() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(12)
    features = problem.legendre_features(nodes, 9)
    products = features.T @ (features * weights[:, None]) / 2
    np.testing.assert_allclose(products, np.eye(10), atol=1e-13)


@pytest.mark.oracle
def test_gradient_descent_ends_at_the_nearest_solution() -> None:
    random = np.random.default_rng(0)
    features, start = random.normal(size=(3, 6)), random.normal(size=6)
    targets, weights = random.normal(size=3), start.copy()
    for _ in range(3000):
        weights -= 0.05 * features.T @ (features @ weights - targets)
    found = problem.nearest_solution(features, targets, start)
    np.testing.assert_allclose(found, weights, atol=1e-10)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"give \[example, weight\]"):
        problem.nearest_solution(np.ones((2, 3)), np.ones(3), np.ones(3))
    with pytest.raises(InputError, match=r"a degree of 0 or more"):
        problem.legendre_features(np.ones(2), -1)
