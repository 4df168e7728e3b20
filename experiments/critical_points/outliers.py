"""Do as many eigenvalues of the Hessian stand apart from the bulk as there are classes?

Of a trained classifier's Hessian a few eigenvalues are large and the bulk is near zero.
Their number was reported to be that of the classes, or one less, since softmax does not
see a common shift of all outputs. Here the same network, always with ten outputs, is
trained on the first k = 2, 4, 6, 8 and 10 classes, until a training loss of 0.1 and
then of 0.02 nats, and its 20 highest eigenvalues are taken on the examples that trained
it. The number of outliers is the place of the largest ratio of an eigenvalue to the
next, from 1 to 19 whatever k is, so that a spectrum without a gap gives any number. A
unit is judged by |number - (k - 1)|, the mean over k. If the claim holds it is below a
half, and the number k - 1 is nearer than any other; if the gap is elsewhere, or
nowhere, it is above.

Negative control, which must be above: one of the ten outputs is fitted to the number of
the class by squared error. The pictures and their classes are the same, yet only one
output has a loss. Supporting, to tell what it is that is counted: all ten classes, but
labels of k groups of them, k below 10 (kinds of pictures stay ten); and the labels of
these groups in random order (no picture is like the others of its label), where
training reaches the loss. Also a loss of 0.5 nats, and the untrained network.

Held equal: network, number of examples, optimizer, level of the loss. A unit draws
initial weights, examples, their order and the random labels anew; the first two digits
have only 360 examples, from which units draw 200. Products are in float32 at highest
precision, residuals below 1e-4 of the largest eigenvalue. Rule, levels and margin were
fixed after probes of three or four units of seeds near 77 and 7700, with k outputs in
place of ten, which showed k - 1 on digits, at random labels too, and a less clear gap
on clothing of ten classes at 0.3 nats; three units of seed 77 in this design, where
clothing had no gap at k - 1 from k = 6 on, changed nothing. Not tested: other losses;
large networks and convolution, for which see `large_spectrum`.

Claims: spectrum-1.
Sources: Sagun et al. 2017, arXiv:1706.04454; Papyan 2019, arXiv:1811.07062; Fort and
    Ganguli 2019, arXiv:1910.05929.
Cost: two minutes on 2 cores, compilation included.
Expect: k - 1 on digits; less clear on clothing.
Run: jaxml run outliers
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.record import Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
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
    CLASSES: "The number of outliers of the Hessian",
    GROUPS: "With ten kinds of pictures in k groups the number of outliers",
    SHUFFLED: "With labels in random order the number of outliers",
    CONTROL: "With one output fitted to labels, the control, the number of outliers",
}
OUTPUTS, EXAMPLES = 10, 200
MODEL = problem.mlp((32, OUTPUTS), jax.nn.relu)
BATCH, RATE, EVERY = 50, 3e-3, 10  # of Adam; updates between two looks at the loss
LEVELS = (np.inf, 0.5, 0.1, 0.02)  # of the training loss
NAMES = ("untrained", "a loss of 0.5", "a loss of 0.1", "a loss of 0.02")
DECIDING = (2, 3)
SEEN = 20  # eigenvalues
NEAREST = record.below(0.5)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, the first ones; numbers of classes; units."""

    data: int = len(DATA)
    classes: tuple[int, ...] = (2, 4, 6, 8, 10)
    limit: int = 6000  # updates at most
    basis: int = 64  # of Lanczos' iteration
    units: int = 12
    seed: int = 0


SMOKE = Config(data=1, classes=(2,), limit=300, basis=24, units=2)


