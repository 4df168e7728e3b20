"""The commands that run studies: words are taken apart and checked, and only then is
JAX imported.
"""

from collections.abc import Sequence
from functools import partial

from jaxml.commands.catalogue import check_field, find_all
from jaxml.commands.environment import prepare
from jaxml.commands.words import REPLICATE, RUN, SUBMIT, fields_of, parsed, split
from jaxml.errors import InputError
from jaxml.source import Description, describe


def run(words: list[str]) -> int:
    """`jaxml run`: studies, made and judged."""
    words, fields = fields_of(words)
    values = parsed(words, "studies", RUN)
    descriptions = _named(values.studies, "run")
    for field in fields:
        check_field(field, descriptions, RUN)
    prepare(deterministic=values.deterministic)
    _join(values.distributed)
    from jaxml.commands import devices, together
    from jaxml.commands.run import run as made

    if values.require_accelerator:
        devices.require_accelerator()
    with devices.computing_on(values.devices):
        together.jointly(
            partial(
                made,
                descriptions,
                fields,
                smoke=values.smoke,
                runs=values.runs,
                again=values.again,
                shard=values.shard,
            )
        )
    return 0


def replicate(words: list[str]) -> int:
    """`jaxml replicate`: studies again, from fresh seeds."""
    values = parsed(words, "studies", REPLICATE)
    descriptions = _named(values.studies, "replicate")
    prepare(deterministic=values.deterministic)
    _join(values.distributed)
    from jaxml.commands import devices, together
    from jaxml.commands.replicate import replicate as replicated

    with devices.computing_on(values.devices):
        together.jointly(
            partial(
                replicated,
                descriptions,
                times=values.times,
                smoke=values.smoke,
                runs=values.runs,
            )
        )
    return 0


def submit(words: list[str]) -> int:
    """`jaxml submit`: studies as jobs of a cluster."""
    values, run_words = split(words, SUBMIT)
    own, fields = fields_of(run_words)
    asked = parsed(own, "studies", RUN)
    if asked.shard is not None:
        raise InputError("`jaxml submit` makes the shards: leave --shard out.")
    descriptions = _named(asked.studies, "submit")
    for field in fields:
        check_field(field, descriptions, RUN)
    try:
        from jaxml.commands.submit import submit as submitted
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is missing: install the extra slurm, pip install "
            "'jaxml[slurm]'."
        ) from error

    submitted(
        run_words,
        shards=values.shards,
        cluster=values.cluster,
        folder=values.logs,
        settings=dict(values.set),
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


def _join(distributed: bool) -> None:
    """Joins the processes of the job, if the command says that there are several."""
    if distributed:
        from jaxml import processes

        processes.join()
