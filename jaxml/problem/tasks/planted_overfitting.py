"""Planted cases of overfitting: few examples or false labels, and a flexible model that
follows them.
"""

import numpy as np

from jaxml.problem.losses import cross_entropy, mae
from jaxml.problem.tasks.planted_labels import DIGITS, MOONS, labelled_case
from jaxml.problem.tasks.planted_parts import (
    OVERFITTING,
    Label,
    Parts,
    Plan,
    PlantedCase,
    Setting,
    linear_case,
)
from jaxml.problem.tasks.planted_spaces import (
    BITS,
    COSINES,
    WIDE,
    gaussian,
    one_layer,
)

__all__ = ["overfitting_cases"]

CAUSES = (OVERFITTING,)
VERY_WIDE = gaussian(np.ones(128))


def overfitting_cases(seed: int) -> tuple[PlantedCase, ...]:
    """Every case whose only cause is overfitting."""
    return (*_linear(seed), *_absolute(seed), *_features(seed), *_networks(seed))


def _linear(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "more inputs than examples",
                CAUSES,
                "64 weights pass through all 32 examples, and see half of the law; "
                "four weights are enough for it.",
                goal=0.15,
            ),
            Plan("sgd", 0.03),
            Setting((4, 64, 128), train=32),
            VERY_WIDE,
            Parts(near=1.0, middle=0.0, far=0.0, noise=0.1),
            seed=seed,
        ),
        linear_case(
            Label(
                "as many inputs as examples allow",
                CAUSES,
                "Least squares with p = 33 weights on n = 40 examples multiplies the "
                "noise by 1 + p / (n - p - 1), more than 5, and leaves 1 - p / n of it "
                "in training.",
                goal=1.5,
            ),
            Plan("momentum", 0.02, batch=20),
            Setting((4, 32, 64), train=40),
            WIDE,
            Parts(near=1.0, middle=0.0, far=0.0, noise=1.0),
            seed=seed,
        ),
        linear_case(
            Label(
                "hardly more examples than weights",
                CAUSES,
                "33 weights on 48 examples add 2.4 times the noise on others and take "
                "away two thirds of it in training; half of it more would do.",
                goal=0.75,
            ),
            Plan("adam", 0.02),
            Setting((4, 32, 64), train=48),
            WIDE,
            Parts(near=1.0, middle=0.0, far=0.0, noise=0.5),
            seed=seed,
        ),
    )


def _absolute(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "absolute errors of few examples",
                CAUSES,
                "The least absolute errors of 33 weights pass through 33 of 38 "
                "examples, noise and all.",
                goal=1.0,
            ),
            Plan("adam", 0.01, updates=2000, batch=19),
            Setting((4, 32, 64), train=38, loss=mae),
            WIDE,
            Parts(near=1.0, middle=0.0, far=0.0, noise=1.0),
            seed=seed,
        ),
    )


def _features(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "waves through twenty points",
                CAUSES,
                "17 weights on 20 noisy points follow the noise between them; the law "
                "has three cosines.",
                goal=0.45,
            ),
            Plan("adam", 0.05, updates=2000, batch=20),
            Setting((3, 16, 32), train=20),
            COSINES,
            Parts(near=1.0, middle=0.0, far=0.0, noise=0.3),
            seed=seed,
        ),
        linear_case(
            Label(
                "triples without need",
                CAUSES,
                "42 weights on 52 noisy examples, for a law of single signs: the noise "
                "is multiplied by about 1 + 42 / 10.",
                goal=0.75,
            ),
            Plan("momentum", 0.02, batch=26),
            Setting((1, 3, 4), train=52),
            BITS,
            Parts(near=1.0, middle=0.0, far=0.0, noise=0.5),
            seed=seed,
        ),
    )


def _networks(seed: int) -> tuple[PlantedCase, ...]:
    return (
        labelled_case(
            Label(
                "thirty digits",
                CAUSES,
                "4,810 weights separate 30 pictures of ten classes, about three of "
                "each, which say little of others.",
                goal=0.4,
            ),
            Plan("adam", 0.01, batch=30),
            Setting((8, 64, 128), train=30, held_out=300, loss=cross_entropy),
            (one_layer(10), DIGITS),
            seed=seed,
        ),
        labelled_case(
            Label(
                "false digits learned by heart",
                CAUSES,
                "4,810 weights separate 200 digits, a quarter of them under a false "
                "label, and are certain of labels that are a matter of chance.",
                goal=1.5,
            ),
            Plan("adam", 0.01),
            Setting((8, 64, 128), train=200, held_out=300, loss=cross_entropy),
            (one_layer(10), DIGITS),
            flips=0.25,
            seed=seed,
        ),
        labelled_case(
            Label(
                "false moons learned by heart",
                CAUSES,
                "128 ReLUs have room for 48 points in a plane, a fifth of them under a "
                "false label.",
                goal=0.65,
            ),
            Plan("adam", 0.03, updates=2000, batch=48),
            Setting((4, 128, 256), train=48, loss=cross_entropy),
            (one_layer(2), MOONS),
            flips=0.2,
            seed=seed,
        ),
    )
