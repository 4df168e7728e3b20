"""What does subsampling cost a picture, and what a Go board?

A picture whose every second row and column is dropped shows the same object, which
justifies pooling, says the course; a board of Go does not survive it, so that AlphaGo's
network has no pooling (C130). Networks learn 8x8 digits, clothing of 14x14 pixels, and
boards of 8x8 points. On a board one white stone of three can be captured at once: three
of its neighbours are black, of the others' two are; the answer is the point where Black
must play, one of 64. One stone more or less, or one point aside, is another answer.

All networks have two layers of filters of 3 x 3 with ReLUs, which see the 5 x 5 points
that an answer depends on. Pictures go on to a dense layer; boards, as in AlphaGo, to
one output a point, or four of a block of 2 x 2 where the maps are half as large, so
that every point can be answered. They differ in what halves the maps: nothing, a max
pool behind the first layer, every second output of it (a stride), or dropping every
second row and column of what is given. The dense layer behind smaller maps has a
quarter of the weights. What each outcome would look like:

- *Survives*: of what the whole input brings above chance, in accuracy on others, more
  than three quarters is left by half of the rows and columns. That must hold of
  pictures and fail on boards; one line for both, as far from nothing as "survives" is.
- *Justifies pooling*: on pictures the network with a pool loses less than a point to
  that without; if more is lost the claim fails there.
- *Has no pooling for a reason*: on boards it loses more than a point.

Supporting: the stride in place of the pool, whose filters can tell the next layer what
was at the places between. Control: the same answers, judged by the quarter of the board
that they are in; the pool should cost less of it, for what it loses is the exact place.

Each network has its own rate of nine, tuned by the accuracy that is judged, on other
units; resamples tune anew. The ends of the grid lie far off, where training fails, for
between them the accuracy of whole maps is flat. A unit draws examples, initial weights
and order anew. Three units of seed 100, judged nowhere, learned boards with 12 filters
in 600 updates after all else was written, and placed the rates: 0.999 with whole maps,
0.98 with a pool, 0.97 with a stride and 0.09 of dropped rows. Filters, updates and
batches were made smaller since, to save time.

Not tested: real games, whose good moves no rule tells; deeper networks; mean pools;
pools at the end alone.

Claims: C130.
Sources: Silver et al. 2016, "Mastering the game of Go with deep neural networks and
    tree search" (no pooling); Springenberg et al. 2015, arXiv:1412.6806 (strides).
Cost: three and a half minutes on 2 cores, compilation included.
Expect: pictures survive and boards do not; a pool costs boards a few points.
Run: jaxml run pooling
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion, Rule
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Batch, Keep, Model

DATA = ("boards of 8x8 points", "8x8 digits", "clothing of 14x14 pixels")
BOARDS, DIGITS, CLOTHING = range(3)
SIDES, CLASSES = (8, 8, 14), (64, 10, 10)
NETWORKS = ("nothing", "a max pool", "a stride", "dropped rows and columns")
WHOLE, POOL, STRIDE, DROPPED = range(4)
PLACE, QUARTER = range(2)  # what of an answer must be right
FILTERS, BATCH = 8, 32
POOLED = 20_000  # boards and pictures that units draw from
LOWEST = (8e-3, 2e-3, 2e-3)  # rates of Adam, but for the far ends of the grid
RATES = np.array([0.05, *1.5 ** np.arange(7), 50])
POINT = "one example in a hundred"
HIGHER = record.above(0.0, margin=0.01, reason=POINT)
NO_LOSS = record.above(
    -0.01, margin=0.0025, reason="a quarter of a point is hardly told from it"
)
LOWER = record.below(0.0, margin=0.01, reason=POINT)
SURVIVES = record.above(0.75, margin=0.05, reason="a twentieth of what may be left")
PERISHES = record.below(0.75, margin=0.05, reason="a twentieth of what may be left")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Examples that train and judge, updates by kind of data, and units; of data the
    first kinds.
    """

    data: int = len(DATA)
    train: tuple[int, ...] = (2000, 500, 500)
    test: int = 500
    updates: tuple[int, ...] = (400, 150, 150)
    tuning: int = 4
    judging: int = 12
    lanes: int = 16
    seed: int = 0


