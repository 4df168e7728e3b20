"""The toy losses: values, gradients and Hessians against their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from jaxml.problem import bilinear, cubic, parabola, quartic, x_sin_x

pytestmark = pytest.mark.oracle

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-13)]
)
ONE_DIMENSIONAL = {
    quartic: (lambda w: w**4, lambda w: 4 * w**3, lambda w: 12 * w**2),
    cubic: (lambda w: w**3, lambda w: 3 * w**2, lambda w: 6 * w),
    parabola: (lambda x: (x - 1) ** 2 + 1, lambda x: 2 * (x - 1), lambda x: 2 + 0 * x),
    x_sin_x: (
        lambda x: x * np.sin(x),
        lambda x: np.sin(x) + x * np.cos(x),
        lambda x: 2 * np.cos(x) - x * np.sin(x),
    ),
}


def _derivatives(toy, points, dtype):
    """Value, gradient and Hessian at each point, under vmap."""
    with jax.enable_x64(dtype is np.float64):
        at = jnp.asarray(points, dtype)
        every = jax.jit(
            jax.vmap(
                lambda p: (
                    toy(p, None),
                    jax.grad(toy)(p, None),
                    jax.hessian(toy)(p, None),
                )
            )
        )
        values = jax.tree.map(np.asarray, every(at))
    assert all(value.dtype == dtype for value in values)
    return values


@PRECISIONS
@pytest.mark.parametrize("toy", ONE_DIMENSIONAL)
def test_one_dimension_under_vmap(toy, dtype, tolerance):
    points = np.linspace(-3, 14, 35)
    values = _derivatives(toy, points, dtype)
    for found, closed_form in zip(values, ONE_DIMENSIONAL[toy], strict=True):
        expected = closed_form(points)
        np.testing.assert_allclose(
            found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()
        )


@PRECISIONS
def test_bilinear_has_the_lecture_gradient_and_hessian(dtype, tolerance):
    points = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.5], [-1.0, 3.0], [0.3, -0.7]])
    loss, gradient, hessian = _derivatives(bilinear, points, dtype)
    u, v = points.T
    rest = 2 * (1 - u * v)
    cross = -2 + 4 * u * v
    np.testing.assert_allclose(loss, rest**2 / 4, rtol=tolerance)
    np.testing.assert_allclose(
        gradient, np.stack([-rest * v, -rest * u], -1), rtol=tolerance
    )
    expected = np.moveaxis(np.array([[2 * v**2, cross], [cross, 2 * u**2]]), -1, 0)
    np.testing.assert_allclose(hessian, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian[0]), [-2, 2], rtol=tolerance)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(hessian[2]), [0, 2 * 4.25], atol=10 * tolerance
    )


def test_descent_on_the_parabola_follows_the_lecture():
    with jax.enable_x64(True):
        x, path = jnp.asarray(6.0, jnp.float64), []
        for _ in range(3):
            x = x - 0.05 * jax.grad(parabola)(x, None)
            path.append(float(x))
    np.testing.assert_allclose(path, [5.5, 5.05, 4.645], rtol=1e-14)


def test_x_sin_x_has_the_lecture_extremes():
    with jax.enable_x64(True):
        derivative = jax.jit(lambda x: jax.grad(x_sin_x)(x, None))
        brackets = [(1.5, 2.5), (4.5, 5.5), (7.5, 8.5), (10.5, 11.5), (13.5, 14.5)]
        roots = [
            brentq(lambda x: float(derivative(jnp.asarray(x, jnp.float64))), *bracket)
            for bracket in brackets
        ]
        values = [
            float(x_sin_x(jnp.asarray(x, jnp.float64), None))
            for x in (roots[1], roots[3])
        ]
    np.testing.assert_allclose(
        roots, [2.0288, 4.9132, 7.9787, 11.0855, 14.2074], atol=5e-5
    )
    np.testing.assert_allclose(values, [-4.8145, -11.0407], atol=5e-5)
