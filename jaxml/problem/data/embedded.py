"""Data sets that need no file: they come with a dependency, are ten points long, or
have a formula.
"""

import io
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxml.problem.data.content import decompress
from jaxml.problem.data.examples import examples
from jaxml.provenance import Reading, contents, report, sha256
from jaxml.types import Batch, InputError, Key

__all__ = ["circles", "digits", "moons", "pokemon_cp", "sinc", "spirals", "xor"]


def digits(*, dtype: DTypeLike = np.float32) -> Batch:
    """1,797 handwritten digits of 8 x 8 pixels in [0, 1].

    Returns:
        Inputs `[1797, 64]`, row-major images; targets int32 `[1797]`, ten classes.

    Source: Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", the
        test part, as scikit-learn carries it; its file is read, for importing
        scikit-learn takes a second.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise InputError(
            "The digits come with scikit-learn, which is missing: pip install "
            "scikit-learn."
        )
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    packed = contents(path)
    text = io.BytesIO(decompress(packed, path))
    table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
    pixels = table[:, :-1] / 16
    labels = table[:, -1].astype(np.int32)
    digest = content_digest(pixels, labels)
    report(Reading("digits", digest, str(path), sha256(packed)))
    return examples(pixels.astype(dtype), labels)


def sinc(count: int, *, dtype: DTypeLike = np.float32) -> Batch:
    """sin(5πx) / (5πx) at `count` equally spaced points of [1e-4, 1].

    Returns:
        Inputs and targets `[count, 1]`, computed in float64 and cast.

    >>> sinc(2, dtype=np.float64).targets.round(6).tolist()
    [[1.0], [0.0]]
    """
    _require_count(count)
    x = np.linspace(1e-4, 1.0, count)[:, None]
    angle = 5 * np.pi * x
    y = np.sin(angle) / angle
    digest = content_digest(x, y.astype(np.float32))
    report(Reading(f"sinc/{count}", digest))
    return examples(x.astype(dtype), y.astype(dtype))


def pokemon_cp(*, dtype: DTypeLike = np.float32) -> Batch:
    """Combat power of ten Pokémon before (inputs `[10, 1]`) and after (targets
    `[10, 1]`) evolution.

    Least squares gives -188.43 + 2.6695 x; the Hessian of the summed squares has
    condition 3.1e5.

    Source: Lee 2016, Machine Learning, the lecture on regression.
    """
    before = [338, 333, 328, 207, 226, 25, 179, 60, 208, 606]
    after = [640, 633, 619, 393, 428, 27, 193, 66, 226, 1591]
    x = np.array(before)[:, None]
    y = np.array(after)[:, None]
    digest = content_digest(x, y.astype(np.float32))
    report(Reading("pokemon_cp", digest))
    return examples(x.astype(dtype), y.astype(dtype))


def circles(
    count: int, *, noise: float, key: Key, dtype: DTypeLike = np.float32
) -> Batch:
    """Two concentric circles: radius 1 is class 0, radius ½ is class 1.

    The classes alternate and each runs through its curve at equal steps; normal noise
    of standard deviation `noise` is added to both coordinates, in float32 whatever the
    dtype. So do the other planar sets.

    Returns:
        Inputs `[count, 2]`, targets int32 `[count]`.
    """
    label, t = _alternating(count)
    radius = 1 - label / 2
    angle = 2 * np.pi * t
    return _jittered(
        radius * np.cos(angle),
        radius * np.sin(angle),
        noise=noise,
        key=key,
        dtype=dtype,
    )


def moons(
    count: int, *, noise: float, key: Key, dtype: DTypeLike = np.float32
) -> Batch:
    """Two interleaved half circles of radius 1: the upper about (0, 0), the lower about
    (1, ½).
    """
    label, t = _alternating(count)
    sign = 1 - 2 * label
    angle = np.pi * t
    x = label + sign * np.cos(angle)
    y = label / 2 + sign * np.sin(angle)
    return _jittered(x, y, noise=noise, key=key, dtype=dtype)


def xor(count: int, *, noise: float, key: Key, dtype: DTypeLike = np.float32) -> Batch:
    """The corners (±1, ±1): class 1 where the signs of the coordinates differ.

    Without noise a linear rule gets at most three of the four corners right.
    """
    label, _ = _alternating(count)
    x = 1 - 2 * (np.arange(count) // 2 % 2)
    return _jittered(x, x * (1 - 2 * label), noise=noise, key=key, dtype=dtype)


def spirals(
    count: int, *, noise: float, key: Key, dtype: DTypeLike = np.float32
) -> Batch:
    """Two spirals, half a turn apart, of radius ¼ + ¾t at the angle 3πt for 0 <= t <
    1.
    """
    label, t = _alternating(count)
    radius = 0.25 + 0.75 * t
    angle = np.pi * (3 * t + label)
    return _jittered(
        radius * np.cos(angle),
        radius * np.sin(angle),
        noise=noise,
        key=key,
        dtype=dtype,
    )


def content_digest(inputs: np.ndarray, targets: np.ndarray) -> str:
    """SHA-256 of the inputs as float32, then of the targets: one digest, whatever dtype
    is asked for.
    """
    single = inputs.astype(np.float32)
    return sha256(single.tobytes() + targets.tobytes())


def _alternating(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels 0, 1, 0, 1, ... and, within each class, equal steps of t from 0 towards
    1.
    """
    _require_count(count)
    index = np.arange(count)
    return index % 2, (index // 2) / ((count + 1) // 2)


def _jittered(
    x: np.ndarray, y: np.ndarray, *, noise: float, key: Key, dtype: DTypeLike
) -> Batch:
    points = np.stack([x, y], axis=-1).astype(np.float32)
    draws = np.asarray(jax.random.normal(key, points.shape, jnp.float32))
    index = np.arange(len(points))
    labels = (index % 2).astype(np.int32)
    moved = points + np.float32(noise) * draws
    return examples(moved.astype(dtype), labels)


def _require_count(count: int) -> None:
    if count < 2:
        raise InputError(
            f"A data set of {count} examples shows nothing: ask for 2 or more."
        )
