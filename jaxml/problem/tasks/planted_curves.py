"""Laws of planted cases that no list of orthonormal features spans."""

import numpy as np

from jaxml.problem.data.examples import examples
from jaxml.problem.tasks.planted_parts import Drawn
from jaxml.types import Batch

__all__ = ["folded", "shortcut", "two_clouds", "wave"]

SPAN = 3.0  # kinks at -2, -1, 0, 1, 2: six straight pieces


def wave(noise: float) -> Drawn:
    """A triangle wave between -1 and 1 on [-3, 3], of six straight pieces, and normal
    noise of this variance.
    """

    def own(random: np.random.Generator, count: int) -> Batch:
        x = random.uniform(-SPAN, SPAN, size=(count, 1))
        return _answered(random, x, triangle(x), noise)

    return Drawn(own, own, noise)


def triangle(x: np.ndarray) -> np.ndarray:
    """1 at even numbers, -1 at odd ones, straight between."""
    return 2 * np.abs((x % 2) - 1) - 1


def folded(noise: float) -> Drawn:
    """|x|, of which the user sees [0, 1], where it is a line, and the later test
    [-1, 0], where that line is wrong by 2|x|: 4/3 in mean square.
    """

    def drawn(random: np.random.Generator, count: int, sign: int) -> Batch:
        x = sign * random.uniform(size=(count, 1))
        return _answered(random, x, np.abs(x), noise)

    def own(random: np.random.Generator, count: int) -> Batch:
        return drawn(random, count, 1)

    def later(random: np.random.Generator, count: int) -> Batch:
        return drawn(random, count, -1)

    return Drawn(own, later, noise)


def shortcut(blur: float, noise: float) -> Drawn:
    """A signal seen twice: blurred in the first of eight inputs, and clean in the
    second, which in the later test is drawn anew. The others say nothing.

    With w and 1 - w on both, the user's loss is noise + w² blur, the later one noise +
    w² blur + 2 (1 - w)²; the user's is least at w = 0.
    """

    def drawn(random: np.random.Generator, count: int, clean: bool) -> Batch:
        x = random.standard_normal((count, 8))
        signal = random.standard_normal(count)
        x[:, 0] *= np.sqrt(blur)
        x[:, 0] += signal
        if clean:
            x[:, 1] = signal
        return _answered(random, x, signal[:, None], noise)

    def own(random: np.random.Generator, count: int) -> Batch:
        return drawn(random, count, True)

    def later(random: np.random.Generator, count: int) -> Batch:
        return drawn(random, count, False)

    return Drawn(own, later, noise)


def two_clouds(centre: float, *, first: float, later_first: float) -> Drawn:
    """Two classes, normal about (centre, 0) and (-centre, 0), with these probabilities
    of the first; the log odds are 2 · centre · x₁ + log(first / (1 - first)).
    """

    def of_fraction(fraction: float, random: np.random.Generator, count: int) -> Batch:
        second = random.uniform(size=count) >= fraction
        points = random.standard_normal((count, 2))
        points[:, 0] += np.where(second, -centre, centre)
        labels = second.astype(np.int32)
        return examples(points.astype(np.float32), labels, classes=2)

    def own(random: np.random.Generator, count: int) -> Batch:
        return of_fraction(first, random, count)

    def later(random: np.random.Generator, count: int) -> Batch:
        return of_fraction(later_first, random, count)

    return Drawn(own, later, clouds_loss(centre, first, first))


def clouds_loss(centre: float, believed: float, true: float) -> float:
    """The mean cross-entropy of the exact rule for one fraction of the first class,
    where another is true; by a sum over 8 standard deviations.
    """
    grid = np.linspace(-8, 8, 4001)
    density = np.exp(-np.square(grid) / 2)
    density /= density.sum()
    offset = np.log(believed / (1 - believed))
    odds_of_first = 2 * centre * (grid + centre) + offset
    odds_of_second = 2 * centre * (grid - centre) + offset
    first = density @ np.logaddexp(0, -odds_of_first)
    second = density @ np.logaddexp(0, odds_of_second)
    return float(true * first + (1 - true) * second)


def _answered(
    random: np.random.Generator, x: np.ndarray, values: np.ndarray, noise: float
) -> Batch:
    targets = values + np.sqrt(noise) * random.standard_normal(values.shape)
    return examples(x.astype(np.float32), targets.astype(np.float32))
