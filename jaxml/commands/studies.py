"""`jaxml studies`: the list, or one study in full, without importing JAX."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jaxml.commands.catalogue import known
from jaxml.errors import InputError
from jaxml.source import Description, code_digest, describe


def show_all(runs: Path) -> None:
    """Prints name, claims, cost and state of each known study."""
    table = Table("study", "claims", "cost", "run")
    for name, path in known().items():
        try:
            description = describe(path)
        except InputError as refusal:
            table.add_row(name, str(refusal), "", "")
            continue
        notes = description.notes
        table.add_row(name, notes.get("Claims", ""), notes.get("Cost", ""), state(description, runs))
    Console(markup=False).print(
        table if table.row_count else "There are no studies here: write one into experiments/."
    )


def show(descriptions: Sequence[Description], runs: Path) -> None:
    """Prints all that the studies say of themselves, and the fields that --field changes."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for each in descriptions:
        console.print(f"{each.name} ({state(each, runs)}): {each.title}\n")
        for label, text in each.notes.items():
            console.print(f"{label}: {text}")
        for field, annotation in each.fields.items():
            console.print(f"  --{field}: {annotation}")
        console.print()


def state(description: Description, runs: Path) -> str:
    """Whether the study has a run, and whether the newest code made it."""
    manifests = (runs / description.name).glob("*/manifest.json")
    made = [_manifest(path) for path in manifests if "." not in path.parent.name]
    whole = [each for each in made if not each.get("smoke")]
    if not made:
        return "not run"
    if code_digest(description.path) not in [each.get("code") for each in whole or made]:
        return "stale"
    return "up to date" if whole else "smoke only"


def _manifest(path: Path) -> dict:
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}
