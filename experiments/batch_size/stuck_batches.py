"""Do small batches free weights that are stuck, and train better for it?

Where the gradient of one loss is zero, says the lecture, the loss of the next batch has
another gradient, so that small batches move on where all examples at once are stuck.
That they move is nearly mathematical and is shown beside: at a minimum of the full loss
the gradients of batches are not zero. What is asked is whether they get anywhere: the
full loss where they end, after full-batch descent to the bottom, compared with where
they were stuck.

*Minima that are not the lowest.* Six networks of 3 tanh units fit the parity of 100
pictures, with an l2 penalty; full-batch descent takes each to a certified minimum, and
the first one that is a tenth above the lowest of the six is stuck. From there run 1,000
updates by batches of 10, then descent on all examples. Progress is the part that is
gone of the distance to the lowest minimum, between -1 and 1. Beside it, at the same
rate: all examples, which leave a minimum only where the rate is too large for it;
all examples with normal noise on every weight, whose trace of covariance is at every
update that of the batches; and the minimum of another start, without any noise.

The rate is the one at which batches of 10 train best: from random weights their full
loss after 1,000 updates is lowest. Units that tune are others than those that judge,
and every resample tunes anew. Decided is the mean progress of batches minus that of all
examples, on both data sets. The claim holds above 0.2, a fifth of what could be gained;
within ± 0.2 batches stay where they are, and below they end higher.

*Saddles of index 1* of `negative_curvature`, from the very point, at rate 1/(4‖H‖):
10 e-folds of the lowest eigenvalue by batches, 15 by all examples. Progress is in drops
that can be reached (`escape`). All examples must stay, for e²⁵ times rounding is still
small. Negative control: at saddles with a unit of zero weights the gradient of every
example vanishes along the way down, so batches must stay and isotropic noise leave.
From 1e-4 of ‖θ‖ off all examples leave as well, with no batches.

A unit draws its pictures and weights anew, 20 tune and 80 judge. Margins and sizes were
fixed after a run of ten units at seed 7, at which the best rate lay well within.

Not tested: large networks, where minima may be connected; rates that fall slowly.

Claims: C067.
Sources: Fukumizu and Amari 2000; Zhu et al. 2019, arXiv:1803.00195 (isotropic noise of
    equal strength); Jin et al. 2017, arXiv:1703.00887.
Cost: about two minutes on 2 cores, after `negative_curvature` and `escape`.
Expect: batches leave saddles that they see, as any noise does; at the rate that trains
    best they seldom leave a minimum.
Run: jaxml run stuck_batches
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.curvature.programs import mapped
from jaxml.parallel import rows
from jaxml.problem import Task
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, dots, margins
from jaxml.record.figures import Axes, Figure, label, panels, shared_legend, strips
from jaxml.types import Array, Batch, Keep, Key, Objective

NEEDS = ("negative_curvature", "escape")
DATA = ("8x8 digits", "clothing of 7x7 pixels")
KINDS = ("saddles of index 1 between minima", "saddles with a unit of zero weights")
BATCHES, NOISY, ALL = range(3)  # of what a gradient is
OFF = 3  # at saddles: all examples, from FAR off
ARMS = ("batches of 10", "isotropic noise", "all examples", "all, 1e-4 off")
EXAMPLES, SIZE, STARTS = 100, 10, 6
RATES = 0.045 * 1.5 ** np.arange(8)
STATIONARY, POSITIVE = 1e-10, 1e-8  # a minimum's ‖∇L‖ and λ, in ‖H‖
STUCK = 1.1  # times the lowest loss
FAR = 1e-4  # of ‖θ‖
NOISY_PART = 0.4  # of the e-folds from a saddle
SLOW, HEAVY = 0.05, 0.95  # rate and β of the descent to the bottom
FIFTH = 0.2


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, units, and how long runs are; saddles are all that there are.

    Attributes:
        updates: from a minimum.
        descent: updates of the descent to the bottom.
        folds: e-folds of the lowest eigenvalue, from a saddle.
    """

    data: int = len(DATA)
    tuning: int = 20
    judging: int = 80
    updates: int = 1000
    descent: int = 2000
    folds: int = 25
    seed: int = 0


