"""What to run on an accelerator that is at hand for ten minutes:
`make accelerator OUT=folder`.

It needs a Python with JAX for that device, and no network: `make wheels`, where there
is one, fetches what else is missing. Each step is a process with a time limit of its
own; one that fails stops no other.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from jaxml.bench import steps, summary
from jaxml.bench.installation import copy_sources, installation
from jaxml.bench.steps import WELL, Outcome, Step, python
from jaxml.errors import InputError

TOTAL = 480.0
"""Seconds for all steps together."""

_FLAGS = os.environ.get("XLA_FLAGS", "")
PRECISE = {
    "JAX_DEFAULT_MATMUL_PRECISION": "highest",
    "XLA_FLAGS": f"{_FLAGS} --xla_gpu_deterministic_ops=true".lstrip(),
}
"""Products of float32 without TF32, and equal bits from one run to the next: for tests
and studies.
"""

AS_IT_COMES: dict[str, str] = {}
"""JAX's own settings, for benchmarks."""

BENCHMARKS = {
    "batch": 150.0,
    "lanes": 90.0,
    "dense": 90.0,
    "optimizers": 120.0,
    "cnn": 60.0,
    "spectrum": 75.0,
    "normalisers": 75.0,
    "hessian": 75.0,
    "pictures": 60.0,
    "sweep": 80.0,
}
"""Seconds for each benchmark, in the order in which they are run."""

TESTS = ("tests/problem", "tests/learn", "tests/curvature", "tests/test_accelerator.py")
"""Where the tests marked `device` are."""


def main(words: Sequence[str] | None = None) -> int:
    """Performs all steps and leaves their files in a folder; 1 if one did not end well,
    2 for wrong input.
    """
    parser = argparse.ArgumentParser(
        "python -m jaxml.bench.accelerator", description=__doc__
    )
    parser.add_argument(
        "out", nargs="?", default="", help="a new or empty folder for what is found"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="tiny sizes, on any device, the CPU too"
    )
    values = parser.parse_args(words)
    try:
        out = folder(values.out)
        device = found(smoke=values.smoke)
    except InputError as reason:
        print(f"make accelerator: {reason}", file=sys.stderr)
        return 2
    outcomes = visit(out, device, smoke=values.smoke)
    print(
        f"\n{summary.steps(outcomes)}\n\nTables: {out / 'tables.md'}\nLog: "
        f"{out / 'log.txt'}"
    )
    return int(any(each.verdict != WELL for each in outcomes))


def folder(name: str) -> Path:
    """The empty folder of that name, made if need be.

    Raises:
        InputError: there is no name, it cannot be written, or something is in it.
    """
    if not name:
        raise InputError(
            "no folder is named: say where results go, as in make accelerator "
            "OUT=folder."
        )
    path = Path(name).expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}): name another folder, OUT=..."
        ) from error
    if any(path.iterdir()):
        raise InputError(f"{path} is not empty: name a new folder, OUT=...")
    return path


def found(*, smoke: bool) -> str:
    """The device on which JAX computes, in a process of its own, as `gpu: NVIDIA H100`.

    Raises:
        InputError: this Python has no JAX that starts, or it finds only the CPU and
            more was asked for.
    """
    question = (
        "import jax; print(jax.default_backend(), jax.devices()[0].device_kind, sep=': "
        "')"
    )
    done = subprocess.run(
        [sys.executable, "-c", question], capture_output=True, text=True
    )
    if done.returncode:
        *_, said = done.stderr.splitlines() or ["it failed"]
        raise InputError(
            f"JAX does not start in {sys.executable} ({said}): name a Python in which "
            "it does, as in make accelerator PYTHON=/path/to/python OUT=folder."
        )
    device = done.stdout.splitlines()[-1]
    if device.startswith("cpu") and not smoke:
        raise InputError(
            "JAX finds no accelerator here, only the cpu: run this where there is one, "
            "or try the script itself with SMOKE=1."
        )
    return device


def visit(out: Path, device: str, *, smoke: bool) -> list[Outcome]:
    """Performs the steps in a temporary folder, and keeps what is asked for."""
    with (
        tempfile.TemporaryDirectory() as name,
        (out / "log.txt").open("w", encoding="utf-8") as log,
    ):
        work = Path(name)
        copy_sources(work / "source")
        paths = [str(work / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            "PYTHONPATH": os.pathsep.join(paths),
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }
        steps.say(log, f"{device}; {sys.executable}; at most {TOTAL:.0f} s")
        planned = [
            *installation(work),
            *(tried(out, work) if smoke else measured(out, work)),
        ]
        outcomes = steps.perform(planned, log, environment, TOTAL)
        keep_findings(work / "runs", out)
        for text in out.glob("*pu.txt"):
            text.unlink()  # the plot in words, which a page would show
    (out / "tables.md").write_text(summary.markdown(out, device, outcomes), "utf-8")
    return outcomes


def measured(out: Path, work: Path) -> list[Step]:
    """Everything, what matters most first; the last benchmark has what is left."""
    timed = [
        Step(
            f"bench {name}",
            jaxml("bench", name, "--out", str(out)),
            seconds,
            AS_IT_COMES,
        )
        for name, seconds in BENCHMARKS.items()
    ]
    first, second, third, *others = timed
    return [
        first,
        second,
        third,
        device_tests(out, "8", PRECISE | {"JAXML_TEST_AS_SHIPPED": "1"}, *TESTS),
        Step("critical_points", study("critical_points", work), 110.0, PRECISE),
        lowering(out),
        *others,
    ]


def tried(out: Path, work: Path) -> list[Step]:
    """The same commands at tiny sizes."""
    return [
        Step("bench", python("-m", "jaxml.bench.smoke", str(out)), 240.0, AS_IT_COMES),
        device_tests(out, "0", PRECISE, TESTS[-1]),
        lowering(out),
        Step("toy_saddle", (*study("toy_saddle", work), "--smoke"), 60.0, PRECISE),
    ]


def device_tests(
    out: Path, workers: str, environment: dict[str, str], *paths: str
) -> Step:
    """The tests marked `device`; warnings of a device's own libraries are shown and
    fail nothing.
    """
    pytest = python(
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
    )
    chosen = (
        "-m",
        "device",
        "-n",
        workers,
        "-W",
        "default",
        f"--junitxml={out / 'tests.xml'}",
    )
    command = (*pytest, *chosen, *paths)
    return Step("tests", command, 150.0, environment)


def lowering(out: Path) -> Step:
    """Programs for platforms that need not be here; on a CPU, of two devices."""
    return Step(
        "lowering",
        python("-m", "jaxml.bench.lowering", str(out / "lowering.json")),
        60.0,
        {"JAX_NUM_CPU_DEVICES": "2"},
    )


def study(name: str, work: Path) -> tuple[str, ...]:
    """A study, whose run is left in the temporary folder."""
    return jaxml("run", name, "--runs", str(work / "runs"))


def keep_findings(runs: Path, out: Path) -> None:
    """Copies findings and manifest of every finished run; arrays and figures stay
    behind.
    """
    for found in runs.glob("*/*/findings.json"):
        target = out / found.parent.parent.name
        target.mkdir(exist_ok=True)
        for name in ("findings.json", "manifest.json"):
            shutil.copy(found.with_name(name), target)


def jaxml(*words: str) -> tuple[str, ...]:
    """A command of jaxml."""
    return python("-m", "jaxml", *words)


if __name__ == "__main__":
    sys.exit(main())
