"""The front door: `jaxml` on the command line, and `python -m jaxml`.

What can be answered without JAX is answered without importing it: the list of studies,
and every name that is wrong. So a command's module is imported only once its words make
sense.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxml.commands import launch
from jaxml.commands.catalogue import (
    claim_names,
    claims_named,
    find,
    find_all,
)
from jaxml.commands.environment import (
    prepare,
    say_what_the_terminal_can,
    was_deterministic,
)
from jaxml.commands.failures import failed
from jaxml.commands.usage import USAGE, USAGES
from jaxml.commands.words import (
    DEVICES,
    REPLICATE,
    RUN,
    RUNS,
    WATCH,
    at_most_one,
    fields_of,
    parsed,
    path_of,
    proposal,
)
from jaxml.errors import InputError
from jaxml.source import describe
from jaxml.text import plain

_HELP = ("-h", "--help")
_STUDY_OPTIONS = {"run": RUN, "replicate": REPLICATE}
"""The options of the commands that take studies, by command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    say_what_the_terminal_can()
    command, words = (words[0], words[1:]) if words else ("help", [])
    try:
        return _answered(command, words)
    except InputError as reason:
        print(f"jaxml: {plain(str(reason))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = (
            "; the finished stages are kept and the same command resumes"
            if command == "run"
            else ""
        )
        print(f"\nInterrupted{kept}.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has stopped: so do we
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # until the process ends
        return 0
    except Exception as error:
        given = fields_of(words)[1] if command == "run" else {}
        return failed(error, given)


def _answered(command: str, words: list[str]) -> int:
    if command in ("help", *_HELP):
        print(USAGE)
        return 0
    if command not in _COMMANDS:
        raise InputError(
            f"There is no command {command!r}: {proposal(command, _COMMANDS)}"
        )
    if any(word in _HELP for word in words):
        return _help(command, [word for word in words if word not in _HELP])
    return _COMMANDS[command](words)


def _help(command: str, words: list[str]) -> int:
    """The usage of a command; of `run`, the fields of the studies that are named as
    well.
    """
    print(USAGES[command])
    if command not in _STUDY_OPTIONS:
        return 0
    own = fields_of(words)[0] if command == "run" else words
    values = parsed(own, "studies", _STUDY_OPTIONS[command])
    if values.studies:
        from jaxml.commands import studies

        print()
        studies.show([describe(path) for path in find_all(values.studies)], values.runs)
    return 0


def _studies(words: list[str]) -> int:
    values = parsed(words, "studies", RUNS)
    descriptions = [describe(path) for path in find_all(values.studies)]
    from jaxml.commands import studies

    if descriptions:
        studies.show(descriptions, values.runs)
    else:
        studies.show_all(values.runs)
    return 0


def _claims(words: list[str]) -> int:
    values = parsed(words, "names", RUNS)
    # a wrong name is refused before JAX is imported
    claims_named(values.names, claim_names(values.runs))
    from jaxml.commands import claims

    claims.show(values.names, values.runs)
    return 0


def _list_runs(words: list[str]) -> int:
    values = parsed(
        words, "runs", {"--csv": {"type": path_of}, "--json": {"type": path_of}}
    )
    folder = path_of(at_most_one(values.runs, "folder of runs") or "runs")
    from jaxml.commands import runs

    if values.csv is None and values.json is None:
        runs.show(folder)
    else:
        runs.export(folder, as_csv=values.csv, as_json=values.json)
    return 0


def _watch(words: list[str]) -> int:
    values = parsed(words, "run", WATCH)
    place = path_of(at_most_one(values.run, "run") or "runs")
    from jaxml.commands import watch

    watch.watch(place, once=values.once, events=values.tensorboard)
    return 0


def _report(words: list[str]) -> int:
    values = parsed(words, "runs", {"--readme": {"type": path_of}})
    runs = path_of(at_most_one(values.runs, "folder of runs") or "runs")
    prepare()
    from jaxml.commands import report

    report.report(runs, values.readme)
    return 0


def _doctor(words: list[str]) -> int:
    if parsed(words, "nothing", {}).nothing:
        raise InputError(f"`jaxml doctor` takes no {words[0]}: leave it out.")
    prepare()
    from jaxml.commands import doctor

    doctor.doctor()
    return 0


def _verify(words: list[str]) -> int:
    values = parsed(words, "run", {"--study": {}, **DEVICES})
    folder = at_most_one(values.run, "run")
    if folder is None or not Path(folder).is_dir():
        raise InputError(
            f"There is no run {folder or 'named'}: give a folder <runs>/<study>/<hash>."
        )
    path = find(values.study) if values.study else None
    prepare(deterministic=was_deterministic(Path(folder)))
    from jaxml.commands import devices, verify

    with devices.computing_on(values.devices):
        return verify.verify(Path(folder), path)


def _bench(words: list[str]) -> int:
    values = parsed(
        words,
        "names",
        {
            "--out": {"type": path_of, "default": Path("runs/bench")},
            "--compare": {"type": path_of},
            **DEVICES,
        },
    )
    from jaxml import bench

    for name in values.names:
        if name not in bench.names():
            raise InputError(
                f"There is no benchmark {name!r}: {proposal(name, bench.names())}"
            )
    prepare()
    from jaxml.commands import devices

    with devices.computing_on(values.devices):
        bench.run(values.names or bench.names(), values.out, values.compare)
    return 0


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "studies": _studies,
    "claims": _claims,
    "run": launch.run,
    "submit": launch.submit,
    "replicate": launch.replicate,
    "report": _report,
    "runs": _list_runs,
    "watch": _watch,
    "doctor": _doctor,
    "verify": _verify,
    "bench": _bench,
}

if __name__ == "__main__":
    sys.exit(main())
