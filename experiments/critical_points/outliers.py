"""Do as many eigenvalues of the Hessian stand apart from the bulk as there are classes?

Of a trained classifier's Hessian a few eigenvalues are large and the bulk is near zero.
Their number was reported to be about that of the classes, or one less, since softmax
does not see a common shift of all outputs. Here the same network, always with ten
outputs, is trained on k = 2, 4, 6, 8 and 10 classes, until a training loss of 0.1 and
then of 0.02 nats, and its 20 highest eigenvalues are taken on the examples that trained
it. The number of outliers is the place of the largest ratio of an eigenvalue to the
next, from 1 to 19 whatever k is, so that a spectrum without a gap gives any number. A
unit is judged by the fraction of its five spectra whose number is k - 1. If the claim
holds it is above a half; if the gap is elsewhere, or nowhere, it is below: by chance
1/19, and 1/5 where one eigenvalue stands apart whatever k is. The margin of 0.1 is half
a spectrum of the five.

A second instrument looks for no gap: the logarithm of the ratio at place k - 1 with k
classes, minus its mean over all numbers of classes at that place, the mean over k. It
is zero, whatever the spectrum's shape, if this does not depend on k.

Negative control, of which both must fail: one of the ten outputs is fitted to the
number of the class by squared error. The pictures and their classes are the same, yet
only one output has a loss. Supporting, to tell what it is that is counted: all ten
classes, but labels of k groups of them, k below 10 (kinds of pictures stay ten); and
the labels of these groups in random order (no picture is like the others of its label),
where training reaches the loss. Also k in place of k - 1; figures show a loss of 0.5
nats and the untrained network.

Held equal: network, number of examples (so that those of a class are fewer where k is
larger), optimizer, level of the loss. A unit draws which classes, or groups, initial
weights, examples, their order and the random labels anew; its examples are 200 of one
pool of 1,797 digits, or 60,000 pictures of clothing. It counts if the loss was reached
and Lanczos' iteration converged, residuals below 1e-4 of the largest eigenvalue, at
every k. Products are in float32 at highest precision.

Rule and levels were fixed after probes of three or four units of seeds near 77 and
7700, with k outputs in place of ten, which showed k - 1 on digits, at random labels
too, and a less clear gap on clothing of ten classes at 0.3 nats; three units of seed 77
in this design, where clothing had no gap at k - 1 from k = 6 on, changed nothing. A
review before any full run replaced the mean of |number - (k - 1)|, which one stray gap
in five spectra carries past its threshold, by the fraction, drew classes anew in place
of the first k, and added the second instrument; one unit of seed 5103, seen then,
changed nothing. Units became 16 from 12 after the first run, of which 9 counted on
clothing at 0.02 nats, fewer than the ten that a verdict needs. Not tested: other
losses; large networks and convolution, for which see `large_spectrum`.

Claims: spectrum-1.
Sources: Sagun et al. 2017, arXiv:1706.04454; Papyan 2019, arXiv:1811.07062; Fort and
    Ganguli 2019, arXiv:1910.05929.
Cost: 30 seconds on 2 cores, compilation included.
Expect: k - 1 on digits; less clear on clothing.
Run: jaxml run outliers
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Params

DATA: dict[str, Callable[[], Batch]] = {
    "8x8 digits": problem.digits,
    "clothing of 7x7 pixels": partial(problem.small_clothing, 60_000),
}
CLASSES, GROUPS, SHUFFLED, CONTROL = KINDS = (
    "k classes",
    "ten classes in k groups",
    "ten classes in k groups, labels in random order",
    "k classes, one output fitted to their number",
)
STATEMENTS = {
    CLASSES: "of the Hessian",
    GROUPS: "of the Hessian, with ten kinds of pictures in k groups,",
    SHUFFLED: "of the Hessian, with labels in random order,",
    CONTROL: "of the Hessian, with one output fitted to labels, the control,",
}
FEWER = (
    "The widest gap among the 20 highest eigenvalues {} leaves k - 1 above it, one "
    "less than there are labels, for most numbers of labels k."
)
AS_MANY = (
    "The widest gap among the 20 highest eigenvalues {} leaves k above it, as many as "
    "there are labels, for most numbers of labels k."
)
WIDENS = (
    "The ratio of the eigenvalue at place k - 1 to the next {} is larger with k labels "
    "than on average over numbers of labels."
)
OUTPUTS, EXAMPLES = 10, 200
MODEL = problem.mlp((32, OUTPUTS), jax.nn.relu)
BATCH, RATE, EVERY = 50, 3e-3, 10  # of Adam; updates between two looks at the loss
LEVELS = (np.inf, 0.5, 0.1, 0.02)  # of the training loss
NAMES = ("untrained", "a loss of 0.5", "a loss of 0.1", "a loss of 0.02")
DECIDING = (2, 3)
SEEN = 20  # eigenvalues
ROUNDING = 1e-5  # of the largest eigenvalue
MOST = record.above(0.5, margin=0.1, reason="half a spectrum of a unit's five")
WIDER = record.above(
    0.0, margin=float(np.log(1.25)), reason="a quarter: less is no gap in a plot"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, the first ones; numbers of classes; units."""

    data: int = len(DATA)
    classes: tuple[int, ...] = (2, 4, 6, 8, 10)
    limit: int = 6000  # updates at most
    basis: int = 48  # of Lanczos' iteration
    units: int = 16
    seed: int = 0


