"""Is a random symmetric matrix more rarely positive definite, the larger it is?

The lecture's argument why minima should be rare: with more directions one of them
almost always leads down. Random matrices are that argument alone; what networks do is
asked by `dimension`.

The entries are normal (the GOE). All n eigenvalues are positive with a probability that
falls as exp(-n² ln 3 / 4), where n directions of independent signs would have 2⁻ⁿ. A
multiple of the identity is then added, in units of √(2n), where the spectrum ends: so
does the Hessian of a random landscape change with the height at which its critical
points lie. At ½ minima must still become rarer with n; at 1½, the negative control,
they must not, so what is true at one height is false at a lower one.

Fractions are sampled, each matrix a unit, and the exact law is drawn beside them. All
this follows from theorems, so it supports and decides nothing. The margin of the rate
is a tenth of it, for the terms of order ln n.

Claims: C052.
Sources: Dean and Majumdar 2006, arXiv:cond-mat/0609651; Bray and Dean 2007,
arXiv:cond-mat/0611023 (height and shift); de Bruijn 1955 (the exact law).
Cost: 3 seconds on 2 cores, compilation included.
Expect: the law, and rarer up to a shift of the whole half-width √(2n).
Run: jaxml run random_matrices
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from jaxml import record
from jaxml.record import Assertion, Interval
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Keep

SIZES = np.arange(1, 7)
SHIFTS = (0.0, 0.5, 1.0, 1.5)  # in √(2n)
RATE = np.log(3) / 4  # Dean and Majumdar 2006
FAR = 13.0  # beyond it exp(-x²/2) is below 1e-36


@dataclass(frozen=True, kw_only=True)
class Config:
    """Matrices of each size."""

    matrices: int = 200_000
    seed: int = 0


SMOKE = Config(matrices=500)


class Result(NamedTuple):
    """How often all eigenvalues are positive."""

    hits: Int[np.ndarray, "shift size"]
    exact: Float[np.ndarray, "shift size"]
    drawn: np.ndarray  # [], of each size


def study(config: Config, keep: Keep) -> Result:
    """The diagonal has variance 1, what lies beside it 1/2."""
    return keep("matrices", partial(_matrices, config))


def _matrices(config: Config) -> Result:
    """The lowest eigenvalue says it for every shift."""
    draw = np.random.default_rng(config.seed)
    hits, exact = [], []
    for size in map(int, SIZES):
        entries = draw.standard_normal((config.matrices, size, size))
        symmetric = (entries + np.swapaxes(entries, 1, 2)) / 2
        lowest = np.linalg.eigvalsh(symmetric)[:, 0]
        shifts = np.array(SHIFTS) * np.sqrt(2 * size)
        hits.append(np.sum(lowest[None] > -shifts[:, None], axis=1))
        exact.append([_above(size, -shift) for shift in shifts])
    columns = np.stack(hits, axis=1), np.stack(exact, axis=1)
    return Result(*columns, np.array(config.matrices))


def _above(size: int, low: float) -> float:
    """The probability that all eigenvalues exceed `low`: a ratio of two Pfaffians.

    Source: de Bruijn 1955, J. Indian Math. Soc. 19, on ∫ |Δ(x)| Π w(xᵢ) dx.
    """
    whole = _pairs(size, -FAR)
    return float(np.sqrt(np.linalg.det(_pairs(size, low)) / np.linalg.det(whole)))


def _pairs(size: int, low: float) -> Float[np.ndarray, "even even"]:
    """∬ sgn(y - x) xⁱ yʲ w(x) w(y) dx dy from `low` on, w = exp(-x²/2), with a border
    of ∫ xⁱ w(x) dx where the size is odd.
    """
    nodes, weights = np.polynomial.legendre.leggauss(200)
    half = (FAR - low) / 2
    y = low + half * (nodes + 1)
    power = np.arange(size)[:, None]
    density = half * weights * y**power * np.exp(-(y**2) / 2)
    begin, end = _moments(power, np.array([low])), _moments(power, np.array([FAR]))
    matrix = (2 * _moments(power, y) - begin - end) @ density.T
    if size % 2:
        border = end - begin
        corner = np.zeros((1, 1))
        matrix = np.block([[matrix, border], [-border.T, corner]])
    return matrix


def _moments(power: Array, y: Array) -> Float[np.ndarray, "power y"]:
    """∫ xᵏ exp(-x²/2) dx from 0 to y."""
    order = (power + 1) / 2
    size = 2 ** (order - 1) * special.gamma(order) * special.gammainc(order, y**2 / 2)
    return np.sign(y) ** (power + 1) * size


def findings(result: Result) -> tuple[Assertion, ...]:
    """What random matrices do, shifted and not."""
    setting = f"random symmetric matrices (GOE), {result.drawn:,} of each size"
    four = int(np.argmax(SIZES == 4))
    bends = -np.diff(np.log(result.exact[0]), 2)
    return (
        record.supporting(
            "C052",
            "All eigenvalues of a random symmetric 4x4 matrix are positive more rarely "
            "than four independent signs are.",
            _sampled(result, 0, four),
            record.below(2.0**-4),
            unit="fraction",
            setting=setting,
        ),
        record.supporting(
            "C052",
            "The probability that all eigenvalues of a random symmetric matrix of size "
            "n are positive falls as exp(-0.275 n²): the second difference of its "
            "negative logarithm is 0.549 at n = 5.",
            record.certain(bends[-1]),
            record.near(
                2 * RATE,
                margin=0.05,
                reason="a tenth of the rate, for the terms of order ln n",
            ),
            unit="nats",
            setting="random symmetric matrices (GOE), exact law",
        ),
        record.supporting(
            "C052",
            "Where half the end of the spectrum, ½√(2n), is added to the diagonal, all "
            "eigenvalues are positive more rarely at n = 6 than at n = 1.",
            _sampled(result, 1, -1),
            record.below(result.exact[1, 0]),
            unit="fraction",
            setting=setting,
        ),
        record.supporting(
            "C052",
            "Where 1½√(2n) is added to the diagonal, all eigenvalues are positive more "
            "often at n = 6 than at n = 1 (negative control).",
            _sampled(result, 3, -1),
            record.above(result.exact[3, 0]),
            unit="fraction",
            setting=setting,
        ),
    )


def _sampled(result: Result, shift: int, size: int) -> Interval:
    """The fraction of matrices whose eigenvalues are all positive."""
    hits = np.arange(int(result.drawn)) < result.hits[shift, size]
    return record.proportion(hits, of=result.exact)


def figures(result: Result) -> dict[str, Figure]:
    """Sampled fractions with two standard errors upon the exact law, by shift."""
    figure, (axis,) = panels(width=6.5, height=4.6)
    for shift, hits, exact in zip(SHIFTS, result.hits, result.exact, strict=True):
        (line,) = axis.semilogy(SIZES, exact, marker="", label=f"shift {shift} √(2n)")
        seen = hits[hits > 0]
        fraction = seen / result.drawn
        error = 2 * np.sqrt(seen * (1 - fraction)) / result.drawn
        low = np.maximum(fraction - error, 0.1 * fraction)
        sizes, colour = SIZES[hits > 0], line.get_color()
        axis.scatter(sizes, fraction, s=20, color=colour)
        axis.vlines(sizes, low, fraction + error, color=colour)
    axis.semilogy(SIZES, 0.5**SIZES, marker="", label="independent signs, 2⁻ⁿ")
    y = "probability that all are positive"
    title = "Eigenvalues: exact law (lines), sampled matrices (points)"
    label(axis, title, "size of the matrix n", y)
    shared_legend(figure)
    return {"matrices": figure}
