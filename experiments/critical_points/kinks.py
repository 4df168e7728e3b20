"""What does the Hessian of a ReLU network miss?

Along a line θ + tv the loss of a network with one hidden layer of ReLUs is smooth
between the points at which some unit is switched on or off by some example; there its
derivative jumps by (1/N) Σ_c ∂ℓ/∂z_c w_c |a'|, w the weights that leave the unit and a'
the speed of what enters it. The second difference over ε,

    D(ε) = (L(θ+εv) - 2L(θ) + L(θ-εv)) / ε² = ∫ (ε-|t|)/ε² L''(t) dt,

is a mean of the curvature that a step of length ε meets, kinks included. The Hessian's
quadratic form v·Hv knows only where θ is. So, if C060 holds:

- Piece by piece: for ε below the nearest kink D(ε) is v·Hv, to rounding and to the
  change of curvature over ε. Asserted of half the distance to the nearest kink.
- What the Hessian ignores: where ε passes kinks, D(ε) - v·Hv is the gap that they make,
  Σ jump (ε-|t|)/ε² over them. As ε shrinks, it stays about as large, since kinks lie as
  dense near θ as a little further off, until ε is below the nearest: from 0.03 to
  0.003 of ‖θ‖ it keeps more than half of its size. For tanh, the negative control, the
  gap is the change of smooth curvature, which falls a hundredfold.

That the gap, at 0.003, is a tenth or more of v·Hv decides whether it would matter to
somebody who takes v·Hv for the curvature that a step meets; what decides the claim's
"sits in the kinks" is that the sum over kinks, from the jumps at θ, makes up for more
than nine tenths of the gap. It fails if the gap comes from elsewhere, as tanh's does.

v is normal in each weight and as long as θ, ten directions a unit, whose sizes
are averaged; a unit draws weights, examples and directions anew. Networks with 32 units
of 500 8x8 digits, in float64, before training and after 200 updates of gradient
descent, where kinks have less to jump by. Units of seed 90 placed margins and lengths.
Not tested: deeper networks, whose units switch more than once along a line; pooling.

Claims: C060.
Source: Hung-yi Lee 2021, homework on the Hessian; Pearlmutter 1994 of the products.
Cost: ten seconds on 2 cores.
Expect: as said; the gap is about as large as v·Hv, before and after training.
Run: jaxml run kinks
"""

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.curvature.programs import mapped
from jaxml.record import Assertion, Rule
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Model, Objective, Params

