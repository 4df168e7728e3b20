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
  law, by the mean of its logarithm over networks.

Both are judged where they are worst. They fail where batches are not drawn from all
examples at random. Controls: neighbours in examples sorted by class, from the first
half of them, must be biased and break the law 1/B; and batches without replacement must
break the law without its factor.

A unit draws its weights, its examples and their order anew; digits overlap between
units. How noisy that makes a batch, `noise_ratio` asks.

Not tested: whether noise helps or harms (`stuck_batches`), and its shape. Margins and
sizes were fixed after a run of four units at seed 7.

Claims: C062.
Sources: Cochran 1977, Sampling Techniques, section 2.6 (the factor).
Cost: under a minute on 2 cores.
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
from jaxml.curvature import ExampleGradients
from jaxml.record import Assertion, Interval, Rule
from jaxml.record.comparisons import underlaid
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Batch, Dataset, Keep, Params, Workload

DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
SAMPLINGS = ("without replacement", "with replacement", "neighbours of half")
NEIGHBOURS = len(SAMPLINGS) - 1
EXAMPLES, BATCH, LARGEST = 240, 24, 120
BIAS = record.near(0.0, margin=0.01, reason="a tenth of the noise's deviation")
LAW = record.near(0.0, margin=0.1, reason="a tenth more noise is no other noise")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes, batches of 120 and of as many examples, updates, and units."""

    data: int = len(DATA)
    sizes: tuple[int, ...] = (1, 2, 5, 12, 30, 60, 120)
    draws: int = 1000
    updates: tuple[int, ...] = (1, 60, 600)
    units: int = 16
    lanes: int = 8
    seed: int = 0


SMOKE = Config(data=1, sizes=(12, 120), draws=40, updates=(1,), units=2)


class Found(NamedTuple):
    """What batches show.

    Attributes:
        drawn: the mean of ‖g_B - ∇L‖² over draws, and how far the mean of g_B is off,
            in square.
        trace: tr Σ, of one example.
        square: ‖∇L‖².
    """

    drawn: Float[np.ndarray, "*data quantity sampling size unit"]
    trace: Float[np.ndarray, "*data unit"]
    square: Float[np.ndarray, "*data unit"]


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
            seen = _seen(config, make(train=EXAMPLES, test=1), name, updates, keep)
            found.append(_found(batches, seen))
    grid = (config.data, len(config.updates))
    rows = Found(*(np.array(rows, np.float32) for rows in zip(*found, strict=True)))
    return Result(
        found=Found(*(row.reshape(*grid, *row.shape[1:]) for row in rows)),
        sizes=np.array(config.sizes),
        updates=np.array(config.updates),
    )


def _seen(
    config: Config, work: Workload, name: str, updates: int, keep: Keep
) -> ExampleGradients:
    """The gradients of all examples of every unit, in the order of their classes."""

    def loss(params: Params, batch: Batch) -> Any:
        return work.measures["train"](params, Dataset(batch, batch))

    def seen(params: Params, own: Dataset) -> ExampleGradients:
        order = jnp.argsort(own.train.targets)
        by_class = jax.tree.map(lambda leaf: leaf[order], own.train)
        return curvature.example_gradients(loss, params, by_class)

    batches = learn.split_anew(work.data, train=EXAMPLES, test=1, size=BATCH)
    probe = learn.evaluating({"seen": seen})
    training = learn.training(
        work.start, work.loss, learn.momentum, batches, steps=updates, probe=probe
    )
    seeds = randomness.seeds(config.seed, config.units)
    grid = learn.grid(learn.Hyper, lr=0.02, seed=seeds)
    runs = learn.sweep(
        training, grid, lanes=config.lanes, name=f"{name}, {updates}", keep=keep
    )
    return jax.tree.map(lambda leaf: leaf[:, -1], runs.trace.probed["seen"])


def _batches(
    config: Config, size: int
) -> Int[np.ndarray, "unit sampling draw example"]:
    """Of one size; examples are numbered in the order of their classes."""
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


def _found(batches: list[np.ndarray], seen: ExampleGradients) -> Found:
    """Of all units at one time."""
    products = np.asarray(seen.products)
    drawn = [
        curvature.noise_of_draws(products[unit], each)
        for size in batches
        for unit, samplings in enumerate(size)
        for each in samplings
    ]
    shape = (len(batches), len(products), len(SAMPLINGS), 2)
    by_quantity = np.moveaxis(np.array(drawn).reshape(shape), (3, 2), (0, 1))
    trace = np.trace(products, axis1=1, axis2=2) / (EXAMPLES - 1)
    return Found(by_quantity, trace, np.asarray(seen.square))


def _at_worst(values: Float[np.ndarray, "... unit"]) -> Interval:
    """The largest |mean over units|."""

    def worst(units: np.ndarray) -> float:
        return float(np.max(np.abs(np.mean(units, axis=0))))

    return record.bootstrap(worst, values.reshape(-1, values.shape[-1]).T)


def _law(result: Result, data: int, total: int | None) -> np.ndarray:
    """tr Cov(g_B), `[time, size, unit]`."""
    trace = result.found.trace[data]
    sizes = [
        curvature.batch_covariance_trace(trace, int(size), total=total)
        for size in result.sizes
    ]
    return np.stack(sizes, axis=1)


class Judged(NamedTuple):
    """What is compared with a law: `[..., unit]`, 0 where it holds."""

    statement: str
    off: np.ndarray
    rule: Rule


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: both parts of the claim, their controls, and what follows."""
    found: list[Assertion] = []
    for data in range(len(result.found.trace)):
        setting = (
            f"240 examples of {DATA[data]}, dense network with 32 ReLUs, SGD with "
            "momentum, batches of 1 to 120"
        )
        claims = (*3 * [record.deciding], *3 * [record.supporting])
        for asserted, law in zip(claims, _laws(result, data), strict=True):
            unit = "ratio" if law.rule == BIAS else "log ratio"
            measured = _at_worst(law.off)
            found.append(
                asserted(
                    "C062",
                    law.statement,
                    measured,
                    law.rule,
                    unit=unit,
                    setting=setting,
                )
            )
    return tuple(found)


