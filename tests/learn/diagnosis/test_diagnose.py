"""The guide names the planted cause, its parts add up, and what it cannot judge is
refused.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn, problem
from jaxml.learn.diagnosis.asked import DECADES, margin
from jaxml.learn.diagnosis.causes import Compared, Part, parts, verdict
from jaxml.learn.diagnosis.diagnose import judged
from jaxml.learn.diagnosis.trained import BLOCKS, Plan, points
from jaxml.problem.data.examples import examples
from jaxml.types import Batch, InputError, Workload

SLOPE, CURVE, NOISE = 1.0, 2.0, 0.1


def drawn(count: int, seed: int, *, curve: float = CURVE) -> Batch:
    """y = x + c x² + noise, x uniform in [-1, 1]."""
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (count, 1)).astype(np.float32)
    noise = NOISE * random.standard_normal((count, 1))
    y = SLOPE * x + curve * x**2 + noise
    return examples(x, y.astype(np.float32))


TRAIN = drawn(240, 0)
TEST = drawn(60, 1)
BUDGET = learn.Budget(updates=200, batch=16, seeds=6, longer=2, factors=(0.1, 1.0, 10))
GOAL = learn.Goal(0.04, margin=0.02)
PLAN = Plan(learn.sgd, learn.Hyper(lr=0.3), TEST, BUDGET, 0)


def sized(degree: int) -> Workload:
    model = problem.polynomial(degree)
    return problem.workload(model, problem.mse, TRAIN, train=160, test=80)


def embed(simpler: dict, diagnosed: dict) -> dict:
    """The line as a parabola without curvature."""

    def placed(small: jax.Array, large: jax.Array) -> jax.Array:
        return jnp.zeros_like(large).at[: len(small)].set(small)

    return jax.tree.map(placed, simpler, diagnosed)


@functools.cache
def diagnosed(
    degrees: tuple[int, int, int], rate: float, test_seed: int = 1, curve: float = CURVE
) -> learn.Diagnosis:
    way = embed if degrees[0] == 1 and degrees[1] == 2 else None
    return learn.diagnose(
        learn.Models(sized, degrees, way),
        learn.sgd,
        learn.Hyper(lr=rate),
        drawn(60, test_seed, curve=curve),
        budget=BUDGET,
        goal=GOAL,
    )


@pytest.mark.stress
@pytest.mark.statistics
def test_a_rate_that_is_far_too_small_is_an_optimization_failure() -> None:
    found = diagnosed((1, 2, 3), 0.01)
    assert found.verdict == "optimization"
    assert "Train at a rate of 0.1" in found.advice


@pytest.mark.statistics
def test_a_test_set_of_another_law_is_a_mismatch() -> None:
    assert diagnosed((1, 2, 3), 0.3, 1, -CURVE).verdict == "mismatch"


@pytest.mark.identity
def test_the_embedded_line_has_the_loss_of_the_line() -> None:
    found = diagnosed((1, 2, 3), 0.01)
    embedded = found.evidence.embedded
    assert embedded is not None
    simpler = found.evidence.simpler.train
    best = np.unravel_index(np.argmin(np.mean(simpler, axis=-1)), simpler.shape[:2])
    last = simpler[best[0], -1]
    np.testing.assert_allclose(embedded[0], last, rtol=1e-5)
    assert np.all(embedded[1] < embedded[0] / 2)


@pytest.mark.identity
def test_the_parts_add_up_to_the_test_loss_beyond_what_content_leaves() -> None:
    found = diagnosed((1, 2, 3), 0.01)
    fitted = np.mean(np.minimum(_trained(found), GOAL.loss))
    total = sum(each.loss for each in found.causes.values())
    np.testing.assert_allclose(fitted + total, found.test.loss, rtol=1e-6)


def _trained(found: learn.Diagnosis) -> np.ndarray:
    return found.evidence.diagnosed.train[found.evidence.own, 0]


@pytest.mark.identity
def test_the_measured_losses_are_those_of_the_least_squares_line() -> None:
    """Gradient descent on the line ends where NumPy's least squares does."""
    found = diagnosed((1, 2, 3), 0.3)
    design = np.concatenate([np.ones_like(TRAIN.inputs), TRAIN.inputs], axis=1)
    solution, *_ = np.linalg.lstsq(design, TRAIN.targets, rcond=None)
    residual = np.mean((TRAIN.targets - design @ solution) ** 2)
    reached = np.min(np.mean(found.evidence.simpler.train, axis=-1))
    np.testing.assert_allclose(reached, residual, rtol=0.15)


def compared_of(**changed: float) -> Compared:
    """Losses of three seeds without spread."""
    losses = {
        "train": 0.1,
        "held_out": 0.1,
        "reached": 0.1,
        "larger": 0.1,
        "best": 0.1,
        "larger_best": 0.1,
        **changed,
    }
    test = np.full((3, BLOCKS), losses.pop("test", losses["held_out"]))
    by_seed = {name: np.full(3, value) for name, value in losses.items()}
    return Compared(test=test, **by_seed)


