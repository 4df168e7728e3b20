"""Leaderboards: many models, scored on a validation, a public and a private part."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxml.types import Batch, InputError

__all__ = ["Parts", "Scores", "leaderboard"]


class Parts(NamedTuple):
    """How many examples each part of a leaderboard has.

    Attributes:
        train: examples that train a model.
        validation: those of them that a validation score leaves out.
        public: of the public part, the sizes at which it is scored, from the smallest
            on; smaller ones are parts of larger ones.
        private: of the private part.
    """

    train: int
    validation: int
    public: tuple[int, ...]
    private: int


class Scores(NamedTuple):
    """Accuracies of the models of one leaderboard.

    Attributes:
        public: of models trained on all training examples.
        private: of the same.
        validation: on the examples left out, of models trained on the others.
    """

    public: Float[np.ndarray, "*leaderboards size model"]
    private: Float[np.ndarray, "*leaderboards model"]
    validation: Float[np.ndarray, "*leaderboards model"]


def leaderboard(
    data: Batch, parts: Parts, *, models: int, features: int, penalty: float, seed: int
) -> Scores:
    """Scores of ridge classifiers, each of which sees `features` random features.

    The examples of all parts and the features of all models are drawn anew by the seed.
    A model is `ridge_classifier` of its features. Cost: a matrix product of all
    examples that judge with the weights of all models, `features`³ a model.

    Args:
        data: rows of numbers, and integer labels.
        parts: of which there must be enough examples.
        models: how many.
        features: that each sees.
        penalty: of the squared weights.
        seed: of NumPy's generator.

    Raises:
        InputError: fewer examples than the parts hold, or fewer features than a model
            sees.
    """
    inputs = np.asarray(data.inputs)
    labels = np.asarray(data.targets)
    needed = parts.train + parts.public[-1] + parts.private
    if needed > len(labels) or features > inputs.shape[1]:
        raise InputError(
            f"{len(labels)} examples of {inputs.shape[1]} features do not hold "
            f"{needed} of {features} each: make the parts or the models smaller."
        )
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))[:needed]
    train, rest = np.split(order, [parts.train])
    places = np.arange(inputs.shape[1])
    every = np.tile(places, (models, 1))
    permuted = random.permuted(every, axis=1)
    seen = permuted[:, :features]

    def right(own: np.ndarray, others: np.ndarray) -> Bool[np.ndarray, "example model"]:
        trained = Batch(
            inputs[own],
            labels[own],
            data.weights[own],
        )
        answers = _answers(trained, inputs[others], seen, penalty)
        return answers == labels[others][:, None]

    first = parts.train - parts.validation
    kept, left_out = np.split(train, [first])
    public, private = np.split(
        right(train, rest),
        [parts.public[-1]],
    )
    by_size = [np.mean(public[:size], axis=0) for size in parts.public]
    return Scores(
        public=np.stack(by_size),
        private=np.mean(private, axis=0),
        validation=np.mean(
            right(kept, left_out),
            axis=0,
        ),
    )


def _answers(
    train: Batch, others: np.ndarray, seen: np.ndarray, penalty: float
) -> Int[np.ndarray, "example model"]:
    """Labels by ridge regressions on the features that each model sees."""
    labels = np.asarray(train.targets)
    classes = int(np.max(labels)) + 1
    wanted = np.eye(classes)[labels]
    middle = np.mean(train.inputs, axis=0)
    mean = np.mean(wanted, axis=0)
    centred = train.inputs - middle
    squares = centred.T @ centred
    squares += penalty * np.eye(len(middle))
    products = centred.T @ (wanted - mean)
    rows, columns = seen[:, :, None], seen[:, None, :]
    own = squares[rows, columns]
    solved = np.linalg.solve(own, products[seen])
    models = np.arange(len(seen))
    weights = np.zeros((len(seen), *products.shape))
    weights[models[:, None], seen] = solved
    by_feature = np.moveaxis(weights, 0, 1)
    side_by_side = by_feature.reshape(len(middle), -1)
    outputs = (others - middle) @ side_by_side
    by_class = outputs.reshape(len(others), len(seen), len(mean)) + mean
    return np.argmax(by_class, axis=2)
