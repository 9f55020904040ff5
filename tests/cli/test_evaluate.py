"""``rankprompt evaluate``."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Collection, Command


def test_bm25_of_dl19_scores_what_trec_eval_gives_it(command: Command, data: Path) -> None:
    folder = data / "dl19"
    run = folder / "run.bm25.trec"
    ran = command("evaluate", "--qrels", folder / "qrels.trec", run, "--measures", "ndcg@10")
    assert (ran.code, ran.err) == (0, "")
    header, _, row = ran.out.strip().splitlines()
    assert header.split() == ["run", "ndcg@10", "queries"]
    assert row.split() == [str(run), "0.5058", "43"]


def test_several_runs_stand_in_one_table_in_the_order_given(
    command: Command, collection: Collection
) -> None:
    command(*collection.rerank("--quiet"))
    words = ["--qrels", collection.qrels, "--measures", "mrr, P@1", collection.run]
    ran = command("evaluate", *words, collection.output)
    assert (ran.code, ran.err) == (0, "")
    header, _, first, second = ran.out.strip().splitlines()
    assert header.split() == ["run", "mrr", "precision@1", "queries"]
    # q1 has its first relevant document at 3, q2 at 2; reranked, both have it on top.
    assert first.split() == [str(collection.run), "0.4167", "0.0000", "2"]
    assert second.split() == [str(collection.output), "1.0000", "1.0000", "2"]


def test_the_usual_measures_come_unasked(command: Command, collection: Collection) -> None:
    ran = command("evaluate", "--qrels", collection.qrels, collection.run)
    header = ran.out.strip().splitlines()[0].split()
    assert header == ["run", "ndcg@10", "map", "mrr", "precision@10", "recall@100", "queries"]


def test_one_measure_under_two_names_is_one_column(
    command: Command, collection: Collection
) -> None:
    words = ["--measures", "ndcg@10 nDCG@10", "--measures", "ndcg_cut_10"]
    ran = command("evaluate", "--qrels", collection.qrels, collection.run, *words)
    assert ran.out.strip().splitlines()[0].split() == ["run", "ndcg@10", "queries"]


def test_json_holds_means_and_every_query(command: Command, collection: Collection) -> None:
    words = ["--measures", "mrr", "--json"]
    ran = command("evaluate", "--qrels", collection.qrels, collection.run, *words)
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == {
        "qrels": str(collection.qrels),
        "ties": "docid",
        "runs": [
            {
                "run": str(collection.run),
                "queries": 2,
                "missing": [],
                "unjudged_queries": [],
                "means": {"mrr": pytest.approx(5 / 12)},
                "by_query": {"mrr": {"q1": pytest.approx(1 / 3), "q2": 0.5}},
            }
        ],
    }


def test_queries_that_a_run_lacks_count_nothing_and_are_said(
    command: Command, collection: Collection
) -> None:
    collection.run.write_text("q2 Q0 d2 1 9 x\nq7 Q0 d2 1 9 x\n")
    words = ["--measures", "mrr", "--qrels", collection.qrels]
    ran = command("evaluate", *words, collection.run)
    assert ran.code == 0
    assert ran.out.strip().splitlines()[2].split() == [str(collection.run), "0.5000", "2"]
    assert ran.err == (
        f"rankprompt: {collection.run} shares 1 of 2 queries with the grades; "
        "the 1 that it lacks count 0.\n"
        "rankprompt: --shared scores only the 1 of 2 queries that the run has, as trec_eval "
        "without -c.\n"
        f"rankprompt: {collection.run} has 1 query without grades, left out.\n"
    )
    found = json.loads(command("evaluate", *words, "--json", collection.run).out)["runs"][0]
    assert (found["missing"], found["unjudged_queries"]) == (["q1"], ["q7"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--measures", "ngcd@10"], "unknown measure 'ngcd'; did you mean 'ndcg'?"),
        (["--measures", "recal"], "unknown measure 'recal'; did you mean 'recall'?"),
        (["--measures", "ndcg@0"], "measure 'ndcg@0': the cutoff must be 1 or more, not 0"),
        (["--measures", "precision"], "precision needs a cutoff, as in precision@10"),
    ],
)
def test_a_measure_that_is_none_is_refused(
    command: Command, collection: Collection, words: list[str], message: str
) -> None:
    ran = command("evaluate", "--qrels", collection.qrels, collection.run, *words)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_equal_scores_are_ordered_as_asked(command: Command, collection: Collection) -> None:
    # d3 is the relevant one: by document id it is third, by rank first, whatever the lines' order.
    collection.qrels.write_text("q1 0 d3 1\nq1 0 d1 0\n")
    collection.run.write_text(
        "q1 Q0 d5 2 1 x\nq1 Q0 d3 1 1 x\nq2 Q0 d1 1 1 x\nq1 Q0 d4 3 1.00000001 x\nq1 Q0 d1 9 0 x\n"
    )
    words = ["evaluate", "--qrels", collection.qrels, collection.run, "--measures", "mrr"]
    found = {}
    for ties in ("docid", "order"):
        ran = command(*words, "--ties", ties, "--json")
        assert ran.code == 0
        found[ties] = json.loads(ran.out)["runs"][0]["means"]["mrr"]
    # In the file d4 has the highest score, if only beyond single precision.
    assert found == {"docid": pytest.approx(1 / 3), "order": pytest.approx(1 / 2)}
    ran = command(*words, "--ties", "rank")
    assert (ran.code, ran.out) == (2, "")
    assert "unknown way to order ties 'rank'. Known: docid, order." in ran.err


def test_what_the_grades_cannot_support_is_said(command: Command, collection: Collection) -> None:
    collection.qrels.write_text("q1 0 d3 1\nq2 0 d2 1\n")
    words = ["--measures", "ndcg@10 map-l2 bpref judged@2"]
    ran = command("evaluate", "--qrels", collection.qrels, collection.run, *words)
    assert ran.code == 0
    assert ran.out.splitlines()[1].split()[:6] == [
        "run", "ndcg@10", "map-l2", "bpref", "judged@2", "queries",
    ]  # fmt: skip
    binary, one_sided, beyond = ran.err.splitlines()
    assert "The grades are binary: ndcg@10 can tell relevant documents from others" in binary
    assert "No document is judged not relevant, so bpref has nothing to prefer" in one_sided
    assert "No grade is as high as map-l2 asks for (the highest is 1)" in beyond


def test_few_queries_in_common_are_counted_and_warned_of(
    command: Command, collection: Collection
) -> None:
    collection.qrels.write_text("q1 0 d3 2\nx 0 d1 1\ny 0 d1 1\n")
    ran = command("evaluate", "--qrels", collection.qrels, collection.run)
    assert ran.code == 0
    assert "shares only 1 of 3 queries with the grades; the 2 that it lacks count 0." in ran.err
    assert "has 1 query without grades, left out." in ran.err


def test_a_bad_second_run_prints_nothing_of_the_first(
    command: Command, collection: Collection
) -> None:
    bad = collection.folder / "bad.trec"
    bad.write_text("q1 Q0 d1 1 4.5 x\nq1 Q0 d2 two 3.5 x\n")
    ran = command("evaluate", "--qrels", collection.qrels, collection.run, bad)
    assert (ran.code, ran.out) == (2, "")
    assert "bad.trec:2: expected a finite number as the rank, found 'two'" in ran.err


def test_runs_and_qrels_without_a_query_in_common_are_refused(
    command: Command, collection: Collection
) -> None:
    collection.qrels.write_text("query-1 0 d1 1\n")
    ran = command("evaluate", "--qrels", collection.qrels, collection.run)
    assert (ran.code, ran.out) == (2, "")
    assert f"{collection.run}: the query ids of the run and of the qrels do not match" in ran.err
    assert "none is in both (run: 'q1', 'q2'; qrels: 'query-1')" in ran.err


def test_without_a_run_it_says_what_is_missing(command: Command, collection: Collection) -> None:
    ran = command("evaluate", "--qrels", collection.qrels)
    assert (ran.code, ran.out) == (2, "")
    assert "Missing argument 'RUN...'" in ran.err
