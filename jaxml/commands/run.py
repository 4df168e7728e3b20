"""`jaxml run`: studies in turn, in one process, and what became of their claims."""

import contextlib
import dataclasses
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from jaxml import shipped
from jaxml.commands.catalogue import require_field
from jaxml.commands.devices import backend
from jaxml.commands.together import led
from jaxml.commands.variants import Overrides, configured, variants
from jaxml.commands.words import RUN, Shard
from jaxml.record import Study, list_runs, load, load_run
from jaxml.record.pages.tables import compared_with, measured
from jaxml.record.store import Needed, execute
from jaxml.source import Description
from jaxml.types import InputError

COLOURS = {
    "supported": "green",
    "refuted": "red",
    "no effect": "blue",
    "undecided": "yellow",
}


def run(
    descriptions: Sequence[Description],
    overrides: Overrides,
    *,
    smoke: bool,
    runs: Path,
    again: bool,
    shard: Shard | None = None,
) -> None:
    """Runs each study with each of its configs, smoke or whole, and prints the
    verdicts.

    A shard is every n-th pair of study and config in the order of the command line;
    where two shards need one run, the second waits for it.

    Raises:
        InputError: a study breaks its contract, no study has a field that is given, a
            value does not fit its field, or `runs` cannot be written.
    """
    backend()  # refuses in a sentence where JAX cannot start
    studies = [load(each.path) for each in descriptions]
    fields = {
        study.name: [field.name for field in dataclasses.fields(study.Config)]
        for study in studies
    }
    for name in overrides:
        require_field(name, fields, RUN)
    # what is imported stays; walking it at every collection costs a tenth of the
    # tracing
    gc.freeze()
    planned = [
        (study, values) for study in studies for values in variants(study, overrides)
    ]
    for study, values in planned:
        configured(
            study, values, smoke=smoke
        )  # every config is refused before any study runs
    if shard is not None:
        planned = planned[shard.number - 1 :: shard.parts]
        print(f"Shard {shard.number} of {shard.parts}: {len(planned)} runs")
    before = list_runs(runs)
    folders: dict[str, list[Path]] = {}
    for study, values in planned:
        folder = run_once(
            study, values, smoke=smoke, runs=runs, again=again, wait=shard is not None
        )
        if folder in before and not again:
            print(
                f"{study.name}: it ran before and is shown, not repeated; --again "
                "repeats it"
            )
        folders.setdefault(study.name, []).append(folder)
    if folders:
        show([folder for made in folders.values() for folder in made])
    for name, made in folders.items():
        if len(made) > 1:
            show_variants(name, made)


def run_once(
    study: Study,
    values: Mapping[str, Any],
    *,
    smoke: bool,
    runs: Path,
    again: bool = False,
    wait: bool = False,
) -> Path:
    """The folder of one run, made now unless it exists; `wait` as `execute`.

    Raises:
        InputError: as `run`.
    """

    def config(each: Study) -> Any:
        fields = getattr(each.Config, "__dataclass_fields__", {})
        return configured(
            each, {k: v for k, v in values.items() if k in fields}, smoke=smoke
        )

    with progress(study.name) as announce:
        needed = fulfil(study, config, runs=runs, wait=wait, announce=announce)
        return execute(
            led(study),
            config(study),
            needed,
            runs=runs,
            again=again,
            wait=wait,
            announce=announce,
        )


def fulfil(
    study: Study,
    config: Callable[[Study], Any],
    *,
    runs: Path,
    announce: Callable[[str], None],
    wait: bool = False,
) -> tuple[Needed, ...]:
    """A run of each study that this one needs, beside it or of another topic, made
    now unless it exists.

    Args:
        study: the one that needs others.
        config: which config each of them takes.
        runs: where their runs are.
        announce: receives short lines of progress.
        wait: as `execute`.

    Raises:
        InputError: a needed study is missing, the needs go round in a circle, or a run
            fails.
    """

    def fulfilled(each: Study, chain: tuple[str, ...]) -> tuple[Needed, ...]:
        found = []
        for name in each.needs:
            if name in chain:
                circle = " needs ".join((*chain[chain.index(name) :], name))
                raise InputError(f"{circle}: let one of them stand alone.")
            need = load(shipped.needed(each.path, name))
            earlier = fulfilled(need, (*chain, name))
            folder = execute(
                led(need),
                config(need),
                earlier,
                runs=runs,
                wait=wait,
                announce=announce,
            )
            found.append(Needed(need, folder))
        return tuple(found)

    return fulfilled(study, (study.name,))


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
    console = wide_console()
    table = Table(
        "claim", "verdict", "statement", "measured [low, high]", "compared with", "n"
    )
    loaded = [load_run(folder) for folder in folders]
    for run_ in loaded:
        table.add_section()
        for each in run_.findings:
            verdict = Text(each.verdict, COLOURS.get(each.verdict, ""))
            number = f"{measured(each)} {each.unit}"
            claim = each.claim if each.role == "deciding" else f"({each.claim})"
            table.add_row(
                claim, verdict, each.statement, number, compared_with(each), str(each.n)
            )
    console.print(table)
    if any(
        finding.role == "supporting" for run_ in loaded for finding in run_.findings
    ):
        console.print(
            "A claim in brackets: a supporting finding, on which its answer does not "
            "hang."
        )
    if any(run_.manifest["smoke"] for run_ in loaded):
        console.print(
            "A smoke config only shows that a study runs: its verdicts say nothing of "
            "the claims."
        )
    for folder in folders:
        console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)


def show_variants(name: str, folders: Sequence[Path]) -> None:
    """Prints the findings of several runs of one study side by side."""
    console = wide_console()
    loaded = [load_run(folder) for folder in folders]
    titles = [short(run_.manifest["differs"]) for run_ in loaded]
    table = Table("claim", "statement", "setting", *titles, title=f"{name}, run by run")
    cells: dict[tuple[str, str, str], list[str]] = {}
    for column, run_ in enumerate(loaded):
        for each in run_.findings:
            row = cells.setdefault(
                (each.claim, each.statement, each.setting), [""] * len(loaded)
            )
            row[column] = f"{each.verdict}: {measured(each)}"
    for finding, row in cells.items():
        table.add_row(*finding, *row)
    console.print(table)


def short(differs: Mapping[str, Any]) -> str:
    """What sets a config apart: "steps=50, seed=1", or "default"."""
    return (
        ", ".join(f"{field}={value}" for field, value in differs.items()) or "default"
    )


def wide_console() -> Console:
    """A console of the terminal's width, of 140 columns at least where there is no
    terminal.
    """
    console = Console(highlight=False, markup=False)
    console.width = console.width if console.is_terminal else max(console.width, 140)
    return console
