"""Which remarks on features, Adagrad and batch normalisation are mistaken?

Notes on the course say that a standardised feature is smaller than 1, that Adagrad
takes small steps first and larger ones later, and that p = 0.1 in μ̄ ← p μ̄ + (1 - p) μᵗ
is PyTorch's default (X4). A fourth remark there, on the time of large batches, is the
question of `batch_time`. Each is looked at where it would have to show; all three are
mathematics.

- *Smaller than 1*: features of two tables and of digits are standardised. The remark is
  false if any value is 1 or more; were all of a feature smaller, its variance could not
  be 1, so that every feature that varies must have one. Beside it stands the share.
- *Steps*: Adagrad as published has random gradients of equal size throughout, of sizes
  that fall as 1/√t, and that rise as √t. The remark is false if steps grow in none of
  the three; no step can be longer than the first, which is η, and the rate η/√Σg² never
  grows. The course's own rule divides by a root mean. Its rate grows where gradients
  fall, but its steps do not, which is shown beside it; the notes' section has Adagrad
  as published.
- *Momentum of averages*: PyTorch's documentation gives the rule x̂ ← (1 - m) x̂ + m xₜ
  and the default m = 0.1. Both readings of the slide's p are compared with it on random
  batch means, and A8 says which one agrees: p = 0.9 must, and p = 0.1 must not. This
  library's layer, which calls the number that the slide has `kept`, is run beside them.

Steps are compared as root mean squares over parameters of the last tenth of the updates
and of the first.

Not tested: the steps of a training; the remark on time.

Claims: X4, A8.
Sources: Ioffe and Szegedy 2015, arXiv:1502.03167; Duchi, Hazan and Singer 2011;
    PyTorch's documentation of BatchNorm1d.
Cost: 6 seconds on 2 cores, compilation included.
Expect: all three are.
Run: jaxml run reversed_notes
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Batch, Keep

TABLES: dict[str, Callable[[], Batch]] = {
    "13 features of wines": problem.wine,
    "30 features of tumours": problem.breast_cancer,
    "64 pixels of digits": problem.digits,
}
GROWTHS = {"equal": 0.0, "falling": -0.5, "rising": 0.5}  # powers of t
FALLING = list(GROWTHS).index("falling")
STEPS, RATES = range(2)
SLIDE, NEWEST = 0.1, 0.1  # the slide's p, and PyTorch's default
READINGS = (SLIDE, 1 - NEWEST)  # what is kept: p = 0.1 and p = 0.9
EXAMPLES, CHANNELS = 16, 4  # of a batch
EXACT = record.at_most(0.0)
ROUNDING = record.at_most(1e-12)
SINGLE = record.at_most(1e-5)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Updates of Adagrad and of the averages, and parameters of the former."""

    updates: int = 200
    parameters: int = 100
    seed: int = 0


SMOKE = Config(updates=20, parameters=5)


class Result(NamedTuple):
    """What the remarks are about.

    Attributes:
        features: of each table that vary.
        small: of these, how many have no value of 1 or more.
        beyond: the share of standardised values that are 1 or more.
        published: lengths of steps, and rates per parameter, of Adagrad as published,
            over η.
        courses: the same of the course's rule.
        documented: running means by the rule of PyTorch's documentation.
        readings: by the slide's formula, p as in READINGS.
        library: by this library's layer that keeps 0.9, before it is divided by its
            weight.
    """

    features: Int[np.ndarray, " table"]
    small: Int[np.ndarray, " table"]
    beyond: Float[np.ndarray, " table"]
    published: Float[Array, "growth kind update parameter"]
    courses: Float[Array, "growth kind update parameter"]
    documented: Float[np.ndarray, "update channel"]
    readings: Float[np.ndarray, "reading update channel"]
    library: Float[Array, "update channel"]


