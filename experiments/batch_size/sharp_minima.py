"""Do large batches end in sharper minima, and small batches in flatter ones?

Networks are trained by Adam in batches of 2, of 50 and of all 500 examples, and each is
stopped where its training loss, taken after every 50 examples or more often, first lies
below a target: 0.02 nats on digits, 0.3 on clothing of 7x7 pixels, as in
`generalisation_gap`. There its curvature is measured in float64 on the examples that
trained it: Keskar's sharpness in the whole space and in 100 random dimensions, the
Hessian's highest eigenvalue and trace, the rise of the loss within a ball and within
one scaled by the weights, relative flatness of the last layer, which rescaling layers
does not change, and how the loss depends on the inputs.

The claim holds if the logarithm of the ratio, batches of 50 over batches of 2, each at
the rate whose held-out accuracy is highest, is above ln 1.25; it fails below -ln 1.25.
Less than a quarter would not matter, since the grid's rates lie further apart. Keskar's
sharpness and the eigenvalue decide; the others, and all 500 examples, support. Whether
sharpness is why networks generalise worse, asks `sharpness_and_gap`; what it becomes
where the same function is rescaled, `rescaled_minima`.

Control: the first judging units over the others, in batches of 50, which must not
differ. A unit draws its weights, examples and order anew; 20 tune by held-out accuracy,
20 judge, and the tuning is resampled. Runs that do not reach the target are censored.
Rates were placed by short runs of 20 units from seeds 77, 78 and 900, without any
curvature; the depth of Lanczos' iteration by two networks of seed 71, whose sharpness
was seen. Not tested: convolution, normalisation.

Claims: C069.
Sources: Keskar et al. 2017, arXiv:1609.04836; Petzka et al. 2021, arXiv:2001.00939;
    Kwon et al. 2021, arXiv:2102.11600; Andriushchenko et al. 2023, arXiv:2302.07011.
Cost: three minutes on 2 cores, compilation included.
Expect: batches of 2, at the rates that are best for them, are no flatter.
Run: jaxml run sharp_minima
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record
from jaxml.parallel import rows
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Batch, Dataset, Keep, Params, Workload

SMALL, TENTH, ALL = SIZES = range(3)  # of batches
STEPS = 1.5 ** np.arange(6)
EVERY = (25, 1, 1)  # updates between two looks at the training loss, by size
NAMES = {
    "box": "Keskar's sharpness (ε = 0.001)",
    "eigenvalue": "the Hessian's highest eigenvalue",
    "half": "Keskar's sharpness (ε = 0.0005)",
    "random": "Keskar's sharpness (ε = 0.001, 100 random dimensions)",
    "trace": "the Hessian's trace",
    "ball": "the rise of the loss within a ball of radius 0.05",
    "scaled": "the rise of the loss within a ball of 0.5 scaled by the weights",
    "relative": "relative flatness (high is sharp) of the last layer",
    "inputs": "the dependence of the loss on the inputs",
}
EPSILONS = {"box": (1e-3, None), "half": (5e-4, None), "random": (1e-3, 100)}
DECIDING = ("box", "eigenvalue")
SHARPER = record.above(
    0.0, margin=0.223, reason="a quarter; rates of the grid lie further apart"
)


class Course(NamedTuple):
    """A data set; by size of batch the lowest rate, and the updates at most."""

    name: str
    workload: Callable[..., Workload]
    target: float
    lowest: tuple[float, ...]
    updates: tuple[int, ...]


DIGITS = Course(
    "8x8 digits",
    problem.digits_workload,
    0.02,
    (7.5e-4, 2.2e-3, 2e-3),
    (10_000, 1000, 600),
)
CLOTHING = Course(
    "clothing of 7x7 pixels",
    problem.small_clothing_workload,
    0.3,
    (1.1e-3, 1.5e-3, 2e-3),
    (15_000, 2000, 600),
)
COURSES = DIGITS, CLOTHING


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes and units; of data sets the first ones."""

    data: int = len(COURSES)
    train: int = 500
    test: int = 1000
    sizes: tuple[int, ...] = (2, 50)  # and all of them
    depth: int = 25  # of Lanczos' iteration
    probes: int = 25  # of the trace
    tuning: int = 20
    judging: int = 20
    lanes: int = 20
    seed: int = 0


SMOKE = Config(
    data=1, train=20, test=20, sizes=(2, 10), depth=3, probes=2, tuning=2, judging=2
)


class Found(NamedTuple):
    """Networks where they stopped, nan where the target was not reached. Units that
    tune come first; what has judging units only says so.
    """

    params: Params  # [size, rate, judging, ...]
    accuracy: Float[np.ndarray, "size rate unit"]  # held out
    gap: Float[np.ndarray, "size rate judging"]  # held-out minus training loss
    measures: Float[np.ndarray, "measure size rate judging"]  # in the order of NAMES


