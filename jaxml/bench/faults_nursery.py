"""A process that has imported everything and starts each command as a child of its own,
so that a command that is going to be killed costs no import.

`python -m jaxml.bench.faults_nursery` reads a list of words a line from standard input,
as JSON; it answers with the number of the child, and with how it ended once it has.
"""

import json
import os
import sys
from collections.abc import Callable

from jaxml.commands.environment import prepare


def main() -> None:
    """Starts the commands that it is told, one at a time, until its input ends."""
    prepare()
    import jaxml.commands.run  # noqa: PLC0415  # after the flags that it reads
    from jaxml.__main__ import main as command  # noqa: PLC0415

    assert jaxml.commands.run
    for line in sys.stdin:
        words = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_quietly(command, words))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _quietly(command: Callable[[list[str]], int], words: list[str]) -> int:
    """The exit code of a command, whose words go nowhere but into standard error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return command(words)


if __name__ == "__main__":
    main()
