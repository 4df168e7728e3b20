"""PyTorch, the peer that the benchmarks compare with, where it is installed."""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import jax

from jaxml.bench.rows import Row
from jaxml.parallel import cores

ABSENT = "left out: PyTorch is not installed; install the extra `bench`"


def torch() -> ModuleType | None:
    """PyTorch with a thread for each core, or None where it is not installed.

    On an accelerator its float32 products may use TF32 where JAX's may, which is JAX's
    default.
    """
    if find_spec("torch") is None:
        return None
    module = import_module("torch")
    module.set_num_threads(cores())
    if module.cuda.is_available():
        free = jax.config.values["jax_default_matmul_precision"] in (
            None,
            "default",
            "tensorfloat32",
        )
        module.set_float32_matmul_precision("high" if free else "highest")
    return module


def accelerator(torch: ModuleType) -> str:
    """Where PyTorch computes: `cuda` if it can, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(torch: ModuleType) -> str:
    """The kind of that device, in the words of `machine.device`."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def wait() -> None:
    """Waits for what PyTorch has begun on its accelerator, if it was ever used."""
    module = sys.modules.get("torch")
    if module is not None and module.cuda.is_initialized():
        module.cuda.synchronize()


def absent(benchmark: str) -> Row:
    """The line that stands where PyTorch's would."""
    return Row(benchmark, "PyTorch", "", note=ABSENT)
