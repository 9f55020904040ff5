from collections.abc import Sequence
from random import Random
from statistics import mean

from rankprompt.rankers import heapsort
from rankprompt.rankers.driver import drive


def cost(grades: list[int]) -> tuple[list[int], int, int]:
    """The ranking of the indices by their grades, the comparisons and the rounds."""
    rounds: list[int] = []

    def answer(pairs: Sequence[tuple[int, int]]) -> list[float]:
        rounds.append(len(pairs))
        gaps = [grades[first] - grades[second] for first, second in pairs]
        return [0.5 if gap == 0 else float(gap > 0) for gap in gaps]

    return drive(heapsort(range(len(grades)), k=10), answer), sum(rounds), len(rounds)


def test_the_top_ten_of_a_hundred_in_random_order_cost_some_270_comparisons() -> None:
    orders = [Random(seed).sample(range(100), 100) for seed in range(20)]
    assert 255 < mean(cost(order)[1] for order in orders) < 295


def test_the_sifts_of_a_level_share_their_rounds() -> None:
    _, comparisons, rounds = cost(Random(0).sample(range(100), 100))
    # Building the heap takes at most 2 rounds a level of a subtree: 2 + 4 + .. + 12, not about 190.
    assert comparisons - rounds > 100


def test_ties_keep_the_first_stage_order_at_the_top_and_below() -> None:
    ranking, _, _ = cost([0, 1, 0, 1, 0, 1] + [0] * 24)
    assert ranking == [1, 3, 5, 0, 2, 4, *range(6, 30)]
