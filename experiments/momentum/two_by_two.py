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
count in examples, where each log ratio of batches is ln 10 = 2.3 lower; and both
effects at one rate, 1/(40‖H‖) and 1/(4‖H‖).

Units are all certified saddles of index 1 with |λ| above 1e-3 ‖H‖ that eigenvector
following reaches from networks of 3 tanh units with weights and pictures of their own,
no two data sets having these in common. *Blind* ones, where the gradients of examples
have at most 1e-3 of their size along the lowest eigenvector, decide too; their fraction
is a finding. Negative control of batches: saddles reached from networks of two units
and one of zero weights, nearly all blind, so that batches must not help. Negative
control of momentum: compared with none at ten times the rate, where its larger
effective rate is no advantage; that must be no effect.

Budget. From 1e-3 off in one of 31 directions it takes 9 e-folds of the lowest
eigenvalue, then the fall. A run has 40 e-folds of gradient descent at its own rate, or
at 1/(4‖H‖) where its rate is higher. One that stays, or diverges, counts with that,
which understates what its cell loses; the fraction of saddles where a best cell stays
is a finding, and the figure shows at which rates. Updates are counted up to 10 late.

Seen before, of this question: `batch_and_momentum` at other saddles of digits, where
batches took eight times the updates, and momentum a quarter. A first version asked at
1/(40‖H‖) alone, dropped blind saddles, and started 1e-6 off as well, which
`escape_noise` answers. Probes at seed 77, 12 saddles a data set: in 20 e-folds 40 % of
gradient descent's runs stayed, hence 40; a grid from 0.079 had batches with momentum
near its edge, hence 1/40. There the best rates were 1.7 for all examples, 3.7 with
momentum, 0.4 to 0.8 for batches, 0.12 to 0.25 with momentum: none on an edge. Above 2.5
without and 5.4 with momentum most runs by all examples stayed or diverged, as a
quadratic has it (2 and 3.8); by batches most above 1.2, and with momentum above 0.8; of
the latter a sixth to a quarter stayed at the best rate already.

Precision. The ratios were seen in these probes too: log ratios of batches 1.8 and 1.2,
of momentum -1.5 and -1.3, with standard deviations over saddles of 1.6 and 0.8 at most.
So 35 judged saddles a data set, from 66 networks, give half-widths of 0.9 and 0.45 at
the strictest of Holm's levels, 98.75 %: enough for effects of that size, while one
within the margin stays undecided.

Not tested: momentum that arrives with speed, as the lecture's ball does (`barriers`),
minima (`stuck_batches`), batches drawn with replacement, whose noise does not nearly
cancel within an epoch, large networks.

Claims: C076.
Sources: Polyak 1964; Jin et al. 2017, arXiv:1703.00887; Sutskever et al. 2013.
Cost: eleven minutes on 2 cores, compilation included.
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
from jaxml.curvature.programs import mapped
from jaxml.record import Assertion
from jaxml.record.factorial import Cells, any_cell, contrast, effects, tuned_cells
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Objective

