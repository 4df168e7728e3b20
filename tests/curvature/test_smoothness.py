"""Smoothness along a step and the shift between layers: closed forms of quadratics, and
each layer's gradients by hand.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import InputError

EIGENVALUES = np.array([1.0, 4.0, -2.0])


def quadratic(params, batch):
    """½ Σ λ θ², of eigenvalues λ."""
    return jnp.sum(batch * params["w"] ** 2) / 2


@pytest.mark.oracle
def test_a_quadratic_along_its_gradient():
    """L(θ - sλθ) = ½ Σ λ (1 - sλ)² θ², and Δg = s λ² θ."""
    lengths = np.array([0.5, 1.0, 4.0]) / 10
    with jax.enable_x64(True):
        params = {"w": jnp.array([1.0, 0.5, -1.0])}
        seen = curvature.along_step(quadratic, params, EIGENVALUES, lengths=lengths)
    start = np.asarray(params["w"])
    ends = (1 - lengths[:, None] * EIGENVALUES) * start
    losses = (EIGENVALUES * ends**2).sum(axis=1) / 2
    np.testing.assert_allclose(seen.loss, losses, rtol=1e-12)
    assert float(seen.loss_range) == pytest.approx(np.ptp(losses))
    changes = lengths * np.linalg.norm(EIGENVALUES**2 * start)
    np.testing.assert_allclose(seen.gradient_change, changes, rtol=1e-12)
    assert float(seen.change_range) == pytest.approx(np.ptp(changes))


@pytest.mark.oracle
def test_the_effective_smoothness_of_a_quadratic_is_its_curvature():
    """Along an eigenvector |λ|, the highest of them at most; and whatever the step."""
    with jax.enable_x64(True):
        params = {"w": jnp.array([1.0, 0.5, -1.0])}
        for place, eigenvalue in enumerate(EIGENVALUES):
            along = {"w": jnp.asarray(np.eye(3)[place])}
            seen = curvature.along_step(
                quadratic,
                params,
                EIGENVALUES,
                lengths=np.array([0.1, -2.0]),
                direction=along,
            )
            assert float(seen.beta) == pytest.approx(abs(eigenvalue))


def product(params, batch):
    """(a b c x - y)², layers a, b, c of one weight, and a shift of the second."""
    inputs, target = batch
    inner = params["b"]["w"] * (params["a"]["w"] * inputs) + params["b"]["shift"]
    return jnp.square(params["c"]["w"] * inner - target)


def slopes(a, b, shift, c, x, y):
    """∂L of each of the three layers."""
    residual = 2 * (c * (b * a * x + shift) - y)
    inner = residual * c
    return [inner * b * x], [inner * a * x, inner], [residual * (b * a * x + shift)]


@pytest.mark.oracle
@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a")])
def test_the_shift_of_each_layer_is_written_out(order):
    old = {"a": (2.0,), "b": (0.5, 1.0), "c": (-1.0,)}
    new = {"a": (1.5,), "b": (0.7, 0.8), "c": (-1.5,)}
    batch = (0.5, 1.0)

    def as_tree(weights):
        names = {"a": ("w",), "b": ("w", "shift"), "c": ("w",)}
        return {
            layer: dict(zip(names[layer], map(jnp.asarray, own), strict=True))
            for layer, own in weights.items()
        }

    with jax.enable_x64(True):
        seen = curvature.internal_covariate_shift(
            product,
            as_tree(old),
            as_tree(new),
            batch,
            layers=[[name] for name in order],
        )
    for place, name in enumerate(order):
        mixed = {layer: new[layer] for layer in order[:place]}
        mixed = {**old, **mixed}
        gradients = []
        for weights in (old, mixed):
            flat = (*weights["a"], *weights["b"], *weights["c"])
            gradients.append(np.array(slopes(*flat, *batch)["abc".index(name)]))
        before, after = gradients
        lengths = np.linalg.norm(before), np.linalg.norm(after)
        apart = np.linalg.norm(after - before)
        cosine = before @ after / np.prod(lengths)
        np.testing.assert_allclose(seen.difference[place], apart, atol=1e-12)
        np.testing.assert_allclose(seen.cosine[place], cosine)
        np.testing.assert_allclose([seen.old[place], seen.updated[place]], lengths)
    assert float(seen.difference[0]) == 0


@pytest.mark.identity
def test_what_is_no_step_and_what_is_no_layer_is_refused():
    params = {"w": jnp.ones(3)}
    values = np.ones(3, np.float32)
    with pytest.raises(InputError, match=r"no list of steps: give an array"):
        curvature.along_step(quadratic, params, values, lengths=np.zeros(0))
    with pytest.raises(InputError, match="direction is not a pytree like"):
        curvature.along_step(
            quadratic, params, values, lengths=values, direction=jnp.ones(3)
        )
    for layers in ([["w"], ["w"]], [], [["w", "b"]]):
        with pytest.raises(InputError, match=r"parameters hold w: name each once"):
            curvature.internal_covariate_shift(
                quadratic, params, params, values, layers=layers
            )
    with pytest.raises(InputError, match=r"are no dict.*give a dict"):
        curvature.internal_covariate_shift(
            quadratic, values, values, values, layers=[["w"]]
        )