class Result(NamedTuple):
    """The highest eigenvalues, descending; nan where a loss was not reached."""

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
    """Examples, and what stands for their classes."""
    labels = np.asarray(batch.targets)
    allowed = classes if kind in (CLASSES, CONTROL) else OUTPUTS
    rows = draw.choice(np.flatnonzero(labels < allowed), EXAMPLES, replace=False)
    taken = labels[rows] % classes
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
        return ends.values[::-1]

    return learn.at_levels(
        learn.stochastic(_loss, adam, own, batch=BATCH, key=key),
        lambda state: _loss(state[0], own),
        highest,
        (params, learn.begin(adam, params)),
        levels=LEVELS,
        every=EVERY,
        limit=config.limit,
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of every kind of labels, at every level of the loss."""
    counts = curvature.outliers(result.eigenvalues)
    found = []
    for data, kind, level in np.ndindex(len(counts), len(KINDS), len(LEVELS)):
        if KINDS[kind] != CLASSES and level not in (1, 2):
            continue
        decides = KINDS[kind] == CLASSES and level in DECIDING
        assertion = record.deciding if decides else record.supporting
        misses = _misses(result, counts[data, kind, ..., level], KINDS[kind])
        found.append(
            assertion(
                "spectrum-1",
                f"{STATEMENTS[KINDS[kind]]} is the number of labels minus one, nearer "
                "than half an eigenvalue on average.",
                record.bootstrap(np.mean, misses[np.isfinite(misses)]),
                NEAREST,
                unit="count",
                setting=f"{list(DATA)[data]}, {KINDS[kind]}, k from 2 to 10, "
                f"{EXAMPLES} examples, dense network of 32 hidden ReLUs and ten "
                f"outputs, Adam, {NAMES[level]}",
            )
        )
    return tuple(found)


def _misses(result: Result, counts: np.ndarray, kind: str) -> np.ndarray:
    """|number - (k - 1)| of each unit, the mean over k; ten groups are no groups."""
    used = (kind != GROUPS) | (result.classes < OUTPUTS)
    expected = result.classes[used, None] - 1
    return np.mean(np.abs(counts[used] - expected), axis=0)


def figures(result: Result) -> dict[str, Figure]:
    """Numbers by kind of labels, and in training; the spectra behind them."""
    counts = curvature.outliers(result.eigenvalues)
    decided, data = DECIDING[0], len(counts)
    kinds = np.moveaxis(counts[..., decided], 1, 0)
    levels = np.moveaxis(counts[:, KINDS.index(CLASSES)], -1, 0)
    spectra, axes = panels(1, data, width=5.0, height=3.6)
    for name, axis, each in zip(DATA, axes, result.eigenvalues, strict=False):
        values = each[KINDS.index(CLASSES), :, :, decided]
        for classes, units in zip(result.classes, values, strict=True):
            ended = units[np.isfinite(units[:, 0])]
            if len(ended):
                scaled = np.maximum(ended / ended[:, :1], 1e-5)
                band(axis, np.arange(1, SEEN + 1), scaled.T, f"k = {classes}")
        axis.set_yscale("log")
        title = f"{name}, {NAMES[decided]}"
        label(axis, title, "place of the eigenvalue", "eigenvalue over the largest")
    shared_legend(spectra, columns=5)
    return {
        "outliers": _counted(result, KINDS, kinds),
        "training": _counted(result, NAMES, levels),
        "spectra": spectra,
    }


def _counted(result: Result, names: tuple[str, ...], counts: np.ndarray) -> Figure:
    """A point a unit, and the claim's line, `[name, data, classes, unit]`."""
    _, data, _, units = counts.shape
    figure, axes = panels(data, len(names), width=3.4, height=3.2)
    places = result.classes[:, None] + np.linspace(-0.5, 0.5, units)
    for axis, (row, column) in zip(axes, np.ndindex(data, len(names)), strict=True):
        axis.scatter(places, counts[column, row], s=14, c="#5588bb", label="a unit")
        axis.plot(result.classes, result.classes - 1, "k-", marker="", label="k - 1")
        axis.set_ylim(0, SEEN)
        title = f"{list(DATA)[row]}: {names[column]}"
        label(axis, title, "number of labels k", "outliers")
    shared_legend(figure)
    return figure
