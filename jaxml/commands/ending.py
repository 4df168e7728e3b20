"""How a command ends when it is asked to, as a cluster does before it takes a machine
back.
"""

import sys
from contextlib import AbstractContextManager

from jaxml.record.runs.stopping import ending_at_sigterm

_SHOW_CURSOR = "\x1b[?25h"
"""A moving clock on a terminal hides it."""


def at_sigterm() -> AbstractContextManager[None]:
    """Within it, SIGTERM ends the command once what it computes in segments is stored,
    with a sentence and exit code 143.
    """
    return ending_at_sigterm(_farewell)


def _farewell() -> None:
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
    print(
        "jaxml: ended by SIGTERM; finished stages and checkpoints are kept, and the "
        "same command goes on from there.",
        file=sys.stderr,
        flush=True,
    )
    sys.stdout.flush()
