"""The timed normalisations make networks that train."""

import jax
import pytest

from jaxml.bench import normalisers

TINY = normalisers.SMOKE


@pytest.mark.stress
@pytest.mark.identity
def test_every_way_is_a_network_of_ten_outputs() -> None:
    inputs = normalisers.examples(TINY).inputs
    for name, parts in normalisers.normalisers(TINY).items():
        model = normalisers.network(*parts)

        def seen(model=model):
            own = model.init(jax.random.key(0), inputs)
            return model.apply(*own, inputs, train=True, key=None)[0]

        assert jax.eval_shape(seen).shape == (4, 10), name


@pytest.mark.stress
@pytest.mark.identity
def test_each_is_timed_against_the_plain_network() -> None:
    rows = normalisers.measure(TINY, names=("plain", "batch normalisation"))
    plain, other = rows
    assert (plain.what, plain.ratio, plain.target) == ("plain", 1, None)
    assert (other.what, other.target) == ("batch normalisation", normalisers.AT_MOST)
