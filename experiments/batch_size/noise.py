"""Is the gradient of a batch right on average, and how noisy is it?

Examples drawn at random give a gradient g_B whose mean is that of all N examples, and
whose noise, tr Cov(g_B), is tr Σ/B with replacement and (tr Σ/B)(1 - B/N) without, Σ
the covariance of single examples (normalised by N - 1). Batches are drawn by the
library, from 1 to all of 240 examples, at the start, in the middle and at the end of a
training, and their gradients are compared with the full one in float64.

- Unbiased: what the mean over draws is off, in square and without what the number of
  draws explains, is below a hundredth of the batch's noise; a tenth of its standard
  deviation would be lost in it.
- 1/B: at every size, and at each of the three points, the noise is within a tenth of
  the law, by the mean of its logarithm over networks.

Both are judged where they are worst. They fail where batches are not drawn from all
examples at random, and so do the controls. Batches from half of the examples, sorted
by class, must be biased. Neighbours in that order must break the law 1/B though all
examples come equally often. Batches without replacement must break the law without
its factor 1 - B/N.

What follows for a lecturer's "small batches are noisy, large ones stable" stands
beside: the noise as a multiple of the length of the full gradient. A unit draws its
weights, its examples and their order anew; digits overlap between units.

Not tested: whether noise helps or harms (`stuck_batches`), and its shape.

Claims: C062, C071.
Sources: Cochran 1977, Sampling Techniques, section 2.6 (the factor); McCandlish et al.
    2018, arXiv:1812.06162.
Cost: under a minute on 2 cores.
Expect: both laws; at the end of training even half of all examples are noisy.
Run: jaxml run noise
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.record import Assertion, Interval
from jaxml.record.comparisons import underlaid
from jaxml.record.figures import Axes, Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Dataset, Keep, Objective, Params, Workload

DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
POINTS = ("at the start", "in the middle", "at the end")
SAMPLINGS = (
    "without replacement",
    "with replacement",
    "neighbours, sorted by class",
    "from half of the classes",
)
WITHOUT, WITH, NEIGHBOURS, HALF = range(len(SAMPLINGS))
EXAMPLES, BATCH, SMALL, LARGE = 240, 24, 12, 120
BIAS, TENTH = 0.01, 0.1  # of the noise: a tenth of its standard deviation; of the law


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes, batches drawn of each, updates, and units; of data sets the first ones."""

    data: int = len(DATA)
    sizes: tuple[int, ...] = (1, 2, 5, SMALL, 30, 60, LARGE, EXAMPLES)
    draws: int = 3000
    updates: int = 600
    units: int = 16
    lanes: int = 8
    seed: int = 0


SMOKE = Config(data=1, sizes=(1, SMALL, LARGE, EXAMPLES), draws=40, updates=2, units=2)


class Point(NamedTuple):
    """A network, and what it is trained on."""

    params: Params
    own: Batch


class Spread(NamedTuple):
    """The gradients of all examples at a point.

    Attributes:
        gram: `[example, example]`, inner products of their distances from the mean.
        square: ‖∇L‖², of all examples.
        wrong: ‖g - ∇L‖ / ‖∇L‖ of a batch of all examples in another order, g, and the
            mean of the examples' gradients.
    """

    gram: Any
    square: Any
    wrong: Any


