"""How noisy is a small batch, and is a large one stable?

Small batches are noisy, large ones stable, says the lecture. Noisy is here a ratio: the
standard deviation of a batch's gradient, the root of tr Cov(g_B), over the length of
the gradient of all examples, in the trainings of `noise`, which shows that it falls as
the root of 1/B. Since the gradient shrinks in training and its noise not as much, a
size that is stable in the beginning may be noisy in the end.

Batches of 12 and of 120 of 240 examples, after 1, 60 and 600 updates. A batch is stable
where the ratio is below a half, noisy above 1; a tenth more or less is no other
picture. A ratio is the root of the mean square over draws, then the median over
networks. All findings support: where "stable" begins is a matter of words, and the
size of the whole, 240, sets the ratio along with the batch. By the law batches of 12
are √19 = 4.36 times as noisy as those of 120, and these, half of all examples, √2 times
as noisy with replacement: both check it at the end of training.

Claims: C062.
Sources: McCandlish et al. 2018, arXiv:1812.06162 (its square, at B = 1, is their noise
    scale).
Cost: a second, after `noise`.
Expect: 12 are noisy at all times; 120 are stable in the beginning alone, and miss by
    about the gradient's length in the end, since it has shrunk.
Run: jaxml run noise_ratio
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import record
from jaxml.record import Assertion, Interval
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Keep

NEEDS = ("noise",)
DATA = ("8x8 digits", "clothing of 7x7 pixels")
WITHOUT, WITH = range(2)
EXAMPLES = 240
NOISY = record.above(1.0, margin=0.1, reason="a tenth is no other picture")
STABLE = record.below(0.5, margin=0.1, reason="a tenth is no other picture")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The two sizes, and the seed of the trainings and intervals."""

    small: int = 12
    large: int = 120
    seed: int = 0


SMOKE = Config(large=12)  # the one size of its `noise`


class Result(NamedTuple):
    """The root of the noise over the length of the full gradient.

    Attributes:
        ratio: without and with replacement.
        sizes: of batches.
        updates: of trainings.
        places: of the small and the large size in `sizes`.
        seed: of intervals.
    """

    ratio: Float[np.ndarray, "data time sampling size unit"]
    sizes: Int[np.ndarray, " size"]
    updates: Int[np.ndarray, " time"]
    places: Int[np.ndarray, " two"]
    seed: Int[np.ndarray, ""]


def study(config: Config, keep: Keep, noise: Any) -> Result:
    """From the noise that `noise` has measured."""
    del keep
    drawn = noise.found.drawn[:, :, 0, : WITH + 1]
    square = noise.found.square[:, :, None, None]
    ratio = np.sqrt(drawn / square)
    places = [noise.sizes.tolist().index(size) for size in (config.small, config.large)]
    return Result(
        ratio, noise.sizes, noise.updates, np.array(places), np.array(config.seed)
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """Small and large batches at each time, of each data set."""
    found: list[Assertion] = []
    for data, ratios in enumerate(result.ratio):
        setting = (
            f"240 examples of {DATA[data]}, dense network with 32 ReLUs, rate 0.02, "
            "momentum 0.9, trained in batches of 24; root mean square over draws, "
            "median over networks"
        )
        found += _at_times(result, ratios, setting)
        found += _compared(result, ratios[-1], setting)
    return tuple(found)


def _median(result: Result, values: np.ndarray) -> Interval:
    return record.bootstrap(np.median, values, seed=int(result.seed))


def _at_times(
    result: Result, ratios: np.ndarray, setting: str
) -> tuple[Assertion, ...]:
    """Whether small batches are noisy, and large ones stable."""
    supporting = partial(record.supporting, "C062", unit="ratio", setting=setting)
    small, large = result.sizes[result.places]
    found = []
    for updates, ratio in zip(result.updates, ratios, strict=True):
        few, many = ratio[WITHOUT, result.places]
        when = f"After {updates} update{'s' * int(updates > 1)}"
        noisy = (
            f"{when} the gradient of {small} random examples misses "
            "that of all 240 by more than its length."
        )
        stable = (
            f"{when} the gradient of {large} random examples misses "
            "that of all 240 by less than half of its length."
        )
        found += [
            supporting(noisy, _median(result, few), NOISY),
            supporting(stable, _median(result, many), STABLE),
        ]
    return tuple(found)


def _compared(result: Result, last: np.ndarray, setting: str) -> tuple[Assertion, ...]:
    """At the end of training: small against large, with against without replacement."""
    supporting = partial(record.supporting, "C062", unit="ratio", setting=setting)
    small, large = result.sizes[result.places]
    few, many = last[WITHOUT, result.places]
    _, replaced = last[WITH, result.places]
    by_law = np.sqrt((1 / small - 1 / EXAMPLES) / (1 / large - 1 / EXAMPLES))
    noisier = (
        f"At the end of training the gradient of a batch of {small} is {by_law:.3g} "
        f"times as noisy as that of a batch of {large}, by its standard deviation."
    )
    control = (
        f"At the end of training the gradient of {large} of {EXAMPLES} examples is √2 "
        "times as noisy if they are drawn with replacement (control)."
    )
    near = partial(record.near, reason="a tenth")
    root = np.sqrt(2)
    return (
        supporting(
            noisier, _median(result, few / many), near(by_law, margin=by_law / 10)
        ),
        supporting(
            control, _median(result, replaced / many), near(root, margin=root / 10)
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """The ratio by batch size at each time; bands hold all units."""
    figure, axes = panels(1, len(result.ratio))
    for axis, ratios, name in zip(axes, result.ratio, DATA, strict=False):
        for updates, ratio in zip(result.updates, ratios, strict=True):
            curve = f"after {updates} updates"
            band(axis, result.sizes, ratio[WITHOUT], curve, within=1.0)
        axis.axhline(1.0, color="0.4", linestyle="--", label="noisy: above 1")
        axis.axhline(0.5, color="0.4", linestyle=":", label="stable: below a half")
        axis.set_xscale("log")
        axis.set_yscale("log")
        label(axis, name, "batch size", "noise / length of the full gradient")
    shared_legend(figure)
    return {"ratio": figure}
