"""Minimum ratios against closed forms, and against NumPy written from their
definitions.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.special

from jaxml.curvature.ratio import (
    layerwise_gauss_newton_ratio,
    positive_fraction,
    sampling_ratio,
)
from jaxml.types import InputError

KEY = jax.random.key(0)
DRAW = np.random.default_rng(0)
PARAMS = {
    "first": {"kernel": DRAW.normal(size=(2, 3)), "bias": DRAW.normal(size=3)},
    "second": {"kernel": DRAW.normal(size=(3, 1)), "bias": DRAW.normal(size=1)},
}


def outputs(params, inputs):
    hidden = jnp.tanh(
        inputs @ params["first"]["kernel"] + params["first"]["bias"][None]
    )
    return hidden @ params["second"]["kernel"] + params["second"]["bias"][None]


def layer_spectra(params, inputs):
    """Eigenvalues of JₗᵀJₗ, the Jacobians of a network of one tanh layer written by
    hand.
    """
    hidden = np.tanh(inputs @ params["first"]["kernel"] + params["first"]["bias"])
    behind = (1 - hidden**2) * params["second"]["kernel"][:, 0]
    first = (inputs[:, :, None] * behind[:, None, :]).reshape(len(inputs), -1)
    return [
        scipy.linalg.eigvalsh(jacobian.T @ jacobian) for jacobian in (first, hidden)
    ]


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_fraction_counts_what_is_above_zero_in_the_dtype_that_it_gets(dtype):
    tiny = np.finfo(dtype).smallest_normal
    values = np.array([[-1, 0, tiny, 2], [-1, -tiny, -2, 0]], dtype)
    np.testing.assert_array_equal(positive_fraction(values), [0.5, 0.0])
    assert positive_fraction(values[0]) == 0.5


@pytest.mark.statistics
@pytest.mark.parametrize("steepness", [0.1, 1.0, 7.0])
def test_neighbours_of_a_saddle_of_two_parameters(steepness):
    """w₁² c > w₂² on directions within atan √c of the first axis: a fraction of 2
    atan(√c) / π.
    """
    pairs = 4000
    found = sampling_ratio(
        lambda w, c: c * w[0] ** 2 - w[1] ** 2,
        jnp.zeros(2),
        jnp.float32(steepness),
        radius=0.3,
        pairs=pairs,
        key=KEY,
    )
    fraction = 2 * np.arctan(np.sqrt(steepness)) / np.pi
    assert abs(float(found) - fraction) < 4 * np.sqrt(fraction * (1 - fraction) / pairs)


@pytest.mark.statistics
def test_directions_are_uniform_whatever_the_shapes_of_the_parameters():
    """A χ² of 3 directions exceeds 2 times one of 2: an F(3, 2) variable exceeds 2 ·
    2/3.
    """
    pairs = 4000

    def saddle(params, _):
        return jnp.sum(params["up"] ** 2) - 2 * jnp.sum(params["down"] ** 2)

    found = sampling_ratio(
        saddle,
        {"up": jnp.zeros((3, 1)), "down": jnp.zeros(2)},
        None,
        radius=1e-3,
        pairs=pairs,
        key=KEY,
    )
    fraction = scipy.special.fdtrc(3, 2, 4 / 3)
    assert abs(float(found) - fraction) < 4 * np.sqrt(fraction * (1 - fraction) / pairs)


@pytest.mark.identity
@pytest.mark.parametrize("radius", [1e-3, 1.0, 100.0])
def test_exactly_half_lies_higher_on_a_slope(radius):
    gradient = DRAW.normal(size=7).astype(np.float32)
    found = sampling_ratio(
        lambda w, g: w @ g, jnp.zeros(7), gradient, radius=radius, pairs=31, key=KEY
    )
    assert float(found) == 0.5


@pytest.mark.oracle
def test_the_radius_is_a_distance():
    """A ring of higher ground between the distances 1 and 2."""

    def ring(w, _):
        return jnp.where(jnp.abs(jnp.linalg.norm(w) - 1.5) < 0.5, 1.0, 0.0)

    fractions = [
        float(sampling_ratio(ring, jnp.zeros(5), None, radius=r, pairs=9, key=KEY))
        for r in (0.9, 1.1, 1.9, 2.1)
    ]
    assert fractions == [0.0, 1.0, 1.0, 0.0]


@pytest.mark.oracle
@pytest.mark.parametrize("examples", [3, 40])
def test_layers_against_jacobians_by_hand(examples):
    """With 3 examples the first layer has rank 3 of 6; its zeros may come out with
    either sign.
    """
    inputs = np.random.default_rng(1).normal(size=(examples, 2))
    with jax.enable_x64(True):
        found = float(layerwise_gauss_newton_ratio(outputs, PARAMS, inputs))
    values = np.concatenate(layer_spectra(PARAMS, inputs))
    positive, zero = np.sum(values > 1e-10), np.sum(np.abs(values) <= 1e-10)
    assert zero == (3 if examples == 3 else 0)
    assert positive / 9 - 1e-12 <= found <= (positive + zero) / 9 + 1e-12


@pytest.mark.oracle
def test_layers_whose_zeros_are_exact():
    """∂(w ∘ x)/∂w is diagonal, so zeros in x are exact zero eigenvalues, and no bias
    counts.
    """
    inputs = jnp.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]])
    params = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}
    found = layerwise_gauss_newton_ratio(
        lambda p, x: p["kernel"] * x + p["bias"][None], params, inputs
    )
    assert float(found) == pytest.approx(3 / 6)


@pytest.mark.invariance
def test_a_network_without_kernels_is_refused():
    with pytest.raises(InputError, match="kernels"):
        layerwise_gauss_newton_ratio(lambda p, x: p * x, jnp.ones(3), jnp.ones(3))


@pytest.mark.oracle
@pytest.mark.parametrize(("gradient", "fraction"), [(0.0, 0.0), (1e-3, 0.5)])
def test_neighbours_are_compared_in_the_precision_of_the_parameters(gradient, fraction):
    """In float32 a neighbour at 1e-9 is the point itself."""
    with jax.enable_x64(True):
        found = sampling_ratio(
            lambda w, g: g * jnp.sum(w),
            jnp.ones((2, 3)),
            jnp.asarray(gradient),
            radius=1e-9,
            pairs=4,
            key=KEY,
        )
        assert found.dtype == np.dtype(float)
    assert float(found) == fraction


@pytest.mark.identity
def test_what_is_not_known_is_no_ratio():
    """NaN eigenvalues, a NaN loss, NaN parameters: NaN; a loss of +inf lies higher than
    any other.
    """
    values = np.array([[np.nan, 1.0], [-1.0, 1.0]])
    np.testing.assert_array_equal(positive_fraction(values), [np.nan, 0.5])
    np.testing.assert_array_equal(positive_fraction(jnp.asarray(values)), [np.nan, 0.5])
    settings = {"radius": 1.0, "pairs": 4, "key": KEY}
    nan = jnp.full(3, jnp.nan)
    assert jnp.isnan(sampling_ratio(lambda w, _: jnp.sum(w**2), nan, None, **settings))
    beside = sampling_ratio(
        lambda w, _: jnp.where(w[0] > 0, jnp.nan, 0.0), jnp.zeros(3), None, **settings
    )
    assert jnp.isnan(beside)
    walled = sampling_ratio(
        lambda w, _: jnp.where(w @ w > 0.5, jnp.inf, 0.0),
        jnp.zeros(3),
        None,
        **settings,
    )
    assert float(walled) == 1.0


@pytest.mark.invariance
def test_no_pairs_are_refused():
    with pytest.raises(InputError, match="1 or more"):
        sampling_ratio(
            lambda w, _: w @ w, jnp.ones(2), None, radius=1.0, pairs=0, key=KEY
        )


@pytest.mark.oracle
def test_a_point_is_no_neighbour_of_its_own():
    choice = {"pairs": 4, "key": KEY}
    assert np.isnan(
        sampling_ratio(lambda w, _: w @ w, jnp.zeros(2), None, radius=0.0, **choice)
    )
    draws = np.random.default_rng(0)
    with pytest.raises(InputError, match="another function each time"):
        sampling_ratio(
            lambda w, _: w @ w * draws.random(),
            jnp.zeros(2),
            None,
            radius=1.0,
            **choice,
        )
