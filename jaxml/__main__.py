"""The front door: `jaxml` on the command line, and `python -m jaxml`.

What can be answered without JAX is answered without importing it: the list of studies,
and every name that is wrong. So a command's module is imported only once its words make
sense.
"""

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxml import shipped
from jaxml.commands.catalogue import (
    check_field,
    claim_names,
    claims_named,
    find,
    find_all,
)
from jaxml.commands.usage import USAGE, USAGES
from jaxml.commands.words import (
    DEVICES,
    REPLICATE,
    RUN,
    RUNS,
    at_most_one,
    fields_of,
    parsed,
    path_of,
    proposal,
)
from jaxml.errors import InputError
from jaxml.source import Description, describe

_HELP = ("-h", "--help")
_STUDY_OPTIONS = {"run": RUN, "replicate": REPLICATE}
"""The options of the commands that take studies, by command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _say_what_the_terminal_can()
    command, words = (words[0], words[1:]) if words else ("help", [])
    try:
        return _answered(command, words)
    except InputError as reason:
        print(f"jaxml: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = "; the same command resumes" if command == "run" else ""
        print(f"\nInterrupted{kept}.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has stopped: so do we
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # until the process ends
        return 0
    except Exception:
        traceback.print_exc()
        print(f"jaxml: {_defect(command, words)}", file=sys.stderr)
        return 3


def _defect(command: str, words: list[str]) -> str:
    """What to do about an exception that is no refusal."""
    report = (
        "report the lines above, the command and the output of `jaxml doctor` to the "
        "authors named in CITATION.cff."
    )
    fields = fields_of(words)[1] if command == "run" else {}
    if not fields:
        return f"this is a defect of jaxml or of the study, not of your input: {report}"
    given = ", ".join(f"--{field}" for field in fields)
    return (
        f"the study may not be able to use what you gave to {given}: try another "
        "value, or none; if this stays it is a defect of jaxml or of the study: "
        f"{report}"
    )


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


def _say_what_the_terminal_can() -> None:
    """Characters that the terminal's encoding lacks are replaced, not refused."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _studies(words: list[str]) -> int:
    values = parsed(words, "studies", RUNS)
    descriptions = [describe(path) for path in find_all(values.studies)]
    from jaxml.commands import studies

    if descriptions:
        studies.show(descriptions, values.runs)
    else:
        studies.show_all(values.runs)
    return 0


def _run(words: list[str]) -> int:
    words, fields = fields_of(words)
    values = parsed(words, "studies", RUN)
    descriptions = _named(values.studies, "run")
    for field in fields:
        check_field(field, descriptions, RUN)
    _prepare()
    from jaxml.commands import devices, ending, run

    if values.require_accelerator:
        devices.require_accelerator()
    with ending.at_sigterm(), devices.computing_on(values.devices):
        run.run(
            descriptions,
            fields,
            smoke=values.smoke,
            runs=values.runs,
            again=values.again,
            seconds=values.checkpoint_seconds,
        )
    return 0


def _named(names: Sequence[str], command: str) -> list[Description]:
    """The studies that are named, each once.

    Raises:
        InputError: none is named, one is not known, or two files have one name.
    """
    paths = find_all(names)
    if not paths:
        raise InputError(
            f"No study is named: write the studies first, as in `jaxml {command} "
            "toy_saddle --smoke`."
        )
    stems = [path.stem for path in paths]
    twice = [stem for stem in stems if stems.count(stem) > 1]
    if twice:
        raise InputError(
            f"Two studies are called {twice[0]}: rename one, or run them one after the "
            "other."
        )
    return [describe(path) for path in paths]


def _replicate(words: list[str]) -> int:
    values = parsed(words, "studies", REPLICATE)
    descriptions = _named(values.studies, "replicate")
    _prepare()
    from jaxml.commands import devices, ending, replicate

    with ending.at_sigterm(), devices.computing_on(values.devices):
        replicate.replicate(
            descriptions, times=values.times, smoke=values.smoke, runs=values.runs
        )
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


def _report(words: list[str]) -> int:
    values = parsed(words, "runs", {"--readme": {"type": path_of}})
    runs = path_of(at_most_one(values.runs, "folder of runs") or "runs")
    _prepare()
    from jaxml.commands import report

    report.report(runs, values.readme)
    return 0


def _doctor(words: list[str]) -> int:
    if parsed(words, "nothing", {}).nothing:
        raise InputError(f"`jaxml doctor` takes no {words[0]}: leave it out.")
    _prepare()
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
    _prepare()
    from jaxml.commands import devices, verify

    with devices.computing_on(values.devices):
        return verify.verify(Path(folder), path)


def _bench(words: list[str]) -> int:
    values = parsed(
        words,
        "names",
        {"--out": {"type": path_of, "default": Path("runs/bench")}, **DEVICES},
    )
    from jaxml import bench

    for name in values.names:
        if name not in bench.names():
            raise InputError(
                f"There is no benchmark {name!r}: {proposal(name, bench.names())}"
            )
    _prepare()
    from jaxml.commands import devices

    with devices.computing_on(values.devices):
        bench.run(values.names or bench.names(), values.out)
    return 0


def _prepare() -> None:
    """Keeps compiled programs between processes, and LAPACK to one thread: both are
    read on import.
    """
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # small spectra: threads wait, and change the bits
    os.environ.setdefault(
        "JAX_COMPILATION_CACHE_DIR", str(shipped.cache() / "compilation")
    )
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "studies": _studies,
    "claims": _claims,
    "run": _run,
    "replicate": _replicate,
    "report": _report,
    "runs": _list_runs,
    "doctor": _doctor,
    "verify": _verify,
    "bench": _bench,
}

if __name__ == "__main__":
    sys.exit(main())
