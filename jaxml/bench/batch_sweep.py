"""Several seeds at each of several batch sizes: `learn.batch_sweep` in both ways,
against PyTorch's loop over the runs and its best batched form.

All make as many updates of the same network. No way but ours that accumulates gradients
computes two sizes at once, so sizes are timed apart and their seconds added.
"""

from functools import partial

import jax

from jaxml import learn
from jaxml.bench import batch_sweep_torch, grids, peak, peers, sums
from jaxml.bench.batch_sweep_tasks import (
    ON_ACCELERATOR,
    ON_CPU,
    Size,
    Task,
    batches_of,
    grid_of,
    joined,
    points,
    tasks,
    together,
    workload_of,
)
from jaxml.bench.grids import Grid
from jaxml.bench.machine import device
from jaxml.bench.race import once
from jaxml.bench.rows import Row, Target, judged, ranked, spread
from jaxml.bench.sums import Pieces
from jaxml.learn import accumulation

EVEN = Target("ratio", "at least", 1.0)
"""Of PyTorch's best form over ours."""


def measure(size: Size | None = None) -> list[Row]:
    """Both tasks in every way, with compilation and without."""
    size = size or (ON_CPU if jax.default_backend() == "cpu" else ON_ACCELERATOR)
    rows = [row for task in tasks(size) for row in contest(task, size)]
    return rows if peers.torch() else [*rows, peers.absent("batch_sweep")]


def contest(task: Task, size: Size) -> list[Row]:
    """The task in every way in turn; with compilation, which takes longer, once."""
    micro = min(size.sizes)
    first_whole = first_time(task, size, None)
    first_accumulated = first_time(task, size, micro)
    by_size = [grid_of(task, size, batch) for batch in size.sizes]
    ways = [whole(task, by_size), accumulated(task, size), limit(by_size)]
    left_out: list[Row] = []
    torch = peers.torch()
    if torch:
        forms, left_out = batch_sweep_torch.at_once(torch, by_size)
        ways += [*forms, batch_sweep_torch.loop(torch, by_size, task.target)]
    rows = sums.race(
        "batch_sweep", ways, to="ours", rounds=size.rounds, contest=task.name
    )
    base = rows[-1] if torch else rows[0]  # PyTorch's loop, or else ours
    cold = [compared(each, base, task) for each in (first_whole, first_accumulated)]
    return [*map(aimed, ranked([*rows, *cold])), *left_out]


def aimed(row: Row) -> Row:
    """The row with a target if it is of the strongest alternative."""
    aims = row.role == "strongest" and row.target is None
    return judged(row._replace(target=EVEN)) if aims else row


def named(micro: int | None) -> str:
    """The way's name.

    >>> named(None), named(8)
    ('ours, a program a size', 'ours, accumulated from micro-batches of 8')
    """
    if micro is None:
        return "ours, a program a size"
    return f"ours, accumulated from micro-batches of {micro}"


def first_time(task: Task, size: Size, micro: int | None) -> Row:
    """`learn.batch_sweep` from nothing to arrays on the host, measured once."""
    plan = learn.BatchSizes(size.sizes, task.epochs, micro=micro)
    workload, hypers = workload_of(task), points(size)
    lanes = together(task, hypers if micro is None else joined(size))
    sweep = partial(learn.batch_sweep, workload, learn.momentum, plan, hypers)
    _, seconds = once(lambda: sweep(lanes=lanes))
    return Row(
        "batch_sweep",
        f"{task.name}: {named(micro)}, compilation included",
        device(),
        spread([seconds]),
        repetitions=1,
        note="`learn.batch_sweep` traced and compiled anew, nothing taken from a "
        "cache, the programs of several sizes on several cores",
        role="ours",
    )


def compared(row: Row, base: Row, task: Task) -> Row:
    """A row that was measured once, with its ratio to the median of another."""
    if row.seconds is None or base.seconds is None:
        return row
    ratio = row.seconds.median / base.seconds.median
    to = "ours" if base.role == "ours" else base.what.removeprefix(f"{task.name}: ")
    return row._replace(ratio=ratio, to=to)


def whole(task: Task, by_size: list[Grid]) -> Pieces:
    """A program a size, compiled before, as `learn.batch_sweep` makes it."""
    parts = []
    for grid in by_size:
        lanes = together(task, grid.hypers)
        parts.append(grids.program(grid.make(), grid.hypers, lanes=lanes))
    first, *_ = parts
    note = f"{first.what.removeprefix('ours, ')}: {first.note}"
    return sums.joined(named(None), parts, note=note)


def accumulated(task: Task, size: Size) -> Pieces:
    """All sizes as runs of one program, compiled before, as `learn.batch_sweep` makes
    it.
    """
    workload, micro = workload_of(task), min(size.sizes)
    training = accumulation.accumulated(
        workload.start,
        workload.loss,
        learn.momentum,
        batches_of(workload, micro),
        epochs=accumulation.Epochs(task.epochs),
    )
    hypers = joined(size)
    part = grids.program(training, hypers, lanes=together(task, hypers))
    note = f"{part.what.removeprefix('ours, ')}: {part.note}"
    return sums.joined(named(micro), [part], note=note)


def limit(by_size: list[Grid]) -> Pieces:
    """The matrix products of all updates of all runs at the measured peak."""
    total = 0
    for grid in by_size:
        setting = grid.setting
        each = peak.dense(setting.widths, setting.batch)
        total += len(grid.hypers.lr) * setting.steps * each
    part = peak.limit(total)
    return sums.joined(part.what, [part], note=part.note)
