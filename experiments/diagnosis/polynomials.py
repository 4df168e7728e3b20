"""What does a flexible curve do between three points, and what cures it?

The course draws three points of a parabola, a flexible curve that runs through them and
goes where it likes between, and four changes: more points, augmented points, a
restriction to parabolas, and one to straight lines. Here flexible is a polynomial of
degree 9. Gradient descent on its squared error ends at the solution nearest to the
initial weights, w = w0 + X⁺(y - X w0); it is computed, not run. The weights are of
Legendre polynomials of mean square 1, and w0 is normal of deviation 1, the size of the
parabola's own. Beside it stand the fits from w0 = 0, which have the least weights.

Parabolas vary over [-1, 1] with variance 1 and have their axis at 0; points lie at
equal distances, each inner one moved by at most a quarter of one, so that all of [-1,
1] lies between points, and have noise of deviation 0.1. Errors are mean squares over
[-1, 1]. The best constant errs by 1, so the fit of three points is

- *arbitrary* if fits from two initial weights differ by more than that;
- *bad* if it errs by more than that;
- *cured* by what makes the error less than a tenth.

Augmentations: mirror images about the axis, which hold of parabolas; 30 copies of each
point moved by normal steps of width 0.01, for smaller ones gave the same and wider ones
erred more; 90 mixtures of two points each, as in mixup. If points that are made up
cured as new ones do, they would bring the error below a tenth too. Controls: parabolas
through three points cannot be arbitrary, for there is but one. That lines err by 1 or
more is algebra, parabolas here being orthogonal to lines; so it supports and decides
nothing.

Placed by 200 units of another seed: degree 9 erred by 8, with mirror images by 7, with
copies by 0.4. Not tested: networks, augmentation of pictures (C037).

Claims: C033.
Sources: Zhang et al. 2018, arXiv:1710.09412 (mixtures).
Cost: seconds on 2 cores.
Expect: more points and parabolas cure it; augmentation lowers the error, and cures
    nothing.
Run: jaxml run polynomials
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import randomness, record
from jaxml.record import Assertion, Interval
from jaxml.record.figures import Axes, Figure, band, label, legend_below, panels, strips
from jaxml.types import Keep

DEGREES = np.arange(1, 10)
COUNTS = (3, 5, 10, 100)  # of points
THREE, TEN, HUNDRED = 0, 2, 3  # places in COUNTS
LINE, PARABOLA, FLEXIBLE = 0, 1, 8  # places in DEGREES
NOISE = 0.1
COPIES = 30  # of each point
WIDTHS = np.array([0.001, 0.003, 0.01, 0.03, 0.1, 0.3])  # of the copies' steps
DECIDES = 2  # the place of a width that decides
GRID = np.linspace(-1, 1, 201)  # over which errors are means
VARIES = record.above(1.0, margin=0.1, reason="a tenth of the curve's variance")
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
    """Mean squares over [-1, 1], in variances of the curve.

    Attributes:
        errors: of fits from random weights.
        apart: between them and fits from other random weights.
        smallest: errors of fits from weights of 0.
        training: errors on the points, of the first fits.
        mirrored: errors of degree 9 from 3 points and their mirror images.
        mixed: the same, with mixtures.
        copied: the same, with copies.
        drawn: of the first unit the curve, then fits of degree 9 to 3 points from
            two initial weights.
    """

    errors: Float[np.ndarray, "count degree unit"]
    apart: Float[np.ndarray, "count degree unit"]
    smallest: Float[np.ndarray, "count degree unit"]
    training: Float[np.ndarray, "count degree unit"]
    mirrored: Float[np.ndarray, " unit"]
    mixed: Float[np.ndarray, " unit"]
    copied: Float[np.ndarray, "width unit"]
    drawn: Float[np.ndarray, "curve point"]


class Points(NamedTuple):
    """Where a curve was seen."""

    x: Float[np.ndarray, " point"]
    y: Float[np.ndarray, " point"]


class Unit(NamedTuple):
    """One parabola's part of a Result."""

    fits: Float[np.ndarray, "quantity count degree"]
    made_up: Float[np.ndarray, " augmentation"]
    drawn: Float[np.ndarray, "curve point"]


def study(config: Config, keep: Keep) -> Result:
    """Pseudo-inverses of at most 100 rows and 10 columns."""
    del keep  # all of it takes seconds
    units = [_unit(seed) for seed in randomness.seeds(config.seed, config.units)]
    errors, apart, smallest, training = np.stack([each.fits for each in units], axis=-1)
    made_up = np.stack([each.made_up for each in units], axis=-1)
    mirrored, mixed, *copied = made_up
    return Result(
        errors=errors,
        apart=apart,
        smallest=smallest,
        training=training,
        mirrored=mirrored,
        mixed=mixed,
        copied=np.stack(copied),
        drawn=units[0].drawn,
    )


