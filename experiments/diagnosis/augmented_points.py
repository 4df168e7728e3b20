"""Does augmentation cure a flexible curve through three points, as more points do?

The course counts augmentation among what cures a curve that goes where it likes between
three points. Here it is a polynomial of degree 9, as in `polynomials`: fitted by least
squares from normal initial weights to three points, with noise of deviation 0.1, of a
parabola of variance 1 whose axis is at 0. The outer points are -1 and 1. Augmented by

- *mirror images* about the axis, which hold of parabolas;
- *mixtures*, 90 of two points each, as in mixup;
- *copies*, 30 of each point, whose x is moved by normal steps of width 0.01 and whose y
  is kept, as pictures are shifted.

The error is the mean square over [-1, 1]; the best constant errs by 1. It is cured if
it falls below a tenth. If augmented points were as good as new ones it would, for the
control, 90 new points of the same curve, must cure it. Whether augmentation helps at
all stands beside: less than nine tenths of the error is left.

The claim is contradicted where an augmentation fails; so there are three of different
kinds. Placed by 200 units of another seed: mirror images left an error of 7, mixtures
of 1.4, copies of 0.35. The width was one of fifteen, of which the smaller ones gave the
same and the wider ones more; the figure shows six. Not tested: augmentation of
pictures (C037), and other restrictions beside it.

Claims: C033.
Sources: Zhang et al. 2018, arXiv:1710.09412 (mixtures).
Cost: seconds on 2 cores.
Expect: all three lower the error, and none cures it.
Run: jaxml run augmented_points
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, band, label, legend_below, panels, strips
from jaxml.types import Keep

DEGREE = 9
COUNT = 3  # points that are seen
NOISE = 0.1
COPIES = 30  # of each point
WIDTHS = np.array([0.001, 0.003, 0.01, 0.03, 0.1, 0.3])  # of the copies' steps
DECIDES = 2  # the place of the width that decides
GRID = np.linspace(-1, 1, 201)  # over which errors are means
CURED = record.below(
    0.1, margin=0.05, reason="a twentieth of a curve's variance is hardly seen"
)
LESS = record.below(1.0, margin=0.1, reason="a tenth of the error")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Parabolas."""

    units: int = 200
    seed: int = 0


SMOKE = Config(units=4)


class Result(NamedTuple):
    """Mean squared errors over [-1, 1], in variances of the curve.

    Attributes:
        plain: from three points.
        new: with 90 new points.
        mirrored: with mirror images.
        mixed: with mixtures.
        copied: with copies, by width.
    """

    plain: Float[np.ndarray, " unit"]
    new: Float[np.ndarray, " unit"]
    mirrored: Float[np.ndarray, " unit"]
    mixed: Float[np.ndarray, " unit"]
    copied: Float[np.ndarray, "width unit"]


class Points(NamedTuple):
    """Where a curve was seen, or is said to have been."""

    x: Float[np.ndarray, " point"]
    y: Float[np.ndarray, " point"]


def study(config: Config, keep: Keep) -> Result:
    """Pseudo-inverses of at most 93 rows and 10 columns."""
    del keep  # all of it takes seconds
    units = [_unit(seed) for seed in randomness.seeds(config.seed, config.units)]
    plain, new, mirrored, mixed, *copied = np.array(units).T
    return Result(plain, new, mirrored, mixed, np.stack(copied))


def _unit(seed: int) -> list[float]:
    """Errors in the order of a Result."""
    random = np.random.default_rng(seed)
    parabola = np.array([random.normal(), 0.0, random.choice([-1.0, 1.0])])
    start = random.normal(size=DEGREE + 1)
    many = COPIES * COUNT
    seen = _seen(random, parabola, np.array([-1, random.uniform(-0.25, 0.25), 1]))
    new = _seen(random, parabola, random.uniform(-1, 1, many))
    mirrored = Points(-seen.x, seen.y)
    steps = random.normal(size=many)
    copied = [_copied(seen, width * steps) for width in WIDTHS]
    curve = _features(GRID)[:, :3] @ parabola
    errors = []
    none = Points(np.empty(0), np.empty(0))
    for more in (none, new, mirrored, _mixed(random, seen, many), *copied):
        x, y = (np.concatenate(pair) for pair in zip(seen, more, strict=True))
        weights = problem.nearest_solution(_features(x), y, start)
        errors.append(float(np.mean((_features(GRID) @ weights - curve) ** 2)))
    return errors


