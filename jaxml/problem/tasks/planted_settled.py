"""Planted cases in which nothing can be mended: the noise is above the goal, or all is
fine.
"""

import jax

from jaxml.problem.losses import cross_entropy, mae, softmax_mse
from jaxml.problem.tasks.planted_curves import two_clouds, wave
from jaxml.problem.tasks.planted_labels import (
    CIRCLES,
    CORNERS,
    DIGITS,
    MOONS,
    labelled_case,
)
from jaxml.problem.tasks.planted_parts import (
    FINE,
    NOISE,
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
    deep,
    one_layer,
    unit_sum,
)

__all__ = ["fine_cases", "noise_cases"]


def noise_cases(seed: int) -> tuple[PlantedCase, ...]:
    """Every case whose only cause is a goal below the noise."""
    return (*_noisy_values(seed), *_noisy_labels(seed), *_overlapping(seed))


def fine_cases(seed: int) -> tuple[PlantedCase, ...]:
    """Every case in which the goal is met."""
    return (*_fine_values(seed), *_fine_labels(seed))


def _noisy_values(seed: int) -> tuple[PlantedCase, ...]:
    def label(name: str, goal: float) -> Label:
        why = (
            "The user's family holds the law, 512 examples are plenty for its few "
            f"weights, and the goal of {goal} is half the least loss or less."
        )
        return Label(name, (NOISE,), why, goal)

    half = Parts(near=0.5, middle=0.5, far=0.0, noise=0.5)
    whole = Parts(near=0.5, middle=0.5, far=0.0, noise=1.0)
    wide, waves = Setting((4, 16, 64)), Setting((3, 8, 16), loss=mae)
    powers, bits = Setting((2, 4, 6)), Setting((1, 2, 3))
    return (
        linear_case(
            label("noisy values", 0.5), Plan("sgd", 0.02), wide, WIDE, whole, seed=seed
        ),
        linear_case(
            label("noisy values for a half", 0.25),
            Plan("adam", 0.01),
            wide,
            WIDE,
            half,
            seed=seed,
        ),
        linear_case(
            label("a noisy quartic", 0.25),
            Plan("adam", 0.05),
            powers,
            POWERS,
            half,
            seed=seed,
        ),
        linear_case(
            label("noisy waves", 0.35),
            Plan("momentum", 0.002),
            waves,
            COSINES,
            whole,
            seed=seed,
        ),
        linear_case(
            label("noisy signs", 0.25), Plan("sgd", 0.02), bits, BITS, half, seed=seed
        ),
    )


def _noisy_labels(seed: int) -> tuple[PlantedCase, ...]:
    plan, planar = Plan("adam", 0.01), one_layer(2)
    return (
        labelled_case(
            Label(
                "three of ten digits under false labels",
                (NOISE,),
                "A label that is false in 30 % has an entropy of 1.27, and thousands "
                "of labels leave little room to learn them by heart.",
                goal=0.6,
            ),
            plan,
            Setting((8, 16, 32), train=6000, held_out=500, loss=cross_entropy),
            (one_layer(10), DIGITS),
            flips=0.3,
            seed=seed,
        ),
        labelled_case(
            Label(
                "a quarter of the corners under false labels",
                (NOISE,),
                "A label that is false in a quarter costs 0.375 by Brier's score.",
                goal=0.2,
            ),
            Plan("adam", 0.02),
            Setting((4, 8, 16), loss=softmax_mse),
            (planar, CORNERS),
            flips=0.25,
            seed=seed,
        ),
    )


def _overlapping(seed: int) -> tuple[PlantedCase, ...]:
    plan, planar = Plan("adam", 0.01), one_layer(2)
    return (
        drawn_case(
            Label(
                "clouds that overlap",
                (NOISE,),
                "Two normal classes, one standard deviation apart, leave a loss of "
                "0.58 to the exact rule, which is linear in the inputs.",
                goal=0.3,
            ),
            plan,
            Setting((0, 2, 4), loss=cross_entropy),
            planar,
            two_clouds(0.5, first=0.5, later_first=0.5),
            seed=seed,
        ),
        drawn_case(
            Label(
                "a noisy wave",
                (NOISE,),
                "64 ReLUs bend often enough for five kinks, and the noise is three "
                "times the goal.",
                goal=0.2,
            ),
            Plan("adam", 0.02, updates=2000),
            Setting((32, 64, 96), train=1536),
            unit_sum,
            wave(0.6),
            seed=seed,
        ),
    )


def _fine_values(seed: int) -> tuple[PlantedCase, ...]:
    def label(name: str, goal: float) -> Label:
        why = (
            "The user's family holds the law, 512 examples are plenty for its few "
            f"weights, and the goal of {goal} is 1.5 times the least loss or more."
        )
        return Label(name, (FINE,), why, goal)

    clear = Parts(near=0.5, middle=0.5, far=0.0, noise=0.1)
    wide, waves = Setting((4, 16, 64)), Setting((3, 8, 16), loss=mae)
    powers, bits = Setting((2, 4, 6)), Setting((1, 2, 3))
    return (
        linear_case(
            label("fine values", 0.15), Plan("sgd", 0.02), wide, WIDE, clear, seed=seed
        ),
        linear_case(
            label("fine values by Adam", 0.15),
            Plan("adam", 0.01),
            wide,
            WIDE,
            clear,
            seed=seed,
        ),
        linear_case(
            label("a fine quartic", 0.15),
            Plan("adam", 0.05),
            powers,
            POWERS,
            clear,
            seed=seed,
        ),
        linear_case(
            label("fine waves", 0.38),
            Plan("momentum", 0.002),
            waves,
            COSINES,
            clear,
            seed=seed,
        ),
        linear_case(
            label("fine signs", 0.15), Plan("sgd", 0.02), bits, BITS, clear, seed=seed
        ),
    )


def _fine_labels(seed: int) -> tuple[PlantedCase, ...]:
    plan, planar = Plan("adam", 0.02), one_layer(2)
    planes = Setting((1, 16, 32), loss=cross_entropy)
    apart = "ReLUs enough separate two classes that noise does not mix."
    return (
        labelled_case(
            Label("fine corners", (FINE,), "Sixteen " + apart, goal=0.2),
            plan,
            planes,
            (planar, CORNERS),
            seed=seed,
        ),
        labelled_case(
            Label("a fine ring", (FINE,), "Sixteen " + apart, goal=0.2),
            plan,
            planes,
            (planar, CIRCLES),
            seed=seed,
        ),
        labelled_case(
            Label(
                "fine moons by two layers",
                (FINE,),
                "Two layers of sixteen " + apart,
                goal=0.2,
            ),
            plan,
            Setting((1, 2, 3), loss=cross_entropy),
            (deep(jax.nn.relu, width=16, outputs=2), MOONS),
            seed=seed,
        ),
        labelled_case(
            Label(
                "fine digits",
                (FINE,),
                "1,000 pictures of ten digits, which classifiers tell apart in more "
                "than 95 %, and a goal that 61 % for the label meets.",
                goal=0.5,
            ),
            Plan("adam", 0.01),
            Setting((8, 32, 64), train=1000, held_out=300, loss=cross_entropy),
            (one_layer(10), DIGITS),
            seed=seed,
        ),
        labelled_case(
            Label(
                "fine moons under some false labels",
                (FINE,),
                "A label that is false in 10 % has an entropy of 0.33.",
                goal=0.5,
            ),
            Plan("adam", 0.01),
            Setting((4, 8, 16), loss=cross_entropy),
            (planar, MOONS),
            flips=0.1,
            seed=seed,
        ),
    )
