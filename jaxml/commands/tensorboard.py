"""A run's scalars as TensorBoard's event files, by the extra `track`."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorboardX import SummaryWriter

from jaxml.record.runs.log import Entry, when


@contextmanager
def recording(folder: Path) -> Iterator[Callable[[Entry], None]]:
    """What writes the entries of one run's log into an event file in `folder`, within a
    second of each.

    A stage `sgd 0-7` adds a point to `sgd/trace.loss` and to `sgd/seconds`; the n-th
    stage of one name before its runs is step n, from 0. A stage that a later attempt
    found kept is written once.
    """
    with SummaryWriter(str(folder), flush_secs=1) as writer:
        seen: set[str] = set()
        steps: Counter[str] = Counter()

        def record(entry: Entry) -> None:
            if entry["event"] != "stage" or entry["stage"] in seen:
                return
            stage = str(entry["stage"])
            seen.add(stage)
            group = re.sub(r" \d+-\d+$", "", stage)
            for name, value in {**entry["scalars"], "seconds": entry["took"]}.items():
                if value is not None:
                    tag, step = f"{group}/{name}", steps[group]
                    writer.add_scalar(tag, value, step, walltime=when(entry))
            steps[group] += 1

        yield record
