"""HOW it is learned: schedules, optimizers, batches, training, sweeps."""

from jaxml.learn.batches import Batches, full, in_order, permuted, shuffled, updates_per_epoch, with_replacement
from jaxml.learn.hyper import Hyper, grid, validate
from jaxml.learn.optimizers import (
    OPTIMIZERS, adagrad, adam, adamw, coupled, decoupled, evaluation_params, lookahead, mean_square_adagrad,
    momentum, nag, rmsprop, scale_by_rate, sgd, update,
)
from jaxml.learn.schedules import SHAPES, constant, cosine, exponential, inverse_sqrt, linear, step_decay, warmup
from jaxml.learn.sweep import Runs, compiled, sweep
from jaxml.learn.train import Descent, Info, Probe, Trace, Training, TrainState, descend, gradient_norm, minimiser, nothing, training
