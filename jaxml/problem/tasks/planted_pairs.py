"""Planted cases of two causes, the larger first: mending either alone leaves the loss
above the goal.
"""

from functools import partial

from jaxml.problem.losses import cross_entropy
from jaxml.problem.tasks.planted_labels import DIGITS, labelled_case
from jaxml.problem.tasks.planted_mismatch import raised, renumbered
from jaxml.problem.tasks.planted_parts import (
    BIAS,
    MISMATCH,
    NOISE,
    OPTIMIZATION,
    OVERFITTING,
    Label,
    Parts,
    Plan,
    PlantedCase,
    Setting,
    linear_case,
)
from jaxml.problem.tasks.planted_spaces import (
    COSINES,
    POWERS,
    WIDE,
    one_layer,
)

__all__ = ["paired_cases"]

FEW = (4, 32, 64)


def paired_cases(seed: int) -> tuple[PlantedCase, ...]:
    """Every case of two causes."""
    return (
        *_with_bias(seed),
        *_with_bias_later(seed),
        *_with_overfitting(seed),
        *_with_few_examples(seed),
        *_with_optimization(seed),
        *_with_mismatch(seed),
        *_with_flips(seed),
    )


def _with_bias(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "inputs left out of noisy values",
                (BIAS, NOISE),
                "Inputs that are not seen cost 1, and the noise of 0.4 is 0.3 above "
                "the goal.",
                goal=0.1,
            ),
            Plan("sgd", 0.02),
            Setting((4, 16, 64)),
            WIDE,
            Parts(near=0.5, middle=0.5, far=1.0, noise=0.4),
            seed=seed,
        ),
        linear_case(
            Label(
                "noise, and a parabola for a quartic",
                (NOISE, BIAS),
                "The noise of 1 is 0.8 above the goal, and terms of degree 3 and 4 "
                "cost 0.4.",
                goal=0.2,
            ),
            Plan("adam", 0.05),
            Setting((1, 2, 4)),
            POWERS,
            Parts(near=0.5, middle=0.3, far=0.4, noise=1.0),
            seed=seed,
        ),
    )


def _with_bias_later(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "slow waves for fast ones, and a level raised",
                (BIAS, MISMATCH),
                "Faster cosines cost 1, and a level that is later "
                "higher by 0.8 costs 0.64.",
                goal=0.1,
            ),
            Plan("momentum", 0.005),
            Setting((3, 8, 16)),
            COSINES,
            Parts(near=0.5, middle=0.3, far=1.0, noise=0.05),
            shift=partial(raised, level=0.8),
            seed=seed,
        ),
        linear_case(
            Label(
                "inputs left out, and few examples",
                (BIAS, OVERFITTING),
                "Inputs that are not seen cost 1; with the noise of 0.5 they are noise "
                "of 1.5 to 33 weights on 96 examples, which add 53 % of it, or of the "
                "noise alone.",
                goal=0.65,
            ),
            Plan("sgd", 0.02),
            Setting(FEW, train=96),
            WIDE,
            Parts(near=0.5, middle=0.0, far=1.0, noise=0.5),
            seed=seed,
        ),
    )


def _with_overfitting(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "few examples, and inputs left out",
                (OVERFITTING, BIAS),
                "Inputs that are not seen cost 1; with the noise of 0.5 they are noise "
                "of 1.5 to 33 weights on 48 examples, which add 2.4 times as much.",
                goal=0.65,
            ),
            Plan("adam", 0.02),
            Setting(FEW, train=48),
            WIDE,
            Parts(near=0.5, middle=0.0, far=1.0, noise=0.5),
            seed=seed,
        ),
        linear_case(
            Label(
                "few examples of noisy values",
                (OVERFITTING, NOISE),
                "33 weights on 40 examples add 5.5 times the noise of 1, which is 0.5 "
                "above the goal.",
                goal=0.5,
            ),
            Plan("momentum", 0.02, batch=20),
            Setting(FEW, train=40),
            WIDE,
            Parts(near=1.0, middle=0.0, far=0.0, noise=1.0),
            seed=seed,
        ),
    )


