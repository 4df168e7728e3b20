"""How much memory there is, and the one sentence that says it is not enough."""

import os
from pathlib import Path

import jax

from jaxml.types import InputError


def available_bytes() -> int:
    """Bytes that a computation on the default device may still take.

    An accelerator tells its own limit; for the CPU it is what the kernel calls available, or half of
    the physical memory where the kernel does not say.
    """
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def require(needed: int, purpose: str, remedy: str) -> None:
    """Stops before a computation that cannot fit.

    Args:
        needed: bytes at the peak.
        purpose: what needs them, the sentence's subject.
        remedy: what to do instead, an imperative.

    Raises:
        InputError: `needed` is more than `available_bytes()`.
    """
    free = available_bytes()
    if needed > free:
        raise InputError(
            f"{purpose} needs {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free: {remedy}."
        )
