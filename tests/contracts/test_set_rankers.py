"""What every pointwise, setwise and listwise method promises, whatever the answers."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from math import ceil, log, log2
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.journal.budget import Budget
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.base import Adapter
from rankprompt.judges.adapters.listwise import LikeliestLabelsFirst
from rankprompt.judges.adapters.pointwise import ExpectedGrade
from rankprompt.judges.adapters.setwise import Selected
from rankprompt.judges.simulated.single_order_oracle import SingleOrderOracle
from rankprompt.judges.single_order import SingleOrderJudge
from rankprompt.prompts.prompt import Prompt
from rankprompt.prompts.template import parse_template
from rankprompt.rankers import METHODS, PAIRWISE, Ranker, RankerSettings
from rankprompt.rankers.driver import drive
from rankprompt.rankers.reranking import rerank, rerank_concurrently
from rankprompt.types import (
    Candidates,
    Document,
    ListwiseQuestion,
    PointwiseQuestion,
    Query,
    Question,
    SetwiseQuestion,
)
from tests.fakes import FakeModel, FakeServer

SETS = [name for name in METHODS if name not in PAIRWISE]
every_method = pytest.mark.parametrize("name", SETS)
lightly = settings(max_examples=40)
SIZES = st.one_of(st.integers(0, 3), st.integers(4, 45))
KS = st.integers(-1, 16)
EMPTY = parse_template("")
GRADES = Prompt(
    "g", "grades", parse_template("{query} {passage}?"), EMPTY, (" yes", " so", " no"),
    grades=(2.0, 1.0, 0.0),
)  # fmt: skip
LABELLED = Prompt(
    "l", "listing", parse_template("{query} {passages}?"), EMPTY, (),
    passage=parse_template("[{label}] {passage}"), answer=parse_template("[{label}]"),
    labels="letters",
)  # fmt: skip
ADAPTERS: dict[type[Question], Adapter[Any]] = {
    PointwiseQuestion: ExpectedGrade(GRADES),
    SetwiseQuestion: Selected(LABELLED),
    ListwiseQuestion: LikeliestLabelsFirst(LABELLED),
}


def rank(
    ranker: Ranker, items: Sequence[int], answer: Callable[[tuple[int, ...]], Any]
) -> tuple[list[int], list[list[tuple[int, ...]]]]:
    """The ranking, and the rounds of questions."""
    rounds: list[list[tuple[int, ...]]] = []

    def answer_all(questions: Sequence[tuple[int, ...]]) -> list[Any]:
        rounds.append([tuple(question) for question in questions])
        return [answer(question) for question in questions]

    return drive(ranker(items), answer_all), rounds


def by_grade(name: str, grade: Callable[[int], float]) -> Callable[[tuple[int, ...]], Any]:
    """Answers by grades, in the form of the method's questions; ties keep the order shown."""

    def answer(shown: tuple[int, ...]) -> Any:
        grades = [grade(item) for item in shown]
        if METHODS[name].question is PointwiseQuestion:
            return grades[0]
        if METHODS[name].question is SetwiseQuestion:
            best = [grade == max(grades) for grade in grades]
            return tuple(is_best / sum(best) for is_best in best)
        return tuple(sorted(range(len(shown)), key=lambda index: -grades[index]))

    return answer


def at_random(name: str, random: Random) -> Callable[[tuple[int, ...]], Any]:
    """Answers that need not be consistent."""

    def answer(shown: tuple[int, ...]) -> Any:
        values = [random.choice([0.0, 0.5, 1.0, random.random()]) for _ in shown]
        if METHODS[name].question is PointwiseQuestion:
            return random.choice([None, values[0]])
        if METHODS[name].question is SetwiseQuestion:
            return tuple(values)
        return tuple(random.sample(range(len(shown)), len(shown)))

    return answer


def bound(name: str, n: int, k: int) -> int:
    """The most questions that a method may ask, with its default settings."""
    k = min(max(k, 0), n)
    passes = k * ceil(n / 3)
    return {
        "pointwise": n,
        "setwise-heapsort": n + k * ceil(log(max(n, 2), 3) + 1),
        "setwise-bubblesort": passes,
        # Every item may be inserted, for a question about a group and a binary search.
        "setwise-insertion": n + k * 6 + n * (2 + ceil(log2(max(k, 1)))),
        "listwise": 1 + ceil(n / 10),
        "tourrank": 2 * 20,
    }[name]


def depth(name: str, n: int, k: int) -> int:
    """The number of ranks from the top that are exact with a consistent judge."""
    exact = {"pointwise": n, "listwise": 10 if n > 20 else n, "tourrank": 0}
    return exact.get(name, min(max(k, 0), n))


@every_method
@lightly
@given(SIZES, KS, st.randoms(use_true_random=False))
def test_any_answers_give_a_permutation_within_the_bounds(
    name: str, n: int, k: int, random: Random
) -> None:
    items = random.sample(range(n), n)
    ranking, rounds = rank(
        METHODS[name].bind(RankerSettings(k, k, False)), items, at_random(name, random)
    )
    assert sorted(ranking) == list(range(n))
    assert ranking is not items
    questions = [shown for questions in rounds for shown in questions]
    assert len(questions) <= bound(name, n, k)
    assert all(rounds)
    assert all(len(set(shown)) == len(shown) for shown in questions)
    assert {item for shown in questions for item in shown} <= set(items)