class Result(NamedTuple):
    """What batches show.

    Attributes:
        noise: the mean of ‖g_B - ∇L‖² over draws; nan where no such batch can be drawn.
        bias: ‖mean of g_B - ∇L‖² over the noise, unbiased by the number of draws.
        trace: tr Σ, of one example.
        square: ‖∇L‖².
        wrong: as in `Spread`.
        sizes: of batches.
        updates: of a training.
    """

    noise: Float[np.ndarray, "data point sampling size unit"]
    bias: Float[np.ndarray, "data point sampling size unit"]
    trace: Float[np.ndarray, "data point unit"]
    square: Float[np.ndarray, "data point unit"]
    wrong: Float[np.ndarray, "data point unit"]
    sizes: Int[np.ndarray, " size"]
    updates: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """Trainings in float32; their gradients in float64."""
    places = randomness.seeds(config.seed, config.units)
    works = [of(train=EXAMPLES, test=1) for of in WORKLOADS[: config.data]]
    chosen = keep("batches", partial(_batches, config))
    noise, bias, spreads = [], [], []
    for work, name in zip(works, DATA, strict=False):
        points = _points(config, work, np.array(places, np.int32), name, keep)
        spread = keep(f"{name}, gradients", partial(_spreads, work, points))
        shape = (len(POINTS), config.units)
        spread = Spread(*(leaf.reshape(*shape, *leaf.shape[1:]) for leaf in spread))
        labels = np.asarray(points.own.targets).reshape(*shape, EXAMPLES)[0]
        seeing = partial(_seen, config, chosen, spread.gram, labels)
        seen = keep(f"{name}, noise", seeing)
        noise.append(seen[0])
        bias.append(seen[1])
        spreads.append(spread)
    trace = [np.trace(each.gram, axis1=2, axis2=3) for each in spreads]
    return Result(
        noise=np.stack(noise),
        bias=np.stack(bias),
        trace=np.stack(trace) / (EXAMPLES - 1),
        square=np.stack([each.square for each in spreads]),
        wrong=np.stack([each.wrong for each in spreads]),
        sizes=np.array(config.sizes),
        updates=np.array(config.updates),
    )


def _points(
    config: Config, work: Workload, seeds: np.ndarray, name: str, keep: Keep
) -> Point:
    """All networks at the start, in the middle and at the end, one after another."""

    def point(params: Params, own: Dataset) -> Point:
        return Point(params, own.train)

    training = learn.training(
        work.start,
        work.loss,
        learn.momentum,
        learn.split_anew(work.data, train=EXAMPLES, test=1, size=BATCH),
        steps=config.updates,
        every=config.updates // 2,
        probe=learn.evaluating({"point": point}),
    )
    grid = learn.grid(learn.Hyper, lr=0.02, seed=seeds)
    runs = learn.sweep(training, grid, lanes=config.lanes, name=name, keep=keep)
    first = jax.lax.map(partial(learn.first_state, training), grid).params

    def placed(start: Any, seen: Any) -> np.ndarray:
        rest = np.moveaxis(np.asarray(seen), 1, 0)
        return np.concatenate([np.asarray(start)[None], rest])

    seen = runs.trace.probed["point"]
    networks = jax.tree.map(placed, first, seen.params)
    data = jax.tree.map(lambda leaf: placed(leaf[:, 0], leaf), seen.own)
    return jax.tree.map(
        lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), Point(networks, data)
    )


def _spreads(work: Workload, points: Point) -> Spread:
    """Of every point, in float64."""
    mean_loss = work.measures["train"]

    def objective(params: Params, batch: Batch) -> jax.Array:
        return mean_loss(params, Dataset(batch, batch))

    def wide(leaf: np.ndarray) -> np.ndarray:
        return leaf.astype(np.float64) if leaf.dtype.kind == "f" else leaf

    with jax.enable_x64(True):
        exact = jax.tree.map(wide, points)
        return curvature.mapped(_spread, (objective,), exact, None)


def _spread(objective: Objective, point: Point, _: None) -> Spread:
    def gradient(batch: Batch) -> jax.Array:
        return tree.ravel(jax.grad(objective)(point.params, batch))[0]

    alone = jax.tree.map(lambda leaf: leaf[:, None], point.own)
    gradients = jax.vmap(gradient)(alone)
    mean = jnp.mean(gradients, axis=0)
    apart = gradients - mean[None]
    backwards = gradient(jax.tree.map(lambda leaf: leaf[::-1], point.own))
    length = jnp.linalg.norm(mean)
    wrong = jnp.linalg.norm(backwards - mean) / length
    return Spread(apart @ apart.T, length**2, wrong)


