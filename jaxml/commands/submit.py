"""`jaxml submit`: the shards of a `jaxml run` as jobs, through submitit."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.helpers import CommandFunction

from jaxml.types import InputError


def submit(
    words: Sequence[str],
    *,
    shards: int,
    cluster: str,
    folder: Path,
    settings: Mapping[str, Any],
) -> list[submitit.Job[str]]:
    """One job a shard, as one array where the cluster has arrays; prints their names.

    Args:
        words: of `jaxml run`, without `--shard`.
        shards: how many jobs.
        cluster: "slurm", or "local" for processes of this machine.
        folder: of the jobs' logs.
        settings: of submitit's executor, such as `slurm_partition` and `timeout_min`.

    Raises:
        InputError: there is no such cluster here, or a setting is refused.
    """
    if shards < 1:
        raise InputError(f"--shards {shards} makes no job: use 1 or more.")
    commands = [
        [sys.executable, "-m", "jaxml", "run", *words, "--shard", f"{i + 1}/{shards}"]
        for i in range(shards)
    ]
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        executor.update_parameters(**settings)
        with executor.batch():
            jobs = [executor.submit(CommandFunction(each)) for each in commands]
        names = [job.job_id for job in jobs]
    except (RuntimeError, NameError, TypeError, ValueError) as error:
        raise InputError(
            f"{cluster} does not take the jobs ({error}): correct --set, or choose "
            "--cluster local."
        ) from error
    print(f"{shards} jobs: {', '.join(names)}; their logs are in {folder}")
    return jobs
