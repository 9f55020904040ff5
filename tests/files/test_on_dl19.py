"""TREC DL 2019 from end to end."""

from pathlib import Path

import pytest

from rankprompt.datasets.candidates import build_candidates
from rankprompt.files import read_documents, read_qrels, read_queries, read_run, write_run


def test_trec_dl_2019(data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = data / "dl19"
    run = read_run(folder / "run.bm25.trec")
    queries = read_queries(folder / "queries.tsv")
    qrels = read_qrels(folder / "qrels.trec")
    wanted = {document for scores in run.values() for document in scores}
    documents = read_documents(folder / "docs.jsonl", wanted)
    candidates, skipped = build_candidates(run, queries, documents)
    assert len(candidates) == len(queries) == len(qrels) == 43
    assert {len(each.documents) for each in candidates} == {100}
    assert documents.keys() == wanted
    assert sum(map(len, qrels.values())) == 9260
    assert skipped == []
    assert caplog.messages == []

    rankings = {each.query.id: [document.id for document in each.documents] for each in candidates}
    write_run(tmp_path / "run.trec", rankings, "again")
    again = read_run(tmp_path / "run.trec")
    assert {query: list(scores) for query, scores in again.items()} == rankings
