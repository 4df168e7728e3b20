"""Which studies there are, and the nearest to a name that is wrong."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from jaxml import shipped
from jaxml.errors import InputError
from jaxml.source import Description


def known() -> dict[str, Path]:
    """The studies that a name finds: those in `experiments/` here, then those that come with jaxml."""
    found: dict[str, Path] = {}
    for place in (Path.cwd() / "experiments", shipped.studies()):
        for path in sorted(place.glob("[!_]*.py")):
            found.setdefault(path.stem, path)
    return found


def find(name: str) -> Path:
    """The file that the name of a known study, or a path, stands for.

    Raises:
        InputError: there is no such study; proposes the nearest.
    """
    path = Path(name).expanduser()
    if path.suffix == ".py" or len(path.parts) != 1:
        if path.is_file():
            return path
        raise InputError(
            f"There is no file {name}: give the path of a study, or a name that `jaxml studies` lists."
        )
    studies = known()
    if name not in studies:
        nearby = [*studies, *(path.name for path in Path.cwd().glob("*.py"))]
        raise InputError(f"There is no study {name!r}: {proposal(name, nearby)}")
    return studies[name]


def proposal(name: str, choices: Iterable[str]) -> str:
    """The nearest of the choices, or all of them, as the end of a sentence.

    >>> proposal("reprot", ["run", "report"]), proposal("x", ["run", "report"])
    ("did you mean 'report'?", 'choose from run, report.')
    """
    choices = list(choices)
    near = get_close_matches(name, choices, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"choose from {', '.join(choices)}." if choices else "there are none here."


def check_field(field: str, descriptions: Iterable[Description], options: Iterable[str]) -> None:
    """Passes if one of the studies has the field; `options` are the words that it may have been meant for.

    Raises:
        InputError: none has it; names the fields that there are.
    """
    fields = {each.name: tuple(each.fields) for each in descriptions}
    every = [name for names in fields.values() for name in names]
    if field not in every:
        near = get_close_matches(f"--{field}", [*(f"--{name}" for name in every), *options], n=1)
        proposed = f"did you mean {near[0]}? " if near else ""
        valid = "; ".join(f"{study} has {', '.join(names) or 'none'}" for study, names in fields.items())
        raise InputError(f"There is no field --{field}: {proposed}{valid}.")
