"""How soon the command line answers what needs no JAX, in a fresh process."""

import subprocess
import sys
from collections.abc import Callable

from jaxml.bench.race import Entrant, race
from jaxml.bench.rows import Row, Target

PROMPT = Target("seconds", "at most", 2.0)


def measure(rounds: int = 5) -> list[Row]:
    """The list of studies and the answer to a wrong name, beside the import of JAX
    alone.
    """
    entrants = [
        Entrant("`jaxml studies`", process("-m", "jaxml", "studies"), target=PROMPT),
        Entrant(
            "`jaxml run nope`: a wrong name",
            process("-m", "jaxml", "run", "nope", code=2),
            target=PROMPT,
        ),
        Entrant("`import jax` and nothing else", process("-c", "import jax")),
    ]
    return race(
        "startup",
        [each._replace(device="host") for each in entrants],
        to="ours",
        rounds=rounds,
    )


def process(*words: str, code: int = 0) -> Callable[[], None]:
    """A fresh Python with these words, which must exit with that code."""

    def run() -> None:
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
        if done.returncode != code:
            raise RuntimeError(
                f"`python {' '.join(words)}` exited with {done.returncode}: "
                f"{done.stderr}"
            )

    return run
