"""The benchmark's short way to a simulation gives what a reranking gives."""

from pathlib import Path

import pytest

from benchmarks.rankers import report
from benchmarks.simulating import WAYS, Answers, Collection, K, Kept, Way, rank_sets, simulate
from rankprompt import Candidates, Document, Query, rerank
from rankprompt.judges.simulated.error_model import parse_error_model
from rankprompt.judges.simulated.pairwise_oracle import PairwiseOracle
from rankprompt.rankers import RankerSettings, method


@pytest.fixture
def collection() -> Collection:
    documents = tuple(Document(f"d{number:02}", "") for number in range(24))
    scores = tuple(-float(rank) for rank in range(24))
    queries = [Candidates(Query(name, name), documents, scores) for name in "pq"]
    qrels = {name: {f"d{n:02}": (n * place) % 4 for n in range(24)} for place, name in
             enumerate("pq", start=3)}  # fmt: skip
    return Collection("Toy", queries, qrels, seeds=2)


@pytest.mark.parametrize("way", [way for way in WAYS if way.order], ids=str)
def test_the_rankings_and_their_price_are_those_of_a_reranking(
    collection: Collection, way: Way
) -> None:
    name, order, budget = way
    errors = parse_error_model("gap,bias=0.2")
    judge = PairwiseOracle(collection.qrels, errors=errors, order=order or "", seed=1)
    ranker = method(name).bind(RankerSettings(K, K, False, budget))
    expected = rerank(collection.candidates, judge, ranker)
    answers = Answers(collection, "gap,bias=0.2", order or "", seed=1)
    rankings, comparisons, rounds = answers.rank(way)
    ids = [one.id for one in collection.candidates[0].documents]
    assert [[ids[i] for i in ranking] for ranking in rankings] == list(expected.rankings.values())
    assert (comparisons, rounds) == (judge.asked / 2, expected.rounds)


@pytest.mark.parametrize("way", [way for way in WAYS if not way.order], ids=str)
def test_other_questions_than_pairs_are_judged_by_the_same_models(
    collection: Collection, way: Way
) -> None:
    assert way.faces("gap")
    assert way.faces("flip=0.1")
    assert not way.faces("gap,bias=0.2")
    rankings, questions, rounds = rank_sets(collection, "perfect", 0, way)
    for one, ranking in zip(collection.candidates, rankings, strict=True):
        assert sorted(ranking) == list(range(len(one.documents)))
    assert questions >= 1
    assert rounds >= 1
    erring = collection.measure(rank_sets(collection, "gap=0.3", 0, way)[0])
    assert erring < collection.measure(rankings)


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
