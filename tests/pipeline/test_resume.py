"""A killed reranking with the real model is resumed, and two processes share a journal."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.files import read_documents, read_queries, write_run
from rankprompt.journal.store import Journal
from rankprompt.retrieval import bm25
from tests.pipeline import forked

pytestmark = pytest.mark.model

KILLS = 5
QUERIES = 3
DEPTH = 6


def command(folder: Path, name: str, journal: Path) -> list[str]:
    source = sample("en")
    options: dict[str, object] = {
        "run": folder / "bm25.trec",
        "queries": source / "queries.tsv",
        "docs": source / "docs.jsonl",
        "output": folder / f"{name}.trec",
        "journal": journal,
        "prompt": "prp",
        "model": "smollm2-135m",
        "method": "heapsort",
        "depth": DEPTH,
        "k": 3,
        # Short prompts in small batches: many batches to be killed at, at a low cost.
        "passage-tokens": 40,
        "batch-tokens": 200,
    }
    arguments = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    # The small model's pairs are nearly all ties.
    return ["rerank", "--keep-going", *arguments]


def start(folder: Path, name: str, journal: Path) -> ForkServerProcess:
    return forked.start(command(folder, name, journal))


def finish(process: ForkServerProcess) -> None:
    process.join(timeout=300)
    assert process.exitcode == 0


def totals(journal: Path) -> tuple[int, int]:
    with closing(Journal(journal)) as opened:
        return opened.totals()


def batches(journal: Path) -> int:
    """The number of model batches committed so far; -1 where there is no journal yet."""
    try:
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as database:
            count: int = database.execute("select count(*) from batches").fetchone()[0]
            return count
    except sqlite3.OperationalError:
        return -1


def costs(folder: Path, name: str) -> dict[str, Any]:
    manifest = json.loads((folder / f"{name}.json").read_text())
    costs: dict[str, Any] = manifest["costs"]
    return costs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first stage's run and the output of an uninterrupted reranking."""
    folder, source = tmp_path_factory.mktemp("resume"), sample("en")
    queries = dict(list(read_queries(source / "queries.tsv").items())[:QUERIES])
    scores = bm25(queries, read_documents(source / "docs.jsonl"), depth=2 * DEPTH)
    write_run(
        folder / "bm25.trec", {query: list(ranking) for query, ranking in scores.items()}, "bm25"
    )
    finish(start(folder, "whole", folder / "whole.journal"))
    return folder


def test_killed_five_times_it_writes_the_same_run_and_asks_nothing_twice(folder: Path) -> None:
    rng = random.Random(2)
    whole, journal = folder / "whole.journal", folder / "killed.journal"
    assert batches(whole) > 3 * KILLS, "too few batches to be killed so often"
    batches_at_kills = []
    for _ in range(KILLS):
        before = max(batches(journal), 0)
        target, pause = before + rng.randint(1, 2), rng.uniform(0, 0.3)
        process = start(folder, "killed", journal)
        while batches(journal) < target:
            assert process.is_alive(), "it ended before it could be killed"
            time.sleep(0.01)
        time.sleep(pause)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        batches_at_kills.append(batches(journal))
        assert not (folder / "killed.trec").exists()
        assert not (folder / "killed.json").exists()
    assert len(set(batches_at_kills)) == KILLS  # each process got further than the one before
    finish(start(folder, "killed", journal))

    assert (folder / "killed.trec").read_bytes() == (folder / "whole.trec").read_bytes()
    answers, prompts = totals(journal)
    assert prompts == answers == totals(whole)[1] == costs(folder, "whole")["prompts"]
    # Exactly the batches of the uninterrupted run.
    assert batches(journal) == batches(whole)
    last = costs(folder, "killed")
    assert last["model_batches"] == batches(whole) - batches_at_kills[-1]
    assert 0 < last["prompts"] < prompts
    assert list(folder.glob("killed*damaged*")) == list(folder.glob(".rankprompt-*")) == []


def test_a_finished_run_started_again_asks_nothing(folder: Path) -> None:
    before = totals(folder / "whole.journal")
    program = [sys.executable, "-X", "importtime", "-m", "rankprompt"]
    words = [*program, *command(folder, "again", folder / "whole.journal")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "tokenizers" in imported
    assert "torch" not in imported
    assert (folder / "again.trec").read_bytes() == (folder / "whole.trec").read_bytes()
    assert totals(folder / "whole.journal") == before
    assert costs(folder, "again")["prompts"] == costs(folder, "again")["comparisons_asked"] == 0


def test_two_processes_that_share_a_journal_write_the_same_run(folder: Path) -> None:
    journal = folder / "shared.journal"
    both = [start(folder, name, journal) for name in ("first", "second")]
    for process in both:
        finish(process)
    for name in ("first", "second"):
        assert (folder / f"{name}.trec").read_bytes() == (folder / "whole.trec").read_bytes()
    answers, prompts = totals(journal)
    assert answers == totals(folder / "whole.journal")[0]
    # A prompt that both sent at the same moment was paid twice, but stored once.
    assert prompts == costs(folder, "first")["prompts"] + costs(folder, "second")["prompts"]
    assert answers <= prompts <= 2 * answers
