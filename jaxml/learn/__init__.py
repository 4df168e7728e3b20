"""HOW it is learned: schedules, optimizers, batches, training, sweeps."""

from jaxml.learn.optimizers import rules
from jaxml.learn.batches import (
    Batches,
    full,
    in_order,
    permuted,
    shuffled,
    split_anew,
    split_blocks_anew,
    updates_per_epoch,
    with_replacement,
)
from jaxml.learn.at_points import at_each_point, starting_from
from jaxml.learn.early_stopping import Stopped, keeping_best, stopped_early
from jaxml.learn.fixed import fixed
from jaxml.learn.rate_alone import by_rate_alone
from jaxml.learn.folds import (
    Selected,
    assigned_folds,
    by_fold,
    folds,
    folds_in_time,
    grouped_folds,
    selected,
)
from jaxml.learn.beginnings import Ended, begun_at
from jaxml.learn.draws import independent_batches
from jaxml.learn.diagnosis.asked import Budget, Goal, Models
from jaxml.learn.diagnosis.diagnose import Diagnosis, diagnose
from jaxml.learn.levels import at_levels, stochastic
from jaxml.learn.orders import Order, shuffled_once
from jaxml.learn.own_examples import changed_once
from jaxml.learn.passages import Passage, first_passages, heavy_ball_passage
from jaxml.learn.subsets import subset
from jaxml.learn.training.grid import grid, joined
from jaxml.learn.optimizers.hyper import Hyper, validate
from jaxml.learn.optimizers.composition import by, coupled, decoupled, within
from jaxml.learn.optimizers.door import begin, update
from jaxml.learn.optimizers.evaluation import evaluation_params
from jaxml.learn.optimizers.adaptive import (
    adadelta,
    adagrad,
    adam,
    adamw,
    amsgrad,
    mean_square_adagrad,
    nadam,
    radam,
    radam_above_four,
    rmsprop,
    rmsprop_inside,
    unbiased_amsgrad,
)
from jaxml.learn.optimizers.bounded import (
    adabound,
    amsbound,
    unbiased_adabound,
    unbiased_amsbound,
)
from jaxml.learn.optimizers.layerwise import lamb, lars, lars_inside
from jaxml.learn.optimizers.layerwise import muon, shampoo, soap
from jaxml.learn.optimizers.momenta import (
    averaged_momentum,
    averaged_nag,
    lion,
    momentum,
    nag,
    sgd,
    sgdw,
)
from jaxml.learn.optimizers.scripts import steps_along
from jaxml.learn.optimizers.decayed import decayed_sums
from jaxml.learn.optimizers.self_tuned import prodigy, swats
from jaxml.learn.optimizers.table import OPTIMIZERS
from jaxml.learn.optimizers.rates import (
    Family,
    ShapedFamily,
    as_family,
    rate_at,
    scale_by_rate,
)
from jaxml.learn.optimizers.reading import check_grid, reads
from jaxml.learn.schedules import (
    SHAPES,
    constant,
    cosine,
    exponential,
    exponential_triangular,
    inverse,
    inverse_sqrt,
    linear,
    one_cycle,
    polynomial,
    restarts,
    stable_decay,
    step_decay,
    torch_one_cycle,
    transformer,
    triangular,
)
from jaxml.learn.warmups import exponential_warmup, warmup
from jaxml.learn.optimizers.gradient_wrappers import clipped, noisy
from jaxml.learn.optimizers.wrappers import (
    averaged,
    lookahead,
    schedule_free,
    sharpness_aware,
)
from jaxml.learn.training.sweep import Program, Runs, compiled, run, sweep
from jaxml.learn.data_parallel import data_parallel
from jaxml.learn.grouped_sweep import compiled_in_groups, grouped_sweep
from jaxml.learn.segmented.sweep import segmented_sweep
from jaxml.learn.recorded import recorded_weights, recording
from jaxml.learn.reaching import Reached, Stop, own_data, trained_to
from jaxml.learn.along import at_least, drawn_rows, each_run, losses_along
from jaxml.learn.training.descent import Descent, descend, descended, minimiser
from jaxml.learn.training.state import (
    Info,
    Probe,
    Trace,
    Training,
    TrainState,
    first_state,
)
from jaxml.learn.training.probes import evaluating, gradient_norm, measuring, nothing
from jaxml.learn.training.train import training
from jaxml.learn.tuning.batch_sizes import BatchSizes, BatchSweep, batch_sweep
from jaxml.learn.tuning.compare import (
    Contest,
    Entrant,
    Experiment,
    Units,
    chosen,
    compare,
    experiment,
    summary,
    updates_to,
)
from jaxml.learn.tuning.large_batches import Variant, scaled, varied_momentum
from jaxml.learn.tuning.range_test import RangeTest, range_test
from jaxml.learn.tuning.stable_rate import (
    StableRate,
    ends_below_start,
    largest_stable_rate,
)
