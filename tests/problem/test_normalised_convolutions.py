"""The network against its parts put together by hand."""

import jax
import numpy as np
import pytest

from jaxml import problem

pytestmark = pytest.mark.identity

PICTURES = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)


def test_it_is_its_layers_one_after_another() -> None:
    norm = problem.group_norm(2)
    model = problem.normalised_convolutions(norm, 4, (2, 1), outputs=5)
    params, state = model.init(jax.random.key(0), PICTURES)
    values = PICTURES
    for place, stride in ((0, 2), (3, 1)):
        layer = problem.convolution(4, stride=stride)
        kernel, affine = params[f"layer_{place:02}"], params[f"layer_{place + 1:02}"]
        maps, _ = layer.apply(kernel, {}, values, train=True, key=None)
        normed, _ = norm.apply(affine, {}, maps, train=True, key=None)
        values = np.maximum(normed, 0)
    last = params["layer_06"]["layer_00"]
    kernel, bias = np.asarray(last["kernel"]), np.asarray(last["bias"])
    expected = values.reshape(3, -1) @ kernel + bias
    found, _ = model.apply(params, state, PICTURES, train=True, key=None)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.statistics
def test_kernels_begin_with_the_variance_of_he() -> None:
    model = problem.normalised_convolutions(problem.chain(), 64, (1, 1), outputs=2)
    params, _ = model.init(jax.random.key(1), PICTURES)
    kernel = params["layer_03"]["kernel"]
    variance, fan_in = np.var(kernel), 9 * 64
    assert abs(variance * fan_in / 2 - 1) < 4 * np.sqrt(2 / kernel.size)


def test_kernels_are_made_into_what_is_asked() -> None:
    model = problem.normalised_convolutions(
        problem.chain(), 4, (2,), outputs=2, kernels=problem.weight_normed
    )
    params, _ = model.init(jax.random.key(0), PICTURES)
    assert set(params["layer_00"]) == {"layer", "length"}
