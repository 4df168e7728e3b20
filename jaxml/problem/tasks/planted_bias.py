"""Planted cases of model bias: the law lies outside of the user's family, inside the
larger one; examples are many, and the rate works.
"""

import numpy as np

from jaxml.problem.losses import cross_entropy, mae, mse
from jaxml.problem.tasks.planted_curves import wave
from jaxml.problem.tasks.planted_labels import (
    CIRCLES,
    CORNERS,
    DIGITS,
    Source,
    labelled_case,
)
from jaxml.problem.tasks.planted_parts import (
    BIAS,
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
    of_columns,
    one_layer,
    unit_sum,
)
from jaxml.types import Batch

__all__ = ["bias_cases"]

CAUSES = (BIAS,)


def bias_cases(seed: int) -> tuple[PlantedCase, ...]:
    """Every case whose only cause is model bias."""
    return (*_linear(seed), *_features(seed), *_networks(seed), *_classifiers(seed))


def _linear(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "inputs left out",
                CAUSES,
                "Half of the target's variance lies in inputs that the user's linear "
                "model does not see and the larger one does.",
                goal=0.15,
            ),
            Plan("sgd", 0.02),
            Setting((4, 16, 64)),
            WIDE,
            Parts(near=0.25, middle=0.25, far=0.5, noise=0.1),
            seed=seed,
        ),
        linear_case(
            Label(
                "a few inputs left out",
                CAUSES,
                "A smaller part of the target's variance, 0.3 at a noise of 0.2, lies "
                "in inputs that only the larger model sees.",
                goal=0.3,
            ),
            Plan("adam", 0.01),
            Setting((4, 16, 64)),
            WIDE,
            Parts(near=0.5, middle=0.3, far=0.3, noise=0.2),
            seed=seed,
        ),
    )


def _features(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "parabola for a quartic",
                CAUSES,
                "The law has Legendre terms of degree 3 and 4, of variance 0.5, and "
                "the user's polynomial is of degree 2.",
                goal=0.1,
            ),
            Plan("adam", 0.05),
            Setting((1, 2, 4)),
            POWERS,
            Parts(near=0.5, middle=0.3, far=0.5, noise=0.04),
            seed=seed,
        ),
        linear_case(
            Label(
                "slow waves for fast ones",
                CAUSES,
                "The law has cosines faster than any of the user's, of variance 0.6.",
                goal=0.15,
            ),
            Plan("momentum", 0.01),
            Setting((3, 8, 16)),
            COSINES,
            Parts(near=0.5, middle=0.2, far=0.6, noise=0.1),
            seed=seed,
        ),
        linear_case(
            Label(
                "pairs for triples",
                CAUSES,
                "The law has products of three signs, uncorrelated with each sign and "
                "each pair, and the user's model stops at pairs; absolute errors.",
                goal=0.38,
            ),
            Plan("adam", 0.01),
            Setting((1, 2, 3), loss=mae),
            BITS,
            Parts(near=0.4, middle=0.4, far=0.8, noise=0.1),
            seed=seed,
        ),
    )


def _networks(seed: int) -> tuple[PlantedCase, ...]:
    return (
        drawn_case(
            Label(
                "two units for five kinks",
                CAUSES,
                "A sum of two ReLUs has two kinks and three straight pieces; the wave "
                "has six, of slopes 2 and -2 in turn.",
                goal=0.1,
            ),
            Plan("adam", 0.02, updates=2000),
            Setting((1, 2, 64), loss=mse),
            unit_sum,
            wave(0.02),
            seed=seed,
        ),
    )


def _classifiers(seed: int) -> tuple[PlantedCase, ...]:
    return (
        labelled_case(
            Label(
                "one unit for four corners",
                CAUSES,
                "With one ReLU the odds rise or fall along one direction, so that one "
                "corner of four is on the wrong side; sixteen separate all.",
                goal=0.2,
            ),
            Plan("adam", 0.02),
            Setting((0, 1, 16), loss=cross_entropy),
            (one_layer(2), CORNERS),
            seed=seed,
        ),
        labelled_case(
            Label(
                "one unit for a ring",
                CAUSES,
                "With one ReLU the odds rise or fall along one direction, and the ring "
                "surrounds the other class; sixteen ReLUs close around it.",
                goal=0.2,
            ),
            Plan("adam", 0.02),
            Setting((0, 1, 16), loss=cross_entropy),
            (one_layer(2), CIRCLES),
            seed=seed,
        ),
        labelled_case(
            Label(
                "digits by their margins",
                CAUSES,
                "The user's linear model sees the left and right columns of pixels, "
                "which are blank in most digits; the larger sees all pixels.",
                goal=0.5,
            ),
            Plan("adam", 0.01),
            Setting((8, 16, 64), train=1000, held_out=300, loss=cross_entropy),
            (of_columns(10), Source(_margins_first, 10)),
            seed=seed,
        ),
    )


def _margins_first(random: np.random.Generator, count: int) -> tuple[Batch, Batch]:
    """Digits whose pixels of the left column come first, then those of the right."""
    own, later = DIGITS.draw(random, count)
    inner = [pixel for pixel in range(64) if 0 < pixel % 8 < 7]
    order = [*range(0, 64, 8), *range(7, 64, 8), *inner]
    return (
        own._replace(inputs=np.ascontiguousarray(own.inputs[:, order])),
        later._replace(inputs=np.ascontiguousarray(later.inputs[:, order])),
    )
