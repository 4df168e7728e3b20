"""Is the gradient of a batch right on average, and does its noise fall as 1/B?

Examples drawn at random give a gradient g_B whose mean is that of all N examples, and
whose noise, tr Cov(g_B), is tr Σ/B with replacement and (tr Σ/B)(1 - B/N) without, Σ
the covariance of single examples (normalised by N - 1). Batches are drawn by the
library, of 1 to 120 of 240 examples, after 1, 60 and 600 updates of a training, and
their gradients are compared with that of all examples.

- Unbiased: what the mean over draws is off, in square and without what the number of
  draws explains, is below a hundredth of the batch's noise; a tenth of its standard
  deviation would be lost in it.
- 1/B: at every size, at each of the three times, the noise is within a tenth of the
  law, by the mean of their ratio over networks.

Both are judged where they are worst, and the largest of 21 errors exceeds their mean,
which counts against the claim. As many examples are drawn at every size, so 60,000
batches of one. They fail where batches are not drawn from all examples at random.
Controls: neighbours in examples sorted by class, 120 possible batches from the first
half, must be biased and break the law 1/B; batches with replacement must break the law
that has the factor 1 - B/N, those without the one that lacks it.

The gradients of so many batches are means of their examples' gradients, by inner
products of these. That this is what differentiation gives is shown beside, for a batch
of every size.

A unit draws its weights, its examples and their order anew; digits overlap between
units. How noisy that makes a batch, `noise_ratio` asks.

Not tested: whether noise helps or harms (`stuck_batches`), and its shape. Margins and
sizes were fixed after a run of four units at seed 7; after it ratios replaced their
logarithms, whose mean is not 0 under the law, and more examples were drawn.

Claims: C062.
Sources: Cochran 1977, Sampling Techniques, section 2.6 (the factor).
Cost: three minutes on 2 cores.
Expect: both laws, and neither of the controls.
Run: jaxml run noise
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, problem, randomness, record
from jaxml.record import Assertion, Rule
from jaxml.record.comparisons import underlaid
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Dataset, Keep, Params, Workload

DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
SAMPLINGS = ("without replacement", "with replacement", "neighbours of half")
WITHOUT, WITH, NEIGHBOURS = range(len(SAMPLINGS))
EXAMPLES, BATCH, LARGEST, LANES, RATE = 240, 24, 120, 8, 0.02
REPLACED = "a random batch with replacement"
FINITE = "a random batch without replacement"
NEAR = "neighbours in half of the examples, sorted by class,"
BIAS = record.near(0.0, margin=0.01, reason="a tenth of the noise's deviation")
LAW = record.near(0.0, margin=0.1, reason="a tenth more noise is no other noise")
SAME = record.near(0.0, margin=0.001, reason="rounding of 32 bits")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes, batches of 120 and of as many examples, updates, and units."""

    data: int = len(DATA)
    sizes: tuple[int, ...] = (1, 2, 5, 12, 30, 60, 120)
    draws: int = 500
    updates: tuple[int, ...] = (1, 60, 600)
    units: int = 16
    seed: int = 0


SMOKE = Config(data=1, sizes=(12,), draws=40, updates=(1,), units=2)


class Found(NamedTuple):
    """What batches show.

    Attributes:
        drawn: the mean of ‖g_B - ∇L‖² over draws, and how far the mean of g_B is off,
            in square.
        trace: tr Σ, of one example.
        square: ‖∇L‖².
        wrong: the relative error of ‖g_B - ∇L‖² from inner products, for one batch.
    """

    drawn: Float[np.ndarray, "*data quantity sampling size unit"]
    trace: Float[np.ndarray, "*data unit"]
    square: Float[np.ndarray, "*data unit"]
    wrong: Float[np.ndarray, "*data size unit"]


class Result(NamedTuple):
    """By data set and time, the first two axes of all that is found.

    Attributes:
        sizes: of batches.
        updates: of trainings.
    """

    found: Found
    sizes: Int[np.ndarray, " size"]
    updates: Int[np.ndarray, " time"]


def study(config: Config, keep: Keep) -> Result:
    """A sweep a data set and a time."""
    batches = [_batches(config, size) for size in config.sizes]
    found = []
    for make, name in zip(WORKLOADS[: config.data], DATA, strict=False):
        for updates in config.updates:
            work = make(train=EXAMPLES, test=1)
            seen = _seen(config, work, f"{name}, {updates}", updates, batches, keep)
            found.append(_found(batches, *seen))
    grid = (config.data, len(config.updates))

    def joined(*rows: np.ndarray) -> np.ndarray:
        return np.array(rows, np.float32).reshape(*grid, *rows[0].shape)

    every = jax.tree.map(joined, *found)
    return Result(every, np.array(config.sizes), np.array(config.updates))


def _seen(
    config: Config,
    work: Workload,
    name: str,
    updates: int,
    batches: list[np.ndarray],
    keep: Keep,
) -> Any:
    """The gradients of all examples of every unit, in the order of their classes; and
    how wrong they are about one batch of each size.
    """

    def loss(params: Params, batch: Batch) -> Any:
        return work.measures["train"](params, Dataset(batch, batch))

    def seen(params: Params, own: Dataset) -> Any:
        order = jnp.argsort(own.train.targets)
        by_class = jax.tree.map(lambda leaf: leaf[order], own.train)
        examples = curvature.example_gradients(loss, params, by_class)
        error = partial(
            curvature.error_of_products, loss, params, by_class, examples.products
        )
        return examples, jnp.stack([error(drawn[0, 0, 0]) for drawn in batches])

    stream = learn.split_anew(work.data, train=EXAMPLES, test=1, size=BATCH)
    probe = learn.evaluating({"seen": seen})
    training = learn.training(
        work.start, work.loss, learn.momentum, stream, steps=updates, probe=probe
    )
    grid = learn.grid(
        learn.Hyper, lr=RATE, seed=randomness.seeds(config.seed, config.units)
    )
    runs = learn.sweep(training, grid, lanes=LANES, name=name, keep=keep)
    return jax.tree.map(lambda leaf: leaf[:, -1], runs.trace.probed["seen"])


