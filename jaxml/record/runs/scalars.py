"""The few numbers of a stage that are worth watching while a run goes on."""

import re
from typing import Any

import jax
import numpy as np

MOST = 20
"""Of one stage."""


def scalars(value: Any) -> dict[str, float | None]:
    """The numbers of a stage by name, at most `MOST`; None for what is not finite.

    They are the arrays of one number, and of each array whose name ends in `loss` or
    `losses`, such as the trace of a chunk of runs `[run, step]`, the mean over runs of
    its last entries, as far as they are finite. Where runs can diverge, `diverged`
    counts them. Cost: a pass over one entry a run.

    >>> chunk = {"4 .trace.loss": np.array([[3.0, 1.0], [4.0, 2.0]]), "w": np.ones(9)}
    >>> scalars(chunk)
    {'trace.loss': 1.5}
    """
    found: dict[str, float | None] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(value)[0]:
        if len(found) == MOST:
            break
        if isinstance(leaf, np.ndarray | np.generic | int | float):
            found |= _of_leaf(_name(path), np.asarray(leaf))
    return found


def _name(path: Any) -> str:
    """`trace.loss` of the key "4 .trace.loss" of a dict, `power` of a field."""
    text = jax.tree_util.keystr(path)
    words = re.findall(r"[A-Za-z_]\w*|\d+", text)
    is_place_in_sweep = re.match(r"""\[['"]\d+ """, text)
    return ".".join(words[1:] if is_place_in_sweep else words)


def _of_leaf(name: str, leaf: np.ndarray) -> dict[str, float | None]:
    last = name.rpartition(".")[2]
    if leaf.dtype.kind not in "iuf" or not leaf.size:
        return {}
    if last == "diverged_at":
        return {"diverged": float(np.sum(leaf >= 0))}
    if leaf.size == 1:
        return {name or "value": _finite(float(leaf.item()))}
    if last.endswith(("loss", "losses")):
        return {name: _mean(leaf[..., -1])}
    return {}


def _mean(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)].astype(np.float64)
    return float(np.mean(finite)) if finite.size else None


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
