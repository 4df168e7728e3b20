"""`jaxml doctor`: what computes here, and what would go wrong."""

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from jaxml import parallel, shipped
from jaxml.commands.devices import backend, idle_accelerators
from jaxml.commands.environment import DETERMINISM, unchecked_compressor
from jaxml.commands.machine import (
    FULL,
    Product,
    contents,
    cores,
    default_device,
    free_disk,
    is_writable,
    physical_bytes,
    product,
    quota,
)
from jaxml.memory import available_bytes, host_bytes
from jaxml.problem.data.image_sets import FASHION_MNIST, MNIST
from jaxml.problem.data.text import SHAKESPEARE
from jaxml.record.runs.circumstances import hardware

LITTLE = 2**30
"""Bytes of disk or memory below which it is said."""

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
_PACKAGES = ("jaxml", "jax", "jaxlib", "flax", "optax", "numpy", "scipy")


def doctor() -> None:
    """Prints the circumstances of a computation, then a sentence for each thing that
    would go wrong and how to mend it.

    Raises:
        InputError: JAX cannot start.
    """
    table = Table(show_header=False)
    backend()  # refuses in a sentence where JAX cannot start
    multiplied = product()
    for row in circumstances(multiplied):
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    console.print(table)
    for sentence in (*warnings(multiplied),) or (
        "Nothing would go wrong that can be seen from here.",
    ):
        console.print(sentence, soft_wrap=True)


def circumstances(multiplied: Product) -> Iterator[tuple[str, str]]:
    """Names and values: devices, versions, flags, precision, cache, memory, data."""
    yield from _devices(multiplied)
    yield "python", f"{platform.python_version()} on {platform.platform(terse=True)}"
    yield (
        "versions",
        ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES),
    )
    yield from _settings(multiplied)
    yield from _folders()


def _devices(multiplied: Product) -> Iterator[tuple[str, str]]:
    where = backend()
    kinds = [device.device_kind for device in jax.devices()]
    counts = [f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)]
    yield "devices", f"{where}: {', '.join(counts)}"
    at_once = len(parallel.devices())
    yield (
        "chunks of runs at once",
        f"{at_once}; another number by --devices, or devices= of a sweep",
    )
    yield "a product was computed by", multiplied.device
    yield "driver", hardware()["driver"]
    yield "processor", hardware()["processor"]
    yield "cores", cores()
    yield (
        "free memory",
        f"{available_bytes() / 2**30:.1f} GiB; machine and control groups leave "
        f"{host_bytes() / 2**30:.1f} of {physical_bytes() / 2**30:.1f} GiB",
    )


def _settings(multiplied: Product) -> Iterator[tuple[str, str]]:
    yield "XLA_FLAGS", os.environ.get("XLA_FLAGS") or "none"
    named = [f"{name} {os.environ[name]}" for name in _THREADS if os.environ.get(name)]
    yield "threads", ", ".join(named) or "as many as there are cores"
    yield (
        "64-bit",
        "on"
        if _setting("jax_enable_x64")
        else "off until a study in float64 switches it on",
    )
    precision = _setting("jax_default_matmul_precision") or "default precision"
    yield "matrix products", f"{precision}: {multiplied.bits} of {FULL} bits kept"


def _folders() -> Iterator[tuple[str, str]]:
    here = Path.cwd()
    yield "disk", f"{free_disk(here) / 2**30:.1f} GiB free in {here}"
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    yield "compilation cache", f"{cache}: {contents(Path(cache))}" if cache else "off"
    yield "JAXML_DATA_DIR", os.environ.get("JAXML_DATA_DIR") or "not set"
    yield "downloads", str(shipped.cache())
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


def warnings(multiplied: Product) -> Iterator[str]:
    """A sentence for each circumstance that changes numbers or wastes the machine."""
    yield from _wasted(multiplied)
    yield from _imprecise(multiplied)
    yield from _lacking()


def _wasted(multiplied: Product) -> Iterator[str]:
    idle = idle_accelerators()
    if idle:
        chosen = os.environ.get("JAX_PLATFORMS")
        remedy = (
            f"unset JAX_PLATFORMS={chosen}"
            if chosen
            else "install the extra cuda12, cuda13 or tpu"
        )
        yield f"{', '.join(idle)} is here and unused: {remedy}."
    elif multiplied.device != jax.devices()[0].device_kind:
        yield (
            f"A product was computed by {multiplied.device}, although JAX has "
            f"{jax.devices()[0].device_kind}: unset jax_default_device, which is "
            f"{default_device()}."
        )
    granted = quota()
    if granted is not None and granted < parallel.cores():
        yield (
            f"{parallel.cores()} cores are seen and the time of {granted:g} is "
            f"granted: pass --devices {max(1, int(granted))}, or raise the group's "
            "cpu.max."
        )


def _imprecise(multiplied: Product) -> Iterator[str]:
    if _setting("jax_enable_x64"):
        yield (
            "64-bit is on for everything: studies in float32 may find other numbers; "
            "unset JAX_ENABLE_X64."
        )
    if multiplied.bits < FULL:
        yield (
            f"float32 matrix products keep {multiplied.bits} of {FULL} bits: set "
            "JAX_DEFAULT_MATMUL_PRECISION=highest."
        )
    if backend() == "gpu" and DETERMINISM not in os.environ.get("XLA_FLAGS", ""):
        yield (
            "Two runs may differ in bits: pass --deterministic to `jaxml run`, or set "
            f"XLA_FLAGS={DETERMINISM} before either."
        )
    blas = os.environ.get("OPENBLAS_NUM_THREADS", "1")
    if blas != "1":
        yield (
            f"LAPACK computes by {blas} threads, whose number changes the last bits: "
            "unset OPENBLAS_NUM_THREADS."
        )


def _lacking() -> Iterator[str]:
    given = os.environ.get("JAXML_DATA_DIR")
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    unchecked = unchecked_compressor()
    if given and not Path(given).expanduser().is_dir():
        yield (
            f"JAXML_DATA_DIR names {given}, which is no folder: correct it or unset it."
        )
    if cache and not is_writable(Path(cache)):
        yield (
            f"The compilation cache {cache} cannot be written: every process will "
            "compile everything again; name another by JAX_COMPILATION_CACHE_DIR."
        )
    if unchecked:
        yield (
            f"{unchecked} is installed, with which JAX keeps compiled programs without "
            "a checksum, so none are kept unless you name a folder: uninstall it to "
            "start faster."
        )
    if not is_writable(shipped.cache()):
        yield (
            f"{shipped.cache()} cannot be written: data cannot be downloaded; name a "
            "folder that can by XDG_CACHE_HOME."
        )
    if free_disk(Path.cwd()) < LITTLE:
        yield "Less than 1 GiB of disk is free here: make room, or name --runs."
    if available_bytes() < LITTLE:
        yield (
            "Less than 1 GiB of memory is free: larger studies will be refused; end "
            "other work, or raise the group's memory.max."
        )
