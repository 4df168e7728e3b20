"""How much memory there is: what the kernel's files say, written down by hand as trees
of files.
"""

import os
from pathlib import Path

import pytest

from jaxml import memory
from jaxml.types import InputError

GIB = 2**30
UNLIMITED = 2**63 - 4096  # what version 1 says of a group without a limit


def tree(root: Path, **files: object) -> Path:
    """A file system of those files; underscores in pairs are slashes."""
    for name, content in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n")
    return root


def write(root: Path, folder: str, files: dict[str, object]) -> None:
    path = root / folder
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_text(f"{content}\n")


def machine(root: Path, group: str, mounts: str, *, free: int = 20 * GIB) -> Path:
    meminfo = (
        f"MemTotal:  32000000 kB\nMemFree:  1 kB\nMemAvailable:   {free // 1024} kB"
    )
    return tree(
        root,
        proc__meminfo=meminfo,
        proc__self__cgroup=group,
        proc__self__mountinfo=mounts,
    )


SECOND = (
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
)
FIRST = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
JOINED = "35 31 0:32 / /sys/fs/cgroup/all rw shared:9 - cgroup cgroup rw,cpu,memory"


@pytest.mark.oracle
def test_without_groups_the_kernel_is_believed(tmp_path):
    assert memory.host_bytes(machine(tmp_path, "", "", free=7 * GIB)) == 7 * GIB


@pytest.mark.oracle
def test_a_group_of_version_2_bounds_what_is_free(tmp_path):
    """3 GiB allowed, 2 used, half a GiB of it file pages: 1.5 GiB are left of the
    machine's 20.
    """
    root = machine(tmp_path, "0::/user.slice/job", SECOND)
    statistics = (
        f"anon 5\ninactive_file {GIB // 4}\nactive_file {GIB // 8}\nslab_reclaimable "
        f"{GIB // 8}"
    )
    files = {"memory.max": 3 * GIB, "memory.high": "max", "memory.current": 2 * GIB}
    write(root, "sys/fs/cgroup/user.slice/job", files | {"memory.stat": statistics})
    assert memory.host_bytes(root) == 3 * GIB // 2


@pytest.mark.oracle
def test_a_group_of_version_1_bounds_what_is_free(tmp_path):
    group = (
        "12:cpu,cpuacct:/other\n11:memory:/batch/job\n1:name=systemd:/\n0::/elsewhere"
    )
    root = machine(
        tmp_path, group, f"{FIRST}\n{SECOND.replace('cgroup rw', 'cgroup/unified rw')}"
    )
    statistics = (
        f"inactive_file 1\ntotal_inactive_file {GIB // 2}\ntotal_active_file {GIB // 4}"
    )
    files = {
        "memory.limit_in_bytes": 4 * GIB,
        "memory.usage_in_bytes": 3 * GIB,
        "memory.stat": statistics,
    }
    write(root, "sys/fs/cgroup/memory/batch/job", files)
    assert memory.host_bytes(root) == GIB + GIB // 2 + GIB // 4


@pytest.mark.oracle
@pytest.mark.parametrize(
    "above", ["sys/fs/cgroup", "sys/fs/cgroup/slurm", "sys/fs/cgroup/slurm/step"]
)
def test_the_tightest_of_the_groups_above_counts(tmp_path, above):
    root = machine(tmp_path, "0::/slurm/step/task", SECOND)
    for folder in ("slurm", "slurm/step", "slurm/step/task"):
        free = {"memory.max": "max", "memory.high": "max", "memory.current": GIB}
        write(root, f"sys/fs/cgroup/{folder}", free)
    write(root, above, {"memory.max": 5 * GIB, "memory.current": 3 * GIB})
    assert memory.host_bytes(root) == 2 * GIB


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("group", "mount", "folder"),
    [
        ("0::/", SECOND, ""),  # a container with a namespace of groups of its own
        ("0::/../other", SECOND, ""),  # a process outside the namespace's root
        (
            "0::/docker/ab/x",
            SECOND.replace("0:26 / ", "0:26 /docker/ab "),
            "x",
        ),  # a bound part
        ("0::/elsewhere", SECOND.replace("0:26 / ", "0:26 /docker/ab "), ""),
        ("0::/job", SECOND.replace("/sys/fs/cgroup", "/my\\040groups"), "job"),
    ],
)
def test_the_mount_says_where_the_group_lies(tmp_path, group, mount, folder):
    root = machine(tmp_path, group, mount)
    base = "my groups" if "my" in mount else "sys/fs/cgroup"
    write(root, f"{base}/{folder}", {"memory.max": 3 * GIB, "memory.current": GIB})
    assert memory.host_bytes(root) == 2 * GIB


@pytest.mark.oracle
def test_controllers_that_are_mounted_together_are_found(tmp_path):
    root = machine(tmp_path, "4:cpu,memory:/job", JOINED)
    files = {"memory.limit_in_bytes": 3 * GIB, "memory.usage_in_bytes": GIB}
    write(root, "sys/fs/cgroup/all/job", files)
    assert memory.host_bytes(root) == 2 * GIB


@pytest.mark.oracle
def test_no_limit_limits_nothing(tmp_path):
    root = machine(tmp_path, "0::/a\n4:memory:/b", f"{SECOND}\n{FIRST}")
    write(root, "sys/fs/cgroup/a", {"memory.max": "max", "memory.current": GIB})
    files = {"memory.limit_in_bytes": UNLIMITED, "memory.usage_in_bytes": GIB}
    write(root, "sys/fs/cgroup/memory/b", files)
    assert memory.host_bytes(root) == 20 * GIB


@pytest.mark.oracle
def test_a_soft_limit_counts_too(tmp_path):
    root = machine(tmp_path, "0::/a", SECOND)
    files = {"memory.max": 8 * GIB, "memory.high": 3 * GIB, "memory.current": GIB}
    write(root, "sys/fs/cgroup/a", files)
    assert memory.host_bytes(root) == 2 * GIB


@pytest.mark.identity
def test_a_group_that_is_over_its_limit_leaves_nothing_and_not_less(tmp_path):
    root = machine(tmp_path, "0::/a", SECOND)
    write(root, "sys/fs/cgroup/a", {"memory.max": GIB, "memory.current": 2 * GIB})
    assert memory.host_bytes(root) == 0


@pytest.mark.identity
def test_this_machine_has_memory():
    """No more than is built in; what is available changes from look to look."""
    built_in = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.host_bytes() <= built_in


@pytest.mark.identity
def test_a_need_is_compared_with_what_is_free():
    memory.require(10, "This", "take less", free=10)
    with pytest.raises(
        InputError, match=r"This needs 2\.0 GiB and 1\.5 GiB are free: take less\."
    ):
        memory.require(2 * GIB, "This", "take less", free=3 * GIB // 2)
