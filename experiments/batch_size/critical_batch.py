"""Up to which size do larger batches save updates, and does the noise foretell it?

If batches of B need S = S_min + E_min / B updates to a target, then doubling the batch
halves the updates as long as B is far below B_crit = E_min / S_min, and saves next to
none far above. So at equal epochs small batches win, since large ones then make fewer
updates than they need, and at equal updates they do not.

Networks train by gradient descent and by Adam (β₁ = 0.9, β₂ = 0.999) at a constant
rate, in batches of 1 to all 512 examples, until their mean loss on all of them is that
of a right class given 0.97 (digits) or 0.6 (clothing). Every size has its own rate,
tuned by the updates that are judged.

- B_crit by the fitted law. It is below 128 if beyond a quarter of the examples doubling
  the batch saves less than a third of the updates; else tenfold larger batches would.
- Theory expects, for a Hessian like the identity and gradient descent, the noise scale
  b = tr Σ / ‖G‖² of single examples, averaged over the training, each update counted
  as the noiseless ones that it is worth, 1 / (1 + b/16) in batches of 16; and
  b / (1 - b/N) where batches are drawn from N without replacement. It foretells B_crit
  if it is right to a factor of two. G is the gradient on all examples that train. The
  rate is that of the tuning units; intervals hold the units', not the rate's, chance.

If batch size did not matter but for the noise, as many explanations have it, neither
would come out. Both findings support: no claim of the course is about B_crit, but A11
asks for updates and rates to be matched, and this is what matching them shows. A unit
draws weights, examples and their order; 20 tune, 20 judge. Targets, budgets and rates
were placed by units of the seed 77, the targets lowered since at first ones Adam needed
fewer than 20 updates.

Not tested: held-out accuracy, rates that fall, other targets, larger sets.

Claims: A11.
Sources: McCandlish et al. 2018, arXiv:1812.06162; Shallue et al. 2019,
    arXiv:1811.03600.
Cost: seven minutes on 2 cores, compilation included.
Expect: the law within a tenth; critical sizes of 10 to 100; larger ones for Adam.
Run: jaxml run critical_batch
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, problem, randomness, record
from jaxml.record import Assertion, CriticalBatch
from jaxml.record.figures import Figure, panels, shared_legend
from jaxml.record.steps_and_examples import steps_and_examples
from jaxml.types import Dataset, Keep, Params, Workload

DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
TARGETS = (-np.log(0.97), -np.log(0.6))
EXAMPLES = 512
MIDDLE = 16  # size of the batches whose noise is measured
EVALUATIONS = 400
STEPS = 1.5 ** np.arange(14)
LOSS, NOISE = "loss", "noise"  # what is measured
TRACE, SQUARE = range(2)  # of the noise: tr Σ and ‖G‖²
FEW = record.below(EXAMPLES / 4, margin=EXAMPLES / 16, reason="a quarter of it")
FORETOLD = record.near(0.0, margin=np.log(2), reason="a factor of two")


class Method(NamedTuple):
    """A method, the lowest of its rates, and its name."""

    family: learn.Family
    lowest: float
    name: str


METHODS = (
    Method(learn.sgd, 0.02, "gradient descent"),
    Method(learn.adam, 2e-3, "Adam"),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes, units and budget; of data sets and methods the first ones."""

    data: int = len(DATA)
    methods: int = len(METHODS)
    sizes: tuple[int, ...] = (1, 4, MIDDLE, 64, 256, EXAMPLES)
    updates: int = 400  # of the largest batches
    examples: int = 20_000  # more, of the smallest
    tuning: int = 20
    judging: int = 20
    lanes: int = 20
    seed: int = 0


SMOKE = Config(
    data=1,
    methods=1,
    sizes=(4, 8, MIDDLE),
    updates=100,
    examples=0,
    tuning=1,
    judging=1,
)


