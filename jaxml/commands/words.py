"""The words of a command line, taken apart."""

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from jaxml.errors import InputError


def path_of(text: str) -> Path:
    """The path, with `~` spelled out.

    Raises:
        InputError: the system knows no such home.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"The home folder in {text} is not known: write the path in full."
        ) from error


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


def seconds_of(text: str) -> float:
    """A positive number of seconds.

    Raises:
        InputError: it is none.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(f"{text} is no time: give a positive number of seconds.")
    return seconds


Options: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Of a command: the settings of argparse by option."""

RUNS: Options = {"--runs": {"type": path_of, "default": Path("runs")}}
DEVICES: Options = {"--devices": {"type": int}}
RUN: Options = {
    **RUNS,
    **DEVICES,
    "--smoke": {"action": "store_true"},
    "--again": {"action": "store_true"},
    "--require-accelerator": {"action": "store_true"},
    "--checkpoint-seconds": {"type": seconds_of, "default": 60.0},
}
REPLICATE: Options = {
    **RUNS,
    **DEVICES,
    "--smoke": {"action": "store_true"},
    "--times": {"type": int, "default": 2},
}


def parsed(
    words: Sequence[str], positional: str, options: Options
) -> argparse.Namespace:
    """The words as arguments, any number of positional ones.

    Raises:
        InputError: an option that there is not, one without its value, or one whose
            value is refused.
    """
    parser = argparse.ArgumentParser(
        add_help=False, allow_abbrev=False, exit_on_error=False
    )
    parser.add_argument(positional, nargs="*")
    for name, settings in options.items():
        parser.add_argument(name, **settings)
    try:
        values, rest = parser.parse_known_intermixed_args(words)
    except argparse.ArgumentError as error:
        if isinstance(
            error.__context__, InputError
        ):  # argparse would replace its sentence
            raise error.__context__ from None
        raise InputError(f"{error.argument_name}: {error.message}.") from error
    if rest:
        raise InputError(f"There is no option {rest[0]}: {proposal(rest[0], options)}")
    return values


def at_most_one(words: Sequence[str], what: str) -> str | None:
    """The only word, or None.

    Raises:
        InputError: there are more.
    """
    if len(words) > 1:
        raise InputError(f"{' '.join(words)} is too much: name one {what}.")
    return words[0] if words else None


def fields_of(words: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The words of `jaxml run`, and apart from them each --field with what follows
    it.
    """
    own: list[str] = []
    fields: dict[str, list[str]] = {}
    target = own
    for word in words:
        name, assigned, value = word.partition("=")
        if name in RUN or not name.startswith("--"):
            target = own if name in RUN else target
            target.append(word)
        else:
            target = fields.setdefault(name[2:].replace("-", "_"), [])
            target.extend([value] if assigned else [])
    return own, fields
