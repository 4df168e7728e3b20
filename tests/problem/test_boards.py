"""Boards against the rule of Go, counted point by point."""

import numpy as np
import pytest

from jaxml import problem
from jaxml.types import InputError


def _liberties(board, row, column):
    """The empty points that touch the group of a stone, by walking through it."""
    side, colour = len(board), board[row][column]
    group, waiting, free = {(row, column)}, [(row, column)], set()
    while waiting:
        down, right = waiting.pop()
        for beside in (
            (down + 1, right),
            (down - 1, right),
            (down, right + 1),
            (down, right - 1),
        ):
            if not (0 <= beside[0] < side and 0 <= beside[1] < side):
                continue
            there = board[beside[0]][beside[1]]
            if there == ".":
                free.add(beside)
            elif there == colour and beside not in group:
                group.add(beside)
                waiting.append(beside)
    return free


def _drawn(inputs):
    symbols = np.full(inputs.shape[:2], ".")
    symbols[inputs[..., 0] == 1] = "b"
    symbols[inputs[..., 1] == 1] = "w"
    return symbols.tolist()


@pytest.mark.parametrize(("side", "decoys"), [(8, 2), (9, 3), (5, 0)])
def test_one_stone_can_be_captured_and_the_answer_captures_it(side, decoys):
    boards = problem.capture_boards(50, side=side, decoys=decoys, seed=side)
    for inputs, target in zip(boards.inputs, boards.targets, strict=True):
        board = _drawn(inputs)
        whites = np.argwhere(np.array(board) == "w")
        free = [_liberties(board, *stone) for stone in whites]
        assert len(whites) == decoys + 1
        assert sorted(map(len, free)) == [1, *[2] * decoys]
        (captured,) = [points for points in free if len(points) == 1]
        assert captured == {divmod(int(target), side)}


def test_answers_and_stones_vary_and_a_seed_repeats_them():
    boards = problem.capture_boards(400, seed=1)
    assert len(np.unique(boards.targets)) > 40
    assert 0.2 < boards.inputs[..., 0].mean() < 0.45
    whites = np.argwhere(boards.inputs[..., 1])[:, 1:]
    assert len(np.unique(whites, axis=0)) == 6 * 6  # all points off the edge
    again = problem.capture_boards(400, seed=1)
    np.testing.assert_array_equal(boards.inputs, again.inputs)
    other = problem.capture_boards(400, seed=2)
    assert not np.array_equal(boards.inputs, other.inputs)


@pytest.mark.parametrize(
    "wrong",
    [{"count": 0}, {"decoys": -1}, {"density": 1.5}, {"side": 2}, {"decoys": 9}],
)
def test_what_cannot_be_made_is_refused(wrong):
    with pytest.raises(InputError, match="board"):
        problem.capture_boards(**{"count": 1, **wrong})