SMOKE = Config(
    data=1,
    train=(50,),
    test=10,
    updates=(2,),
    tuning=1,
    judging=2,
    lanes=27,
)


class Result(NamedTuple):
    """At the end of runs. Units that tune come first.

    Attributes:
        accuracy: on others, of answers and of the quarters that they are in, which of
            pictures are the answers again.
        train: examples that train a run, by kind of data.
        updates: of a run, likewise.
        tuning: how many of the units tune.
    """

    accuracy: Float[np.ndarray, "data network measure rate unit"]
    train: np.ndarray
    updates: np.ndarray
    tuning: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """One program a network and kind of data."""
    cases = np.ndindex(config.data, len(NETWORKS))
    found = [_accuracies(config, keep, *case) for case in cases]
    accuracy = np.reshape(found, (config.data, len(NETWORKS), *found[0].shape))
    setting = (config.train, config.updates, config.tuning)
    return Result(accuracy, *map(np.array, setting))


def _examples(config: Config, data: int) -> Batch:
    """All that units draw from, as pictures with channels."""
    if data == BOARDS:
        return problem.capture_boards(POOLED, seed=config.seed)
    if data == DIGITS:
        return problem.digit_pictures()
    return problem.shrunk(problem.fashion_mnist(train=POOLED, test=1).train, 2)


def _network(data: int, number: int) -> Model:
    """Two layers of filters, of which one of NETWORKS halves the maps, and outputs."""
    relu, whole = problem.elementwise(jax.nn.relu), problem.chain()
    halves = (whole, problem.max_pooling(2), problem.subsampling(2), whole)
    given = problem.subsampling(2) if number == DROPPED else whole
    layers = (
        given,
        problem.convolution(FILTERS),
        relu,
        halves[number],
        problem.convolution(FILTERS),
        relu,
    )
    if data != BOARDS:
        return problem.chain(*layers, problem.linear(CLASSES[data]))
    block = 1 if number == WHOLE else 2
    each = problem.convolution(block * block, 1)
    return problem.chain(*layers, each, problem.elementwise(partial(_points, block)))


def _points(block: int, maps: jax.Array) -> jax.Array:
    """`[n, point]`, row by row: the channels of a place are the points of its block."""
    count, rows, columns, _ = maps.shape
    blocks = maps.reshape(count, rows, columns, block, block)
    return jnp.swapaxes(blocks, 2, 3).reshape(count, -1)


def _accuracies(
    config: Config, keep: Keep, data: int, number: int
) -> Float[np.ndarray, "measure rate unit"]:
    """Of all rates and units of a network."""
    workload = problem.workload(
        _network(data, number),
        problem.cross_entropy,
        _examples(config, data),
        train=config.train[data],
        test=config.test,
        held_out={
            "answers": problem.accuracy,
            "quarters": _rough if data == BOARDS else problem.accuracy,
        },
    )
    known = f"{DATA[data]}, {NETWORKS[number]}"
    rates = LOWEST[data] * RATES
    final = learn.compare(
        learn.experiment(workload, batch=BATCH, steps=config.updates[data]),
        {known: learn.Entrant(learn.adam, learn.grid(learn.Hyper, lr=rates))},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )[known].final
    return np.stack([final["answers"], final["quarters"]])


def _rough(outputs: Array, targets: Array) -> jax.Array:
    """1 where the likeliest point lies in the quarter of the board of the answer."""
    answers = jnp.argmax(jnp.asarray(outputs), axis=-1)
    return (_quarter(answers) == _quarter(targets)).astype(jnp.float32)