class Result(NamedTuple):
    """By data set, and what they have in common."""

    found: tuple[Found, ...]
    sizes: np.ndarray  # [size]
    test: np.ndarray  # [], held-out examples
    seeds: np.ndarray  # [unit]
    weights: np.ndarray  # [data]
    tuning: np.ndarray  # []


def study(config: Config, keep: Keep) -> Result:
    """Trained in one program a data set and size, measured in one a data set."""
    courses = COURSES[: config.data]
    works = [each.workload(train=config.train, test=config.test) for each in courses]
    seeds = np.array(
        randomness.seeds(config.seed, config.tuning + config.judging), np.int32
    )
    found = [
        _found(config, keep, course, work, seeds)
        for course, work in zip(courses, works, strict=True)
    ]
    return Result(
        found=tuple(found),
        sizes=np.array([*config.sizes, config.train]),
        test=np.array(config.test),
        seeds=seeds,
        weights=np.array([problem.weights(work) for work in works]),
        tuning=np.array(config.tuning),
    )


def _found(
    config: Config, keep: Keep, course: Course, work: Workload, seeds: np.ndarray
) -> Found:
    """All networks on one data set, and what is measured of them."""
    trained = []
    for size, batch in enumerate((*config.sizes, config.train)):
        compute = partial(_trained, config, course, work, size, batch, seeds)
        trained.append(keep(f"{course.name}, batches of {batch}", compute))
    grid = (len(SIZES), len(STEPS), len(seeds))

    def shaped(*leaves: np.ndarray) -> np.ndarray:
        return np.stack(leaves).reshape(*grid, *leaves[0].shape[1:])

    runs = jax.tree.map(shaped, *trained)
    there = np.where(runs["reached"], 1.0, np.nan)
    judged = np.s_[:, :, config.tuning :]
    params = jax.tree.map(lambda leaf: leaf[judged], runs["params"])
    with jax.enable_x64(True):
        own = _own(work, seeds[config.tuning :])
        measures = keep(
            f"{course.name}, measures", lambda: _measures(config, work, params, own)
        )
    return Found(
        params=params,
        accuracy=runs["accuracy"] * there,
        gap=(runs["test"] - runs["train"])[judged] * there[judged],
        measures=measures * there[judged],
    )


def _trained(
    config: Config,
    course: Course,
    work: Workload,
    size: int,
    batch: int,
    seeds: np.ndarray,
) -> dict[str, Any]:
    """Every unit at every rate, stopped at the target."""
    batches = learn.split_anew(work.data, train=work.train, test=work.test, size=batch)
    training = learn.training(work.start, work.loss, learn.adam, batches, steps=1)
    found = learn.trained_to(
        training,
        batches,
        learn.grid(learn.Hyper, lr=course.lowest[size] * STEPS, seed=seeds),
        measures=work.measures,
        stop=("train", course.target),
        every=EVERY[size],
        limit=course.updates[size],
        lanes=config.lanes,
    )
    return {**found.seen, "params": found.params, "reached": found.reached}


def _double(values: Any) -> Any:
    """In float64, where they are floating-point numbers."""

    def cast(leaf: Any) -> Any:
        return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf

    return jax.tree.map(cast, values)


def _own(work: Workload, seeds: np.ndarray) -> Dataset:
    """The units' own examples, [unit, ...]."""
    batches = learn.split_anew(work.data, train=work.train, test=work.test, size=1)
    return _double(jax.jit(jax.vmap(partial(learn.own_data, batches)))(seeds))


def _measures(
    config: Config, work: Workload, params: Params, own: Dataset
) -> Float[np.ndarray, "measure size rate judging"]:
    """Of every network, in the order of NAMES."""
    axes = jax.tree.leaves(params)[0].shape[:3]
    networks = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[3:]), params)
    units = np.arange(np.prod(axes)) % axes[-1]

    def one(run: tuple[Params, Any], own: Dataset) -> dict[str, Any]:
        network, unit = run
        mine = jax.tree.map(lambda leaf: leaf[unit], own)
        return _measured(config, work, network, mine)

    runs = (_double(networks), units)
    seen = curvature.mapped(one, (), runs, own)
    boxes = [
        _boxes(config, work, rows(runs[0], run), rows(own, unit))
        for run, unit in enumerate(units)
    ]
    seen |= {name: [each[name] for each in boxes] for name in EPSILONS}
    return np.array([seen[name] for name in NAMES]).reshape(-1, *axes)


