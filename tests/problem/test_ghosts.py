"""Ghost batches and batch normalisation: against the equations in float64."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem
from jaxml.types import InputError

DRAWS = np.random.default_rng(0)
INPUTS = DRAWS.normal(size=(10, 4))
LABELS = DRAWS.integers(0, 3, 10).astype(np.int32)
GHOST = 4


def written_out(params, inputs, statistics=None):
    """Ioffe and Szegedy's algorithm 1 on one hidden layer; outputs and statistics."""
    first, norm = params["layer_00"]["kernel"], params["norm_00"]
    hidden = inputs @ np.asarray(first)
    mean, variance = statistics or (hidden.mean(axis=0), hidden.var(axis=0))
    unit = (hidden - mean) / np.sqrt(variance + 1e-5)
    active = np.maximum(np.asarray(norm["scale"]) * unit + np.asarray(norm["bias"]), 0)
    last = params["layer_01"]
    outputs = active @ np.asarray(last["kernel"]) + np.asarray(last["bias"])
    return outputs, (mean, variance)


@pytest.fixture(scope="module")
def network():
    """A model in float64, with a scale and shift that differ from 1 and 0."""
    with jax.enable_x64(True):
        model = problem.batch_normalised((5, 3), jax.nn.relu)
        params, state = jax.jit(model.init)(jax.random.key(0), INPUTS)
        params["norm_00"] = {
            "scale": jnp.linspace(0.5, 1.5, 5),
            "bias": jnp.linspace(-0.2, 0.3, 5),
        }
    return model, params, state


@pytest.mark.oracle
def test_a_batch_is_normalised_as_a_whole_and_then_by_the_state(network):
    model, params, state = network
    with jax.enable_x64(True):
        apply = jax.jit(model.apply, static_argnames="train")
        outputs, seen = apply(params, state, INPUTS, train=True, key=None)
        later, kept = apply(params, seen, INPUTS[:3], train=False, key=None)
    expected, statistics = written_out(params, INPUTS)
    np.testing.assert_allclose(outputs, expected, atol=1e-12)
    found = seen["batch_stats"]["norm_00"]
    np.testing.assert_allclose(found["mean"], statistics[0], atol=1e-12)
    np.testing.assert_allclose(found["var"], statistics[1], atol=1e-12)
    np.testing.assert_allclose(
        later, written_out(params, INPUTS[:3], statistics)[0], atol=1e-12
    )
    assert jax.tree.map(np.array_equal, kept, seen)


@pytest.mark.oracle
def test_each_ghost_is_normalised_by_itself_and_padding_does_not_count(network):
    """Ten rows of which the last three are padding: ghosts of 4, of 3 and of none."""
    model, params, state = network
    present = np.arange(10) < 7
    with jax.enable_x64(True):
        ghosts = problem.in_ghosts(model, GHOST)
        masked: Any = jax.jit(ghosts.apply, static_argnames="train")
        outputs, seen = masked(
            params, state, INPUTS, train=True, key=None, mask=present
        )
        alone, _ = ghosts.apply(params, seen, INPUTS, train=False, key=None)
    first, early = written_out(params, INPUTS[:4])
    second, late = written_out(params, INPUTS[4:7])
    np.testing.assert_allclose(outputs[:4], first, atol=1e-12)
    np.testing.assert_allclose(outputs[4:7], second, atol=1e-12)
    assert outputs.shape == (10, 3) and np.all(np.isfinite(outputs))
    found = seen["batch_stats"]["norm_00"]
    mean = (4 * early[0] + 3 * late[0]) / 7
    variance = (4 * early[1] + 3 * late[1]) / 7
    np.testing.assert_allclose(found["mean"], mean, atol=1e-12)
    np.testing.assert_allclose(found["var"], variance, atol=1e-12)
    expected, _ = written_out(params, INPUTS, (mean, variance))
    np.testing.assert_allclose(alone, expected, atol=1e-12)


