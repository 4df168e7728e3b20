"""`jaxml run`: studies in turn, in one process, and what became of their claims."""

import contextlib
import dataclasses
import gc
import io
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from jaxml.commands.devices import backend
from jaxml.problem.data.checksums import checksums
from jaxml.record import Study, list_runs, load, load_run
from jaxml.record.store import Needed, execute
from jaxml.source import Description, describe
from jaxml.types import InputError

DATA = ("digits", "fashion_mnist", "mnist", "pokemon_cp", "shakespeare", "sinc")
"""The data sets with a checksum; a study that says one of these words is taken to read it."""

_COLOURS = {"supported": "green", "refuted": "red", "undecided": "yellow"}


def run(
    descriptions: Sequence[Description],
    overrides: Mapping[str, Sequence[str]],
    *,
    smoke: bool,
    runs: Path,
    again: bool,
) -> None:
    """Runs each study with its own config, smoke or whole, and prints the verdicts.

    Raises:
        InputError: a study breaks its contract, a value does not fit its field, or `runs` cannot be written.
    """
    backend()  # refuses in a sentence where JAX cannot start
    studies = [load(each.path) for each in descriptions]
    gc.freeze()  # what is imported stays; walking it at every collection costs a tenth of the tracing

    def config(study: Study) -> Any:
        return configure(study, overrides, smoke=smoke)

    configs = [config(study) for study in studies]
    before = list_runs(runs)
    folders = []
    for study, values in zip(studies, configs, strict=True):
        with progress(study.name) as announce:
            needed = fulfil(study, config, runs=runs, announce=announce)
            data = data_checksums(study)
            folder = execute(study, values, needed, runs=runs, again=again, announce=announce, checksums=data)
            if folder in before and not again:
                announce(f"{study.name}: it ran before and is shown, not repeated; --again repeats it")
        folders.append(folder)
    show(folders)


def fulfil(
    study: Study, config: Callable[[Study], Any], *, runs: Path, announce: Callable[[str], None]
) -> tuple[Needed, ...]:
    """A run of each study that this one needs, from the folder beside it, made now unless it exists.

    Args:
        study: the one that needs others.
        config: which config each of them takes.
        runs: where their runs are.
        announce: receives short lines of progress.

    Raises:
        InputError: a needed study is missing or needs this one, or its run fails.
    """
    found = []
    for name in study.needs:
        need = load(study.path.with_name(f"{name}.py"))
        if study.name in need.needs:
            raise InputError(f"{study.name} and {name} need each other: let one of them stand alone.")
        earlier = fulfil(need, config, runs=runs, announce=announce)
        data = data_checksums(need)
        folder = execute(need, config(need), earlier, runs=runs, announce=announce, checksums=data)
        found.append(Needed(need, folder))
    return tuple(found)


def data_checksums(study: Study) -> dict[str, str]:
    """The checksums of the data sets whose names the study's source says."""
    words = describe(study.path).words
    return checksums(word for word in DATA if word in words)


def configure(study: Study, overrides: Mapping[str, Sequence[str]], *, smoke: bool) -> Any:
    """The study's config with the overrides that it has fields for.

    Raises:
        InputError: a value does not fit its field, or a field without a default is left out.
    """
    hints = typing.get_type_hints(study.Config)
    values = {
        field: _value(field, hints[field], words) for field, words in overrides.items() if field in hints
    }
    try:
        return dataclasses.replace(study.smoke, **values) if smoke else study.Config(**values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{study.name} refuses this config: {error}") from error


def _value(field: str, hint: Any, words: Sequence[str]) -> Any:
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return tyro.cli(hint, args=list(words), add_help=False)
    except SystemExit:
        kind = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        fault = f"not {' '.join(words)!r}" if words else "and none was given"
        remedy = "name studies before fields" if len(words) > 1 else "correct it"
        raise InputError(f"--{field} takes a value of type {kind}, {fault}: {remedy}.") from None


@contextlib.contextmanager
def progress(name: str) -> Iterator[Callable[[str], None]]:
    """Announces lines: under a moving clock on a terminal, else plainly."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if not console.is_terminal:
        console.print(f"{name}: running")
        yield console.print
        return
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        bar.add_task(name, total=None)
        yield bar.console.print


def show(folders: Sequence[Path]) -> None:
    """Prints the findings of runs, and where their reports are."""
    console = Console(highlight=False, markup=False)
    console.width = console.width if console.is_terminal else max(console.width, 120)
    table = Table("claim", "statement", "measured [low, high]", "n", "dtype", "verdict")
    for folder in folders:
        table.add_section()
        for each in load_run(folder).findings:
            measured = f"{each.measured:.4g} [{each.low:.4g}, {each.high:.4g}] {each.unit}"
            verdict = Text(each.verdict, _COLOURS.get(each.verdict, ""))
            table.add_row(each.claim, each.statement, measured, str(each.n), each.dtype, verdict)
    console.print(table)
    if any(load_run(folder).manifest["smoke"] for folder in folders):
        console.print("A smoke config only shows that a study runs: its verdicts say nothing of the claims.")
    for folder in folders:
        console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)