SMOKE = Config(data=1, classes=(2, 3), limit=20, basis=40, units=1)


class Result(NamedTuple):
    """The highest eigenvalues, descending; nan where a loss was not reached, or the
    iteration did not converge.
    """

    eigenvalues: Float[np.ndarray, "data kind classes unit level eigenvalue"]
    classes: Int[np.ndarray, " classes"]


class Own(NamedTuple):
    """Examples of a run: pictures, labels, the same as numbers of mean 0 and variance
    1, and whether one output is fitted to these.
    """

    inputs: Array
    labels: Array
    values: Array
    control: Array


def study(config: Config, keep: Keep) -> Result:
    """One program a data set."""
    found = [
        keep(name, partial(_spectra, config, data()))
        for name, data in list(DATA.items())[: config.data]
    ]
    return Result(np.stack(found), np.array(config.classes))


def _spectra(config: Config, batch: Batch) -> np.ndarray:
    """Of every kind, number of classes and unit."""
    draw = np.random.default_rng(config.seed)
    shape = (len(KINDS), len(config.classes), config.units)
    own = [
        _drawn(draw, batch, KINDS[kind], config.classes[place])
        for kind, place, _ in np.ndindex(*shape)
    ]
    keys = jax.random.split(randomness.key(config.seed), len(own))
    runs = jax.tree.map(lambda *rows: np.stack(rows), *own), keys
    found = curvature.mapped(partial(_run, config), (), runs, None)
    return np.reshape(found, (*shape, len(LEVELS), SEEN))


def _drawn(draw: np.random.Generator, batch: Batch, kind: str, classes: int) -> Own:
    """Examples of classes or groups drawn anew, and what stands for these."""
    labels = np.asarray(batch.targets)
    order = draw.permutation(OUTPUTS)
    place = np.argsort(order)[labels]
    allowed = classes if kind in (CLASSES, CONTROL) else OUTPUTS
    rows = draw.choice(np.flatnonzero(place < allowed), EXAMPLES, replace=False)
    taken = place[rows] % classes
    if kind == SHUFFLED:
        taken = draw.permutation(taken)
    values = ((taken - np.mean(taken)) / np.std(taken)).astype(np.float32)
    control = np.full(EXAMPLES, kind == CONTROL)
    inputs = np.asarray(batch.inputs)[rows]
    return Own(inputs, taken.astype(np.int32), values, control)


def _loss(params: Params, own: Own) -> jax.Array:
    """Cross-entropy of all outputs, or the squared error of the first."""
    logits, _ = MODEL.apply(params, {}, own.inputs, train=False, key=None)
    squares = jnp.square(logits[:, 0] - own.values)
    entropy = problem.cross_entropy(logits, own.labels)
    return jnp.mean(jnp.where(own.control, squares, entropy))