def _with_few_examples(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "noisy values, of which there are few",
                (NOISE, OVERFITTING),
                "The noise of 1 is 0.8 above the goal, and 33 weights on 96 examples "
                "add 53 % of it.",
                goal=0.2,
            ),
            Plan("sgd", 0.02),
            Setting(FEW, train=96),
            WIDE,
            Parts(near=1.0, middle=0.0, far=0.0, noise=1.0),
            seed=seed,
        ),
        linear_case(
            Label(
                "few examples, and a level raised",
                (OVERFITTING, MISMATCH),
                "33 weights on 40 examples add 5.5 times the noise of 0.5, and a level "
                "that is later higher by 1.2 adds 1.44.",
                goal=0.75,
            ),
            Plan("momentum", 0.02, batch=20),
            Setting(FEW, train=40),
            WIDE,
            Parts(near=1.0, middle=0.0, far=0.0, noise=0.5),
            shift=partial(raised, level=1.2),
            seed=seed,
        ),
    )


def _with_optimization(seed: int) -> tuple[PlantedCase, ...]:
    slow, setting = Plan("sgd", 1e-5), Setting((4, 16, 64))
    return (
        linear_case(
            Label(
                "a rate too small for noisy values",
                (OPTIMIZATION, NOISE),
                "98 % of the error of every weight is left, which costs 1 and more, "
                "and the noise of 0.4 is 0.3 above the goal.",
                goal=0.1,
            ),
            slow,
            setting,
            WIDE,
            Parts(near=1.0, middle=0.5, far=0.0, noise=0.4),
            seed=seed,
        ),
        linear_case(
            Label(
                "a rate too small, and a level raised",
                (OPTIMIZATION, MISMATCH),
                "98 % of the error of every weight is left, which costs 1.5 and more, "
                "and a level that is later higher by 0.8 costs 0.64.",
                goal=0.15,
            ),
            slow,
            setting,
            WIDE,
            Parts(near=1.0, middle=0.5, far=0.0, noise=0.1),
            shift=partial(raised, level=0.8),
            seed=seed,
        ),
        linear_case(
            Label(
                "a rate too small, and inputs left out",
                (OPTIMIZATION, BIAS),
                "98 % of the error of every weight is left, which costs 1.5 and more, "
                "and inputs that are not seen cost 0.5.",
                goal=0.15,
            ),
            slow,
            setting,
            WIDE,
            Parts(near=1.0, middle=0.5, far=0.5, noise=0.1),
            seed=seed,
        ),
    )


def _with_mismatch(seed: int) -> tuple[PlantedCase, ...]:
    return (
        linear_case(
            Label(
                "a level raised, and inputs left out",
                (MISMATCH, BIAS),
                "A level that is later higher by 1.5 costs 2.25, and inputs that are "
                "not seen cost 0.5.",
                goal=0.15,
            ),
            Plan("adam", 0.01),
            Setting((4, 16, 64)),
            WIDE,
            Parts(near=0.5, middle=0.5, far=0.5, noise=0.1),
            shift=partial(raised, level=1.5),
            seed=seed,
        ),
        linear_case(
            Label(
                "a level raised, and noise",
                (MISMATCH, NOISE),
                "A level that is later higher by 1.5 costs 2.25, and the noise of 1 is "
                "0.5 above the goal.",
                goal=0.5,
            ),
            Plan("momentum", 0.002),
            Setting((3, 8, 16)),
            COSINES,
            Parts(near=0.5, middle=0.5, far=0.0, noise=1.0),
            shift=partial(raised, level=1.5),
            seed=seed,
        ),
        linear_case(
            Label(
                "a level raised, and few examples",
                (MISMATCH, OVERFITTING),
                "A level that is later higher by 2 costs 4, and 33 weights on 48 "
                "examples add 2.4 times the noise of 0.5.",
                goal=0.75,
            ),
            Plan("adam", 0.02),
            Setting(FEW, train=48),
            WIDE,
            Parts(near=1.0, middle=0.0, far=0.0, noise=0.5),
            shift=partial(raised, level=2.0),
            seed=seed,
        ),
    )


def _with_flips(seed: int) -> tuple[PlantedCase, ...]:
    return (
        labelled_case(
            Label(
                "renumbered digits under false labels",
                (MISMATCH, NOISE),
                "Later each digit goes by the number after it, which costs 2 to who "
                "knows how many labels are false, and their entropy of 1.27 is above "
                "the goal.",
                goal=0.6,
            ),
            Plan("adam", 0.01),
            Setting((8, 16, 32), train=6000, held_out=500, loss=cross_entropy),
            (one_layer(10), DIGITS),
            flips=0.3,
            change=renumbered,
            seed=seed,
        ),
    )
