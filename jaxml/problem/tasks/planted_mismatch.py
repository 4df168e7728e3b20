"""Planted cases of mismatch: held-out examples are fine, and the later test is of
another distribution.
"""

from functools import partial

import numpy as np

from jaxml.problem.losses import cross_entropy
from jaxml.problem.tasks.planted_curves import folded, shortcut, two_clouds
from jaxml.problem.tasks.planted_labels import DIGITS, Source, labelled_case
from jaxml.problem.tasks.planted_parts import (
    MISMATCH,
    Label,
    Parts,
    Plan,
    PlantedCase,
    Setting,
    drawn_case,
    linear_case,
)
from jaxml.problem.tasks.planted_spaces import (
    BITS,
    COSINES,
    POWERS,
    WIDE,
    columns,
    one_layer,
)
from jaxml.types import Array, Batch

__all__ = ["mismatch_cases", "other_units", "raised", "renumbered", "reversed_first"]

CAUSES = (MISMATCH,)


def mismatch_cases(seed: int) -> tuple[PlantedCase, ...]:
    """Every case whose only cause is that the later test differs."""
    return (*_laws(seed), *_inputs(seed), *_drawn(seed), *_digits(seed))


def reversed_first(
    inputs: Array, features: Array, weights: Array, *, count: int
) -> tuple[Array, Array]:
    """The first weights have the other sign: adds four times their squares."""
    signs = np.where(np.arange(len(weights)) < count, -1.0, 1.0)
    return inputs, features @ (signs * weights)


def raised(
    inputs: Array, features: Array, weights: Array, *, level: float
) -> tuple[Array, Array]:
    """All values are higher by a constant, whose square is added."""
    return inputs, features @ weights + level


def other_units(
    inputs: Array, features: Array, weights: Array, *, factor: float
) -> tuple[Array, Array]:
    """Inputs of mean 0 are reported in other units: adds (factor - 1)² of what the law
    explains.
    """
    return factor * inputs, features @ weights


def _laws(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "a law reversed",
                CAUSES,
                "Later the first four weights have the other sign, which adds 4 times "
                "their part of the variance, 0.5.",
                goal=0.15,
            ),
            Plan("sgd", 0.02),
            Setting((4, 16, 64)),
            WIDE,
            Parts(near=0.5, middle=0.5, far=0.0, noise=0.1),
            shift=partial(reversed_first, count=4),
            seed=seed,
        ),
        linear_case(
            Label(
                "a level raised",
                CAUSES,
                "Later all values are higher by 0.6, which adds 0.36.",
                goal=0.15,
            ),
            Plan("momentum", 0.005),
            Setting((3, 8, 16)),
            COSINES,
            Parts(near=0.5, middle=0.5, far=0.0, noise=0.1),
            shift=partial(raised, level=0.6),
            seed=seed,
        ),
        linear_case(
            Label(
                "signs that mean the opposite",
                CAUSES,
                "Later the weights of all six signs are reversed, which adds 4 times "
                "their part of the variance, 0.6.",
                goal=0.3,
            ),
            Plan("sgd", 0.02),
            Setting((1, 2, 3)),
            BITS,
            Parts(near=0.6, middle=0.4, far=0.0, noise=0.2),
            shift=partial(reversed_first, count=6),
            seed=seed,
        ),
    )


def _inputs(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "inputs in other units",
                CAUSES,
                "Later inputs are reported as twice what they were, which adds once "
                "the variance that the law explains.",
                goal=0.15,
            ),
            Plan("adam", 0.01),
            Setting((4, 16, 64)),
            WIDE,
            Parts(near=0.5, middle=0.5, far=0.0, noise=0.1),
            shift=partial(other_units, factor=2.0),
            seed=seed,
        ),
    )


def _drawn(seed: int) -> tuple[PlantedCase, ...]:
    return (
        drawn_case(
            Label(
                "the other side of a fold",
                CAUSES,
                "On [0, 1] the law |x| is a line, which a polynomial of degree 1 "
                "fits; the later inputs lie in [-1, 0], where it is wrong by 2|x|.",
                goal=0.08,
            ),
            Plan("adam", 0.02),
            Setting((1, 1, 2)),
            POWERS.model,
            folded(0.04),
            seed=seed,
        ),
        drawn_case(
            Label(
                "a shortcut that vanishes",
                CAUSES,
                "The user's second input is the signal itself, and least squares uses "
                "no other; later it is unrelated, which adds 2.",
                goal=0.15,
            ),
            Plan("adam", 0.02),
            Setting((2, 4, 8)),
            columns,
            shortcut(blur=1.0, noise=0.1),
            seed=seed,
        ),
        drawn_case(
            Label(
                "another fraction of classes",
                CAUSES,
                "Nineteen of twenty examples are of the first class, and later one of "
                "twenty, so that the odds are wrong by a factor of 361.",
                goal=0.2,
            ),
            Plan("adam", 0.02),
            Setting((0, 2, 4), loss=cross_entropy),
            one_layer(2),
            two_clouds(1.0, first=0.95, later_first=0.05),
            seed=seed,
        ),
    )


def _digits(seed: int) -> tuple[PlantedCase, ...]:
    setting = Setting((8, 32, 64), train=1000, held_out=300, loss=cross_entropy)
    plan, source = Plan("adam", 0.01), (one_layer(10), DIGITS)
    rotated = Label(
        "rotated digits",
        CAUSES,
        "Later pictures are rotated by a quarter, and the network has seen none so.",
        goal=0.5,
    )
    inverted = Label(
        "inverted digits",
        CAUSES,
        "Later pictures are dark on light, and the network has seen light on dark.",
        goal=0.5,
    )
    others = Label(
        "renumbered digits",
        CAUSES,
        "Later each digit goes by the number after it, so that certainty is wrong.",
        goal=0.5,
    )
    unseen = Label(
        "digits never seen",
        CAUSES,
        "The user has no 8 and no 9, and the later test has nothing else.",
        goal=0.5,
    )
    return (
        labelled_case(rotated, plan, setting, source, change=_rotated, seed=seed),
        labelled_case(inverted, plan, setting, source, change=_inverted, seed=seed),
        labelled_case(others, plan, setting, source, change=renumbered, seed=seed),
        labelled_case(
            unseen, plan, setting, (one_layer(10), Source(_apart, 10)), seed=seed
        ),
    )


def _rotated(inputs: Array, labels: Array) -> tuple[Array, Array]:
    pictures = np.asarray(inputs).reshape(-1, 8, 8)
    turned = np.rot90(pictures, axes=(1, 2)).reshape(len(pictures), -1)
    return np.ascontiguousarray(turned), labels


def _inverted(inputs: Array, labels: Array) -> tuple[Array, Array]:
    return 1 - inputs, labels


def renumbered(inputs: Array, labels: Array) -> tuple[Array, Array]:
    """Each digit goes by the number after it, and 9 by 0."""
    return inputs, (labels + 1) % 10


def _apart(random: np.random.Generator, count: int) -> tuple[Batch, Batch]:
    """Digits below 8 for the user, drawn with repetition, and 8 and 9 for the later
    test.
    """
    own, later = DIGITS.draw(random, count)
    known = random.choice(np.flatnonzero(own.targets < 8), size=count)
    unknown = np.flatnonzero(later.targets >= 8)
    return (
        Batch(own.inputs[known], own.targets[known], own.weights[known]),
        Batch(later.inputs[unknown], later.targets[unknown], later.weights[unknown]),
    )
