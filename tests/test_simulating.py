"""The benchmark's short way to a simulation gives what a reranking gives."""

from pathlib import Path

import pytest

from benchmarks.rankers import report
from benchmarks.simulating import WAYS, Answers, Collection, K, Kept, simulate
from rankprompt import Candidates, Document, Query, rerank
from rankprompt.judge_models import parse_judge_model
from rankprompt.judges import OracleJudge
from rankprompt.sorting import method


@pytest.fixture
def collection() -> Collection:
    documents = tuple(Document(f"d{number:02}", "") for number in range(24))
    scores = tuple(-float(rank) for rank in range(24))
    queries = [Candidates(Query(name, name), documents, scores) for name in "pq"]
    qrels = {name: {f"d{n:02}": (n * place) % 4 for n in range(24)} for place, name in
             enumerate("pq", start=3)}  # fmt: skip
    return Collection("Toy", queries, qrels, seeds=2)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_rankings_and_their_price_are_those_of_a_reranking(
    collection: Collection, way: tuple[str, str, int | None]
) -> None:
    name, order, budget = way
    errors = parse_judge_model("gap,bias=0.2")
    judge = OracleJudge(collection.qrels, errors=errors, order=order, seed=1)
    ranker = method(name).ranker(K, K, False, budget)
    expected = rerank(collection.candidates, judge, ranker)
    answers = Answers(collection, "gap,bias=0.2", order, seed=1)
    rankings, comparisons, rounds = answers.rank(next(one for one in WAYS if one == way))
    ids = [one.id for one in collection.candidates[0].documents]
    assert [[ids[i] for i in ranking] for ranking in rankings] == list(expected.rankings.values())
    assert (comparisons, rounds) == (judge.asked / 2, expected.rounds)


def test_what_is_kept_is_not_simulated_again_and_is_reported(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.rankers.REPORT", tmp_path / "rankers.md")
    judges = ["perfect", "flip=0.2"]
    simulate([collection], judges, Kept(tmp_path / "kept.jsonl"))
    kept = Kept(tmp_path / "kept.jsonl")
    assert len(kept.found) == len(WAYS) * 3
    monkeypatch.setattr("benchmarks.simulating.Answers", None)
    simulate([collection], judges, kept)
    text = report([collection], judges, kept)
    assert "Seeds: flip=0.2 2." in text
    assert text.count("±") == len(WAYS)
    drawn = (tmp_path / "rankers-flip02.svg").read_bytes()
    report([collection], judges, kept)
    assert (tmp_path / "rankers-flip02.svg").read_bytes() == drawn
