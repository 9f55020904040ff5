from collections.abc import Sequence

import pytest

from rankprompt.rankers import listwise
from rankprompt.rankers.driver import drive


def windows(n: int, size: int, step: int) -> list[tuple[int, int]]:
    """The bounds of each window, before a judge that changes nothing."""
    bounds = []

    def answer(questions: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        ((*shown,),) = questions
        bounds.append((shown[0], shown[-1] + 1))
        return [tuple(range(len(shown)))]

    assert drive(listwise(range(n), size=size, step=step), answer) == list(range(n))
    return bounds


def test_a_hundred_items_take_nine_windows() -> None:
    expected = [(start, start + 20) for start in range(80, -1, -10)]
    assert windows(100, 20, 10) == expected


@pytest.mark.parametrize(
    ("n", "expected"),
    [(2, [(0, 2)]), (20, [(0, 20)]), (21, [(1, 21), (0, 11)]), (25, [(5, 25), (0, 15)])],
)
def test_the_last_window_begins_at_the_top(n: int, expected: list[tuple[int, int]]) -> None:
    assert windows(n, 20, 10) == expected


def test_windows_overlap_whatever_the_step() -> None:
    assert windows(9, 4, 50) == [(5, 9), (2, 6), (0, 3)]
    assert windows(3, 1, 0) == [(1, 3), (0, 2)]


def test_the_best_is_carried_to_the_top() -> None:
    def answer(questions: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        return [tuple(sorted(range(len(shown)), key=lambda i: -shown[i])) for shown in questions]

    ranking = drive(listwise(range(100), size=20, step=10), answer)
    assert ranking[:10] == list(range(99, 89, -1))
