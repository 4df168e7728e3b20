"""Where a run computes: what can change its bits, and what may."""

import json
import os
from pathlib import Path
from platform import machine
from typing import Any

import jax

from jaxml import parallel
from jaxml.freshness import versions

_SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_disable_jit",
    "jax_disable_most_optimizations",
    "jax_optimization_level",
    "jax_exec_time_optimization_effort",
    "jax_random_seed_offset",
    "jax_high_dynamic_range_gumbel",
    "jax_threefry_gpu_kernel_lowering",
    "jax_use_direct_linearize",
    "jax_softmax_custom_jvp",
    "jax_use_magma",
    "jax_numpy_dtype_promotion",
)
_THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SWITCHES = ("NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG", "LIBTPU_INIT_ARGS")
_DEVICE_COUNT = "--xla_force_host_platform_device_count"


def platform() -> str:
    """Backend and kind of device: "cpu: cpu", "gpu: NVIDIA H100 80GB HBM3"."""
    return f"{jax.default_backend()}: {jax.devices()[0].device_kind}"


def settings() -> dict[str, Any]:
    """Every setting of JAX and XLA that can change bits; how many devices there are
    does not.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    kept = sorted(flag for flag in flags if not flag.startswith(_DEVICE_COUNT))
    values = jax.config.values
    return {name: values[name] for name in _SETTINGS if name in values} | {
        "XLA_FLAGS": " ".join(kept)
    }


def hardware() -> dict[str, str]:
    """What the kind of a device does not tell, and what may change the last bits: the
    model of the processor, by whose instructions XLA and LAPACK order their sums, and
    the driver of an accelerator.
    """
    driver = str(jax.devices()[0].client.platform_version)
    return {"processor": _processor(), "driver": " ".join(driver.split())}


def _processor() -> str:
    """The model as Linux names it; the architecture where it does not."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    names = {name.strip(): value.strip() for name, value in fields.items()}
    return names.get("model name") or machine()


def threads() -> dict[str, Any]:
    """The processors, virtual devices and thread counts that may change the last bits
    of LAPACK's results, and the switches of the vendors' libraries.
    """
    counts = {
        "cpus": os.cpu_count(),
        "cores": parallel.cores(),
        "devices of JAX": jax.local_device_count(),
    }
    return counts | variables()


def variables() -> dict[str, str]:
    """Thread counts that are asked for, and switches of the vendors' libraries."""
    names = (*_THREADS, *_SWITCHES)
    return {name: os.environ.get(name, "") for name in names}


def circumstances() -> dict[str, Any]:
    """What parts of one result must have in common, as JSON values.

    How many cores and devices there are is none of it: chunks are the same programs on
    any number of them, so that a run goes on where there are more or fewer.
    """
    found = {
        "versions": versions(),
        "platform": platform(),
        "settings": settings(),
        "variables": variables(),
    }
    return json.loads(json.dumps(found))


def difference(before: Any, now: dict[str, Any]) -> str:
    """The first circumstance that differs, or nothing if none does.

    >>> difference({"versions": {"jax": "1"}}, {"versions": {"jax": "2"}})
    'jax was 1 and is 2'
    >>> difference({"threads": {}}, {"threads": {}})
    ''
    """
    if not isinstance(before, dict):
        return "its circumstances are not recorded"
    for kind, here in now.items():
        there = before.get(kind)
        if not isinstance(here, dict) or not isinstance(there, dict):
            if here != there:
                return f"{kind} was {there} and is {here}"
            continue
        for name in here.keys() | there.keys():
            was, is_now = there.get(name, "not set"), here.get(name, "not set")
            if was != is_now:
                return f"{name} was {was} and is {is_now}"
    return ""
