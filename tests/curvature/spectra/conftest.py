"""The matrices, loaded once for all files of a worker."""

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "spectra_matrices", Path(__file__).with_name("matrices.py")
)
sys.modules["spectra_matrices"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["spectra_matrices"])
