"""Do sums of sigmoids come as close as wanted to any continuous function?

The theorem says that weights exist. `problem.sigmoid_stairs` gives them: n steep steps
between n + 1 values of the function, whose error is at most `problem.stairs_bound`,
which falls as 1/n. So for each of four errors, 0.1 to 0.003 of the range, as many
sigmoids are taken as the bound asks for, and the largest error on 2,001 points must be
within it: for hard sigmoids, of which the claim speaks first, for walks of 16 random
steps, joined by lines, and for cusps |x - a|^¾, which are continuous and steeper than
any line. Where f is the power p <= 1 of a function of slope L, two values differ by at
most (L h)^p at a distance of h; that is concave in h, so by Jensen the error of f is at
most the power p of the bound for the other. If sums of sigmoids had a limit, an error
asked for would be missed. The control, a function that jumps, must miss it, since no
continuous sum is nearer than half the jump; it is judged on both sides of the jump as
well. Nothing in the bound hangs on the draws: this is mathematics, and the
largest error of all draws decides.

Between two of the points an error can be larger by half their distance times the two
slopes; the bound, which is proved for all points, is not reached by half. The points of
a function itself, its steepest places among them, are asked as well.

Least squares over 32 sigmoids at random places stands beside as many constructed ones:
only heights are fitted there. Whether training finds such weights is another question:
`learned_sums` asks it. Not tested: several inputs.

Claims: C018.
Sources: Cybenko 1989, Mathematics of Control, Signals and Systems 2; Hornik 1991.
Cost: 8 seconds on 2 cores, compilation included.
Expect: every error is met by continuous functions, and none by a jump.
Run: jaxml run sigmoid_sums
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from scipy import special

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, legend_below, panels
from jaxml.types import Keep, Params

ASKED = np.array([0.1, 0.03, 0.01, 0.003])  # errors, over the range of 1
ASKED_OF_A_JUMP = 4  # sigmoids times the error asked for, of a slope of about 3
STEPS = 16  # of a walk
UNITS, SLOPE = 32, 0.3  # random sigmoids; their slope over their number
KINDS = ("hard sigmoids", "walks of 16 steps", "cusps |x - a|^¾", "jumps")
HARD, WALK, CUSP, JUMP = range(len(KINDS))
POWER = 0.75  # of a cusp
GRID = np.linspace(-1, 1, 2001)
WITHIN = record.at_most(1.0)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws of each kind."""

    draws: int = 10
    seed: int = 0


SMOKE = Config(draws=2)


class Result(NamedTuple):
    """Of KINDS.

    Attributes:
        within: largest errors over those ASKED.
        counts: sigmoids that the bound asks for.
        features: log ratios of least squares over random places to constructed.
        picture: x, a walk, and its sums for the first two errors.
    """

    within: Float[np.ndarray, "kind draw asked"]
    counts: Int[np.ndarray, "kind draw asked"]
    features: Float[np.ndarray, "kind draw"]
    picture: Float[np.ndarray, "row place"]


class Curve(NamedTuple):
    """A power of lines through points, on [-1, 1] and with the range [0, 1]."""

    knots: np.ndarray
    values: np.ndarray
    power: float = 1.0

    def at(self, x: np.ndarray) -> np.ndarray:
        """Its values."""
        return np.interp(x, self.knots, self.values) ** self.power


def study(config: Config, keep: Keep) -> Result:
    """Closed forms in float64."""
    seeds = randomness.seeds(config.seed, config.draws)
    curves = [[_curve(kind, seed) for seed in seeds] for kind in range(len(KINDS))]
    counts = np.array([[_counts(curve) for curve in of_kind] for of_kind in curves])
    with jax.enable_x64(True):
        within = keep("within", partial(_within, curves, counts))
        pictured = curves[WALK][0]
        features = [list(map(_features, row, seeds)) for row in curves[:CUSP]]
        stairs = [_stairs(pictured, count) for count in counts[WALK, 0, :2]]
    sums = [_sum(each, GRID) for each in stairs]
    picture = np.stack([GRID, pictured.at(GRID), *sums])
    return Result(within, counts, np.array(features), picture)


def _curve(kind: int, seed: int) -> Curve:
    draws = np.random.default_rng(seed)
    if kind == WALK:
        walk = np.cumsum(draws.normal(size=STEPS + 1))
        values = (walk - walk.min()) / np.ptp(walk)
        return Curve(np.linspace(-1, 1, STEPS + 1), values)
    low, width = draws.uniform(-0.5, 0.5), draws.uniform(0.1, 0.5)
    if kind == CUSP:
        distances = np.array([1 + low, 0, 1 - low])
        return Curve(np.array([-1, low, 1]), distances / distances.max(), POWER)
    high = low + width if kind == HARD else np.nextafter(low, 1)
    return Curve(np.array([-1, low, high, 1]), np.array([0.0, 0, 1, 1]))