SMOKE = Config(data=1, tuning=2, judging=2, updates=4, descent=200, folds=1)


class Start(NamedTuple):
    """Weights, and what they are trained on."""

    params: Array
    data: Batch


class Found(NamedTuple):
    """Where full-batch descent ends.

    The loss is smooth, and its penalty keeps all minima finite, so that gradient and
    spectrum certify a minimum.

    Attributes:
        gradient: ‖∇L‖ / (‖H‖ ‖θ‖).
        lowest: eigenvalue over ‖H‖.
    """

    params: Array
    loss: Array
    gradient: Array
    lowest: Array


class Stuck(NamedTuple):
    """A minimum, the random weights of the same unit, and its pictures."""

    point: Array
    begun: Array
    data: Batch
    key: Key


class Walk(NamedTuple):
    """Where a run starts, and which arm it is."""

    first: Array
    arm: Array


class Runs(NamedTuple):
    """Losses of all examples by rate.

    Attributes:
        ends: after descent, from the stuck minimum, `[arm, rate]`.
        trained: from random weights after batches, before the descent.
        ended: after it.
        lengths: `[draw]`, ‖∇L_B‖ at the minimum over ‖∇L‖ at random weights.
    """

    ends: Array
    trained: Array
    ended: Array
    lengths: Array


class Result(NamedTuple):
    """Minima by data set, and saddles.

    Attributes:
        losses: at the minima of all starts; nan where none is certified.
        stuck: which start is the stuck one, -1 where none is.
        runs: as in `Runs`, with axes `[data, unit]` before.
        tuning: how many units tune, the first ones.
        kind: of a saddle, as in KINDS.
        left: progress from a saddle by arm, in drops that can be reached.
        updates: of a run from a minimum.
        folds: e-folds of one from a saddle.
    """

    losses: Float[np.ndarray, "data unit start"]
    stuck: Int[np.ndarray, "data unit"]
    runs: Runs
    tuning: Int[np.ndarray, ""]
    kind: Int[np.ndarray, " saddle"]
    left: Float[np.ndarray, "saddle arm"]
    updates: Int[np.ndarray, ""]
    folds: Int[np.ndarray, ""]


def _clothing() -> Task:
    """As `problem.parity_digits`: whether the number of a piece's class is odd."""
    images = problem.small_clothing(1797, dtype=np.float64)
    centred = images.inputs - np.mean(images.inputs, axis=0)
    scores, _, _ = np.linalg.svd(centred, full_matrices=False)
    inputs = np.sqrt(len(scores)) * scores[:, :8]
    parity = 2.0 * (np.asarray(images.targets) % 2) - 1
    weights = np.asarray(images.weights, np.float64)
    batch = Batch(inputs, parity[:, None], weights)
    return problem.parity_digits()._replace(batch=batch)


TASKS = (problem.parity_digits, _clothing)


def study(config: Config, keep: Keep, negative_curvature: Any, escape: Any) -> Result:
    """Everything in float64."""
    losses, stuck, runs = [], [], []
    with jax.enable_x64(True):
        for make, name in zip(TASKS[: config.data], DATA, strict=False):
            task = make()
            objective = jax.jit(problem.objective_of_vector(task))
            starts = _starts(config, task)
            search = partial(mapped, _search, (config, objective), starts, None)
            found = keep(f"{name}, minima", search)
            losses.append(_losses(found))
            stuck.append(_first_stuck(losses[-1]))
            points = _stuck(config, starts, found.params, stuck[-1])
            walk = partial(mapped, _runs, (config, objective), points, None)
            runs.append(keep(f"{name}, runs", walk))
        saddle = np.isin(negative_curvature.kind, range(len(KINDS)))
        leave = partial(_left, config, negative_curvature, escape, saddle)
        left = keep("saddles", leave)
    return Result(
        losses=np.stack(losses),
        stuck=np.stack(stuck),
        runs=jax.tree.map(lambda *leaves: np.stack(leaves), *runs),
        tuning=np.array(config.tuning),
        kind=negative_curvature.kind[saddle],
        left=left,
        updates=np.array(config.updates),
        folds=np.array(config.folds),
    )


