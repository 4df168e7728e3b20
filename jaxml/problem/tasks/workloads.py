"""Workloads on which optimizers compete, each unit with examples of its own."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxml import tree
from jaxml.problem.data.embedded import digits
from jaxml.problem.data.examples import examples
from jaxml.problem.data.files import published
from jaxml.problem.data.image_sets import fashion_mnist, shrunk
from jaxml.problem.data.text import SHAKESPEARE
from jaxml.problem.losses import Penalty, accuracy, cross_entropy, none
from jaxml.problem.models.dense import mlp
from jaxml.problem.models.image import cnn
from jaxml.problem.objectives import Loss, objective, start, training_loss
from jaxml.problem.tasks.variants import small_clothing
from jaxml.types import (
    Array,
    Batch,
    Dataset,
    InputError,
    Key,
    Model,
    Params,
    Workload,
)

__all__ = [
    "characters_workload",
    "clothing_workload",
    "digit_images_workload",
    "digits_workload",
    "small_clothing_workload",
    "weights",
    "workload",
]


def workload(
    model: Model,
    loss: Loss,
    data: Batch,
    *,
    train: int,
    test: int,
    penalty: Penalty = none,
    held_out: Mapping[str, Loss] | None = None,
) -> Workload:
    """A model that is trained on `train` examples drawn anew for each unit, and judged
    on `test` others.

    Its measures are "train" and "test", the mean losses of both parts without the
    penalty, and those that `held_out` names.

    Args:
        model: without a state, which measures would not see.
        loss: of an example, in training and in both measures.
        data: all examples to draw from.
        train: how many train a unit.
        test: how many others judge it.
        penalty: of the parameters, in training alone.
        held_out: further measures of the held-out examples, by name, such as
            `{"accuracy": problem.accuracy}`.
    """
    losses = objective(model, loss)

    def on_train(params: Params, own: Dataset) -> Any:
        return losses(params, own.train)

    measures: dict[str, Callable[[Params, Dataset], Any]] = {"train": on_train}
    for name, measure in {"test": loss, **(held_out or {})}.items():
        measures[name] = _held_out(model, measure)
    return Workload(
        start=start(model, data.inputs),
        loss=training_loss(model, loss, penalty),
        data=data,
        train=train,
        test=test,
        measures=measures,
    )


def _held_out(model: Model, measure: Loss) -> Callable[[Params, Dataset], Any]:
    """The mean of a measure over the examples that a run holds out."""
    mean = objective(model, measure)

    def on_test(params: Params, own: Dataset) -> Any:
        return mean(params, own.test)

    return on_test


def weights(workload: Workload) -> int:
    """The number of parameters of a workload's network."""
    return tree.size(jax.eval_shape(workload.start, jax.random.key(0))[0])


def digits_workload(
    *, train: int = 500, test: int = 1000, width: int = 32, penalty: Penalty = none
) -> Workload:
    """8x8 digits, a network with one hidden layer of ReLUs, cross-entropy.

    64 `width` + 10 `width` + `width` + 10 parameters; 2,410 at a width of 32.
    """
    model = mlp((width, 10), jax.nn.relu)
    return workload(
        model,
        cross_entropy,
        digits(),
        train=train,
        test=test,
        penalty=penalty,
        held_out={"accuracy": accuracy},
    )


def digit_images_workload(
    *, train: int = 500, test: int = 1000, channels: tuple[int, ...] = (8,)
) -> Workload:
    """8x8 digits as pictures of one channel, a convolutional network, cross-entropy."""
    pixels = digits()
    images = pixels._replace(inputs=pixels.inputs.reshape(-1, 8, 8, 1))
    return workload(
        cnn(channels, 10),
        cross_entropy,
        images,
        train=train,
        test=test,
        held_out={"accuracy": accuracy},
    )