def _laws(result: Result, data: int) -> tuple[Judged, ...]:
    """What the claim says of random batches; and its controls."""
    noise, bias = np.moveaxis(result.found.drawn[data], 1, 0)
    without, replaced, near = np.moveaxis(np.log(noise), 1, 0)
    biased = bias / noise
    endless, finite = (np.log(_law(result, data, total)) for total in (None, EXAMPLES))
    batch = "The gradient of a random batch"
    neighbours = "The gradient of neighbours in half of the examples, sorted by class,"
    control = "(negative control)."
    mean = (
        "is on average that of all examples: its error, squared, is below a hundredth "
        "of its noise at every size"
    )
    law = "has the noise tr Σ/B, to within a tenth, at every size"
    factor = "has the noise tr Σ/B times 1 - B/N, to within a tenth, at every size"
    return (
        Judged(f"{batch} {mean}.", biased[:, :NEIGHBOURS], BIAS),
        Judged(f"{batch} with replacement {law}.", replaced - endless, LAW),
        Judged(f"{batch} without replacement {factor}.", without - finite, LAW),
        Judged(f"{neighbours} {mean} {control}", biased[:, NEIGHBOURS], BIAS),
        Judged(f"{batch} without replacement {law} {control}", without - endless, LAW),
        Judged(f"{neighbours} {factor} {control}", near - finite, LAW),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Noise over tr Σ/B, and bias over noise; bands hold all units at all times."""
    figure, axes = panels(len(result.found.trace), 2)
    sizes = result.sizes
    for data, (law, off) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
        noise, bias = np.moveaxis(result.found.drawn[data], 1, 0)
        scaled = noise / _law(result, data, None)[:, None]
        for sampling, name in enumerate(SAMPLINGS):
            band(law, sizes, np.hstack(scaled[:, sampling]), name, within=1.0)
            biased = np.abs(bias / noise)[:, sampling]
            band(off, sizes, np.hstack(biased), name, within=1.0)
        underlaid(law, sizes, 1 - sizes / EXAMPLES, "1 - B/N")
        law.axhline(1.0, color="0.4")
        law.loglog()
        off.loglog()
        label(law, DATA[data], "batch size B", "B tr Cov(g) / tr Σ")
        label(off, DATA[data], "batch size B", "|squared bias| / noise (0.01 matters)")
    shared_legend(figure)
    return {"noise": figure}
