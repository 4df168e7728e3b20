"""How much memory there is, and the one sentence that says it is not enough."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax

from jaxml.types import Device, InputError


def available_bytes(devices: Iterable[Device] | None = None) -> int:
    """Bytes that a computation may still take on each of the devices; on the default
    one if none is named.

    An accelerator tells its own limit; for CPU devices it is `host_bytes()`, which they
    share.
    """
    chosen = jax.local_devices()[:1] if devices is None else devices
    return min(_device_bytes(device) for device in chosen)


def _device_bytes(device: Device) -> int:
    statistics = device.memory_stats() or {}
    if "bytes_limit" in statistics:
        return statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)
    return host_bytes()


def host_bytes(root: Path = Path("/")) -> int:
    """Bytes that this process may still take of the host: the least that any limit
    leaves.

    The limits are what the kernel calls available of the whole machine (half of the
    physical memory where the kernel does not say), and what each control group that the
    process is in, and each group above it, leaves of its own: limit - usage + file
    pages that the kernel can drop.

    Args:
        root: of the file system that holds /proc and the mounted groups.

    Source: Linux, Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst
        (memory.max, memory.high, memory.current, memory.stat).
    """
    return max(0, min([_machine_bytes(root), *_group_bytes(root)]))


def require(needed: int, purpose: str, remedy: str, *, free: int | None = None) -> None:
    """Stops before a computation that cannot fit.

    Args:
        needed: bytes at the peak.
        purpose: what needs them, the sentence's subject.
        remedy: what to do instead, an imperative.
        free: bytes that there are; `available_bytes()` when not given.

    Raises:
        InputError: `needed` is more than `free`.
    """
    free = available_bytes() if free is None else free
    if needed > free:
        raise InputError(
            f"{purpose} needs {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are "
            f"free: {remedy}."
        )


class _Version(NamedTuple):
    """What one version of control groups calls its files, and its counts of pages that
    can be dropped.
    """

    limits: tuple[str, ...]
    usage: str
    droppable: tuple[str, ...]


_FIRST = _Version(
    ("memory.limit_in_bytes",),
    "memory.usage_in_bytes",
    ("total_inactive_file", "total_active_file"),
)
_SECOND = _Version(
    ("memory.max", "memory.high"),
    "memory.current",
    ("inactive_file", "active_file", "slab_reclaimable"),
)


def _machine_bytes(root: Path) -> int:
    meminfo = root / "proc/meminfo"
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        if "MemAvailable" in fields:
            return int(fields["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _group_bytes(root: Path) -> Iterator[int]:
    """What each control group with a limit leaves to the process."""
    for folder, version in _groups(root):
        limits = [_count(folder / name) for name in version.limits]
        known = [limit for limit in limits if limit is not None]
        usage = _count(folder / version.usage)
        if known and usage is not None:
            yield min(known) - usage + _droppable(folder, version)


def _groups(root: Path) -> Iterator[tuple[Path, _Version]]:
    """The folders of the process's memory groups, each followed by those above it up to
    the mount.
    """
    names = _names(root)
    for mount, inside, version in _mounts(root):
        name = names.get(version)
        if name is None:
            continue
        below = os.path.relpath(name, inside)
        outside = below.startswith("..")
        folder = mount if outside else mount / below
        yield folder, version
        while folder != mount:
            folder = folder.parent
            yield folder, version


def _names(root: Path) -> dict[_Version, str]:
    """The process's memory group in each hierarchy, as /proc/self/cgroup lists them."""
    names = {}
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, name = line.split(":", 2)
        if number == "0" and not controllers:
            names[_SECOND] = name
        elif "memory" in controllers.split(","):
            names[_FIRST] = name
    return names


def _mounts(root: Path) -> Iterator[tuple[Path, str, _Version]]:
    """Where the hierarchies of memory groups are mounted, and which of their groups is
    the mount's root.
    """
    for line in _lines(root / "proc/self/mountinfo"):
        place, _, kind = line.partition(" - ")
        inside, mount = place.split()[3:5]
        kind, *_, options = kind.split() or ("", "")
        folder = root / mount.replace("\\040", " ").lstrip("/")
        if kind == "cgroup2":
            yield folder, inside, _SECOND
        elif kind == "cgroup" and "memory" in options.split(","):
            yield folder, inside, _FIRST


def _droppable(folder: Path, version: _Version) -> int:
    """Bytes of file pages, which count as used and are dropped when memory runs
    short.
    """
    statistics = dict(line.split(maxsplit=1) for line in _lines(folder / "memory.stat"))
    return sum(int(statistics.get(name, 0)) for name in version.droppable)


def _count(file: Path) -> int | None:
    """The number in a file of one line; None where the file is absent or says "max"."""
    text = "".join(_lines(file)).strip()
    return int(text) if text.isdecimal() else None


def _lines(file: Path) -> list[str]:
    """The lines of a file that hold something; none where it cannot be read."""
    text = file.read_text() if os.access(file, os.R_OK) else ""
    return [line for line in text.splitlines() if line.strip()]
