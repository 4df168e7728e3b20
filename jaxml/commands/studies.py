"""`jaxml studies`: the list, or one study in full, without importing JAX."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jaxml.commands.catalogue import known, table_in
from jaxml.errors import InputError
from jaxml.freshness import stale, told
from jaxml.source import Description, describe


def show_all(runs: Path) -> None:
    """Prints name, claims, cost and state of each known study, by topic."""
    table = Table("study", "claims", "cost", "run")
    topic = None
    for name, path in known().items():
        if path.parent != topic:
            topic = path.parent
            table.add_section()
            table.add_row(f"{topic.name}/", "", "", "", style="bold")
        try:
            description = describe(path)
        except InputError as refusal:
            table.add_row(name, str(refusal), "", "")
            continue
        notes = description.notes
        table.add_row(
            name,
            notes.get("Claims", ""),
            notes.get("Cost", ""),
            state(description, runs),
        )
    Console(markup=False).print(
        table
        if table.row_count
        else "There are no studies here: write one into experiments/."
    )


def show(descriptions: Sequence[Description], runs: Path) -> None:
    """Prints all that the studies say of themselves, and the fields that --field
    changes.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for each in descriptions:
        console.print(f"{each.name} ({state(each, runs)}): {each.title}\n")
        for label, text in each.notes.items():
            console.print(f"{label}: {text}")
        for field, annotation in each.fields.items():
            console.print(f"  --{field}: {annotation}")
        if not each.fields:
            console.print(
                "  Its Config has no fields, or takes them from another file."
            )
        console.print()


def state(description: Description, runs: Path) -> str:
    """Whether the study has a run, whether it is up to date, and if not what has
    changed since.

    Runs of the default config count; only where there are none do those with other
    configs, then smoke runs.
    """
    manifests = (runs / description.name).glob("*/manifest.json")
    made = [table_in(path) for path in manifests if "." not in path.parent.name]
    if not made:
        return "not run"
    full = [each for each in made if not each.get("smoke")]
    usual = [each for each in full if not each.get("differs")]
    oldest_first = sorted(
        usual or full or made, key=lambda each: str(each.get("finished", ""))
    )
    changes = [stale(each, description.path) for each in oldest_first]
    if all(changes):
        return f"stale: {told(changes[-1])}"
    if usual:
        return "up to date"
    return "only with other configs" if full else "smoke only"
