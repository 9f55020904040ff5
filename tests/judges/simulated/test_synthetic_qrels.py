"""Synthetic qrels: how many documents they grade, and at which ranks."""

import pytest

from rankprompt.judges.simulated.synthetic_qrels import synthetic_qrels
from rankprompt.types import Candidates, Document, Query


def candidates(query: str, n: int) -> Candidates:
    documents = tuple(Document(f"d{i}", f"text {i}") for i in range(n))
    return Candidates(Query(query, "why"), documents, tuple(float(-i) for i in range(n)))


def test_synthetic_qrels_are_few_and_most_of_them_high_up() -> None:
    drawn = [synthetic_qrels(candidates(f"q{i}", 100), seed=1) for i in range(300)]
    relevant = [int(name[1:]) for grades in drawn for name in grades]
    assert len(relevant) / 300 == pytest.approx(9.3, abs=0.6)
    assert sum(rank < 1 for rank in relevant) / 300 == pytest.approx(0.5, abs=0.1)
    assert sum(rank >= 50 for rank in relevant) / 300 == pytest.approx(2.9, abs=0.4)
    each = [grade for grades in drawn for grade in grades.values()]
    assert {grade: each.count(grade) / len(each) for grade in set(each)} == pytest.approx(
        {1: 1 / 3, 2: 1 / 3, 3: 1 / 3}, abs=0.05
    )
    assert drawn[0] == synthetic_qrels(candidates("q0", 100), seed=1)
    assert drawn[0] != synthetic_qrels(candidates("q0", 100), seed=2)


def test_there_is_always_something_to_find() -> None:
    for seed in range(20):
        assert synthetic_qrels(candidates("q", 1), seed).keys() == {"d0"}
