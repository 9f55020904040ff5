"""A job's candidates, block by block."""

import json
import logging
import os
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from rankprompt.errors import FormatError, InputError, MissingTextError
from rankprompt.files import read_run
from rankprompt.pipeline.candidate_source import Supply
from rankprompt.pipeline.config import Job
from rankprompt.pipeline.rerank import run_job

QUERIES = [f"q{number}" for number in range(7)]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Seven queries of four documents, whose grades turn the first stage round."""
    (tmp_path / "queries.tsv").write_text("".join(f"{q}\ttext of {q}\n" for q in QUERIES))
    names = [f"d{number}" for number in range(4)]
    (tmp_path / "docs.tsv").write_text("".join(f"{d}\tabout {d}\n" for d in names))
    lines = [f"{q} Q0 {d} {i + 1} {9 - i} x\n" for q in QUERIES for i, d in enumerate(names)]
    (tmp_path / "run.trec").write_text("".join(lines))
    grades = [f"{q} 0 {d} {i}\n" for q in QUERIES for i, d in enumerate(names)]
    (tmp_path / "qrels.trec").write_text("".join(grades))
    return Job(
        tmp_path / "run.trec",
        tmp_path / "queries.tsv",
        tmp_path / "docs.tsv",
        tmp_path / "out.trec",
        model=f"oracle:{tmp_path / 'qrels.trec'}",
        method="allpair",
    )


def run_of(job: Job) -> Path:
    assert job.run is not None
    return job.run


@pytest.mark.parametrize("block", [1, 2, 3, 7, 8])
def test_blocks_hold_each_query_once_in_order_and_can_be_drawn_again(job: Job, block: int) -> None:
    supply = Supply(job, lambda size: size * (size - 1) // 2, block=block)
    for _ in range(2):
        blocks = list(supply.blocks())
        assert [query for one in blocks for query in one.run] == QUERIES
        assert [one.query.id for part in blocks for one in part.candidates] == QUERIES
        assert all(len(one.run) <= block for one in blocks)
    assert (supply.queries, supply.documents, supply.skipped, supply.comparisons) == (7, 28, 0, 42)


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_a_run_made_in_blocks_is_the_run_made_at_once(
    job: Job, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_job(job)
    whole = job.output.read_bytes()
    before = json.loads(job.output.with_suffix(".json").read_text())
    monkeypatch.setattr("rankprompt.pipeline.rerank.Supply", partial(Supply, block=block))
    manifest = run_job(job)
    assert job.output.read_bytes() == whole
    assert list(read_run(job.output)["q3"]) == ["d3", "d2", "d1", "d0"]
    for name in ("queries", "documents", "diagnostics", "passages_cut"):
        assert manifest[name] == before[name]
    costs = ("comparisons_asked", "rounds")
    assert [manifest["costs"][one] for one in costs] == [before["costs"][one] for one in costs]


def test_a_run_whose_queries_stand_apart_is_read_whole(job: Job) -> None:
    lines = run_of(job).read_text().splitlines(keepends=True)
    run_of(job).write_text("".join(sorted(lines, key=lambda line: line.split()[3])))
    supply = Supply(job, lambda size: size, block=2)
    assert [query for one in supply.blocks() for query in one.run] == QUERIES
    assert supply.documents == 28


def test_a_pipe_is_read_once(job: Job, tmp_path: Path) -> None:
    text = run_of(job).read_text()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    supply = Supply(replace(job, run=pipe), lambda size: size, block=2)
    writer.join()
    assert [query for one in supply.blocks() for query in one.run] == QUERIES


def test_warnings_are_told_once(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    assert job.queries is not None
    with job.queries.open("a") as file:
        file.write("q9\tnobody ranks this\n")
    with run_of(job).open("a") as file:
        file.write("q8 Q0 d0 2 9 x\nq8 Q0 d1 1 8 x\n")
    with job.queries.open("a") as file:
        file.write("q8\ttext\n")
    with caplog.at_level(logging.WARNING):
        supply = Supply(job, lambda size: size, block=2)
        for _ in range(2):
            assert len(list(supply.blocks())) == 4
    assert [record.getMessage() for record in caplog.records] == [
        f"{job.run}: ranks disagree with scores on 2 lines of 1 queries, first on line 29; "
        "the scores are followed",
        "queries without candidates, left out of the ranking: 1",
    ]


def test_what_is_wrong_at_the_end_is_told_before_anything_is_asked(job: Job) -> None:
    with run_of(job).open("a") as file:
        file.write("q0 Q0 d0 5\n")
    with pytest.raises(FormatError, match=r"run\.trec:29: expected 6 columns"):
        run_job(job)
    run_of(job).write_text("q0 Q0 d0 1 1 x\nq1 Q0 none 1 1 x\n")
    with pytest.raises(MissingTextError, match="query q1: no text for none"):
        run_job(job)
    assert not job.output.exists()


def test_a_limit_takes_the_first_queries_whatever_the_blocks(job: Job) -> None:
    supply = Supply(replace(job, limit=3), lambda size: size, block=2)
    assert [query for one in supply.blocks() for query in one.run] == QUERIES[:3]
    assert supply.queries == 3


def test_a_dataset_without_candidates_asks_for_a_run(job: Job, tmp_path: Path) -> None:
    folder = tmp_path / "t2"
    folder.mkdir()
    (folder / "collection.tsv").write_text("1\t文\n")
    (folder / "queries.dev.tsv").write_text("1\t问\n")
    bare = replace(job, run=None, queries=None, docs=None, dataset=f"t2ranking:{folder}")
    with pytest.raises(InputError, match="comes without candidates; give --run, or make one with"):
        Supply(bare, lambda size: size)


def test_a_cascade_shortens_what_is_judged_and_says_so(job: Job, tmp_path: Path) -> None:
    deep = " ".join(["filler words about nothing at all."] * 40)
    (tmp_path / "docs.tsv").write_text(
        "".join(f"d{i}\t{deep} text of q{i} {deep}\n" for i in range(4))
    )
    short = replace(job, cascade="bm25", keep=1, window=20, overlap=2)
    supply = Supply(short, lambda size: size)
    (part,) = supply.parts(lambda _: None)
    texts = {one.documents[0].text for one in part}
    assert all(len(text) < 200 for text in texts)
    assert any("text of q0" in text for text in texts)
    whole = Supply(replace(short, window_unit="sentences"), lambda size: size)
    (part,) = whole.parts(lambda _: None)
    for one in part:
        assert one.documents[0].text.strip().startswith(("filler", "text of"))
        assert one.documents[0].text.strip().endswith("all.")
    manifest = run_job(short)
    assert manifest["cascade"]["windows_kept"] == 28
    assert manifest["cascade"]["windows_seen"] > 28
    assert manifest["settings"]["cascade"] == "bm25"
