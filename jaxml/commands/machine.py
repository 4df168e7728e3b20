"""What can be measured of this machine in a moment: precision, cores, disk, cache."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import parallel

FULL = 24
"""Bits of a float32 number's significand."""


class Product(NamedTuple):
    """A matrix product of float32, as this machine computes it.

    Attributes:
        device: the kind of device that its result lies on.
        bits: how many of the 24 bits of a number survive a product with 1: 24, or 11
            of TF32, or 8 of bfloat16.
    """

    device: str
    bits: int


def product(size: int = 256) -> Product:
    """Multiplies random numbers by the identity; exact unless they are cut before."""
    numbers = np.random.default_rng(0).uniform(1.0, 2.0, (size, size))
    given = jnp.asarray(numbers, jnp.float32)
    found = jnp.matmul(given, jnp.eye(size, dtype=jnp.float32))
    (device,) = found.devices()
    return Product(device.device_kind, kept_bits(np.asarray(given), np.asarray(found)))


def kept_bits(exact: np.ndarray, found: np.ndarray) -> int:
    """Bits of the significand that two float32 arrays of numbers in [1, 2) share.

    >>> kept_bits(np.float32([1.5]), np.float32([1.5 + 2**-11]))
    11
    """
    largest = float(np.max(np.abs(exact.astype(np.float64) - found)))
    if not np.isfinite(largest):
        return 0
    return FULL if largest == 0 else min(FULL, max(0, round(-np.log2(largest))))


def cores() -> str:
    """The cores that this process may use, of those that there are, and how much of
    their time a control group grants.
    """
    granted = quota()
    text = f"{parallel.cores()} of {os.cpu_count()}"
    return text if granted is None else f"{text}, the time of {granted:g} granted"


def quota(root: Path = Path("/")) -> float | None:
    """The cores whose time the control group grants; None where it does not limit it.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, cpu.max: "quota period".
    """
    limit = root / "sys/fs/cgroup/cpu.max"
    words = limit.read_text().split() if limit.is_file() else []
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None
    return int(words[0]) / int(words[1])


def physical_bytes() -> int:
    """The memory of the whole machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def free_disk(folder: Path) -> int:
    """Free bytes where the folder lies, or would lie."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def is_writable(folder: Path) -> bool:
    """Whether a file can be made in the folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def contents(folder: Path) -> str:
    """How many files lie in a folder, and how large they are together.

    >>> contents(Path("/nowhere"))
    '0 files, 0 MiB'
    """
    files = [each for each in folder.glob("**/*") if each.is_file()]
    size = sum(each.stat().st_size for each in files)
    return f"{len(files)} files, {size / 2**20:.0f} MiB"


def default_device() -> str | None:
    """The device that JAX was told to use in place of the first, if it was."""
    given = jax.config.values["jax_default_device"]
    return None if given is None else str(given)
