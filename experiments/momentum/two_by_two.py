"""Do small batches and momentum both help to leave saddles, each at its best rate?

Two by two cells: an update by a batch of 10 or by all 100 examples, in the order of
fresh shuffles, and β of 0 or 0.9 in m ← βm + g, w ← w - ηm. All cells have one grid of
rates η in 1/‖H‖, ‖H‖ the largest absolute eigenvalue at the saddle, and each is judged
at the rate that is best for it. At one rate the answer would be chosen with the rate:
momentum has ten times the effective rate η/(1-β), and the noise of batches grows with
η. Runs start at rest, 1e-3 of the weights' norm ‖θ‖ from a saddle in a random
direction, the same in all cells; how near training comes to saddles nobody knows.

Updates are counted until both hold, the later of two first passages. *Half of the
drop*: the loss of all examples has fallen by half of what gradient descent makes it
fall from 0.01 ‖θ‖ along the lowest eigenvector, on the side where that is less. *Half
of the way*: along that eigenvector the weights are half as far as gradient descent
comes on that side, at least 0.01 ‖θ‖. For noise may hold the loss up when the weights
are long away, and may carry them off for a moment.

What decides is each factor's main effect, the log ratio of its updates to those without
it, the mean over the other factor, as the median over saddles. If the claim holds, both
lie below -ln 1.25, a quarter, since less would not matter to a user. One above +ln 1.25
refutes, one within is no effect; on two data sets these are four findings. A third of
the networks tune, by the mean logarithm of updates; the others judge, and resamples
tune anew (`record.tuned`). A best rate on an edge of the grid decides nothing. Beside
that: the four simple effects, since a main effect hides how factors interact; the
updates counted in examples, where each log ratio of batches is ln 10 = 2.3 lower; and
both effects at one rate, 1/(40‖H‖) and 1/(4‖H‖).

Units are all certified saddles of index 1 with |λ| above 1e-3 ‖H‖ that eigenvector
following reaches from networks of 3 tanh units with weights and pictures of their own,
no two data sets having these in common. At *blind* ones, the gradients of examples have
less than 1e-3 of their size along the lowest eigenvector; they decide too, and are
counted. Negative control of batches: saddles with a unit of zero weights, all blind, so
that batches must not help. Negative control of momentum: against none at ten times the
rate, where its effective rate is no advantage.

Budget. From 1e-3 off in one of 31 directions it takes 9 e-folds of the lowest
eigenvalue, then the fall. A run has 20 e-folds of gradient descent at its own rate, or
at 1/(4‖H‖) where its rate is higher. One that stays, or diverges, counts with that: the
ratio of a cell that stays is then too near to 1 from its side, and the fraction of
saddles where a best cell stays is a finding.

Seen before, of this question: the runs of `batch_and_momentum` at other saddles of
digits. There batches cost about eight times the updates, and momentum saved four times
as many. A first version asked at 1/(40‖H‖) alone, dropped the blind saddles, and
started 1e-6 off as well, which `escape_noise` answers. PROBES

Not tested: momentum that arrives with speed, as the lecture's ball does (`barriers`),
minima (`stuck_batches`), batches drawn with replacement, whose noise does not nearly
cancel within an epoch, large networks.

Claims: C076.
Sources: Polyak 1964; Jin et al. 2017, arXiv:1703.00887; Sutskever et al. 2013.
Cost: three to four minutes on 2 cores.
Expect: momentum helps, by larger effective rates; batches need more updates, fewer
    examples.
Run: jaxml run two_by_two
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.curvature import Departure
from jaxml.curvature.programs import mapped
from jaxml.record import Assertion
from jaxml.record.comparisons import at_tuned
from jaxml.record.figures import Figure, label, panels, shared_legend, strips
from jaxml.types import Array, Batch, Keep, Key, Objective

DATA = ("8x8 digits, digit odd", "clothing of 7x7 pixels, class number odd")
TASKS = (problem.parity_digits, problem.parity_clothing)
EXAMPLES, SIZE = 100, 10
KINDS = ("saddles of index 1 between minima", "saddles with a unit of zero weights")
TRANSITION = 0  # of KINDS
OFF = 1e-3  # of ‖θ‖: where runs start
WHOLE_OR_SMALL = np.arange(2, dtype=np.int32)  # what a gradient is of
BETAS = np.array([0, 0.9])
QUARTER = 0.25  # 1/(4‖H‖)
RATES = QUARTER * 10 ** (np.arange(-6, 9) / 6)  # η in 1/‖H‖: 1/40 to 5.4, steps of 1.47
LOW, MIDDLE, TENTH, TENFOLD = 0, 6, 3, 9  # of RATES: 1/40, 1/4, 0.079 and 0.79
STRIDE = 10  # updates between two evaluations
MINIMISE = 300  # updates of Adam before the search
SEEN = 1e-3  # of the examples' gradients: what is seen of the way down
APART = 1000  # seeds: a data set's networks are no other's, nor `negative_curvature`'s


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, networks of each kind, and e-folds of a run."""

    data: int = len(DATA)
    networks: int = 54
    folds: int = 40
    seed: int = 0


