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


def test_it_leaves_its_files_and_prints_one_table(
    command: Command, tmp_path: Path, fake: FakeModel
) -> None:
    folder = tmp_path / "some" / "where"
    ran = command("demo", "--folder", folder)
    assert ran.code == 0
    names = {"bm25.trec", "reranked.trec", "reranked.json", "demo.journal"}
    assert {path.name for path in folder.iterdir()} == names
    header, _, first, second = ran.out.strip().splitlines()
    assert header.split() == ["ndcg@10", "mrr", "precision@1", "prompts", "tokens", "seconds"]
    assert first.split()[:3] == ["first", "stage", "(BM25)"]
    assert first.split()[6:8] == ["0", "0"]
    assert second.split()[:2] == ["reranked", "(smollm2-135m)"]
    assert second.split()[5] == f"{len(fake.prompts):,}"
    assert "24 queries, 240 passages" in ran.err


def test_a_second_time_asks_nothing_and_writes_the_same(
    command: Command, tmp_path: Path, fake: FakeModel
) -> None:
    runs, costs = [], []
    for _ in range(2):
        assert command("demo", "--folder", tmp_path).code == 0
        runs.append((tmp_path / "reranked.trec").read_bytes())
        runs.append((tmp_path / "bm25.trec").read_bytes())
        costs.append(json.loads((tmp_path / "reranked.json").read_text())["costs"])
    assert runs[:2] == runs[2:]
    first, second = costs
    assert first["prompts"] == len(fake.prompts)
    assert second["prompts"] == second["model_batches"] == second["comparisons_asked"] == 0
    known = second["prompts_from_journal"]
    assert known == first["prompts"] + first["prompts_from_journal"]


def test_the_commands_that_it_shows_do_the_same(
    command: Command, tmp_path: Path, fake: FakeModel
) -> None:
    shown = command("demo", "--folder", tmp_path).err.splitlines()
    lines = [shlex.split(line) for line in shown if line.startswith("  rankprompt ")]
    assert [line[1] for line in lines] == ["rerank", "evaluate"]
    before = (tmp_path / "reranked.trec").read_bytes()
    (tmp_path / "reranked.trec").unlink()
    for line in lines:
        assert command(*line[1:]).code == 0
    assert (tmp_path / "reranked.trec").read_bytes() == before
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
def test_the_embedded_model_beats_bm25_on_the_sample(command: Command, tmp_path: Path) -> None:
    assert command("demo", "--quiet", "--folder", tmp_path).code == 0
    qrels, measure = read_qrels(sample("en") / "qrels.trec"), parse_measure("ndcg@10")
    first, reranked = (
        score(read_run(tmp_path / name), qrels, [measure]).means[measure.name]
        for name in ("bm25.trec", "reranked.trec")
    )
    assert reranked > first + 0.05
    costs = json.loads((tmp_path / "reranked.json").read_text())["costs"]
    assert costs["prompts"] > 0

    before = (tmp_path / "reranked.trec").read_bytes()
    assert command("demo", "--quiet", "--folder", tmp_path).code == 0
    assert (tmp_path / "reranked.trec").read_bytes() == before
    costs = json.loads((tmp_path / "reranked.json").read_text())["costs"]
    assert costs["prompts"] == costs["model_batches"] == 0
