"""The words of a command line, taken apart."""

import argparse
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

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


class Shard(NamedTuple):
    """One of several parts of a list of runs, from 1 on."""

    number: int
    parts: int


def shard_of(text: str) -> Shard:
    """The shard that "2/5" names.

    Raises:
        InputError: it names none.

    >>> shard_of("2/5")
    Shard(number=2, parts=5)
    """
    number, _, parts = text.partition("/")
    numeric = number.isdecimal() and parts.isdecimal()
    if not numeric or not 1 <= int(number) <= int(parts):
        raise InputError(
            f"--shard {text} names no part: write 2/5 for the second of five, the "
            "first being 1/5."
        )
    return Shard(int(number), int(parts))


def setting_of(text: str) -> tuple[str, int | str]:
    """A name and its value, an integer where it reads as one.

    Raises:
        InputError: there is no `=` in it.

    >>> setting_of("timeout_min=60"), setting_of("slurm_partition=gpu")
    (('timeout_min', 60), ('slurm_partition', 'gpu'))
    """
    name, assigned, value = text.partition("=")
    if not (name and assigned):
        raise InputError(
            f"--set {text} sets nothing: write it as in --set slurm_partition=gpu."
        )
    return name, int(value) if value.isdecimal() else value


Options: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Of a command: the settings of argparse by option."""

RUNS: Options = {"--runs": {"type": path_of, "default": Path("runs")}}
DEVICES: Options = {"--devices": {"type": int}}
DETERMINISTIC: Options = {"--deterministic": {"action": "store_true"}}
WATCH: Options = {
    "--once": {"action": "store_true"},
    "--tensorboard": {"type": path_of},
}
RUN: Options = {
    **RUNS,
    **DEVICES,
    **DETERMINISTIC,
    "--smoke": {"action": "store_true"},
    "--again": {"action": "store_true"},
    "--require-accelerator": {"action": "store_true"},
    "--shard": {"type": shard_of},
    "--distributed": {"action": "store_true"},
}
SUBMIT: Options = {
    "--shards": {"type": int, "default": 8},
    "--cluster": {"default": "slurm"},
    "--logs": {"type": path_of, "default": Path("logs")},
    "--set": {"type": setting_of, "action": "append", "default": []},
}
REPLICATE: Options = {
    **RUNS,
    **DEVICES,
    **DETERMINISTIC,
    "--smoke": {"action": "store_true"},
    "--times": {"type": int, "default": 2},
    "--distributed": {"action": "store_true"},
}


def parsed(
    words: Sequence[str], positional: str, options: Options
) -> argparse.Namespace:
    """The words as arguments, any number of positional ones.

    Raises:
        InputError: an option that there is not, one without its value, or one whose
            value is refused.
    """
    parser = _parser(options)
    parser.add_argument(positional, nargs="*")
    with _refusing():
        values, rest = parser.parse_known_intermixed_args(words)
    if rest:
        raise InputError(f"There is no option {rest[0]}: {proposal(rest[0], options)}")
    return values


def _parser(options: Options) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        add_help=False, allow_abbrev=False, exit_on_error=False
    )
    for name, settings in options.items():
        parser.add_argument(name, **settings)
    return parser


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Turns argparse's refusal into a sentence, and lets ours pass."""
    try:
        yield
    except argparse.ArgumentError as error:
        if isinstance(
            error.__context__, InputError
        ):  # argparse would replace its sentence
            raise error.__context__ from None
        raise InputError(f"{error.argument_name}: {error.message}.") from error


def split(
    words: Sequence[str], options: Options
) -> tuple[argparse.Namespace, list[str]]:
    """The values of these options, and all other words in their order.

    Raises:
        InputError: an option without its value, or one whose value is refused.

    >>> split(["a", "--n", "3", "--m", "4"], {"--n": {"type": int}})
    (Namespace(n=3), ['a', '--m', '4'])
    """
    parser = _parser(options)
    with _refusing():
        return parser.parse_known_args(words)


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
