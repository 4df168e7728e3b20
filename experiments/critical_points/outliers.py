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
these groups in random order (no picture is like the others of its label). Also the
loss of 0.5 nats, and the untrained network.

Held equal: network, number of examples, optimizer, level of the loss. A unit draws
initial weights, examples, their order and the random labels anew; the first two digits
have only 360 examples, from which units draw 200. Products are in float32 at highest
precision, residuals below 1e-4 of the largest eigenvalue. Rule, levels and margin were
fixed after probes of three or four units of seed 77, with k outputs in place of ten,
which showed k - 1 on digits, and a less clear gap on clothing of ten classes at 0.3
nats. Not tested: other losses, the bulk's shape, large networks, for which see
`layer_spectra`.

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
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Params

CLAIMS = {
    "spectrum-1": {
        "topic": "critical points",
        "kind": "empirical",
        "claim": "After training, as many eigenvalues of a classifier's Hessian stand "
        "apart from the bulk near zero as there are classes minus one.",
        "where": "Sagun et al. 2017, arXiv:1706.04454; Papyan 2019, arXiv:1811.07062",
        "measure": "The place of the largest ratio of consecutive eigenvalues against "
        "the number of classes.",
        "caveat": "The papers say about as many as classes; softmax leaves out one.",
    }
}
DATA: dict[str, Callable[[], Batch]] = {
    "8x8 digits": problem.digits,
    "clothing of 7x7 pixels": partial(problem.small_clothing, 60_000),
}
KINDS = (
    "k classes",
    "ten classes in k groups",
    "ten classes in k groups, labels in random order",
    "one output fitted to the number of the class",
)
CLASSES, GROUPS, SHUFFLED, CONTROL = range(len(KINDS))
OUTPUTS, WIDTH, EXAMPLES, BATCH = 10, 32, 200, 50
RATE, EVERY = 3e-3, 10  # of Adam, and its updates between two looks at the loss
LEVELS = (np.inf, 0.5, 0.1, 0.02)  # of the training loss; the first is untrained
TRAINED = (2, 3)  # levels that decide
SEEN = 20  # eigenvalues
ROUNDING = 1e-5  # of the largest eigenvalue; ratios of smaller ones are noise
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


SMOKE = Config(data=1, classes=(2,), limit=400, basis=24, units=2)


class Result(NamedTuple):
    """Nan where a loss was not reached.

    Attributes:
        eigenvalues: the highest, descending.
        classes: k.
        weights: of the network, by data set.
    """

    eigenvalues: Float[np.ndarray, "data kind classes unit level eigenvalue"]
    classes: Int[np.ndarray, " classes"]
    weights: Int[np.ndarray, " data"]


class Own(NamedTuple):
    """Examples of a run.

    Attributes:
        inputs: pictures.
        labels: the class of each.
        values: the same as numbers of mean 0 and variance 1 over the classes.
        control: whether one output is fitted to the values.
    """

    inputs: Array
    labels: Array
    values: Array
    control: Array


def study(config: Config, keep: Keep) -> Result:
    """One program a data set."""
    found, weights = [], []
    for name, data in list(DATA.items())[: config.data]:
        batch = data()
        shapes = jax.eval_shape(_start(batch), randomness.key(config.seed))
        weights.append(tree.size(shapes))
        found.append(keep(name, partial(_spectra, config, batch)))
    return Result(np.stack(found), np.array(config.classes), np.array(weights))


def _start(batch: Batch) -> Callable[[Key], Params]:
    begin = problem.start(_model(), batch.inputs[:1])
    return lambda key: begin(key)[0]


def _model() -> Any:
    return problem.mlp((WIDTH, OUTPUTS), jax.nn.relu)


def _spectra(config: Config, batch: Batch) -> np.ndarray:
    """Of every kind, number of classes and unit."""
    count = len(KINDS) * len(config.classes) * config.units
    draw = np.random.default_rng(config.seed)
    own = [
        _drawn(draw, batch, kind, classes)
        for kind in range(len(KINDS))
        for classes in config.classes
        for _ in range(config.units)
    ]
    keys = jax.random.split(randomness.key(config.seed), count)
    runs = jax.tree.map(lambda *rows: np.stack(rows), *own), keys
    one = partial(_run, config, _start(batch))
    found = np.asarray(curvature.mapped(one, (), runs, None))
    shape = (len(KINDS), len(config.classes), config.units)
    return found.reshape(*shape, *found.shape[1:])


