"""A job's candidates, block by block."""

import json
import logging
import os
import threading
from functools import partial
from pathlib import Path

import pytest

from rankprompt.errors import FormatError, InputError, MissingTextError
from rankprompt.files import read_run
from rankprompt.pipeline.candidate_source import CandidateSource
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.passages import open_cascade
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.pipeline.validation import validate
from rankprompt.types import Candidates
from tests.configs import change, configure

QUERIES = [f"q{number}" for number in range(7)]


@pytest.fixture
def job(tmp_path: Path) -> RerankConfig:
    """Seven queries of four documents, whose grades turn the first stage round."""
    (tmp_path / "queries.tsv").write_text("".join(f"{q}\ttext of {q}\n" for q in QUERIES))
    names = [f"d{number}" for number in range(4)]
    (tmp_path / "docs.tsv").write_text("".join(f"{d}\tabout {d}\n" for d in names))
    lines = [f"{q} Q0 {d} {i + 1} {9 - i} x\n" for q in QUERIES for i, d in enumerate(names)]
    (tmp_path / "run.trec").write_text("".join(lines))
    grades = [f"{q} 0 {d} {i}\n" for q in QUERIES for i, d in enumerate(names)]
    (tmp_path / "qrels.trec").write_text("".join(grades))
    return configure(
        run=tmp_path / "run.trec",
        queries=tmp_path / "queries.tsv",
        docs=tmp_path / "docs.tsv",
        output=tmp_path / "out.trec",
        model=f"oracle:{tmp_path / 'qrels.trec'}",
        method="allpair",
    )


def source_of(job: RerankConfig, block: int = 1000) -> CandidateSource:
    return CandidateSource(validate(job), block=block)


def run_of(job: RerankConfig) -> Path:
    assert job.data.run is not None
    return job.data.run


def output_of(job: RerankConfig) -> Path:
    assert job.output.run is not None
    return job.output.run


def queries_of(job: RerankConfig) -> Path:
    assert job.data.queries is not None
    return job.data.queries


@pytest.mark.parametrize("block", [1, 2, 3, 7, 8])
def test_blocks_hold_each_query_once_in_order_and_can_be_drawn_again(
    job: RerankConfig, block: int
) -> None:
    source = source_of(job, block)
    for _ in range(2):
        blocks = list(source.blocks())
        assert [query for one in blocks for query in one.run] == QUERIES
        assert [one.query.id for part in blocks for one in part.candidates] == QUERIES
        assert all(len(one.run) <= block for one in blocks)
    assert (source.queries, source.documents) == (7, 28)
    assert (source.skipped, source.questions) == (0, 42)


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_a_run_made_in_blocks_is_the_run_made_at_once(
    job: RerankConfig, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_rerank(job)
    whole = output_of(job).read_bytes()
    before = json.loads(output_of(job).with_suffix(".json").read_text())
    smaller = partial(CandidateSource, block=block)
    monkeypatch.setattr("rankprompt.pipeline.rerank.CandidateSource", smaller)
    manifest = run_rerank(job)
    assert output_of(job).read_bytes() == whole
    assert list(read_run(output_of(job))["q3"]) == ["d3", "d2", "d1", "d0"]
    for name in ("queries", "documents", "diagnostics", "passages_cut"):
        assert manifest[name] == before[name]
    costs = ("comparisons_asked", "rounds")
    assert [manifest["costs"][one] for one in costs] == [before["costs"][one] for one in costs]


def test_a_run_whose_queries_stand_apart_is_read_whole(job: RerankConfig) -> None:
    lines = run_of(job).read_text().splitlines(keepends=True)
    run_of(job).write_text("".join(sorted(lines, key=lambda line: line.split()[3])))
    source = source_of(job, 2)
    assert [query for one in source.blocks() for query in one.run] == QUERIES
    assert source.documents == 28


def test_a_pipe_is_read_once(job: RerankConfig, tmp_path: Path) -> None:
    text = run_of(job).read_text()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    source = source_of(change(job, run=pipe), 2)
    writer.join()
    assert [query for one in source.blocks() for query in one.run] == QUERIES


def test_warnings_are_told_once(job: RerankConfig, caplog: pytest.LogCaptureFixture) -> None:
    with queries_of(job).open("a") as file:
        file.write("q9\tnobody ranks this\n")
    with run_of(job).open("a") as file:
        file.write("q8 Q0 d0 2 9 x\nq8 Q0 d1 1 8 x\n")
    with queries_of(job).open("a") as file:
        file.write("q8\ttext\n")
    with caplog.at_level(logging.WARNING):
        source = source_of(job, 2)
        for _ in range(2):
            assert len(list(source.blocks())) == 4
    assert [record.getMessage() for record in caplog.records] == [
        f"{run_of(job)}: ranks disagree with scores on 2 lines of 1 queries, first on line 29; "
        "the scores are followed",
        "queries without candidates, left out of the ranking: 1",
    ]


def test_what_is_wrong_at_the_end_is_told_before_anything_is_asked(job: RerankConfig) -> None:
    with run_of(job).open("a") as file:
        file.write("q0 Q0 d0 5\n")
    with pytest.raises(FormatError, match=r"run\.trec:29: expected 6 columns"):
        run_rerank(job)
    run_of(job).write_text("q0 Q0 d0 1 1 x\nq1 Q0 none 1 1 x\n")
    with pytest.raises(MissingTextError, match="query q1: no text for none"):
        run_rerank(job)
    assert not output_of(job).exists()


def test_a_limit_takes_the_first_queries_whatever_the_blocks(job: RerankConfig) -> None:
    source = source_of(change(job, limit=3), 2)
    assert [query for one in source.blocks() for query in one.run] == QUERIES[:3]
    assert source.queries == 3


def test_a_dataset_without_candidates_asks_for_a_run(job: RerankConfig, tmp_path: Path) -> None:
    folder = tmp_path / "t2"
    folder.mkdir()
    (folder / "collection.tsv").write_text("1\t文\n")
    (folder / "queries.dev.tsv").write_text("1\t问\n")
    bare = change(job, run=None, queries=None, docs=None, dataset=f"t2ranking:{folder}")
    with pytest.raises(InputError, match="comes without candidates; give `run`, or make one with"):
        source_of(bare)


def shortened(job: RerankConfig) -> list[Candidates]:
    (block,) = source_of(job).blocks()
    cascade = open_cascade(validate(job))
    assert cascade is not None
    return cascade(block.candidates)


def test_a_cascade_shortens_what_is_judged_and_says_so(job: RerankConfig, tmp_path: Path) -> None:
    deep = " ".join(["filler words about nothing at all."] * 40)
    (tmp_path / "docs.tsv").write_text(
        "".join(f"d{i}\t{deep} text of q{i} {deep}\n" for i in range(4))
    )
    short = change(job, cascade="bm25", keep=1, window=20, overlap=2)
    part = shortened(short)
    texts = {one.documents[0].text for one in part}
    assert all(len(text) < 200 for text in texts)
    assert any("text of q0" in text for text in texts)
    for one in shortened(change(short, window_unit="sentences")):
        assert one.documents[0].text.strip().startswith(("filler", "text of"))
        assert one.documents[0].text.strip().endswith("all.")
    manifest = run_rerank(short)
    assert manifest["cascade"]["windows_kept"] == 28
    assert manifest["cascade"]["windows_seen"] > 28
    assert manifest["config"]["cascade"]["student"] == "bm25"