def _batches(config: Config, size: int) -> np.ndarray:
    """Of one size, `[unit, sampling, draw, example]`; examples are numbered in the
    order of their classes.
    """
    drawn = []
    for unit in range(config.units):
        draw = partial(
            learn.independent_batches,
            examples=EXAMPLES,
            size=size,
            count=config.draws * LARGEST // size,
            key=randomness.key(config.seed, unit),
        )
        replaced = draw(learn.with_replacement)
        near = (replaced[:, :1] + np.arange(size)) % (EXAMPLES // 2)
        drawn.append([draw(learn.shuffled), replaced, near])
    return np.array(drawn)


def _found(batches: list[np.ndarray], examples: Any, wrong: Array) -> Found:
    """Of all units at one time."""
    products = np.asarray(examples.products)
    drawn = [
        curvature.noise_of_draws(own, each)
        for size in batches
        for own, samplings in zip(products, size, strict=True)
        for each in samplings
    ]
    by_size = np.reshape(drawn, (len(batches), len(products), len(SAMPLINGS), 2))
    trace = np.einsum("uii->u", products) / (EXAMPLES - 1)
    by_quantity = np.einsum("bnsq->qsbn", by_size)
    return Found(by_quantity, trace, np.asarray(examples.square), np.transpose(wrong))


def _law(result: Result, data: int) -> np.ndarray:
    """tr Σ/B, `[time, size, unit]`."""
    return result.found.trace[data][:, None] / result.sizes[:, None]


def _judged(
    role: Any, setting: str, batch: str, law: str, off: np.ndarray, rule: Rule
) -> Assertion:
    """By the largest |mean over units|, 0 where the law holds."""

    def worst(units: np.ndarray) -> float:
        return float(np.max(np.abs(np.mean(units, axis=0))))

    measured = record.bootstrap(worst, off.reshape(-1, off.shape[-1]).T)
    return role(
        "C062",
        f"The gradient of {batch} {law}.",
        measured,
        rule,
        unit="ratio",
        setting=setting,
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: both parts of the claim, their controls, and the instrument."""
    found = []
    for data, name in enumerate(DATA[: len(result.found.trace)]):
        setting = (
            f"batches of 1 to 120 of 240 examples of {name}, dense network with 32 "
            f"ReLUs, after 1 to 600 updates at rate {RATE}, momentum 0.9, batches of "
            "24; tr Σ is the variance of one example's gradient"
        )
        found += _laws(result, data, setting)
    return tuple(found)


def _laws(result: Result, data: int, setting: str) -> tuple[Assertion, ...]:
    """What the claim says of random batches; its controls; and inner products."""
    noise, bias = np.moveaxis(result.found.drawn[data], 1, 0)
    endless = np.moveaxis(noise / _law(result, data)[:, None], 1, 0) - 1
    finite = (endless + 1) / (1 - result.sizes / EXAMPLES)[:, None] - 1
    biased = np.moveaxis(bias / noise, 1, 0)
    mean = (
        "is on average that of all examples: its error, squared, is below a hundredth "
        "of its noise at every size"
    )
    law = "has the noise tr Σ/B, to within a tenth, at every size"
    factor = "has the noise tr Σ/B times 1 - B/N, to within a tenth, at every size"
    same = "is the mean of its examples' gradients, by its distance from that of all"
    no = " (negative control)"
    deciding = partial(_judged, record.deciding, setting)
    supporting = partial(_judged, record.supporting, setting)
    return (
        deciding("a random batch", mean, biased[:NEIGHBOURS], BIAS),
        deciding(REPLACED, law, endless[WITH], LAW),
        deciding(FINITE, factor, finite[WITHOUT], LAW),
        supporting(NEAR, mean + no, biased[NEIGHBOURS], BIAS),
        supporting(NEAR, law + no, endless[NEIGHBOURS], LAW),
        supporting(REPLACED, factor + no, finite[WITH], LAW),
        supporting(FINITE, law + no, endless[WITHOUT], LAW),
        supporting("a random batch", same, result.found.wrong[data], SAME),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Noise over tr Σ/B, and bias over noise; bands hold all units at all times."""
    sizes = result.sizes
    figure, axes = panels(len(result.found.trace), 2)
    for data, (law, off) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
        noise, bias = np.moveaxis(result.found.drawn[data], 1, 0)
        scaled = noise / _law(result, data)[:, None]
        biased = np.abs(bias / noise)
        for sampling, name in enumerate(SAMPLINGS):
            band(law, sizes, np.hstack(scaled[:, sampling]), name, within=1.0)
            band(off, sizes, np.hstack(biased[:, sampling]), name, within=1.0)
        underlaid(law, sizes, 1 - sizes / EXAMPLES, "1 - B/N")
        law.loglog()
        off.loglog()
        label(law, DATA[data], "batch size B", "B tr Cov(g) / tr Σ")
        label(off, DATA[data], "batch size B", "|squared bias| / noise (0.01 matters)")
    shared_legend(figure)
    return {"noise": figure}
