"""Points of a cubic, and polynomials fitted to them in closed form."""

import numpy as np
from jaxtyping import Float

from jaxml.problem.data.examples import examples
from jaxml.types import Array, Batch, InputError

__all__ = [
    "cubic_curve",
    "cubic_points",
    "legendre",
    "mean_square_bend",
    "ridge",
    "ridge_path",
]


def cubic_curve(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """4x³ - 3x, which runs from -1 to 1 and back between -1 and 1.

    >>> cubic_curve(np.array([-1.0, -0.5, 0.5, 1.0])).tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """
    return 4 * x**3 - 3 * x


def cubic_points(
    count: int, *, offset: float = 0.0, spread: float = 0.5, seed: int
) -> Batch:
    """`cubic_curve` plus an offset and normal noise, at points even over [-1, 1].

    Args:
        count: how many.
        offset: added to the cubic.
        spread: standard deviation of the noise.
        seed: of points and noise.

    Returns:
        Inputs and targets `[count, 1]`, in float64.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, count)
    y = offset + cubic_curve(x) + spread * rng.normal(size=count)
    return examples(x[:, None], y[:, None])


def legendre(
    x: Float[Array, "n 1"], degree: int
) -> Float[np.ndarray, "n coefficients"]:
    """Legendre's polynomials up to a degree, a column each; the first is 1.

    >>> legendre(np.array([[0.5]]), 1).tolist()
    [[1.0, 0.5]]
    """
    return np.polynomial.legendre.legvander(np.asarray(x)[:, 0], degree)


def ridge(
    batch: Batch, degree: int, penalty: float = 0.0, *, bias: float = 0.0
) -> Float[np.ndarray, "coefficients 1"]:
    """The coefficients c of `legendre` that minimise Σᵢ wᵢ (yᵢ - c·φ(xᵢ))² + λ Σⱼ≥₁ cⱼ²
    + λ₀ c₀², of several minima the shortest.

    Args:
        batch: inputs and targets `[n, 1]`.
        degree: 0 or more.
        penalty: λ, of all coefficients but the first.
        bias: λ₀, of the first, which is the polynomial's mean over [-1, 1].

    Raises:
        InputError: a negative degree or penalty.

    Source: Hoerl and Kennard 1970, Technometrics 12, as rows added to the data.

    >>> points = examples(np.zeros((3, 1)), np.full((3, 1), 2.0))
    >>> ridge(points, 0, bias=1.0).tolist()  # Σy / (n + λ₀)
    [[1.5]]
    """
    if degree < 0 or min(penalty, bias) < 0:
        raise InputError(
            f"A degree of {degree} with penalties {penalty} and {bias} has no minimum: "
            "give numbers of 0 or more."
        )
    root = np.sqrt(batch.weights)[:, None]
    added = np.diag(np.sqrt([bias, *[penalty] * degree]))
    rows = np.concatenate([root * legendre(batch.inputs, degree), added])
    values = np.concatenate([root * batch.targets, np.zeros((degree + 1, 1))])
    found, *_ = np.linalg.lstsq(rows, values)
    return found


def mean_square_bend(
    coefficients: Float[np.ndarray, "coefficients 1"],
) -> np.floating:
    """The mean square of the second derivative over 201 points of [-1, 1].

    >>> float(mean_square_bend(np.array([[0.0], [1.0], [1.0]])))  # x + (3x² - 1)/2
    9.0
    """
    second = np.polynomial.legendre.legder(coefficients[:, 0], 2)
    bend = np.polynomial.legendre.legval(np.linspace(-1, 1, 201), second)
    return np.mean(bend**2)


def ridge_path(
    train: Batch, test: Batch, degree: int, penalties: Float[np.ndarray, "penalty 2"]
) -> Float[np.ndarray, "quantity penalty"]:
    """Root mean square errors in training and in test, and `mean_square_bend`, of
    `ridge` at pairs (λ, λ₀).
    """
    seen = []
    for penalty, bias in penalties.tolist():
        found = ridge(train, degree, penalty, bias=bias)
        squares = [
            (legendre(part.inputs, degree) @ found - part.targets) ** 2
            for part in (train, test)
        ]
        errors = np.sqrt(np.mean(squares[0])), np.sqrt(np.mean(squares[1]))
        seen.append([*errors, mean_square_bend(found)])
    return np.array(seen).T