SMOKE = Config(data=1, networks=3, folds=1)


class Unit(NamedTuple):
    """Where a search starts, and the key of all else."""

    begun: Array
    wide: Array  # no unit of zero weights
    key: Key


class Cell(NamedTuple):
    """One run from a saddle."""

    small: Array  # batches, or all examples
    beta: Array
    rate: Array


class Plan(NamedTuple):
    """What all runs from a saddle share."""

    data: Batch
    saddle: Departure
    folds: Array  # of a run; 0 if the saddle does not count
    key: Key


class Result(NamedTuple):
    """By data set and kind of saddle; cells are all 100 without and with momentum, then
    batches without and with.

    Attributes:
        counts: whether a network has a saddle that counts.
        blind: whether examples see nothing of the way down there.
        updates: until a run has left, or the budget.
        stayed: whether it was the budget.
        folds: the budget, in e-folds of the lowest eigenvalue.
    """

    counts: Bool[np.ndarray, "data kind network"]
    blind: Bool[np.ndarray, "data kind network"]
    updates: Float[np.ndarray, "data kind network cell rate"]
    stayed: Bool[np.ndarray, "data kind network cell rate"]
    folds: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """A program a data set, in float64."""
    found = []
    with jax.enable_x64(True):
        for number, make in enumerate(TASKS[: config.data]):
            task = make()
            objective = jax.jit(problem.objective_of_vector(task))
            units = _units(config, task, make(2), number)
            run = partial(mapped, _unit, (config, objective), units, task.batch)
            found.append(keep(DATA[number], run))
    shape = (config.data, len(KINDS), config.networks)
    fields = []
    for columns, inner in zip(zip(*found, strict=True), INNER, strict=True):
        fields.append(np.reshape(columns, shape + inner))
    return Result(*fields, folds=np.array(config.folds))


INNER = ((), (), (4, len(RATES)), (4, len(RATES)))  # axes of a network's


def _units(
    config: Config, task: problem.Task, narrow: problem.Task, number: int
) -> Unit:
    """Networks of three units, and of two with a third one of zero weights."""
    count = config.networks
    layers = ("layer_00", "layer_01")

    def widened(params: Any) -> Array:
        return tree.ravel(curvature.zero_unit(params, *layers))[0]

    seeds = randomness.seeds(config.seed, 2 * count, skip=APART * (number + 1))
    wide = problem.initial_vectors(task, seeds[:count])
    zero = jax.vmap(widened)(problem.networks(narrow, seeds[count:]))
    return Unit(
        begun=np.concatenate([wide, zero]),
        wide=np.arange(2 * count) < count,
        key=jax.random.split(randomness.key(config.seed, number), 2 * count),
    )


def _unit(
    config: Config, objective: Objective, unit: Unit, pictures: Batch
) -> tuple[Array, ...]:
    """The saddle of one network, and all runs from it; hardly any if it is none."""
    places = jnp.arange(EXAMPLES, dtype=jnp.int32)
    own = learn.permuted(places, len(pictures.weights), key=unit.key)
    data = jax.tree.map(lambda leaf: leaf[own], pictures)
    adam = learn.adam(learn.Hyper(lr=0.01))
    begun = learn.minimiser(adam, steps=MINIMISE)(objective, unit.begun, data)
    saddle = curvature.departure(objective, begun, data)
    blind = saddle.seen <= SEEN
    counts = saddle.leaves & (unit.wide | blind)
    plan = Plan(data, saddle, jnp.where(counts, config.folds, 0), unit.key)
    axes = np.meshgrid(WHOLE_OR_SMALL, BETAS, RATES, indexing="ij")
    cells = Cell(*(axis.ravel() for axis in axes))
    runs = jax.lax.map(partial(_run, objective, plan), cells)
    return counts, blind, *runs