ACTIVATIONS = ("ReLU", "tanh")
STAGES = ("before training", "after 200 updates")
LENGTHS = 0.1 * 10 ** (-0.5 * np.arange(11))  # ε over ‖θ‖, as v is as long as θ
LONG, SHORT = 1, 3  # of them: 0.03 and 0.003
EXAMPLES = 500


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many units, and directions of each."""

    units: int = 20
    directions: int = 10
    updates: int = 200
    seed: int = 0


SMOKE = Config(units=2, directions=2, updates=2)


class Result(NamedTuple):
    """The loss along lines, each direction as long as the weights.

    Attributes:
        form: v·Hv.
        second: D(ε), of all LENGTHS.
        kinks: Σ jump (ε-|t|)/ε² over the kinks within ε, by the jumps at θ.
        nearest: |t| of the nearest kink.
        within: D at half of that.
    """

    form: Float[Array, "activation unit stage direction"]
    second: Float[Array, "activation unit stage direction length"]
    kinks: Float[Array, "activation unit stage direction length"]
    nearest: Float[Array, "activation unit stage direction"]
    within: Float[Array, "activation unit stage direction"]


def study(config: Config, keep: Keep) -> Result:
    """One program for all networks of both activations."""
    with jax.enable_x64(True):
        data = problem.digits(dtype=np.float64)
        seeds = randomness.seeds(config.seed, config.units)
        keys = jax.vmap(jax.random.key)(jnp.array(seeds))
        whose = np.tile(np.arange(config.units), len(ACTIVATIONS))
        smooth = np.repeat([False, True], config.units)
        runs = (keys[whose], jnp.array(smooth))
        found = keep("networks", lambda: mapped(_network, (config,), runs, data))
    shape = (len(ACTIVATIONS), config.units)
    return Result(*[np.reshape(leaf, (*shape, *leaf.shape[1:])) for leaf in found])


def _network(config: Config, run: tuple[Key, Array], data: Batch) -> Result:
    """All directions from both stages of one network."""
    key, smooth = run

    def activation(values: jax.Array) -> jax.Array:
        return jnp.where(smooth, jnp.tanh(values), jax.nn.relu(values))

    model = problem.mlp((32, 10), activation)
    objective = problem.objective(model, problem.cross_entropy)
    first, second, third = jax.random.split(key, 3)
    places = jnp.arange(EXAMPLES, dtype=jnp.int32)
    own = learn.permuted(places, len(data.weights), key=first)
    mine = jax.tree.map(lambda leaf: leaf[own], data)
    begun, _ = problem.start(model, mine.inputs)(second)
    optimizer = learn.sgd(learn.Hyper(lr=0.3))
    trained = learn.descended(objective, optimizer, begun, mine, steps=config.updates)
    directions = jax.random.split(third, config.directions)

    def at(params: Params) -> Result:
        along = partial(_along, model, objective, params, mine)
        return jax.lax.map(along, directions)

    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), begun, trained)
    return jax.lax.map(at, both)


def _along(
    model: Model, objective: Objective, params: Params, data: Batch, key: Key
) -> Result:
    """One direction."""
    drawn = tree.random_like(params, key)
    vector = tree.scale(tree.norm(params) / tree.norm(drawn), drawn)
    image = curvature.hessian_product(objective, params, data)(vector)
    times, jumps = _kinks(model, params, vector, data)
    nearest = jnp.min(times)
    lengths = jnp.append(jnp.asarray(LENGTHS), nearest / 2)

    def loss(time: Array) -> Array:
        return objective(tree.axpy(time, vector, params), data)

    def passed(length: Array) -> Array:
        return jnp.sum(jumps * jnp.maximum(length - times, 0)) / length**2

    losses = jax.lax.map(loss, jnp.concatenate([jnp.zeros(1), lengths, -lengths]))
    ahead, behind = jnp.split(losses[1:], 2)
    second = (ahead - 2 * losses[0] + behind) / lengths**2
    return Result(
        form=tree.vdot(vector, image),
        second=second[:-1],
        kinks=jax.lax.map(passed, lengths[:-1]),
        nearest=nearest,
        within=second[-1],
    )


def _kinks(
    model: Model, params: Params, vector: Params, data: Batch
) -> tuple[Array, Array]:
    """How far along the line every unit is switched by every example, and by how much
    the loss' derivative jumps there.
    """

    def entering(weights: Params) -> Array:
        return data.inputs @ weights["kernel"] + weights["bias"][None]

    value, speed = entering(params["layer_00"]), entering(vector["layer_00"])

    def of_outputs(outputs: Array) -> Array:
        losses = problem.cross_entropy(outputs, data.targets)
        return problem.weighted_mean(losses, data.weights)

    errors = jax.grad(of_outputs)(problem.outputs(model)(params, data))
    jumps = (errors @ params["layer_01"]["kernel"].T) * jnp.abs(speed)
    return jnp.abs(value / speed), jumps


class Gaps(NamedTuple):
    """Fractions, sizes averaged over a unit's directions, `[activation, unit, stage]`.

    Attributes:
        within: |D - v·Hv| at half the distance to the nearest kink, over |v·Hv|.
        gap: |D - v·Hv| at 0.003 of ‖θ‖, over |v·Hv|.
        explained: the part of this gap that the sum over kinks makes up for.
        kept: this gap over that at 0.03 of ‖θ‖.
        all: the gap at all lengths, over |v·Hv|, `[..., length]`.
    """

    within: np.ndarray
    gap: np.ndarray
    explained: np.ndarray
    kept: np.ndarray
    all: np.ndarray


def _gaps(result: Result) -> Gaps:
    def size(values: Array) -> np.ndarray:
        return np.mean(np.abs(values), axis=3)

    form = size(result.form)
    missing = result.second - result.form[..., None]
    gaps, left = size(missing), size(missing - result.kinks)
    return Gaps(
        within=size(result.within - result.form) / form,
        gap=gaps[..., SHORT] / form,
        explained=1 - left[..., SHORT] / gaps[..., SHORT],
        kept=gaps[..., SHORT] / gaps[..., LONG],
        all=gaps / form[..., None],
    )


class Asked(NamedTuple):
    """A statement about one of the gaps, and the rule of its mean."""

    quantity: str
    statement: str
    rule: Rule


ASKED = (
    Asked(
        "within",
        "Over half the distance to the nearest kink the second difference of the loss "
        "along a random direction differs from v·Hv by less than a hundredth.",
        record.below(0.01, margin=0.005, reason="half of it"),
    ),
    Asked(
        "gap",
        "Over 0.003 of the weights' length the second difference of the loss along a "
        "random direction differs from v·Hv by more than a tenth.",
        record.above(0.1, margin=0.05, reason="half of it"),
    ),
    Asked(
        "explained",
        "Nine tenths of this difference or more are the kinks within the step.",
        record.above(0.9, margin=0.05, reason="half of what may be left"),
    ),
    Asked(
        "kept",
        "Over a tenth of the step this difference keeps more than half of its size.",
        record.above(0.5, margin=0.1, reason="smooth curvature keeps a hundredth"),
    ),
)
CONTROLLED = (ASKED[1], ASKED[3])  # of tanh; without kinks there is nothing to explain


def findings(result: Result) -> tuple[Assertion, ...]:
    """ReLUs decide; tanh, which has no kinks, is the control."""
    gaps = _gaps(result)
    found = []
    for place, (name, stage) in enumerate(product(ACTIVATIONS, STAGES)):
        activation, late = divmod(place, len(STAGES))
        for asked in CONTROLLED if activation else ASKED:
            values = getattr(gaps, asked.quantity)[activation, :, late]
            decides = record.supporting if activation else record.deciding
            setting = f"500 8x8 digits, 32 {name} units, cross-entropy, {stage}"
            found.append(
                decides(
                    "C060",
                    asked.statement,
                    record.bootstrap(np.mean, values),
                    asked.rule,
                    unit="ratio",
                    setting=setting,
                    figure="gap",
                )
            )
    return tuple(found)


def figures(result: Result) -> dict[str, Figure]:
    """The gap by the length of the step, median and range of units."""
    gaps = _gaps(result).all
    figure, axes = panels(1, 2)
    for stage, axis in enumerate(axes):
        for name, values in zip(ACTIVATIONS, gaps[:, :, stage], strict=True):
            band(axis, LENGTHS, values.T, name, within=1.0)
        nearest = np.median(result.nearest[0, :, stage])
        axis.axvline(nearest, color="0.4", linestyle=":", label="nearest kink, median")
        axis.set_xscale("log")
        axis.set_yscale("log")
        label(axis, STAGES[stage], "ε over ‖θ‖", "|D(ε) - v·Hv| over |v·Hv|")
    shared_legend(figure)
    return {"gap": figure}
