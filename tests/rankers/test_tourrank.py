from collections.abc import Sequence

import pytest

from rankprompt.rankers import METHODS, RankerSettings, tourrank
from rankprompt.rankers.driver import drive


def play(n: int, **settings: int) -> tuple[list[int], list[list[tuple[int, ...]]]]:
    """The ranking by a judge that prefers large numbers, and the rounds."""
    rounds: list[list[tuple[int, ...]]] = []

    def answer(questions: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        rounds.append(list(questions))
        return [tuple(sorted(range(len(group)), key=lambda i: -group[i])) for group in questions]

    return drive(tourrank(range(n), **settings), answer), rounds


def test_a_hundred_items_play_the_papers_five_stages() -> None:
    ranking, rounds = play(100, tournaments=1)
    assert [[len(group) for group in groups] for groups in rounds] == [
        [20] * 5, [10] * 5, [20], [10], [5],
    ]  # fmt: skip
    assert METHODS["tourrank"].estimate(100, RankerSettings(10, 10)) == 26
    # The survivors of every stage precede the items that it eliminated.
    for count in (2, 5, 10, 20, 50):
        assert set(ranking[:count]) == set(range(100 - count, 100))
    # Equal points keep the first stage's order.
    assert ranking[:5] == [98, 99, 95, 96, 97]


def test_items_are_dealt_in_turn_and_shown_in_another_order_each_time() -> None:
    _, rounds = play(100, tournaments=2)
    first, second = rounds[0][:5], rounds[0][5:]
    assert [sorted(group) for group in first] == [list(range(i, 100, 5)) for i in range(5)]
    assert [set(group) for group in first] == [set(group) for group in second]
    assert first != second
    assert play(100, tournaments=2)[1] == rounds
    assert play(100, tournaments=2, seed=1)[1] != rounds
    # Tournaments share their rounds.
    assert len(rounds) == 5


@pytest.mark.parametrize("n", [2, 3, 7, 21, 26, 45, 130])
@pytest.mark.parametrize("size", [2, 5, 20])
def test_groups_are_no_larger_than_asked_for_and_counted_before(n: int, size: int) -> None:
    ranking, rounds = play(n, size=size, tournaments=3)
    assert sorted(ranking) == list(range(n))
    groups = [group for questions in rounds for group in questions]
    assert max(map(len, groups)) <= size
    estimate = METHODS["tourrank"].estimate(n, RankerSettings(set_size=size, tournaments=3))
    assert len(groups) == estimate