def _drawn(draw: np.random.Generator, batch: Batch, kind: int, classes: int) -> Own:
    """Examples, and what stands for their classes."""
    labels = np.asarray(batch.targets)
    among = np.arange(len(labels))
    if kind in (CLASSES, CONTROL):
        among = np.flatnonzero(labels < classes)
    rows = draw.choice(among, EXAMPLES, replace=False)
    taken = labels[rows] % classes
    if kind == SHUFFLED:
        taken = draw.permutation(taken)
    middle, spread = (classes - 1) / 2, np.std(np.arange(classes))
    values = ((taken - middle) / spread).astype(np.float32)
    inputs = np.asarray(batch.inputs)[rows]
    return Own(inputs, taken.astype(np.int32), values, np.array(kind == CONTROL))


def _loss(params: Params, own: Own) -> jax.Array:
    """Cross-entropy of all outputs, or the squared error of the first."""
    logits, _ = _model().apply(params, {}, own.inputs, train=False, key=None)
    squares = jnp.mean(jnp.square(logits[:, 0] - own.values))
    entropy = jnp.mean(problem.cross_entropy(logits, own.labels))
    return jnp.where(own.control, squares, entropy)


def _run(
    config: Config, start: Callable[[Key], Params], run: tuple[Own, Key], _: None
) -> jax.Array:
    """The highest eigenvalues wherever the loss is first at a level."""
    own, key = run
    adam = learn.adam(learn.Hyper(lr=jnp.float32(RATE)))

    def update(age: Array, state: tuple[Params, Any]) -> tuple[Params, Any]:
        params, memory = state
        rows = jax.random.randint(jax.random.fold_in(key, age), (BATCH,), 0, EXAMPLES)
        batch = own._replace(
            inputs=own.inputs[rows], labels=own.labels[rows], values=own.values[rows]
        )
        return learn.update(adam, jax.grad(_loss)(params, batch), memory, params)

    def at(carry: tuple[Array, Any], level: Array) -> tuple[Any, jax.Array]:
        def going(carry: tuple[Array, Any]) -> jax.Array:
            age, (params, _) = carry
            return (age < config.limit) & (_loss(params, own) > level)

        def stretch(carry: tuple[Array, Any]) -> tuple[Array, Any]:
            age, state = carry
            return age + EVERY, jax.lax.fori_loop(age, age + EVERY, update, state)

        after = jax.lax.while_loop(going, stretch, carry)
        _, (params, _) = after
        reached = _loss(params, own) <= level
        return after, jnp.where(reached, _highest(config, params, own, key), jnp.nan)

    params = start(key)
    first = (jnp.int32(0), (params, learn.begin(adam, params)))
    _, found = jax.lax.scan(at, first, jnp.array(LEVELS, jnp.float32))
    return found


def _highest(config: Config, params: Params, own: Own, key: Key) -> jax.Array:
    """The eigenvalues at the upper end, descending."""
    product = curvature.hessian_product(_loss, params, own)
    begin = tree.random_like(params, jax.random.fold_in(key, config.limit))
    found = curvature.ends(
        product,
        begin,
        lowest=0,
        highest=SEEN,
        basis=config.basis,
        tolerance=1e-4,
        products=400,
    )
    return found.values[::-1]