def _starts(config: Config, task: Task) -> Start:
    """STARTS networks a unit, on pictures of its own, unit after unit."""
    units = config.tuning + config.judging
    vectors = problem.initial_vectors(
        task, randomness.seeds(config.seed, units * STARTS)
    )
    draw = np.random.default_rng(config.seed)
    total = len(task.batch.weights)
    orders = np.stack([draw.permutation(total)[:EXAMPLES] for _ in range(units)])
    own = rows(task.batch, np.repeat(orders, STARTS, axis=0))
    return Start(np.asarray(vectors), own)


def _bottom(config: Config, objective: Objective, x: Array, data: Batch) -> Array:
    """Where full-batch descent with momentum ends."""
    heavy = learn.momentum(learn.Hyper(lr=SLOW, momentum=HEAVY))
    return learn.descended(objective, heavy, x, data, steps=config.descent)


def _search(config: Config, objective: Objective, start: Start, _: None) -> Found:
    """Descent, then Newton steps on |H| until the gradient is 0 up to rounding."""
    near = _bottom(config, objective, start.params, start.data)
    steps = partial(curvature.eigenvector_following, index=jnp.int32(0), iterations=30)
    found = steps(objective, near, start.data).params
    product = curvature.hessian_product(objective, found, start.data)
    values = jnp.linalg.eigvalsh(curvature.dense(product, found))
    largest = jnp.max(jnp.abs(values))
    gradient = jnp.linalg.norm(jax.grad(objective)(found, start.data))
    return Found(
        params=found,
        loss=objective(found, start.data),
        gradient=gradient / (largest * jnp.linalg.norm(found)),
        lowest=values[0] / largest,
    )


def _losses(found: Found) -> Float[np.ndarray, "unit start"]:
    """At certified minima."""
    minimum = (found.gradient < STATIONARY) & (found.lowest > POSITIVE)
    return np.where(minimum, found.loss, np.nan).reshape(-1, STARTS)


def _lowest(losses: np.ndarray) -> np.ndarray:
    """Of each unit's minima; infinite where there is none."""
    return np.where(np.isnan(losses), np.inf, losses).min(axis=-1)


def _first_stuck(losses: np.ndarray) -> Int[np.ndarray, " unit"]:
    high = losses > STUCK * _lowest(losses)[:, None]
    return np.where(high.any(axis=1), high.argmax(axis=1), -1)


def _stuck(
    config: Config, starts: Start, found: np.ndarray, stuck: np.ndarray
) -> Stuck:
    """One a unit; where none is stuck, the minimum of the first start."""
    units = np.arange(len(stuck))
    first = STARTS * units
    return Stuck(
        point=found[first + np.maximum(stuck, 0)],
        begun=starts.params[first],
        data=rows(starts.data, first),
        key=jax.random.split(randomness.key(config.seed), len(units)),
    )


def _step(
    objective: Objective, data: Batch, key: Key, arm: Any, x: Array, step: Any
) -> Array:
    """The gradient of an arm."""
    draw = learn.shuffled(data, SIZE).draw

    def of_batch(x: Array) -> Array:
        return jax.grad(objective)(x, draw(data, key, step))

    def of_all(x: Array) -> Array:
        return jax.grad(objective)(x, data)

    def of_noisy(x: Array) -> Array:
        noise = curvature.gradient_noise(objective, x, data, chunk=EXAMPLES)
        trace = curvature.batch_covariance_trace(
            noise.covariance_trace, SIZE, total=EXAMPLES
        )
        kick = tree.random_like(x, jax.random.fold_in(key, step))
        return of_all(x) + jnp.sqrt(trace / x.size) * kick

    return jax.lax.switch(arm, (of_batch, of_noisy, of_all), x)