def clothing_workload(
    *,
    pool: int = 60_000,
    train: int = 2_000,
    test: int = 2_000,
    channels: tuple[int, ...] = (8, 16),
    block: int = 1,
    dtype: DTypeLike = np.float32,
) -> Workload:
    """28x28 pictures of clothing, a convolutional network, cross-entropy.

    Args:
        pool: how many of the training images units draw from, the first ones.
        train: examples that train a unit.
        test: others that judge it, of the same pool.
        channels: of the convolutional layers.
        block: side of the blocks of pixels that are averaged first; 2 gives 14x14.
        dtype: of the pixels, and so of the parameters.
    """
    images = shrunk(fashion_mnist(train=pool, test=1, dtype=dtype).train, block)
    return workload(
        cnn(channels, 10),
        cross_entropy,
        images,
        train=train,
        test=test,
        held_out={"accuracy": accuracy},
    )


def small_clothing_workload(
    *,
    pool: int = 60_000,
    train: int = 500,
    test: int = 1000,
    width: int = 32,
    block: int = 4,
    penalty: Penalty = none,
) -> Workload:
    """Pictures of clothing, their 4x4 blocks averaged to 7x7 pixels, and the network of
    `digits_workload`: a second data set at the cost of digits.

    Args:
        pool: how many of the training images units draw from, the first ones.
        train: examples that train a unit.
        test: others that judge it, of the same pool.
        width: of the hidden layer.
        block: side of the blocks of pixels that are averaged; 2 gives 14x14.
        penalty: of the parameters, in training alone.
    """
    return workload(
        mlp((width, 10), jax.nn.relu),
        cross_entropy,
        small_clothing(pool, block=block),
        train=train,
        test=test,
        penalty=penalty,
        held_out={"accuracy": accuracy},
    )


def characters_workload(
    *,
    text: bytes | None = None,
    block: int = 500,
    context: int = 3,
    train: int = 20_000,
    test: int = 5_000,
    width: int = 32,
) -> Workload:
    """The next character of a text after `context` others, a network with one hidden
    layer of ReLUs, cross-entropy.

    Examples lie block after block, and no character is in two blocks: split them by
    `learn.split_blocks_anew`, since neighbouring windows overlap.

    Args:
        text: of one-byte characters; when not given, Shakespeare's plays as
            `shakespeare` reads them, 65 kinds in 1,115,394 characters.
        block: examples of each.
        context: characters that are seen.
        train: examples that train a unit.
        test: others that judge it.
        width: of the hidden layer.

    Raises:
        InputError: the text is shorter than a block; the plays are corrupt, or neither
            here nor to be had.
    """
    content = published(SHAKESPEARE, "input.txt") if text is None else text
    known, codes = np.unique(np.frombuffer(content, np.uint8), return_inverse=True)
    span = block + context
    blocks = len(codes) // span
    if min(block, context) < 1 or blocks < 1:
        raise InputError(
            f"{len(codes)} characters hold no block of {block} after {context}: give a "
            "longer text, and positive numbers."
        )
    spans = codes[: blocks * span].astype(np.int32).reshape(blocks, span)
    windows = np.lib.stride_tricks.sliding_window_view(spans, context + 1, axis=1)
    rows = windows.reshape(-1, context + 1)
    return workload(
        _of_codes(mlp((width, len(known)), jax.nn.relu), len(known)),
        cross_entropy,
        examples(np.ascontiguousarray(rows[:, :-1]), rows[:, -1].copy()),
        train=train,
        test=test,
    )


def _of_codes(model: Model, kinds: int) -> Model:
    """The model of indicators, given whole numbers below `kinds`."""

    def indicators(codes: Array) -> jax.Array:
        return jax.nn.one_hot(codes, kinds, dtype=jnp.float32)

    def init(key: Key, x: Array) -> tuple[Params, Any]:
        return model.init(key, indicators(x))

    def apply(
        params: Params, state: Any, x: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        return model.apply(params, state, indicators(x), train=train, key=key)

    return Model(init, apply)
