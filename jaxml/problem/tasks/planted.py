"""Trainings whose trouble is known: cases by which a diagnosis is scored.

A cause is true by construction, by what would have to be mended. It costs a part of the
later loss that its mending alone removes; of a case with one cause this is enough for
the goal, and of a case with two the goal takes both. The parts: what no model can say
(the noise, where the goal lies below it), what the user's family cannot say (model
bias), what training does not find in it (optimization), what few examples or false
labels add (overfitting), and what a later test of another distribution adds (mismatch).
"""

from jaxml.problem.tasks.planted_bias import bias_cases
from jaxml.problem.tasks.planted_mismatch import mismatch_cases
from jaxml.problem.tasks.planted_optimization import optimization_cases
from jaxml.problem.tasks.planted_overfitting import overfitting_cases
from jaxml.problem.tasks.planted_pairs import paired_cases
from jaxml.problem.tasks.planted_parts import PlantedCase
from jaxml.problem.tasks.planted_settled import fine_cases, noise_cases

__all__ = ["planted_cases"]


def planted_cases(seed: int) -> tuple[PlantedCase, ...]:
    """Cases of each cause alone, of two causes, and fine ones, all drawn anew by seed.

    Names, causes, sizes, plans and goals are the same for every seed.

    Args:
        seed: of the examples, the weights of their laws, and the false labels; not
            negative.
    """
    return (
        *bias_cases(seed),
        *optimization_cases(seed),
        *overfitting_cases(seed),
        *mismatch_cases(seed),
        *noise_cases(seed),
        *fine_cases(seed),
        *paired_cases(seed),
    )
