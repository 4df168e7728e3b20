"""Where things are: the studies, by topic, those that come with jaxml, and its cache.
Standard library only.
"""

import os
import tempfile
from pathlib import Path

LEDGER = "claims.toml"
"""The file of claims in a folder of studies."""


def studies() -> Path:
    """The folder of the studies, their claims and their verdicts.

    Within the package where it was installed from a wheel (as `jaxml.studies`), beside
    it in a checkout.
    """
    package = Path(__file__).parent
    installed = package / "studies"
    return installed if installed.is_dir() else package.parent / "experiments"


def within(place: Path) -> list[Path]:
    """The files in a folder of studies, then those in the folders of its topics.

    A folder with an `__init__.py` is a package, and no topic.
    """
    found = sorted(place.glob("[!_]*.py"))
    for topic in topics(place):
        found += sorted(topic.glob("[!_]*.py"))
    return found


def topics(place: Path) -> list[Path]:
    """The folders of topics in a folder of studies: those that hold Python."""
    holding = {path.parent for path in place.glob("[!_.]*/*.py")}
    return sorted(each for each in holding if not (each / "__init__.py").is_file())


def root(study: Path) -> Path:
    """The folder of studies that a study's file is in: that above the folder of its
    topic, or its own.

    A topic's folder lies in one that is called `experiments` or holds a ledger.
    """
    folder = study.resolve().parent
    above = folder.parent
    if folder.name == "experiments":
        return folder
    is_topic = above.name == "experiments" or (above / LEDGER).is_file()
    return above if is_topic else folder


def needed(study: Path, name: str) -> Path:
    """The file of another study that one builds on: beside it, else of another topic.

    Where there is none it is the one that is missing beside it.
    """
    beside = study.with_name(f"{name}.py")
    if beside.is_file():
        return beside
    others = [path for path in within(root(study)) if path.stem == name]
    return others[0] if others else beside


def cache() -> Path:
    """The folder for downloads and compiled programs.

    `$XDG_CACHE_HOME/jaxml`, else `~/.cache/jaxml`, else, for a user without a home, one
    in the folder of temporary files.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    if given:
        return Path(given) / "jaxml"
    try:
        return Path.home() / ".cache" / "jaxml"
    except RuntimeError:  # no HOME, and a user that the system does not know
        return Path(tempfile.gettempdir()) / "jaxml-cache"