DATA = ("8x8 digits, digit odd", "clothing of 7x7 pixels, class number odd")
TASKS = (problem.parity_digits, problem.parity_clothing)
EXAMPLES, SIZE = 100, 10
KINDS = (
    "certified saddles of index 1 from random networks",
    "certified saddles of index 1 from networks with a unit of zero weights",
)
TRANSITION = 0  # of KINDS
OFF = 1e-3  # of ‖θ‖: where runs start
WHOLE_OR_SMALL = np.arange(2, dtype=np.int32)  # what a gradient is of
BETAS = np.array([0, 0.9])
QUARTER = 0.25  # 1/(4‖H‖)
RATES = QUARTER * 10 ** (np.arange(-6, 9) / 6)  # η in 1/‖H‖: 1/40 to 5.4, steps of 1.47
LOW, MIDDLE, TENTH, TENFOLD = 0, 6, 3, 9  # of RATES: 1/40, 1/4, 0.079 and 0.79
STRIDE = 10  # updates between two evaluations
SEEN = 1e-3  # of the examples' gradients: what is seen of the way down


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, networks of each kind, and e-folds of a run."""

    data: int = len(DATA)
    networks: int = 66
    folds: float = 40.0
    seed: int = 0


SMOKE = Config(data=1, networks=3, folds=0.1)


class Result(NamedTuple):
    """By data set; networks of both kinds by turns; cells are all 100 without and with
    momentum, then batches without and with.

    Attributes:
        counts: whether a network has a saddle that counts.
        blind: whether examples see nothing of the way down there.
        updates: until a run has left, or the budget.
        stayed: whether it was the budget.
        folds: the budget, in e-folds of the lowest eigenvalue.
    """

    counts: Bool[np.ndarray, "data network"]
    blind: Bool[np.ndarray, "data network"]
    updates: Float[np.ndarray, "data network cell rate"]
    stayed: Bool[np.ndarray, "data network cell rate"]
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
    fields = [np.stack(column) for column in zip(*found, strict=True)]
    return Result(*fields, folds=np.array(config.folds))


def _units(
    config: Config, task: problem.Task, narrow: problem.Task, number: int
) -> tuple[Array, Key]:
    """Networks of three units, each before one of two and a third of zero weights."""
    count = config.networks

    def widened(params: Any) -> Array:
        return tree.ravel(curvature.zero_unit(params, "layer_00", "layer_01"))[0]

    # Neither another data set's nor those of `negative_curvature`.
    seeds = randomness.seeds(config.seed, 2 * count, skip=1000 * (number + 1))
    wide = problem.initial_vectors(task, seeds[:count])
    zero = jax.vmap(widened)(problem.networks(narrow, seeds[count:]))
    keys = jax.random.split(randomness.key(config.seed, number), 2 * count)
    return np.stack([wide, zero], axis=1).reshape(2 * count, -1), keys


def _unit(
    config: Config, objective: Objective, unit: tuple[Array, Key], pictures: Batch
) -> tuple[Array, ...]:
    """The saddle of one network, and all runs from it; hardly any if it is none."""
    initial, key = unit
    order, direction = jax.random.split(key)
    data = learn.subset(pictures, EXAMPLES, key=key)
    adam = learn.adam(learn.Hyper(lr=0.01))
    begun = learn.minimiser(adam, steps=300)(objective, initial, data)
    saddle = curvature.departure(objective, begun, data, folds=config.folds)
    state = saddle.state
    folds = jnp.where(saddle.leaves, config.folds, 0.0)
    first = curvature.beside(state.params, relative=OFF, key=direction)
    draw = learn.shuffled(data, SIZE).draw
    noisy = curvature.noisy_gradients(objective, data, draw, size=SIZE, key=order)

    def run(cell: list[Array]) -> learn.Passage:
        small, beta, rate = cell
        slow = jnp.minimum(rate, QUARTER)
        return learn.heavy_ball_passage(
            partial(jax.lax.switch, small, (noisy.whole, noisy.batches)),
            partial(curvature.departed, objective, batch=data, start=saddle),
            first,
            rate=rate / state.largest,
            beta=beta,
            limit=curvature.growth_updates(state, rate=slow, folds=folds),
            every=STRIDE,
        )

    axes = np.meshgrid(WHOLE_OR_SMALL, BETAS, RATES, indexing="ij")
    runs = jax.lax.map(run, [np.ravel(axis) for axis in axes])
    updates, stayed = jax.tree.map(partial(jnp.reshape, shape=(len(CELLS), -1)), runs)
    return saddle.leaves, saddle.seen <= SEEN, updates, stayed


BATCHES = (-0.5, -0.5, 0.5, 0.5)  # of the logarithms of four cells
MOMENTUM = (-0.5, 0.5, -0.5, 0.5)
CELLS = ("100, β = 0", "100, β = 0.9", "10, β = 0", "10, β = 0.9")
MAIN = {
    "Batches of 10 leave a saddle after fewer updates than all 100 examples, each at "
    "its best learning rate, as the mean over momentum of 0 and 0.9.": BATCHES,
    "Momentum of 0.9 leaves a saddle after fewer updates than none, each at its best "
    "learning rate, as the mean over batches of 10 and all 100 examples.": MOMENTUM,
}
SIMPLE = {
    "Without momentum batches of 10 leave a saddle after fewer updates than all 100 "
    "examples, each at its best learning rate.": (-1.0, 0.0, 1.0, 0.0),
    "With momentum of 0.9 batches of 10 leave a saddle after fewer updates than all "
    "100 examples, each at its best learning rate.": (0.0, -1.0, 0.0, 1.0),
    "By all 100 examples momentum of 0.9 leaves a saddle after fewer updates than "
    "none, each at its best learning rate.": (-1.0, 1.0, 0.0, 0.0),
    "By batches of 10 momentum of 0.9 leaves a saddle after fewer updates than none, "
    "each at its best learning rate.": (0.0, 0.0, -1.0, 1.0),
}
NAMES = (
    "batches of 10",
    "momentum of 0.9",
    "batches, β = 0",
    "batches, β = 0.9",
    "momentum, all 100",
    "momentum, batches",
)
NAMED = dict(zip(NAMES, (MAIN | SIMPLE).values(), strict=True))
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
    "At fewer than half of the saddles are the gradients of single examples so "
    "blind that less than a thousandth of their size lies along the lowest eigenvector."
)
SOONER = record.below(
    0.0, margin=0.223, reason="less than a quarter would not matter to a user"
)
SELDOM = record.below(0.5)
SETTING = (
    "parity of 100 random pictures from 8 whitened principal components, 3 tanh units, "
    "decay 0.001; from rest, 0.001 of the weights' norm off in a random direction; "
    "left when the loss has made half of its drop and the weights half of their way "
    "along the lowest eigenvector; rates 0.025/‖H‖ to 5.4/‖H‖, ‖H‖ the saddle's "
    "largest |eigenvalue|; batches of fresh shuffles, whose noise nearly cancels in an "
    "epoch; a run that stays counts with {:g} e-folds of gradient descent; {}, {}"
)


def _ratios(cells: Cells) -> dict[str, record.Interval]:
    """Log ratios by statement: main effects, then what stands beside them."""
    rows = {}
    for statement, weights in (MAIN | SIMPLE).items():
        rows[statement] = tuned_cells(cells, contrast(weights))
    examples = np.log(SIZE / EXAMPLES)
    rows[IN_EXAMPLES] = tuned_cells(cells, contrast(BATCHES, plus=examples))
    logs = cells.scores[cells.counts]
    for rate in (LOW, MIDDLE):
        for statement, weights in SAME_RATE.items():
            measured = record.bootstrap(contrast(weights), *logs[:, :, rate].T)
            rows[statement.format(f"{RATES[rate]:g}")] = measured
    plain, heavy = logs[:, 0, TENFOLD], logs[:, 1, TENTH]
    rows[NO_ADVANTAGE] = record.bootstrap(np.median, heavy - plain)
    return rows


def _cells(result: Result, data: int, kind: int) -> Cells:
    return Cells(np.log(result.updates[data, kind::2]), result.counts[data, kind::2])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Main effects at saddles between minima decide; all else supports."""
    found = []
    for data, kind in np.ndindex(len(result.counts), len(KINDS)):
        cells = _cells(result, data, kind)
        setting = SETTING.format(result.folds, DATA[data], KINDS[kind])
        for statement, measured in _ratios(cells).items():
            decides = kind == TRANSITION and statement in MAIN
            role = record.deciding if decides else record.supporting
            asserted = partial(role, "C076", statement, measured, SOONER)
            found.append(asserted(unit="log ratio", setting=setting))
        blind = result.blind[data, kind::2][cells.counts]
        fractions = {
            STAYED: tuned_cells(cells, any_cell, values=result.stayed[data, kind::2]),
            BLIND: record.proportion(blind, of=result.updates),
        }
        for statement, measured in fractions.items():
            asserted = partial(record.supporting, "C076", statement, measured, SELDOM)
            found.append(asserted(unit="fraction", setting=setting))
    return tuple(found)


def figures(result: Result) -> dict[str, Figure]:
    """Effects at every judged saddle, each cell at its best rate; below them which runs
    stayed; a column a data set.
    """
    count = len(result.counts)
    figure, axes = panels(2, count, width=6.6)
    for data in range(count):
        above, below = axes[data::count]
        cells = _cells(result, data, TRANSITION)
        effects(above, cells, NAMED, SOONER)
        label(above, DATA[data], "factor", "log ratio of updates")
        stayed = np.sum(result.stayed[data, TRANSITION::2][cells.counts], axis=0)
        for name, runs in zip(CELLS, stayed, strict=True):
            below.plot(RATES, runs, label=name)
        below.set_xscale("log")
        label(below, "runs that stayed to the end", "η in 1/‖H‖", "saddles")
    shared_legend(figure)
    return {"effects": figure}
