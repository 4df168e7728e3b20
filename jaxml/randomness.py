"""One seed moves all of a study's randomness: the seeds of its runs and the keys of its
splits.
"""

import jax

from jaxml.errors import InputError
from jaxml.types import Key

_STRIDE = (
    100_003  # apart enough that no study's runs from one seed meet those from another
)
_LARGEST = (2**31 - 1) // _STRIDE - 1


def seeds(seed: int, count: int, *, skip: int = 0) -> range:
    """`count` seeds of runs, after `skip` others; no two seeds of a study share any.

    Seed 0 gives 0, 1, 2, ... A study whose runs serve two purposes skips those of the
    first.

    >>> list(seeds(0, 3)), list(seeds(0, 2, skip=3)), list(seeds(1, 2))
    ([0, 1, 2], [3, 4], [100003, 100004])

    Raises:
        InputError: a seed that is negative or above 21473, or more than 100,003 runs.
    """
    _check(seed)
    if skip < 0 or count < 0 or skip + count > _STRIDE:
        raise InputError(
            f"{skip} and {count} runs do not fit one seed: use at most {_STRIDE}."
        )
    first = seed * _STRIDE + skip
    return range(first, first + count)


def key(seed: int, stream: int = 0) -> Key:
    """The random key of one purpose of a study, such as its split; each purpose has a
    stream of its own.

    Raises:
        InputError: as `seeds`.
    """
    (number,) = seeds(seed, 1, skip=stream)
    return jax.random.key(number)


def _check(seed: int) -> None:
    if not 0 <= seed <= _LARGEST:
        raise InputError(
            f"The seed {seed} is out of range: choose one from 0 to {_LARGEST}."
        )
