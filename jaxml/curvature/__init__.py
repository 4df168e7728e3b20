"""HOW IT BENDS: products, matrices, spectra, critical points and escapes, of any pure
objective.
"""

from jaxml.curvature import probes
from jaxml.curvature.certificate import Certificate, certify
from jaxml.curvature.covariate_shift import CovariateShift, internal_covariate_shift
from jaxml.curvature.data_parallel import data_parallel
from jaxml.curvature.dense import dense
from jaxml.curvature.embedding import zero_unit, zero_unit_eigenvalues
from jaxml.curvature.escape import Escape, escape
from jaxml.curvature.hutchinson import Estimate, frobenius_norm, trace
from jaxml.curvature.inertia import (
    Inertia,
    eigenvalues,
    inertia,
    inertia_from_eigenvalues,
)
from jaxml.curvature.isotropic import (
    NoisyGradients,
    isotropic_gradient,
    noisy_gradients,
)
from jaxml.curvature.landscape import interpolation
from jaxml.curvature.landscapes.curves import (
    Barriers,
    Curve,
    barriers,
    bezier,
    bezier_point,
)
from jaxml.curvature.landscapes.pictures import Picture, picture
from jaxml.curvature.landscapes.slices import (
    filter_normalised,
    line,
    linen_filters,
    orthogonalised,
    plane,
    whole_layers,
)
from jaxml.curvature.landscapes.surface import error_surface
from jaxml.curvature.landscapes.trajectories import (
    PrincipalPlane,
    principal_plane,
    projected,
    random_walk_projections,
    random_walk_variances,
)
from jaxml.curvature.landscapes.valleys import Corner, Valley, angle, corner, valley
from jaxml.curvature.landscapes.walks import (
    distance_between_runs,
    matched_walks,
    parabola_fraction,
)
from jaxml.curvature.lanczos import Extremes, Krylov, extremes, lanczos
from jaxml.curvature.operators.checks import check, require_finite
from jaxml.curvature.operators.fisher import (
    empirical_fisher_product,
    fisher_product,
    sampled_fisher_product,
)
from jaxml.curvature.operators.modes import Seen, in_training
from jaxml.curvature.operators.restricted import (
    Restricted,
    RestrictedProduct,
    leaf_paths,
    restricted,
    restricted_product,
)
from jaxml.curvature.operators.parts import Parts, cut, whole_gradient
from jaxml.curvature.operators.whole import Whole, whole_product
from jaxml.curvature.outcomes import (
    AT_INFINITY,
    FLAT,
    GRADIENT_FLAT,
    KINK,
    MINIMUM,
    NOT_CONVERGED,
    OUTCOMES,
    SADDLE,
    Criteria,
    discoveries,
    distinct,
    outcome,
    signs,
)
from jaxml.curvature.noise import Noise, batch_covariance_trace, gradient_noise
from jaxml.curvature.noise_draws import (
    DrawnNoise,
    ExampleGradients,
    error_of_products,
    example_gradients,
    noise_of_draws,
)
from jaxml.curvature.noise_parts import PartsNoise, noise_of_batches, noise_of_parts
from jaxml.curvature.noise_scale import NoiseScale, noise_scale, noise_scale_of_series
from jaxml.curvature.programs import mapped
from jaxml.curvature.products import gauss_newton_product, hessian_product, stacked
from jaxml.curvature.ratio import (
    layerwise_gauss_newton_ratio,
    positive_fraction,
    sampling_ratio,
)
from jaxml.curvature.relative_flatness import (
    relative_flatness,
    relative_flatness_estimate,
)
from jaxml.curvature.search import Candidates, certified, search
from jaxml.curvature.minimum import Minimum, StuckMinimum
from jaxml.curvature.minimum import nearest_minimum, stuck_minimum
from jaxml.curvature.sensitivity import input_sensitivity
from jaxml.curvature.sharpness import (
    Ascent,
    BoxSharpness,
    ascent_sharpness,
    box_sharpness,
)
from jaxml.curvature.smoothness import AlongStep, along_step
from jaxml.curvature.methods import (
    Search,
    after,
    eigenvector_following,
    gradient_norm_descent,
    stay,
)
from jaxml.curvature.transition import Sides, TransitionState, transition_state
from jaxml.curvature.transition import beside, both_sides, left_state
from jaxml.curvature.transition import seen_by_examples
from jaxml.curvature.departure import Departure, departed, departure
from jaxml.curvature.departure import growth_updates
from jaxml.curvature.spectra.density import Density, fraction_below
from jaxml.curvature.spectra.density import smoothed_density, spectral_density
from jaxml.curvature.spectra.estimates import Diagonal, diagonal, hutch_plus_plus
from jaxml.curvature.spectra.outliers import outliers
from jaxml.curvature.spectra.index import Index, index_interval, index_of_ends
from jaxml.curvature.spectra.restarted import ends, warm_start
from jaxml.curvature.spectra.thick_restart import Ends
from jaxml.curvature.points.certification import LargeCertificate, certify_matrix_free
from jaxml.curvature.points.chain import StationaryPoint, stationary_point
from jaxml.curvature.points.following import Effort, mode_following
from jaxml.curvature.points.newton import newton_minres
from jaxml.curvature.points.subspace import gradient_norm_minimisation
from jaxml.curvature.points.subspace import saddle_free_newton