class Result(NamedTuple):
    """Units that tune come first.

    Attributes:
        updates: to the target, infinite where a run did not reach it.
        noise_scales: of the judging units, nan where the target was not reached.
        sizes: of batches.
        weights: of the networks.
        tuning: how many of the units tune.
    """

    updates: Float[np.ndarray, "data method size rate unit"]
    noise_scales: Float[np.ndarray, "data method judging"]
    sizes: Int[np.ndarray, " size"]
    weights: Int[np.ndarray, " data"]
    tuning: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set, method and size, and one for the noise of each method."""
    works = [of(train=EXAMPLES, test=1) for of in WORKLOADS[: config.data]]
    updates, noise_scales = [], []
    for data, method in product(range(config.data), METHODS[: config.methods]):
        measured = config, keep, works[data], data, method
        by_size = [_updates(*measured, size) for size in config.sizes]
        middle = by_size[config.sizes.index(MIDDLE)][:, : config.tuning]
        rate = int(np.argmin(np.median(middle, axis=1)))
        updates.append(by_size)
        noise_scales.append(_noise_scales(*measured, rate))
    leading = (config.data, config.methods)
    return Result(
        updates=np.reshape(updates, (*leading, *np.shape(updates)[1:])),
        noise_scales=np.reshape(noise_scales, (*leading, -1)),
        sizes=np.array(config.sizes),
        weights=np.array([problem.weights(work) for work in works]),
        tuning=np.array(config.tuning),
    )


def _length(config: Config, size: int) -> tuple[int, int]:
    """Updates of a run, and between two of its evaluations."""
    budget = config.updates + config.examples / size
    every = max(1, round(budget / EVALUATIONS))
    return every * EVALUATIONS, every


def _updates(
    config: Config, keep: Keep, work: Workload, data: int, method: Method, size: int
) -> Float[np.ndarray, "rate unit"]:
    """Updates to the target of every unit at every rate."""
    name = f"{DATA[data]}, {method.name}, batches of {size}"
    losses = work._replace(measures={LOSS: work.measures["train"]})
    grid = learn.grid(learn.Hyper, lr=method.lowest * STEPS)
    steps, every = _length(config, size)
    found = learn.compare(
        learn.experiment(losses, batch=size, steps=steps, every=every),
        {name: learn.Entrant(method.family, grid)},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    return learn.updates_to(found[name], LOSS, TARGETS[data])


def _noise_scales(
    config: Config, keep: Keep, work: Workload, data: int, method: Method, rate: int
) -> Float[np.ndarray, " judging"]:
    """The noise scale over the training to the target, of the judging units."""
    steps, every = _length(config, MIDDLE)
    run = learn.experiment(_noisy(work), batch=MIDDLE, steps=steps, every=every)
    seeds = randomness.seeds(config.seed, config.judging, skip=config.tuning)
    runs = learn.sweep(
        run(method.family),
        learn.grid(learn.Hyper, lr=method.lowest * STEPS[rate], seed=seeds),
        lanes=config.lanes,
        name=f"{DATA[data]}, {method.name}, noise",
        keep=keep,
    )
    losses, noise = (np.asarray(runs.trace.probed[name]) for name in (LOSS, NOISE))
    reached = np.cumsum(losses <= TARGETS[data], axis=1) > 0
    scales = noise[..., TRACE] / noise[..., SQUARE]
    worth = np.where(reached, 0.0, 1 / (1 + scales / MIDDLE))
    means = np.sum(worth * scales, axis=1) / np.sum(worth, axis=1)
    return np.where(reached[:, -1], means, np.nan)


def _noisy(work: Workload) -> Workload:
    """The loss on all examples that train, and the noise of their gradients."""
    objective = problem.mean_loss(work)

    def noise(params: Params, own: Dataset) -> Any:
        found = curvature.gradient_noise(objective, params, own.train)
        return jnp.stack([found.covariance_trace, jnp.mean(found.projections)])

    return work._replace(measures={LOSS: work.measures["train"], NOISE: noise})


def _found(result: Result, data: int, method: int) -> CriticalBatch:
    """The critical batch size, and what the noise scales say of it."""
    updates = result.updates[data, method]
    scales = result.noise_scales[data, method]
    return record.critical_batch(
        dict(zip(result.sizes.tolist(), updates, strict=True)),
        tuning=int(result.tuning),
        noise_scale=record.bootstrap(np.mean, scales[np.isfinite(scales)]),
        total=EXAMPLES,
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, by each method."""
    found: list[Assertion] = []
    for data, method in product(*map(range, result.updates.shape[:2])):
        setting = (
            f"{DATA[data]}, dense network of {result.weights[data]:,} weights, "
            f"{EXAMPLES} examples, {METHODS[method].name}, constant rate tuned for "
            f"each size, to a training loss of {TARGETS[data]:.2g} nats"
        )
        found += _judged(result, data, method, setting)
    return tuple(found)


def _judged(result: Result, data: int, method: int, setting: str) -> list[Assertion]:
    """Where larger batches cease to save updates, and whether the noise foretells
    it.
    """
    found = _found(result, data, method)
    assert found.predicted is not None
    return [
        record.supporting(
            "A11",
            "The critical batch size, at which batches need twice the fewest updates "
            f"and twice the fewest examples by the fitted law, is below "
            f"{EXAMPLES // 4}.",
            found.critical,
            FEW,
            setting=setting,
            unit="count",
        ),
        record.supporting(
            "A11",
            "The noise scale of the gradient, the trace of its covariance over "
            "examples divided by the square of its mean, averaged over the training, "
            "foretells the critical batch size to a factor of two.",
            found.predicted,
            FORETOLD,
            setting=setting,
            unit="log ratio",
        ),
    ]


def figures(result: Result) -> dict[str, Figure]:
    """Steps against examples: judged units, their medians and the law."""
    places = list(product(*map(range, result.updates.shape[:2])))
    figure, axes = panels(-(-len(places) // 2), 2)
    for panel, place in zip(axes, places, strict=False):
        data, method = place
        found = _found(result, *place)
        critical = found.critical
        title = (
            f"{DATA[data]}, {METHODS[method].name}: critical batch size "
            f"{critical.estimate:.0f} [{critical.low:.0f}, {critical.high:.0f}], law "
            f"off by {100 * found.deviation:.0f} %"
        )
        steps_and_examples(panel, found, title)
    shared_legend(figure)
    return {"critical_batch": figure}
