"""MNIST and Fashion-MNIST, from a folder on this machine or from a mirror, with pinned
checksums.
"""

from pathlib import Path

import numpy as np
from jax.typing import DTypeLike

from jaxml.problem.data.examples import examples
from jaxml.problem.data.files import FileSet, published
from jaxml.problem.data.idx import parse
from jaxml.types import Batch, Dataset, InputError

__all__ = ["fashion_mnist", "mnist", "shrunk"]


FASHION_MNIST = FileSet(
    "fashion-mnist",
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    {
        "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)
MNIST = FileSet(
    "mnist",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    {
        "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
)


def fashion_mnist(
    *, train: int = 60000, test: int = 10000, dtype: DTypeLike = np.float32
) -> Dataset:
    """Ten kinds of clothing: the first `train` training and the first `test` test
    images.

    The files are looked for in `$JAXML_DATA_DIR/fashion-mnist/`, then in
    `$XDG_CACHE_HOME/jaxml/fashion-mnist/` (without the variable, under `~/.cache`), and
    otherwise downloaded into the latter (30 MB). They may be compressed as published or
    unpacked. Every read verifies the checksums of their content.

    Returns:
        Inputs `[n, 28, 28, 1]` in [0, 1], targets int32 `[n]`.

    Raises:
        InputError: a file is corrupt, or neither here nor to be had; a count is out of
            range.

    Source: Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747.
    """
    return load(FASHION_MNIST, train=train, test=test, dtype=dtype)


def mnist(
    *, train: int = 60000, test: int = 10000, dtype: DTypeLike = np.float32
) -> Dataset:
    """Handwritten digits; otherwise as `fashion_mnist`, in folders called `mnist` (12
    MB).

    Source: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to
        document recognition".
    """
    return load(MNIST, train=train, test=test, dtype=dtype)


def shrunk(images: Batch, block: int) -> Batch:
    """The means over squares of so many by so many pixels, in the pixels' dtype.

    Args:
        images: inputs `[n, height, width, colours]`.
        block: the side of a square, which divides height and width.

    Raises:
        InputError: it does not.
    """
    pixels = np.asarray(images.inputs)
    n, height, width, colours = pixels.shape
    if block < 1 or height % block or width % block:
        raise InputError(
            f"Pictures of {height} by {width} pixels hold no whole squares of {block}: "
            "choose a divisor of both."
        )
    rows, columns = height // block, width // block
    squares = pixels.reshape(n, rows, block, columns, block, colours)
    return images._replace(inputs=squares.mean(axis=(2, 4), dtype=pixels.dtype))


def load(images: FileSet, *, train: int, test: int, dtype: DTypeLike) -> Dataset:
    """The first `train` and the first `test` examples of a set."""
    return Dataset(
        _part(images, "train", train, dtype), _part(images, "t10k", test, dtype)
    )


def _part(images: FileSet, part: str, count: int, dtype: DTypeLike) -> Batch:
    pixels = _array(images, f"{part}-images-idx3-ubyte.gz")
    labels = _array(images, f"{part}-labels-idx1-ubyte.gz")
    if not 0 < count <= len(pixels):
        raise InputError(
            f"{images.folder} cannot give {count} {part} images: ask for 1 to "
            f"{len(pixels)}."
        )
    return examples(
        pixels[:count, :, :, None].astype(dtype) / 255, labels[:count].astype(np.int32)
    )


def _array(images: FileSet, name: str) -> np.ndarray:
    return parse(published(images, name), Path(images.folder) / name)
