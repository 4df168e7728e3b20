"""PyTorch, the peer that the benchmarks compare with, where it is installed."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from jaxml.bench.machine import cores
from jaxml.bench.rows import Row

ABSENT = "left out: PyTorch is not installed; install the extra `bench`"


def torch() -> ModuleType | None:
    """PyTorch with a thread for each core, or None where it is not installed."""
    if find_spec("torch") is None:
        return None
    module = import_module("torch")
    module.set_num_threads(cores())
    return module


def accelerator(torch: ModuleType) -> str:
    """Where PyTorch computes: `cuda` if it can, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(torch: ModuleType) -> str:
    """The kind of that device, in the words of `machine.device`."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def absent(benchmark: str) -> Row:
    """The line that stands where PyTorch's would."""
    return Row(benchmark, "PyTorch", "", note=ABSENT)
