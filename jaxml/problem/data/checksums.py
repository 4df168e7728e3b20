"""What a data set holds, as a checksum: two runs with equal ones have seen equal data."""

import hashlib
from collections.abc import Callable, Iterable

from jaxml.problem.data.embedded import digits, pokemon_cp, sinc
from jaxml.problem.data.image_sets import FASHION_MNIST, MNIST
from jaxml.problem.data.text import SHAKESPEARE
from jaxml.types import Batch, InputError

__all__ = ["checksums"]

_FILES = {"fashion_mnist": FASHION_MNIST, "mnist": MNIST, "shakespeare": SHAKESPEARE}
_ARRAYS: dict[str, Callable[[], Batch]] = {
    "digits": digits,
    "sinc": lambda: sinc(128),
    "pokemon_cp": pokemon_cp,
}


def checksums(names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the content of the named sets.

    For sets in files: one entry a file, `folder/file`, of the uncompressed content; it is the pinned
    one, which every read enforces, so nothing is read here. For embedded sets: one entry, of the
    bytes of the float32 inputs and then of the targets; `sinc` at 128 points.

    Raises:
        InputError: a set of no such name.

    >>> checksums(["mnist"])["mnist/t10k-labels-idx1-ubyte.gz"][:8]
    'ff7bcfd4'
    """
    found = {}
    for name in names:
        if name in _FILES:
            folder, _, digests = _FILES[name]
            found |= {f"{folder}/{file}": digest for file, digest in digests.items()}
        elif name in _ARRAYS:
            batch = _ARRAYS[name]()
            found[name] = hashlib.sha256(batch.inputs.tobytes() + batch.targets.tobytes()).hexdigest()
        else:
            raise InputError(f"There is no data set {name!r}: choose from {', '.join([*_FILES, *_ARRAYS])}.")
    return found
