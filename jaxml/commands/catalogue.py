"""Which studies and claims there are, and the nearest to a name that is wrong. No JAX
is imported.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jaxml import claims, shipped
from jaxml.commands.words import path_of, proposal
from jaxml.errors import InputError
from jaxml.provenance import contents
from jaxml.source import Description


def known() -> dict[str, Path]:
    """The studies that a name finds: those in `experiments/` here, by topic, then those
    that come with jaxml.
    """
    found: dict[str, Path] = {}
    for place in places():
        for path in shipped.within(place):
            found.setdefault(path.stem, path)
    return found


def places() -> tuple[Path, ...]:
    """The folders of studies: the one here, then the one that comes with jaxml."""
    return tuple(dict.fromkeys((Path.cwd() / "experiments", shipped.studies())))


def find(name: str) -> Path:
    """The file that the name of a known study, or a path, stands for.

    Raises:
        InputError: there is no such study, or two topics have one of that name;
            proposes the nearest.
    """
    path = path_of(name)
    if path.suffix == ".py" or len(path.parts) != 1:
        if path.is_file():
            return path
        raise InputError(
            f"There is no file {name}: give the path of a study, or a name that `jaxml "
            "studies` lists."
        )
    studies = known()
    if name not in studies:
        here = [path.name for path in Path.cwd().glob("*.py")]
        nearby = [*studies, *_topics(), *here]
        raise InputError(f"There is no study {name!r}: {proposal(name, nearby)}")
    found = studies[name]
    for other in shipped.within(shipped.root(found)):
        if other.stem == name and other != found:
            raise InputError(
                f"Two topics have a study {name!r}: rename one, or name the file, "
                f"{found} or {other}."
            )
    return found


def find_all(names: Iterable[str]) -> list[Path]:
    """The files that names and paths stand for, each once.

    A topic with a closing slash, or the path of a folder, stands for all studies in it.

    Raises:
        InputError: there is no such study, or no such topic; proposes the nearest.
    """
    paths: list[Path] = []
    for name in names:
        is_folder = name.endswith("/") or ("/" in name and path_of(name).is_dir())
        paths += _all_of(name) if is_folder else [find(name)]
    return list(dict.fromkeys(paths))


def _all_of(name: str) -> list[Path]:
    """The studies of a topic, or of a folder."""
    folders = [path_of(name), *(place / name for place in places())]
    found = [shipped.within(folder) for folder in folders]
    if any(found):
        return next(paths for paths in found if paths)
    if any(folder.is_dir() for folder in folders):
        raise InputError(f"There is no study in {name} yet: write one into it.")
    raise InputError(f"There is no topic {name!r}: {proposal(name, _topics())}")


def _topics() -> list[str]:
    """The topics that have studies, as a command takes them: with a closing slash."""
    names = [f"{topic.name}/" for place in places() for topic in shipped.topics(place)]
    return list(dict.fromkeys(names))


def check_field(
    field: str, descriptions: Iterable[Description], options: Iterable[str]
) -> None:
    """Passes if one of the studies has the field, or may have it: its source does not
    tell its fields.

    Raises:
        InputError: none has it, as `require_field`.
    """
    fields = {each.name: tuple(each.fields) for each in descriptions}
    if all(fields.values()):
        require_field(field, fields, options)


def require_field(
    field: str, fields: Mapping[str, Sequence[str]], options: Iterable[str]
) -> None:
    """Passes if one of the studies has the field.

    Args:
        field: its name.
        fields: the names of the fields, by study.
        options: the words that it may have been meant for.

    Raises:
        InputError: none has it; names the fields that there are.
    """
    every = [name for names in fields.values() for name in names]
    if field not in every:
        near = get_close_matches(
            f"--{field}", [*(f"--{name}" for name in every), *options], n=1
        )
        proposed = f"did you mean {near[0]}? " if near else ""
        valid = "; ".join(
            f"{study} has {', '.join(names) or 'none'}"
            for study, names in fields.items()
        )
        raise InputError(f"There is no field --{field}: {proposed}{valid}.")


def claim_names(runs: Path) -> list[str]:
    """Ids and topics: of the ledger, and of the claims that studies brought to the
    verdicts and runs here.

    A manifest that cannot be read brings nothing; who reads the whole run announces it.

    Raises:
        InputError: a ledger of claims breaks its format.
    """
    ledger = claims.ledger(*places())
    names = dict.fromkeys([*ledger, *(claim.topic for claim in ledger.values())])
    verdicts = [path for place in places() for path in place.glob("verdicts/*.json")]
    manifests = [_table(table_in(path), "manifest") for path in verdicts]
    manifests += [table_in(path) for path in runs.glob("*/*/manifest.json")]
    for manifest in manifests:
        for name, table in _table(manifest, "own_claims").items():
            names |= dict.fromkeys(
                (name, str(_table({name: table}, name).get("topic", name)))
            )
    return list(names)


def table_in(path: Path) -> dict[str, Any]:
    """The table in a JSON file, empty where there is none to be read."""
    try:
        value = json.loads(contents(path))
    except (ValueError, RecursionError):  # an InputError is a ValueError
        return {}
    return value if isinstance(value, dict) else {}


def _table(outer: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The table of this name within another one, empty where there is none."""
    inner = outer.get(name)
    return inner if isinstance(inner, dict) else {}


def claims_named(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """Ids and topics as `names` writes them; all words together may name one topic, and
    so may the name of its folder.

    Raises:
        InputError: a word that is neither; proposes the nearest.
    """
    folders = {claims.folder(name).lower(): name for name in names}
    spelled = folders | {name.lower(): name for name in names}
    together = spelled.get(" ".join(words).lower())
    if together is not None:
        return [together]
    for word in words:
        if word.lower() not in spelled:
            raise InputError(
                f"There is no claim and no topic {word!r}: "
                f"{claims.proposal(word, names)}"
            )
    return [spelled[word.lower()] for word in words]