def _features(x: Float[np.ndarray, " point"]) -> Float[np.ndarray, "point feature"]:
    return problem.legendre_features(x, DEGREE)


def _seen(
    random: np.random.Generator, parabola: np.ndarray, x: Float[np.ndarray, " point"]
) -> Points:
    noise = NOISE * random.normal(size=len(x))
    return Points(x, problem.legendre_features(x, 2) @ parabola + noise)


def _mixed(random: np.random.Generator, seen: Points, count: int) -> Points:
    """Points on the lines between two of those that were seen."""
    fraction = random.uniform(size=count)
    first, second = random.integers(len(seen.x), size=(2, count))
    x, y = (fraction * each[first] + (1 - fraction) * each[second] for each in seen)
    return Points(x, y)


def _copied(seen: Points, steps: Float[np.ndarray, " copy"]) -> Points:
    """Each point again and again, moved along x and not beyond the ends."""
    x = np.repeat(seen.x, COPIES) + steps
    return Points(np.clip(x, -1, 1), np.repeat(seen.y, COPIES))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Whether each augmentation cures, and whether it helps; the control."""
    many = COPIES * COUNT
    augmented = {
        "mirror images about the axis": result.mirrored,
        f"{many} mixtures of two points": result.mixed,
        f"{COPIES} copies of each, moved by 0.01": result.copied[DECIDES],
    }
    cured = "The fit errs between its points by less than a tenth of the variance."
    helped = "The fit errs less with the points that are made up than without them."
    deciding = partial(record.deciding, "C033", unit="squared error")
    supporting = partial(record.supporting, "C033")
    control = record.bootstrap(np.mean, result.new)
    name = _setting(f"{many} new points")
    found = [supporting(cured, control, CURED, unit="squared error", setting=name)]
    for name, errors in augmented.items():
        setting = _setting(name)
        error = record.bootstrap(np.mean, errors)
        left = record.paired(errors, result.plain, record.ratio_of_means)
        found += [
            deciding(cured, error, CURED, setting=setting),
            supporting(helped, left, LESS, unit="ratio", setting=setting),
        ]
    return tuple(found)


def _setting(name: str) -> str:
    return (
        f"polynomial of degree {DEGREE}, least squares nearest to random initial "
        f"weights, {COUNT} points of a parabola with noise of a tenth of its "
        f"deviation, with {name}"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Errors by augmentation, a point a unit, and those of copies by their width."""
    figure, (all_kinds, widths) = panels(1, 2, width=5.4, height=4.0)
    kinds = {
        "none": result.plain,
        "mirror images": result.mirrored,
        "mixtures": result.mixed,
        "copies": result.copied[DECIDES],
        "new points": result.new,
    }
    strips(all_kinds, kinds)
    label(all_kinds, "Degree 9, 3 points and", "by", "mean square (variances)")
    band(widths, WIDTHS, result.copied, "moved copies, tenths of the units 1 to 9")
    widths.set_xscale("log")
    label(widths, "Copies by width", "width of the steps", "mean square (variances)")
    for axis in (all_kinds, widths):
        _thresholds(axis)
    return {"augmented": figure}


def _thresholds(axis: Axes) -> None:
    """What the best constant errs by, and what counts as cured."""
    axis.axhline(1.0, color="0.4", linestyle=":", label="best constant", marker="")
    axis.axhline(0.1, color="0.4", linestyle="--", label="cured", marker="")
    axis.set_yscale("log")
    legend_below(axis)
