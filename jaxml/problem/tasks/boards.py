"""Boards on which one stone more or less, or one point aside, changes the answer."""

import numpy as np
from jaxtyping import Int

from jaxml.problem.data.examples import examples
from jaxml.types import Batch, InputError

__all__ = ["capture_boards"]

EMPTY, BLACK, WHITE = range(3)
AROUND = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])
"""Steps from a point to the four that touch it."""


def capture_boards(
    count: int, *, side: int = 8, decoys: int = 2, density: float = 0.3, seed: int = 0
) -> Batch:
    """Boards with one white stone that Black can capture at once, by the rule of Go:
    where must Black play?

    Each white stone stands alone and not on the edge. One of them has a single empty
    neighbour, which is the answer; of each of the others, the decoys, two neighbours
    are empty. Elsewhere there are black stones at random. No two white stones share a
    neighbour.

    Args:
        count: how many boards.
        side: points of an edge.
        decoys: white stones that cannot be captured at once.
        density: how likely a point elsewhere holds a black stone.
        seed: moves all draws.

    Returns:
        Inputs `[count, side, side, 2]`, 1 where there is a black stone and where there
        is a white one, and targets `[count]`, the answer's number, row by row.

    Raises:
        InputError: fewer than one board, a negative number of decoys, a density that is
            no probability, or more white stones than surely find room.
    """
    _check(count, side, decoys, density)
    draw = np.random.default_rng(seed)
    board = np.where(draw.random((count, side, side)) < density, BLACK, EMPTY)
    centres = _apart(draw, count, decoys + 1, side)
    each = np.arange(count)
    answer = np.zeros((count, 2), np.int64)
    for place in range(decoys + 1):
        stone = centres[:, place]
        board[each, stone[:, 0], stone[:, 1]] = WHITE
        turned = draw.random((count, 4)).argsort(axis=1)
        for number in range(4):
            beside = stone + AROUND[turned[:, number]]
            free = number < (2 if place else 1)
            board[each, beside[:, 0], beside[:, 1]] = EMPTY if free else BLACK
            if not place and free:
                answer = beside
    stones = np.stack([board == BLACK, board == WHITE], axis=-1)
    return examples(
        stones.astype(np.float32),
        (answer[:, 0] * side + answer[:, 1]).astype(np.int32),
    )


def _apart(
    draw: np.random.Generator, count: int, stones: int, side: int
) -> Int[np.ndarray, "count stones two"]:
    """Points off the edge, more than two steps from each other, one after another."""
    inner = np.arange(1, side - 1)
    points = np.stack(np.meshgrid(inner, inner, indexing="ij"), axis=-1).reshape(-1, 2)
    free = np.ones((count, len(points)), bool)
    found = []
    for _ in range(stones):
        chosen = points[np.argmax(draw.random(free.shape) * free, axis=1)]
        steps = np.sum(np.abs(points[None] - chosen[:, None]), axis=-1)
        free &= steps > 2
        found.append(chosen)
    return np.stack(found, axis=1)


def _check(count: int, side: int, decoys: int, density: float) -> None:
    if count < 1 or decoys < 0 or not 0 <= density <= 1:
        raise InputError(
            f"{count} boards with {decoys} decoys and a density of {density} cannot be "
            "made: give one or more, none or more, and a probability."
        )
    # A stone keeps at most 13 points from the others.
    most = 1 + ((side - 2) ** 2 - 1) // 13 if side > 2 else 0
    if decoys + 1 > most:
        raise InputError(
            f"{decoys + 1} white stones do not surely fit a board of {side} x {side}: "
            f"ask for at most {max(most - 1, 0)} decoys, or for a larger board."
        )