def _unit(seed: int) -> Unit:
    random = np.random.default_rng(seed)
    parabola = np.array([random.normal(), 0.0, random.choice([-1.0, 1.0])])
    fits = np.empty((4, len(COUNTS), len(DEGREES)))
    starts = random.normal(size=(2, FLEXIBLE + 2))
    seen = [_seen(random, parabola, count) for count in COUNTS]
    for place, points in enumerate(seen):
        for degree in DEGREES:
            column = place, degree - 1
            fits[:, *column] = _compared(parabola, points, starts[:, : degree + 1])
    curves = (parabola, *(_fitted(seen[THREE], start) for start in starts))
    return Unit(
        fits=fits,
        made_up=_made_up(random, parabola, seen[THREE], starts[0]),
        drawn=np.stack([_values(GRID, weights) for weights in curves]),
    )


def _values(
    x: Float[np.ndarray, " point"], weights: Float[np.ndarray, " weight"]
) -> Float[np.ndarray, " point"]:
    return _features(x, len(weights)) @ weights


def _features(
    x: Float[np.ndarray, " point"], count: int
) -> Float[np.ndarray, "point feature"]:
    """Legendre polynomials of mean square 1 over [-1, 1]."""
    degrees = np.arange(count)
    return np.polynomial.legendre.legvander(x, count - 1) * np.sqrt(2 * degrees + 1)


def _seen(random: np.random.Generator, parabola: np.ndarray, count: int) -> Points:
    """Points at nearly equal distances, the ends among them, with noise."""
    step = 2 / (count - 1)
    x = -1 + step * np.arange(count)
    x[1:-1] += step * random.uniform(-0.25, 0.25, count - 2)
    return Points(x, _values(x, parabola) + NOISE * random.normal(size=count))


def _fitted(points: Points, start: np.ndarray) -> Float[np.ndarray, " weight"]:
    """The least squares solution nearest to a start."""
    features = _features(points.x, len(start))
    missing = points.y - features @ start
    return start + np.linalg.pinv(features) @ missing


def _error(parabola: np.ndarray, weights: np.ndarray) -> float:
    return _distance(_values(GRID, parabola), _values(GRID, weights))


def _distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The mean square of the difference."""
    return float(np.mean((ours - theirs) ** 2))


def _compared(
    parabola: np.ndarray, points: Points, starts: np.ndarray
) -> Float[np.ndarray, " quantity"]:
    """A fit's error, its distance from another, the error of the smallest, and that on
    the points.
    """
    first, second = (_fitted(points, start) for start in starts)
    smallest = _fitted(points, np.zeros(len(first)))
    return np.array(
        [
            _error(parabola, first),
            _error(first, second),
            _error(parabola, smallest),
            _distance(points.y, _values(points.x, first)),
        ]
    )


def _made_up(
    random: np.random.Generator, parabola: np.ndarray, points: Points, start: np.ndarray
) -> Float[np.ndarray, " augmentation"]:
    """Errors from the points with mirror images, with mixtures, and with copies of each
    of WIDTHS.
    """
    x, y = points
    mirrored = Points(np.concatenate([x, -x]), np.concatenate([y, y]))
    fraction = random.uniform(size=COPIES * len(x))
    first, second = random.integers(len(x), size=(2, len(fraction)))
    mixtures = [
        np.concatenate([each, fraction * each[first] + (1 - fraction) * each[second]])
        for each in points
    ]
    augmented = [mirrored, Points(*mixtures)]
    steps = random.normal(size=COPIES * len(x))
    for width in WIDTHS:
        moved = np.clip(np.repeat(x, COPIES) + width * steps, -1, 1)
        copies = Points(moved, np.repeat(y, COPIES))
        augmented.append(Points(*map(np.concatenate, zip(points, copies, strict=True))))
    return np.array([_error(parabola, _fitted(each, start)) for each in augmented])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Arbitrary, bad, and cured by what."""
    return (*_arbitrary(result), *_cures(result), *_made_up_points(result))


def _setting(degree: int, count: int, start: str = "random initial weights") -> str:
    return (
        f"polynomial of degree {degree}, {count} points of a parabola with noise of a "
        f"tenth of its deviation, least squares nearest to {start}"
    )


def _mean(values: Float[np.ndarray, " unit"]) -> Interval:
    return record.bootstrap(np.mean, values)


