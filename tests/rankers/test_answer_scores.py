import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.judges.simulated.pairwise_oracle import PairwiseOracle
from rankprompt.judges.simulated.single_order_oracle import SingleOrderOracle
from rankprompt.rankers import METHODS, PAIRWISE, RankerSettings, allpair, pointwise
from rankprompt.rankers.driver import drive
from rankprompt.rankers.reranking import rerank
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import (
    Candidates,
    Document,
    FallbackPermutation,
    FallbackPreference,
    FallbackProbabilities,
    ListwiseQuestion,
    PairwiseQuestion,
    PointwiseQuestion,
    Query,
    Question,
    QuestionKind,
    SetwiseQuestion,
)


def candidates(number: int, query: str = "q") -> Candidates:
    documents = tuple(Document(f"d{index}", "text") for index in range(number))
    return Candidates(Query(query, "text"), documents, tuple(map(float, range(number, 0, -1))))


def chance(question: Question, *more: str) -> float:
    return uniform(0, *(document.id for document in question.documents), *more)


def erratic(questions: Sequence[Any]) -> list[Any]:
    """Answers of each kind that contradict each other."""
    answers: list[Any] = []
    for question in questions:
        names = [document.id for document in question.documents]
        if isinstance(question, PairwiseQuestion):
            answers.append(round(chance(question), 1))
        elif isinstance(question, PointwiseQuestion):
            grade = 10 * chance(question) - 5
            answers.append(None if grade > 4 else grade)
        elif isinstance(question, SetwiseQuestion):
            weights = [chance(question, name) for name in names]
            answers.append(tuple(weight / sum(weights) for weight in weights))
        else:
            order = sorted(range(len(names)), key=lambda index: chance(question, names[index]))
            answers.append(tuple(order))
    return answers


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15, deadline=None)
@given(number=st.integers(0, 30), k=st.integers(1, 12))
def test_every_methods_scores_follow_its_ranking_and_leave_it_alone(
    method: str, number: int, k: int
) -> None:
    entry = METHODS[method]
    ranker, query = entry.bind(RankerSettings(k)), candidates(number)
    reranked = rerank([query], erratic, ranker, question=entry.question)
    plain = drive(
        ranker(query.documents),
        lambda items: erratic([entry.question.of(query.query, item) for item in items]),
    )
    assert reranked.rankings["q"] == [document.id for document in plain]
    scores = reranked.scores["q"]
    assert list(scores) == reranked.rankings["q"]
    values = [one.score for one in scores.values()]
    assert values == sorted(values, reverse=True)
    assert all(0 <= value <= 1 for value in values)


def _in_place_of(answer: Any, kind: QuestionKind) -> Any:
    """The same judgment, as one that nobody has stated."""
    marks: dict[QuestionKind, Callable[[Any], Any]] = {
        PairwiseQuestion: FallbackPreference,
        SetwiseQuestion: FallbackProbabilities,
        ListwiseQuestion: FallbackPermutation,
    }
    return marks[kind](answer)


@pytest.mark.parametrize(
    "method", [name for name, entry in METHODS.items() if entry.question is not PointwiseQuestion]
)
@settings(max_examples=15, deadline=None)
@given(number=st.integers(0, 20), share=st.sampled_from([0.0, 0.3, 0.8, 1.0]))
def test_what_nobody_has_stated_ranks_but_scores_no_document(
    method: str, number: int, share: float
) -> None:
    entry = METHODS[method]
    judged: set[str] = set()

    def judge(questions: Sequence[Any]) -> list[Any]:
        answers = []
        for question, answer in zip(questions, erratic(questions), strict=True):
            if chance(question, "stated") < share:
                judged.update(document.id for document in question.documents)
                answers.append(answer)
            else:
                answers.append(_in_place_of(answer, entry.question))
        return answers

    ranker, query = entry.bind(RankerSettings(5)), candidates(number)
    found = rerank([query], judge, ranker, question=entry.question)
    plain = rerank([query], erratic, ranker, question=entry.question)
    assert found.rankings == plain.rankings
    scores = found.scores["q"]
    assert {name for name, one in scores.items() if one.value is not None} == judged
    if share == 1:
        assert found.scores == plain.scores


def test_the_win_probability_is_the_mean_over_the_other_candidates() -> None:
    strengths = {"d0": 0.0, "d1": 2.0, "d2": -1.0}

    def judge(questions: Sequence[Any]) -> list[float]:
        gaps = [strengths[one.first.id] - strengths[one.second.id] for one in questions]
        return [1 / (1 + math.exp(-gap)) for gap in gaps]

    scores = rerank([candidates(3)], judge, allpair).scores["q"]
    assert list(scores) == ["d1", "d0", "d2"]
    # A mean over all pairs is one half.
    assert sum(one.score for one in scores.values()) == pytest.approx(1.5, abs=1e-3)
    values = {name: one.value or 0.0 for name, one in scores.items()}
    expected = sum(1 / (1 + math.exp(values[other] - values["d1"])) for other in ("d0", "d2")) / 2
    assert scores["d1"].score == pytest.approx(expected)


