"""WHAT HAPPENED: intervals, verdicts, runs. `store`, `figures` and `report` are
imported by name: they draw.
"""

from jaxml.record.affine import Affine, affine_deviation, affine_law
from jaxml.record.critical_batch import CriticalBatch, critical_batch
from jaxml.record.runs.clock import seconds
from jaxml.record.finding import Assertion, Finding, deciding, judged, supporting
from jaxml.record.leads import beyond_half
from jaxml.record.ratios import mean_log_ratio, sample_mean
from jaxml.record.rule import Rule, above, at_most, below, near, verdict
from jaxml.record.runs.folder import Run, compare, load_run
from jaxml.record.runs.listing import list_runs
from jaxml.record.runs.stages import plain_keep
from jaxml.record.statistics import (
    Interval,
    bootstrap,
    certain,
    largest,
    paired,
    proportion,
)
from jaxml.record.summaries import (
    correlation,
    first_passage,
    first_passages,
    mean_difference,
    ratio_of_means,
)
from jaxml.record.study import Study, load
from jaxml.record.tuning import Arm, tuned, tuned_mean
