"""Are more neurons always better, trained to the end or stopped early?

The notes say that in theory more neurons are always better and only hardware sets a
limit. Here the neurons are ReLUs of one hidden layer, and every weight is trained: by
Adam at rate 0.003 on the squared error of 200 pictures, a fifth of whose labels are
drawn anew. Held-out pictures with clean labels judge. "Always" speaks of every two
widths, so the largest rise of the mean log error from a width to any wider one is
judged. If no number of neurons does harm, it is 0 or less; if networks that just fit
all labels fit them badly, or wide ones learn the wrong labels by heart, it is more.

Two ends of one training are judged: the last, after 2,000 updates, and the best of
every 50th, chosen on 500 other pictures anew for each width and unit. The second is
the control, which holds the width apart from the fit: were it the width that does
harm, networks that are stopped would show it as well. Both decide, for "always" speaks
of both. The rate is the same for all widths; it hardly matters to the second end, and
the first is asked when 64 neurons have fitted the examples to 2 % of their error, wrong
labels and all. The training error, which in theory cannot rise, is supporting.

A rise of a squared error of 5 % is the least that would change a choice of width, and
nobody tells it from 4 or 6 %. A unit draws pictures, labels and initial weights anew.
Four units of the seed 77, of 8, 64 and 128 neurons, had rises of 0.2 and 0.6 at the
end, and of -0.03 and 0.01 when stopped, with deviations of 0.1 and 0.04, so that 20
leave half-widths of 0.07 and 0.03.

Not tested: several hidden layers, classification losses, penalties, more data.

Claims: C028.
Sources: Belkin et al. 2019, arXiv:1812.11118; Nakkiran et al. 2021, arXiv:2003.01897.
Cost: 16 seconds on 2 cores, compilation included.
Expect: worse at the end of training where labels are just fitted, never when stopped.
Run: jaxml run trained_widths
"""

from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Params

