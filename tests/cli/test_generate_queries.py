"""``rankprompt generate-queries``: from documents to a file of queries."""

from pathlib import Path

import pytest

from rankprompt.files import read_qrels, read_queries
from tests.cli.conftest import Command
from tests.cli.refusals import refused

DOCS = (
    Path(__file__).parent.parent.parent / "rankprompt" / "datasets" / "sample" / "en" / "docs.jsonl"
)


def test_bad_input_is_one_line(command: Command, tmp_path: Path) -> None:
    out: list[object] = ["--docs", DOCS, "--output", tmp_path / "queries.tsv"]
    verb = "generate-queries"
    refused(command(verb, *out, "--number", 0), "--number must be at least 1")
    refused(command(verb, *out, "--prompt", "prp"), "--prompt prp: queries are written after")
    refused(command(verb, *out, "--model", "ms-marco-minilm-l12"), "a reranker writes no queries")
    refused(command(verb, "--docs", DOCS), "give --output")
    refused(command(verb, *out[2:]), "give --docs, or a --dataset")
    refused(command(verb, "--docs", DOCS, "--output", DOCS), "this input would be overwritten")
    assert not list(tmp_path.iterdir())


@pytest.mark.model
def test_queries_of_the_embedded_model_find_candidates(command: Command, tmp_path: Path) -> None:
    queries, qrels, bm25 = (tmp_path / name for name in ("q.tsv", "qrels.trec", "bm25.trec"))
    asked: list[object] = ["--docs", DOCS, "--number", 3, "--passage-tokens", 60]
    ran = command("generate-queries", *asked, "--output", queries, "--qrels", qrels)
    assert ran.code == 0, ran.err
    assert f"{queries}: 3 queries of " in ran.err
    written = read_queries(queries)
    assert len(written) == 3
    assert read_qrels(qrels).keys() == written.keys()
    ran = command("retrieve", "--queries", queries, "--docs", DOCS, "--output", bm25)
    assert ran.code == 0, ran.err