def _quarter(point: Array) -> Array:
    """The quarter of the board that a point, counted row by row, is in."""
    side = SIDES[BOARDS]
    row, column = point // side, point % side
    return 2 * (row // (side // 2)) + column // (side // 2)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Every question of every kind of data, and the control."""
    found = list(_of_boards(result))
    for data in range(BOARDS + 1, len(result.accuracy)):
        found += _of_pictures(result, data)
    return tuple(found)


def _arm(result: Result, data: int, network: int, measure: int = PLACE) -> Arm:
    """Accuracy, at the rate that is best by that of exact answers."""
    values = result.accuracy[data, network]
    return Arm(values[measure], -values[PLACE])


def _share(chance: float, ours: Array, theirs: Array) -> float:
    """What is above chance in the mean of the first, of that in the second; nothing
    where it is below.
    """
    return max(0.0, float((np.mean(ours) - chance) / (np.mean(theirs) - chance)))


def _shrinks(pool: Array, whole: Array, pool_rough: Array, whole_rough: Array) -> float:
    """What a pool costs of exact answers minus what it costs of rough ones."""
    exact = record.mean_difference(whole, pool)
    return exact - record.mean_difference(whole_rough, pool_rough)


def _judged(
    result: Result,
    data: int,
    role: Callable[..., Assertion],
    statement: str,
    rule: Rule,
    statistic: Callable[..., float],
    arms: tuple[Arm, ...],
) -> Assertion:
    """Of one kind of data."""
    return role(
        "C130",
        statement,
        record.tuned(statistic, *arms, tuning=int(result.tuning)),
        rule,
        unit="ratio" if rule in (SURVIVES, PERISHES) else "accuracy difference",
        setting=_setting(result, data),
    )


def _of_boards(result: Result) -> tuple[Assertion, ...]:
    """What is left of half of the rows and columns, what smaller maps cost, and that
    the cost is the place: more of the exact than of the rough one.
    """
    judged, arm = partial(_judged, result, BOARDS), partial(_arm, result, BOARDS)
    whole, pool, stride, dropped = map(arm, range(len(NETWORKS)))
    rough = (arm(POOL, QUARTER), arm(WHOLE, QUARTER))
    return (
        judged(
            record.deciding,
            "Of what boards bring in accuracy above chance less than three quarters is "
            "left once every second row and column is dropped.",
            PERISHES,
            partial(_share, 1 / CLASSES[BOARDS]),
            (dropped, whole),
        ),
        judged(
            record.deciding,
            "On boards a network with a max pool is less accurate than the one "
            "without.",
            LOWER,
            record.mean_difference,
            (pool, whole),
        ),
        judged(
            record.supporting,
            "On boards a network with a stride is less accurate than the one without.",
            LOWER,
            record.mean_difference,
            (stride, whole),
        ),
        judged(
            record.supporting,
            "Control: of the quarter of the board that an answer is in, a max pool "
            "costs less accuracy than of the answer itself.",
            HIGHER,
            _shrinks,
            (pool, whole, *rough),
        ),
    )


def _of_pictures(result: Result, data: int) -> tuple[Assertion, ...]:
    """The same questions, but for the control, of one kind of pictures."""
    judged, arm = partial(_judged, result, data), partial(_arm, result, data)
    whole, pool, stride, dropped = map(arm, range(len(NETWORKS)))
    return (
        judged(
            record.deciding,
            "Of what pictures bring in accuracy above chance more than three quarters "
            "is left once every second row and column is dropped.",
            SURVIVES,
            partial(_share, 1 / CLASSES[data]),
            (dropped, whole),
        ),
        judged(
            record.deciding,
            "On pictures a network with a max pool loses less than a point of accuracy "
            "to the one without.",
            NO_LOSS,
            record.mean_difference,
            (pool, whole),
        ),
        judged(
            record.supporting,
            "On pictures a network with a stride loses less than a point of accuracy "
            "to the one without.",
            NO_LOSS,
            record.mean_difference,
            (stride, whole),
        ),
    )


def _setting(result: Result, data: int) -> str:
    return (
        f"{DATA[data]}, {result.train[data]} for training, two layers of {FILTERS} "
        f"filters of 3 x 3, Adam, {result.updates[data]} updates of {BATCH}, rate "
        "tuned for each"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Accuracies over that of the network without, unit by unit."""
    figure, axes = panels(1, len(result.accuracy), width=4.8, height=3.4)
    for data, axis in enumerate(axes):
        whole = _arm(result, data, WHOLE)
        rows = {
            NETWORKS[network]: (_arm(result, data, network), whole)
            for network in (POOL, STRIDE, DROPPED)
        }
        compared(axis, rows, NO_LOSS, tuning=int(result.tuning))
        told = "accuracy minus that of whole maps"
        label(axis, DATA[data], told, "what halves the maps")
        legend_below(axis)
    return {"pooling": figure}