def study(config: Config, keep: Keep) -> Result:
    """Nothing is trained."""
    first, second = randomness.seeds(config.seed, 2)
    normal = np.random.default_rng(first).standard_normal(
        (config.updates, config.parameters)
    )
    batches = np.random.default_rng(second).standard_normal(
        (config.updates, EXAMPLES, CHANNELS)
    )
    with jax.enable_x64(True):
        published, courses = keep("adagrad", partial(_rates, normal))
    batches = batches.astype(np.float32)
    library = keep("layer", partial(_layer, batches))
    means = batches.mean(axis=1, dtype=np.float64)
    features, small, beyond = zip(*map(_standardised, TABLES.values()), strict=True)
    return Result(
        features=np.array(features),
        small=np.array(small),
        beyond=np.array(beyond),
        published=published,
        courses=courses,
        documented=_documented(means),
        readings=np.stack([_slides_mean(means, p) for p in READINGS]),
        library=library,
    )


def _standardised(table: Callable[[], Batch]) -> tuple[int, int, float]:
    """Features that vary, those all of whose values are small, and values that are
    not.
    """
    inputs = np.asarray(table().inputs, np.float64)
    inputs = inputs.reshape(len(inputs), -1)
    varying = inputs[:, inputs.std(axis=0) > 0]
    values = np.abs(varying - varying.mean(axis=0)) / varying.std(axis=0)
    small = np.sum(np.all(values < 1, axis=0))
    return varying.shape[1], int(small), float(np.mean(values >= 1))


