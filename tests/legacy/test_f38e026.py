"""Files that commit f38e026 wrote are read by today's code."""

import json
import shutil
from contextlib import closing
from hashlib import blake2b
from itertools import combinations
from pathlib import Path

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.files import format_run, read_documents, read_queries, read_run, write_run
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import Choice
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.pipeline.config_file import load_manifest
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.retrieval import bm25
from rankprompt.types import Document, PairwiseQuestion, Query
from tests.fakes import PROMPT, FakeModel

GOLDEN = Path(__file__).parent / "golden"


def test_a_journal_answers_without_a_prompt(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "pairs.journal", tmp_path)
    documents = [Document(f"d{number}", f"text {number}") for number in range(8)]
    questions = [
        PairwiseQuestion(Query("q", "which one"), first, second)
        for first, second in combinations(documents, 2)
    ]
    model = FakeModel()
    with closing(Journal(tmp_path / "pairs.journal")) as journal:
        judge = PairwiseJudge(CachedModel(model, journal), Choice(PROMPT))
        preferences = judge(questions)
        assert journal.set_aside is None
    assert preferences == json.loads((GOLDEN / "pairs.json").read_text())
    assert (model.prompts, judge.cache_hits) == ([], len(questions))


def test_a_manifest_makes_its_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("queries.tsv", "docs.jsonl", "qrels.trec"):
        shutil.copy(sample("en") / name, tmp_path)
    first = bm25(read_queries("queries.tsv"), read_documents("docs.jsonl"), depth=10)
    write_run("bm25.trec", {query: list(scores) for query, scores in first.items()}, tag="bm25")
    config = load_manifest(GOLDEN / "manifest.json")
    assert (config.ranker.method, config.ranker.k) == ("setwise-heapsort", 5)
    made = run_rerank(config)
    before = json.loads((GOLDEN / "manifest.json").read_text())
    # That commit wrote the scores n, n-1, ..., 1: with them, the run is the same to the byte.
    assert config.output.run is not None
    ranked = {query: list(scores) for query, scores in read_run(config.output.run).items()}
    digest = blake2b(format_run(ranked, "rankprompt").encode(), digest_size=16).hexdigest()
    assert {**made["output"], "blake2b": digest} == before["output"]
    assert made["inputs"] == before["inputs"]