def outliers(eigenvalues: np.ndarray) -> np.ndarray:
    """The place of the largest ratio of an eigenvalue to the next, nan of nan."""
    highest = eigenvalues[..., :1]
    values = np.maximum(eigenvalues, ROUNDING * highest)
    ratios = values[..., :-1] / values[..., 1:]
    places = 1.0 + np.argmax(np.nan_to_num(ratios), axis=-1)
    return np.where(np.isfinite(highest[..., 0]), places, np.nan)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of every kind of labels, at every level of the loss."""
    counts = outliers(result.eigenvalues)
    found = []
    for data in range(len(counts)):
        for kind in range(len(KINDS)):
            for level in range(len(LEVELS)):
                misses = _misses(result, counts[data, kind, ..., level], kind)
                decides = kind == CLASSES and level in TRAINED
                assertion = record.deciding if decides else record.supporting
                found.append(
                    assertion(
                        "spectrum-1",
                        _statement(kind),
                        record.bootstrap(np.mean, misses[np.isfinite(misses)]),
                        NEAREST,
                        unit="count",
                        setting=_setting(result, data, kind, level),
                    )
                )
    return tuple(found)


def _misses(result: Result, counts: np.ndarray, kind: int) -> np.ndarray:
    """|number - (k - 1)| of each unit, the mean over k; ten groups are no groups."""
    used = result.classes < OUTPUTS if kind == GROUPS else result.classes > 0
    expected = result.classes[used, None] - 1
    return np.mean(np.abs(counts[used] - expected), axis=0)


def _statement(kind: int) -> str:
    whose = {
        CLASSES: "The number of outliers of the Hessian",
        GROUPS: "With ten kinds of pictures in k groups the number of outliers",
        SHUFFLED: "With labels in random order the number of outliers",
        CONTROL: "With one output fitted to the number of the class (negative control) "
        "the number of outliers",
    }
    return (
        f"{whose[kind]} is the number of labels minus one, to within half an "
        "eigenvalue on average."
    )


def _setting(result: Result, data: int, kind: int, level: int) -> str:
    name = list(DATA)[data]
    numbers = ", ".join(map(str, result.classes))
    loss = "squared error of one output" if kind == CONTROL else "cross-entropy"
    return (
        f"{name}, {KINDS[kind]}, k of {numbers}, {EXAMPLES} examples, dense network of "
        f"{result.weights[data]:,} weights with ten outputs, Adam, {loss}, "
        f"{_named(level)}"
    )


def _named(level: int) -> str:
    return "untrained" if level == 0 else f"a training loss of {LEVELS[level]:g}"


def figures(result: Result) -> dict[str, Figure]:
    """Numbers of outliers at 0.1 nats; in training; and the spectra behind them."""
    counts, decided = outliers(result.eigenvalues), TRAINED[0]
    figure, axes = panels(len(counts), len(KINDS), width=3.4, height=3.2)
    for axis, (data, kind) in zip(axes, np.ndindex(counts.shape[:2]), strict=True):
        _counted(result, axis, counts[data, kind, ..., decided])
        title = f"{list(DATA)[data]}: {KINDS[kind]}"
        label(axis, title, "number of labels k", "outliers")
    shared_legend(figure)
    training, axes = panels(len(counts), len(LEVELS), width=3.4, height=3.2)
    for axis, (data, level) in zip(
        axes, np.ndindex(len(counts), len(LEVELS)), strict=True
    ):
        _counted(result, axis, counts[data, CLASSES, ..., level])
        title = f"{list(DATA)[data]}: {_named(level)}"
        label(axis, title, "number of classes k", "outliers")
    shared_legend(training)
    spectra, axes = panels(1, len(counts), width=5.0, height=3.6)
    for axis, (name, values) in zip(axes, zip(DATA, result.eigenvalues), strict=True):
        _drawn_spectra(result, axis, values[CLASSES, :, :, decided])
        label(axis, name, "place of the eigenvalue", "eigenvalue over the largest")
    shared_legend(spectra, columns=5)
    return {"outliers": figure, "training": training, "spectra": spectra}


def _counted(result: Result, axis: Axes, counts: np.ndarray) -> None:
    """A point a unit, and the claim's line."""
    units = np.linspace(-0.5, 0.5, counts.shape[1])
    places = result.classes[:, None] + units
    axis.scatter(
        places, counts, s=14, facecolors="none", edgecolors="#555555", label="a unit"
    )
    axis.plot(result.classes, result.classes - 1, "k-", marker="", label="k - 1")
    axis.set_ylim(0, SEEN)


def _drawn_spectra(result: Result, axis: Axes, values: np.ndarray) -> None:
    """A line and a band a number of classes, over units that reached the loss."""
    for classes, each in zip(result.classes, values, strict=True):
        ended = each[np.isfinite(each[:, 0])]
        if len(ended):
            scaled = np.maximum(ended / ended[:, :1], ROUNDING)
            band(axis, np.arange(1, SEEN + 1), scaled.T, f"k = {classes}")
    axis.set_yscale("log")
