"""Classical classifiers in closed form, with which networks are compared."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

from jaxml.types import Array, Batch, InputError

__all__ = ["Classifier", "nearest_neighbour", "ridge_classifier", "stored_examples"]

Classifier: TypeAlias = Callable[[Array], Int[np.ndarray, " example"]]
"""Rows of numbers to the labels that are given to them."""


def nearest_neighbour(train: Batch) -> Classifier:
    """The label of the training input at the least Euclidean distance, the first of
    equals.

    Cost: O(training examples x inputs x features) of each call, and a matrix of that
    many distances.

    Args:
        train: rows of numbers, and integer labels.

    Raises:
        InputError: inputs that are no rows, or no training examples.

    Source: Cover and Hart 1967, IEEE Transactions on Information Theory 13.

    >>> train = Batch(np.array([[0.0], [1.0]]), np.array([7, 8]), np.ones(2))
    >>> nearest_neighbour(train)(np.array([[0.4], [3.0]])).tolist()
    [7, 8]
    """
    stored = _rows(train.inputs)
    labels = np.asarray(train.targets)
    norms = np.sum(stored**2, axis=1)

    def classify(inputs: Array) -> Int[np.ndarray, " example"]:
        rows = _rows(inputs)
        distances = norms - 2 * (rows @ stored.T)  # squared, minus a constant of a row
        return labels[np.argmin(distances, axis=1)]

    return classify


def ridge_classifier(train: Batch, *, classes: int, penalty: float) -> Classifier:
    """The largest of the outputs w_c·x + b_c that minimise the sum over examples and
    classes of (w_c·x + b_c - [label = c])², plus `penalty` times Σ‖w_c‖²; b_c is free.

    Args:
        train: rows of numbers, and integer labels below `classes`.
        classes: how many.
        penalty: above 0.

    Raises:
        InputError: inputs that are no rows, no training examples, or a penalty that is
            not positive.

    Source: Hoerl and Kennard 1970, Technometrics 12, equation 2.1.

    >>> train = Batch(np.array([[-1.0], [1.0]]), np.array([0, 1]), np.ones(2))
    >>> classify = ridge_classifier(train, classes=2, penalty=1.0)
    >>> classify(np.array([[-3.0], [0.1]])).tolist()
    [0, 1]
    """
    if not penalty > 0:
        raise InputError(
            f"A penalty of {penalty} may leave the weights open: use one above 0."
        )
    rows = _rows(train.inputs)
    wanted = np.eye(classes)[np.asarray(train.targets)]
    middle = np.mean(rows, axis=0)
    mean = np.mean(wanted, axis=0)
    centred = rows - middle
    square = centred.T @ centred + penalty * np.eye(rows.shape[1])
    weights = np.linalg.solve(square, centred.T @ (wanted - mean))

    def classify(inputs: Array) -> Int[np.ndarray, " example"]:
        outputs = (_rows(inputs) - middle) @ weights + mean
        return np.argmax(outputs, axis=1)

    return classify


def stored_examples(train: Batch, guess: Classifier) -> Classifier:
    """The label that is stored with an equal training input, the first of several; a
    guess where none is equal.

    Args:
        train: rows of numbers, and integer labels.
        guess: what labels the rows that are not stored.

    Raises:
        InputError: inputs that are no rows, or no training examples.

    >>> train = Batch(np.array([[0.0], [1.0]]), np.array([7, 8]), np.ones(2))
    >>> zeros = lambda inputs: np.zeros(len(inputs), int)
    >>> stored_examples(train, zeros)(np.array([[1.0], [1.1]])).tolist()
    [8, 0]
    """
    table: dict[bytes, int] = {}
    labels = np.asarray(train.targets).tolist()
    for row, target in zip(_rows(train.inputs), labels, strict=True):
        table.setdefault(row.tobytes(), target)

    def classify(inputs: Array) -> Int[np.ndarray, " example"]:
        rows = _rows(inputs)
        answers = np.array(guess(rows))
        for place, row in enumerate(rows):
            answers[place] = table.get(row.tobytes(), answers[place])
        return answers

    return classify


def _rows(inputs: Array) -> Float[np.ndarray, "example feature"]:
    """In float64, in which -0 is 0."""
    rows = np.asarray(inputs, np.float64) + 0.0
    if rows.ndim != 2 or not len(rows):
        raise InputError(
            f"Inputs of shape {list(rows.shape)} are no rows of features: reshape them "
            "to [example, feature], of one example or more."
        )
    return rows
