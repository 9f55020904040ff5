"""``rankprompt demo``, with a fake model for its ways and the real one for its worth."""

import json
import shlex
from pathlib import Path

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.eval import parse_measure, score
from rankprompt.files import read_qrels, read_run
from tests.cli.conftest import Command
from tests.fakes import FakeModel

RUNS = ("bm25.trec", "reranked.trec", "pairs-on-top.trec")


def test_it_leaves_its_files_and_prints_three_rows_and_a_query(
    command: Command, tmp_path: Path, fake: FakeModel
) -> None:
    folder = tmp_path / "some" / "where"
    ran = command("demo", "--folder", folder)
    assert ran.code == 0
    names = {*RUNS, "reranked.json", "pairs-on-top.json", "demo.journal", "report.html"}
    assert {path.name for path in folder.iterdir()} == names
    header, _, first, second, third, *query = (
        line for line in ran.out.splitlines() if line.strip()
    )
    assert header.split() == ["ndcg@10", "mrr", "precision@1", "prompts", "tokens", "seconds"]
    assert first.split()[:3] == ["first", "stage", "(BM25)"]
    assert first.split()[6:8] == ["0", "0"]
    assert second.split()[:2] == ["reranked", "(ms-marco-minilm-l12)"]
    assert third.split()[:4] == ["pairs", "on", "top", "(smollm2-135m)"]
    asked = int(second.split()[5].replace(",", "")) + int(third.split()[7].replace(",", ""))
    assert asked == len(fake.prompts)
    assert query[0].split() == ["rank", "BM25", "reranked"]
    assert [line.split()[0] for line in query[2:]] == ["1", "2", "3", "4", "5"]
    assert all(line.count("[") == 2 for line in query[2:])
    assert "24 queries, 240 passages" in ran.err
    assert "the query that gained most" in ran.err


def test_a_second_time_asks_nothing_and_writes_the_same(
    command: Command, tmp_path: Path, fake: FakeModel
) -> None:
    runs, costs = [], []
    for _ in range(2):
        assert command("demo", "--folder", tmp_path).code == 0
        runs.append([(tmp_path / name).read_bytes() for name in RUNS])
        costs.append([json.loads((tmp_path / name).with_suffix(".json").read_text())["costs"]
                      for name in RUNS[1:]])  # fmt: skip
    assert runs[0] == runs[1]
    assert sum(each["prompts"] for each in costs[0]) == len(fake.prompts)
    for first, second in zip(*costs, strict=True):
        assert second["prompts"] == second["model_batches"] == second["comparisons_asked"] == 0
        assert second["prompts_from_journal"] == first["prompts"] + first["prompts_from_journal"]


def test_the_commands_that_it_shows_do_the_same(
    command: Command, tmp_path: Path, fake: FakeModel
) -> None:
    shown = command("demo", "--folder", tmp_path).err.splitlines()
    lines = [shlex.split(line) for line in shown if line.startswith("  rankprompt ")]
    assert [line[1] for line in lines] == ["rerank", "rerank", "report"]
    before = [(tmp_path / name).read_bytes() for name in RUNS]
    for name in (*RUNS[1:], "report.html"):
        (tmp_path / name).unlink()
    for line in lines:
        assert command(*line[1:]).code == 0
    assert [(tmp_path / name).read_bytes() for name in RUNS] == before
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert len(fake.prompts) > 0


def test_a_folder_that_cannot_be_made_is_named(command: Command, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    ran = command("demo", "--folder", taken)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"rankprompt: cannot make the folder {taken}: File exists\n"


def test_an_interrupt_says_how_to_go_on(
    command: Command, tmp_path: Path, fake: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fake, "answer", interrupt)
    ran = command("demo", "--folder", tmp_path)
    assert (ran.code, ran.out) == (130, "")
    assert "interrupted; the same command, started again, continues from there" in ran.err
    assert not (tmp_path / "reranked.trec").exists()


@pytest.mark.model
def test_each_row_is_better_than_the_one_before_on_the_sample(
    command: Command, tmp_path: Path
) -> None:
    assert command("demo", "--quiet", "--folder", tmp_path).code == 0
    qrels, measure = read_qrels(sample("en") / "qrels.trec"), parse_measure("ndcg@10")
    first, reranked, top = (
        score(read_run(tmp_path / name), qrels, [measure]).means[measure.name] for name in RUNS
    )
    assert reranked > first + 0.1
    assert top > reranked
    before = (tmp_path / RUNS[-1]).read_bytes()
    assert command("demo", "--quiet", "--folder", tmp_path).code == 0
    assert (tmp_path / RUNS[-1]).read_bytes() == before
    costs = json.loads((tmp_path / "pairs-on-top.json").read_text())["costs"]
    assert costs["prompts"] == costs["model_batches"] == 0
