"""Planted cases of failed optimisation: the user's family holds the law, and training
does not find it.
"""

import jax
import numpy as np

from jaxml.problem.losses import cross_entropy
from jaxml.problem.tasks.planted_labels import DIGITS, MOONS, labelled_case
from jaxml.problem.tasks.planted_parts import (
    OPTIMIZATION,
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
    deep,
    gaussian,
    one_layer,
)

__all__ = ["optimization_cases"]

CAUSES = (OPTIMIZATION,)
DIM = gaussian(np.repeat([0.1, 1.0], [4, 60]))
DISPLACED = gaussian(np.ones(64), mean=2.0)


def optimization_cases(seed: int) -> tuple[PlantedCase, ...]:
    """Every case whose only cause is that training fails."""
    return (*_rates(seed), *_short(seed), *_inputs(seed), *_networks(seed))


def _rates(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "a rate too small",
                CAUSES,
                "The mean square has curvature 2, so that 1,000 updates at the rate "
                "1e-5 leave 98 % of the initial error of every weight.",
                goal=0.15,
            ),
            Plan("sgd", 1e-5),
            Setting((4, 16, 64)),
            WIDE,
            Parts(near=1.0, middle=0.0, far=0.0, noise=0.1),
            seed=seed,
        ),
        linear_case(
            Label(
                "a rate too large",
                CAUSES,
                "The mean square has curvature 2, so that the rate 2 multiplies the "
                "error of every weight by -3 an update.",
                goal=0.15,
            ),
            Plan("sgd", 2.0),
            Setting((4, 16, 64)),
            WIDE,
            Parts(near=0.5, middle=0.5, far=0.0, noise=0.1),
            seed=seed,
        ),
        linear_case(
            Label(
                "momentum at a rate too large",
                CAUSES,
                "At curvature 2 momentum of 0.9 is stable up to a rate of 1.9; the "
                "user's is 5.",
                goal=0.3,
            ),
            Plan("momentum", 5.0),
            Setting((1, 2, 3)),
            BITS,
            Parts(near=0.5, middle=0.5, far=0.0, noise=0.2),
            seed=seed,
        ),
    )


def _short(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "too few updates",
                CAUSES,
                "An update of Adam moves a weight by about its rate, so that 50 at "
                "1e-3 move it by 0.05, and the law is 0.5 away in each of four.",
                goal=0.15,
            ),
            Plan("adam", 1e-3, updates=50),
            Setting((4, 16, 64)),
            WIDE,
            Parts(near=1.0, middle=0.0, far=0.0, noise=0.1),
            seed=seed,
        ),
        linear_case(
            Label(
                "a slow rate on waves",
                CAUSES,
                "Curvature 2, momentum of 0.9 and a rate of 2e-5 shrink every error by "
                "exp(-2 · 2e-4) an update: after 1,000 two thirds remain.",
                goal=0.15,
            ),
            Plan("momentum", 2e-5),
            Setting((3, 8, 16)),
            COSINES,
            Parts(near=0.7, middle=0.3, far=0.0, noise=0.1),
            seed=seed,
        ),
    )


def _inputs(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "badly scaled inputs",
                CAUSES,
                "The law lies in four inputs of standard deviation 0.1, of curvature "
                "0.02 beside 2: at the rate 0.01 an error keeps 82 % of its size.",
                goal=0.15,
            ),
            Plan("sgd", 0.01),
            Setting((4, 16, 64)),
            DIM,
            Parts(near=1.0, middle=0.0, far=0.0, noise=0.1),
            seed=seed,
        ),
        linear_case(
            Label(
                "inputs that are not centred",
                CAUSES,
                "16 inputs of mean 2 give one direction the curvature 2 (1 + 16 · 4 + "
                "1), beyond what the rate 0.03 can follow, which suits centred ones.",
                goal=0.4,
            ),
            Plan("sgd", 0.03),
            Setting((4, 16, 64)),
            DISPLACED,
            Parts(near=0.5, middle=0.0, far=0.0, noise=0.2),
            seed=seed,
        ),
    )


def _networks(seed: int) -> tuple[PlantedCase, ...]:
    return (
        labelled_case(
            Label(
                "sixteen layers of sigmoids",
                CAUSES,
                "A sigmoid's derivative is at most 1/4, so that sixteen layers pass on "
                "next to nothing of the input and of the gradient; one layer trains.",
                goal=0.35,
            ),
            Plan("momentum", 0.1),
            Setting((1, 16, 20), loss=cross_entropy),
            (deep(jax.nn.sigmoid, width=16, outputs=2), MOONS),
            seed=seed,
        ),
        labelled_case(
            Label(
                "twenty-four plain layers",
                CAUSES,
                "Kernels of variance 1 / fan-in halve the variance at each layer of "
                "ReLUs: 2^-24 of it and of the gradient's square is left; two layers "
                "train, and the others could be the identity.",
                goal=0.35,
            ),
            Plan("sgd", 0.05),
            Setting((2, 24, 28), loss=cross_entropy),
            (deep(jax.nn.relu, width=16, outputs=2), MOONS),
            seed=seed,
        ),
        labelled_case(
            Label(
                "digits at a rate too small",
                CAUSES,
                "1,000 updates at the rate 1e-5 are a gradient flow for a time of "
                "0.01, from a loss of log 10.",
                goal=0.5,
            ),
            Plan("sgd", 1e-5),
            Setting((8, 32, 64), train=1000, held_out=300, loss=cross_entropy),
            (one_layer(10), DIGITS),
            seed=seed,
        ),
    )
