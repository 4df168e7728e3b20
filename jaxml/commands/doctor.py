"""`jaxml doctor`: what computes here, and what would go wrong."""

import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from jaxml import parallel, shipped
from jaxml.commands.devices import backend, idle_accelerators
from jaxml.memory import available_bytes
from jaxml.problem.data.image_sets import FASHION_MNIST, MNIST
from jaxml.problem.data.text import SHAKESPEARE

_PACKAGES = ("jaxml", "jax", "jaxlib", "flax", "optax", "numpy", "scipy")


def doctor() -> None:
    """Prints the circumstances of a computation, then a sentence for each thing that
    would go wrong.

    Raises:
        InputError: JAX cannot start.
    """
    table = Table(show_header=False)
    for row in circumstances():
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    console.print(table)
    for sentence in (*warnings(),) or (
        "Nothing would go wrong that can be seen from here.",
    ):
        console.print(sentence, soft_wrap=True)


def circumstances() -> Iterator[tuple[str, str]]:
    """Names and values: devices, versions, flags, precision, cache, memory, data."""
    where = backend()
    kinds = [device.device_kind for device in jax.devices()]
    counts = [f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)]
    yield "devices", f"{where}: {', '.join(counts)}"
    at_once = len(parallel.devices())
    yield (
        "chunks of runs at once",
        f"{at_once}; another number by --devices, or devices= of a sweep",
    )
    yield "free memory", f"{available_bytes() / 2**30:.1f} GiB"
    yield "python", f"{platform.python_version()} on {platform.platform(terse=True)}"
    yield (
        "versions",
        ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES),
    )
    yield "XLA_FLAGS", os.environ.get("XLA_FLAGS") or "none"
    yield (
        "64-bit",
        "on"
        if _setting("jax_enable_x64")
        else "off until a study in float64 switches it on",
    )
    yield (
        "matrix products",
        str(_setting("jax_default_matmul_precision") or "default precision"),
    )
    yield "compilation cache", os.environ.get("JAX_COMPILATION_CACHE_DIR") or "off"
    yield "JAXML_DATA_DIR", os.environ.get("JAXML_DATA_DIR") or "not set"
    for files in (MNIST, FASHION_MNIST, SHAKESPEARE):
        yield files.folder, _whereabouts(files.folder, tuple(files.digests))


def _whereabouts(name: str, files: tuple[str, ...]) -> str:
    cache = shipped.cache()
    given = os.environ.get("JAXML_DATA_DIR")
    for folder in (*([Path(given).expanduser()] if given else []), cache):
        if all((folder / name / file).exists() for file in files):
            return str(folder / name)
    return "not here: downloaded when a study reads it"


def _setting(name: str) -> Any:
    return getattr(jax.config, name)


def warnings() -> Iterator[str]:
    """A sentence for each circumstance that changes numbers or wastes the machine."""
    idle = idle_accelerators()
    given = os.environ.get("JAXML_DATA_DIR")
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if idle:
        yield (
            f"{', '.join(idle)} is here and unused: install the extra cuda12, cuda13 "
            "or tpu."
        )
    if _setting("jax_enable_x64"):
        yield (
            "64-bit is on for everything: studies in float32 may find other numbers; "
            "unset JAX_ENABLE_X64."
        )
    if backend() == "gpu" and _setting("jax_default_matmul_precision") is None:
        yield (
            "float32 matrix products may keep 10 bits (TF32): set "
            "JAX_DEFAULT_MATMUL_PRECISION=highest."
        )
    if backend() == "gpu" and "--xla_gpu_deterministic_ops=true" not in os.environ.get(
        "XLA_FLAGS", ""
    ):
        yield (
            "Two runs may differ in bits: set "
            "XLA_FLAGS=--xla_gpu_deterministic_ops=true before either."
        )
    if given and not Path(given).expanduser().is_dir():
        yield (
            f"JAXML_DATA_DIR names {given}, which is no folder: correct it or unset it."
        )
    if cache and not _writable(Path(cache)):
        yield (
            f"The compilation cache {cache} cannot be written: every process will "
            "compile everything again."
        )


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
