"""The benchmark's fast simulation gives the same rankings and costs as a reranking."""

from pathlib import Path

import pytest

from benchmarks.rankers import report
from benchmarks.simulating import (
    VARIANTS,
    Answers,
    Collection,
    K,
    Results,
    Variant,
    rank_sets,
    simulate,
)
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


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant.order], ids=str)
def test_the_rankings_and_their_price_are_those_of_a_reranking(
    collection: Collection, variant: Variant
) -> None:
    name, order, budget = variant
    errors = parse_error_model("gap,bias=0.2")
    judge = PairwiseOracle(collection.qrels, errors=errors, order=order or "", seed=1)
    ranker = method(name).bind(RankerSettings(K, K, False, budget))
    expected = rerank(collection.candidates, judge, ranker)
    answers = Answers(collection, "gap,bias=0.2", order or "", seed=1)
    rankings, comparisons, rounds = answers.rank(variant)
    ids = [one.id for one in collection.candidates[0].documents]
    assert [[ids[i] for i in ranking] for ranking in rankings] == list(expected.rankings.values())
    assert (comparisons, rounds) == (judge.asked / 2, expected.rounds)


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if not variant.order], ids=str)
def test_other_questions_than_pairs_are_judged_by_the_same_models(
    collection: Collection, variant: Variant
) -> None:
    assert variant.applies_to("gap")
    assert variant.applies_to("flip=0.1")
    assert not variant.applies_to("gap,bias=0.2")
    rankings, questions, rounds = rank_sets(collection, "perfect", 0, variant)
    for one, ranking in zip(collection.candidates, rankings, strict=True):
        assert sorted(ranking) == list(range(len(one.documents)))
    assert questions >= 1
    assert rounds >= 1
    erring = collection.measure(rank_sets(collection, "gap=0.3", 0, variant)[0])
    assert erring < collection.measure(rankings)


def test_what_is_kept_is_not_simulated_again_and_is_reported(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.rankers.REPORT", tmp_path / "rankers.md")
    judges = ["perfect", "flip=0.2"]
    simulate([collection], judges, Results(tmp_path / "results.jsonl"))
    results = Results(tmp_path / "results.jsonl")
    assert len(results.by_key) == len(VARIANTS) * 3
    monkeypatch.setattr("benchmarks.simulating.Answers", None)
    simulate([collection], judges, results)
    text = report([collection], judges, results)
    assert "Seeds: flip=0.2 2." in text
    assert text.count("±") == len(VARIANTS)
    drawn = (tmp_path / "rankers-flip02.svg").read_bytes()
    report([collection], judges, results)
    assert (tmp_path / "rankers-flip02.svg").read_bytes() == drawn