def test_an_oracles_winner_wins_nearly_always_and_ties_score_one_half() -> None:
    grades = {"q": {f"d{index}": index for index in range(12)}}
    scores = rerank([candidates(12)], PairwiseOracle(grades), allpair).scores["q"]
    first, *_, last = scores.values()
    assert first.score > 0.9
    assert last.score < 0.1
    tied = rerank([candidates(6)], PairwiseOracle({"q": {}}), allpair).scores["q"]
    assert {one.score for one in tied.values()} == {0.5}
    assert {one.value for one in tied.values()} == {0.0}


def test_grades_become_probabilities_where_the_judge_says_how() -> None:
    grades = {"d0": 1.0, "d1": 3.0, "d2": None, "d3": 0.0}

    def judge(questions: Sequence[Any]) -> list[float | None]:
        return [grades[question.document.id] for question in questions]

    def third(grade: float) -> float:
        return grade / 3

    query = [candidates(4)]
    scores = rerank(query, judge, pointwise, question=PointwiseQuestion, probability=third).scores
    # d2 could not be read: it keeps its position, and scores as the document below.
    assert [(name, round(one.score, 3), one.value) for name, one in scores["q"].items()] == [
        ("d1", 1.0, 3.0), ("d0", 0.333, 1.0), ("d2", 0.0, None), ("d3", 0.0, 0.0),
    ]  # fmt: skip
    scores = rerank(query, judge, pointwise, question=PointwiseQuestion).scores
    assert [one.score for one in scores["q"].values()] == [1.0, 0.5, 0.0, 0.0]


def test_a_single_document_is_graded_and_a_pair_of_none_is_not_asked() -> None:
    oracle = SingleOrderOracle({"q": {"d0": 2}, "other": {"x": 4}})
    alone = rerank(
        [candidates(1)], oracle, pointwise, question=PointwiseQuestion,
        probability=oracle.probability,
    )  # fmt: skip
    assert alone.scores == {"q": {"d0": (0.5, 2.0)}}
    assert rerank([candidates(1)], PairwiseOracle({}), allpair).scores == {"q": {"d0": (0.0, None)}}


def test_selections_score_by_the_share_of_the_sets_that_showed_a_document() -> None:
    def ranker(items: Sequence[Any]) -> Any:
        a, b, c = items
        yield [(a, b), (a, c)]
        return [a, b, c]

    def judge(questions: Sequence[Any]) -> list[tuple[float, ...]]:
        return [(0.75, 0.25) if one.documents[1].id == "d1" else (1.0, 0.0) for one in questions]

    scores = rerank([candidates(3)], judge, ranker, question=SetwiseQuestion).scores["q"]
    assert scores == {"d0": (0.875, 0.875), "d1": (0.25, 0.25), "d2": (0.0, 0.0)}


def test_listings_score_by_the_share_of_documents_below() -> None:
    def ranker(items: Sequence[Any]) -> Any:
        yield [tuple(items[:3]), tuple(items[2:])]
        return [items[1], items[0], items[2], items[3]]

    def judge(questions: Sequence[Any]) -> list[tuple[int, ...]]:
        return [(1, 0, 2) if len(one.documents) == 3 else (0, 1) for one in questions]

    scores = rerank([candidates(4)], judge, ranker, question=ListwiseQuestion).scores["q"]
    # d2 was ranked above one of the three documents that were shown with it.
    assert [(name, round(one.score, 3)) for name, one in scores.items()] == [
        ("d1", 1.0), ("d0", 0.5), ("d2", 0.333), ("d3", 0.0),
    ]  # fmt: skip


def test_a_calibration_takes_the_place_of_the_win_probability() -> None:
    grades = {"q": {"d1": 1}}
    judge = PairwiseOracle(grades)
    scores = rerank(
        [candidates(3)], judge, allpair, probability=lambda value: 0.2 if value > 0 else 0.1
    )
    assert [one.score for one in scores.scores["q"].values()] == [0.2, 0.1, 0.1]


@pytest.mark.parametrize("method", ["heapsort", "sliding"])
def test_scores_cost_little_even_of_a_thousand_documents(method: str) -> None:
    assert method in PAIRWISE
    judge = PairwiseOracle({"q": {f"d{index}": index % 4 for index in range(1000)}})
    started = time.process_time()
    rerank([candidates(1000)], judge, METHODS[method].bind(RankerSettings(10)))
    assert time.process_time() - started < 5