DATA = ("8x8 digits", "clothing of 7x7 pixels")
EXAMPLES, OTHERS, CLASSES = 200, 500, 10
NOISE = 0.2  # the fraction of labels that are drawn anew
RATE, EVERY = 0.003, 50
PARTS = ("examples", "held-out pictures", "other pictures")
TRAIN, HELD_OUT, OTHER = range(len(PARTS))
ENDS = ("after the last update", "stopped at the best of every 50th update")
LAST, BEST = range(len(ENDS))
FITTED = 1e-4  # of an error of 0.09 at the start; below it labels are fitted
NEVER_WORSE = record.below(
    np.log(1.05), margin=0.01, reason="nobody tells a rise of 5 % from one of 4 or 6 %"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Widths, units, updates, and pictures of clothing; the first data sets."""

    widths: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    units: int = 20
    steps: int = 2000
    pool: int = 10_000
    data: int = len(DATA)
    lanes: int = 10
    seed: int = 0


SMOKE = Config(widths=(4, 16), units=2, steps=100, data=1, lanes=2)


class Result(NamedTuple):
    """Squared errors.

    Attributes:
        errors: means over pictures and classes, of PARTS, at every 50th update.
        widths: hidden units.
    """

    errors: Float[np.ndarray, "data width unit time part"]
    widths: Int[np.ndarray, " width"]


class Unit(NamedTuple):
    """Pictures and targets of PARTS, one after the other, and a seed of the weights."""

    inputs: Any
    targets: Any
    seed: Any


def study(config: Config, keep: Keep) -> Result:
    """One program a width and data set, in float32."""
    sets = [problem.digits()]
    if config.data > 1:
        sets.append(problem.small_clothing(config.pool))
    seeds = randomness.seeds(config.seed, config.units)
    errors = []
    for name, data in zip(DATA, sets, strict=False):
        units = Unit(*map(np.stack, zip(*(_unit(data, s) for s in seeds), strict=True)))
        of_width = [
            keep(f"{name}, {width}", partial(_trained, config, width, units))
            for width in config.widths
        ]
        errors.append(np.stack(of_width))
    return Result(np.stack(errors), np.array(config.widths))


def _unit(data: Batch, seed: int) -> Unit:
    draws = np.random.default_rng(seed)
    chosen = draws.permutation(len(data.targets))[: EXAMPLES + 2 * OTHERS]
    pixels = np.asarray(data.inputs, np.float32)[chosen]
    labels = np.asarray(data.targets)[chosen]
    noisy = np.flatnonzero(draws.uniform(size=EXAMPLES) < NOISE)
    labels[noisy] = draws.integers(CLASSES, size=len(noisy))
    centred = pixels - pixels[:EXAMPLES].mean(axis=0)
    targets = np.eye(CLASSES, dtype=np.float32)[labels]
    return Unit(centred, targets - np.float32(1 / CLASSES), np.int32(seed))


def _trained(
    config: Config, width: int, units: Unit
) -> Float[np.ndarray, "unit time part"]:
    def of_chunk(chunk: Unit, shared: tuple[()]) -> jax.Array:
        del shared
        return jax.vmap(partial(_errors, width, config.steps // EVERY))(chunk)

    first = parallel.rows(units, np.arange(config.lanes))
    chunks = len(units.seed) // config.lanes
    program = parallel.compiled(of_chunk, first, (), chunks=chunks)
    return parallel.gathered(program, units, ())


def _errors(width: int, times: int, unit: Unit) -> Float[jax.Array, "time part"]:
    """Of one training, after every EVERY updates."""
    model = problem.mlp((width, CLASSES), jax.nn.relu)
    params, _ = model.init(jax.random.key(unit.seed), unit.inputs[:1])
    adam = learn.adam(learn.Hyper(lr=jnp.float32(RATE)))

    def squares(params: Params, rows: slice) -> jax.Array:
        outputs, _ = model.apply(params, {}, unit.inputs[rows], train=False, key=None)
        return jnp.square(outputs - unit.targets[rows])

    def loss(params: Params) -> Array:
        return jnp.mean(squares(params, slice(EXAMPLES)))

    def one(carry: tuple, _: None) -> tuple[tuple, None]:
        params, state = carry
        return learn.update(adam, jax.grad(loss)(params), state, params), None

    def stretch(carry: tuple, _: None) -> tuple[tuple, jax.Array]:
        carry, _ = jax.lax.scan(one, carry, length=EVERY)
        each = squares(carry[0], slice(None)).mean(axis=1)
        parts = jnp.split(each, [EXAMPLES, EXAMPLES + OTHERS])
        return carry, jnp.stack([jnp.mean(part) for part in parts])

    start = (params, learn.begin(adam, params))
    _, errors = jax.lax.scan(stretch, start, length=times)
    return errors


def _ends(errors: np.ndarray) -> Float[np.ndarray, "end width unit"]:
    """Held-out errors of one data set at both ENDS."""
    best = errors[..., OTHER].argmin(axis=-1)[..., None]
    stopped = np.take_along_axis(errors[..., HELD_OUT], best, axis=-1)[..., 0]
    return np.stack([errors[..., -1, HELD_OUT], stopped])


def _largest_rise(logs: Float[np.ndarray, "unit width"]) -> float:
    """Of the mean over units, from a width to any wider one."""
    means = logs.mean(axis=0, dtype=np.float64)
    return float(max(wide - narrow for narrow, wide in combinations(means, 2)))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Largest rises of mean log errors, from any width to any wider one."""
    widths = ", ".join(str(width) for width in result.widths)
    steps = EVERY * result.errors.shape[3]
    found: list[Assertion] = []
    for data, errors in enumerate(result.errors):
        setting = (
            f"{DATA[data]}, {EXAMPLES} examples with {NOISE:.0%} of labels drawn anew, "
            f"one hidden layer of {widths} ReLUs, Adam at rate {RATE:g}, {steps:,} "
            "updates of all examples"
        )
        found += _of_data(errors, setting)
    return tuple(found)


def _of_data(errors: np.ndarray, setting: str) -> list[Assertion]:
    measured = partial(record.bootstrap, _largest_rise)
    found = [
        record.deciding(
            "C028",
            "No network has a squared error on held-out pictures more than 5 % above "
            "that of one with fewer neurons: largest rise of the mean log error.",
            measured(np.log(of_end).T),
            NEVER_WORSE,
            unit="log ratio",
            setting=f"{setting}, {name}",
        )
        for name, of_end in zip(ENDS, _ends(errors), strict=True)
    ]
    examples = record.supporting(
        "C028",
        "No network has a squared error on its own examples more than 5 % above that "
        "of one with fewer neurons: largest rise of the mean log error above 1e-4.",
        measured(np.log(np.maximum(errors[..., -1, TRAIN], FITTED)).T),
        NEVER_WORSE,
        unit="log ratio",
        setting=f"{setting}, {ENDS[LAST]}",
    )
    return [*found, examples]


def figures(result: Result) -> dict[str, Figure]:
    """Errors by width, a band of units each."""
    figure, axes = panels(1, len(result.errors), width=5.4, height=4.0)
    for axis, name, errors in zip(axes, DATA, result.errors, strict=False):
        for end, values in zip(ENDS, _ends(errors), strict=True):
            band(axis, result.widths, values, f"held-out pictures, {end}")
        fitted = errors[..., -1, TRAIN]
        band(axis, result.widths, fitted, f"examples, {ENDS[LAST]}")
        axis.set(xscale="log", yscale="log")
        label(axis, name, "neurons", "squared error")
    shared_legend(figure)
    return {"widths": figure}
