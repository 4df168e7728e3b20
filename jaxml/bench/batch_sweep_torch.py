"""Several seeds at each of several batch sizes in PyTorch: run after run, and all seeds
of a size at once.
"""

from collections.abc import Sequence
from functools import partial
from types import ModuleType

import numpy as np

from jaxml.bench import grids, optimizers, peers, sums, torch_batches, torch_forms
from jaxml.bench.grids import Grid
from jaxml.bench.race import Entrant
from jaxml.bench.rows import Row, Target
from jaxml.bench.sums import Pieces
from jaxml.bench.torch_forms import State, Step, Unavailable

LOOP = "PyTorch, eager, run after run"


def loop(torch: ModuleType, grids_by_size: Sequence[Grid], target: Target) -> Pieces:
    """Its own layers, optimizer and shuffling, one run of each size."""
    parts = [one_run(torch, grid)._replace(target=target) for grid in grids_by_size]
    runs = len(grids_by_size[0].hypers.lr)
    note = f"runs measured: 1 of {runs} at each size, {measured(grids_by_size)}"
    return sums.joined(LOOP, parts, note=note)


def one_run(torch: ModuleType, grid: Grid) -> Entrant:
    """The first run of one size."""
    setting = grid.setting
    _, width, _ = setting.widths
    size = optimizers.Size(
        steps=setting.steps,
        width=width,
        batch=setting.batch,
        torch_steps=grid.torch_steps,
    )
    momentum = optimizers.OPTIMIZERS["SGD with momentum"]
    return optimizers.torch_loop(torch, momentum, grid.data, grid.hypers, size)


def at_once(
    torch: ModuleType, grids_by_size: Sequence[Grid]
) -> tuple[list[Pieces], list[Row]]:
    """All seeds of a size at once, in three ways; and why one is left out, where it
    is.
    """
    first, *_ = grids_by_size
    place = peers.accelerator(torch)
    start = grids.beginning(torch, first, place)
    joined = torch_forms.joined(torch, start)
    network = first.network(torch, first.setting.widths)
    vmapped = torch_forms.vmapped(torch, network, first.rule)
    by_hand = torch_forms.by_hand(torch, network, first.rule, joined)
    data = torch_batches.tensors(torch, first.data, place, classes=first.classes)
    streams = [partial(grids.drawn, torch, grid, data) for grid in grids_by_size]

    def way(what: str, start: State, step: Step) -> Pieces:
        parts = [
            grids.torch_form(torch, grid, stream, what, start, step)
            for grid, stream in zip(grids_by_size, streams, strict=True)
        ]
        note = f"all seeds of a size at once, {measured(grids_by_size)}"
        return sums.joined(what, parts, note=note)

    ways = [way(grids.VMAPPED, start, vmapped), way(grids.BY_HAND, joined, by_hand)]
    examples = [next(stream()) for stream in streams]
    fused = torch_forms.compiled(torch, vmapped, start, *examples)
    if isinstance(fused, Unavailable):
        return ways, [
            Row("batch_sweep", grids.FUSED, "", note=f"left out: {fused.why}")
        ]
    step, seconds = fused
    compiled = way(grids.FUSED, start, step)
    taken = compiled.whole._replace(compile_seconds=seconds)
    return [*ways, compiled._replace(whole=taken)], []


def measured(grids_by_size: Sequence[Grid]) -> str:
    """How much of the work the times are taken on."""
    most = int(np.max([grid.torch_steps for grid in grids_by_size]))
    return (
        f"shuffling included; updates measured: at most {most} of each size, scaled to "
        "all"
    )