def _measured(
    config: Config, work: Workload, params: Params, own: Dataset
) -> dict[str, Any]:
    """What needs no search on the host."""
    loss, key = work.measures["train"], randomness.key(config.seed)
    product = curvature.hessian_product(loss, params, own)
    ends = curvature.extremes(product, params, count=1, depth=config.depth, key=key)
    ascent = partial(curvature.ascent_sharpness, loss, params, own, steps=15, key=key)
    sizes = jax.tree.map(jnp.abs, params)

    def of_batch(params: Params, batch: Batch) -> Any:
        return loss(params, Dataset(batch, batch))

    return {
        "eigenvalue": ends.values[-1],
        "trace": curvature.trace(product, params, key=key, probes=config.probes).value,
        "ball": ascent(radius=0.05).rise,
        "scaled": ascent(radius=0.5, scale=sizes).rise,
        "relative": curvature.relative_flatness(
            loss, params, own, layer="layer_01/kernel"
        ),
        "inputs": curvature.input_sensitivity(of_batch, params, own.train),
    }


def _boxes(
    config: Config, work: Workload, params: Params, own: Dataset
) -> dict[str, float]:
    """Keskar's sharpness of one network."""
    around = partial(
        curvature.box_sharpness,
        work.measures["train"],
        params,
        own,
        key=randomness.key(config.seed),
    )
    return {
        name: around(epsilon=epsilon, dimension=dimension).sharpness
        for name, (epsilon, dimension) in EPSILONS.items()
    }


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: every measure, against a tenth and all; and the control."""
    found: list[Assertion] = []
    for place, seen in enumerate(result.found):
        for name in NAMES:
            role = record.deciding if name in DECIDING else record.supporting
            found.append(_sharper(result, place, name, TENTH, role))
            found.append(_sharper(result, place, name, ALL, record.supporting))
        found.append(_control(result, place, seen))
    return tuple(found)


def _setting(result: Result, place: int) -> str:
    course = COURSES[place]
    return (
        f"{course.name}, dense network of {result.weights[place]:,} weights, "
        f"{result.sizes[ALL]} examples, Adam, constant rate tuned for each, where the "
        f"training loss is first below {course.target:g} nats"
    )


def _arm(seen: Found, name: str, size: int) -> Arm:
    """Logarithms of a measure, tuned by accuracy; of units that tune they are nan."""
    scores, values = -seen.accuracy[size], seen.measures[list(NAMES).index(name), size]
    unknown = np.full_like(scores, np.nan)
    unknown[:, -values.shape[1] :] = np.log(values)
    return Arm(unknown, scores)


def _sharper(
    result: Result, place: int, name: str, size: int, role: Callable[..., Assertion]
) -> Assertion:
    seen, small = result.found[place], result.sizes[SMALL]
    return role(
        "C069",
        f"At equal training loss {NAMES[name]} is higher in networks trained by "
        f"batches of {result.sizes[size]} than by batches of {small}.",
        record.tuned(
            record.mean_difference,
            _arm(seen, name, size),
            _arm(seen, name, SMALL),
            tuning=int(result.tuning),
        ),
        SHARPER,
        unit="log ratio",
        setting=_setting(result, place),
    )


def _control(result: Result, place: int, seen: Found) -> Assertion:
    """The first judging units over the others."""
    name, size = DECIDING[0], result.sizes[TENTH]
    values = at_tuned(_arm(seen, name, TENTH), int(result.tuning))
    values = values[np.isfinite(values)]
    first, others = np.array_split(values[: len(values) // 2 * 2], 2)
    return record.supporting(
        "C069",
        f"At equal training loss {NAMES[name]} is higher in the first judging units "
        f"than in the others, all trained by batches of {size}, the control.",
        record.bootstrap(record.mean_difference, first, others),
        SHARPER,
        unit="log ratio",
        setting=_setting(result, place),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Ratios of every measure, unit by unit."""
    figure, axes = panels(len(result.found), 2, width=7.0, height=4.6)
    sizes = result.sizes
    for place, (seen, *both) in enumerate(
        zip(result.found, axes[::2], axes[1::2], strict=True)
    ):
        for axis, size in zip(both, (TENTH, ALL), strict=True):
            pairs = {
                words: (_arm(seen, name, size), _arm(seen, name, SMALL))
                for name, words in NAMES.items()
            }
            compared(axis, pairs, SHARPER, tuning=int(result.tuning))
            ratio = f"log ratio, batches of {sizes[size]} over {sizes[SMALL]}"
            label(axis, COURSES[place].name, ratio, "measure")
    shared_legend(figure)
    return {"sharpness": figure}
