from collections.abc import Sequence
from random import Random

from rankprompt.rankers import quickselect
from rankprompt.rankers.driver import drive


def test_partitions_that_do_not_touch_share_their_rounds() -> None:
    rounds: list[list[tuple[int, int]]] = []

    def lower(pairs: Sequence[tuple[int, int]]) -> list[float]:
        rounds.append(list(pairs))
        return [float(first < second) for first, second in pairs]

    assert drive(quickselect([2, 0, 1, 3, 6, 4, 5], k=7), lower) == list(range(7))
    # The pivot is the middle item, 3; then 0..2 and 4..6 are partitioned in the same round.
    # Of each pair, the item that was lower in the list comes first.
    assert rounds[0] == [(3, 2), (3, 0), (3, 1), (6, 3), (4, 3), (5, 3)]
    assert rounds[1] == [(0, 2), (1, 0), (4, 6), (5, 4)]


def test_the_top_ten_of_a_hundred_take_few_rounds_and_few_comparisons() -> None:
    rounds: list[int] = []

    def lower(pairs: Sequence[tuple[int, int]]) -> list[float]:
        rounds.append(len(pairs))
        return [float(first < second) for first, second in pairs]

    for seed in range(20):
        drive(quickselect(Random(seed).sample(range(100), 100), k=10), lower)
    assert len(rounds) / 20 < 15
    assert sum(rounds) / 20 < 300


def test_the_deepest_recursion_of_quicksort_breaks_nothing() -> None:
    # In reverse order, partitions for the top 1 remove two items at a time.
    items = list(range(1200))
    ranking = drive(
        quickselect(items, k=1),
        lambda pairs: [float(first > second) for first, second in pairs],
    )
    assert ranking == [1199, *range(1199)]
