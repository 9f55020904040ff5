"""What every pairwise method promises, whatever its settings and the answers."""

from collections.abc import Callable, Sequence
from inspect import GEN_CLOSED, getgeneratorstate
from itertools import chain
from math import log2
from random import Random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.rankers import METHODS, PAIRWISE, Ranker, RankerSettings
from rankprompt.rankers.coroutines import map_questions, merge
from rankprompt.rankers.driver import drive
from rankprompt.rankers.seeded_random import uniform

Pair = tuple[int, int]
Judge = Callable[[int, int], float]

every_method = pytest.mark.parametrize("name", PAIRWISE)
# With PRP-Graph no judge gives an exact top, and the teleport breaks ties.
every_sort = pytest.mark.parametrize("name", [name for name in PAIRWISE if name != "prp-graph"])
lightly = settings(max_examples=60)

# Sizes from 0 to 3 are frequent, and settings may be below 0 or above the size.
SIZES = st.one_of(st.integers(0, 3), st.integers(4, 13))
SETTINGS = st.tuples(st.integers(-1, 16), st.integers(-1, 16), st.booleans())
ORDERS = SIZES.flatmap(lambda n: st.permutations(range(n)))


def rank(ranker: Ranker, items: Sequence[int], judge: Judge) -> tuple[list[int], list[list[Pair]]]:
    """The ranking, and the rounds of pairs."""
    rounds: list[list[Pair]] = []

    def answer(pairs: Sequence[Pair]) -> list[float]:
        rounds.append(list(pairs))
        return [judge(*pair) for pair in pairs]

    return drive(ranker(items), answer), rounds


def flat(rounds: Sequence[Sequence[Pair]]) -> list[Pair]:
    return list(chain.from_iterable(rounds))


def depth(name: str, n: int, k: int, passes: int) -> int:
    """The number of ranks from the top that are exact with a consistent judge."""
    ranks = {"allpair": n, "sliding": passes, "pipelined": passes}.get(name, k)
    return min(max(ranks, 0), n)


def bound(name: str, n: int, k: int, passes: int) -> int:
    """The most comparisons that a method may make."""
    if name in ("sliding", "pipelined"):
        passes = depth(name, n, k, passes)
        return passes * (2 * n - passes - 1) // 2
    if name == "heapsort":
        return int(2 * n + 2 * depth(name, n, k, passes) * log2(max(n, 1)))
    return n * (n - 1) // 2


@every_method
@lightly
@given(ORDERS, SETTINGS, st.randoms(use_true_random=False))
def test_any_answers_give_a_permutation_within_the_bounds(
    name: str, items: list[int], setting: tuple[int, int, bool], random: Random
) -> None:
    # Answers need not be consistent: a pair that is asked again may get another answer.
    ranking, rounds = rank(
        METHODS[name].bind(RankerSettings(*setting)),
        items,
        lambda *_: random.choice([0, 0, 0.3, 0.5, 1, 1]),
    )
    assert sorted(ranking) == sorted(items)
    pairs = flat(rounds)
    assert len(pairs) <= bound(name, len(items), *setting[:2])
    assert all(rounds)
    assert all(first != second for first, second in pairs)
    assert {item for pair in pairs for item in pair} <= set(items)
    if name in ("allpair", "quickselect"):
        assert len({frozenset(pair) for pair in pairs}) == len(pairs)


@every_method
@pytest.mark.parametrize("always", [0.0, 0.5, 1.0])
def test_one_answer_to_everything_gives_a_permutation(name: str, always: float) -> None:
    ranking, rounds = rank(
        METHODS[name].bind(RankerSettings(10, 10, False)), range(60), lambda *_: always
    )
    assert sorted(ranking) == list(range(60))
    assert len(flat(rounds)) <= bound(name, 60, 10, 10)


@every_method
@lightly
@given(ORDERS, SETTINGS)
def test_the_items_are_left_as_they_were(
    name: str, items: list[int], setting: tuple[int, int, bool]
) -> None:
    before = list(items)
    ranking, _ = rank(
        METHODS[name].bind(RankerSettings(*setting)), items, lambda a, b: float(a < b)
    )
    assert items == before
    assert ranking is not items


@every_sort
@lightly
@given(SIZES.flatmap(lambda n: st.lists(st.integers(0, 3), min_size=n, max_size=n)), SETTINGS)
def test_a_consistent_judge_gives_the_exact_top_and_ties_keep_the_first_stage_order(
    name: str, grades: list[int], setting: tuple[int, int, bool]
) -> None:
    def judge(first: int, second: int) -> float:
        gap = grades[first] - grades[second]
        return 0.5 if gap == 0 else float(gap > 0)

    items = list(range(len(grades)))
    ranking, _ = rank(METHODS[name].bind(RankerSettings(*setting)), items, judge)
    exact = sorted(items, key=lambda item: -grades[item])
    top = depth(name, len(items), *setting[:2])
    assert ranking[:top] == exact[:top]
    if name in ("heapsort", "quickselect"):
        assert ranking[top:] == sorted(exact[top:])


