"""The hallway: the shapes of value on which every room agrees."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import jax
import jaxtyping
import numpy as np

from jaxml.errors import InputError as InputError

Array: TypeAlias = jax.Array | np.ndarray
Scalar: TypeAlias = jaxtyping.Float[jax.Array, ""]
Key: TypeAlias = jaxtyping.Key[jax.Array, ""]
Device: TypeAlias = Any
"""A `jax.Device`, which type checkers take for a variable."""

Params: TypeAlias = Any
"""A pytree of floating-point arrays of one dtype."""

Hypers = TypeVar("Hypers")
"""A NamedTuple of hyperparameters, or of columns of them: who is given one returns one
of its kind.
"""

Matvec: TypeAlias = Callable[[Params], Params]
"""A linear map from the space of parameters to itself."""

Objective: TypeAlias = Callable[[Params, Any], Scalar]
"""`(params, batch) -> loss`: all that `curvature` sees of a problem; the batch stays
opaque.
"""

TrainingLoss: TypeAlias = Callable[[Params, Any, Any, Key], tuple[Scalar, Any]]
"""`(params, model_state, batch, key) -> (loss, model_state)`: what `learn` descends."""


@runtime_checkable
class Keep(Protocol):
    """`(name, compute) -> value`: what `compute` returns, or what an earlier attempt
    stored under that name.

    Storage, resuming and progress hang here; a name is kept once in a run.
    """

    def __call__(self, name: str, compute: Callable[[], Any], /) -> Any:
        """The value of that name."""
        ...


def compute_now(name: str, compute: Callable[[], Any]) -> Any:
    """The `Keep` that keeps nothing.

    >>> compute_now("a sum", lambda: 1 + 1)
    2
    """
    del name
    return compute()


@runtime_checkable
class Apply(Protocol):
    """`(params, state, inputs, *, train, key) -> (outputs, state)`: a network at work.

    `train` is static; `key` is None where nothing is drawn. One that names `mask` as
    well is given, in training, which examples count, `[n]`.
    """

    def __call__(
        self, params: Params, state: Any, inputs: Array, /, *, train: bool, key: Any
    ) -> tuple[jax.Array, Any]:
        """The outputs, and the state after them."""
        ...


class Batch(NamedTuple):
    """Examples that are averaged together. An example of weight 0 is padding, with a
    valid target.

    Attributes:
        inputs: `[n, ...]`, floating point, or integer tokens for models that embed
            them.
        targets: `[n, ...]`; integer classes `[n]`, or floating-point values
            `[n, outputs]`.
        weights: `[n]`, floating point, not negative.
    """

    inputs: Array
    targets: Array
    weights: Array


class Dataset(NamedTuple):
    """Examples to train on, and examples held out."""

    train: Batch
    test: Batch


class Model(NamedTuple):
    """A network as two pure functions.

    Attributes:
        init: `(key, inputs) -> (params, state)`; parameters take the dtype of `inputs`,
            and are drawn in float32, so both precisions start from the same network.
        apply: the network at work.
    """

    init: Callable[[Key, Array], tuple[Params, Any]]
    apply: Apply


class Workload(NamedTuple):
    """A network that is trained on examples of its own, and judged on others.

    What is random is drawn anew by each run's key: initial weights, order, and which
    examples train and which are held out. So runs of different seeds are independent
    units, and intervals over them hold for other data of the same kind.

    Attributes:
        start: `key -> (params, model_state)`.
        loss: of training, `(params, model_state, batch, key) -> (loss, model_state)`.
        data: all examples.
        train: how many of them train a run.
        test: how many others judge it.
        measures: by name, `(params, Dataset) -> number`, of the run's own examples;
            "train" and "test" are its mean losses on both parts.
    """

    start: Callable[[Key], tuple[Params, Any]]
    loss: TrainingLoss
    data: Batch
    train: int
    test: int
    measures: Mapping[str, Callable[[Params, Dataset], Any]]