def _counts(curve: Curve) -> Int[np.ndarray, " asked"]:
    """Sigmoids that the bound asks for; of a jump, which has none, as many as of a
    slope.
    """
    steepest = np.max(np.abs(np.diff(curve.values) / np.diff(curve.knots)))
    if steepest > 1 / np.spacing(1.0):
        return np.ceil(ASKED_OF_A_JUMP / ASKED).astype(int)
    bound = problem.stairs_bound(float(steepest), 1, -1.0, 1.0)
    return np.ceil(bound / ASKED ** (1 / curve.power)).astype(int)


def _within(
    curves: list[list[Curve]], counts: Int[np.ndarray, "kind draw asked"]
) -> Float[np.ndarray, "kind draw asked"]:
    errors = np.empty(counts.shape)
    for place, count in np.ndenumerate(counts):
        kind, draw, _ = place
        curve = curves[kind][draw]
        errors[place] = _error(_stairs(curve, int(count)), curve)
    return errors / ASKED


def _error(params: Params, curve: Curve) -> float:
    """The largest, on a grid and at the function's own points."""
    x = np.append(GRID, curve.knots)
    return np.abs(_sum(params, x) - curve.at(x)).max()


def _stairs(curve: Curve, count: int) -> Params:
    values = curve.at(np.linspace(-1, 1, count + 1))
    return problem.sigmoid_stairs(values, -1.0, 1.0)


def _sum(params: Params, x: np.ndarray) -> np.ndarray:
    """b + Σ c σ(b' + w x) in NumPy, in float64."""
    hidden, output = jax.tree.map(np.asarray, (params["hidden"], params["output"]))
    terms = special.expit(x[:, None] * hidden["kernel"] + hidden["bias"])
    return (terms @ output["kernel"] + output["bias"])[:, 0]


def _features(curve: Curve, seed: int) -> np.float64:
    """Log of the error of least squares over UNITS sigmoids at random places, over
    that of as many constructed ones.
    """
    places = np.random.default_rng(seed).uniform(-1, 1, UNITS)
    terms = special.expit(SLOPE * UNITS * (GRID[:, None] - places))
    design = np.column_stack([terms, np.ones(len(GRID))])
    targets = curve.at(GRID)
    weights = np.linalg.lstsq(design, targets, rcond=1e-12)[0]
    largest = np.abs(design @ weights - targets).max()
    return np.log(largest / _error(_stairs(curve, UNITS), curve))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Errors over those asked for."""
    draws = result.within.shape[1]
    asked = ", ".join(f"{error:g}" for error in ASKED)
    given = f"on [-1, 1], constructed weights, errors of {asked} of the range, float64"
    finding = partial(record.deciding, "C018", unit="ratio")
    met = [
        finding(
            "Sums of steep sigmoids of one input come within every error asked for: "
            "largest error over it.",
            record.largest(result.within[kind]),
            WITHIN,
            setting=f"{draws} random {KINDS[kind]} {given}",
        )
        for kind in (HARD, WALK, CUSP)
    ]
    random = [
        record.supporting(
            "C018",
            "Least squares over sigmoids at random places has a larger largest error "
            "than constructed weights have.",
            record.bootstrap(np.mean, result.features[kind]),
            record.above(0.0, margin=np.log(1.25), reason="a quarter more sigmoids"),
            unit="log ratio",
            setting=f"{KINDS[kind]} on [-1, 1], {UNITS} sigmoids, float64",
        )
        for kind in (HARD, WALK)
    ]
    return (
        *met,
        *random,
        record.supporting(
            "C018",
            "Sums of steep sigmoids come within the errors asked for of a function "
            "that jumps, the control: least error over one asked for.",
            record.certain(result.within[JUMP].min()),
            WITHIN,
            unit="ratio",
            setting=f"{draws} random {KINDS[JUMP]} {given}",
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """A walk and its sums; errors of every draw by number of sigmoids."""
    figure, (picture, errors) = panels(1, 2, width=5.4, height=4.2)
    x, walk, *sums = result.picture
    picture.plot(x, walk, marker="", linewidth=5, alpha=0.3, label="the function")
    for error, values in zip(ASKED, sums, strict=False):
        picture.plot(x, values, marker="", label=f"an error of {error:g} asked for")
    label(picture, "A walk and its sums of sigmoids", "x", "f(x)")
    _drawn(errors, result)
    for axis in (picture, errors):
        legend_below(axis)
    return {"errors": figure}


def _drawn(axis: Axes, result: Result) -> None:
    for kind, marker in enumerate(("o", "^", "s", "x")):
        reached = (result.within[kind] * ASKED).ravel()
        counts = result.counts[kind].ravel()
        axis.scatter(counts, reached, marker=marker, s=14, label=KINDS[kind])
    for error in ASKED:
        axis.axhline(error, color="0.6", linestyle=":")
    axis.set(xscale="log", yscale="log")
    label(axis, "As many as the bound asks for", "sigmoids", "largest error / range")
