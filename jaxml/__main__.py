"""The front door: `jaxml` on the command line, and `python -m jaxml`.

What can be answered without JAX is answered without importing it: the list of studies, and every
name that is wrong. So a command's module is imported only once its words make sense.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxml.commands.catalogue import check_field, find, proposal
from jaxml.errors import InputError
from jaxml.source import describe

USAGE = """\
jaxml measures why a network trains, or does not.

  jaxml studies [STUDY...] [--runs DIR]
                                        claims, cost, whether each has run; a named one in full
  jaxml run STUDY... [--smoke] [--field value ...] [--runs DIR] [--again] [--require-accelerator]
                                        runs studies, by name or path, and judges their claims
  jaxml report [RUNS] [--readme FILE]   one self-contained HTML page: ledger, verdicts, figures
  jaxml doctor                          devices, versions, precision, what would go wrong
  jaxml verify RUN [--study PATH]       runs a manifest again and compares every bit
  jaxml bench [NAME...] [--out DIR]     speed on this machine against the alternatives

RUNS and the DIR of --runs are `runs` unless named, that of --out is `runs/bench`.
Exit codes: 1, bits differ; 2, wrong input; 130, interrupted."""

_Options = Mapping[str, Mapping[str, Any]]
_RUNS: _Options = {"--runs": {"type": Path, "default": Path("runs")}}
_RUN: _Options = {
    **_RUNS,
    "--smoke": {"action": "store_true"},
    "--again": {"action": "store_true"},
    "--require-accelerator": {"action": "store_true"},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    command, words = (words[0], words[1:]) if words else ("help", [])
    try:
        if command == "help" or {"-h", "--help"} & {command, *words}:
            print(USAGE)
            return 0
        if command not in _COMMANDS:
            raise InputError(f"There is no command {command!r}: {proposal(command, _COMMANDS)}")
        return _COMMANDS[command](words)
    except InputError as reason:
        print(f"jaxml: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = "; the finished stages are kept and the same command resumes" if command == "run" else ""
        print(f"\nInterrupted{kept}.", file=sys.stderr)
        return 130


def _parsed(words: Sequence[str], positional: str, options: _Options) -> argparse.Namespace:
    """The words as arguments, any number of positional ones.

    Raises:
        InputError: an option that there is not, or one without its value.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument(positional, nargs="*")
    for name, settings in options.items():
        parser.add_argument(name, **settings)
    try:
        values, rest = parser.parse_known_intermixed_args(words)
    except argparse.ArgumentError as error:
        raise InputError(f"{error.argument_name}: {error.message}.") from error
    if rest:
        raise InputError(f"There is no option {rest[0]}: {proposal(rest[0], options)}")
    return values


def _at_most_one(words: Sequence[str], what: str) -> str | None:
    if len(words) > 1:
        raise InputError(f"{' '.join(words)} is too much: name one {what}.")
    return words[0] if words else None


def _fields(words: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The words of `jaxml run`, and apart from them each --field with what follows it."""
    own: list[str] = []
    fields: dict[str, list[str]] = {}
    target = own
    for word in words:
        name, assigned, value = word.partition("=")
        if name in _RUN or not name.startswith("--"):
            target = own if name in _RUN else target
            target.append(word)
        else:
            target = fields.setdefault(name[2:].replace("-", "_"), [])
            target.extend([value] if assigned else [])
    return own, fields


def _studies(words: list[str]) -> int:
    values = _parsed(words, "studies", _RUNS)
    descriptions = [describe(find(name)) for name in values.studies]
    from jaxml.commands import studies

    if descriptions:
        studies.show(descriptions, values.runs)
    else:
        studies.show_all(values.runs)
    return 0


def _run(words: list[str]) -> int:
    words, fields = _fields(words)
    values = _parsed(words, "studies", _RUN)
    descriptions = [describe(find(name)) for name in dict.fromkeys(values.studies)]
    if not descriptions:
        raise InputError("No study is named: write the studies first, as in `jaxml run toy_saddle --smoke`.")
    for field in fields:
        check_field(field, descriptions, _RUN)
    _prepare()
    from jaxml.commands import devices, run

    if values.require_accelerator:
        devices.require_accelerator()
    run.run(descriptions, fields, smoke=values.smoke, runs=values.runs, again=values.again)
    return 0


def _report(words: list[str]) -> int:
    values = _parsed(words, "runs", {"--readme": {"type": Path}})
    runs = Path(_at_most_one(values.runs, "folder of runs") or "runs")
    from jaxml.commands import report

    report.report(runs, values.readme)
    return 0


def _doctor(words: list[str]) -> int:
    if _parsed(words, "nothing", {}).nothing:
        raise InputError(f"`jaxml doctor` takes no {words[0]}: leave it out.")
    _prepare()
    from jaxml.commands import doctor

    doctor.doctor()
    return 0


def _verify(words: list[str]) -> int:
    values = _parsed(words, "run", {"--study": {}})
    folder = _at_most_one(values.run, "run")
    if folder is None or not Path(folder).is_dir():
        raise InputError(f"There is no run {folder or 'named'}: give a folder <runs>/<study>/<hash>.")
    path = find(values.study) if values.study else None
    _prepare()
    from jaxml.commands import verify

    return verify.verify(Path(folder), path)


def _bench(words: list[str]) -> int:
    values = _parsed(words, "names", {"--out": {"type": Path, "default": Path("runs/bench")}})
    from jaxml import bench

    for name in values.names:
        if name not in bench.names():
            raise InputError(f"There is no benchmark {name!r}: {proposal(name, bench.names())}")
    _prepare()
    bench.run(values.names or bench.names(), values.out)
    return 0


def _prepare() -> None:
    """Keeps compiled programs between processes, and LAPACK to one thread: both are read on import."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small spectra: threads wait, and change the bits
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(home / "jaxml" / "compilation"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "studies": _studies,
    "run": _run,
    "report": _report,
    "doctor": _doctor,
    "verify": _verify,
    "bench": _bench,
}

if __name__ == "__main__":
    sys.exit(main())