def _runs(config: Config, objective: Objective, stuck: Stuck, _: None) -> Runs:
    """All arms from the minimum, and batches from random weights, at all rates."""
    data, key = stuck.data, stuck.key

    def walked(run: Walk) -> Array:
        def one(rate: Array) -> Array:
            def update(step: Array, x: Array) -> Array:
                return x - rate * _step(objective, data, key, run.arm, x, step)

            end = jax.lax.fori_loop(0, config.updates, update, run.first)
            low = _bottom(config, objective, end, data)
            return jnp.stack([objective(end, data), objective(low, data)])

        return jax.vmap(one)(jnp.asarray(RATES))

    firsts = jnp.stack([stuck.point, stuck.point, stuck.point, stuck.begun])
    arms = jnp.array([BATCHES, NOISY, ALL, BATCHES], jnp.int32)
    losses = jax.lax.map(walked, Walk(firsts, arms))
    return Runs(
        ends=losses[: ALL + 1, :, 1],
        trained=losses[ALL + 1, :, 0],
        ended=losses[ALL + 1, :, 1],
        lengths=_lengths(objective, stuck),
    )


def _lengths(objective: Objective, stuck: Stuck) -> Array:
    """Of the gradients of an epoch's batches."""
    draw = learn.shuffled(stuck.data, SIZE).draw
    usual = jnp.linalg.norm(jax.grad(objective)(stuck.begun, stuck.data))

    def length(step: Array) -> Array:
        batch = draw(stuck.data, stuck.key, step)
        return jnp.linalg.norm(jax.grad(objective)(stuck.point, batch))

    steps = jnp.arange(EXAMPLES // SIZE, dtype=jnp.int32)
    return jax.lax.map(length, steps) / usual


class Saddle(NamedTuple):
    """A saddle, and how long runs from it are."""

    point: Array
    data: Batch
    rate: Array
    noisy: Array  # updates of the arm
    updates: Array  # in all
    key: Key


def _left(
    config: Config, points: Any, escape: Any, saddle: np.ndarray
) -> Float[np.ndarray, "saddle arm"]:
    """Progress from all saddles."""
    objective = jax.jit(problem.objective_of_vector(problem.parity_digits()))
    rate = 1 / (4 * points.largest[saddle])
    fold = 1 / np.log1p(rate * np.abs(points.lowest[saddle]))
    chosen = np.flatnonzero(saddle)
    saddles = Saddle(
        point=points.params[saddle],
        data=rows(points.data, chosen),
        rate=rate,
        noisy=np.ceil(NOISY_PART * config.folds * fold).astype(np.int32),
        updates=np.ceil(config.folds * fold).astype(np.int32),
        key=jax.random.split(randomness.key(config.seed, 1), len(chosen)),
    )
    fall = mapped(_fall, (objective,), saddles, None)
    return np.clip(fall / escape.drop[saddle][:, None], -1, 1)


def _fall(objective: Objective, saddle: Saddle, _: None) -> Array:
    """How much lower the arms end, one after another."""
    before = objective(saddle.point, saddle.data)
    aside = tree.random_like(saddle.point, saddle.key)
    away = FAR * jnp.linalg.norm(saddle.point) * aside / jnp.linalg.norm(aside)

    def ended(arm: Array) -> Array:
        kind = jnp.minimum(arm, ALL)

        def update(step: Array, x: Array) -> Array:
            now = jnp.where(step < saddle.noisy, kind, ALL)
            gradient = _step(objective, saddle.data, saddle.key, now, x, step)
            return x - saddle.rate * gradient

        first = saddle.point + jnp.where(arm == OFF, away, jnp.zeros_like(away))
        return jax.lax.fori_loop(0, saddle.updates, update, first)

    ends = jax.lax.map(ended, jnp.arange(len(ARMS), dtype=jnp.int32))
    return before - jax.vmap(lambda x: objective(x, saddle.data))(ends)


class Judged(NamedTuple):
    """The stuck units of a data set.

    Attributes:
        tuning: how many of them tune.
        progress: `[arm, rate, unit]`, of the distance to the lowest minimum.
        again: `[unit]`, that of another start's minimum.
        scores: `[rate, unit]`, by which the rate is chosen.
        ended: `[rate, unit]`, the loss after training by batches and descent.
        usual: `[unit]`, that after descent alone.
        lengths: `[unit]`, the median length of a batch's gradient.
    """

    tuning: int
    progress: np.ndarray
    again: np.ndarray
    scores: np.ndarray
    ended: np.ndarray
    usual: np.ndarray
    lengths: np.ndarray


def _judged(result: Result, data: int) -> Judged:
    losses, stuck = result.losses[data], result.stuck[data]
    counts: Bool[np.ndarray, " unit"] = stuck >= 0
    runs = jax.tree.map(lambda leaf: leaf[data][counts], result.runs)
    own, chosen = losses[counts], stuck[counts]
    units = np.arange(len(chosen))
    before, lowest = own[units, chosen], _lowest(own)

    def progress(after: np.ndarray) -> np.ndarray:
        return np.clip((before - after) / (before - lowest), -1, 1)

    return Judged(
        tuning=int(np.sum(counts[: result.tuning])),
        progress=progress(np.moveaxis(runs.ends, 0, -1)),
        again=progress(own[units, (chosen + 1) % STARTS]),
        scores=runs.trained.T,
        ended=runs.ended.T,
        usual=own[:, 0],
        lengths=np.median(runs.lengths, axis=1),
    )


PROGRESS = record.above(
    0.0, margin=FIFTH, reason="less than a fifth of what could be gained"
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """At minima of each data set; at saddles."""
    found: list[Assertion] = []
    for data in range(len(result.losses)):
        judged = _judged(result, data)
        if 0 < judged.tuning < len(judged.again):
            found += _at_minima(result, data, judged)
    for kind in range(len(KINDS)):
        found += _at_saddles(result, kind)
    return tuple(found)


def _at_minima(result: Result, data: int, judged: Judged) -> tuple[Assertion, ...]:
    setting = (
        f"parity of {EXAMPLES} random pictures from 8 whitened principal components, "
        f"{DATA[data]}, 3 tanh units, decay 0.001, {result.updates:,} updates at the "
        "rate at which batches of 10 train best, then full-batch descent"
    )
    at_minima = f"{setting}, certified minima a tenth above the lowest of six"
    batches, noisy, every = (Arm(arm, judged.scores) for arm in judged.progress)
    tuned = partial(record.tuned, record.mean_difference, tuning=judged.tuning)
    deciding = partial(record.deciding, "C067", unit="difference")
    supporting = partial(record.supporting, "C067", unit="difference")
    return (
        deciding(
            "Batches of 10 free weights that are stuck at a minimum: they make more "
            "progress towards the lowest one than all examples at the same rate.",
            tuned(batches, every),
            PROGRESS,
            setting=at_minima,
        ),
        supporting(
            "Batches of 10 make more progress from a stuck minimum towards the lowest "
            "one than isotropic noise of the same strength.",
            tuned(batches, noisy),
            PROGRESS,
            setting=at_minima,
        ),
        supporting(
            "All examples at once, at the same rate, make progress from a stuck "
            "minimum (negative control).",
            record.tuned_mean(judged.scores, every.values, tuning=judged.tuning),
            PROGRESS,
            setting=at_minima,
        ),
        supporting(
            "Another random start, with no noise at all, makes progress from a stuck "
            "minimum towards the lowest one.",
            record.paired(judged.again, np.zeros_like(judged.again)),
            PROGRESS,
            setting=at_minima,
        ),
        supporting(
            "Weights trained by batches of 10 end at a lower loss, after descent, than "
            "by full-batch descent from the same random weights.",
            tuned(Arm(judged.ended, judged.scores), Arm(judged.usual[None])),
            record.below(0.0, margin=0.01, reason="a tenth of the lowest losses"),
            setting=setting,
        ),
        record.supporting(
            "C067",
            "At a stuck minimum the gradient of the median batch of 10 is longer than "
            "a twentieth of the full gradient at random weights.",
            record.bootstrap(np.median, judged.lengths),
            record.above(0.05),
            unit="ratio",
            setting=at_minima,
            figure="rates",
        ),
    )


def _at_saddles(result: Result, kind: int) -> tuple[Assertion, ...]:
    left = result.left[result.kind == kind]
    sees = kind == 0
    setting = (
        f"parity of {EXAMPLES} random 8x8 digits from 8 whitened principal components, "
        f"3 tanh units, decay 0.001, rate 1/(4‖H‖), {result.folds} e-folds of the "
        f"lowest eigenvalue, the last three fifths by all examples, {KINDS[kind]}"
    )
    deciding = record.deciding if sees else record.supporting
    control = "(negative control)"
    statements = (
        f"On a saddle that they {'see' if sees else 'do not see'} batches of 10 make "
        f"progress{'' if sees else f' {control}'}.",
        "On a saddle all examples with isotropic noise of the strength of batches of "
        "10 make progress.",
        f"On a saddle all examples at once make progress {control}.",
        "From 0.0001 of the weights' norm off a saddle all examples at once make "
        "progress.",
    )
    assertions = (deciding, *3 * [record.supporting])
    return tuple(
        assertion(
            "C067",
            statement,
            record.bootstrap(np.mean, left[:, arm]),
            PROGRESS,
            unit="difference",
            setting=setting,
            figure="saddles",
        )
        for arm, (assertion, statement) in enumerate(
            zip(assertions, statements, strict=True)
        )
    )


def figures(result: Result) -> dict[str, Figure]:
    """Every stuck unit at the tuned rate; progress by rate; every saddle."""
    count = len(result.losses)
    minima, axes = panels(1, count, width=5.6)
    by_rate, below = panels(1, count, width=5.0)
    for data in range(count):
        judged = _judged(result, data)
        if judged.tuning:
            _units(axes[data], judged)
            _rates(below[data], judged)
        label(axes[data], DATA[data], "progress to the lowest minimum", "gradient")
        label(below[data], DATA[data], "rate", "mean progress")
    saddles, parts = panels(1, len(KINDS), width=5.0)
    for kind, axis in enumerate(parts):
        left = result.left[result.kind == kind]
        strips(axis, dict(zip(ARMS, left.T, strict=True)))
        title = f"{len(left)} {KINDS[kind]}"
        label(axis, title, "gradient", "progress (drops that can be reached)")
    for figure in (minima, by_rate):
        shared_legend(figure)
    return {"minima": minima, "rates": by_rate, "saddles": saddles}


def _units(axis: Axes, judged: Judged) -> None:
    *kinds, _ = ARMS
    samples = {
        name: at_tuned(Arm(arm, judged.scores), judged.tuning)
        for name, arm in zip(kinds, judged.progress, strict=True)
    }
    samples["another start"] = judged.again[judged.tuning :]
    dots(axis, samples, "a stuck minimum")
    margins(axis, PROGRESS)


def _rates(axis: Axes, judged: Judged) -> None:
    """Means, with two standard errors; a vertical line at the tuned rate."""
    *kinds, _ = ARMS
    for name, arm in zip(kinds, judged.progress, strict=True):
        whole = np.all(np.isfinite(arm), axis=1)
        values = arm[whole]
        mean, error = values.mean(axis=1), values.std(axis=1) / values.shape[1] ** 0.5
        (line,) = axis.plot(RATES[whole], mean, label=name)
        low, high = mean - 2 * error, mean + 2 * error
        axis.fill_between(RATES[whole], low, high, color=line.get_color(), alpha=0.2)
    axis.axvline(RATES[_best(judged)], color="0.4", marker="", label="trains best")
    axis.axhline(0.0, color="0.4", linestyle=":")
    axis.set_xscale("log")


def _best(judged: Judged) -> int:
    means = judged.scores[:, : judged.tuning].mean(axis=1)
    return int(np.argmin(np.where(np.isfinite(means), means, np.inf)))
