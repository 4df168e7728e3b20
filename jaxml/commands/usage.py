"""What `jaxml --help` and `jaxml COMMAND --help` say."""

USAGE = """\
jaxml measures why a network trains, or does not.

  jaxml studies [STUDY...]     claims, cost, whether each has run; a named one in full
  jaxml claims [ID or TOPIC]   what the course claims, and what the studies answer
  jaxml run STUDY...           runs studies, by name, topic or path, and judges them
  jaxml submit STUDY...        the same on a cluster: a job for each part of the runs
  jaxml replicate STUDY...     runs them again from fresh seeds: which verdicts hold?
  jaxml report [RUNS]          one self-contained HTML page: claims, answers, figures
  jaxml runs [RUNS]            the runs there are; findings and numbers as CSV or JSON
  jaxml watch [RUN]            what a run has done and is doing, from its log
  jaxml verify RUN             runs a manifest again and compares every bit
  jaxml doctor                 devices, versions, precision, what would go wrong
  jaxml bench [NAME...]        speed on this machine against the alternatives

`jaxml COMMAND --help` says more; RUNS is `runs` unless named.
Exit codes: 1, bits differ; 2, wrong input; 3, a defect of jaxml; 130, interrupted;
143, terminated."""

USAGES = {
    "studies": """\
jaxml studies [STUDY... or TOPIC/] [--runs DIR]

Lists the studies by topic: claims, cost, and whether each has a run that is up to date.
A named one is shown in full, with the fields that `jaxml run` can change.""",
    "claims": """\
jaxml claims [ID... or TOPIC] [--runs DIR]

Each claim of the course as a sentence, its answer, the studies behind it, and what
waits to be tested: `jaxml claims`, `jaxml claims C053`, `jaxml claims critical
points`.""",
    "run": """\
jaxml run STUDY... or TOPIC/ [--smoke] [--field value ...] [--runs DIR] [--again]
          [--devices N] [--deterministic] [--shard I/N] [--distributed]
          [--require-accelerator] [--checkpoint-seconds S]

Runs studies, by name or path, or all of a topic, as in `jaxml run momentum/`, judges
their claims, and writes a report.
  --smoke                a config that takes seconds and says nothing of the claims
  --seed N               other randomness; 0 is the committed one
  --field 50,100,200     any field of a study's Config; several values make several
                         runs; a comma within a value is written \\, as in
                         --title 'a\\,b'
  --runs DIR             where runs are kept (runs)
  --again                compute even what is there already
  --devices N            chunks of runs computed at once: CPU cores or accelerators, all
                         of them unless told; changes no bit
  --shard I/N            the I-th of N parts of the runs that the command names, so that
                         N jobs make all; what is done is skipped
  --distributed          one of several processes that make each run together, as JAX
                         finds them under Slurm, Open MPI, Kubernetes and on TPU pods
  --deterministic        a GPU gives the same bits each time, and is slower; recorded
  --require-accelerator  stop where JAX finds only the CPU
  --checkpoint-seconds S
                         how much of a sweep in segments may be lost when the process
                         is killed (60); changes no bit

`jaxml run STUDY --help` lists the fields of that study.""",
    "submit": """\
jaxml submit STUDY... or TOPIC/ [--shards N] [--cluster slurm or local]
             [--set name=value ...] [--logs DIR] [all that `jaxml run` takes]

Hands N jobs (8) to Slurm through submitit, each of which makes a part of the runs as
`jaxml run ... --shard I/N` does; jobs that ended early are made up by the same command.
  --set name=value  what submitit tells Slurm: slurm_partition=gpu, timeout_min=60,
                    gpus_per_node=1, cpus_per_task=16; may be repeated
  --cluster local   processes of this machine in place of jobs
  --logs DIR        where the jobs' output is kept (logs)

It needs the extra slurm: pip install 'jaxml[slurm]'.""",
    "replicate": """\
jaxml replicate STUDY... or TOPIC/ [--times N] [--smoke] [--runs DIR] [--devices N]
                [--distributed] [--deterministic]

Runs each study at seed 0, again from the fresh seeds 1 ... N (2), and with another
number of runs side by side, which changes rounding alone. Says which verdicts hold and
which change, and whether the intervals overlap.""",
    "report": """\
jaxml report [RUNS] [--readme FILE]

Writes RUNS/report.html: by topic each claim, its answer, figures and findings.
  --readme FILE  fills the tables between <!-- answers --> <!-- /answers --> in FILE
                 too, likewise tally, index, studies, verdicts, speed; updates
                 experiments/verdicts/ and each topic's page,
                 experiments/TOPIC/README.md""",
    "runs": """\
jaxml runs [RUNS] [--csv FILE] [--json FILE]

Lists the runs; exports their findings and numbers, one a row, for pandas. FILE may
be -.""",
    "verify": """\
jaxml verify RUN [--study PATH] [--devices N]

Runs a run's manifest again, apart, with every program compiled anew, and compares every
bit, and its findings. Names what differs from then: versions, flags, device, code,
data; a run that was --deterministic is verified so.""",
    "watch": """\
jaxml watch [RUN] [--once] [--tensorboard DIR]

Prints from its log what a run has done, stage by stage with seconds and losses, and
goes on until it ends. RUN is a folder <runs>/<study>/<hash>, finished or .partial, or a
folder of runs, of which the one that was worked on last is shown (runs).
  --once             only what is there already
  --tensorboard DIR  event files for TensorBoard too, by the extra `track`""",
    "doctor": "jaxml doctor\n\nDevices, versions, precision, and a sentence for all "
    "that would go wrong.",
    "bench": """\
jaxml bench [NAME...] [--out DIR] [--compare FILE] [--devices N]

Times jaxml on this machine against the alternatives, and writes into DIR (runs/bench) a
table as JSON and a plot.
  --compare FILE  beside such a JSON file of another time, machine or version: what is
                  faster, what slower""",
}