@every_method
@lightly
@given(SIZES.flatmap(lambda n: st.lists(st.integers(0, 3), min_size=n, max_size=n)), KS)
def test_a_consistent_judge_gives_the_exact_top_and_ties_keep_the_first_stage_order(
    name: str, grades: list[int], k: int
) -> None:
    items = list(range(len(grades)))
    ranking, _ = rank(
        METHODS[name].bind(RankerSettings(k, k, False)),
        items,
        by_grade(name, lambda item: grades[item]),
    )
    top = depth(name, len(items), k)
    assert ranking[:top] == sorted(items, key=lambda item: -grades[item])[:top]


@every_method
@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_rank_asks_nothing(name: str, n: int) -> None:
    ranked = rank(
        METHODS[name].bind(RankerSettings(10, 10, False)), range(n), by_grade(name, float)
    )
    # A single item is graded, for its score.
    rounds = [[(0,)]] if n == 1 and name == "pointwise" else []
    assert ranked == (list(range(n)), rounds)


@every_method
@pytest.mark.parametrize("preferred", [0, 1])
def test_two_items_take_one_round(name: str, preferred: int) -> None:
    ranking, rounds = rank(
        METHODS[name].bind(RankerSettings(10, 10, False)),
        [0, 1],
        by_grade(name, lambda item: float(item == preferred)),
    )
    assert ranking == [preferred, 1 - preferred]
    assert len(rounds) == 1


@every_method
@pytest.mark.parametrize(("n", "k"), [(100, 10), (20, 5), (10, 10), (3, 3)])
def test_the_estimate_is_near_what_random_orders_cost(name: str, n: int, k: int) -> None:
    estimate = METHODS[name].estimate(n, RankerSettings(k, k))
    for seed in range(6):
        order = Random(seed).sample(range(n), n)
        _, rounds = rank(
            METHODS[name].bind(RankerSettings(k, k, False)),
            order,
            by_grade(name, lambda item: -item),
        )
        questions = sum(map(len, rounds))
        assert questions / 2 <= estimate <= questions * 2


# With judges: a query alone, in lock-step with others, and run independently

CANDIDATES = [
    Candidates(
        Query(f"q{q}", f"about {q}"),
        tuple(Document(f"d{q}-{rank}", f"words of {q} and {rank}") for rank in range(25)),
        tuple(float(-rank) for rank in range(25)),
    )
    for q in range(3)
]
QRELS = {f"q{q}": {f"d{q}-{rank}": rank * 7 % 4 for rank in range(25)} for q in range(3)}


def make(name: str) -> tuple[Ranker, type[Question]]:
    return METHODS[name].bind(RankerSettings(4, 4, False)), METHODS[name].question


@every_method
def test_alone_is_together_is_side_by_side(name: str) -> None:
    ranker, kind = make(name)

    async def rerank_by_server(journal: Journal) -> tuple[Any, SingleOrderJudge[Any]]:
        judge = SingleOrderJudge(ConcurrentCachedModel(FakeServer(), journal), ADAPTERS[kind])
        return await rerank_concurrently(
            CANDIDATES, judge.ask_concurrently, ranker, question=kind
        ), judge

    with (
        closing(Journal(None)) as first,
        closing(Journal(None)) as second,
        closing(Journal(None)) as third,
    ):
        judge = SingleOrderJudge(CachedModel(FakeModel(), first), ADAPTERS[kind])
        together = rerank(CANDIDATES, judge, ranker, question=kind)
        single = SingleOrderJudge(CachedModel(FakeModel(), second), ADAPTERS[kind])
        alone = [rerank([query], single, ranker, question=kind) for query in CANDIDATES]
        independent, server = asyncio.run(rerank_by_server(third))
        again = SingleOrderJudge(CachedModel(FakeModel(), first), ADAPTERS[kind])
        assert rerank(CANDIDATES, again, ranker, question=kind) == together
    assert independent == together
    assert together.rounds == max(reranked.rounds for reranked in alone)
    assert together.rankings == {
        query: ranking for reranked in alone for query, ranking in reranked.rankings.items()
    }
    assert server.diagnostics.summary() == judge.diagnostics.summary()
    assert (again.asked, again.cache_hits + again.repeated) == (
        0,
        judge.asked + judge.repeated,
    )


@every_method
def test_a_spent_budget_ends_with_a_ranking(name: str) -> None:
    ranker, kind = make(name)
    with closing(Journal(None)) as journal:
        cached = CachedModel(FakeModel(), journal, Budget(prompts=2))
        judge = SingleOrderJudge(cached, ADAPTERS[kind])
        reranked = rerank(CANDIDATES, judge, ranker, question=kind)
    assert judge.asked == cached.costs.prompts == 2
    assert judge.unasked > 0
    for query in CANDIDATES:
        ids = sorted(document.id for document in query.documents)
        assert sorted(reranked.rankings[query.query.id]) == ids


@every_method
def test_an_oracle_reads_the_grades_and_errs_by_the_seed(name: str) -> None:
    ranker, kind = make(name)

    def ranked(**settings: Any) -> dict[str, list[str]]:
        return rerank(
            CANDIDATES, SingleOrderOracle(QRELS, **settings), ranker, question=kind
        ).rankings

    def gain(rankings: dict[str, list[str]]) -> int:
        return sum(
            QRELS[query][document] for query, top in rankings.items() for document in top[:4]
        )

    first_stage = gain(
        {query.query.id: [document.id for document in query.documents] for query in CANDIDATES}
    )
    assert gain(ranked()) > first_stage
    assert ranked(noise=0.3, seed=1) == ranked(noise=0.3, seed=1)
    assert ranked(noise=0.3, seed=1) != ranked(noise=0.3, seed=2)
    assert gain(ranked(noise=0.9, seed=1)) < gain(ranked())
