"""Text as examples: which character follows the last few?"""

import numpy as np
from jax.typing import DTypeLike

from jaxml.problem.data.examples import examples
from jaxml.problem.data.files import FileSet, published
from jaxml.types import Batch, Dataset, InputError

__all__ = ["shakespeare", "windows"]

SHAKESPEARE = FileSet(
    "tinyshakespeare",
    (
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",
    ),
    {"input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
)


def shakespeare(
    *,
    context: int,
    train: int,
    test: int,
    start: int = 0,
    dtype: DTypeLike = np.float32,
) -> Dataset:
    """The next of 65 characters after `context` others, in Shakespeare: 1,115,394
    characters of plays.

    The file is looked for as those of `fashion_mnist` are, in folders called
    `tinyshakespeare` (1 MB).

    Args:
        context: characters that are seen.
        train: examples, from the first position on.
        test: examples, up to the last position.
        start: the character at which the text begins; what stands before it follows at
            the end.
        dtype: of the inputs.

    Returns:
        Inputs `[n, context, 65]`, each row the indicator of a character in the order of
        their codes; targets
        int32 `[n]`, the place of the next character in that order.

    Raises:
        InputError: the file is corrupt, or neither here nor to be had; the examples
            would overlap.

    Source: Karpathy 2015, "The unreasonable effectiveness of recurrent neural
    networks", its text.
    """
    content = published(SHAKESPEARE, "input.txt")
    rotated = content[start:] + content[:start]
    return windows(rotated, context=context, train=train, test=test, dtype=dtype)


def windows(
    text: bytes, *, context: int, train: int, test: int, dtype: DTypeLike = np.float32
) -> Dataset:
    """The first and the last examples of a text of one-byte characters."""
    known, codes = np.unique(np.frombuffer(text, np.uint8), return_inverse=True)
    total = len(codes) - context
    if min(context, train, test) < 1 or train + test + context > total:
        raise InputError(
            f"{len(codes)} characters cannot give {train} and {test} examples of "
            f"{context} before one: ask for 1 or more of each, and for fewer in all."
        )
    indicators = np.eye(len(known), dtype=dtype)

    def part(first: int, count: int) -> Batch:
        rows = first + np.arange(count)[:, None] + np.arange(context)
        return examples(
            indicators[codes[rows]], codes[rows[:, -1] + 1].astype(np.int32)
        )

    return Dataset(part(0, train), part(total - test, test))
