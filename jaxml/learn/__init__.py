"""HOW it is learned: schedules, optimizers, batches, training, sweeps."""

from jaxml.learn import rules
from jaxml.learn.batches import Batches, full, in_order, permuted, shuffled, updates_per_epoch, with_replacement
from jaxml.learn.hyper import Hyper, grid, validate
from jaxml.learn.optimizers import OPTIMIZERS, adabound, adadelta, adagrad, adam, adamw, amsbound, amsgrad, averaged_momentum, averaged_nag, by, coupled, decoupled, evaluation_params, lamb, lars, lion, mean_square_adagrad, momentum, muon, nadam, nag, prodigy, radam, rmsprop, rmsprop_inside, sgd, sgdw, shampoo, soap, swats, unbiased_amsgrad, update, within
from jaxml.learn.rates import Family, rate_at, scale_by_rate
from jaxml.learn.schedules import SHAPES, constant, cosine, exponential, exponential_triangular, exponential_warmup, inverse, inverse_sqrt, linear, one_cycle, polynomial, restarts, stable_decay, step_decay, transformer, triangular, warmup
from jaxml.learn.wrappers import averaged, clipped, lookahead, noisy, schedule_free, sharpness_aware
from jaxml.learn.sweep import Program, Runs, compiled, run, sweep
from jaxml.learn.train import Descent, Info, Probe, Trace, Training, TrainState, descend, gradient_norm, measuring, minimiser, nothing, training
from jaxml.learn.compare import Contest, Entrant, compare, summary
from jaxml.learn.range_test import RangeTest, range_test