def _batches(config: Config) -> np.ndarray:
    """Orders of all examples, without and with replacement, `[sampling, unit, draw,
    example]`: a batch is a part of one.
    """
    numbers = np.arange(EXAMPLES)
    ones = np.ones(EXAMPLES, np.float32)
    data = Batch(numbers.astype(np.int32), numbers.astype(np.int32), ones)
    steps = jnp.arange(config.draws, dtype=jnp.int32)
    units = [randomness.key(config.seed, unit) for unit in range(config.units)]

    def orders(batches: learn.Batches) -> Callable[[Any], Array]:
        def order(key: Any) -> Array:
            return jax.vmap(lambda step: batches.draw(data, key, step).inputs)(steps)

        return jax.jit(order)

    kinds = learn.shuffled(data, EXAMPLES), learn.with_replacement(data, EXAMPLES)
    drawn = []
    for kind in kinds:
        order = orders(kind)
        drawn.append(np.stack([order(key) for key in units]))
    return np.stack(drawn)


def _seen(
    config: Config, orders: np.ndarray, gram: np.ndarray, labels: np.ndarray
) -> Float[np.ndarray, "quantity point sampling size unit"]:
    """Noise and bias of the batches of every unit."""
    shape = (2, len(POINTS), len(SAMPLINGS), len(config.sizes), config.units)
    seen = np.full(shape, np.nan)
    for unit in range(config.units):
        by_class = np.argsort(labels[unit], kind="stable")
        for place, size in enumerate(config.sizes):
            for kind, batches in _drawn(orders[:, unit], by_class, size).items():
                for point in range(len(POINTS)):
                    found = _moments(batches, gram[point, unit])
                    seen[:, point, kind, place, unit] = found
    return seen


