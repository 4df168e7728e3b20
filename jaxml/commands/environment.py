"""What the process is told before JAX is imported. Nothing here imports it."""

import importlib.util
import io
import json
import os
import sys
from pathlib import Path

from jaxml import shipped

DETERMINISM = "--xla_gpu_deterministic_ops=true"
"""The flag of XLA under which a GPU gives the same bits each time: no sum by atomic
additions, and no algorithm chosen by a stopwatch.
"""

_COMPRESSORS = ("zstandard", "compression.zstd")
"""Packages with which JAX keeps compiled programs without a checksum, so that a flipped
bit on disk would be executed; without them it uses zlib, which has one.
"""


def say_what_the_terminal_can() -> None:
    """Characters that the terminal's encoding lacks are replaced, not refused."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def prepare(*, deterministic: bool = False) -> None:
    """Keeps compiled programs between processes, and LAPACK to one thread: both are
    read on import, and so are the flags of XLA.

    Args:
        deterministic: whether `DETERMINISM` joins the flags; the manifest records
            them, and they are part of a run's identity.
    """
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # small spectra: threads wait, and change the bits
    if deterministic and DETERMINISM not in os.environ.get("XLA_FLAGS", ""):
        flags = (os.environ.get("XLA_FLAGS", ""), DETERMINISM)
        os.environ["XLA_FLAGS"] = " ".join(flag for flag in flags if flag)
    if unchecked_compressor() is None:
        os.environ.setdefault(
            "JAX_COMPILATION_CACHE_DIR", str(shipped.cache() / "compilation")
        )
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def was_deterministic(folder: Path) -> bool:
    """Whether a run was made under `DETERMINISM`, so that it is verified under it too;
    no where its manifest cannot be read, which is refused later.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return DETERMINISM in manifest["settings"]["XLA_FLAGS"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def unchecked_compressor() -> str | None:
    """The installed package of `_COMPRESSORS`, if there is one."""
    for name in _COMPRESSORS:
        parent = name.partition(".")[0]
        if importlib.util.find_spec(parent) and importlib.util.find_spec(name):
            return name
    return None
