"""Networks that start alike: what is drawn once for all, and what anew."""

import jax
import numpy as np

from jaxml import problem


def _starts(seed=3, units=4):
    return problem.paired_starts(
        problem.digits(),
        (0, 2, 0),
        draws=(0, 0, 1),
        units=units,
        train=50,
        rates=(0.01, 0.04),
        seed=seed,
    )


def test_networks_of_a_unit_share_examples_and_rate():
    starts = _starts()
    pictures = starts.own.inputs.reshape(3, 4, 50, -1)
    np.testing.assert_array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(pictures[0], pictures[2])
    rates = starts.rate.reshape(3, 4)
    assert np.all(rates == rates[0])
    assert np.all((rates >= 0.01) & (rates <= 0.04))
    assert len(np.unique(rates[0])) == 4
    np.testing.assert_array_equal(starts.which.reshape(3, 4)[:, 0], [0, 2, 0])


def test_networks_of_one_draw_share_their_key_and_others_do_not():
    keys = np.asarray(jax.random.key_data(_starts().key)).reshape(3, 4, -1)
    np.testing.assert_array_equal(keys[0], keys[1])
    both = np.concatenate([keys[0], keys[2]])
    assert len(np.unique(both, axis=0)) == 8


def test_a_unit_draws_examples_without_replacement():
    data = problem.digits()
    starts = _starts(units=2)
    whole = {row.tobytes() for row in np.asarray(data.inputs)}
    for unit in range(2):
        own = {row.tobytes() for row in np.asarray(starts.own.inputs[unit])}
        assert own <= whole
        assert len(own) == 50
    assert not np.array_equal(starts.own.inputs[0], starts.own.inputs[1])


def test_another_seed_moves_every_draw():
    one, other = _starts(seed=0), _starts(seed=1)
    assert not np.array_equal(one.own.inputs, other.own.inputs)
    assert not np.array_equal(one.rate, other.rate)
    keys = [np.asarray(jax.random.key_data(each.key)) for each in (one, other)]
    assert not np.array_equal(keys[0], keys[1])
