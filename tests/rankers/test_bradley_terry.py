from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt import Candidates, Document, Query, rerank
from rankprompt.eval import parse_measure, score
from rankprompt.files import read_qrels, read_run
from rankprompt.judges.simulated.pairwise_oracle import PairwiseOracle
from rankprompt.rankers import METHODS, RankerSettings, bradley_terry
from rankprompt.rankers.driver import drive
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Qrels

Pair = tuple[int, int]


def rank(
    items: Sequence[int], judge: Callable[[int, int], float], **settings: float | None
) -> tuple[list[int], list[list[Pair]]]:
    rounds: list[list[Pair]] = []

    def answer(pairs: Sequence[Pair]) -> list[float]:
        rounds.append(list(pairs))
        return [judge(*pair) for pair in pairs]

    return drive(bradley_terry(items, **{"k": 10, **settings}), answer), rounds  # type: ignore[arg-type]


def lower(first: int, second: int) -> float:
    return float(first < second)


def intransitive(first: int, second: int) -> float:
    """The random preference of a judge that answers a pair alike each time."""
    if first > second:
        return 1 - intransitive(second, first)
    return float(uniform(0, str(first), str(second)) < 0.5)


ITEMS = st.integers(0, 45).flatmap(lambda n: st.permutations(range(n)))


@settings(max_examples=60)
@given(ITEMS, st.integers(-1, 50), st.integers(-5, 300), st.sampled_from([0.0, 1.0, 5.0]))
def test_an_intransitive_judge_ends_within_the_budget_and_is_asked_no_pair_twice(
    items: list[int], k: int, budget: int, prior: float
) -> None:
    ranking, rounds = rank(items, intransitive, k=k, budget=budget, prior=prior)
    assert sorted(ranking) == sorted(items)
    compared = list(chain.from_iterable(rounds))
    pairs = len(items) * (len(items) - 1) // 2
    assert len(compared) == (min(max(budget, 0), pairs) if k > 0 else 0)
    assert len({frozenset(pair) for pair in compared}) == len(compared)
    for round_pairs in rounds:
        assert max(Counter(chain.from_iterable(round_pairs)).values()) == 1
    assert rank(items, intransitive, k=k, budget=budget, prior=prior) == (ranking, rounds)


@pytest.mark.parametrize("prior", [0.0, 1.0])
@pytest.mark.parametrize("n", [20, 50, 100])
def test_a_consistent_judge_gives_the_top_of_a_random_order_but_for_near_ones(
    n: int, prior: float
) -> None:
    for seed in range(3):
        ranking, _ = rank(Random(seed).sample(range(n), n), lower, prior=prior)
        assert len(set(ranking[:10]) & set(range(10))) >= 9
        assert max(abs(position - item) for position, item in enumerate(ranking[:10])) <= 3


def test_asked_about_every_pair_a_consistent_judge_gives_the_exact_order() -> None:
    for seed in range(3):
        items = Random(seed).sample(range(40), 40)
        assert rank(items, lower, budget=10**6)[0] == list(range(40))


def test_a_hundred_items_take_700_comparisons_in_some_tens_of_rounds() -> None:
    _, rounds = rank(range(100), intransitive)
    assert (
        sum(map(len, rounds))
        == METHODS["bradley-terry"].estimate(100, RankerSettings(10, 10))
        == 700
    )
    assert len(rounds) < 50
    # Late in a field, an item or two may have met all free opponents.
    assert all(48 <= len(pairs) <= 50 for pairs in rounds[:7])


def test_a_small_budget_is_spent_at_the_top_and_leaves_the_rest_in_order() -> None:
    ranking, rounds = rank(range(100), lambda first, second: float(first > second), budget=5)
    assert rounds == [[(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]]
    assert ranking == [1, 3, 5, 7, 9, *range(10, 100), 0, 2, 4, 6, 8]


@pytest.mark.parametrize("budget", [0, 1, 60, 400, 1500])
def test_ties_change_nothing_whatever_the_budget(budget: int) -> None:
    assert rank(range(70), lambda *_: 0.5, budget=budget)[0] == list(range(70))


def test_a_soft_preference_counts_as_much_as_it_is_sure() -> None:
    def judge(certainty: float) -> Callable[[int, int], float]:
        return lambda first, second: {(0, 1): certainty, (1, 2): 0.7, (0, 2): 0.5}[first, second]

    assert rank([0, 1, 2], judge(0.5))[0] == [1, 0, 2]
    assert rank([0, 1, 2], judge(0.9))[0] == [0, 1, 2]


def test_certainty_stops_before_the_budget_and_later_where_more_is_wanted() -> None:
    items = Random(0).sample(range(100), 100)
    spent = [
        sum(map(len, rank(items, lower, budget=3000, certainty=certainty)[1]))
        for certainty in (0.6, 0.75, None)
    ]
    assert spent[0] < spent[1] < spent[2] == 3000


def test_the_prior_decides_who_plays_whom_first() -> None:
    _, with_prior = rank(range(40), intransitive, prior=5)
    _, without = rank(range(40), intransitive, prior=0)
    assert with_prior[0] == without[0] == [(i, i + 1) for i in range(0, 40, 2)]
    assert with_prior[1] != without[1]


@pytest.mark.parametrize(("noise", "least"), [(0.0, 0.89), (0.1, 0.88), (0.2, 0.86)])
def test_a_judge_that_errs_costs_little_on_dl19(data: Path, noise: float, least: float) -> None:
    qrels: Qrels = read_qrels(data / "dl19" / "qrels.trec")
    candidates = [
        Candidates(
            Query(query, ""),
            tuple(Document(name, "") for name in scores),
            tuple(scores.values()),
        )
        for query, scores in read_run(data / "dl19" / "run.bm25.trec").items()
    ]
    judge = PairwiseOracle(qrels, noise=noise)
    rankings = rerank(candidates, judge, partial(bradley_terry, k=10)).rankings
    ranked = {
        query: {name: float(-position) for position, name in enumerate(names)}
        for query, names in rankings.items()
    }
    assert judge.asked == 700 * len(candidates)
    measure = parse_measure("ndcg@10")
    assert score(ranked, qrels, [measure]).means[measure.name] >= least
