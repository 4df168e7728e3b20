"""`--distributed`: process 0 runs the command and writes its runs; the others compute
with it.

Before a study begins, process 0 tells the others which, with which config and which
results of other studies. Then all execute it: chunks of runs are divided, what lies
between them is computed by each, and what is kept is what process 0 has, which alone
knows what an earlier attempt had stored.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxml import processes, shipped
from jaxml.record import Study, load
from jaxml.record.runs.archive import load_tree, save_tree
from jaxml.record.study import config_from_json, config_to_json
from jaxml.types import Keep

_COMPUTE, _KEPT, _END = b"compute", b"kept", b""


def jointly(work: Callable[[], None]) -> None:
    """Does the work on process 0, while the others help with every study in it.

    Raises:
        InputError: another process has ended.
    """
    if jax.process_index() > 0:
        _help()
        return
    work()
    if jax.process_count() > 1:
        processes.broadcast(_END)


def led(study: Study) -> Study:
    """The study, computed by all processes of the job; as it is where there is one."""
    if jax.process_count() == 1:
        return study

    def together(config: Any, keep: Keep, *results: Any) -> Any:
        task = {"study": str(study.path), "config": config_to_json(config)}
        processes.broadcast(json.dumps(task).encode())
        processes.broadcast(_packed(results))
        with processes.dividing():
            return study.study(config, _leading(keep), *results)

    return study._replace(study=together)


def _help() -> None:
    """Computes with process 0 until that says that it has ended."""
    while task := processes.broadcast(_END):
        told = json.loads(task)
        study = load(told["study"])
        for name in study.needs:
            load(shipped.needed(study.path, name))
        results: Sequence[Any] = _unpacked(processes.broadcast(b""))
        config = config_from_json(study.Config, told["config"])
        with processes.dividing():
            study.study(config, _helping, *results)


def _leading(keep: Keep) -> Keep:
    """A `keep` that tells the others whether to compute, and then the value."""

    def shared(name: str, compute: Callable[[], Any]) -> Any:
        asked = []

        def computed() -> Any:
            asked.append(name)
            processes.broadcast(_COMPUTE)
            return compute()

        value = keep(name, computed)
        if not asked:
            processes.broadcast(_KEPT)
        processes.broadcast(_packed(value))
        return value

    return shared


def _helping(name: str, compute: Callable[[], Any]) -> Any:
    """The `keep` of the others: the value of process 0, computed with it if it says
    so.
    """
    del name
    if processes.broadcast(b"") == _COMPUTE:
        compute()
    return _unpacked(processes.broadcast(b""))


def _packed(tree: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tree.npz"
        save_tree(file, tree)
        return file.read_bytes()


def _unpacked(data: bytes) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tree.npz"
        file.write_bytes(data)
        return load_tree(file)
