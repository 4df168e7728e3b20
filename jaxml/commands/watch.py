"""`jaxml watch`: what a run has done and is doing, from its log."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path

from jaxml.record.runs.following import ENDS, followed, log_of
from jaxml.record.runs.log import Entry, entries
from jaxml.record.runs.stages import Stage, stage_line
from jaxml.types import InputError


def watch(place: Path, *, once: bool, events: Path | None) -> None:
    """Prints what a run has done so far and, unless `once`, goes on until it ends.

    Args:
        place: a run's folder, finished or not, or a folder of runs, of which the one
            that was worked on last is shown.
        once: whether to stop at what is there already.
        events: a folder that receives the scalars as TensorBoard's event files.

    Raises:
        InputError: no run there has a log, or TensorBoard's writer is not installed.
    """
    log = log_of(place)
    print(f"{log.parent.parent.name} {log.parent.name}", flush=True)
    last = ""
    with _recording(events, log) as record:
        for entry in _written(log) if once else followed(log):
            last = entry["event"]
            print(line(entry), flush=True)
            record(entry)
    if last not in ENDS and not once:
        print("Its process is gone: the same command resumes it.")


def _written(log: Path) -> tuple[Entry, ...]:
    return entries(log.read_text(encoding="utf-8", errors="replace"))


def _recording(
    events: Path | None, log: Path
) -> AbstractContextManager[Callable[[Entry], None]]:
    """What writes an entry into event files, where those are asked for."""
    if events is None:
        return nullcontext(_nowhere)
    try:
        tensorboard = import_module("jaxml.commands.tensorboard")
    except ModuleNotFoundError as reason:
        raise InputError(
            f"TensorBoard's writer is not installed ({reason.name}): install the extra "
            "track, or leave --tensorboard out."
        ) from reason
    return tensorboard.recording(events / log.parent.parent.name / log.parent.name)


def _nowhere(entry: Entry) -> None:
    del entry


def line(entry: Entry) -> str:
    """An entry of a log as a line.

    >>> line({"event": "computing", "seconds": 12.25, "stage": "paths"})
    '    12.2 s  paths: computing'
    """
    return f"{entry.get('seconds', 0.0):8.1f} s  {_said(entry)}"


def _said(entry: Entry) -> str:
    match entry:
        case {"event": "started", "process": process, "host": host, "time": time}:
            return f"process {process} on {host} began at {time}"
        case {"event": "computing", "stage": name}:
            return f"{name}: computing"
        case {"event": "stage", "stage": name, "took": took, "kept": kept}:
            return stage_line(name, Stage(took, kept), entry.get("scalars", {}), most=5)
        case {"event": "finished", "run": run}:
            return f"finished: {run}"
        case {"event": "stopped", "reason": reason}:
            return f"stopped, {reason}; the same command resumes it"
        case {"event": event}:
            return str(event)
    return ""
