"""WHAT is learned: data, models, losses, and the objectives they make together."""

from jaxml.problem.class_losses import class_weighted, focal, logit_mse, multi_margin
from jaxml.problem.class_losses import squared_multi_margin, weighted_by_class
from jaxml.problem.data.augmentation import augmented, flipped, mixed, rotated, shifted
from jaxml.problem.data.augmentation import speckled, upside_down
from jaxml.problem.data.cifar import cifar10, read_cifar10
from jaxml.problem.data.embedded import circles, digits, moons, pokemon_cp, sinc
from jaxml.problem.data.embedded import spirals, xor
from jaxml.problem.data.examples import examples, split
from jaxml.problem.data.image_sets import fashion_mnist, mnist, shrunk
from jaxml.problem.data.own_idx import read_idx
from jaxml.problem.data.own_views import read_views
from jaxml.problem.data.pictures import digit_pictures
from jaxml.problem.data.pm25 import MEASURES, AirQuality, air_quality
from jaxml.problem.data.series import Causes, caused_views, filled, moved_holidays
from jaxml.problem.data.tables import breast_cancer, wine
from jaxml.problem.data.text import shakespeare, windows
from jaxml.problem.data.transforms import rotated_by, scaled_by, scrambled, translated
from jaxml.problem.data.views import PAGES, DailyViews, page_views
from jaxml.problem.evaluations import calibration_error, confusion_matrix
from jaxml.problem.labels import check_labels
from jaxml.problem.losses import accuracy, cross_entropy, hinge, huber, l1, l2, mae, mse
from jaxml.problem.losses import none, softmax_mse, weighted_mean
from jaxml.problem.models.chain import chain, elementwise, with_shortcut
from jaxml.problem.models.chosen import one_of
from jaxml.problem.models.convolution import convolve, convolve_native, convolve_patches
from jaxml.problem.models.convolutions.fields import ReceptiveField, receptive_field
from jaxml.problem.models.convolutions.fields import measured_receptive_field
from jaxml.problem.models.convolutions.layers import channel_bias, convolution
from jaxml.problem.models.convolutions.layers import locally_connected
from jaxml.problem.models.convolutions.networks import plain_net, resnet, vgg
from jaxml.problem.models.convolutions.operations import toeplitz
from jaxml.problem.models.convolutions.pooling import blur_pooling, max_pooling
from jaxml.problem.models.convolutions.pooling import global_mean, maxout
from jaxml.problem.models.convolutions.pooling import mean_pooling, subsampling
from jaxml.problem.models.convolutions.transformer import spatial_transformer
from jaxml.problem.models.convolutions.windows import SlidingWindow, sliding_window
from jaxml.problem.models.deeper import deepened, with_zero_blocks
from jaxml.problem.models.dense import linear, mlp, polynomial, units
from jaxml.problem.models.depth import Through, deep_mlp, embedded, matched_width
from jaxml.problem.models.depth_dropout import deep_mlp_with_dropout
from jaxml.problem.models.dropped import mean_over_masks, scaled_by_rest, unscaled
from jaxml.problem.models.ghosts import in_ghosts
from jaxml.problem.models.image import cnn, max_pool
from jaxml.problem.models.linen import from_linen
from jaxml.problem.models.masked import fewer_inputs, fewer_units, masked, narrowed
from jaxml.problem.models.nnx import from_nnx
from jaxml.problem.models.normalisation.batch import batch_norm, kept_of_momentum
from jaxml.problem.models.normalisation.groups import group_norm, instance_norm
from jaxml.problem.models.normalisation.groups import layer_norm, rms_norm
from jaxml.problem.models.normalisation.indexed import NORMS, indexed_norm
from jaxml.problem.models.normalisation.kernels import spectral_normed, weight_normed
from jaxml.problem.models.normalisation.noise import noisy
from jaxml.problem.models.normalisation.pooled import POOLS, pooled_norm
from jaxml.problem.models.normalisation.precise import precise_objective
from jaxml.problem.models.normalisation.renorm import RunningDeviations, batch_renorm
from jaxml.problem.models.normalisation.several import accumulated_loss
from jaxml.problem.models.normalisation.several import with_exact_statistics
from jaxml.problem.models.normalisation.several import with_precise_statistics
from jaxml.problem.models.normalisation.statistics import RunningStatistics
from jaxml.problem.models.normalised import batch_normalised
from jaxml.problem.models.normalised_convolutions import normalised_convolutions
from jaxml.problem.models.normalised_dense import normalised_dense
from jaxml.problem.models.sums import hard_sigmoid, hard_sigmoids_of_curve
from jaxml.problem.models.sums import relus_of_curve, relus_of_hard_sigmoids
from jaxml.problem.models.sums import sigmoid_stairs, stairs_bound
from jaxml.problem.models.switched import Switched, switched_normalised
from jaxml.problem.objectives import criterion, evaluation, objective, outputs, start
from jaxml.problem.objectives import training_loss
from jaxml.problem.penalties import without_biases
from jaxml.problem.smoothing import smoothed_cross_entropy, soft_cross_entropy
from jaxml.problem.spectral_penalty import spectral_penalty
from jaxml.problem.tasks.boards import capture_boards
from jaxml.problem.tasks.classical import Classifier, nearest_neighbour
from jaxml.problem.tasks.classical import ridge_classifier, stored_examples
from jaxml.problem.tasks.dust import dust_windows, hourly_dust
from jaxml.problem.tasks.kernel_signs import other_kernel_signs
from jaxml.problem.tasks.lags import Errors, Scale, Span, forecast_errors, lagged
from jaxml.problem.tasks.lags import lagged_split, least_absolute, least_squares
from jaxml.problem.tasks.lags import linear_forecasts, rescaled, span
from jaxml.problem.tasks.leaderboards import Parts, Scores, leaderboard
from jaxml.problem.tasks.line import Line, pokemon_line
from jaxml.problem.tasks.measures import judged_on_both, mean_loss
from jaxml.problem.tasks.networks import Task, deep_relu, initial_vectors, networks
from jaxml.problem.tasks.networks import objective_of_vector, output_errors
from jaxml.problem.tasks.networks import parity_digits, relu_sinc, softmax_digits
from jaxml.problem.tasks.networks import square_wave, tanh_sinc, unravel
from jaxml.problem.tasks.networks import untrained_logits, wider_inputs
from jaxml.problem.tasks.normalised import normalised_workload
from jaxml.problem.tasks.overfitting import other_signs, patch_network, relabelled
from jaxml.problem.tasks.paired_starts import PairedStarts, paired_starts
from jaxml.problem.tasks.parity import parity_clothing
from jaxml.problem.tasks.planted import planted_cases
from jaxml.problem.tasks.planted_parts import PlantedCase
from jaxml.problem.tasks.polynomials import legendre_features, nearest_solution
from jaxml.problem.tasks.ridge import cubic_curve, cubic_points, legendre
from jaxml.problem.tasks.ridge import mean_square_bend, ridge, ridge_path
from jaxml.problem.tasks.scripts import one_large, over_decades
from jaxml.problem.tasks.stored import in_float64, stored_networks
from jaxml.problem.tasks.validated import Validated, series_and_pages, shortened
from jaxml.problem.tasks.validated import validated_windows
from jaxml.problem.tasks.variants import after_the_sum, before_the_block, difficulty
from jaxml.problem.tasks.variants import layer_normalised, residual, small_clothing
from jaxml.problem.tasks.variants import switched_mlp
from jaxml.problem.tasks.views import absolute_error, drawn_views, half_years
from jaxml.problem.tasks.views import least_absolute_line, next_days, padded
from jaxml.problem.tasks.views import second_moments, standardised, years_as_one
from jaxml.problem.tasks.windows import Fitted, Scaled, Window, drawn_windows
from jaxml.problem.tasks.windows import fitted_line, page_windows, scaled_windows
from jaxml.problem.tasks.workloads import characters_workload, clothing_workload
from jaxml.problem.tasks.workloads import digit_images_workload, digits_workload
from jaxml.problem.tasks.workloads import small_clothing_workload, weights, workload
from jaxml.problem.toys import bilinear, cubic, parabola, quartic, x_sin_x
from jaxml.provenance import read