def _arbitrary(result: Result) -> list[Assertion]:
    """Two fits of three points, and the error of each; the control."""
    deciding = partial(record.deciding, "C033", unit="squared error")
    supporting = partial(record.supporting, "C033", unit="squared error")
    flexible, control = _setting(9, 3), _setting(2, 3)
    apart = (
        "Fits of the same points from two initial weights differ between the points by "
        "more than the curve's variance."
    )
    bad = "The fit errs between its points by more than the best constant would."
    return [
        deciding(apart, _mean(result.apart[THREE, FLEXIBLE]), VARIES, setting=flexible),
        deciding(bad, _mean(result.errors[THREE, FLEXIBLE]), VARIES, setting=flexible),
        supporting(
            bad,
            _mean(result.smallest[THREE, FLEXIBLE]),
            VARIES,
            setting=_setting(9, 3, "0"),
        ),
        supporting(
            f"Control: {apart}",
            _mean(result.apart[THREE, PARABOLA]),
            VARIES,
            setting=control,
        ),
        supporting(
            "A line errs between its points by more than nine tenths of the curve's "
            "variance, that of the best constant being 1.",
            _mean(result.errors[THREE, LINE]),
            record.above(0.9),
            setting=_setting(1, 3),
        ),
        supporting(
            "A line errs on its own training points by more than a tenth of the "
            "curve's variance, as model bias does.",
            _mean(result.training[HUNDRED, LINE]),
            record.above(0.1),
            setting=_setting(1, 100),
        ),
    ]


def _cures(result: Result) -> list[Assertion]:
    """More points, and a restriction to parabolas."""
    finding = partial(record.deciding, "C033", unit="squared error", rule=CURED)
    beside = partial(record.supporting, "C033", unit="squared error", rule=CURED)
    error = "The fit errs between its points by less than a tenth of the variance."
    errors = result.errors
    return [
        finding(error, _mean(errors[HUNDRED, FLEXIBLE]), setting=_setting(9, 100)),
        finding(error, _mean(errors[THREE, PARABOLA]), setting=_setting(2, 3)),
        beside(error, _mean(errors[TEN, FLEXIBLE]), setting=_setting(9, 10)),
        beside(error, _mean(errors[THREE, FLEXIBLE]), setting=_setting(9, 3)),
        beside(error, _mean(errors[THREE, LINE]), setting=_setting(1, 3)),
    ]


def _made_up_points(result: Result) -> list[Assertion]:
    """Whether augmentation cures, or at least helps."""
    plain = result.errors[THREE, FLEXIBLE]
    named = {
        "mirror images about the axis": result.mirrored,
        f"{COPIES * COUNTS[THREE]} mixtures of two points": result.mixed,
        f"{COPIES} copies of each, moved by 0.01": result.copied[DECIDES],
    }
    found: list[Assertion] = []
    for name, values in named.items():
        setting = f"{_setting(9, 3)}, with {name}"
        found += [
            record.deciding(
                "C033",
                "The fit errs between its points by less than a tenth of the variance.",
                _mean(values),
                CURED,
                unit="squared error",
                setting=setting,
                figure="made_up",
            ),
            record.supporting(
                "C033",
                "The fit errs less with the points that are made up than without them.",
                record.paired(values, plain, record.ratio_of_means),
                LESS,
                unit="ratio",
                setting=setting,
                figure="made_up",
            ),
        ]
    return found


def figures(result: Result) -> dict[str, Figure]:
    """Errors by degree and number of points; those with points that are made up."""
    figure, (pictured, by_degree) = panels(1, 2, width=5.0, height=4.0)
    curve, *fits = result.drawn
    pictured.plot(GRID, curve, marker="", label="the curve")
    for number, fit in enumerate(fits, start=1):
        pictured.plot(GRID, fit, marker="", label=f"degree 9, start {number}")
    label(pictured, "Two fits of one unit's 3 points", "x", "y")
    for count, errors in zip(COUNTS, result.errors, strict=True):
        band(by_degree, DEGREES, errors, f"{count} points")
    _thresholds(by_degree)
    label(by_degree, "Error between points", "degree", "mean square (variances)")
    for axis in (pictured, by_degree):
        legend_below(axis)
    return {"polynomials": figure, "made_up": _made_up_figure(result)}


def _made_up_figure(result: Result) -> Figure:
    figure, (all_kinds, widths) = panels(1, 2, width=5.0, height=4.0)
    kinds = {
        "none": result.errors[THREE, FLEXIBLE],
        "mirror images": result.mirrored,
        "mixtures": result.mixed,
        "copies": result.copied[DECIDES],
        "100 points": result.errors[HUNDRED, FLEXIBLE],
    }
    strips(all_kinds, kinds)
    label(
        all_kinds, "Degree 9 and 3 points, augmented", "by", "mean square (variances)"
    )
    band(widths, WIDTHS, result.copied, "moved copies, tenths of the units 1 to 9")
    widths.set_xscale("log")
    label(widths, "Copies by width", "width of the steps", "mean square (variances)")
    for axis in (all_kinds, widths):
        _thresholds(axis)
        legend_below(axis)
    return figure


def _thresholds(axis: Axes) -> None:
    """What the best constant errs by, and what counts as cured."""
    axis.axhline(1.0, color="0.4", linestyle=":", label="best constant", marker="")
    axis.axhline(CURED.threshold, color="0.4", linestyle="--", label="cured", marker="")
    axis.set_yscale("log")
