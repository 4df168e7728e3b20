"""The machine that was measured, in the words that a reader needs to compare it with
another.
"""

import os
import platform
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from jaxml.parallel import cores

_PACKAGES = ("jaxml", "jax", "jaxlib", "numpy", "scipy", "flax", "optax", "torch")
_VARIABLES = (
    "XLA_FLAGS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "JAX_DEFAULT_MATMUL_PRECISION",
)


def describe() -> dict[str, Any]:
    """Devices, processor, threads, versions, and the variables that change speed, as
    JSON values.
    """
    kinds = Counter(device.device_kind for device in jax.devices())
    return {
        "platform": jax.default_backend(),
        "devices": ", ".join(f"{count} x {kind}" for kind, count in kinds.items()),
        "processor": processor(),
        "cores": cores(),
        "threads": {"XLA": cores(), "torch": cores()},
        "system": f"{platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}",
        "versions": dict(_versions()),
        "environment": {name: os.environ.get(name, "") for name in _VARIABLES},
    }


def device() -> str:
    """The kind of device that JAX computes on, as `cpu` or `NVIDIA H200`."""
    return jax.devices()[0].device_kind


def processor() -> str:
    """The processor's name as the kernel tells it, else its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = [
        line.partition(":")[2].strip()
        for line in lines
        if line.startswith("model name")
    ]
    return named[0] if named else platform.processor() or platform.machine()


def _versions() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "absent"