class Counting(nn.Module):
    """Draws a key, and counts its calls in whole numbers."""

    @nn.compact
    def __call__(self, inputs, *, train):
        calls = self.variable("counts", "calls", lambda: jnp.int32(0))
        calls.value += 1
        return nn.Dropout(0.5, deterministic=not train)(nn.Dense(2)(inputs))


@pytest.mark.identity
def test_ghosts_draw_apart_and_counts_stay_whole():
    model = problem.in_ghosts(problem.from_linen(Counting()), 2)
    inputs = np.ones((4, 3), np.float32)
    params, state = model.init(jax.random.key(0), inputs)
    apply = jax.jit(model.apply, static_argnames="train")
    several = [
        apply(params, state, inputs, train=True, key=jax.random.key(k))
        for k in range(3)
    ]
    halves = np.array([np.asarray(outputs) != 0 for outputs, _ in several])
    assert not np.array_equal(halves[:, :2], halves[:, 2:])
    assert several[0][1]["counts"]["calls"] == state["counts"]["calls"] + 1


@pytest.mark.identity
def test_what_makes_no_ghosts_is_refused(network):
    model, params, state = network
    unmasked = model._replace(
        apply=lambda params, state, inputs, *, train, key: model.apply(
            params, state, inputs, train=train, key=key
        )
    )
    with pytest.raises(InputError, match="ghost batch of 0 examples is none"):
        problem.in_ghosts(model, 0)
    with pytest.raises(InputError, match=r"10 is no multiple of ghost.*choose a div"):
        problem.in_ghosts(unmasked, 4).apply(
            params, state, INPUTS, train=True, key=None
        )
    for widths in ((), (3, 0)):
        with pytest.raises(InputError, match="make no network: give the output's"):
            problem.batch_normalised(widths, jax.nn.relu)
    with pytest.raises(InputError, match=r"of which 1.0 is kept.*choose from 0"):
        problem.batch_normalised((3, 2), jax.nn.relu, kept=1.0)


@pytest.mark.oracle
def test_a_workload_is_measured_by_the_statistics_of_what_trains(network):
    model, params, _ = network
    with jax.enable_x64(True):
        data = problem.examples(INPUTS, LABELS)
        work = problem.normalised_workload(
            model, problem.cross_entropy, data, train=7, test=3, ghost=GHOST
        )
        own = problem.split(data, 7, key=jax.random.key(1))
        both = problem.judged_on_both(work).measures
        measures = {**work.measures, "training accuracy": both["training"]}
        measured = jax.jit(
            lambda params, own: {
                name: measure(params, own) for name, measure in measures.items()
            }
        )(params, own)
    train, test = np.asarray(own.train.inputs), np.asarray(own.test.inputs)
    _, statistics = written_out(params, train)
    for name, rows, labels in (
        ("train", train, own.train.targets),
        ("test", test, own.test.targets),
    ):
        outputs, _ = written_out(params, rows, statistics)
        chosen = outputs[np.arange(len(rows)), np.asarray(labels)]
        losses = np.log(np.sum(np.exp(outputs), axis=1)) - chosen
        np.testing.assert_allclose(measured[name], np.mean(losses), rtol=1e-12)
    hits = np.argmax(written_out(params, test, statistics)[0], axis=1)
    found = float(measured["accuracy"])
    assert found == pytest.approx(np.mean(hits == np.asarray(own.test.targets)))
    hits = np.argmax(written_out(params, train, statistics)[0], axis=1)
    found = float(measured["training accuracy"])
    assert found == pytest.approx(np.mean(hits == np.asarray(own.train.targets)))


@pytest.mark.identity
def test_workloads_without_a_state_are_refused():
    data = problem.examples(INPUTS.astype(np.float32), LABELS)
    with pytest.raises(InputError, match=r"keeps no state.*take `problem.workload`"):
        problem.normalised_workload(
            problem.mlp((5, 3), jax.nn.relu),
            problem.cross_entropy,
            data,
            train=7,
            test=3,
        )