def _rates(normal: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Lengths of steps and rates per parameter of both rules, at η = 1."""
    numbers = np.arange(1, len(normal) + 1)[:, None]
    scripts = np.stack([normal * numbers**power for power in GROWTHS.values()])
    hyper = learn.Hyper(lr=1.0, epsilon=0.0)

    @jax.jit
    def both(gradients: jax.Array) -> list[jax.Array]:
        families = (learn.adagrad, learn.mean_square_adagrad)
        found = [learn.steps_along(family(hyper), gradients) for family in families]
        return [jnp.stack([jnp.abs(steps), -steps / gradients]) for steps in found]

    published, courses = zip(*map(both, scripts), strict=True)
    return jnp.stack(published), jnp.stack(courses)


def _documented(means: np.ndarray) -> np.ndarray:
    """PyTorch: the newest mean weighs `momentum`."""
    running, kept = np.zeros(means.shape[1]), []
    for mean in means:
        running = (1 - NEWEST) * running + NEWEST * mean
        kept.append(running)
    return np.stack(kept)


def _slides_mean(means: np.ndarray, p: float) -> np.ndarray:
    """μ̄ ← p μ̄ + (1 - p) μᵗ from 0, of each update."""
    return (1 - p) * learn.decayed_sums(means, p)


def _layer(batches: np.ndarray) -> jax.Array:
    """Running means of this library's layer, after each batch."""
    key = randomness.key(0)
    norm = problem.batch_norm(1 - NEWEST)
    params, state = norm.init(key, batches[0])

    def one(state: Any, batch: jax.Array) -> tuple[Any, jax.Array]:
        _, state = norm.apply(params, state, batch, train=True, key=key)
        return state, state.mean

    return jax.jit(partial(jax.lax.scan, one))(state, batches)[1]


def findings(result: Result) -> tuple[Assertion, ...]:
    """Three remarks, and what stands beside each."""
    return (*_features(result), *_steps(result), *_averages(result))


def _features(result: Result) -> tuple[Assertion, ...]:
    setting = f"standardised features that vary: {', '.join(TABLES)}"
    return (
        record.deciding(
            "X4",
            "The values of a standardised feature are smaller than 1: features with a "
            "value that is not.",
            record.largest(result.features - result.small),
            EXACT,
            unit="count",
            setting=setting,
        ),
        record.supporting(
            "X4",
            "Of standardised values fewer than a tenth are 1 or more, in the table "
            "where it is the fewest.",
            record.certain(result.beyond.min(), of=result.beyond),
            record.below(0.1),
            unit="fraction",
            setting=setting,
        ),
    )


def _steps(result: Result) -> tuple[Assertion, ...]:
    *_, updates, parameters = result.published.shape
    gradients = f"{updates} updates of {parameters} parameters on random gradients"
    published = f"Adagrad as published, {gradients} of sizes that stay, fall and rise"
    courses = f"the root mean square of all gradients, {gradients} that fall as 1/√t"
    steps = np.asarray(result.published[:, STEPS])
    falling = np.asarray(result.courses[FALLING])
    return (
        record.deciding(
            "X4",
            "Adagrad takes small steps first and larger ones later: the root mean "
            "square of the last tenth of the steps over that of the first.",
            record.certain(_later(steps).max(), of=steps),
            record.above(1.0),
            unit="ratio",
            setting=published,
        ),
        record.supporting(
            "X4",
            "Adagrad has later steps that are longer than its first: the fraction "
            "that are.",
            record.certain(np.mean(steps[:, 1:] > steps[:, :1]), of=steps),
            record.above(0.0),
            unit="fraction",
            setting=published,
        ),
        record.supporting(
            "X4",
            "The course's Adagrad takes small steps first and larger ones later: the "
            "root mean square of the last tenth of the steps over that of the first.",
            record.certain(_later(falling[STEPS]), of=falling),
            record.above(1.0),
            unit="ratio",
            setting=courses,
        ),
        record.supporting(
            "X4",
            "The rate of the course's Adagrad grows where gradients fall, though its "
            "steps do not: that of the last tenth of the updates over that of the "
            "first.",
            record.certain(_later(falling[RATES]), of=falling),
            record.above(1.0),
            unit="ratio",
            setting=courses,
        ),
    )


def _later(sizes: Float[np.ndarray, "*kinds update parameter"]) -> np.ndarray:
    """The root mean square of the last tenth of the updates over the first's."""
    tenth = max(sizes.shape[-2] // 10, 1)
    first, last = sizes[..., :tenth, :], sizes[..., -tenth:, :]
    squares = [np.mean(part**2, axis=(-2, -1)) for part in (first, last)]
    return np.sqrt(squares[1] / squares[0])


def _averages(result: Result) -> tuple[Assertion, ...]:
    slide, kept = result.readings - result.documented
    updates, channels = result.documented.shape
    setting = f"{channels} running means of {updates} batches of {EXAMPLES}, from 0"
    told = {"unit": "distance", "setting": setting}
    apart = record.above(0.1, margin=0.0)
    return (
        record.deciding(
            "X4",
            "With p = 0.1 the slide's moving average is that of PyTorch's "
            "documented rule at its default: the "
            "largest difference.",
            record.largest(slide),
            ROUNDING,
            **told,
        ),
        record.deciding(
            "A8",
            "With p = 0.9 the slide's moving average is that of PyTorch's "
            "documented rule at its default: the "
            "largest difference.",
            record.largest(kept),
            ROUNDING,
            **told,
        ),
        record.deciding(
            "A8",
            "With p = 0.1 the slide's moving average is another than that of "
            "PyTorch's documented rule at its "
            "default: the largest difference.",
            record.certain(np.abs(slide).max(), of=slide),
            apart,
            **told,
        ),
        record.supporting(
            "A8",
            "This library's layer that keeps 0.9 has the running mean of PyTorch's "
            "documented rule at its default, before it is divided by its weight: the "
            "largest difference in float32.",
            record.largest(result.library - result.documented),
            SINGLE,
            **told,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Shares of large values, steps of both Adagrads, and running means."""
    figure, (values, steps, means) = panels(1, 3, width=4.6, height=3.6)
    rows = np.arange(len(TABLES))
    values.barh(rows, result.beyond, color="0.7")
    values.set_yticks(rows, list(TABLES))
    values.set_xlim(0, 1)
    label(values, "Standardised values of 1 or more", "fraction", "features")
    numbers = np.arange(1, result.published.shape[2] + 1)
    kinds = {"as published": result.published, "the course's": result.courses}
    for name, seen in kinds.items():
        for place, growth in enumerate(list(GROWTHS)[:2]):
            lengths = np.sqrt(np.mean(np.asarray(seen[place, STEPS]) ** 2, axis=-1))
            steps.plot(numbers, lengths, label=f"{name}, {growth} gradients")
    steps.set_yscale("log")
    legend_below(steps)
    label(steps, "Steps of Adagrad", "update", "step / η, root mean square")
    shown = slice(None, 60)
    drawn = {
        "PyTorch's default": result.documented,
        "p = 0.9": result.readings[1],
        "p = 0.1": result.readings[0],
    }
    for name, running in drawn.items():
        means.plot(numbers[shown], running[shown, 0], label=name)
    legend_below(means)
    label(means, "Moving average of batch means", "batch", "running mean")
    return {"remarks": figure}
