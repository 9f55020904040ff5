from collections import Counter
from collections.abc import Sequence
from itertools import chain
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.rankers import METHODS, RankerSettings
from rankprompt.rankers.base import prefers
from rankprompt.rankers.driver import drive
from rankprompt.rankers.seeded_random import uniform

Pair = tuple[int, int]


def ranked(
    name: str, items: list[int], passes: int, *, seed: int, ties: float, early_exit: bool = False
) -> tuple[list[int], list[list[Pair]]]:
    """The ranking and the rounds before a judge with intransitive answers and ties."""
    rounds: list[list[Pair]] = []

    def judge(first: int, second: int) -> float:
        if first > second:
            return 1 - judge(second, first)
        if uniform(seed, "tie", str(first), str(second)) < ties:
            return 0.5
        return float(uniform(seed, "win", str(first), str(second)) < 0.5)

    def answer(pairs: Sequence[Pair]) -> list[float]:
        rounds.append(list(pairs))
        return [judge(*pair) for pair in pairs]

    return drive(METHODS[name].bind(RankerSettings(10, passes, early_exit))(items), answer), rounds


ITEMS = st.integers(0, 14).flatmap(lambda n: st.permutations(range(n)))
PASSES = st.integers(0, 16)
SEEDS = st.integers(0, 10**6)
TIES = st.sampled_from([0.0, 0.3, 0.8, 0.95])


@settings(max_examples=300)
@given(ITEMS, PASSES, SEEDS, TIES)
def test_the_overlapping_passes_ask_and_rank_as_the_plain_ones(
    items: list[int], passes: int, seed: int, ties: float
) -> None:
    plain, plain_rounds = ranked("sliding", items, passes, seed=seed, ties=ties)
    ranking, overlapping = ranked("pipelined", items, passes, seed=seed, ties=ties)
    assert ranking == plain
    assert Counter(chain.from_iterable(overlapping)) == Counter(chain.from_iterable(plain_rounds))
    assert all(len(pairs) == 1 for pairs in plain_rounds)
    for pairs in overlapping:
        members = [item for pair in pairs for item in pair]
        assert len(set(members)) == len(members)


@settings(max_examples=300)
@given(ITEMS, PASSES, SEEDS, TIES)
def test_an_early_exit_changes_no_ranking_and_asks_no_more(
    items: list[int], passes: int, seed: int, ties: float
) -> None:
    plain, _ = ranked("sliding", items, passes, seed=seed, ties=ties)
    for name in ("sliding", "pipelined"):
        _, rounds = ranked(name, items, passes, seed=seed, ties=ties)
        early, early_rounds = ranked(name, items, passes, seed=seed, ties=ties, early_exit=True)
        assert early == plain
        # The rounds before the exit are those of the plain method.
        assert early_rounds == rounds[: len(early_rounds)]


@pytest.mark.parametrize(
    ("name", "comparisons"),
    # Plain passes stop after the first; overlapping ones have begun nine more by then.
    [("sliding", 99), ("pipelined", sum(99 - 2 * p for p in range(10)))],
)
def test_an_early_exit_stops_as_soon_as_a_pass_swaps_nothing(name: str, comparisons: int) -> None:
    _, rounds = ranked(name, list(range(100)), 10, seed=0, ties=1.0, early_exit=True)
    assert len(rounds) == 99
    assert sum(map(len, rounds)) == comparisons


def test_an_early_exit_waits_for_a_whole_pass_without_a_swap() -> None:
    def higher(pairs: Sequence[Pair]) -> list[float]:
        return [float(first > second) for first, second in pairs]

    # The first pass swaps at its first comparison only.
    for name in ("sliding", "pipelined"):
        assert drive(METHODS[name].bind(RankerSettings(0, 9, True))([9, 8, 7, 5, 6]), higher) == [
            9,
            8,
            7,
            6,
            5,
        ]
        assert drive(METHODS[name].bind(RankerSettings(0, 9, True))([5, 6, 7, 8, 9]), higher) == [
            9,
            8,
            7,
            6,
            5,
        ]


def test_ten_passes_over_a_hundred_take_108_rounds_in_place_of_945() -> None:
    items = Random(0).sample(range(100), 100)
    plain, plain_rounds = ranked("sliding", items, 10, seed=1, ties=0.1)
    ranking, overlapping = ranked("pipelined", items, 10, seed=1, ties=0.1)
    assert ranking == plain
    assert len(plain_rounds) == sum(map(len, overlapping)) == 10 * (2 * 100 - 10 - 1) // 2 == 945
    assert len(overlapping) == 108


@pytest.mark.parametrize(
    ("preference", "preferred"), [(0.0, False), (0.5, False), (0.500001, True), (1.0, True)]
)
def test_a_passage_is_preferred_only_strictly(preference: float, preferred: bool) -> None:
    assert drive(prefers("a", "b"), lambda _: [preference]) is preferred
