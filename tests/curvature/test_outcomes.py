"""Points by their right names: whatever the units, the precision and the degree at
which the loss decides.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.curvature import (
    AT_INFINITY,
    KINK,
    MINIMUM,
    NOT_CONVERGED,
    OUTCOMES,
    SADDLE,
    Certificate,
)
from jaxml.curvature.certificate import zero_tolerance
from jaxml.types import InputError

DRAW = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def name(objective, point, **settings):
    certificate = curvature.certify(
        objective, jnp.asarray(point, float), None, **settings
    )
    return OUTCOMES[int(curvature.outcome(certificate))]


def quadratic(w, _):
    return w[0] ** 2 + 3 * w[1] ** 2


def valley(w, _):
    return (1 - w[0] * w[1] * w[2]) ** 2


def monkey(w, _):
    return w[0] ** 3 - 3 * w[0] * w[1] ** 2


def quartic(w, _):
    return jnp.sum(w**4)


def peano(w, _):
    """A minimum along every line through 0, and yet it falls along the parabola w₁ =
    1.4 w₀².
    """
    return (w[1] - w[0] ** 2) * (w[1] - 2 * w[0] ** 2)


def tails(w, _):
    return jnp.sum(jnp.exp(-w))


CASES = {
    "a quadratic": (quadratic, [0.0, 0.0], "minimum"),
    "a saddle": (lambda w, _: (1 - w[0] * w[1]) ** 2, [0.0, 0.0], "saddle"),
    "a valley of equal loss": (valley, [2.0, 0.5, 1.0], "minimum"),
    "a curved valley": (lambda w, _: (w[1] - w[0] ** 2) ** 2, [0.0, 0.0], "minimum"),
    "a weight that nothing reads": (
        lambda w, _: w[0] ** 2 + 0 * w[1],
        [0.0, 3.0],
        "minimum",
    ),
    "a product of three": (valley, [0.0, 0.0, 0.0], "flat to second order"),
    "a monkey saddle": (monkey, [0.0, 0.0], "flat to second order"),
    "a quartic": (quartic, [0.0, 0.0], "flat to second order"),
    "a quartic above 0": (
        lambda w, _: 1 + quartic(w, _),
        [0.0, 0.0],
        "flat to second order",
    ),
    "a sixth power": (
        lambda w, _: 1 - w[0] ** 6 + w[1] ** 2,
        [0.0, 0.0],
        "flat to second order",
    ),
    "a curved way down": (peano, [0.0, 0.0], "flat to second order"),
    "a point on the way": (valley, [1.3, -0.4, 1.0], "not converged"),
    "exponential tails": (tails, [30.0, 28.0], "at infinity"),
    "a slope": (lambda w, _: w[0], [0.0], "gradient-flat"),
}


UNITS = np.array(
    [(1.0, 1.0), (1e-12, 1.0), (1e-6, 1.0), (1e9, 1.0)]
)  # of the loss, and of the parameters
LENGTHS = np.array([(1.0, 1e-9), (1.0, 1e-3), (1.0, 1e6)])


@pytest.mark.invariance
@pytest.mark.parametrize("case", CASES)
def test_each_point_has_its_name_in_whatever_units(case):
    objective, point, expected = CASES[case]
    point = jnp.asarray(point)
    units = np.concatenate([UNITS, LENGTHS]) if point.any() else UNITS

    def scaled(w, unit):
        return unit[0] * objective(w / unit[1], None)

    def measure(unit):
        return curvature.certify(scaled, unit[1] * point, unit)

    found = jax.jit(partial(jax.lax.map, measure))(units)
    assert [OUTCOMES[code] for code in curvature.outcome(found)] == [expected] * len(
        units
    )


@pytest.mark.oracle
@pytest.mark.parametrize("scale", [1e3, 1e9])
def test_a_slope_in_small_units_is_no_minimum(scale):
    assert (
        name(lambda w, _: jnp.sum((1 - scale * w) ** 2), [0.0, 0.0]) == "not converged"
    )


def orbit(params, _):
    u, v = params["u"], params["v"]
    return (u @ v - 1) ** 2 + 0.1 * (u @ u + v @ v)


@pytest.mark.oracle
def test_minima_on_the_orbit_of_a_rotation_are_minima():
    """The lowest loss is at u = v, ‖u‖² = 0.9: 0.01 + 0.2 · 0.9 = 0.19."""
    starts = {"u": DRAW.normal(size=(200, 2)), "v": DRAW.normal(size=(200, 2))}
    found = curvature.search(
        partial(curvature.eigenvector_following, index=0), orbit, starts, None
    )
    np.testing.assert_allclose(found.certificate.loss, 0.19, rtol=1e-12)
    assert (curvature.outcome(found.certificate) == MINIMUM).all()
    assert (np.asarray(curvature.signs(found.certificate).zero) == 1).all()


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_minima_on_the_orbit_of_a_scaling_are_minima_though_far_from_balanced(dtype):
    """w₀w₁w₂ = 1, of weights 1 to 1000: steps along the orbit leave where the
    relaxation converges.
    """
    found = curvature.certify(valley, jnp.array([100.0, 0.1, 0.1], dtype), None)
    assert curvature.outcome(found) == MINIMUM
    assert curvature.signs(found).zero == 2


@pytest.mark.oracle
def test_a_flat_direction_that_cannot_be_followed_is_no_minimum():
    """The loss has no value at any point beside 0, though its derivatives there are
    those of w₀².
    """

    @jax.custom_jvp
    def only_here(w):
        return jnp.where(jnp.any(w != 0), jnp.nan, 0.0)

    only_here.defjvps(lambda tangent, _, w: 0 * tangent[0])
    assert name(lambda w, _: w[0] ** 2 + only_here(w), [0.0, 0.0]) != "minimum"


@pytest.mark.oracle
def test_separable_labels_lead_to_infinity_and_to_no_kink():
    """Far out the gradient is 1e-12 and its rounding 1e-18, of the order of what the
    Hessian says.
    """
    inputs = np.random.default_rng(1).normal(size=(30, 2))
    labels = (inputs.sum(axis=1) > 0).astype(int)

    def loss(kernel, _):
        logits = inputs @ kernel
        return jnp.mean(
            jax.nn.logsumexp(logits, axis=1) - logits[np.arange(30), labels]
        )

    starts = DRAW.normal(size=(4, 2, 2))
    method = partial(
        curvature.eigenvector_following, index=0, iterations=1000, radius=3.0
    )
    found = curvature.search(method, loss, starts, None)
    assert (np.asarray(found.certificate.loss) < 1e-10).all()
    assert (
        np.asarray(found.certificate.jump) > 1e-8
    ).all()  # rounding alone, and more than a kink needs
    assert (curvature.outcome(found.certificate) == AT_INFINITY).all()


@pytest.mark.oracle
def test_a_saddle_of_third_order_in_a_linear_autoencoder_is_no_minimum():
    """W₃W₂W₁ at W₁ = W₂ = W₃ = 0: the Hessian is 0, and the loss falls along a cubic
    (Kawaguchi 2016).
    """
    inputs = DRAW.normal(size=(20, 4))

    def loss(params, x):
        first, second, third = params
        return jnp.mean((x @ first @ second @ third - x) ** 2)

    zeros = (jnp.zeros((4, 2)), jnp.zeros((2, 2)), jnp.zeros((2, 4)))
    certificate = curvature.certify(loss, zeros, inputs)
    assert OUTCOMES[int(curvature.outcome(certificate))] == "flat to second order"
    beside = jax.tree.map(
        lambda leaf: leaf + 1e-7 * DRAW.normal(size=leaf.shape), zeros
    )
    assert int(curvature.outcome(curvature.certify(loss, beside, inputs))) != MINIMUM


@pytest.mark.oracle
@pytest.mark.parametrize(
    "objective",
    [
        lambda w, _: (
            jax.nn.relu(w[0]) - jax.nn.relu(-w[0]) + w[0] ** 2
        ),  # x + x², of slope 1
        lambda w, _: jax.nn.relu(w[0]) - jax.nn.relu(-w[0]),
        lambda w, _: jnp.abs(w[0]) + w[0] ** 2,
        lambda w, _: jax.nn.relu(w[0]) ** 2 - w[0] ** 2 / 2,
    ],
    ids=[
        "two hinges that hide a slope",
        "hinges alone",
        "a corner",
        "a jump of the curvature",
    ],
)
def test_kinks_are_named_whatever_automatic_differentiation_says_there(objective):
    assert name(objective, [0.0]) == "kink"


@pytest.mark.oracle
def test_a_plateau_that_ends_in_a_kink_is_a_minimum():
    """relu(|w₀| - d)² is 0 to a distance d of 0, here of a point of length 1."""

    def plateau(w, d):
        return w[1] ** 2 + jax.nn.relu(jnp.abs(w[0]) - d) ** 2 + (w[2] - 1) ** 2

    certificate = curvature.certify(
        plateau, jnp.array([0.0, 0.0, 1.0]), jnp.asarray(1e-3)
    )
    assert curvature.outcome(certificate) == MINIMUM
    assert curvature.signs(certificate).zero == 1


@pytest.mark.oracle
def test_float32_names_the_saddles_that_float64_names():
    keys = jax.random.split(jax.random.key(0), 3)

    def loss(params, x):
        fit = jnp.mean(
            (jnp.tanh(x @ params["w"]) @ params["v"] - jnp.sin(x[:, :1])) ** 2
        )
        return fit + 1e-3 * (jnp.sum(params["w"] ** 2) + jnp.sum(params["v"] ** 2))

    draw = partial(jax.random.normal, dtype=jnp.float32)
    starts = {"w": draw(keys[0], (10, 2, 3)), "v": draw(keys[1], (10, 3, 1))}
    method = partial(curvature.eigenvector_following, index=1)
    single = curvature.search(method, loss, starts, draw(keys[2], (100, 2)))
    assert (curvature.outcome(single.certificate) == SADDLE).all()
    assert (np.asarray(curvature.signs(single.certificate).negative) == 1).all()


@pytest.mark.oracle
def test_inputs_far_from_zero_do_not_hide_a_minimum():
    inputs = DRAW.normal(size=(30, 3)) + 1e4
    targets = np.sin(inputs[:, 0])

    def loss(params, batch):
        x, y = batch
        return (
            jnp.mean((x @ params["w"] + params["b"] - y) ** 2)
            + 1e-3 * params["w"] @ params["w"]
        )

    starts = {"w": DRAW.normal(size=(3, 3)), "b": np.zeros(3)}
    method = partial(curvature.eigenvector_following, index=0)
    found = curvature.search(method, loss, starts, (inputs, targets))
    assert (curvature.outcome(found.certificate) == MINIMUM).all()


@pytest.mark.identity
def test_normalised_weights_that_run_into_zero_are_not_certified():
    inputs = DRAW.normal(size=(30, 3))

    def loss(params, x):
        unit = params["w"] / jnp.sqrt(jnp.sum(params["w"] ** 2))
        return jnp.mean((params["g"] * jnp.tanh(x @ unit) - jnp.sin(x[:, 0])) ** 2)

    starts = {"w": DRAW.normal(size=(8, 3)), "g": DRAW.normal(size=8)}
    found = curvature.search(
        partial(curvature.eigenvector_following, index=0), loss, starts, inputs
    )
    ran_in = np.linalg.norm(np.asarray(found.params)[:, 1:], axis=1) < 1e-6
    names = curvature.outcome(found.certificate)
    assert ran_in.any() and np.isin(names[ran_in], (KINK, NOT_CONVERGED)).all()


def certificate(**changes):
    """A minimum without flat directions, but for the changes."""
    stationary = {
        "loss": 1.0,
        "gradient_norm": 0.0,
        "parameter_norm": 1.0,
        "newton_step": 0.0,
        "alignment": 1.0,
    }
    fields = stationary | {"jump": 0.0, "eigenvalues": np.array([1.0, 4.0])} | changes
    return Certificate(**fields)


LIMITS = [
    ("gradient_norm", 1e-10 * 4 * 2, "not converged"),  # ‖H‖ = 4 and ℓ = 2
    ("newton_step", 1e-6, "not converged"),
    ("jump", 1e-8, "kink"),
    ("offset", 1e-3, "kink"),
]


@pytest.mark.oracle
@pytest.mark.parametrize(("field", "limit", "beyond"), LIMITS)
def test_each_limit_is_where_it_is_said_to_be(field, limit, beyond):
    def judged(value):
        return OUTCOMES[int(curvature.outcome(certificate(**{field: np.array(value)})))]

    assert judged(0.99 * limit) == "minimum"
    assert judged(1.01 * limit) == beyond


@pytest.mark.oracle
def test_the_tolerance_of_zero_is_where_it_is_said_to_be():
    for part, counts in ((0.99, (1, 1, 0)), (1.01, (1, 0, 1))):
        found = curvature.signs(certificate(eigenvalues=np.array([-part * 4e-8, 4.0])))
        assert tuple(found) == counts
    flat = certificate(eigenvalues=np.array([0.0, 4.0]), flat_change=1.01)
    assert OUTCOMES[int(curvature.outcome(flat))] == "flat to second order"
    assert curvature.outcome(flat._replace(flat_change=0.99)) == MINIMUM
    open_signs = certificate(eigenvalues=np.array([-1e-3, 4.0]), zero=1e-3)
    assert curvature.signs(open_signs).negative == 0
    assert zero_tolerance(np.float64) == 1e-8
    assert zero_tolerance(np.float32) == pytest.approx(1e-8 * 2**14.5)


@pytest.mark.oracle
def test_gradient_flat_begins_at_its_alignment():
    for alignment, expected in ((0.99e-2, "gradient-flat"), (1.01e-2, "not converged")):
        found = certificate(newton_step=np.array(1.0), alignment=np.array(alignment))
        assert OUTCOMES[int(curvature.outcome(found))] == expected


@pytest.mark.invariance
def test_objectives_that_draw_are_refused():
    generator = np.random.default_rng(0)

    def dropout(w, _):
        return jnp.sum((w * generator.random()) ** 2)

    with pytest.raises(InputError, match="another function each time"):
        curvature.certify(dropout, jnp.zeros(3), None)
    with pytest.raises(InputError, match="another function each time"):
        curvature.search(curvature.stay, dropout, jnp.zeros((2, 3)), None)
    with pytest.raises(InputError, match="another function each time"):
        curvature.escape(dropout, jnp.zeros(3), None, jnp.ones(3))
    keyed = curvature.certify(
        lambda w, key: jnp.sum((w * jax.random.uniform(key)) ** 2),
        jnp.zeros(3),
        jax.random.key(0),
    )
    assert curvature.outcome(keyed) == MINIMUM


@pytest.mark.oracle
def test_images_by_symmetry_are_one_point_and_all_others_stay():
    """Two tanh units: their places change, and each unit's signs, which gives every
    point 8 images.
    """
    inputs = np.linspace(-2, 2, 9)[:, None]
    targets = np.sin(2 * inputs[:, 0]) + 0.3 * inputs[:, 0] ** 2

    def loss(params, _):
        fit = jnp.tanh(inputs * params["w"][None] + params["b"][None]) @ params["v"]
        decay = sum(jnp.sum(leaf**2) for leaf in params.values())
        return jnp.mean((fit - targets) ** 2) + 1e-2 * decay

    plain = {
        "w": np.array([1.5, 0.4]),
        "b": np.array([0.1, 0.8]),
        "v": np.array([1.0, 0.6]),
    }
    swapped = {name: leaf[::-1] for name, leaf in plain.items()}
    flipped = {name: leaf * np.array([-1.0, 1.0]) for name, leaf in plain.items()}
    zero = {name: np.zeros(2) for name in plain}
    starts = jax.tree.map(
        lambda *leaves: np.stack(leaves), plain, swapped, flipped, zero
    )
    method = partial(
        curvature.eigenvector_following, index=0
    )  # leaves a critical point where it is
    found = curvature.search(method, loss, starts, None).certificate
    assert curvature.outcome(found).tolist() == [MINIMUM, MINIMUM, MINIMUM, SADDLE]
    negative = np.asarray(curvature.signs(found).negative)
    assert curvature.distinct(found.loss, negative).tolist() == [0, 3]


@pytest.mark.oracle
def test_points_are_distinct_by_loss_or_by_index():
    loss = np.array([0.5, 0.1, 0.5 + 1e-9, 0.1, 0.1 + 1e-3, 0.5])
    index = np.array([2, 0, 2, 1, 0, 2])
    assert curvature.distinct(loss, index).tolist() == [0, 1, 3, 4]
    assert curvature.distinct(loss, index, tolerance=1e-12).tolist() == [0, 1, 2, 3, 4]
    assert curvature.distinct(loss, index, tolerance=1e-2).tolist() == [0, 1, 3]


@pytest.mark.invariance
def test_neither_the_unit_of_the_loss_nor_the_order_of_the_points_matters():
    loss = np.round(DRAW.normal(size=40), 1)
    index = DRAW.integers(3, size=40)
    rows = curvature.distinct(loss, index)
    assert len(rows) == len(set(zip(loss.tolist(), index.tolist(), strict=True)))
    assert curvature.distinct(1e-9 * loss, index).tolist() == rows.tolist()
    order = DRAW.permutation(40)
    reordered = order[curvature.distinct(loss[order], index[order])]
    pairs = [
        set(zip(loss[each].tolist(), index[each].tolist(), strict=True))
        for each in (rows, reordered)
    ]
    assert pairs[0] == pairs[1]


@pytest.mark.identity
def test_discoveries_are_the_first_certified_searches_of_their_group():
    ends = jnp.array([[0.0, 0.0], [0.5, 0.5], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])

    def certificate(point):
        return curvature.certify(saddle_and_bowl, point, None)

    found = jax.lax.map(certificate, ends)
    outcome = curvature.outcome(found).tolist()
    assert outcome == [SADDLE, NOT_CONVERGED, SADDLE, SADDLE, MINIMUM]
    group = np.array([0, 0, 0, 1, 1])
    first = curvature.discoveries(found, group)
    assert first.tolist() == [True, False, False, True, True]


def saddle_and_bowl(w, _):
    """(x² - 1)² + (y - x)²: minima at ±(1, 1), a saddle at 0."""
    return (w[0] ** 2 - 1) ** 2 + (w[1] - w[0]) ** 2


@pytest.mark.identity
def test_no_points_are_no_distinct_ones_and_what_diverged_is_refused():
    assert curvature.distinct(np.zeros(0), np.zeros(0, int)).tolist() == []
    with pytest.raises(InputError, match="one of each"):
        curvature.distinct(np.zeros(2), np.zeros(3, int))
    with pytest.raises(InputError, match="diverged"):
        curvature.distinct(np.array([np.nan, 1.0]), np.zeros(2, int))