def _run(objective: Objective, plan: Plan, cell: Cell) -> tuple[Array, Array]:
    """Updates until one run has left, by both instruments; whether it stayed."""
    data, (state, sides, *_), folds, key = plan
    order, direction = jax.random.split(key)
    draw = learn.shuffled(data, SIZE).draw
    gradients = curvature.noisy_gradients(objective, data, draw, size=SIZE, key=order)
    both = (gradients.whole, gradients.batches)

    def update(step: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x, velocity = carry
        gradient = jax.lax.switch(cell.small, both, x, step)
        velocity = cell.beta * velocity + gradient
        return x - cell.rate / state.largest * velocity, velocity

    def left(carry: tuple[Array, Array]) -> Array:
        x, _ = carry
        return curvature.left_state(objective, x, data, state=state, sides=sides)

    first = curvature.beside(state.params, relative=OFF, key=direction)
    at_rest = (first, jnp.zeros_like(first))
    slow = jnp.minimum(cell.rate, QUARTER)
    limit = curvature.growth_updates(state, rate=slow, folds=folds)
    passed = learn.first_passages(update, left, at_rest, limit=limit, every=STRIDE)
    later = jnp.max(passed)
    return later.astype(first.dtype), later == limit


BATCHES = (-0.5, -0.5, 0.5, 0.5)  # of the logarithms of four cells
MOMENTUM = (-0.5, 0.5, -0.5, 0.5)
CELLS = ("100, β = 0", "100, β = 0.9", "10, β = 0", "10, β = 0.9")
EFFECTS = {
    "batches of 10": BATCHES,
    "batches, β = 0": (-1, 0, 1, 0),
    "batches, β = 0.9": (0, -1, 0, 1),
    "momentum of 0.9": MOMENTUM,
    "momentum, all 100": (-1, 1, 0, 0),
    "momentum, batches": (0, 0, -1, 1),
}
MAIN = {
    "Batches of 10 leave a saddle after fewer updates than all 100 examples, each at "
    "its best learning rate, as the mean over momentum of 0 and 0.9.": BATCHES,
    "Momentum of 0.9 leaves a saddle after fewer updates than none, each at its best "
    "learning rate, as the mean over batches of 10 and all 100 examples.": MOMENTUM,
}
SIMPLE = {
    "Without momentum batches of 10 leave a saddle after fewer updates than all 100 "
    "examples, each at its best learning rate.": "batches, β = 0",
    "With momentum of 0.9 batches of 10 leave a saddle after fewer updates than all "
    "100 examples, each at its best learning rate.": "batches, β = 0.9",
    "By all 100 examples momentum of 0.9 leaves a saddle after fewer updates than "
    "none, each at its best learning rate.": "momentum, all 100",
    "By batches of 10 momentum of 0.9 leaves a saddle after fewer updates than none, "
    "each at its best learning rate.": "momentum, batches",
}
IN_EXAMPLES = (
    "Batches of 10 leave a saddle after fewer examples than all 100, each at its best "
    "learning rate, as the mean over momentum of 0 and 0.9."
)
SAME_RATE = {
    "Batches of 10 leave a saddle after fewer updates than all 100 examples at one "
    "learning rate, {}/‖H‖, as the mean over momentum of 0 and 0.9.": BATCHES,
    "Momentum of 0.9 leaves a saddle after fewer updates than none at one learning "
    "rate, {}/‖H‖, as the mean over batches of 10 and all 100 examples.": MOMENTUM,
}
NO_ADVANTAGE = (
    "By all 100 examples momentum of 0.9 leaves a saddle after fewer updates than none "
    "at ten times the learning rate, 0.79/‖H‖ (negative control)."
)
STAYED = (
    "At fewer than half of the saddles does any of four runs, by batches of 10 or all "
    "100 examples, with or without momentum of 0.9, each at its best learning rate, "
    "stay to the end of the budget."
)
BLIND = (
    "At fewer than a quarter of the saddles are the gradients of single examples so "
    "blind that less than a thousandth of their size lies along the lowest eigenvector."
)
SOONER = record.below(
    0.0, margin=0.223, reason="less than a quarter would not matter to a user"
)
SETTING = (
    "parity of 100 random pictures from 8 whitened principal components, 3 tanh units, "
    "decay 0.001; from rest, 0.001 of the weights' norm off in a random direction; "
    "left when the loss has made half of its drop and the weights half of their way "
    "along the lowest eigenvector; rates 0.025/‖H‖ to 5.4/‖H‖, ‖H‖ the saddle's "
    "largest |eigenvalue|; batches of fresh shuffles, whose noise nearly cancels in an "
    "epoch; {} e-folds of gradient descent, with which a run counts that stays"
)


def _logs(result: Result, data: int, kind: int) -> np.ndarray:
    return np.log(result.updates[data, kind])


def _best(
    statistic: Any, result: Result, data: int, kind: int, values: Any = None
) -> record.Interval:
    """Of all cells, each at its best rate."""
    counts, logs = result.counts[data, kind], _logs(result, data, kind)
    arms = record.tuned_cells(logs, counts, values=values)
    return record.tuned(statistic, *arms, tuning=len(counts) // 3)


def _in_examples(*cells: np.ndarray) -> float:
    return record.contrast(BATCHES)(*cells) + np.log(SIZE / EXAMPLES)


def _any(*stayed: np.ndarray) -> float:
    return float(np.mean(np.max(stayed, axis=0)))


def _ratios(result: Result, data: int) -> dict[str, record.Interval]:
    """Log ratios that support, by statement."""
    rows = {IN_EXAMPLES: _best(_in_examples, result, data, TRANSITION)}
    for statement, name in SIMPLE.items():
        effect = record.contrast(EFFECTS[name])
        rows[statement] = _best(effect, result, data, TRANSITION)
    counts = result.counts[data, TRANSITION]
    logs = _logs(result, data, TRANSITION)[counts]
    for rate in (LOW, MIDDLE):
        for statement, weights in SAME_RATE.items():
            effect, cells = record.contrast(weights), logs[:, :, rate].T
            own = statement.format(f"{RATES[rate]:g}")
            rows[own] = record.bootstrap(effect, *cells)
    plain, heavy = logs[:, 0, TENFOLD], logs[:, 1, TENTH]
    rows[NO_ADVANTAGE] = record.bootstrap(np.median, heavy - plain)
    return rows


def findings(result: Result) -> tuple[Assertion, ...]:
    """Main effects at best rates decide; beside the zero-unit saddles' they support."""
    found = []
    every = SETTING.format(result.folds)
    for data, kind in np.ndindex(result.counts.shape[:2]):
        setting = f"{every}; {DATA[data]}, {KINDS[kind]}"
        role = record.deciding if kind == TRANSITION else record.supporting
        for statement, weights in MAIN.items():
            measured = _best(record.contrast(weights), result, data, kind)
            asserted = partial(role, "C076", statement, measured, SOONER)
            found.append(asserted(unit="log ratio", setting=setting))
    for data in range(len(result.counts)):
        setting = f"{every}; {DATA[data]}, {KINDS[TRANSITION]}"
        asserted = partial(record.supporting, "C076", setting=setting)
        for statement, measured in _ratios(result, data).items():
            found.append(asserted(statement, measured, SOONER, unit="log ratio"))
        hung = result.stayed[data, TRANSITION]
        stayed = _best(_any, result, data, TRANSITION, hung)
        found.append(asserted(STAYED, stayed, record.below(0.5), unit="fraction"))
        blind = result.blind[data, TRANSITION][result.counts[data, TRANSITION]]
        fraction = record.proportion(blind, of=result.updates)
        found.append(asserted(BLIND, fraction, record.below(0.25), unit="fraction"))
    return tuple(found)


def figures(result: Result) -> dict[str, Figure]:
    """Effects at every judged saddle, each cell at its best rate; below them which runs
    stayed; a column a data set.
    """
    count = len(result.counts)
    figure, axes = panels(2, count, width=6.6, height=3.2)
    for data in range(count):
        effects, hung = axes[data], axes[count + data]
        counts = result.counts[data, TRANSITION]
        arms = record.tuned_cells(_logs(result, data, TRANSITION), counts)
        cells = np.stack([at_tuned(arm, len(counts) // 3) for arm in arms])
        strips(
            effects, {name: np.array(each) @ cells for name, each in EFFECTS.items()}
        )
        effects.axhspan(-SOONER.margin, SOONER.margin, color="0.88", zorder=0)
        label(effects, DATA[data], "factor", "log ratio of updates")
        stayed = result.stayed[data, TRANSITION][counts]
        if np.any(counts):
            for cell, name in enumerate(CELLS):
                hung.plot(RATES, np.mean(stayed[:, cell], axis=0), label=name)
        hung.set_xscale("log")
        label(hung, f"{len(stayed)} saddles", "η in 1/‖H‖", "fraction that stayed")
    shared_legend(figure, columns=4)
    return {"effects": figure}
