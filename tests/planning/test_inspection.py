"""What a collection and its candidates hold."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rankprompt.datasets.plain_files import PlainCollection
from rankprompt.errors import InputError
from rankprompt.eval import parse_measure, score
from rankprompt.files import read_qrels, read_run
from rankprompt.planning.inspection import inspect_collection
from rankprompt.types import Qrels, Run

NDCG = parse_measure("ndcg@10")


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def ndcg(run: Run, qrels: Qrels) -> float:
    return score(run, qrels, [NDCG]).means[NDCG.name]


@pytest.fixture
def collection(tmp_path: Path) -> PlainCollection:
    (tmp_path / "queries.tsv").write_text("q1\ta b\nq2\tc\nq3\t \n")
    (tmp_path / "docs.tsv").write_text("d1\ta b c\nd2\ta b c\nd3\tx\nd4\t \nd5\tunused text\n")
    return PlainCollection(tmp_path / "queries.tsv", tmp_path / "docs.tsv")


RUN = {"q1": {"d1": 3.0, "d2": 2.0, "d3": 1.0}, "q2": {"d4": 2.0, "d9": 1.0}}
GRADES = {"q1": {"d3": 2, "d5": 1, "d1": 0}, "q2": {"d1": 1}, "q4": {"d1": 0, "d77": 0}}


def test_counts_lengths_and_what_is_missing(collection: PlainCollection) -> None:
    found = inspect_collection(collection, RUN, grades=GRADES, count=words, measure=ndcg)
    assert found["queries"] == 3
    assert found["blank_queries"] == 1
    assert found["query_tokens"] == {"mean": 1.0, "median": 1, "p95": 2, "longest": 2}
    assert (found["documents"], found["candidate_documents"]) == (5, 5)
    assert (found["unknown_documents"], found["blank_documents"]) == (1, 1)
    assert found["doubled_texts"] == 1
    assert found["document_tokens"] == {"mean": 1.75, "median": 3, "p95": 3, "longest": 3}
    assert found["candidates"] == {
        "queries": 2,
        "queries_without_text": 0,
        "queries_without_candidates": 1,
        "fewest": 2,
        "mean": 2.5,
        "most": 3,
    }
    assert found["grades"] == {
        "queries": 3,
        "queries_without_relevant": 1,
        "queries_without_text": 1,
        "unknown_documents": 1,
        "judged": 6,
        "by_grade": {"0": 3, "1": 2, "2": 1},
    }


def test_shares_and_ceilings_by_depth(collection: PlainCollection) -> None:
    found = inspect_collection(
        collection, RUN, grades=GRADES, count=words, measure=ndcg, depths=(2, 1, 100)
    )
    one, two, three = found["depths"]
    assert [one["depth"], two["depth"], three["depth"]] == [1, 2, 3]
    # d1 is judged for q1; of q2 nothing is; q4 has no candidates.
    assert one["judged_share"] == pytest.approx(1 / 2)
    assert two["judged_share"] == pytest.approx(1 / 4)
    assert three["judged_share"] == pytest.approx(2 / 5)
    assert [one["relevant"], three["relevant"]] == [0.0, pytest.approx(1 / 3)]
    assert [one["recall"], three["recall"]] == [0.0, pytest.approx((1 / 2 + 0) / 2)]
    # To depth 1 nothing moves: d3 stays third. To depth 3 it comes first.
    assert one["ceiling"] == pytest.approx(ndcg(RUN, GRADES))
    best = {"q1": {"d3": 9.0, "d1": 8.0, "d2": 7.0}, "q2": RUN["q2"]}
    assert three["ceiling"] == pytest.approx(ndcg(best, GRADES))
    assert three["ceiling"] > one["ceiling"]


def test_without_candidates_or_grades_the_documents_are_looked_at(
    collection: PlainCollection,
) -> None:
    found = inspect_collection(collection, None, grades=None, count=words, measure=ndcg)
    assert found["candidate_documents"] is None
    assert found["document_tokens"] is not None
    assert found["document_tokens"]["longest"] == 3
    assert not found.keys() & {"candidates", "grades", "depths"}


def test_a_run_of_other_queries_is_refused(collection: PlainCollection) -> None:
    with pytest.raises(InputError, match="no query of the run is among the queries of"):
        inspect_collection(collection, {"x": {"d1": 1.0}}, grades=None, count=words, measure=ndcg)


def test_the_ceiling_of_dl19_is_what_a_perfect_judge_reaches(data: Path) -> None:
    folder = data / "dl19"
    found = inspect_collection(
        PlainCollection(folder / "queries.tsv", folder / "docs.jsonl"),
        read_run(folder / "run.bm25.trec"),
        grades=read_qrels(folder / "qrels.trec"),
        count=words,
        measure=ndcg,
    )
    assert found["depths"][-1]["depth"] == 100
    assert found["depths"][-1]["ceiling"] == pytest.approx(0.8922, abs=5e-5)