@every_sort
@lightly
@given(ORDERS, SETTINGS)
def test_a_strict_order_gives_the_exact_top(
    name: str, items: list[int], setting: tuple[int, int, bool]
) -> None:
    ranking, _ = rank(
        METHODS[name].bind(RankerSettings(*setting)), items, lambda a, b: 0.6 if a < b else 0.4
    )
    top = depth(name, len(items), *setting[:2])
    assert ranking[:top] == list(range(top))


@every_sort
@lightly
@given(ORDERS, SETTINGS)
def test_a_judge_who_sees_only_ties_changes_nothing(
    name: str, items: list[int], setting: tuple[int, int, bool]
) -> None:
    assert rank(METHODS[name].bind(RankerSettings(*setting)), items, lambda *_: 0.5)[0] == items


@every_sort
def test_a_hundred_ties_change_nothing(name: str) -> None:
    items = list(range(100))
    assert (
        rank(METHODS[name].bind(RankerSettings(10, 10, False)), items, lambda *_: 0.5)[0] == items
    )


@every_method
@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_compare_asks_nothing(name: str, n: int) -> None:
    assert rank(METHODS[name].bind(RankerSettings(10, 10, False)), range(n), lambda *_: 1.0) == (
        list(range(n)),
        [],
    )


@every_method
@pytest.mark.parametrize("preferred", [0, 1])
def test_two_items_take_one_comparison(name: str, preferred: int) -> None:
    ranking, rounds = rank(
        METHODS[name].bind(RankerSettings(10, 10, False)),
        [0, 1],
        lambda first, _: float(first == preferred),
    )
    assert ranking == [preferred, 1 - preferred]
    assert len(rounds) == 1
    assert len(rounds[0]) == 1


@every_method
@pytest.mark.parametrize(("n", "k"), [(100, 10), (100, 100), (20, 5), (10, 10)])
def test_the_estimate_is_near_what_random_orders_cost(name: str, n: int, k: int) -> None:
    estimate = METHODS[name].estimate(n, RankerSettings(k, k))
    orders = [Random(seed).sample(range(n), n) for seed in range(12)]
    costs = [
        len(
            flat(
                rank(
                    METHODS[name].bind(RankerSettings(k, k, False)),
                    order,
                    lambda a, b: float(a < b),
                )[1]
            )
        )
        for order in orders
    ]
    assert mean(costs) / 2 <= estimate <= mean(costs) * 2
    if name in ("allpair", "sliding", "pipelined"):
        assert set(costs) == {estimate}


@every_method
def test_an_estimate_is_no_nonsense_for_small_sizes(name: str) -> None:
    for n in range(4):
        for k in (0, 1, 10):
            assert 0 <= METHODS[name].estimate(n, RankerSettings(k, k)) <= 12


def test_allpair_asks_a_hundred_items_4950_times_in_one_round() -> None:
    _, rounds = rank(
        METHODS["allpair"].bind(RankerSettings(10, 10, False)), range(100), lambda *_: 0.5
    )
    assert [len(pairs) for pairs in rounds] == [4950]


def by_seed(query: int, first: int, second: int) -> float:
    """Intransitive preferences with ties, a function of the query and the pair."""
    if first > second:
        return 1 - by_seed(query, second, first)
    return round(4 * uniform(query, str(first), str(second))) / 4


@every_method
@settings(max_examples=25)
@given(st.lists(ORDERS, max_size=5), SETTINGS)
def test_together_is_as_alone(
    name: str, queries: list[list[int]], setting: tuple[int, int, bool]
) -> None:
    ranker = METHODS[name].bind(RankerSettings(*setting))
    alone = [
        rank(ranker, items, lambda a, b, query=query: by_seed(query, a, b))  # type: ignore[misc]
        for query, items in enumerate(queries)
    ]
    compared: dict[int, list[Pair]] = {query: [] for query in range(len(queries))}
    rounds = 0

    def answer(questions: Sequence[tuple[int, int, int]]) -> list[float]:
        nonlocal rounds
        rounds += 1
        for query, first, second in questions:
            compared[query].append((first, second))
        return [by_seed(*question) for question in questions]

    generators = [
        map_questions(ranker(items), lambda pair, query=query: (query, *pair))  # type: ignore[misc]
        for query, items in enumerate(queries)
    ]
    assert drive(merge(generators), answer) == [ranking for ranking, _ in alone]
    assert list(compared.values()) == [flat(rounds_alone) for _, rounds_alone in alone]
    assert rounds == max((len(rounds_alone) for _, rounds_alone in alone), default=0)


@every_method
def test_a_failing_judge_closes_the_ranker(name: str) -> None:
    ranker = METHODS[name].bind(RankerSettings(5, 5, False))
    generators = [ranker(range(9)), ranker(range(7))]
    calls = 0

    def fail(pairs: Sequence[Pair]) -> list[float]:
        nonlocal calls
        calls += 1
        if calls == 2 or name == "allpair":
            raise ConnectionError("no model")
        return [1.0 for _ in pairs]

    with pytest.raises(ConnectionError, match="no model"):
        drive(merge(generators), fail)
    assert {getgeneratorstate(generator) for generator in generators} == {GEN_CLOSED}