def _drawn(
    orders: np.ndarray, by_class: np.ndarray, size: int
) -> dict[int, Int[np.ndarray, "draw example"]]:
    """The batches of one size by each sampling that has such; one of each order,
    each time another part of it.
    """
    shuffled, replaced = orders
    draws = np.arange(len(shuffled))[:, None]
    first = size * (draws % (EXAMPLES // size))
    inside = first + np.arange(size)
    near = (shuffled[:, :1] + np.arange(size)) % EXAMPLES
    kinds = {
        WITHOUT: np.take_along_axis(shuffled, inside, axis=1),
        WITH: replaced[:, :size],
        NEIGHBOURS: by_class[near],
    }
    if size < EXAMPLES // 2:
        low = np.argsort(shuffled >= EXAMPLES // 2, axis=1, kind="stable")[:, :size]
        kinds[HALF] = by_class[np.take_along_axis(shuffled, low, axis=1)]
    return kinds


def _moments(batches: np.ndarray, gram: np.ndarray) -> tuple[float, float]:
    """The noise of batches, and their bias in units of it."""
    draws = len(batches)
    mean = np.bincount(batches.ravel(), minlength=len(gram)) / batches.size
    noise = float(np.mean(_squares(batches, gram)))
    between = (draws * mean @ gram @ mean - noise) / (draws - 1)
    return noise, float(between / noise)


def _squares(batches: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """‖g_B - ∇L‖² of every batch: the mean over pairs of its examples."""
    draws, size = batches.shape
    if size <= SMALL:
        return gram[batches[:, :, None], batches[:, None]].mean(axis=(1, 2))
    weights = np.zeros((draws, len(gram)))
    np.add.at(weights, (np.arange(draws)[:, None], batches), 1 / size)
    return np.sum(weights @ gram * weights, axis=1)


def _worst(values: np.ndarray) -> float:
    """The largest |mean over units|, `[unit, place]`."""
    return float(np.max(np.abs(np.mean(values, axis=0))))


def _law(result: Result, data: int, total: int | None) -> np.ndarray:
    """tr Cov(g_B) by the law, `[point, size, unit]`."""
    trace = result.trace[data]
    sizes = [
        curvature.batch_covariance_trace(trace, int(size), total=total)
        for size in result.sizes
    ]
    return np.stack(sizes, axis=1)


def _off(result: Result, data: int, sampling: int, total: int | None) -> Interval:
    """How far the noise is from the law at worst, in logarithms; a batch of all has
    none.
    """
    part = result.sizes < EXAMPLES
    noise = result.noise[data, :, sampling][:, part]
    off = np.log(noise / _law(result, data, total)[:, part])
    return record.bootstrap(_worst, np.moveaxis(off.reshape(-1, off.shape[-1]), -1, 0))


def _biased(result: Result, data: int, samplings: list[int]) -> Interval:
    part = result.sizes < EXAMPLES // 2
    bias = result.bias[data][:, samplings][:, :, part]
    return record.bootstrap(_worst, bias.reshape(-1, bias.shape[-1]).T)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: both parts of the claim, their controls, and what follows."""
    found: list[Assertion] = []
    for data in range(len(result.noise)):
        setting = (
            f"{EXAMPLES} {DATA[data]}, dense network with 32 ReLUs, SGD with momentum, "
            f"0 to {result.updates:,} updates, batches of 1 to {EXAMPLES}"
        )
        found += _laws(result, data, setting)
        found += _controls(result, data, setting)
        found += _ratios(result, data, setting)
    return tuple(found)


WITHIN = record.near(0.0, margin=TENTH, reason="a tenth more noise is no other noise")
BEYOND = record.above(TENTH)


def _laws(result: Result, data: int, setting: str) -> tuple[Assertion, ...]:
    law = partial(record.deciding, "C062", unit="log ratio", setting=setting)
    return (
        record.deciding(
            "C062",
            "Over random batches the mean gradient is that of all examples: its error, "
            "squared, is below a hundredth of a batch's noise at every size.",
            _biased(result, data, [WITHOUT, WITH]),
            record.near(
                0.0, margin=BIAS, reason="a tenth of the noise's standard deviation"
            ),
            unit="ratio",
            setting=setting,
            figure="bias",
        ),
        law(
            "The noise of a batch's gradient drawn with replacement is tr Σ/B, to "
            "within a tenth at every size.",
            _off(result, data, WITH, None),
            WITHIN,
        ),
        law(
            "The noise of a batch's gradient drawn without replacement is tr Σ/B times "
            "1 - B/N, to within a tenth at every size.",
            _off(result, data, WITHOUT, EXAMPLES),
            WITHIN,
        ),
    )


def _controls(result: Result, data: int, setting: str) -> tuple[Assertion, ...]:
    control = partial(record.supporting, "C062", setting=setting)
    return (
        control(
            "Without the factor 1 - B/N the law of batches without replacement is more "
            "than a tenth off at some size (negative control).",
            _off(result, data, WITHOUT, None),
            BEYOND,
            unit="log ratio",
        ),
        control(
            "Batches of neighbours in examples sorted by class are more than a tenth "
            "off the law 1/B at some size (negative control).",
            _off(result, data, NEIGHBOURS, EXAMPLES),
            BEYOND,
            unit="log ratio",
        ),
        control(
            "Batches from half of the classes are biased by more than a hundredth of "
            "their noise at some size (negative control).",
            _biased(result, data, [HALF]),
            record.above(BIAS),
            unit="ratio",
            figure="bias",
        ),
        control(
            "The gradient of a batch of all examples in another order is the full "
            "gradient, up to rounding.",
            record.largest(result.wrong[data]),
            record.at_most(1e-9),
            unit="relative error",
        ),
    )


def _noisy(result: Result, data: int, point: int, size: int) -> np.ndarray:
    """The root of the noise over the length of the full gradient, `[unit]`."""
    place = result.sizes.tolist().index(size)
    noise = result.noise[data, point, WITHOUT, place]
    return np.sqrt(noise / result.square[data, point])


def _ratios(result: Result, data: int, setting: str) -> tuple[Assertion, ...]:
    longer = record.above(1.0, margin=0.25, reason="less is no other picture of it")
    found = []
    for size in (SMALL, LARGE):
        for point, when in enumerate(POINTS):
            found.append(
                record.supporting(
                    "C062",
                    f"{when.capitalize()} of training the gradient of a batch of "
                    f"{size} misses that of all examples by more than its length.",
                    record.bootstrap(np.median, _noisy(result, data, point, size)),
                    longer,
                    unit="ratio",
                    setting=setting,
                    figure="noise",
                )
            )
    *_, end = range(len(POINTS))
    less = _noisy(result, data, end, SMALL) / _noisy(result, data, end, LARGE)
    noisier = record.supporting(
        "C071",
        f"The gradient of a batch of {SMALL} is at least twice as noisy as that of a "
        f"batch of {LARGE}, by its standard deviation at the end of training.",
        record.bootstrap(np.median, less),
        record.above(2.0),
        unit="ratio",
        setting=setting,
    )
    return (*found, noisier)


def figures(result: Result) -> dict[str, Figure]:
    """Noise times B by sampling, and over the full gradient; the bias."""
    count = len(result.noise)
    figure, axes = panels(count, 2)
    below, biases = panels(1, count)
    for data, law, ratio in zip(range(count), axes[::2], axes[1::2], strict=True):
        _lawful(law, result, data)
        _over_signal(ratio, result, data)
        _biases(biases[data], result, data)
        for axis in (law, ratio, biases[data]):
            axis.set_xscale("log")
    for drawn in (figure, below):
        shared_legend(drawn)
    return {"noise": figure, "bias": below}


def _lawful(axis: Axes, result: Result, data: int) -> None:
    """All three points of every network in one band."""
    part = result.sizes < EXAMPLES
    sizes = result.sizes[part]
    trace = result.trace[data][:, None, None]
    whole = result.sizes[:, None] * result.noise[data] / trace
    for sampling in (WITHOUT, WITH, NEIGHBOURS):
        values = np.moveaxis(whole[:, sampling][:, part], 1, 0).reshape(len(sizes), -1)
        band(axis, sizes, values, SAMPLINGS[sampling], within=1.0)
    underlaid(axis, sizes, 1 - sizes / EXAMPLES, "the laws: 1 and 1 - B/N")
    underlaid(axis, sizes, np.ones(len(sizes)))
    axis.set_yscale("log")
    label(axis, DATA[data], "batch size B", "B tr Cov(g) / tr Σ")


def _over_signal(axis: Axes, result: Result, data: int) -> None:
    part = result.sizes < EXAMPLES
    sizes = result.sizes[part]
    for point, when in enumerate(POINTS):
        square = result.square[data, point][None]
        noise = result.noise[data, point, WITHOUT][part]
        band(axis, sizes, np.sqrt(noise / square), when, within=1.0)
    axis.axhline(1.0, color="0.4", linestyle="--", label="as long as the gradient")
    axis.set_yscale("log")
    label(axis, DATA[data], "batch size B", "noise / length of the full gradient")


def _biases(axis: Axes, result: Result, data: int) -> None:
    part = result.sizes < EXAMPLES // 2
    sizes = result.sizes[part]
    for sampling in (WITHOUT, WITH, HALF):
        bias = np.abs(result.bias[data][:, sampling][:, part])
        values = np.moveaxis(bias, 1, 0).reshape(len(sizes), -1)
        band(axis, sizes, values, SAMPLINGS[sampling], within=1.0)
    axis.axhline(BIAS, color="0.4", linestyle="--", label="what matters")
    axis.set_yscale("log")
    label(axis, DATA[data], "batch size B", "|squared bias| / noise")
