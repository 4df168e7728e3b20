"""Where things are: the studies that come with jaxml, and its cache. Standard library
only.
"""

import os
import tempfile
from pathlib import Path


def studies() -> Path:
    """The folder of the studies, their claims and their verdicts.

    Within the package where it was installed from a wheel (as `jaxml.studies`), beside
    it in a checkout.
    """
    package = Path(__file__).parent
    installed = package / "studies"
    return installed if installed.is_dir() else package.parent / "experiments"


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