PLANTED = {
    "model bias": compared_of(
        train=1.0, held_out=1.0, reached=1.0, best=1.0, larger=0.1, larger_best=0.1
    ),
    "optimization": compared_of(train=1.0, held_out=1.0, larger=1.0, larger_best=1.0),
    "overfitting": compared_of(train=0.0, held_out=0.9),
    "mismatch": compared_of(train=0.0, held_out=0.1, test=0.9),
    "noise floor": compared_of(
        train=1.0, held_out=1.0, reached=1.0, best=1.0, larger=0.0, larger_best=1.0
    ),
    "fine": compared_of(train=0.0),
}


@pytest.mark.oracle
@pytest.mark.parametrize("cause", PLANTED)
def test_losses_without_spread_have_the_cause_that_the_guide_says(cause: str) -> None:
    seen = PLANTED[cause]
    of_test = Part(*[float(np.mean(seen.test))] * 3)
    found = parts(seen, goal=0.1)
    assert verdict(found, of_test, goal=0.1, margin=0.05) == cause


@pytest.mark.identity
def test_fewer_examples_come_again_and_again() -> None:
    """A quarter of the examples is fitted more closely than all of them."""
    quarter, half = diagnosed((1, 2, 3), 0.3, 1, -CURVE).evidence.fewer
    assert quarter.train.shape == (1, 2, 6)
    assert np.mean(quarter.train[0, -1]) < np.mean(half.train[0, -1])


@pytest.mark.identity
def test_a_grid_has_the_precision_that_holds_where_it_is_made() -> None:
    with jax.enable_x64(True):
        columns = points(PLAN, (0.1, 1.0))
    assert columns.lr.dtype == np.float64 and points(PLAN, (1.0,)).lr.dtype != float
    assert columns.lr.tolist() == [0.3 * 0.1] * 6 + [0.3] * 6
    assert columns.seed.tolist() == [*range(6), *range(6)]


@pytest.mark.oracle
def test_an_embedding_of_other_shapes_is_refused() -> None:
    models = learn.Models(sized, (1, 2, 3), lambda simpler, diagnosed: simpler)
    with pytest.raises(InputError, match="a pytree like its second argument"):
        asking(models=models)


@pytest.mark.invariance
def test_the_verdict_follows_from_the_evidence_alone() -> None:
    found = diagnosed((1, 2, 3), 0.01)
    again = judged(found.evidence, GOAL)
    assert (again.verdict, again.advice) == (found.verdict, found.advice)


@pytest.mark.invariance
def test_the_rates_that_are_tried_lie_evenly() -> None:
    steps = np.diff(np.log10(DECADES))
    np.testing.assert_allclose(steps, 1.0)
    assert margin(learn.Goal(1.0)) == 0.25


def asking(**changed: object) -> None:
    arguments: dict = {
        "models": learn.Models(sized, (1, 2, 3)),
        "family": learn.sgd,
        "hyper": learn.Hyper(lr=0.1),
        "test": TEST,
        "budget": BUDGET,
        "goal": GOAL,
        **changed,
    }
    models, family, hyper, test = (
        arguments.pop(name) for name in ("models", "family", "hyper", "test")
    )
    learn.diagnose(models, family, hyper, test, **arguments)


def constant(degree: int) -> Workload:
    same = TRAIN._replace(targets=np.ones_like(TRAIN.targets))
    return problem.workload(
        problem.polynomial(degree), problem.mse, same, train=160, test=80
    )


class Unrated(NamedTuple):
    """Hyperparameters without a rate."""

    seed: int = 0


REFUSED = {
    "cannot grow": (
        {"models": learn.Models(lambda size: sized(2), (1, 2, 3))},
        "and a larger one that has more",
    ),
    "two sizes": (
        {"models": learn.Models(sized, (1, 2))},  # pyright: ignore[reportArgumentType]
        "a simpler, the diagnosed and a larger",
    ),
    "shared rows": (
        {"test": jax.tree.map(lambda leaf: leaf[:12], TRAIN)},
        "12 of 12 test rows are training rows",
    ),
    "few test rows": (
        {"test": jax.tree.map(lambda leaf: leaf[:9], TEST)},
        "9 test rows have no spread",
    ),
    "other inputs": (
        {"test": TEST._replace(inputs=np.ones((60, 2), np.float32))},
        "give both alike",
    ),
    "constant targets": (
        {"models": learn.Models(constant, (1, 2, 3))},
        "All targets are equal",
    ),
    "batch": ({"budget": BUDGET._replace(batch=161)}, "between 1 and 160"),
    "one seed": ({"budget": BUDGET._replace(seeds=1)}, "two seeds or more"),
    "no factor": ({"budget": BUDGET._replace(factors=(2.0,))}, "and 1 among them"),
    "no goal": ({"goal": learn.Goal(float("nan"))}, "give a finite loss"),
    "no rate": ({"hyper": Unrated()}, "Unrated has no lr and seed"),
    "no margin": ({"goal": learn.Goal(1.0, margin=0.0)}, "a positive margin"),
}


@pytest.mark.oracle
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_diagnosed_is_refused_in_a_sentence(case: str) -> None:
    changed, sentence = REFUSED[case]
    with pytest.raises(InputError, match=sentence):
        asking(**changed)
