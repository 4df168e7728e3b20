"""What an accelerator's script installs, without a network, and leaves nowhere else."""

import shutil
from pathlib import Path

from jaxml.bench.steps import ROOT, Step, python

SOURCES = ("jaxml", "experiments", "pyproject.toml", "README.md", "LICENSE")
"""What an installation is built from."""


def copy_sources(target: Path) -> None:
    """Copies what is installed, so that building it leaves nothing in the
    repository.
    """
    target.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, target / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(source, target)


def installation(work: Path) -> list[Step]:
    """The wheels that there are, then jaxml itself, into a folder that every later step
    looks into first.
    """
    pip = python(
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
        "--no-deps",
    )
    target = ("--upgrade", "--target", str(work / "site"))
    wheels = sorted(str(path) for path in (ROOT / "wheels").glob("*.whl"))
    itself = Step(
        "install jaxml",
        (*pip, *target, "--no-build-isolation", str(work / "source")),
        60.0,
        {},
    )
    if not wheels:
        return [itself]
    return [Step("install wheels", (*pip, *target, *wheels), 60.0, {}), itself]
