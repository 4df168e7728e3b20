"""Families of models in which planted laws lie: orthonormal features, and networks."""

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.problem.models.dense import linear, mlp, polynomial, units
from jaxml.types import Array, Key, Model, Params

__all__ = [
    "BITS",
    "COSINES",
    "POWERS",
    "WIDE",
    "Family",
    "Space",
    "columns",
    "deep",
    "gaussian",
    "of_columns",
    "one_layer",
    "unit_sum",
]

Family = Callable[[int], Model]
"""size -> model; a larger size contains the smaller ones."""


class Space(NamedTuple):
    """Nested families of models, linear in features that are orthonormal on the inputs.

    Attributes:
        model: of a size.
        draw: (generator, count) -> inputs `[count, ...]`.
        features: inputs -> `[count, features]`, of mean square 1 and uncorrelated; a
            model of one size is linear in the first ones and a constant.
        width: size -> how many features.
    """

    model: Family
    draw: Callable[[np.random.Generator, int], np.ndarray]
    features: Callable[[np.ndarray], np.ndarray]
    width: Callable[[int], int]


def of_features(features: Callable[[Array], jax.Array], outputs: int) -> Model:
    """b + W φ(x), with fixed features φ; initial values as in `linear`."""
    line = linear(outputs)

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        return line.init(key, features(inputs))

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        return line.apply(params, state, features(inputs), train=train, key=key)

    return Model(init, apply)


def columns(count: int, *, outputs: int = 1) -> Model:
    """A linear model that sees the first `count` columns of its inputs."""

    def first(inputs: Array) -> jax.Array:
        return jnp.asarray(inputs)[:, :count]

    return of_features(first, outputs)


def gaussian(scales: np.ndarray, *, mean: float = 0.0) -> Space:
    """Independent normal columns with these standard deviations and one mean."""

    def draw(random: np.random.Generator, count: int) -> np.ndarray:
        return mean + scales * random.standard_normal((count, len(scales)))

    def features(inputs: np.ndarray) -> np.ndarray:
        return (inputs - mean) / scales

    return Space(columns, draw, features, int)


def cosines(count: int) -> Model:
    """b + Σₖ wₖ √2 cos(kπx) for k = 1, ..., count, of inputs `[n, 1]` in [0, 1]."""

    def waves(inputs: Array) -> jax.Array:
        values = jnp.asarray(inputs)
        orders = jnp.arange(1, count + 1, dtype=values.dtype)[None]
        return np.sqrt(2).item() * jnp.cos(np.pi * values * orders)

    return of_features(waves, 1)


def _cosine_features(inputs: np.ndarray, *, count: int) -> np.ndarray:
    return np.sqrt(2) * np.cos(np.pi * inputs * np.arange(1, count + 1))


def _uniform(random: np.random.Generator, count: int) -> np.ndarray:
    return random.uniform(size=(count, 1))


BIT_COUNT = 6


def subsets(order: int) -> list[tuple[int, ...]]:
    """The sets of up to `order` bits, the smaller first."""
    found: list[tuple[int, ...]] = []
    for size in range(1, order + 1):
        found.extend(combinations(range(BIT_COUNT), size))
    return found


def parities(order: int) -> Model:
    """b + Σ_S w_S Πᵢ∈S xᵢ over sets of up to `order` of six inputs ±1."""
    chosen = np.zeros((len(subsets(order)), BIT_COUNT), bool)
    for row, each in enumerate(subsets(order)):
        chosen[row, list(each)] = True

    def products(inputs: Array) -> jax.Array:
        values = jnp.asarray(inputs)[:, None]
        factors = jnp.where(chosen[None], values, jnp.ones_like(values))
        return jnp.prod(factors, axis=-1)

    return of_features(products, 1)


def _parity_features(inputs: np.ndarray) -> np.ndarray:
    chosen = [inputs[:, list(each)].prod(axis=-1) for each in subsets(BIT_COUNT)]
    return np.stack(chosen, axis=-1)


def _bits(random: np.random.Generator, count: int) -> np.ndarray:
    return 2.0 * random.integers(2, size=(count, BIT_COUNT)) - 1


def _parity_count(order: int) -> int:
    return len(subsets(order))


HIGHEST = 8


def _legendre_features(inputs: np.ndarray) -> np.ndarray:
    """√(2k + 1) Pₖ(x), orthonormal for x uniform in [-1, 1]."""
    values = np.polynomial.legendre.legvander(inputs[:, 0], HIGHEST)
    return (values * np.sqrt(2 * np.arange(HIGHEST + 1) + 1))[:, 1:]


def _centred(random: np.random.Generator, count: int) -> np.ndarray:
    return random.uniform(-1, 1, size=(count, 1))


WIDE = gaussian(np.ones(64))
"""64 independent standard normal inputs, of which a model sees the first ones."""

COSINES = Space(cosines, _uniform, partial(_cosine_features, count=32), int)
"""Up to 32 cosines of one input, uniform in [0, 1]."""

BITS = Space(parities, _bits, _parity_features, _parity_count)
"""Products of up to so many of six independent signs: 6, 21, 41, 56 features."""

POWERS = Space(polynomial, _centred, _legendre_features, int)
"""Polynomials of one input, uniform in [-1, 1]."""


def of_columns(outputs: int) -> Family:
    """Linear models of the first columns of their inputs, with several outputs."""
    return partial(columns, outputs=outputs)


def one_layer(classes: int) -> Family:
    """Networks with one hidden layer of so many ReLUs; none is the linear model.

    Two ReLUs hold a linear function of the inputs, one does on bounded inputs.
    """

    def model(width: int) -> Model:
        return mlp((width, classes), jax.nn.relu) if width else linear(classes)

    return model


def unit_sum(count: int) -> Model:
    """The sum of so many ReLUs."""
    return units(count, jax.nn.relu)


def deep(
    activation: Callable[[jax.Array], jax.Array], *, width: int, outputs: int
) -> Family:
    """Plain networks of so many hidden layers, kernels normal of variance 1 / fan-in.

    A further layer of ReLUs can be the identity; one of sigmoids can be it as nearly
    as is wanted, up to a scale and an offset. The layers are a scan, so that a deep
    network compiles as soon as a shallow one.
    """
    first, last = linear(width), linear(outputs)

    def model(depth: int) -> Model:
        def init(key: Key, inputs: Array) -> tuple[Params, Any]:
            before, within, after = jax.random.split(key, 3)
            hidden = jnp.zeros((1, width), inputs.dtype)
            shape = (depth - 1, width, width)
            kernels = jax.random.normal(within, shape, inputs.dtype) / width**0.5
            inner = {"kernel": kernels, "bias": jnp.zeros((depth - 1, 1, width))}
            params = {
                "first": first.init(before, inputs)[0],
                "inner": inner,
                "last": last.init(after, hidden)[0],
            }
            return params, {}

        return Model(init, apply)

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        def layer(values: jax.Array, own: Params) -> tuple[jax.Array, None]:
            return activation(values @ own["kernel"] + own["bias"]), None

        sums = first.apply(params["first"], {}, inputs, train=train, key=key)[0]
        values, _ = jax.lax.scan(layer, activation(sums), params["inner"])
        outcome = last.apply(params["last"], {}, values, train=train, key=key)[0]
        return outcome, state

    return model