def _run(config: Config, run: tuple[Own, Key], _: None) -> jax.Array:
    """The highest eigenvalues wherever the loss is first at a level."""
    own, key = run
    params, _ = problem.start(MODEL, own.inputs)(key)
    flat, unravel = tree.ravel(params)
    adam = learn.adam(learn.Hyper(lr=jnp.float32(RATE)))

    def highest(state: tuple[Params, object]) -> Array:
        ends = curvature.ends(
            curvature.hessian_product(_loss, state[0], own),
            unravel(jax.random.normal(key, flat.shape, flat.dtype)),
            lowest=0,
            highest=SEEN,
            basis=config.basis,
            tolerance=1e-4,
        )
        return jnp.where(ends.converged, ends.values[::-1], jnp.nan)

    return learn.at_levels(
        learn.stochastic(_loss, adam, own, batch=BATCH, key=key),
        lambda state: _loss(state[0], own),
        highest,
        (params, learn.begin(adam, params)),
        levels=LEVELS,
        every=EVERY,
        limit=config.limit,
    )


SETTING = (
    f"k from 2 to 10, {EXAMPLES} examples, dense network of 32 hidden ReLUs and ten "
    "outputs, Adam"
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of every kind of labels, at both losses of trained networks."""
    found = []
    sets = range(len(result.eigenvalues))
    for data, kind, level in product(sets, KINDS, DECIDING):
        values = result.eigenvalues[data, KINDS.index(kind), :, :, level]
        for statement, units, rule, unit in (
            (FEWER, _hits(result, values, kind, 1), MOST, "fraction"),
            (AS_MANY, _hits(result, values, kind, 0), MOST, "fraction"),
            (WIDENS, _shifts(result, values, kind), WIDER, "log ratio"),
        ):
            decides = kind == CLASSES and statement == FEWER
            found.append(
                (record.deciding if decides else record.supporting)(
                    "spectrum-1",
                    statement.format(STATEMENTS[kind]),
                    record.bootstrap(np.mean, units),
                    rule,
                    unit=unit,
                    setting=f"{list(DATA)[data]}, {kind}, {SETTING}, {NAMES[level]}",
                )
            )
    return tuple(found)


def _hits(result: Result, values: np.ndarray, kind: str, fewer: int) -> np.ndarray:
    """The fraction of a unit's spectra, `[classes, unit, eigenvalue]`, whose number of
    outliers is that of labels minus `fewer`.
    """
    used = (kind != GROUPS) | (result.classes < OUTPUTS)
    numbers = curvature.outliers(values[used])
    hits = np.mean(numbers == result.classes[used, None] - fewer, axis=0)
    return hits[np.all(np.isfinite(numbers), axis=0)]


def _shifts(result: Result, values: np.ndarray, kind: str) -> np.ndarray:
    """log λ₍ₖ₋₁₎/λ₍ₖ₎ with k labels minus its mean over k at this place, averaged."""
    used = (kind != GROUPS) | (result.classes < OUTPUTS)
    logs = np.log(np.maximum(values, ROUNDING * values[..., :1]))[used]
    places = -np.diff(logs)[..., result.classes[used] - 2]
    own = np.mean(np.diagonal(places, axis1=0, axis2=2), axis=1)
    shifts = own - np.mean(places, axis=(0, 2))
    return shifts[np.isfinite(shifts)]


def figures(result: Result) -> dict[str, Figure]:
    """Numbers by kind of labels, and in training."""
    counts = curvature.outliers(result.eigenvalues)
    return {
        "outliers": _counted(result, KINDS, counts[..., DECIDING[0]]),
        "training": _counted(result, NAMES, np.moveaxis(counts[:, 0], -1, 1)),
    }


def _counted(result: Result, names: tuple[str, ...], counts: np.ndarray) -> Figure:
    """A point a unit, and the claim's line, `[data, name, classes, unit]`."""
    figure, axes = panels(len(counts), len(names), width=3.4, height=3.2)
    places = result.classes[:, None] + np.linspace(-0.5, 0.5, counts.shape[-1])
    for axis, (row, column) in zip(axes, np.ndindex(counts.shape[:2]), strict=True):
        axis.scatter(places, counts[row, column], s=14, c="#5588bb", label="a unit")
        axis.plot(result.classes, result.classes - 1, "k-", marker="", label="k - 1")
        title = f"{list(DATA)[row]}: {names[column]}"
        label(axis, title, "number of labels k", "outliers")
    shared_legend(figure)
    return figure
